/* Batch norm, with residual and ReLU in the same pass (kernels/norm.h has the arithmetic of one slab).
 *
 * Channels are taken in groups small enough that a group stays in cache between the pass that sums and the pass
 * that writes; all threads work on one group, each on its share of the images. Sums are kept per image and added
 * in the order of the images in float64, so that the result does not depend on the thread count. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device/cpu/cpu_net.h"
#include "kernels/norm.h"

/* A unit is the channels of one slab. */
struct norm_geometry {
    size_t units, channels_per_unit;
    size_t unit_stride, image_stride; /* elements */
    struct norm_slab body, tail;      /* of one unit of one image; a tail without rows is absent */
    size_t tail_offset;
    size_t last_lanes;    /* lanes of the last unit's body */
    size_t pixels, group; /* per channel and image; units per group */
};

struct norm_state {
    struct norm_geometry geometry;
    size_t padded;          /* units · channels_per_unit */
    float *scale, *shift;   /* owned working copies (padded); zero beyond the channels */
    double *mean, *inverse; /* owned (padded): of the last batch; inverse = 1/σ */
    float *image_sums[2];   /* owned (batch, padded): partial sums of each image */
    int residual;           /* buffer of the residual in our layout where its own differs, or NO_BUFFER */
    float *lanes;           /* owned (LANES_COUNT, units, NORM_LANES) */
};

enum lane_table { LANES_A, LANES_B, LANES_MEAN, LANES_P, LANES_Q, LANES_R, LANES_COUNT };

enum { GROUP_BYTES = 8 << 20 }; /* of one activation: a group's few activations fit a shared last-level cache */

static struct norm_geometry geometry_of(const struct cpu_shape *shape)
{
    struct norm_geometry g = {.pixels = shape->height * shape->width, .image_stride = cpu_shape_image(shape)};
    if (NORM_LANES % shape->block == 0) {
        size_t elements = g.pixels * shape->block;
        g.channels_per_unit = shape->block;
        g.units = cpu_shape_blocks(shape);
        g.unit_stride = elements;
        g.body = (struct norm_slab){.rows = elements / NORM_LANES, .stride = NORM_LANES, .lanes = NORM_LANES};
        g.tail =
            (struct norm_slab){.rows = elements % NORM_LANES > 0, .stride = NORM_LANES, .lanes = elements % NORM_LANES};
        g.tail_offset = g.body.rows * NORM_LANES;
        g.last_lanes = NORM_LANES;
    } else {
        g.channels_per_unit = g.unit_stride = NORM_LANES;
        g.units = (shape->block + NORM_LANES - 1) / NORM_LANES;
        g.body = (struct norm_slab){.rows = g.pixels, .stride = shape->block, .lanes = NORM_LANES};
        g.last_lanes = shape->block - (g.units - 1) * NORM_LANES;
    }
    size_t unit_bytes = shape->batch * g.pixels * g.channels_per_unit * sizeof(float);
    g.group = GROUP_BYTES / unit_bytes > 0 ? GROUP_BYTES / unit_bytes : 1;
    return g;
}

static struct norm_slab body_of(const struct norm_geometry *g, size_t unit)
{
    struct norm_slab slab = g->body;
    if (unit == g->units - 1)
        slab.lanes = g->last_lanes;
    return slab;
}

static float *lanes_of(const struct norm_state *state, enum lane_table table, size_t unit)
{
    return state->lanes + ((size_t)table * state->geometry.units + unit) * NORM_LANES;
}

/* Repeat a channel's value in every lane that holds one of its pixels. */
static void spread(const struct norm_state *state, enum lane_table table, size_t channel, double value)
{
    size_t step = state->geometry.channels_per_unit;
    float *lanes = lanes_of(state, table, channel / step);
    for (size_t lane = channel % step; lane < NORM_LANES; lane += step)
        lanes[lane] = (float)value;
}

/* Add up the lanes of each channel. */
static void fold(const struct norm_geometry *g, const float lanes[NORM_LANES], float *channels)
{
    for (size_t c = 0; c < g->channels_per_unit; c++) {
        float sum = 0.0f;
        for (size_t lane = c; lane < NORM_LANES; lane += g->channels_per_unit)
            sum += lanes[lane];
        channels[c] = sum;
    }
}

