/* Max pooling and adaptive average pooling, in the layout of their input. */
#include <assert.h>
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

/* A window's places that lie inside the plane: where their first lanes are, relative to a plane, and their numbers. */
struct window {
    int count;
    size_t offsets[LARGEST_KERNEL * LARGEST_KERNEL];
    uint8_t places[LARGEST_KERNEL * LARGEST_KERNEL];
};

static void find_window(const struct pool_plane *p, int row, int column, struct window *window)
{
    int top, bottom, left, right;
    window_bounds(row, p->kernel, p->stride, p->pad, p->height, &top, &bottom);
    window_bounds(column, p->kernel, p->stride, p->pad, p->width, &left, &right);
    window->count = 0;
    for (int i = top; i < bottom; i++) {
        for (int j = left; j < right; j++) {
            int in_row = row * p->stride - p->pad + i, in_column = column * p->stride - p->pad + j;
            window->offsets[window->count] = ((size_t)in_row * p->width + (size_t)in_column) * p->block;
            window->places[window->count++] = (uint8_t)(i * p->kernel + j);
        }
    }
}

/* The first of equal maxima wins and NaN wins over all, as in PyTorch. `count` and `block` are constants at the calls
 * that matter: the loop over places is then unrolled inside of vectorised lanes. */
KERNEL_INLINE void max_window(const struct window *window, int count, size_t block, const float *restrict x,
                              float *restrict y, uint8_t *restrict where)
{
#pragma omp simd
    for (size_t lane = 0; lane < block; lane++) {
        float most = x[window->offsets[0] + lane];
        int32_t place = window->places[0]; /* as wide as the values: comparisons need no conversion */
        for (int k = 1; k < count; k++) {
            float value = x[window->offsets[k] + lane];
            bool better = value > most || value != value;
            most = better ? value : most;
            place = better ? window->places[k] : place;
        }
        y[lane] = most;
        where[lane] = (uint8_t)place;
    }
}

/* Every place of a window gets d_y in the lanes whose maximum it had. */
KERNEL_INLINE void give_back(const struct window *window, int count, size_t block, const float *restrict d_y,
                             const uint8_t *restrict where, float *restrict d_x)
{
#pragma omp simd
    for (size_t lane = 0; lane < block; lane++) {
        int32_t place = where[lane];
        for (int k = 0; k < count; k++)
            d_x[window->offsets[k] + lane] += place == window->places[k] ? d_y[lane] : 0;
    }
}

enum direction { FORWARD, BACKWARD };

/* One window, at output `at`. */
KERNEL_INLINE void pool_window(enum direction direction, const struct window *window, int count, size_t block,
                               float *plane, float *output, uint8_t *where)
{
    if (direction == FORWARD)
        max_window(window, count, block, plane, output, where);
    else
        give_back(window, count, block, output, where, plane);
}

KERNEL_INLINE void pool_plane(enum direction direction, const struct pool_plane *p, size_t block, float *plane,
                              float *output, uint8_t *where)
{
    struct window window;
    for (int row = 0; row < (int)p->out_height; row++) {
        for (int column = 0; column < (int)p->out_width; column++) {
            size_t at = ((size_t)row * p->out_width + (size_t)column) * block;
            find_window(p, row, column, &window);
            if (window.count == 4)
                pool_window(direction, &window, 4, block, plane, output + at, where + at);
            else if (window.count == 9)
                pool_window(direction, &window, 9, block, plane, output + at, where + at);
            else
                pool_window(direction, &window, window.count, block, plane, output + at, where + at);
        }
    }
}

KERNEL_INLINE void pool_blocks(enum direction direction, const struct pool_plane *p, float *plane, float *output,
                               uint8_t *where)
{
    if (p->block == 16)
        pool_plane(direction, p, 16, plane, output, where);
    else if (p->block == 8)
        pool_plane(direction, p, 8, plane, output, where);
    else
        pool_plane(direction, p, p->block, plane, output, where);
}

KERNEL_CLONES
static void max_forward(const struct pool_plane *p, float *x, float *y, uint8_t *where)
{
    pool_blocks(FORWARD, p, x, y, where);
}

KERNEL_CLONES
static void max_backward(const struct pool_plane *p, float *d_y, uint8_t *where, float *d_x)
{
    memset(d_x, 0, p->height * p->width * p->block * sizeof *d_x);
    pool_blocks(BACKWARD, p, d_x, d_y, where);
}

static struct pool_plane plane_of(const struct net_node *node, const struct cpu_shape *in, const struct cpu_shape *out)
{
    return (struct pool_plane){.block = in->block,
                               .height = in->height,
                               .width = in->width,
                               .out_height = out->height,
                               .out_width = out->width,
                               .kernel = node->kernel,
                               .stride = node->stride,
                               .pad = node->pad};
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
    state->where = memory_plan_add(&net->plan, cpu_shape_count(out), cpu_step_forward(op));
    memory_plan_use(&net->plan, state->where, cpu_step_backward(net, op));
    return STATUS_OK;
}

static void max_pool_plan_backward(struct net *net, struct cpu_op *op)
{
    op->d_input = cpu_net_contribute(net, op, cpu_input(net, op), NO_BUFFER);
}

static enum status max_pool_forward(struct net *net, struct cpu_op *op, enum net_mode mode)
{
    (void)mode;
    const struct cpu_value *in = cpu_input(net, op), *out = cpu_output(net, op);
    const struct max_pool_state *state = op->state;
    struct pool_plane plane = plane_of(op->node, &in->shape, &out->shape);
    float *x = cpu_pointer(net, in->data), *y = cpu_pointer(net, out->data);
    uint8_t *where = memory_plan_pointer(&net->plan, state->where);
    size_t planes = net->batch * cpu_shape_blocks(&in->shape);
    size_t in_size = cpu_shape_count(&in->shape) / planes, out_size = cpu_shape_count(&out->shape) / planes;
#pragma omp parallel for schedule(static) num_threads(net->device->threads)
    for (size_t i = 0; i < planes; i++)
        max_forward(&plane, x + i * in_size, y + i * out_size, where + i * out_size);
    return STATUS_OK;
}

