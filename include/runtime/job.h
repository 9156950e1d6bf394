/* The job: all processes that a launcher started together, one worker each. MPI behind a plain face, for set-up
 * and closing.
 *
 * Every collective step has a time limit and a name; where it exceeds the limit, every rank that waited says so, with
 * its rank and the step, and the call returns STATUS_MACHINE: the ranks that say nothing had not come. One thread at a
 * time calls: during training the communication thread, before and after it the main thread. */
#ifndef GRAPEVINE_RUNTIME_JOB_H
#define GRAPEVINE_RUNTIME_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct job_mpi; /* its own */

struct job {
    int rank, size;             /* among the processes that are left: as started, unless some have died (job_survive) */
    int worker, worker_count;   /* as started, for ever */
    bool survives;              /* the MPI library can go on without ranks that have died */
    struct job_mpi *mpi;        /* owned */
    int local_rank, local_size; /* among the ranks of this node */
    double cores;               /* that this rank has to itself: one that k ranks of the node may use counts 1/k; 0:
                                 * not known */
    double limit_s;             /* of every collective step */
    bool agreed;                /* all ranks know that the run has failed: each can leave by itself */
    bool ordered_sums; /* the same on every rank: sums over ranks are made in rank order, ((v0 + v1) + v2) + ..., as a
                        * loop in one process would make them; every rank then receives every rank's values. Without,
                        * in whatever order MPI likes */
};

/* Start MPI (MPI_THREAD_SERIALIZED) with settings that are known to work for one-sided communication, without
 * overwriting the user's. STATUS_MACHINE (logged, with flags that work) when it cannot. */
enum status job_start(int *argc, char ***argv, struct job *job);

/* The worst status of all ranks. While errors are held (log_hold), the lowest rank that has the worst one prints its
 * own. */
enum status job_agree(struct job *job, const char *step, enum status status);

enum status job_barrier(const struct job *job, const char *step);
/* Sums over all ranks, in place, the same bits on every rank. */
enum status job_sum_doubles(const struct job *job, const char *step, double *values, size_t count);
enum status job_sum_floats(const struct job *job, const char *step, float *values, size_t count);
/* Copies rank 0's bytes to every rank. */
enum status job_broadcast(const struct job *job, const char *step, void *bytes, size_t count);
/* all (size × count) on every rank: each rank's values in rank order. */
enum status job_gather_doubles(const struct job *job, const char *step, const double *mine, size_t count, double *all);

/* The same for `bytes` bytes of each rank. */
enum status job_gather_bytes(const struct job *job, const char *step, const void *mine, size_t bytes, void *all);

/* Bring a step that has collective calls in it to its end with all ranks that are left: where the job survives deaths
 * and a rank dies meanwhile, it is run again, by all the others; so it must be such that it can be. From the first call
 * on, rank and size are those among the living. No other collective step survives a death. Returns what `step` does. */
enum status job_survive(struct job *job, enum status (*step)(void *context), void *context);
/* Set dead[worker] (worker_count) of those that have died, as far as it is known here. Not collective, and cheap. */
void job_look_for_dead(const struct job *job, bool *dead);
/* The worker of a rank. */
int job_worker(const struct job *job, int rank);

/* End MPI. A bad status that the ranks have not agreed on ends the others too (MPI_Abort), once the launcher has read
 * what this rank has written. Returns the exit status. */
int job_finish(struct job *job, enum status status);

#endif
