/* The quadratic: y_k = √a_k (w_k − input_k) over the flattened input, so that ½ ‖y‖² has the curvatures a_k.
 *
 * Gradients: d_w_k = √a_k Σ_n d_y_nk, the images summed in order, and d_input = −√a_k d_y. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device/cpu/cpu_net.h"

struct quadratic {
    size_t dimension, offset; /* d; of w in the flat vectors */
    float *roots;             /* owned, (d): √a_k */
    float *w;                 /* owned, (d): working copy */
};

static float *roots_create(size_t dimension, double condition)
{
    float *roots = memory_zalloc(dimension, sizeof *roots);
    for (size_t k = 0; k < dimension; k++)
        roots[k] = k == 0 ? 1.0f : (float)pow(condition, -0.5 * (double)k / (double)(dimension - 1));
    return roots;
}

static enum status quadratic_create(struct net *net, struct cpu_op *op)
{
    const struct cpu_shape *in = &cpu_input(net, op)->shape;
    struct cpu_shape *out = &cpu_output(net, op)->shape;
    const struct net_tensor *weight = &net->spec.parameters[op->node->weight];
    size_t dimension = in->channels * in->height * in->width;
    assert(weight->count == dimension && op->node->condition >= 1);
    struct quadratic *quadratic = memory_zalloc(1, sizeof *quadratic);
    quadratic->dimension = dimension;
    quadratic->offset = weight->offset;
    quadratic->roots = roots_create(dimension, op->node->condition);
    quadratic->w = memory_zalloc(dimension, sizeof *quadratic->w);
    op->state = quadratic;
    out->channels = dimension;
    out->height = out->width = 1;
    return cpu_output_plain(net, op);
}

static void quadratic_plan_backward(struct net *net, struct cpu_op *op)
{
    op->d_input = cpu_net_contribute(net, op, cpu_input(net, op), NO_BUFFER);
}

static enum status quadratic_cast(struct net *net, struct cpu_op *op, const float *x)
{
    (void)net;
    struct quadratic *quadratic = op->state;
    memcpy(quadratic->w, x + quadratic->offset, quadratic->dimension * sizeof *quadratic->w);
    return STATUS_OK;
}

/* Place of element k, in (C, H, W) order, of image n. */
static size_t place(const struct cpu_shape *shape, size_t n, size_t k)
{
    size_t pixels = shape->height * shape->width;
    if (shape->block == 1)
        return n * shape->channels * pixels + k;
    size_t pixel = k % pixels;
    return cpu_shape_index(shape, n, k / pixels, pixel / shape->width, pixel % shape->width);
}

static enum status quadratic_forward(struct net *net, struct cpu_op *op, enum net_mode mode)
{
    (void)mode;
    const struct quadratic *quadratic = op->state;
    const struct cpu_value *in = cpu_input(net, op);
    const float *x = cpu_pointer(net, in->data);
    float *y = cpu_pointer(net, cpu_output(net, op)->data);
    size_t dimension = quadratic->dimension;
#pragma omp parallel for schedule(static) num_threads(net->device->threads)
    for (size_t n = 0; n < net->batch; n++) {
        for (size_t k = 0; k < dimension; k++)
            y[n * dimension + k] = quadratic->roots[k] * (quadratic->w[k] - x[place(&in->shape, n, k)]);
    }
    return STATUS_OK;
}

static void write_d_input(const struct net *net, const struct cpu_op *op, const struct cpu_shape *shape,
                          const float *d_y, float *d_x)
{
    const struct quadratic *quadratic = op->state;
    memset(d_x, 0, cpu_shape_count(shape) * sizeof *d_x); /* lanes beyond the last channel hold zeros */
    for (size_t n = 0; n < net->batch; n++) {
        for (size_t k = 0; k < quadratic->dimension; k++)
            d_x[place(shape, n, k)] = -quadratic->roots[k] * d_y[n * quadratic->dimension + k];
    }
}

static enum status quadratic_backward(struct net *net, struct cpu_op *op)
{
    const struct quadratic *quadratic = op->state;
    const float *d_y = cpu_pointer(net, cpu_output(net, op)->gradient[0]);
    float *d_w = net->gradient + quadratic->offset;
#pragma omp parallel for schedule(static) num_threads(net->device->threads)
    for (size_t k = 0; k < quadratic->dimension; k++) {
        double sum = 0;
        for (size_t n = 0; n < net->batch; n++)
            sum += d_y[n * quadratic->dimension + k];
        d_w[k] = (float)(quadratic->roots[k] * sum);
    }
    if (op->d_input.buffer != NO_BUFFER)
        write_d_input(net, op, &cpu_input(net, op)->shape, d_y, cpu_pointer(net, op->d_input.buffer));
    return STATUS_OK;
}

static void quadratic_destroy(struct cpu_op *op)
{
    struct quadratic *quadratic = op->state;
    free(quadratic->roots);
    free(quadratic->w);
    free(quadratic);
}

const struct cpu_op_class cpu_quadratic_class = {
    .name = "quadratic",
    .create = quadratic_create,
    .plan_backward = quadratic_plan_backward,
    .cast = quadratic_cast,
    .forward = quadratic_forward,
    .backward = quadratic_backward,
    .destroy = quadratic_destroy,
};
