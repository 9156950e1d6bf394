/* grapevine config [KEY]: the configuration's keys, as the schema knows them.
 * grapevine config --get KEY CONFIG [key=value ...]: for scripts, what a key is in the run of these arguments. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "app/option_rules.h"
#include "app/run_options.h"
#include "app/run_output.h"
#include "base/log.h"
#include "base/text.h"

/* The folder of a run has a default that follows from the name of the configuration. */
static enum status add_value(const struct config *config, const char *path, const char *key, struct text *value)
{
    if (strcmp(key, "run.dir") != 0)
        return config_get(config, key, value);
    char *directory = run_output_directory(config, path);
    text_add(value, "%s", directory);
    free(directory);
    return STATUS_OK;
}

/* The options of `train` and `simulate` may stand among the arguments: a script passes on what it was given. */
static enum status get(const char *key, int count, char **arguments)
{
    struct run_options options = {0};
    struct config *config = NULL;
    struct text value = {0};
    TRY(run_options_take("config", &count, arguments, &options));
    TRY(command_read_config(count, arguments, &config));
    enum status status = add_value(config, arguments[0], key, &value);
    if (status == STATUS_OK)
        printf("%s\n", text_view(&value));
    text_release(&value);
    config_destroy(config);
    return status;
}

void command_config_help(FILE *out)
{
    static const struct option_manual manual = {
        .usage = "grapevine config [KEY | SECTION]\n"
                 "       grapevine config --get KEY CONFIG [key=value ...]\n",
        .about = "Every key of a configuration with its default, what it may be and what it means; of one key or of a\n"
                 "section, all that is to be said. --get, for scripts: what a key is in the run that these arguments\n"
                 "make (run.dir: also where it is not given).\n",
        .examples = "    grapevine config\n"
                    "    grapevine config schedule\n"
                    "    grapevine config communication.rate\n"
                    "    grapevine config --get run.dir configs/quickstart.yaml\n",
    };
    option_list_describe(&(struct option_list){.command = "config"}, &manual, out);
}

int command_config(int count, char **arguments)
{
    int last = 0;
    const char *key = count > 0 ? command_option("--get", count, arguments, &last) : NULL;
    if (last < 0)
        return STATUS_USAGE;
    if (key != NULL)
        return (int)get(key, count - last - 1, arguments + last + 1);
    if (count > 1) {
        log_error(
            "config: at most one key: grapevine config [KEY], or grapevine config --get KEY CONFIG [key=value ...]");
        return STATUS_USAGE;
    }
    return (int)config_describe(count == 1 ? arguments[0] : NULL, stdout);
}
