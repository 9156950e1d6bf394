/* The communication thread of a worker whose algorithm meets one peer at a time.
 *
 * It draws the ticks of the worker's Poisson clocks, pairs (pairing.h), exchanges snapshots (transport.h, payload.h),
 * applies differences and spreads progress. It is the only thread inside MPI between communicator_start and the
 * return of communicator_finish. The compute thread and it share the worker's vectors under one lock, held only while
 * vector operations run, never across a transfer or a gradient; the worker's clock and the counts, each under a mutex
 * of its own; and a few atomics (communicator.c).
 *
 * Lock order: the worker's lock before the clock's mutex; no lock is held while waiting for a peer. */
#ifndef GRAPEVINE_RUNTIME_MPI_COMMUNICATOR_H
#define GRAPEVINE_RUNTIME_MPI_COMMUNICATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "runtime/mpi/communicator_saved.h"
#include "runtime/runtime.h"

struct communicator;
struct state_cut;

struct communicator_params {
    const struct runtime_params *run; /* borrowed */
    struct job *job;                  /* borrowed */
    struct worker *worker;            /* borrowed */
    const struct observer *observer;  /* borrowed */
    struct state_cut *cut;            /* borrowed; NULL: no states are kept at intervals */
    double origin_s;                  /* stopwatch time at which the run began */
};

/* Collective: opens the transport. */
enum status communicator_create(const struct communicator_params *params, struct communicator **out);
void communicator_destroy(struct communicator *communicator); /* collective */
enum status communicator_start(struct communicator *communicator);

/* By the compute thread. */
void communicator_lock(struct communicator *communicator); /* the worker's vectors */
void communicator_unlock(struct communicator *communicator);
void communicator_begin_step(struct communicator *communicator, double now_s);
void communicator_end_step(struct communicator *communicator, double now_s);
/* The worker's own time, for its gradient event. */
double communicator_time(struct communicator *communicator, double now_s);
/* A gradient was not finite: instead of averaging take over the model of the peer of the next meeting that begins. */
void communicator_rejoin(struct communicator *communicator);
/* Wait while more meetings are due than may be (enforce_rate). */
void communicator_wait_rate(struct communicator *communicator);
/* Gradients of all workers, as far as this one knows. */
uint64_t communicator_global_steps(struct communicator *communicator);
/* The run's gradients are done, or the communication thread has failed. */
bool communicator_stop(struct communicator *communicator);
struct communicator_counts communicator_counts(struct communicator *communicator);
/* What is known of each neighbor by now: out (degree), in the order of graph_neighbors. */
struct communicator_neighbor {
    uint64_t meetings;  /* of the two */
    uint64_t gradients; /* that it has done, by its latest word */
};
void communicator_neighbors(struct communicator *communicator, struct communicator_neighbor *out);
/* How many workers have died, as far as is known by now, and which: dead (worker_count), may be NULL. */
int communicator_deaths(struct communicator *communicator, bool *dead);

/* The run has failed: end the thread where it stands, so that nothing is polled while MPI is torn down. */
void communicator_halt(struct communicator *communicator);
/* No more gradients here: serve the others until all are done and every meeting is over, then end the thread.
 * STATUS_MACHINE (logged, with the workers that were waited for) when there was no progress for
 * job->limit_s, or MPI failed. */
enum status communicator_finish(struct communicator *communicator);

/* What it is beside the vectors. By the communication thread, or after finish. */
void communicator_save(struct communicator *communicator, struct communicator_saved *saved);
/* Before start. */
void communicator_resume(struct communicator *communicator, const struct communicator_saved *saved);
/* After finish: somebody was asked to leave, and the run's gradients are not done. The same on every rank. */
bool communicator_left(const struct communicator *communicator);

/* After finish, where somebody has died: what all that are left know of everybody's gradients is the same from now on.
 * Collective: a step of job_survive. */
enum status communicator_share_progress(struct communicator *communicator);
/* After finish: gradients of a worker, as far as is known. */
uint64_t communicator_gradients(const struct communicator *communicator, int worker);

/* After finish: meetings with each worker (worker_count), borrowed. */
const uint64_t *communicator_meetings(const struct communicator *communicator);
const char *communicator_transport_name(const struct communicator *communicator);

#endif
