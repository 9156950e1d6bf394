/* Digests of a worker's vectors: what a replay must get again, bit for bit. */
#ifndef GRAPEVINE_APP_REPLICA_DIGEST_H
#define GRAPEVINE_APP_REPLICA_DIGEST_H

#include <stdint.h>

#include "worker/worker.h"

enum replica_vector { REPLICA_X, REPLICA_X_TILDE, REPLICA_MOMENTUM, REPLICA_BUFFERS, REPLICA_VECTORS };

/* Of each vector, 0 where the algorithm or the network has none. */
struct replica_digest {
    uint64_t of[REPLICA_VECTORS];
};

/* "x", "x_tilde", "momentum", "buffers". */
const char *replica_vector_name(enum replica_vector vector);

/* By a thread that may read the worker's vectors. */
struct replica_digest replica_digest_of(struct worker *worker);

#endif
