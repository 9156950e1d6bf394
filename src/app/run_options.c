/* The options that `train` and `simulate` share. */
#include "app/run_options.h"

void run_options_list(struct option_list *list, struct run_options *options)
{
    const struct option_rule rules[] = {
        {.name = "--dry-run",
         .kind = OPTION_FLAG,
         .flag = &options->dry_run,
         .meaning = "check everything, print what would be done and what memory it takes, and do nothing"},
        {.name = "--resume",
         .kind = OPTION_TEXT,
         .value = "auto",
         .word = &options->resume,
         .meaning =
             "go on from the newest state in the run directory, where there is one; the same command may be given "
             "until the run has come to its end. `simulate` also takes the file of a state"},
    };
    option_list_add(list, rules, sizeof rules / sizeof rules[0]);
}

enum status run_options_take(const char *command, int *count, char **arguments, struct run_options *options)
{
    struct option_list list = {.command = command};
    int left = 0;
    run_options_list(&list, options);
    for (int i = 0; i < *count; i++)
        if (arguments[i][0] == '-')
            TRY(option_list_take(&list, *count, arguments, &i));
        else
            arguments[left++] = arguments[i];
    *count = left;
    return STATUS_OK;
}
