/* The options that `train` and `simulate` share. */
#ifndef GRAPEVINE_SRC_APP_RUN_OPTIONS_H
#define GRAPEVINE_SRC_APP_RUN_OPTIONS_H

#include <stdbool.h>

#include "app/option_rules.h"
#include "base/status.h"

struct run_options {
    bool dry_run;
    const char *resume; /* borrowed from the arguments; NULL: not given */
};

/* Add the options to the list. */
void run_options_list(struct option_list *list, struct run_options *options);

/* Take them out of the arguments: the configuration file and key=value are left. STATUS_USAGE (logged with the
 * command's name): another option, a value that is missing. */
enum status run_options_take(const char *command, int *count, char **arguments, struct run_options *options);

#endif