/* The residual comes in another layout: two branches that started differently. It then costs a copy each way. */
static bool residual_differs(const struct net *net, const struct cpu_op *op)
{
    return op->node->residual != NET_NONE &&
           net->values[op->node->residual].shape.block != net->values[op->node->input].shape.block;
}

static enum status norm_create(struct net *net, struct cpu_op *op)
{
    const struct cpu_shape *in = &cpu_input(net, op)->shape;
    struct cpu_shape *out = &cpu_output(net, op)->shape;
    struct norm_state *state = op->state = memory_zalloc(1, sizeof *state);
    out->channels = in->channels;
    out->height = in->height;
    out->width = in->width;
    TRY(cpu_output_like_input(net, op, false));
    state->residual = NO_BUFFER;
    if (residual_differs(net, op))
        state->residual = memory_plan_add(&net->plan, cpu_shape_count(out) * sizeof(float), cpu_step_forward(op));
    const struct norm_geometry g = state->geometry = geometry_of(in);
    state->padded = g.units * g.channels_per_unit;
    state->scale = memory_alloc_aligned(state->padded * sizeof *state->scale);
    state->shift = memory_alloc_aligned(state->padded * sizeof *state->shift);
    state->mean = memory_alloc_aligned(state->padded * sizeof *state->mean);
    state->inverse = memory_alloc_aligned(state->padded * sizeof *state->inverse);
    for (int i = 0; i < 2 && !net->plans_only; i++)
        state->image_sums[i] = memory_alloc_aligned_for(net->batch * state->padded * sizeof(float),
                                                        "sums of batch norm of train.batch=%zu", net->batch);
    state->lanes = memory_alloc_aligned(LANES_COUNT * g.units * NORM_LANES * sizeof(float));
    net->weight_bytes += state->padded * (2 * sizeof(float) + 2 * sizeof(double) + 2 * net->batch * sizeof(float)) +
                         LANES_COUNT * g.units * NORM_LANES * sizeof(float);
    return STATUS_OK;
}

/* The input is read for the last time here: where nobody else needs it, its gradient takes its place. */
static void norm_plan_backward(struct net *net, struct cpu_op *op)
{
    struct cpu_value *in = cpu_input(net, op);
    if (op->node->residual != NET_NONE)
        op->d_residual = cpu_net_contribute(net, op, &net->values[op->node->residual],
                                            residual_differs(net, op) ? NO_BUFFER : cpu_output(net, op)->gradient[0]);
    op->d_input = cpu_net_contribute(net, op, in, cpu_may_overwrite_input(net, op) ? in->kept : NO_BUFFER);
}

static enum status norm_cast(struct net *net, struct cpu_op *op, const float *x)
{
    struct norm_state *state = op->state;
    size_t channels = cpu_input(net, op)->shape.channels;
    memcpy(state->scale, x + net->spec.parameters[op->node->weight].offset, channels * sizeof(float));
    memcpy(state->shift, x + net->spec.parameters[op->node->bias].offset, channels * sizeof(float));
    return STATUS_OK;
}

/* Mean, and sum of squares about it, of each channel of one unit of one image. */
static void image_statistics(const struct norm_state *state, size_t unit, const float *x, float *means, float *squares)
{
    const struct norm_geometry *g = &state->geometry;
    const struct norm_slab body = body_of(g, unit);
    float sums[NORM_LANES] = {0.0f}, centre[NORM_LANES], distances[NORM_LANES] = {0.0f};
    kernel_norm_sums(&body, x, sums);
    if (g->tail.rows > 0)
        kernel_norm_sums(&g->tail, x + g->tail_offset, sums);
    fold(g, sums, means);
    for (size_t c = 0; c < g->channels_per_unit; c++) {
        means[c] /= (float)g->pixels;
        for (size_t lane = c; lane < NORM_LANES; lane += g->channels_per_unit)
            centre[lane] = means[c];
    }
    kernel_norm_squares(&body, x, centre, distances);
    if (g->tail.rows > 0)
        kernel_norm_squares(&g->tail, x + g->tail_offset, centre, distances);
    fold(g, distances, squares);
}

