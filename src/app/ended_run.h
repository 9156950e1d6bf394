/* Runs that have ended, read from their directories: what was configured, and what came of it.
 *
 * A run is known by the values of its keys. Key 0 is "command" (train or simulate), the others are those of the
 * configuration, in its order; train.workers is the number that there really was. A value is NULL where the key has no
 * effect on this run: the graph and the meetings of an all-reduce, `simulate.*` of a real run. Labels leave
 * bookkeeping out: seed, run.*, and where data lie and how many threads make them. */
#ifndef GRAPEVINE_SRC_APP_ENDED_RUN_H
#define GRAPEVINE_SRC_APP_ENDED_RUN_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

size_t run_key_count(void);
const char *run_key_name(size_t key);
/* The key of that name; run_key_count() if there is none. */
size_t run_key_find(const char *name);
/* It is bookkeeping, which says nothing about the experiment. */
bool run_key_is_bookkeeping(size_t key);

struct ended_run {
    char *path;     /* owned */
    char **values;  /* owned (run_key_count()), each owned or NULL; texts without quotes */
    cJSON *summary; /* owned: summary.json, an object */
};

struct ended_runs {
    struct ended_run *runs; /* owned */
    size_t count;
};

/* Read run directories; of a folder that is none but holds some, these. What has not ended, or has no summary, is
 * named in a warning and left out. STATUS_USAGE (logged): a path is neither, or a config.yaml cannot be read;
 * STATUS_DATA (logged): no run is left, or a summary is no JSON object. Release in either case. */
enum status ended_runs_read(const char *command, char *const *paths, size_t path_count, struct ended_runs *out);
void ended_runs_release(struct ended_runs *runs);

/* A number of the summary; the mean of a list of numbers; NAN where it is missing, null or neither. */
double ended_run_figure(const struct ended_run *run, const char *name);
/* The summary has it in this form. */
bool ended_run_has(const struct ended_run *run, const char *name);
/* The last part of the path. */
const char *ended_run_name(const struct ended_run *run);

#endif
