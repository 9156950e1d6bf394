/* The gradient event of SGD on one replica, common to the algorithms. */
#include "algo/replica.h"

#include <assert.h>
#include <string.h>

enum status replica_init(struct replica *replica, const struct algo_params *params)
{
    assert(params->decayed <= params->count);
    *replica = (struct replica){.params = *params};
    if (params->optimizer.decay_norm_and_bias)
        replica->params.decayed = params->count;
    return params->ops->vector_alloc(params->device, params->count, &replica->momentum);
}

void replica_release(struct replica *replica)
{
    const struct algo_params *p = &replica->params;
    p->ops->vector_free(p->device, replica->momentum);
    replica->momentum = NULL;
}

bool replica_update(struct replica *replica, double mix, float *x_tilde, const struct update *update)
{
    const struct algo_params *p = &replica->params;
    struct update_coefficients c = optimizer_coefficients(&p->optimizer, update->learning_rate, mix);
    return p->ops->update(p->device, true, &c, p->count, p->decayed, p->x, x_tilde, replica->momentum, update->gradient,
                          update->net);
}

void replica_copy(const struct replica *replica, bool shared, size_t first, size_t count, float *out)
{
    const struct algo_params *p = &replica->params;
    p->ops->snapshot(p->device, shared, 0, count, p->x + first, NULL, out);
}

float *replica_vector(const struct replica *replica, const char *name)
{
    return strcmp(name, "momentum") == 0 ? replica->momentum : NULL;
}
