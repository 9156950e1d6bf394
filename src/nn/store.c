/* Initial values, drawn in the order of each tensor's elements: a parameter's values depend on the seed, its index
 * and its own shape, never on the other parameters. */
#include "nn/store.h"

#include <assert.h>
#include <math.h>

#include "base/random.h"

static void fill(float *values, size_t count, float value)
{
    for (size_t i = 0; i < count; i++)
        values[i] = value;
}

static void fill_normal(struct random_stream *stream, float *values, size_t count, double deviation)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(deviation * random_normal(stream));
}

/* Uniform in [−bound, bound). */
static void fill_uniform(struct random_stream *stream, float *values, size_t count, double bound)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(bound * (2 * random_uniform(stream) - 1));
}

static void init_tensor(const struct net_tensor *tensor, struct random_stream *stream, float *values)
{
    switch (tensor->init) {
    case NET_INIT_ZERO:
        fill(values, tensor->count, 0);
        break;
    case NET_INIT_ONE:
        fill(values, tensor->count, 1);
        break;
    case NET_INIT_KAIMING_NORMAL_FAN_OUT:
        assert(tensor->fan > 0);
        fill_normal(stream, values, tensor->count, sqrt(2.0 / (double)tensor->fan));
        break;
    case NET_INIT_UNIFORM_FAN_IN:
        assert(tensor->fan > 0);
        fill_uniform(stream, values, tensor->count, 1 / sqrt((double)tensor->fan));
        break;
    case NET_INIT_NORMAL_001:
        fill_normal(stream, values, tensor->count, 0.01);
        break;
    }
}

void store_init_parameters(const struct net_spec *spec, uint64_t seed, float *x)
{
    for (int i = 0; i < spec->parameter_count; i++) {
        struct random_stream stream = random_stream(seed, RANDOM_INIT, 0, (uint64_t)i);
        init_tensor(&spec->parameters[i], &stream, x + spec->parameters[i].offset);
    }
}

void store_init_buffers(const struct net_spec *spec, float *buffers)
{
    for (int i = 0; i < spec->buffer_count; i++) {
        const struct net_tensor *tensor = &spec->buffers[i];
        assert(tensor->init == NET_INIT_ZERO || tensor->init == NET_INIT_ONE);
        fill(buffers + tensor->offset, tensor->count, tensor->init == NET_INIT_ONE ? 1 : 0);
    }
}
