/* Runs that differ in their seeds alone, as one; and what their figures have in common. */
#ifndef GRAPEVINE_SRC_APP_RUN_GROUPS_H
#define GRAPEVINE_SRC_APP_RUN_GROUPS_H

#include "app/ended_run.h"
#include "app/run_statistics.h"

struct run_group {
    size_t *runs; /* owned (count): indices */
    size_t count;
};

struct run_groups {
    struct run_group *groups; /* owned */
    size_t count;
};

/* Keys in whose values the runs differ on which they have an effect, bookkeeping left out, in their order: out has room
 * for run_key_count(). Returns how many there are. */
size_t run_keys_differing(const struct ended_runs *runs, size_t *out);

/* Runs that are alike in these keys, together. Groups are in the order of the keys' values: numbers ascending, other
 * values as they first appear. */
void run_groups_make(const struct ended_runs *runs, const size_t *keys, size_t key_count, struct run_groups *out);
void run_groups_release(struct run_groups *groups);

/* Mean and deviation of a figure over the runs of a group that have it. */
struct statistic run_group_statistic(const struct ended_runs *runs, const struct run_group *group, const char *figure);

/* Warn where a configuration is there twice with the same seed: it counts twice. */
void run_groups_warn_of_twins(const char *command, const struct ended_runs *runs, const struct run_groups *groups);

/* The key as a heading: "algorithm" for algorithm.name, "workers" for train.workers; whole where another of these
 * keys would have the same. Owned by the caller. */
char *run_key_title(size_t key, const size_t *keys, size_t key_count);

#endif
