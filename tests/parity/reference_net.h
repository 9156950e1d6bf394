/* A net_spec executed in float64 by the textbook formulas: what backends are compared with. Nothing here is fast.
 *
 * Also a small builder of specifications, so that tests of a device need no model. Memory is never freed before the end
 * of a case: reference_release does it. Header only, included by test programs alone. */
#ifndef GRAPEVINE_TESTS_PARITY_REFERENCE_NET_H
#define GRAPEVINE_TESTS_PARITY_REFERENCE_NET_H

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device/device.h"

enum { REFERENCE_NODES = 32, REFERENCE_TENSORS = 64 };

/* --- builder --- */

static inline void spec_start(struct net_spec *spec, const char *name, int channels, int size, int class_count)
{
    *spec = (struct net_spec){.channels = channels, .height = size, .width = size, .class_count = class_count};
    snprintf(spec->name, sizeof spec->name, "%s", name);
    spec->nodes = memory_zalloc(REFERENCE_NODES, sizeof *spec->nodes);
    spec->parameters = memory_zalloc(REFERENCE_TENSORS, sizeof *spec->parameters);
    spec->buffers = memory_zalloc(REFERENCE_TENSORS, sizeof *spec->buffers);
}

static inline int spec_tensor(struct net_tensor *tensors, int *count, size_t *size, int rank, const size_t shape[4])
{
    struct net_tensor *tensor = &tensors[*count];
    assert(*count < REFERENCE_TENSORS);
    snprintf(tensor->name, sizeof tensor->name, "%d", *count);
    tensor->rank = rank;
    tensor->count = 1;
    tensor->offset = *size;
    for (int i = 0; i < rank; i++) {
        tensor->shape[i] = shape[i];
        tensor->count *= shape[i];
    }
    *size += tensor->count;
    return (*count)++;
}

static inline int spec_parameter(struct net_spec *spec, int rank, const size_t shape[4])
{
    return spec_tensor(spec->parameters, &spec->parameter_count, &spec->parameter_size, rank, shape);
}

struct value_shape {
    size_t channels, height, width;
};

static inline struct value_shape spec_shape(const struct net_spec *spec, int value)
{
    if (value == 0)
        return (struct value_shape){(size_t)spec->channels, (size_t)spec->height, (size_t)spec->width};
    const struct net_node *node = &spec->nodes[value - 1];
    return (struct value_shape){(size_t)node->channels, (size_t)node->height, (size_t)node->width};
}

/* Append `node` (parameters and shape are filled in here); the index of its value. `with_bias` is for products. */
static inline int spec_add(struct net_spec *spec, struct net_node node, bool with_bias)
{
    struct value_shape in = spec_shape(spec, node.input), out = in;
    size_t k = (size_t)node.out_channels, kernel = (size_t)node.kernel;
    assert(spec->node_count < REFERENCE_NODES);
    node.weight = node.bias = node.mean = node.variance = NET_NONE;
    if (node.op == NET_CONV) {
        node.weight = spec_parameter(spec, 4, (size_t[4]){k, in.channels, kernel, kernel});
        out.channels = k;
    } else if (node.op == NET_LINEAR) {
        node.weight = spec_parameter(spec, 2, (size_t[4]){k, in.channels * in.height * in.width});
        out = (struct value_shape){k, 1, 1};
    } else if (node.op == NET_QUADRATIC) {
        out = (struct value_shape){in.channels * in.height * in.width, 1, 1};
        node.weight = spec_parameter(spec, 1, (size_t[4]){out.channels});
    } else if (node.op == NET_NORM) {
        node.weight = spec_parameter(spec, 1, (size_t[4]){in.channels});
        node.mean = spec_tensor(spec->buffers, &spec->buffer_count, &spec->buffer_size, 1, (size_t[4]){in.channels});
        node.variance =
            spec_tensor(spec->buffers, &spec->buffer_count, &spec->buffer_size, 1, (size_t[4]){in.channels});
        node.epsilon = 1e-5;
        node.momentum = 0.1;
    } else if (node.op == NET_ADAPTIVE_AVG_POOL) {
        out.height = out.width = (size_t)node.out_size;
    }
    if (with_bias || node.op == NET_NORM)
        node.bias = spec_parameter(spec, 1, (size_t[4]){out.channels});
    if (node.op == NET_CONV || node.op == NET_MAX_POOL) {
        out.height = (in.height + 2 * (size_t)node.pad - kernel) / (size_t)node.stride + 1;
        out.width = (in.width + 2 * (size_t)node.pad - kernel) / (size_t)node.stride + 1;
    }
    node.channels = (int)out.channels;
    node.height = (int)out.height;
    node.width = (int)out.width;
    spec->nodes[spec->node_count++] = node;
    return spec->node_count;
}

