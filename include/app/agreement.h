/* What all ranks of a run must have in common, compared before anything depends on it: settings, data, graph, model.
 *
 * Facts are lines "key<TAB>value". Ranks that differ learn it together, from one message that names the key, its values
 * and the ranks that have each. */
#ifndef GRAPEVINE_APP_AGREEMENT_H
#define GRAPEVINE_APP_AGREEMENT_H

#include <stdbool.h>

#include "base/status.h"
#include "base/text.h"
#include "runtime/job.h"

/* Add a fact. Tabs and line breaks of the value become blanks. */
void agreement_add(struct text *facts, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* facts (size): the lines of each rank. Adds "optimizer.lr is 0.1 on ranks 0-2 and 0.2 on rank 3; ..." to `out`: a few
 * keys at most, the number of the others after them. Returns how many keys differ. */
int agreement_differences(const char *const *facts, int size, struct text *out);

/* The first step of all ranks, with the status of what each has done alone. It ends with ranks, too, whose program is
 * from before there was such a step. Errors that are held are said as in job_agree. STATUS_USAGE (logged): there are
 * such ranks. */
enum status agreement_greet(struct job *job, enum status status);

/* Collective. STATUS_USAGE (logged by rank 0): the facts of the ranks are not the same. */
enum status agreement_check(struct job *job, const char *step, const struct text *facts);

#endif
