/* The minimiser of a convex model: which pictures count how much, and the choice among the kinds of problem. */
#include "worker/optimum.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "worker/convex.h"

static const struct convex_ops *const kinds[] = {&convex_quadratic_ops, &convex_linear_ops, &convex_logistic_ops};

static const struct convex_ops *find(const struct net_spec *spec)
{
    if (spec->label_smoothing > 0) /* another objective than the one that is minimised here */
        return NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i]->fits(spec))
            return kinds[i];
    return NULL;
}

bool optimum_known(const struct net_spec *spec)
{
    return find(spec) != NULL;
}

/* indices and weights (setup->count): the workers' pictures, one worker after the other. */
static void gather(const struct optimum_params *params, uint32_t *indices, double *weights)
{
    size_t at = 0;
    for (int i = 0; i < params->partition_count; i++) {
        const struct partition *partition = &params->partitions[i];
        for (size_t k = 0; k < partition->count; k++, at++) {
            indices[at] = partition->indices[k];
            weights[at] = 1.0 / ((double)params->partition_count * (double)partition->count);
        }
    }
}

static enum status solve(const struct convex_setup *setup, struct optimum *optimum)
{
    TRY(optimum->ops->solve(setup, optimum->exact, &optimum->value, &optimum->problem));
    for (size_t k = 0; k < optimum->count; k++)
        optimum->x[k] = (float)optimum->exact[k];
    return STATUS_OK;
}

struct optimum_need optimum_plan(const struct net_spec *spec, size_t count)
{
    const struct convex_ops *ops = find(spec);
    struct optimum_need need = {0};
    if (ops == NULL)
        return need;
    need = ops->need(spec, (double)count);
    need.kept += (double)spec->parameter_size * (sizeof(float) + sizeof(double));
    need.solving += (double)count * (sizeof(uint32_t) + sizeof(double));
    return need;
}

enum status optimum_create(const struct optimum_params *params, struct optimum **out)
{
    const struct convex_ops *ops = find(params->spec);
    *out = NULL;
    if (ops == NULL)
        return STATUS_OK;
    struct convex_setup setup = {
        .spec = params->spec,
        .set = params->train,
        .decay = params->weight_decay,
        .decayed = params->decay_norm_and_bias ? params->spec->parameter_size : params->spec->decayed_size,
        .threads = params->threads,
    };
    for (int i = 0; i < params->partition_count; i++)
        setup.count += params->partitions[i].count;
    assert(setup.count > 0 && params->threads >= 1);
    uint32_t *indices = memory_zalloc(setup.count, sizeof *indices);
    double *weights = memory_zalloc(setup.count, sizeof *weights);
    gather(params, indices, weights);
    setup.indices = indices;
    setup.weights = weights;
    struct optimum *optimum = memory_zalloc(1, sizeof *optimum);
    optimum->count = params->spec->parameter_size;
    optimum->x = memory_zalloc(optimum->count, sizeof *optimum->x);
    optimum->exact = memory_zalloc(optimum->count, sizeof *optimum->exact);
    optimum->ops = ops;
    enum status status = solve(&setup, optimum);
    free(indices);
    free(weights);
    if (status != STATUS_OK)
        optimum_destroy(optimum);
    else
        *out = optimum;
    return status;
}

void optimum_destroy(struct optimum *optimum)
{
    if (optimum == NULL)
        return;
    optimum->ops->destroy(optimum->problem);
    free(optimum->x);
    free(optimum->exact);
    free(optimum);
}

double optimum_distance(const struct optimum *optimum, const float *x)
{
    double sum = 0;
    for (size_t k = 0; k < optimum->count; k++)
        sum += (x[k] - optimum->exact[k]) * (x[k] - optimum->exact[k]);
    return sum;
}

double optimum_gap(const struct optimum *optimum, const float *x)
{
    return optimum->ops->gap(optimum, x);
}