static inline void spec_release(struct net_spec *spec)
{
    free(spec->nodes);
    free(spec->parameters);
    free(spec->buffers);
}

/* --- execution --- */

struct reference {
    const struct net_spec *spec; /* borrowed */
    size_t batch;
    double *parameters, *d_parameters;                                   /* owned, flat */
    double *buffers;                                                     /* owned, flat */
    double *values[REFERENCE_NODES + 1], *d_values[REFERENCE_NODES + 1]; /* owned, (batch, channels, height, width) */
    double *mask; /* borrowed: factor of each element of the one dropout node; NULL: all 1 */
};

static inline size_t reference_count(const struct reference *r, int value)
{
    struct value_shape shape = spec_shape(r->spec, value);
    return r->batch * shape.channels * shape.height * shape.width;
}

static inline void reference_init(struct reference *r, const struct net_spec *spec, size_t batch)
{
    *r = (struct reference){.spec = spec, .batch = batch};
    r->parameters = memory_zalloc(spec->parameter_size, sizeof(double));
    r->d_parameters = memory_zalloc(spec->parameter_size, sizeof(double));
    r->buffers = memory_zalloc(spec->buffer_size + 1, sizeof(double));
    for (int i = 0; i <= spec->node_count; i++) {
        r->values[i] = memory_zalloc(reference_count(r, i), sizeof(double));
        r->d_values[i] = memory_zalloc(reference_count(r, i), sizeof(double));
    }
}

static inline void reference_release(struct reference *r)
{
    free(r->parameters);
    free(r->d_parameters);
    free(r->buffers);
    for (int i = 0; i <= r->spec->node_count; i++) {
        free(r->values[i]);
        free(r->d_values[i]);
    }
}

/* Convolution, forward or (backward true) all its gradients: one walk over every product. */
static inline void reference_conv(struct reference *r, int k, bool backward)
{
    const struct net_node *node = &r->spec->nodes[k];
    struct value_shape in = spec_shape(r->spec, node->input), out = spec_shape(r->spec, k + 1);
    size_t weight = r->spec->parameters[node->weight].offset, size = (size_t)node->kernel;
    for (size_t i = 0; i < reference_count(r, k + 1); i++) {
        size_t w = i % out.width, h = i / out.width % out.height, o = i / (out.width * out.height) % out.channels;
        size_t n = i / (out.width * out.height * out.channels);
        double sum = 0.0, d = r->d_values[k + 1][i];
        for (size_t j = 0; j < in.channels * size * size; j++) {
            size_t c = j / (size * size);
            long row = (long)(h * (size_t)node->stride + j / size % size) - node->pad;
            long column = (long)(w * (size_t)node->stride + j % size) - node->pad;
            if (row < 0 || column < 0 || row >= (long)in.height || column >= (long)in.width)
                continue;
            size_t at = ((n * in.channels + c) * in.height + (size_t)row) * in.width + (size_t)column;
            size_t p = weight + o * in.channels * size * size + j;
            sum += r->values[node->input][at] * r->parameters[p];
            if (backward) {
                r->d_parameters[p] += d * r->values[node->input][at];
                r->d_values[node->input][at] += d * r->parameters[p];
            }
        }
        size_t bias = node->bias == NET_NONE ? 0 : r->spec->parameters[node->bias].offset + o;
        if (!backward)
            r->values[k + 1][i] = sum + (node->bias == NET_NONE ? 0.0 : r->parameters[bias]);
        else if (node->bias != NET_NONE)
            r->d_parameters[bias] += d;
    }
}

