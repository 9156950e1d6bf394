/* What workers borrow to compute: made once, whoever uses it. */
#include "worker/engine_parts.h"

#include <stdlib.h>

#include "base/memory.h"

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
    TRY(p->ops->net_create(p->device, p->spec, p->batch, engine->gradient, engine->buffers, &engine->net));
    evaluator_init(&engine->evaluator, p->ops, p->spec, p->batch);
    if (!p->shared)
        return STATUS_OK;
    if (p->picks)
        engine->picks = memory_zalloc(p->batch, sizeof engine->picks[0]);
    else
        engine->images = memory_alloc_aligned(p->batch * picture_size(p->spec) * sizeof engine->images[0]);
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
    if (engine->net != NULL)
        p->ops->net_destroy(engine->net);
    p->ops->vector_free(p->device, engine->buffers);
    p->ops->vector_free(p->device, engine->point);
    p->ops->vector_free(p->device, engine->gradient);
    free(engine);
}

size_t engine_bytes(const struct engine *engine)
{
    const struct engine_params *p = &engine->params;
    size_t copies = p->shared ? 2 : 1; /* of a batch, and of the length of x */
    size_t floats = copies * (p->spec->parameter_size + p->batch * (picture_size(p->spec) + 1)) + p->spec->buffer_size;
    return floats * sizeof(float) + p->ops->net_bytes(engine->net);
}
