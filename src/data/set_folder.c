/* Where the files of a published set lie. */
#include "data/set_folder.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"

/* A search below data.path ends after so many levels, and so many entries: it may hold a million photographs. */
enum { LEVELS_MAX = 3, ENTRIES_MAX = 20000, FORMS = 6 };

static bool is_file(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && !S_ISDIR(about.st_mode);
}

static bool is_binary(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && strcmp(dot, ".bin") == 0;
}

/* The name with a dot before "idx", as Kaggle and torchvision's older files have it; owned by the caller. */
static char *dotted(const char *name)
{
    char *copy = memory_copy_text(name), *idx = strstr(copy, "-idx");
    if (idx != NULL)
        *idx = '.';
    return copy;
}

static void list_forms(const char *folder, const char *name, char *forms[FORMS])
{
    char *other = dotted(name);
    forms[0] = text_format("%s/%s.gz", folder, name);
    forms[1] = text_format("%s/%s", folder, name);
    forms[2] = text_format("%s/%s.gz", folder, other);
    forms[3] = text_format("%s/%s", folder, other);
    forms[4] = text_format("%s/%s/%s", folder, name, name);
    forms[5] = text_format("%s/%s/%s", folder, other, other);
    free(other);
}

/* "FOLDER/FILE" in the first form that is there, or NULL. */
static char *find_form(const char *folder, const char *name)
{
    char *forms[FORMS], *found = NULL;
    if (is_binary(name)) {
        char *path = text_format("%s/%s", folder, name);
        if (is_file(path))
            return path;
        free(path);
        return NULL;
    }
    list_forms(folder, name, forms);
    for (int k = 0; k < FORMS; k++)
        if (found == NULL && is_file(forms[k]))
            found = forms[k];
        else
            free(forms[k]);
    return found;
}

char *set_file_find(const char *folder, const char *name)
{
    char *found = find_form(folder, name);
    return found != NULL ? found : text_format("%s/%s%s", folder, name, is_binary(name) ? "" : ".gz");
}

static bool has_file(const char *folder, const char *name)
{
    char *found = find_form(folder, name);
    free(found);
    return found != NULL;
}

/* --- below data.path --- */

struct search {
    const char *folder, *name; /* what is looked for: the last part of kind->folder, with the file in it */
    size_t entries;
};

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && entry->d_type != DT_REG;
}

/* "WHERE/.../FOLDER" or NULL; nearer ones first, then by name. */
static char *search_level(struct search *search, const char *where, int levels)
{
    char *here = text_format("%s/%s", where, search->folder), *found = NULL;
    if (has_file(here, search->name))
        return here;
    free(here);
    struct dirent **entries = NULL;
    int count = levels > 0 && search->entries < ENTRIES_MAX ? scandir(where, &entries, is_visible, alphasort) : 0;
    for (int k = 0; k < count; k++) {
        char *below = text_format("%s/%s", where, entries[k]->d_name);
        if (found == NULL && search->entries++ < ENTRIES_MAX)
            found = search_level(search, below, levels - 1);
        free(below);
        free(entries[k]);
    }
    free(entries);
    return found;
}

char *set_folder_find(const struct dataset_kind *kind, const struct dataset_params *params, const char *name)
{
    char *usual = text_format("%s/%s", params->path, kind->folder);
    if (has_file(usual, name))
        return usual;
    for (size_t k = 0; kind->folders != NULL && kind->folders[k] != NULL; k++) {
        char *folder = text_format("%s/%s", params->path, kind->folders[k]);
        if (has_file(folder, name)) {
            free(usual);
            return folder;
        }
        free(folder);
    }
    struct search search = {.folder = kind->folder, .name = name};
    char *found =
        has_file(params->path, name) ? memory_copy_text(params->path) : search_level(&search, params->path, LEVELS_MAX);
    if (found == NULL)
        return usual;
    free(usual);
    return found;
}
