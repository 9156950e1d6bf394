/* Element-wise passes: ReLU forward and backward, and the sum of two gradient parts. They do not mind the layout. */
#include "device/cpu/cpu_net.h"
#include "kernels/clones.h"

enum { ELEMENTS_PER_ITEM = 8192 }; /* what one thread takes at a time */

static size_t item_end(size_t first, size_t count)
{
    return count - first < ELEMENTS_PER_ITEM ? count : first + ELEMENTS_PER_ITEM;
}

/* NaN passes, so that a diverged network is seen in its loss. */
KERNEL_CLONES
static void relu_forward_range(size_t first, size_t last, const float *x, float *y)
{
#pragma omp simd
    for (size_t i = first; i < last; i++)
        y[i] = x[i] < 0.0f ? 0.0f : x[i];
}

KERNEL_CLONES
static void relu_backward_range(size_t first, size_t last, const float *y, const float *d_y, float *d_x)
{
#pragma omp simd
    for (size_t i = first; i < last; i++)
        d_x[i] = y[i] > 0.0f ? d_y[i] : 0.0f;
}

KERNEL_CLONES
static void add_range(size_t first, size_t last, float *restrict sum, const float *restrict part)
{
#pragma omp simd
    for (size_t i = first; i < last; i++)
        sum[i] += part[i];
}

void cpu_relu_forward(const struct net *net, size_t count, const float *x, float *y)
{
#pragma omp parallel for schedule(static) num_threads(net->device->threads)
    for (size_t first = 0; first < count; first += ELEMENTS_PER_ITEM)
        relu_forward_range(first, item_end(first, count), x, y);
}

void cpu_relu_backward(const struct net *net, size_t count, const float *y, const float *d_y, float *d_x)
{
#pragma omp parallel for schedule(static) num_threads(net->device->threads)
    for (size_t first = 0; first < count; first += ELEMENTS_PER_ITEM)
        relu_backward_range(first, item_end(first, count), y, d_y, d_x);
}

void cpu_add(const struct net *net, size_t count, float *sum, const float *part)
{
#pragma omp parallel for schedule(static) num_threads(net->device->threads)
    for (size_t first = 0; first < count; first += ELEMENTS_PER_ITEM)
        add_range(first, item_end(first, count), sum, part);
}

static enum status relu_create(struct net *net, struct cpu_op *op)
{
    const struct cpu_shape *in = &cpu_input(net, op)->shape;
    struct cpu_shape *out = &cpu_output(net, op)->shape;
    out->channels = in->channels;
    out->height = in->height;
    out->width = in->width;
    return cpu_output_like_input(net, op, cpu_may_overwrite_input(net, op));
}

static void relu_plan_backward(struct net *net, struct cpu_op *op)
{
    op->d_input = cpu_net_contribute(net, op, cpu_input(net, op), cpu_output(net, op)->gradient[0]);
}

static enum status relu_forward(struct net *net, struct cpu_op *op, enum net_mode mode)
{
    (void)mode;
    const struct cpu_value *out = cpu_output(net, op);
    cpu_relu_forward(net, cpu_shape_count(&out->shape), cpu_pointer(net, cpu_input(net, op)->data),
                     cpu_pointer(net, out->data));
    return STATUS_OK;
}

static enum status relu_backward(struct net *net, struct cpu_op *op)
{
    const struct cpu_value *out = cpu_output(net, op);
    if (op->d_input.buffer != NO_BUFFER)
        cpu_relu_backward(net, cpu_shape_count(&out->shape), cpu_pointer(net, out->kept),
                          cpu_pointer(net, out->gradient[0]), cpu_pointer(net, op->d_input.buffer));
    return STATUS_OK;
}

const struct cpu_op_class cpu_relu_class = {
    .name = "relu",
    .reads_output = true,
    .create = relu_create,
    .plan_backward = relu_plan_backward,
    .forward = relu_forward,
    .backward = relu_backward,
};
