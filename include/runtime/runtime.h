/* Runtimes: they decide when the events of workers happen and how snapshots travel. This is the door of runtime/mpi:
 * real threads, real time, one-sided exchange where MPI can do it. */
#ifndef GRAPEVINE_RUNTIME_RUNTIME_H
#define GRAPEVINE_RUNTIME_RUNTIME_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "graph/graph.h"
#include "graph/mixing.h"
#include "graph/spectrum.h"
#include "runtime/job.h"
#include "runtime/observer.h"
#include "runtime/run_state.h"
#include "runtime/scenario.h"
#include "worker/worker.h"

enum batch_norm_policy {
    BATCH_NORM_RECOMPUTED, /* of the averaged model, on training batches of every worker */
    BATCH_NORM_AVERAGED,   /* mean of the workers' running statistics */
    BATCH_NORM_OWN         /* worker 0's */
};

enum on_nan { ON_NAN_STOP, ON_NAN_SKIP, ON_NAN_REJOIN }; /* what becomes of a gradient that is not finite */
enum { RUNTIME_BAD_IN_A_ROW_MOST = 50 };                 /* such gradients of a worker, which end the run anyhow */

struct runtime_params {
    uint64_t seed;
    const struct graph *graph;      /* borrowed; ignored by algorithms that meet everyone */
    struct mixing_params mixing;    /* the workers' constants, for predictions; the runtime sets `poisson` */
    struct acid_constants given;    /* those that stay when the graph changes, as workers die; NAN: the theorem's */
    uint64_t gradient_total;        /* of all workers together: where the run ends */
    uint64_t gradients_before;      /* of these, done by workers whose mean model this run begins with */
    double gradients_per_epoch;     /* of all workers together */
    uint64_t log_every;             /* gradients of one worker between step reports; 0: one at the end */
    double eval_every_epochs;       /* 0: never before the end */
    double checkpoint_every_epochs; /* 0: never before the end */
    bool validation;                /* evaluate the held-out pictures too */
    enum on_nan on_nan;
    bool enforce_rate;
    size_t pending_limit;  /* meetings that may be due before compute waits */
    const char *transport; /* "auto", "ipc", "cuda", "put", "sendrecv" */
    int records;           /* K of the pairing protocol, ≥ 1 */
    double patience_s;     /* limit of one wait of a meeting */
    size_t chunk_bytes, bucket_bytes;
    enum batch_norm_policy batch_norm;
    int batch_norm_batches;          /* of all workers together, at least one of each */
    const struct scenario *scenario; /* borrowed; NULL: none */
    /* Called by the compute thread at each checkpoint epoch, and (`best`) when this worker's replica has tested best
     * so far on the held-out pictures; host memory; may be NULL. A failure to write is the callee's to report:
     * training goes on. */
    void (*checkpoint)(void *context, bool best, double epoch, const float *parameters, const float *buffers);
    void *checkpoint_context;
    /* Called by the main thread when training is over, before the final average: the worker's vectors are as its last
     * event left them. May be NULL. */
    void (*trained)(void *context);
    void *trained_context;
    /* Under MPI. Once *leave is not 0 on any rank, all stop after the present gradient, or in the middle of it where
     * the device breaks it off, end their meetings, and call `save_state` with what they are; then the run ends with
     * STATUS_REQUEUE. NULL: it is never asked to. `save_state` is collective. */
    const atomic_int *leave;
    enum status (*save_state)(void *context, const struct run_state *state);
    double state_every_epochs; /* between two states that are kept while the run goes on; 0: none */
    /* Under MPI, at these epochs: this rank's part of a consistent state of all, by a thread of its own. A failure is
     * the callee's to report. Parts of one state have the same `gradients`: those after which it was due. Not
     * collective; NULL: no states at intervals. */
    void (*keep_state)(void *context, const struct run_state *state);
    /* How far this process' record of the run has got: by the thread that calls the observer's on_step and
     * on_evaluation. May be NULL. */
    uint64_t (*recorded)(void *context);
    /* A run that goes on: sets the vectors and numbers of `state`, whose names and counts are there, to what was kept.
     * The worker was made with its first_step. NULL: it starts at the beginning. */
    enum status (*restore_state)(void *context, struct run_state *state);
    /* What was to be restored has been: from here on the run goes on, and reports. Not called without restore_state; a
     * failure ends the run. Collective under MPI; may be NULL. */
    enum status (*restored)(void *context);
    void *state_context; /* of these */
};