/* y = a·x + b from mean and 1/σ. */
static void set_affine(const struct norm_state *state, size_t channel, double mean, double inverse)
{
    double a = state->scale[channel] * inverse;
    spread(state, LANES_A, channel, a);
    spread(state, LANES_B, channel, state->shift[channel] - mean * a);
    spread(state, LANES_MEAN, channel, mean);
}

/* The images' statistics become the batch's (Chan's formula), and enter the running ones. */
static void combine_statistics(struct net *net, const struct cpu_op *op, size_t channel)
{
    struct norm_state *state = op->state;
    double mean = 0.0, squares = 0.0;
    for (size_t n = 0; n < net->batch; n++)
        mean += state->image_sums[0][n * state->padded + channel];
    mean /= (double)net->batch;
    for (size_t n = 0; n < net->batch; n++) {
        double distance = state->image_sums[0][n * state->padded + channel] - mean;
        squares +=
            state->image_sums[1][n * state->padded + channel] + (double)state->geometry.pixels * distance * distance;
    }
    double count = (double)net->batch * (double)state->geometry.pixels;
    state->mean[channel] = mean;
    state->inverse[channel] = 1.0 / sqrt(squares / count + op->node->epsilon);
    set_affine(state, channel, mean, state->inverse[channel]);
    if (channel >= cpu_input(net, op)->shape.channels)
        return;
    double momentum = op->node->momentum, unbiased = squares / (count > 1.0 ? count - 1.0 : 1.0);
    float *running_mean = net->buffers + net->spec.buffers[op->node->mean].offset + channel;
    float *running_variance = net->buffers + net->spec.buffers[op->node->variance].offset + channel;
    *running_mean = (float)((1.0 - momentum) * *running_mean + momentum * mean);
    *running_variance = (float)((1.0 - momentum) * *running_variance + momentum * unbiased);
}

static void apply_unit(const struct norm_state *state, bool relu, size_t unit, const float *x, const float *residual,
                       float *y)
{
    const struct norm_geometry *g = &state->geometry;
    const struct norm_slab body = body_of(g, unit);
    const float *a = lanes_of(state, LANES_A, unit), *b = lanes_of(state, LANES_B, unit);
    kernel_norm_apply(&body, relu, a, b, x, residual, y);
    if (g->tail.rows > 0)
        kernel_norm_apply(&g->tail, relu, a, b, x + g->tail_offset, residual == NULL ? NULL : residual + g->tail_offset,
                          y + g->tail_offset);
}

/* Units [first, last) of every image: y from x (and residual), with the affine maps as they stand. Called by all
 * threads. */
static void apply_group(const struct net *net, const struct cpu_op *op, size_t first, size_t last, const float *x,
                        const float *residual, float *y)
{
    const struct norm_state *state = op->state;
    const struct norm_geometry *g = &state->geometry;
    size_t width = last - first;
#pragma omp for schedule(static)
    for (size_t i = 0; i < net->batch * width; i++) {
        size_t unit = first + i % width, at = i / width * g->image_stride + unit * g->unit_stride;
        apply_unit(state, op->node->relu, unit, x + at, residual == NULL ? NULL : residual + at, y + at);
    }
}

/* Batch statistics of units [first, last). Called by all threads. */
static void measure_group(struct net *net, const struct cpu_op *op, size_t first, size_t last, const float *x)
{
    const struct norm_state *state = op->state;
    const struct norm_geometry *g = &state->geometry;
    size_t width = last - first;
#pragma omp for schedule(static)
    for (size_t i = 0; i < net->batch * width; i++) {
        size_t unit = first + i % width, n = i / width, at = n * state->padded + unit * g->channels_per_unit;
        image_statistics(state, unit, x + n * g->image_stride + unit * g->unit_stride, state->image_sums[0] + at,
                         state->image_sums[1] + at);
    }
#pragma omp for schedule(static)
    for (size_t channel = first * g->channels_per_unit; channel < last * g->channels_per_unit; channel++)
        combine_statistics(net, op, channel);
}

/* The residual in the layout of the output, or NULL. */
static const float *residual_of(const struct net *net, const struct cpu_op *op)
{
    const struct norm_state *state = op->state;
    if (op->node->residual == NET_NONE)
        return NULL;
    const struct cpu_value *value = &net->values[op->node->residual];
    if (state->residual == NO_BUFFER)
        return cpu_pointer(net, value->data);
    cpu_shape_convert(&value->shape, cpu_pointer(net, value->data), &net->values[op->index + 1].shape,
                      cpu_pointer(net, state->residual), net->device->threads);
    return cpu_pointer(net, state->residual);
}

