/* Options of a subcommand as a table of rules. */
#ifndef GRAPEVINE_APP_OPTION_RULES_H
#define GRAPEVINE_APP_OPTION_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/status.h"

enum { OPTION_RULES_MAX = 32 };

enum option_kind {
    OPTION_FLAG,   /* "--json": sets *flag */
    OPTION_NUMBER, /* "--rate 2": sets *number, in [least, most] */
    OPTION_WHOLE,  /* the same, a whole number */
    OPTION_WORD,   /* "--algorithm acid": sets *word to one of `words` */
    OPTION_TEXT    /* "--labels FILE": sets *word to whatever is given */
};

/* Everything of an option in one place: what the command line is read with, and what --help says. */
struct option_rule {
    const char *name;
    const char *value;   /* what stands behind it in the help: "FILE"; NULL: N of a number, none of a flag */
    const char *meaning; /* for the help, in a few words or sentences */
    enum option_kind kind;
    double least, most;       /* of a number */
    const char *const *words; /* of a word: NULL-terminated; borrowed */
    bool *flag;               /* where the value goes, which keeps its default when the option is not given */
    double *number;
    const char **word;
};

/* Start with the command's name alone. */
struct option_list {
    const char *command; /* borrowed: for messages */
    struct option_rule rules[OPTION_RULES_MAX];
    size_t count;
};

/* Add rules (count); what they point to is borrowed. */
void option_list_add(struct option_list *list, const struct option_rule *rules, size_t count);

/* Take the option at *index, and its value; *index becomes its last argument. STATUS_USAGE (logged with the
 * command's name): no such option, no value, one out of bounds. */
enum status option_list_take(const struct option_list *list, int count, char **arguments, int *index);

/* What the help says besides the options. Each is one text of several lines, as it is to be printed. */
struct option_manual {
    const char *usage, *about, *examples; /* examples: "" for none */
};

/* The help of a command: usage, sense, every option of the list with what it takes, examples. */
void option_list_describe(const struct option_list *list, const struct option_manual *manual, FILE *out);

#endif
