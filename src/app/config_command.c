/* grapevine config [KEY]: the configuration's keys, as the schema knows them. */
#include <stdio.h>

#include "app/command.h"
#include "app/option_rules.h"
#include "base/log.h"

void command_config_help(FILE *out)
{
    static const struct option_manual manual = {
        .usage = "grapevine config [KEY | SECTION]\n",
        .about = "Every key of a configuration with its default, what it may be and what it means; of one key or of a\n"
                 "section, all that is to be said.\n",
        .examples = "    grapevine config\n"
                    "    grapevine config schedule\n"
                    "    grapevine config communication.rate\n",
    };
    option_list_describe(&(struct option_list){.command = "config"}, &manual, out);
}

int command_config(int count, char **arguments)
{
    if (count > 1) {
        log_error("config: at most one key: grapevine config [KEY]");
        return STATUS_USAGE;
    }
    return (int)config_describe(count == 1 ? arguments[0] : NULL, stdout);
}