static enum status norm_forward(struct net *net, struct cpu_op *op, enum net_mode mode)
{
    struct norm_state *state = op->state;
    const struct norm_geometry *g = &state->geometry;
    const float *x = cpu_pointer(net, cpu_input(net, op)->data);
    const float *residual = residual_of(net, op);
    float *y = cpu_pointer(net, cpu_output(net, op)->data);
    if (mode == NET_EVALUATE) {
        const float *mean = net->buffers + net->spec.buffers[op->node->mean].offset;
        const float *variance = net->buffers + net->spec.buffers[op->node->variance].offset;
        for (size_t c = 0; c < cpu_input(net, op)->shape.channels; c++)
            set_affine(state, c, mean[c], 1.0 / sqrt(variance[c] + op->node->epsilon));
    }
#pragma omp parallel num_threads(net->device->threads)
    for (size_t first = 0; first < g->units; first += g->group) {
        size_t last = first + g->group < g->units ? first + g->group : g->units;
        if (mode != NET_EVALUATE)
            measure_group(net, op, first, last, x);
        apply_group(net, op, first, last, x, residual, y);
    }
    return STATUS_OK;
}

/* The affine maps are still those of the forward pass: the same bits come out. */
static void norm_recompute(struct net *net, struct cpu_op *op)
{
    const struct norm_state *state = op->state;
    int residual_value = op->node->residual;
    const float *x = cpu_pointer(net, cpu_input(net, op)->data);
    const float *residual = residual_value == NET_NONE ? NULL : cpu_pointer(net, net->values[residual_value].kept);
    float *y = cpu_pointer(net, cpu_output(net, op)->kept);
#pragma omp parallel num_threads(net->device->threads)
    apply_group(net, op, 0, state->geometry.units, x, residual, y);
}

/* What both backward passes read, at element `at` of unit `unit`. */
static struct norm_gradient gradient_of(const struct net *net, const struct cpu_op *op, size_t unit, size_t at)
{
    const struct norm_state *state = op->state;
    const struct cpu_value *in = &net->values[op->node->input], *out = &net->values[op->index + 1];
    bool residual = op->node->residual != NET_NONE;
    return (struct norm_gradient){
        .a = lanes_of(state, LANES_A, unit),
        .b = lanes_of(state, LANES_B, unit),
        .mean = lanes_of(state, LANES_MEAN, unit),
        .x = cpu_pointer(net, in->kept) + at,
        .y = residual && op->node->relu ? cpu_pointer(net, out->kept) + at : NULL,
        .relu = op->node->relu,
        .d_y = cpu_pointer(net, out->gradient[0]) + at,
        .d_y_other = out->gradient_count > 1 ? cpu_pointer(net, out->gradient[1]) + at : NULL,
        .store = residual || out->gradient_count > 1,
    };
}

static void shift_gradient(struct norm_gradient *gradient, size_t offset)
{
    gradient->x += offset;
    gradient->d_y += offset;
    if (gradient->y != NULL)
        gradient->y += offset;
    if (gradient->d_y_other != NULL)
        gradient->d_y_other += offset;
}

static void backward_sums_unit(const struct net *net, const struct cpu_op *op, size_t n, size_t unit)
{
    const struct norm_state *state = op->state;
    const struct norm_geometry *g = &state->geometry;
    const struct norm_slab body = body_of(g, unit);
    struct norm_gradient gradient = gradient_of(net, op, unit, n * g->image_stride + unit * g->unit_stride);
    float s1[NORM_LANES] = {0.0f}, s2[NORM_LANES] = {0.0f};
    size_t at = n * state->padded + unit * g->channels_per_unit;
    kernel_norm_backward_sums(&body, &gradient, s1, s2);
    if (g->tail.rows > 0) {
        shift_gradient(&gradient, g->tail_offset);
        kernel_norm_backward_sums(&g->tail, &gradient, s1, s2);
    }
    fold(g, s1, state->image_sums[0] + at);
    fold(g, s2, state->image_sums[1] + at);
}