static enum status max_pool_backward(struct net *net, struct cpu_op *op)
{
    if (op->d_input.buffer == NO_BUFFER)
        return STATUS_OK;
    const struct cpu_value *in = cpu_input(net, op), *out = cpu_output(net, op);
    const struct max_pool_state *state = op->state;
    struct pool_plane plane = plane_of(op->node, &in->shape, &out->shape);
    float *d_y = cpu_pointer(net, out->gradient[0]), *d_x = cpu_pointer(net, op->d_input.buffer);
    uint8_t *where = memory_plan_pointer(&net->plan, state->where);
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
    op->d_input = cpu_net_contribute(net, op, cpu_input(net, op), NO_BUFFER);
}

/* PyTorch's bins: from floor(i·in/out) to ceil((i + 1)·in/out); they overlap where out does not divide in.
 * A bin of the input: rows [top, bottom), columns [left, right). */
struct bin {
    size_t top, bottom, left, right;
    float share; /* 1 / pixels */
};

static struct bin bin_at(const struct cpu_shape *in, const struct cpu_shape *out, size_t row, size_t column)
{
    struct bin bin = {.top = row * in->height / out->height,
                      .bottom = ((row + 1) * in->height + out->height - 1) / out->height,
                      .left = column * in->width / out->width,
                      .right = ((column + 1) * in->width + out->width - 1) / out->width};
    bin.share = 1.0f / (float)((bin.bottom - bin.top) * (bin.right - bin.left));
    return bin;
}

/* The output is plain, the input any: `plane` is the input's (height, width, block), lane by lane another channel. */
static void avg_forward_plane(const struct cpu_shape *in, const struct cpu_shape *out, size_t lanes, const float *plane,
                              float *y)
{
    size_t bins = out->height * out->width;
    for (size_t i = 0; i < bins; i++) {
        const struct bin bin = bin_at(in, out, i / out->width, i % out->width);
        for (size_t lane = 0; lane < lanes; lane++) {
            float sum = 0.0f;
            for (size_t h = bin.top; h < bin.bottom; h++) {
                for (size_t w = bin.left; w < bin.right; w++)
                    sum += plane[(h * in->width + w) * in->block + lane];
            }
            y[lane * bins + i] = sum * bin.share;
        }
    }
}

static void avg_backward_plane(const struct cpu_shape *in, const struct cpu_shape *out, size_t lanes, const float *d_y,
                               float *d_plane)
{
    size_t bins = out->height * out->width;
    memset(d_plane, 0, in->height * in->width * in->block * sizeof *d_plane);
    for (size_t i = 0; i < bins; i++) {
        const struct bin bin = bin_at(in, out, i / out->width, i % out->width);
        for (size_t h = bin.top; h < bin.bottom; h++) {
            for (size_t w = bin.left; w < bin.right; w++) {
                for (size_t lane = 0; lane < lanes; lane++)
                    d_plane[(h * in->width + w) * in->block + lane] += d_y[lane * bins + i] * bin.share;
            }
        }
    }
}

/* Channels that plane `block` of an image holds: fewer than a block in the last one where there is padding. */
static size_t lanes_in_block(const struct cpu_shape *in, size_t block)
{
    size_t rest = in->channels - block * in->block;
    return rest < in->block ? rest : in->block;
}

static enum status avg_pool_forward(struct net *net, struct cpu_op *op, enum net_mode mode)
{
    (void)mode;
    const struct cpu_shape *in = &cpu_input(net, op)->shape, *out = &cpu_output(net, op)->shape;
    const float *x = cpu_pointer(net, cpu_input(net, op)->data);
    float *y = cpu_pointer(net, cpu_output(net, op)->data);
    size_t blocks = cpu_shape_blocks(in), plane = cpu_shape_image(in) / blocks, bins = out->height * out->width;
#pragma omp parallel for schedule(static) num_threads(net->device->threads)
    for (size_t i = 0; i < net->batch * blocks; i++)
        avg_forward_plane(in, out, lanes_in_block(in, i % blocks), x + i * plane,
                          y + (i / blocks * out->channels + i % blocks * in->block) * bins);
    return STATUS_OK;
}

static enum status avg_pool_backward(struct net *net, struct cpu_op *op)
{
    if (op->d_input.buffer == NO_BUFFER)
        return STATUS_OK;
    const struct cpu_shape *in = &cpu_input(net, op)->shape, *out = &cpu_output(net, op)->shape;
    const float *d_y = cpu_pointer(net, cpu_output(net, op)->gradient[0]);
    float *d_x = cpu_pointer(net, op->d_input.buffer);
    size_t blocks = cpu_shape_blocks(in), plane = cpu_shape_image(in) / blocks, bins = out->height * out->width;
#pragma omp parallel for schedule(static) num_threads(net->device->threads)
    for (size_t i = 0; i < net->batch * blocks; i++)
        avg_backward_plane(in, out, lanes_in_block(in, i % blocks),
                           d_y + (i / blocks * out->channels + i % blocks * in->block) * bins, d_x + i * plane);
    return STATUS_OK;
}

const struct cpu_op_class cpu_avg_pool_class = {
    .name = "average pool",
    .create = avg_pool_create,
    .plan_backward = avg_pool_plan_backward,
    .forward = avg_pool_forward,
    .backward = avg_pool_backward,
};
