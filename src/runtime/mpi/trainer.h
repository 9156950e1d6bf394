/* The compute loop's own: what a worker's process is beside its worker. Private to mpi_runtime.c and mpi_state.c. */
#ifndef GRAPEVINE_RUNTIME_MPI_TRAINER_H
#define GRAPEVINE_RUNTIME_MPI_TRAINER_H

#include "runtime/mpi/communicator.h"
#include "runtime/mpi/injection.h"
#include "runtime/mpi/reducer.h"
#include "runtime/mpi/theory_report.h"
#include "runtime/runtime.h"

/* Sums since the last step report. */
struct since_report {
    double begin_s, loss, idle_s, load_s, distance_sum;
    uint64_t steps, correct, exchanges;
};

struct trainer {
    const struct runtime_params *params;
    struct job *job;
    struct worker *worker;
    const struct observer *observer;
    struct communicator *communicator; /* owned; NULL unless the algorithm meets one peer and there is one */
    struct reducer *reducer;           /* owned; NULL unless it meets everyone and there are others */
    struct theory_report *theory;      /* owned; NULL without a communicator */
    double origin_s;
    struct injection injection;
    double paused_s; /* in the present gradient */
    uint64_t steps;
    double update_progress;                  /* of the run, as the last update had it */
    double idle_s, load_s;                   /* of the whole run */
    double next_evaluation, next_checkpoint; /* epochs */
    double best_accuracy;
    int run_ahead;     /* gradients whose results are not waited for */
    uint64_t resulted; /* gradients whose results are known */
    struct since_report since;
    double before_s; /* training time of the processes before this one */
    struct communicator_saved saved;
    float *buffers; /* owned (buffer_size): before the gradient under way, where it may be broken off; else NULL */
};

/* --- mpi_state.c --- */

/* Take up what was kept: before the communication is opened. `now_s`: stopwatch. */
enum status trainer_take_up(struct trainer *trainer);
/* Keep what the worker is. Collective, when all threads but this one have ended. STATUS_REQUEUE: it is kept. */
enum status trainer_keep(struct trainer *trainer);

#endif
