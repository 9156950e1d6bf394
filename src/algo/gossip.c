/* The asynchronous baseline: AD-PSGD with Poisson clocks (Lian et al. 2018): A²CiD² with η = 0 and α̃ = α, where x̃
 * would always equal x and is not kept. With α = ½ a meeting replaces both models by their mean; nothing happens
 * between. */
#include <stdlib.h>

#include "algo/replica.h"
#include "base/memory.h"

struct algo {
    struct replica replica;
};

static void gossip_destroy(struct algo *algo)
{
    if (algo == NULL)
        return;
    replica_release(&algo->replica);
    free(algo);
}

static enum status gossip_create(const struct algo_params *params, struct algo **out)
{
    struct algo *algo = memory_zalloc(1, sizeof *algo);
    enum status status = replica_init(&algo->replica, params);
    if (status == STATUS_OK)
        *out = algo;
    else
        gossip_destroy(algo);
    return status;
}

static bool gossip_on_update(struct algo *algo, double t, const struct update *update)
{
    (void)t;
    return replica_update(&algo->replica, 0, NULL, update);
}

static void gossip_on_pair(struct algo *algo, double t, bool shared, const struct pair *pair)
{
    (void)t;
    const struct algo_params *p = &algo->replica.params;
    struct pair_coefficients c = {.mix = 0, .alpha = p->alpha, .alpha_tilde = p->alpha};
    p->ops->pair(p->device, shared, &c, p->count, p->x, NULL, pair->own, pair->peer);
}

static void gossip_snapshot(struct algo *algo, double t, bool shared, size_t first, size_t count, float *out)
{
    (void)t;
    replica_copy(&algo->replica, shared, first, count, out);
}

static float *gossip_vector(struct algo *algo, const char *name)
{
    return replica_vector(&algo->replica, name);
}

static void gossip_reset(struct algo *algo, double t)
{
    (void)algo;
    (void)t; /* x is the whole state that a meeting changes */
}

static void gossip_retune(struct algo *algo, double t, const struct dynamic *dynamic)
{
    (void)t;
    algo->replica.params.alpha = dynamic->alpha;
}

const struct algo_ops gossip_ops = {
    .name = "gossip",
    .meets = ALGO_MEETS_ONE,
    .has_momentum_vector = false,
    .create = gossip_create,
    .destroy = gossip_destroy,
    .on_update = gossip_on_update,
    .on_pair = gossip_on_pair,
    .snapshot = gossip_snapshot,
    .vector = gossip_vector,
    .reset = gossip_reset,
    .retune = gossip_retune,
};