/* The first multiple of a period (epochs) after what has been done before the run; 0 where the period is. */
double runtime_first_due(const struct runtime_params *params, double period);
/* How many whole periods (> 0) are over at `epoch`; one that rounding alone keeps from its end is. */
double runtime_periods_over(double period, double epoch);
/* When the next period after `epoch` is over, as the above counts; a period too short to be told from none: the next
 * epoch that there is. */
double runtime_next_due(double period, double epoch);

/* Batches on which each of `workers` recomputes the statistics: the same number, so that their mean weighs all alike */
int runtime_statistics_batches(const struct runtime_params *params, int workers);

enum { RUNTIME_MEETINGS_WORKERS_MAX = 4096 }; /* beyond, who met whom is not kept as a matrix */

/* What happened; the same on every rank, except where it says own. Arrays are owned: runtime_result_release. */
struct runtime_result {
    double wall_s;                  /* training only: from the first step to the last worker's last */
    double finalisation_s;          /* real time from there to the end of the final test, by this process' clock */
    uint64_t gradients;             /* of all workers */
    uint64_t *gradients_per_worker; /* (worker_count) */
    uint64_t exchanges;             /* pairs that met and applied */
    uint64_t ticks;                 /* of all workers' clocks */
    uint64_t ticks_unserved;        /* still due when the run ended, or towards silent peers */
    uint64_t meetings_lost;         /* ticks whose invitation was lost (injected) */
    uint64_t payloads_damaged;      /* snapshots that came damaged, or no further for a while: asked for again */
    uint64_t payloads_repeated;     /* times that one was sent again */
    uint64_t *meetings;             /* (worker_count × worker_count): who met whom, symmetric; NULL for many workers */
    double *idle;                   /* (worker_count): share of the time that compute waited for others */
    double *data_wait;              /* (worker_count): share of the time that compute waited for data */
    double *samples_per_second;     /* (worker_count) */
    double consensus_distance;  /* (1/n) Σ ‖x_i − x̄‖² at the end of training: each x_i after its worker's last
                                     * gradient, advanced to then, before the exchanges that are still due */
    double consensus_predicted; /* the level that updates as large as the last lead to (graph/mixing.h) */
    double chi1_realised, chi2_realised; /* of the rates at which edges have met, the whole run. All three NAN where not
                                          * known: nobody meets in pairs */
    struct evaluation tested;            /* of the averaged model, statistics treated as batch_norm says */
    bool *died;       /* (worker_count); NULL: none has. What is said of these is what was known of them last */
    int first_living; /* the first worker that lives on, and so holds the averaged model: 0 unless workers have died */
    struct evaluation tested_own_statistics; /* of the averaged model with worker 0's statistics */
    const char *transport; /* the one used: "ipc", "cuda", "put", "sendrecv", "allreduce", …; static */
};

/* Train until all workers together have done gradient_total gradients, average, treat the batch-norm statistics,
 * test. On return the worker holds the averaged model. Every rank calls it. STATUS_MACHINE (logged): MPI failed, or a
 * wait ran out: the message names it, and the workers where they are known. STATUS_USAGE (logged): a gradient is not
 * finite, and on_nan says stop. STATUS_REQUEUE: asked to leave, and the state is kept. Else what the worker's verbs
 * return. */
enum status runtime_mpi_run(const struct runtime_params *params, struct job *job, struct worker *worker,
                            const struct observer *observer, struct runtime_result *out);
/* All zero (predictions: not known), arrays for so many workers. */
void runtime_result_init(struct runtime_result *result, size_t worker_count);
void runtime_result_release(struct runtime_result *result);

#endif
