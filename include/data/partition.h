/* Which pictures a worker sees, and in which order: functions of (seed, epoch, worker) alone. */
#ifndef GRAPEVINE_DATA_PARTITION_H
#define GRAPEVINE_DATA_PARTITION_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "data/dataset.h"

struct partition_params {
    const char *name; /* "shared": all see all; "iid": disjoint shards of equal size, to within one;
                         * "dirichlet": shares of every class drawn from Dirichlet(α) */
    double alpha;     /* of dirichlet, > 0 */
    int worker, worker_count;
    double validation; /* share of the training pictures kept back for validation, the same for all, in [0, 1) */
    uint64_t seed;
};

/* One worker's pictures. */
struct partition {
    uint32_t *indices; /* owned, (count): ascending */
    size_t count;
    /* Of a set that lies in blocks: those that the worker has pictures of, else NULL and 0. */
    uint32_t
        *block_ends; /* owned (block_count): block b has indices[block_ends[b − 1]] to indices[block_ends[b] − 1] */
    size_t block_count, pool;
};

/* STATUS_USAGE (logged, alike on every worker) when some worker would get no picture. `held_out` (may be NULL) receives
 * the validation pictures. A "shared" partition is the same for every worker: one may serve all. */
enum status partition_create(const struct partition_params *params, const struct dataset *set, struct partition *out,
                             struct partition *held_out);
void partition_release(struct partition *partition);

/* order (partition->count): the worker's pictures shuffled for one epoch, from (seed, RANDOM_ORDER, worker, epoch).
 * Evenly; or, where the set lies in blocks, the blocks are, and then the pictures of `pool` blocks at a time among each
 * other: each block is read once, and no more than a pool of them is in use at once. */
void partition_shuffle(const struct partition *partition, uint64_t seed, int worker, uint64_t epoch, uint32_t *order);

#endif
