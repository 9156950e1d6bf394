/* What the subcommands share: options and the configuration from arguments. */
#include "app/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"

enum status command_read_config(int count, char **arguments, struct config **out)
{
    if (count < 1) {
        log_error(
            "a configuration file is missing: grapevine COMMAND CONFIG [key=value ...]; examples are in configs/");
        return STATUS_USAGE;
    }
    if (strchr(arguments[0], '=') != NULL && access(arguments[0], F_OK) != 0) {
        log_error("\"%s\" stands where the configuration file is expected: the file comes first, then key=value",
                  arguments[0]);
        return STATUS_USAGE;
    }
    struct config *config = config_create();
    enum status status;
    TRY_GOTO(config_load(config, arguments[0]), destroy_config);
    for (int i = 1; i < count; i++)
        TRY_GOTO(config_set(config, arguments[i]), destroy_config);
    TRY_GOTO(config_require(config, arguments[0]), destroy_config);
    enum log_level level;
    if (log_level_parse(config->run.log_level, &level) && level != LOG_INFO)
        log_set_level(level);
    *out = config;
    return STATUS_OK;
destroy_config:
    config_destroy(config);
    return status;
}

uint64_t command_config_digest(const struct config *config)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (stream == NULL)
        return 0;
    config_write(config, stream);
    fclose(stream);
    uint64_t digest = digest_bytes(0, text, length);
    free(text);
    return digest;
}

const char *command_option(const char *name, int count, char **arguments, int *index)
{
    const char *argument = arguments[*index];
    size_t length = strlen(name);
    if (strncmp(argument, name, length) != 0)
        return NULL;
    if (argument[length] == '=')
        return argument + length + 1;
    if (argument[length] != '\0')
        return NULL;
    if (*index + 1 >= count) {
        log_error("%s needs a value", name);
        *index = -1;
        return NULL;
    }
    return arguments[++*index];
}

enum status command_unknown(const char *command, const char *argument, const char *const *names, size_t name_count)
{
    const char *key = argument + strspn(argument, "-");
    if (key != argument && strchr(key, '.') != NULL && strchr(key, '=') != NULL) {
        log_error("%s: unknown argument \"%s\"; keys are given without dashes: %s", command, argument, key);
        return STATUS_USAGE;
    }
    struct text allowed = {0};
    const char *nearest = text_nearest(argument, names, name_count);
    text_add_list(&allowed, names, name_count);
    if (nearest != NULL)
        log_error("%s: unknown argument \"%s\"; did you mean \"%s\"? (%s)", command, argument, nearest,
                  text_view(&allowed));
    else
        log_error("%s: unknown argument \"%s\" (%s)", command, argument, text_view(&allowed));
    text_release(&allowed);
    return STATUS_USAGE;
}
