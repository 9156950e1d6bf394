/* The entries of a scenario's texts, read and checked; grammar in runtime/scenario.h. */
#ifndef GRAPEVINE_RUNTIME_SCENARIO_ENTRY_H
#define GRAPEVINE_RUNTIME_SCENARIO_ENTRY_H

#include <stddef.h>

#include "runtime/scenario.h"

enum scenario_kind { SCENARIO_SLOW, SCENARIO_PAUSE, SCENARIO_DEATH, SCENARIO_NAN, SCENARIO_LINKS };

struct scenario_entry {
    enum scenario_kind kind;
    int first, last;           /* workers; the two ends of a link, −1 for all links */
    double from_s, to_s;       /* death: at from_s */
    double factor;             /* slow */
    struct scenario_link link; /* NAN: the entry does not say */
};

/* Called for every entry in its order. */
typedef void (*scenario_entry_fn)(void *context, const struct scenario_entry *entry);

/* Read the text of one kind. STATUS_USAGE after one logged message. */
enum status scenario_entries_read(enum scenario_kind kind, const char *text, const struct scenario_params *params,
                                  scenario_entry_fn keep, void *context);

#endif