static inline void reference_linear(struct reference *r, int k, bool backward)
{
    const struct net_node *node = &r->spec->nodes[k];
    size_t units = (size_t)node->out_channels, features = reference_count(r, node->input) / r->batch;
    size_t weight = r->spec->parameters[node->weight].offset;
    for (size_t i = 0; i < r->batch * units; i++) {
        const double *x = r->values[node->input] + i / units * features;
        size_t row = weight + i % units * features;
        size_t bias = node->bias == NET_NONE ? 0 : r->spec->parameters[node->bias].offset + i % units;
        double sum = node->bias == NET_NONE ? 0.0 : r->parameters[bias];
        double d = node->relu && r->values[k + 1][i] <= 0.0 ? 0.0 : r->d_values[k + 1][i];
        for (size_t j = 0; j < features; j++) {
            sum += x[j] * r->parameters[row + j];
            if (backward) {
                r->d_parameters[row + j] += d * x[j];
                r->d_values[node->input][i / units * features + j] += d * r->parameters[row + j];
            }
        }
        if (!backward)
            r->values[k + 1][i] = node->relu && sum < 0.0 ? 0.0 : sum;
        else if (node->bias != NET_NONE)
            r->d_parameters[bias] += d;
    }
}

/* Element j of channel c, of batch · pixels. */
static inline size_t reference_pixel(struct value_shape shape, size_t c, size_t j)
{
    size_t pixels = shape.height * shape.width;
    return (j / pixels * shape.channels + c) * pixels + j % pixels;
}

static inline void reference_moments(const struct reference *r, int k, size_t c, enum net_mode mode, double *mean,
                                     double *variance)
{
    const struct net_node *node = &r->spec->nodes[k];
    struct value_shape shape = spec_shape(r->spec, node->input);
    size_t count = r->batch * shape.height * shape.width;
    if (mode == NET_EVALUATE) {
        *mean = r->buffers[r->spec->buffers[node->mean].offset + c];
        *variance = r->buffers[r->spec->buffers[node->variance].offset + c];
        return;
    }
    *mean = *variance = 0.0;
    for (size_t j = 0; j < count; j++)
        *mean += r->values[node->input][reference_pixel(shape, c, j)] / (double)count;
    for (size_t j = 0; j < count; j++)
        *variance += pow(r->values[node->input][reference_pixel(shape, c, j)] - *mean, 2) / (double)count;
}

static inline void reference_norm_forward(struct reference *r, int k, enum net_mode mode)
{
    const struct net_node *node = &r->spec->nodes[k];
    struct value_shape shape = spec_shape(r->spec, k + 1);
    size_t count = r->batch * shape.height * shape.width;
    for (size_t c = 0; c < shape.channels; c++) {
        double mean, variance;
        reference_moments(r, k, c, mode, &mean, &variance);
        for (size_t j = 0; j < count; j++) {
            size_t at = reference_pixel(shape, c, j);
            double y = (r->values[node->input][at] - mean) / sqrt(variance + node->epsilon) *
                           r->parameters[r->spec->parameters[node->weight].offset + c] +
                       r->parameters[r->spec->parameters[node->bias].offset + c];
            if (node->residual != NET_NONE)
                y += r->values[node->residual][at];
            r->values[k + 1][at] = node->relu && y < 0.0 ? 0.0 : y;
        }
        if (mode == NET_EVALUATE)
            continue;
        double *running = r->buffers + r->spec->buffers[node->mean].offset + c;
        *running += node->momentum * (mean - *running);
        running = r->buffers + r->spec->buffers[node->variance].offset + c;
        *running += node->momentum * (variance * (double)count / (count > 1 ? (double)count - 1.0 : 1.0) - *running);
    }
}

static inline void reference_norm_backward(struct reference *r, int k)
{
    const struct net_node *node = &r->spec->nodes[k];
    struct value_shape shape = spec_shape(r->spec, k + 1);
    size_t count = r->batch * shape.height * shape.width;
    for (size_t c = 0; c < shape.channels; c++) {
        double mean, variance, s1 = 0.0, s2 = 0.0;
        reference_moments(r, k, c, NET_TRAIN, &mean, &variance);
        double inverse = 1.0 / sqrt(variance + node->epsilon);
        double scale = r->parameters[r->spec->parameters[node->weight].offset + c];
        for (int pass = 0; pass < 2; pass++) {
            for (size_t j = 0; j < count; j++) {
                size_t at = reference_pixel(shape, c, j);
                double hat = (r->values[node->input][at] - mean) * inverse;
                double d = node->relu && r->values[k + 1][at] <= 0.0 ? 0.0 : r->d_values[k + 1][at];
                s1 += pass == 0 ? d : 0.0;
                s2 += pass == 0 ? d * hat : 0.0;
                if (pass == 1)
                    r->d_values[node->input][at] +=
                        scale * inverse * (d - s1 / (double)count - hat * s2 / (double)count);
                if (pass == 1 && node->residual != NET_NONE)
                    r->d_values[node->residual][at] += d;
            }
        }
        r->d_parameters[r->spec->parameters[node->weight].offset + c] += s2;
        r->d_parameters[r->spec->parameters[node->bias].offset + c] += s1;
    }
}

