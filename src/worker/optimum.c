/* The minimiser of a convex model: which pictures count how much, and the choice among the kinds of problem. */
#include "worker/optimum.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "worker/convex.h"
#include "worker/optimum_cache.h"

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

/* Model, decay and every picture that counts, as it is read here, in order. */
static enum status digest(const struct convex_setup *setup, uint64_t *out)
{
    const struct net_spec *spec = setup->spec;
    const struct dataset *set = setup->set;
    size_t floats = (size_t)set->channels * (size_t)set->height * (size_t)set->width;
    const double numbers[] = {(double)spec->loss, (double)spec->class_count, (double)spec->parameter_size,
                              setup->decay,       (double)setup->decayed,    (double)setup->count};
    float *picture = memory_zalloc(floats, sizeof *picture);
    enum status status = STATUS_OK;
    uint64_t key = digest_bytes(0, spec->name, strlen(spec->name));
    key = digest_bytes(key, numbers, sizeof numbers);
    for (size_t n = 0; n < setup->count && status == STATUS_OK; n++) {
        size_t index = setup->indices[n];
        status = set->ops->fetch(set, index, NULL, picture);
        key = digest_bytes(key, picture, floats * sizeof *picture);
        key = digest_bytes(key, &set->labels[index], sizeof set->labels[index]);
        key = digest_bytes(key, &setup->weights[n], sizeof setup->weights[n]);
    }
    free(picture);
    *out = key;
    return status;
}

void convex_progress(const struct convex_setup *setup, double gradient, double pictures)
{
    const struct optimum_progress progress = {.gradient = gradient, .pictures = pictures};
    if (setup->params->progress != NULL)
        setup->params->progress(setup->params->context, &progress);
}

/* From the cache, if what it has is good; *found says so. */
static enum status recall(const struct convex_setup *setup, const char *path, uint64_t key, struct optimum *optimum,
                          bool *found)
{
    size_t count = optimum->ops->remembered(setup->spec);
    double *numbers = optimum_cache_read(path, key, count);
    *found = false;
    if (numbers == NULL)
        return STATUS_OK;
    enum status status =
        optimum->ops->recall(setup, numbers, optimum->exact, &optimum->value, &optimum->problem, found);
    free(numbers);
    if (status == STATUS_OK && *found)
        log_info("the minimiser of model %s is known from an earlier run: %s", setup->spec->name, path);
    else if (status == STATUS_OK)
        log_debug("%s: its point is no minimiser; it is found anew", path);
    return status;
}

static void remember(const struct convex_setup *setup, const char *path, uint64_t key, const struct optimum *optimum)
{
    size_t count = optimum->ops->remembered(setup->spec);
    double *numbers = memory_zalloc(count, sizeof *numbers);
    optimum->ops->remember(optimum->problem, numbers);
    optimum_cache_write(path, key, numbers, count);
    free(numbers);
}

static enum status find_or_solve(const struct convex_setup *setup, struct optimum *optimum)
{
    const char *folder = optimum->ops->recall != NULL ? setup->params->cache : NULL;
    uint64_t key = 0;
    bool found = false;
    enum status status;
    if (folder == NULL)
        return optimum->ops->solve(setup, optimum->exact, &optimum->value, &optimum->problem);
    TRY(digest(setup, &key));
    char *path = text_format("%s/%s-%016" PRIx64 ".optimum", folder, setup->spec->name, key);
    TRY_GOTO(recall(setup, path, key, optimum, &found), free_path);
    if (found)
        goto free_path;
    TRY_GOTO(optimum->ops->solve(setup, optimum->exact, &optimum->value, &optimum->problem), free_path);
    remember(setup, path, key, optimum);
free_path:
    free(path);
    return status;
}

static enum status solve(const struct convex_setup *setup, struct optimum *optimum)
{
    TRY(find_or_solve(setup, optimum));
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

/* Which pictures count, with their weights: owned by the setup. */
static struct convex_setup setup_of(const struct optimum_params *params)
{
    struct convex_setup setup = {
        .spec = params->spec,
        .set = params->train,
        .decay = params->weight_decay,
        .decayed = params->decay_norm_and_bias ? params->spec->parameter_size : params->spec->decayed_size,
        .threads = params->threads,
        .params = params,
    };
    for (int i = 0; i < params->partition_count; i++)
        setup.count += params->partitions[i].count;
    assert(setup.count > 0 && params->threads >= 1);
    uint32_t *indices = memory_zalloc(setup.count, sizeof *indices);
    double *weights = memory_zalloc(setup.count, sizeof *weights);
    gather(params, indices, weights);
    setup.indices = indices;
    setup.weights = weights;
    return setup;
}

static void setup_release(struct convex_setup *setup)
{
    free((void *)setup->indices);
    free((void *)setup->weights);
}

enum status optimum_create(const struct optimum_params *params, struct optimum **out)
{
    const struct convex_ops *ops = find(params->spec);
    *out = NULL;
    if (ops == NULL)
        return STATUS_OK;
    struct convex_setup setup = setup_of(params);
    struct optimum *optimum = memory_zalloc(1, sizeof *optimum);
    optimum->count = params->spec->parameter_size;
    optimum->x = memory_zalloc(optimum->count, sizeof *optimum->x);
    optimum->exact = memory_zalloc(optimum->count, sizeof *optimum->exact);
    optimum->ops = ops;
    enum status status = solve(&setup, optimum);
    setup_release(&setup);
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
