/* Max pooling and adaptive average pooling, in the layout of their input. */
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device/cpu/cpu_net.h"
#include "kernels/clones.h"

enum { LARGEST_KERNEL = 16 }; /* the place of a maximum in its window is one byte */

struct max_pool_state {
    int where; /* buffer: place of the maximum in its window, row · kernel + column, one byte per output element */
};

/* One plane (height, width, block) of one image; `block` is a constant at the calls that matter. */
struct pool_plane {
    size_t block, height, width, out_height, out_width;
    int kernel, stride, pad;
};

/* The part of window (row, column) that lies inside the plane: first and last + 1, relative to the window. */
static void window_bounds(int at, int kernel, int stride, int pad, size_t size, int *first, int *last)
{
    int start = at * stride - pad;
    *first = start < 0 ? -start : 0;
    *last = start + kernel > (int)size ? (int)size - start : kernel;
}

/* The first of equal maxima wins and NaN wins over all, as in PyTorch. */
KERNEL_INLINE void max_window(const struct pool_plane *p, size_t block, int row, int column, const float *x, float *y,
                              uint8_t *where)
{
    int top, bottom, left, right;
    window_bounds(row, p->kernel, p->stride, p->pad, p->height, &top, &bottom);
    window_bounds(column, p->kernel, p->stride, p->pad, p->width, &left, &right);
    for (size_t lane = 0; lane < block; lane++) {
        y[lane] = -INFINITY;
        where[lane] = (uint8_t)(top * p->kernel + left);
    }
    for (int i = top; i < bottom; i++) {
        for (int j = left; j < right; j++) {
            size_t pixel = (size_t)(row * p->stride - p->pad + i) * p->width + (size_t)(column * p->stride - p->pad + j);
            const float *values = x + pixel * block;
            uint8_t place = (uint8_t)(i * p->kernel + j);
#pragma omp simd
            for (size_t lane = 0; lane < block; lane++) {
                bool better = values[lane] > y[lane] || values[lane] != values[lane];
                y[lane] = better ? values[lane] : y[lane];
                where[lane] = better ? place : where[lane];
            }
        }
    }
}

KERNEL_INLINE void max_plane(const struct pool_plane *p, size_t block, const float *x, float *y, uint8_t *where)
{
    for (int row = 0; row < (int)p->out_height; row++) {
        for (int column = 0; column < (int)p->out_width; column++) {
            size_t at = ((size_t)row * p->out_width + (size_t)column) * block;
            max_window(p, block, row, column, x, y + at, where + at);
        }
    }
}

KERNEL_CLONES
static void max_forward(const struct pool_plane *p, const float *x, float *y, uint8_t *where)
{
    if (p->block == 16)
        max_plane(p, 16, x, y, where);
    else
        max_plane(p, p->block, x, y, where);
}

static void max_backward(const struct pool_plane *p, const float *d_y, const uint8_t *where, float *d_x)
{
    memset(d_x, 0, p->height * p->width * p->block * sizeof *d_x);
    for (int row = 0; row < (int)p->out_height; row++) {
        for (int column = 0; column < (int)p->out_width; column++) {
            size_t at = ((size_t)row * p->out_width + (size_t)column) * p->block;
            for (size_t lane = 0; lane < p->block; lane++) {
                int i = row * p->stride - p->pad + where[at + lane] / p->kernel;
                int j = column * p->stride - p->pad + where[at + lane] % p->kernel;
                d_x[((size_t)i * p->width + (size_t)j) * p->block + lane] += d_y[at + lane];
            }
        }
    }
}

static struct pool_plane plane_of(const struct net_node *node, const struct cpu_shape *in, const struct cpu_shape *out)
{
    return (struct pool_plane){.block = in->block, .height = in->height, .width = in->width,
                               .out_height = out->height, .out_width = out->width,
                               .kernel = node->kernel, .stride = node->stride, .pad = node->pad};
}

