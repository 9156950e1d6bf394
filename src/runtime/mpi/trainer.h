/* The compute loop's own: what a worker's process is beside its worker. Private to mpi_runtime.c, mpi_result.c
 * and mpi_state.c. */
#ifndef GRAPEVINE_RUNTIME_MPI_TRAINER_H
#define GRAPEVINE_RUNTIME_MPI_TRAINER_H

#include "runtime/mpi/books.h"
#include "runtime/mpi/communicator.h"
#include "runtime/mpi/injection.h"
#include "runtime/mpi/reducer.h"
#include "runtime/mpi/soundness.h"
#include "runtime/mpi/state_cut.h"
#include "runtime/mpi/theory_report.h"
#include "runtime/runtime.h"

struct trainer {
    const struct runtime_params *params;
    struct job *job;
    struct worker *worker;
    const struct observer *observer;
    struct communicator *communicator; /* owned; NULL unless the algorithm meets one peer and there is one */
    struct reducer *reducer;           /* owned; NULL unless it meets everyone and there are others */
    struct theory_report *theory;      /* owned; NULL without a communicator */
    struct state_cut *cut;             /* owned; NULL where no states are kept at intervals */
    uint64_t cut_number;               /* of the last one, without a communicator, which else knows */
    double origin_s, begin_s;          /* of the run; of its training, as if it had been one process' */
    struct injection injection;
    double paused_s; /* in the present gradient */
    struct books books;
    struct soundness soundness;
    bool finite;       /* the losses that have been looked at since the last gradient event were */
    int run_ahead;     /* gradients whose results are not waited for */
    uint64_t resulted; /* gradients whose results are known */
    struct communicator_saved saved;
    float *last; /* owned, host memory: x after this worker's last gradient; NULL without a communicator, and before */
};

/* --- mpi_result.c --- */

/* trainer->last ← x, under the lock. */
void trainer_copy_x(struct trainer *trainer);
/* Collective: the figures of all ranks, into a result that is new. */
enum status trainer_gather(struct trainer *trainer, double training_s, struct runtime_result *out);

/* --- mpi_state.c --- */

/* The books as they are kept. */
struct books trainer_books(const struct trainer *trainer);
/* What has been counted is so from now on, for states at intervals: under the worker's lock, or taking it. */
void trainer_publish(struct trainer *trainer);
void trainer_publish_locked(struct trainer *trainer);
/* Make ready for states at intervals, from `gradients` of all workers on. Collective. */
enum status trainer_open_cut(struct trainer *trainer, uint64_t gradients);
/* Take up what was kept, after job_start and before the communication is opened. */
enum status trainer_take_up(struct trainer *trainer);
/* Keep what the worker is. Collective, when all threads but this one have ended. STATUS_REQUEUE: it is kept. */
enum status trainer_keep(struct trainer *trainer);
/* The same when all gradients are done, where states are kept at intervals: a longer run goes on from there. STATUS_OK:
 * it is kept, or whoever keeps it has said why not. */
enum status trainer_keep_last(struct trainer *trainer);

#endif
