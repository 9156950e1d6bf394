/* This worker's part of a consistent state of all, recorded while training goes on, and handed to whoever keeps it by a
 * thread of its own.
 *
 *     publish … publish, take, (exchange …), complete, publish …
 *
 * The compute thread publishes its books whenever they agree with the vectors. At a cut the vectors and the books of
 * that moment are copied: that is all that anybody waits for. Meetings that are before the cut but come later are
 * applied to the copy (pairing.h says which), and when there are no more it is complete, and written behind the run's
 * back. There is one copy: while it is being written, further cuts are left out.
 *
 * Cuts are numbered: number e is due once all workers together have done e periods. So everybody knows which one is
 * due, and whoever does not yet is told by its neighbors' words. */
#ifndef GRAPEVINE_RUNTIME_MPI_STATE_CUT_H
#define GRAPEVINE_RUNTIME_MPI_STATE_CUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "runtime/mpi/books.h"
#include "runtime/runtime.h"
#include "worker/worker.h"

struct state_cut;

/* Allocates the copy. *out is NULL where the run keeps no states at intervals. */
enum status state_cut_create(const struct runtime_params *run, struct worker *worker, struct state_cut **out);
/* What is complete is written first. NULL is fine. */
void state_cut_destroy(struct state_cut *cut);
/* Wait until nothing is being written. */
void state_cut_settle(struct state_cut *cut);

/* The number of the last cut that is due after so many gradients of all; 0: none. */
uint64_t state_cut_due(const struct state_cut *cut, uint64_t gradients);

/* The books agree with the vectors from now on. By the compute thread, under the worker's lock. */
void state_cut_publish(struct state_cut *cut, const struct books *books);
/* Record the worker as it is. False: the one before is still being written (logged), this cut is left out. By the
 * thread that owns MPI, under the worker's lock, as are the two that follow, without it. */
bool state_cut_take(struct state_cut *cut, uint64_t number);
/* A pair event that is before the cut: snapshots in device memory. */
void state_cut_exchange(struct state_cut *cut, const float *own, const float *peer);
/* Nothing is missing any more: begin to write it, with what the communicator was (all zero where there is none). */
void state_cut_complete(struct state_cut *cut, const struct communicator_saved *saved);

#endif