static enum status max_pool_create(struct net *net, struct cpu_op *op)
{
    const struct net_node *node = op->node;
    const struct cpu_shape *in = &cpu_input(net, op)->shape;
    struct cpu_shape *out = &cpu_output(net, op)->shape;
    struct max_pool_state *state = op->state = memory_zalloc(1, sizeof *state);
    assert(node->kernel <= LARGEST_KERNEL && 2 * node->pad <= node->kernel);
    out->channels = in->channels;
    out->height = (in->height + 2 * (size_t)node->pad - (size_t)node->kernel) / (size_t)node->stride + 1;
    out->width = (in->width + 2 * (size_t)node->pad - (size_t)node->kernel) / (size_t)node->stride + 1;
    TRY(cpu_output_like_input(net, op, false));
    state->where = cpu_plan_add(&net->plan, cpu_shape_count(out), cpu_step_forward(op));
    cpu_plan_use(&net->plan, state->where, cpu_step_backward(net, op));
    return STATUS_OK;
}

static void max_pool_plan_backward(struct net *net, struct cpu_op *op)
{
    op->d_input = cpu_net_contribute(net, op, cpu_input(net, op), CPU_NO_BUFFER);
}

static enum status max_pool_forward(struct net *net, struct cpu_op *op, enum net_mode mode)
{
    (void)mode;
    const struct cpu_value *in = cpu_input(net, op), *out = cpu_output(net, op);
    const struct max_pool_state *state = op->state;
    struct pool_plane plane = plane_of(op->node, &in->shape, &out->shape);
    const float *x = cpu_pointer(net, in->data);
    float *y = cpu_pointer(net, out->data);
    uint8_t *where = cpu_plan_pointer(&net->plan, state->where);
    size_t planes = net->batch * cpu_shape_blocks(&in->shape);
    size_t in_size = cpu_shape_count(&in->shape) / planes, out_size = cpu_shape_count(&out->shape) / planes;
#pragma omp parallel for schedule(static) num_threads(net->device->threads)
    for (size_t i = 0; i < planes; i++)
        max_forward(&plane, x + i * in_size, y + i * out_size, where + i * out_size);
    return STATUS_OK;
}

static enum status max_pool_backward(struct net *net, struct cpu_op *op)
{
    if (op->d_input.buffer == CPU_NO_BUFFER)
        return STATUS_OK;
    const struct cpu_value *in = cpu_input(net, op), *out = cpu_output(net, op);
    const struct max_pool_state *state = op->state;
    struct pool_plane plane = plane_of(op->node, &in->shape, &out->shape);
    const float *d_y = cpu_pointer(net, out->gradient[0]);
    float *d_x = cpu_pointer(net, op->d_input.buffer);
    const uint8_t *where = cpu_plan_pointer(&net->plan, state->where);
    size_t planes = net->batch * cpu_shape_blocks(&in->shape);
    size_t in_size = cpu_shape_count(&in->shape) / planes, out_size = cpu_shape_count(&out->shape) / planes;
#pragma omp parallel for schedule(static) num_threads(net->device->threads)
    for (size_t i = 0; i < planes; i++)
        max_backward(&plane, d_y + i * out_size, where + i * out_size, d_x + i * in_size);
    return STATUS_OK;
}

static void max_pool_destroy(struct cpu_op *op)
{
    free(op->state);
}

const struct cpu_op_class cpu_max_pool_class = {
    .name = "max pool",
    .create = max_pool_create,
    .plan_backward = max_pool_plan_backward,
    .forward = max_pool_forward,
    .backward = max_pool_backward,
    .destroy = max_pool_destroy,
};

static enum status avg_pool_create(struct net *net, struct cpu_op *op)
{
    struct cpu_shape *out = &cpu_output(net, op)->shape;
    out->channels = cpu_input(net, op)->shape.channels;
    out->height = out->width = (size_t)op->node->out_size;
    return cpu_output_plain(net, op);
}

static void avg_pool_plan_backward(struct net *net, struct cpu_op *op)
{
    op->d_input = cpu_net_contribute(net, op, cpu_input(net, op), CPU_NO_BUFFER);
}

