/* A copy of what a replica is at one moment: x, x̃, momentum, batch-norm statistics and the time of the last event. It
 * is taken under the runtime's lock while the replica goes on, and is then the copy's owner's alone.
 *
 * Pair events that belong before that moment, but come later, can still be applied to it: they take place at the copied
 * time. So a copy can be completed to a part of a consistent state of all workers. */
#ifndef GRAPEVINE_WORKER_REPLICA_COPY_H
#define GRAPEVINE_WORKER_REPLICA_COPY_H

#include "base/status.h"
#include "worker/worker.h"

struct replica_copy;

/* Its memory; the content is the worker's as it is now. `worker` is borrowed. */
enum status replica_copy_create(struct worker *worker, struct replica_copy **out);
void replica_copy_destroy(struct replica_copy *copy); /* NULL is fine */

/* The worker as it is now, statistics as worker_keep_statistics left them. Under the lock. */
void replica_copy_take(struct replica_copy *copy);
/* A pair event that belongs before it: snapshots of the worker's and of the peer's, device memory. */
void replica_copy_exchange(struct replica_copy *copy, const float *own, const float *peer);

/* "x", "x_tilde", "momentum" (parameter_size), "buffers" (buffer_size): device memory; NULL where there is none. */
float *replica_copy_vector(struct replica_copy *copy, const char *name);
/* Time of the algorithm's last event; NULL where it keeps none. */
double *replica_copy_time(struct replica_copy *copy);

#endif
