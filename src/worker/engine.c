/* What workers borrow to compute: made once, whoever uses it. */
#include "worker/engine_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "nn/model.h"

enum status engine_vector(const struct engine_params *params, size_t count, const float *initial, float **out)
{
    TRY(params->ops->vector_alloc(params->device, count > 0 ? count : 1, out));
    if (initial != NULL && count > 0)
        params->ops->vector_write(params->device, *out, count, initial);
    return STATUS_OK;
}

static size_t picture_size(const struct net_spec *spec)
{
    return (size_t)spec->channels * (size_t)spec->height * (size_t)spec->width;
}

static enum status create_parts(struct engine *engine)
{
    const struct engine_params *p = &engine->params;
    TRY(engine_vector(p, p->spec->parameter_size, NULL, &engine->gradient));
    TRY(engine_vector(p, p->spec->buffer_size, NULL, &engine->buffers));
    TRY(p->ops->net_create(p->device, p->spec, p->batch, engine->gradient, engine->buffers, &engine->test_net));
    engine->net = engine->test_net;
    engine->size = p->spec->height;
    evaluator_init(&engine->evaluator, p->ops, p->spec, p->batch, p->data_threads);
    if (!p->shared)
        return STATUS_OK;
    if (p->picks)
        engine->picks = memory_zalloc(p->batch, sizeof engine->picks[0]);
    else
        engine->images = memory_alloc_aligned_for(p->batch * picture_size(p->spec) * sizeof engine->images[0],
                                                  "images of train.batch=%zu", p->batch);
    engine->labels = memory_zalloc(p->batch, sizeof engine->labels[0]);
    return engine_vector(p, p->spec->parameter_size, NULL, &engine->point);
}

enum status engine_create(const struct engine_params *params, struct engine **out)
{
    struct engine *engine = memory_zalloc(1, sizeof *engine);
    engine->params = *params;
    enum status status = create_parts(engine);
    if (status == STATUS_OK)
        *out = engine;
    else
        engine_destroy(engine);
    return status;
}

void engine_destroy(struct engine *engine)
{
    if (engine == NULL)
        return;
    const struct engine_params *p = &engine->params;
    evaluator_release(&engine->evaluator);
    free(engine->labels);
    free(engine->picks);
    memory_free_aligned(engine->images);
    p->ops->net_destroy(engine->spare);
    if (engine->net != engine->test_net)
        p->ops->net_destroy(engine->net);
    p->ops->net_destroy(engine->test_net);
    p->ops->vector_free(p->device, engine->buffers);
    p->ops->vector_free(p->device, engine->point);
    p->ops->vector_free(p->device, engine->gradient);
    free(engine);
}

/* --- planning --- */

/* A network for pictures of `size` rows. */
static enum status plan_net(const struct engine_params *p, int size, double *bytes)
{
    struct net_spec *spec;
    size_t one = 0;
    TRY(p->spec_of_size(p->spec_context, size, &spec));
    enum status status = p->ops->net_plan(p->device, spec, p->batch, &one);
    model_destroy(spec);
    *bytes += (double)one;
    return status;
}

/* Beside the tests' network there is one for smaller pictures; with a shared engine a spare one too. */
static enum status plan_smaller_nets(const struct engine_params *p, const struct picture_sizes *sizes, double *bytes)
{
    int steps = (sizes->last - sizes->first - 1) / PICTURE_SIZE_STEP, nets = p->shared ? 2 : 1;
    if (sizes->first == sizes->last)
        return STATUS_OK;
    for (int k = 0; k < nets && k <= steps; k++)
        TRY(plan_net(p, sizes->first + (steps - k) * PICTURE_SIZE_STEP, bytes));
    return STATUS_OK;
}

enum status engine_plan(const struct engine_params *p, const struct picture_sizes *sizes, struct memory_need *out)
{
    double copies = p->shared ? 2 : 1; /* of a batch, and of the length of x */
    double images = (double)memory_aligned_bytes(p->batch * picture_size(p->spec) * sizeof(float));
    double x = (double)memory_aligned_bytes(p->spec->parameter_size * sizeof(float));
    double picks = (double)p->batch * sizeof(struct picture_pick), labels = (double)p->batch * sizeof(int32_t);
    size_t net = 0;
    TRY(p->ops->net_plan(p->device, p->spec, p->batch, &net));
    *out = (struct memory_need){
        .device = copies * x + (double)p->spec->buffer_size * sizeof(float) + (double)net,
        .host = images + copies * labels + (double)p->batch * (sizeof(double) + 1), /* of losses and places */
    };
    if (p->shared)
        out->host += p->picks ? picks : images;
    if (!p->ops->host_memory)
        out->device += 2 * images; /* on their way to the device: for tests, where training has picks */
    return plan_smaller_nets(p, sizes, &out->device);
}

/* --- training pictures of another size --- */

enum status engine_result(struct engine *engine, int age, struct net_result *result)
{
    if ((uint64_t)age < engine->passes)
        return engine->params.ops->net_result(engine->net, age, result);
    uint64_t earlier = (uint64_t)age - engine->passes;
    assert(earlier < (uint64_t)engine->earlier_count);
    *result = engine->earlier[earlier];
    return STATUS_OK;
}

/* The network is about to go: what its last passes have brought stays. */
static enum status keep_results(struct engine *engine)
{
    struct net_result kept[NET_RESULTS];
    int count = 0;
    for (; count < NET_RESULTS && (uint64_t)count < engine->passes + (uint64_t)engine->earlier_count; count++)
        TRY(engine_result(engine, count, &kept[count]));
    memcpy(engine->earlier, kept, (size_t)count * sizeof kept[0]);
    engine->earlier_count = count;
    engine->passes = 0;
    return STATUS_OK;
}

static enum status create_net(const struct engine *engine, int size, struct net **out)
{
    const struct engine_params *p = &engine->params;
    struct net_spec *spec;
    assert(p->spec_of_size != NULL && !p->picks);
    TRY(p->spec_of_size(p->spec_context, size, &spec));
    assert(spec->parameter_size == p->spec->parameter_size && spec->buffer_size == p->spec->buffer_size);
    enum status status = p->ops->net_create(p->device, spec, p->batch, engine->gradient, engine->buffers, out);
    model_destroy(spec);
    return status;
}

/* `net` is the tests' again. */
static void put_net_away(struct engine *engine)
{
    const struct device_ops *ops = engine->params.ops;
    if (engine->net == engine->test_net)
        return;
    if (engine->params.shared) {
        ops->net_destroy(engine->spare);
        engine->spare = engine->net;
        engine->spare_size = engine->size;
    } else {
        ops->net_destroy(engine->net);
    }
    engine->net = engine->test_net;
    engine->size = engine->params.spec->height;
}

/* The spare one, if that is what is wanted; it is then none any more. */
static struct net *take_spare(struct engine *engine, int size)
{
    struct net *spare = engine->spare;
    if (spare == NULL || engine->spare_size != size)
        return NULL;
    engine->spare = NULL;
    return spare;
}

enum status engine_fit(struct engine *engine, int size)
{
    if (size == engine->size)
        return STATUS_OK;
    assert(size <= engine->params.spec->height); /* for which there is memory */
    TRY(keep_results(engine));
    struct net *net = take_spare(engine, size);
    put_net_away(engine);
    engine->stale = true;
    engine->owner = NULL;
    if (size == engine->size)
        return STATUS_OK;
    if (net == NULL)
        TRY(create_net(engine, size, &net));
    engine->net = net;
    engine->size = size;
    return STATUS_OK;
}