/* PyTorch's bins: floor(i·in/out) to ceil((i + 1)·in/out); they overlap where out does not divide in. */
static size_t bin_first(size_t i, size_t in, size_t out)
{
    return i * in / out;
}

static size_t bin_last(size_t i, size_t in, size_t out)
{
    return ((i + 1) * in + out - 1) / out;
}

static double bin_area(const struct cpu_shape *in, const struct cpu_shape *out, size_t row, size_t column)
{
    return (double)((bin_last(row, in->height, out->height) - bin_first(row, in->height, out->height)) *
                    (bin_last(column, in->width, out->width) - bin_first(column, in->width, out->width)));
}

static float bin_mean(const struct cpu_shape *in, const struct cpu_shape *out, const float *x, size_t n, size_t c,
                      size_t row, size_t column)
{
    double sum = 0.0;
    for (size_t h = bin_first(row, in->height, out->height); h < bin_last(row, in->height, out->height); h++) {
        for (size_t w = bin_first(column, in->width, out->width); w < bin_last(column, in->width, out->width); w++)
            sum += x[cpu_shape_index(in, n, c, h, w)];
    }
    return (float)(sum / bin_area(in, out, row, column));
}

static void bin_spread(const struct cpu_shape *in, const struct cpu_shape *out, float share, float *d_x, size_t n,
                       size_t c, size_t row, size_t column)
{
    for (size_t h = bin_first(row, in->height, out->height); h < bin_last(row, in->height, out->height); h++) {
        for (size_t w = bin_first(column, in->width, out->width); w < bin_last(column, in->width, out->width); w++)
            d_x[cpu_shape_index(in, n, c, h, w)] += share;
    }
}

static enum status avg_pool_forward(struct net *net, struct cpu_op *op, enum net_mode mode)
{
    (void)mode;
    const struct cpu_shape *in = &cpu_input(net, op)->shape, *out = &cpu_output(net, op)->shape;
    const float *x = cpu_pointer(net, cpu_input(net, op)->data);
    float *y = cpu_pointer(net, cpu_output(net, op)->data);
#pragma omp parallel for schedule(static) num_threads(net->device->threads)
    for (size_t n = 0; n < net->batch; n++) {
        for (size_t i = 0; i < out->channels * out->height * out->width; i++) {
            size_t c = i / (out->height * out->width), row = i / out->width % out->height, column = i % out->width;
            y[cpu_shape_index(out, n, c, row, column)] = bin_mean(in, out, x, n, c, row, column);
        }
    }
    return STATUS_OK;
}

static enum status avg_pool_backward(struct net *net, struct cpu_op *op)
{
    if (op->d_input.buffer == CPU_NO_BUFFER)
        return STATUS_OK;
    const struct cpu_shape *in = &cpu_input(net, op)->shape, *out = &cpu_output(net, op)->shape;
    const float *d_y = cpu_pointer(net, cpu_output(net, op)->gradient[0]);
    float *d_x = cpu_pointer(net, op->d_input.buffer);
#pragma omp parallel for schedule(static) num_threads(net->device->threads)
    for (size_t n = 0; n < net->batch; n++) {
        memset(d_x + n * cpu_shape_image(in), 0, cpu_shape_image(in) * sizeof *d_x);
        for (size_t i = 0; i < out->channels * out->height * out->width; i++) {
            size_t c = i / (out->height * out->width), row = i / out->width % out->height, column = i % out->width;
            float share = d_y[cpu_shape_index(out, n, c, row, column)] / (float)bin_area(in, out, row, column);
            bin_spread(in, out, share, d_x, n, c, row, column);
        }
    }
    return STATUS_OK;
}

const struct cpu_op_class cpu_avg_pool_class = {
    .name = "average pool",
    .create = avg_pool_create,
    .plan_backward = avg_pool_plan_backward,
    .forward = avg_pool_forward,
    .backward = avg_pool_backward,
};
