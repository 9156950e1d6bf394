/* Dropout: in training each element is zero with probability `rate`, else divided by 1 − rate. The mask is never
 * stored: forward and backward draw it from the same streams, named by the step's seed, the node and the element's
 * chunk. */
#include <string.h>

#include "base/random.h"
#include "device/cpu/cpu_net.h"

enum { ELEMENTS_PER_STREAM = 1024 };

static void drop_chunk(const struct net *net, const struct cpu_op *op, size_t first, size_t last, const float *in,
                       float *out)
{
    struct random_stream stream =
        random_stream(net->dropout_seed, RANDOM_DROPOUT, (uint32_t)op->index, first / ELEMENTS_PER_STREAM);
    double threshold = op->node->rate * 4294967296.0; /* of a word's 2³² values, this many drop */
    float scale = (float)(1.0 / (1.0 - op->node->rate));
    for (size_t i = first; i < last; i++)
        out[i] = random_u32(&stream) < threshold ? 0.0f : in[i] * scale;
}

static void drop(const struct net *net, const struct cpu_op *op, size_t count, const float *in, float *out)
{
#pragma omp parallel for schedule(static) num_threads(net->device->threads)
    for (size_t first = 0; first < count; first += ELEMENTS_PER_STREAM) {
        size_t last = count - first < ELEMENTS_PER_STREAM ? count : first + ELEMENTS_PER_STREAM;
        drop_chunk(net, op, first, last, in, out);
    }
}

static enum status dropout_create(struct net *net, struct cpu_op *op)
{
    const struct cpu_shape *in = &cpu_input(net, op)->shape;
    struct cpu_shape *out = &cpu_output(net, op)->shape;
    out->channels = in->channels;
    out->height = in->height;
    out->width = in->width;
    return cpu_output_like_input(net, op, cpu_may_overwrite_input(net, op));
}

static void dropout_plan_backward(struct net *net, struct cpu_op *op)
{
    op->d_input = cpu_net_contribute(net, op, cpu_input(net, op), cpu_output(net, op)->gradient[0]);
}

static enum status dropout_forward(struct net *net, struct cpu_op *op, enum net_mode mode)
{
    const struct cpu_value *out = cpu_output(net, op);
    const float *x = cpu_pointer(net, cpu_input(net, op)->data);
    float *y = cpu_pointer(net, out->data);
    size_t count = cpu_shape_count(&out->shape);
    if (mode == NET_TRAIN)
        drop(net, op, count, x, y);
    else if (x != y)
        memcpy(y, x, count * sizeof *y);
    return STATUS_OK;
}

static enum status dropout_backward(struct net *net, struct cpu_op *op)
{
    const struct cpu_value *out = cpu_output(net, op);
    if (op->d_input.buffer != NO_BUFFER)
        drop(net, op, cpu_shape_count(&out->shape), cpu_pointer(net, out->gradient[0]),
             cpu_pointer(net, op->d_input.buffer));
    return STATUS_OK;
}

const struct cpu_op_class cpu_dropout_class = {
    .name = "dropout",
    .create = dropout_create,
    .plan_backward = dropout_plan_backward,
    .forward = dropout_forward,
    .backward = dropout_backward,
};