static inline void reference_max_pool(struct reference *r, int k, bool backward)
{
    const struct net_node *node = &r->spec->nodes[k];
    struct value_shape in = spec_shape(r->spec, node->input), out = spec_shape(r->spec, k + 1);
    for (size_t i = 0; i < reference_count(r, k + 1); i++) {
        size_t w = i % out.width, h = i / out.width % out.height, plane = i / (out.width * out.height), best = 0;
        double largest = -INFINITY;
        for (long j = 0; j < (long)node->kernel * node->kernel; j++) {
            long row = (long)h * node->stride + j / node->kernel - node->pad;
            long column = (long)w * node->stride + j % node->kernel - node->pad;
            if (row < 0 || column < 0 || row >= (long)in.height || column >= (long)in.width)
                continue;
            size_t at = (plane * in.height + (size_t)row) * in.width + (size_t)column;
            if (r->values[node->input][at] > largest) {
                largest = r->values[node->input][at];
                best = at;
            }
        }
        if (backward)
            r->d_values[node->input][best] += r->d_values[k + 1][i];
        else
            r->values[k + 1][i] = largest;
    }
}

static inline void reference_avg_pool(struct reference *r, int k, bool backward)
{
    const struct net_node *node = &r->spec->nodes[k];
    struct value_shape in = spec_shape(r->spec, node->input), out = spec_shape(r->spec, k + 1);
    for (size_t i = 0; i < reference_count(r, k + 1); i++) {
        size_t w = i % out.width, h = i / out.width % out.height, plane = i / (out.width * out.height);
        size_t top = h * in.height / out.height, left = w * in.width / out.width;
        size_t bottom = (size_t)ceil((double)((h + 1) * in.height) / (double)out.height);
        size_t right = (size_t)ceil((double)((w + 1) * in.width) / (double)out.width);
        double area = (double)((bottom - top) * (right - left)), sum = 0.0;
        for (size_t row = top; row < bottom; row++) {
            for (size_t column = left; column < right; column++) {
                size_t at = (plane * in.height + row) * in.width + column;
                sum += r->values[node->input][at];
                if (backward)
                    r->d_values[node->input][at] += r->d_values[k + 1][i] / area;
            }
        }
        if (!backward)
            r->values[k + 1][i] = sum / area;
    }
}

static inline void reference_elementwise(struct reference *r, int k, bool backward, enum net_mode mode)
{
    const struct net_node *node = &r->spec->nodes[k];
    for (size_t i = 0; i < reference_count(r, k + 1); i++) {
        double factor = node->op == NET_RELU                   ? r->values[node->input][i] > 0.0
                        : r->mask != NULL && mode == NET_TRAIN ? r->mask[i]
                                                               : 1.0;
        if (backward)
            r->d_values[node->input][i] += factor * r->d_values[k + 1][i];
        else
            r->values[k + 1][i] = factor * r->values[node->input][i];
    }
}

static inline void reference_quadratic(struct reference *r, int k, bool backward)
{
    const struct net_node *node = &r->spec->nodes[k];
    size_t dimension = reference_count(r, k + 1) / r->batch, weight = r->spec->parameters[node->weight].offset;
    for (size_t i = 0; i < r->batch * dimension; i++) {
        double place = dimension > 1 ? (double)(i % dimension) / (double)(dimension - 1) : 0.0;
        double root = sqrt(pow(node->condition, -place));
        if (backward) {
            r->d_parameters[weight + i % dimension] += root * r->d_values[k + 1][i];
            r->d_values[node->input][i] -= root * r->d_values[k + 1][i];
        } else {
            r->values[k + 1][i] = root * (r->parameters[weight + i % dimension] - r->values[node->input][i]);
        }
    }
}

