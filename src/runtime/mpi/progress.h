/* How far everybody is, without a centre: each worker knows a count for every worker, and passes on the largest it
 * has seen.
 *
 * A count travels as one word that only grows: (gradients + 1) << 3 | quiet << 2 | leaving << 1 | done; 0 means that
 * nothing is known yet. A worker that is leaving has been asked to stop before the run's end, or knows of one that has;
 * it says so before it is done or never, so that all who know everybody's last words agree. Where ranks may die, one
 * that knows that all are done, and whose meetings are over, says that it is quiet: once all are, all may go.
 *
 * A dead worker is done and quiet for whoever knows of its death, with as many gradients as anybody knows of. */
#ifndef GRAPEVINE_RUNTIME_MPI_PROGRESS_H
#define GRAPEVINE_RUNTIME_MPI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

uint64_t progress_word(uint64_t gradients, bool done);
uint64_t progress_gradients(uint64_t word);
bool progress_done(uint64_t word);

struct progress {
    int worker, worker_count;
    bool leaving;    /* this worker is */
    bool quiet;      /* likewise */
    uint64_t *words; /* owned (worker_count) */
    bool *dead;      /* owned (worker_count) */
};

void progress_init(struct progress *progress, int worker, int worker_count);
void progress_release(struct progress *progress);
/* Set this worker's own word; true if it changed. */
bool progress_set(struct progress *progress, uint64_t gradients, bool done);
/* Take over what a neighbor knows (worker_count words, each read whole); true if anything was new. */
bool progress_merge(struct progress *progress, const uint64_t *words);
/* This worker leaves, unless it is done. */
void progress_leave(struct progress *progress);
/* This worker is quiet, from its next word on. */
void progress_quieten(struct progress *progress);
/* That worker has died. */
void progress_bury(struct progress *progress, int worker);
/* Somebody leaves. */
bool progress_leaving(const struct progress *progress);
/* Of a run that goes on: every worker has done at least so many gradients (worker_count). */
void progress_resume(struct progress *progress, const uint64_t *gradients);
uint64_t progress_sum(const struct progress *progress);
bool progress_all_done(const struct progress *progress);
bool progress_all_quiet(const struct progress *progress);

#endif
