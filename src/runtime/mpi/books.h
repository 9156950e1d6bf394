/* What a real worker's process knows by numbers: what the compute loop counts, as it is between two gradients, and how
 * it is laid out in a kept state beside what the communicator has saved. */
#ifndef GRAPEVINE_RUNTIME_MPI_BOOKS_H
#define GRAPEVINE_RUNTIME_MPI_BOOKS_H

#include <stdint.h>

#include "runtime/mpi/communicator_saved.h"
#include "runtime/run_state.h"

/* Sums since the last step report. */
struct since_report {
    double begin_s; /* when it was; in books that are kept, how long ago */
    double loss, idle_s, load_s, distance_sum;
    uint64_t steps, correct, exchanges;
};

struct books {
    uint64_t steps;                          /* gradients applied */
    double update_progress;                  /* of the run, as the last update had it */
    double idle_s, load_s;                   /* of the whole run */
    double before_s;                         /* the clock of the run where this process took it up, or, kept, now */
    double next_evaluation, next_checkpoint; /* epochs */
    double best_accuracy;
    struct since_report since;
};

/* Keep or take up (run_state.h). The number of gradients is the first: whoever takes up makes the worker with it.
 * `time`: of the algorithm's last event; NULL where it keeps none. */
void books_walk(struct run_state_walk *walk, struct books *books, double *time, struct communicator_saved *saved);

#endif