/* Half the mean of ‖y − target‖² over the first `count` images, the target one-hot or (labels NULL) 0. */
static inline double reference_squares(struct reference *r, const int32_t *labels, size_t count)
{
    int last = r->spec->node_count;
    size_t classes = (size_t)r->spec->class_count;
    double loss = 0.0;
    memset(r->d_values[last], 0, r->batch * classes * sizeof(double));
    for (size_t i = 0; i < count * classes; i++) {
        double target = labels != NULL && i % classes == (size_t)labels[i / classes] ? 1.0 : 0.0;
        double difference = r->values[last][i] - target;
        loss += 0.5 * difference * difference / (double)count;
        r->d_values[last][i] = difference / (double)count;
    }
    return loss;
}

/* Mean loss of the first `count` images and its gradient in the logits. */
static inline double reference_loss(struct reference *r, enum net_mode mode, const int32_t *labels, size_t count)
{
    if (r->spec->loss != NET_LOSS_CROSS_ENTROPY)
        return reference_squares(r, r->spec->loss == NET_LOSS_SQUARED ? labels : NULL, count);
    int last = r->spec->node_count;
    size_t classes = (size_t)r->spec->class_count;
    double loss = 0.0, smoothing = mode == NET_TRAIN ? r->spec->label_smoothing : 0.0;
    memset(r->d_values[last], 0, r->batch * classes * sizeof(double));
    for (size_t n = 0; n < count; n++) {
        const double *logits = r->values[last] + n * classes;
        double sum = 0.0;
        for (size_t c = 0; c < classes; c++)
            sum += exp(logits[c]);
        for (size_t c = 0; c < classes; c++) {
            double target = (c == (size_t)labels[n] ? 1.0 - smoothing : 0.0) + smoothing / (double)classes;
            loss += target * (log(sum) - logits[c]) / (double)count;
            r->d_values[last][n * classes + c] = (exp(logits[c]) / sum - target) / (double)count;
        }
    }
    return loss;
}

static inline double reference_forward(struct reference *r, enum net_mode mode, const struct net_batch *batch)
{
    size_t image = reference_count(r, 0) / r->batch;
    for (size_t i = 0; i < reference_count(r, 0); i++)
        r->values[0][i] = i < batch->count * image ? batch->images[i] : 0.0;
    for (int k = 0; k < r->spec->node_count; k++) {
        switch (r->spec->nodes[k].op) {
        case NET_CONV:
            reference_conv(r, k, false);
            break;
        case NET_LINEAR:
            reference_linear(r, k, false);
            break;
        case NET_NORM:
            reference_norm_forward(r, k, mode);
            break;
        case NET_MAX_POOL:
            reference_max_pool(r, k, false);
            break;
        case NET_ADAPTIVE_AVG_POOL:
            reference_avg_pool(r, k, false);
            break;
        case NET_QUADRATIC:
            reference_quadratic(r, k, false);
            break;
        case NET_RELU:
        case NET_DROPOUT:
            reference_elementwise(r, k, false, mode);
            break;
        }
    }
    return reference_loss(r, mode, batch->labels, batch->count);
}

/* Gradients of the last NET_TRAIN forward pass. */
static inline void reference_backward(struct reference *r)
{
    memset(r->d_parameters, 0, r->spec->parameter_size * sizeof(double));
    for (int i = 0; i < r->spec->node_count; i++)
        memset(r->d_values[i], 0, reference_count(r, i) * sizeof(double));
    for (int k = r->spec->node_count - 1; k >= 0; k--) {
        switch (r->spec->nodes[k].op) {
        case NET_CONV:
            reference_conv(r, k, true);
            break;
        case NET_LINEAR:
            reference_linear(r, k, true);
            break;
        case NET_NORM:
            reference_norm_backward(r, k);
            break;
        case NET_MAX_POOL:
            reference_max_pool(r, k, true);
            break;
        case NET_ADAPTIVE_AVG_POOL:
            reference_avg_pool(r, k, true);
            break;
        case NET_QUADRATIC:
            reference_quadratic(r, k, true);
            break;
        case NET_RELU:
        case NET_DROPOUT:
            reference_elementwise(r, k, true, NET_TRAIN);
            break;
        }
    }
}

#endif