/* With M = batch·pixels: d_x = scale/σ · (d − Σd/M − (x − mean)/σ² · Σ d·(x − mean)/M). */
static void combine_gradient(struct net *net, const struct cpu_op *op, size_t channel)
{
    const struct norm_state *state = op->state;
    double s1 = 0.0, s2 = 0.0, count = (double)net->batch * (double)state->geometry.pixels;
    for (size_t n = 0; n < net->batch; n++) {
        s1 += state->image_sums[0][n * state->padded + channel];
        s2 += state->image_sums[1][n * state->padded + channel];
    }
    double inverse = state->inverse[channel];
    spread(state, LANES_P, channel, state->scale[channel] * inverse);
    spread(state, LANES_Q, channel, -inverse * inverse * s2 / count);
    spread(state, LANES_R, channel, -s1 / count);
    if (channel < cpu_input(net, op)->shape.channels) {
        net->gradient[net->spec.parameters[op->node->weight].offset + channel] = (float)(s2 * inverse);
        net->gradient[net->spec.parameters[op->node->bias].offset + channel] = (float)s1;
    }
}

static void backward_apply_unit(const struct net *net, const struct cpu_op *op, size_t n, size_t unit)
{
    const struct norm_state *state = op->state;
    const struct norm_geometry *g = &state->geometry;
    const struct norm_slab body = body_of(g, unit);
    size_t at = n * g->image_stride + unit * g->unit_stride;
    struct norm_gradient gradient = gradient_of(net, op, unit, at);
    const float *p = lanes_of(state, LANES_P, unit), *q = lanes_of(state, LANES_Q, unit);
    const float *r = lanes_of(state, LANES_R, unit);
    float *d_x = cpu_pointer(net, op->d_input.buffer) + at;
    kernel_norm_backward_apply(&body, &gradient, p, q, r, d_x);
    if (g->tail.rows > 0) {
        shift_gradient(&gradient, g->tail_offset);
        kernel_norm_backward_apply(&g->tail, &gradient, p, q, r, d_x + g->tail_offset);
    }
}

/* Both passes over units [first, last). Called by all threads. */
static void backward_group(struct net *net, const struct cpu_op *op, size_t first, size_t last)
{
    const struct norm_state *state = op->state;
    size_t width = last - first, per_unit = state->geometry.channels_per_unit;
#pragma omp for schedule(static)
    for (size_t i = 0; i < net->batch * width; i++)
        backward_sums_unit(net, op, i / width, first + i % width);
#pragma omp for schedule(static)
    for (size_t channel = first * per_unit; channel < last * per_unit; channel++)
        combine_gradient(net, op, channel);
    if (op->d_input.buffer == NO_BUFFER)
        return;
#pragma omp for schedule(static)
    for (size_t i = 0; i < net->batch * width; i++)
        backward_apply_unit(net, op, i / width, first + i % width);
}

static enum status norm_backward(struct net *net, struct cpu_op *op)
{
    const struct norm_geometry *g = &((struct norm_state *)op->state)->geometry;
#pragma omp parallel num_threads(net->device->threads)
    for (size_t first = 0; first < g->units; first += g->group)
        backward_group(net, op, first, first + g->group < g->units ? first + g->group : g->units);
    if (residual_differs(net, op) && op->d_residual.buffer != NO_BUFFER) {
        const struct cpu_value *out = cpu_output(net, op);
        cpu_shape_convert(&out->shape, cpu_pointer(net, out->gradient[0]), &net->values[op->node->residual].shape,
                          cpu_pointer(net, op->d_residual.buffer), net->device->threads);
    }
    return STATUS_OK;
}

static void norm_destroy(struct cpu_op *op)
{
    struct norm_state *state = op->state;
    memory_free_aligned(state->scale);
    memory_free_aligned(state->shift);
    memory_free_aligned(state->mean);
    memory_free_aligned(state->inverse);
    memory_free_aligned(state->image_sums[0]);
    memory_free_aligned(state->image_sums[1]);
    memory_free_aligned(state->lanes);
    free(state);
}

const struct cpu_op_class cpu_norm_class = {
    .name = "batch norm",
    .reads_input = true,
    .create = norm_create,
    .plan_backward = norm_plan_backward,
    .cast = norm_cast,
    .forward = norm_forward,
    .backward = norm_backward,
    .recompute = norm_recompute,
    .destroy = norm_destroy,
};
