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
};

/* STATUS_USAGE (logged, alike on every worker) when some worker would get no picture. `held_out` (may be NULL) receives
 * the validation pictures. A "shared" partition is the same for every worker: one may serve all. */
enum status partition_create(const struct partition_params *params, const struct dataset *set, struct partition *out,
                             struct partition *held_out);
void partition_release(struct partition *partition);

/* order (partition->count): the worker's pictures shuffled for one epoch, from (seed, RANDOM_ORDER, worker, epoch). */
void partition_shuffle(const struct partition *partition, uint64_t seed, int worker, uint64_t epoch, uint32_t *order);

#endif
