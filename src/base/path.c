/* Paths as users write them: the beginning `~`, and variables of the environment. */
#include "base/path.h"

#include <ctype.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* `~` or `~user` at *at, which moves behind it. */
static bool add_home(struct text *out, const char **at, struct text *trouble)
{
    size_t length = strcspn(*at + 1, "/");
    char *user = text_format("%.*s", (int)length, *at + 1);
    const struct passwd *entry = length > 0 ? getpwnam(user) : NULL;
    const char *home = length == 0 ? getenv("HOME") : entry != NULL ? entry->pw_dir : NULL;
    if (home != NULL)
        text_add(out, "%s", home);
    else if (length == 0)
        text_add(trouble, "~ is the home folder, and the environment variable HOME is not set; write the path out");
    else
        text_add(trouble, "there is no user \"%s\" whose home ~%s would be; write ./~%s for a folder of that name",
                 user, user, user);
    *at += 1 + length;
    free(user);
    return home != NULL;
}

/* Length of the name that a variable at `at` has; `braced`: up to a brace. */
static size_t name_length(const char *at, bool braced)
{
    size_t length = 0;
    if (braced)
        return strcspn(at, "}");
    while (isalnum((unsigned char)at[length]) || at[length] == '_')
        length++;
    return length > 0 && isdigit((unsigned char)at[0]) ? 0 : length;
}

/* A dollar sign at *at with what follows. */
static bool add_variable(struct text *out, const char **at, struct text *trouble)
{
    bool braced = (*at)[1] == '{';
    const char *name = *at + 1 + braced;
    if ((*at)[1] == '$' || (*at)[1] == '~') {
        text_add(out, "%c", (*at)[1]);
        *at += 2;
        return true;
    }
    size_t length = name_length(name, braced);
    if (length == 0 || (braced && name[length] != '}')) {
        text_add(trouble, "a dollar sign without the name of a variable; write $NAME or ${NAME}, or $$ for the sign");
        return false;
    }
    char *key = text_format("%.*s", (int)length, name);
    const char *value = getenv(key);
    if (value != NULL)
        text_add(out, "%s", value);
    else
        text_add(trouble, "the environment variable %s is not set; set it, or write the path out ($$ is a dollar sign)",
                 key);
    *at = name + length + braced;
    free(key);
    return value != NULL;
}

char *path_expand(const char *path, struct text *trouble)
{
    struct text out = {0};
    const char *at = path;
    bool known = *at != '~' || add_home(&out, &at, trouble);
    while (known && *at != '\0') {
        size_t plain = strcspn(at, "$");
        text_add(&out, "%.*s", (int)plain, at);
        at += plain;
        known = *at == '\0' || add_variable(&out, &at, trouble);
    }
    char *expanded = known ? text_format("%s", text_view(&out)) : NULL;
    text_release(&out);
    return expanded;
}

void path_add_literal(struct text *text, const char *path)
{
    if (*path == '~')
        text_add(text, "$");
    for (; *path != '\0'; path++)
        text_add(text, "%s%c", *path == '$' ? "$" : "", *path);
}
