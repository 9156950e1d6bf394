/* All-reduce SGD, the synchronous baseline: the runtime averages the gradients of all workers, and every worker applies
 * the same update to the same x. One worker: plain SGD. */
#include <stdlib.h>

#include "algo/replica.h"
#include "base/memory.h"

struct algo {
    struct replica replica;
};

static void allreduce_destroy(struct algo *algo)
{
    if (algo == NULL)
        return;
    replica_release(&algo->replica);
    free(algo);
}

static enum status allreduce_create(const struct algo_params *params, struct algo **out)
{
    struct algo *algo = memory_zalloc(1, sizeof *algo);
    enum status status = replica_init(&algo->replica, params);
    if (status == STATUS_OK)
        *out = algo;
    else
        allreduce_destroy(algo);
    return status;
}

static bool allreduce_on_update(struct algo *algo, double t, const struct update *update)
{
    (void)t;
    return replica_update(&algo->replica, 0, NULL, update);
}

static void allreduce_snapshot(struct algo *algo, double t, bool shared, size_t first, size_t count, float *out)
{
    (void)t;
    replica_copy(&algo->replica, shared, first, count, out);
}

static float *allreduce_vector(struct algo *algo, const char *name)
{
    return replica_vector(&algo->replica, name);
}

static void allreduce_reset(struct algo *algo, double t)
{
    (void)algo;
    (void)t; /* x is the whole state */
}

const struct algo_ops allreduce_ops = {
    .name = "allreduce",
    .meets = ALGO_MEETS_EVERYONE,
    .has_momentum_vector = false,
    .create = allreduce_create,
    .destroy = allreduce_destroy,
    .on_update = allreduce_on_update,
    .on_pair = NULL,
    .snapshot = allreduce_snapshot,
    .vector = allreduce_vector,
    .reset = allreduce_reset,
};
