/* grapevine config [KEY]: the configuration's keys, as the schema knows them. */
#include <stdio.h>

#include "app/command.h"
#include "base/log.h"

int command_config(int count, char **arguments)
{
    if (count > 1) {
        log_error("config: at most one key: grapevine config [KEY]");
        return STATUS_USAGE;
    }
    return (int)config_describe(count == 1 ? arguments[0] : NULL, stdout);
}
