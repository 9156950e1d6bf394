/* Builds a net_spec. Invariants: a node reads only values before its own; offsets tile the flat vectors
 * without gaps. */
#include "nn/spec_builder.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

/* Room for one more item of `size` bytes in an array of `count` of them. */
static void *grow(void *items, int count, int *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity * 2 + 16;
    return memory_realloc(items, (size_t)*capacity, size);
}

void spec_begin(struct spec_builder *builder, const char *name, struct value_shape images, int class_count)
{
    assert(images.channels >= 1 && images.height >= 1 && images.width >= 1 && class_count >= 1);
    struct net_spec *spec = memory_zalloc(1, sizeof *spec);
    spec->channels = images.channels;
    spec->height = images.height;
    spec->width = images.width;
    spec->class_count = class_count;
    int length = snprintf(spec->name, sizeof spec->name, "%s", name);
    assert(length > 0 && (size_t)length < sizeof spec->name);
    *builder = (struct spec_builder){.spec = spec};
}

/* Decayed tensors from the front, the others behind them, each group in order of registration. */
static size_t lay_out(struct net_tensor *tensors, int count, size_t *decayed_size)
{
    size_t offset = 0;
    for (int group = 0; group < 2; group++) {
        for (int i = 0; i < count; i++)
            if (tensors[i].decayed == (group == 0)) {
                tensors[i].offset = offset;
                offset += tensors[i].count;
            }
        if (group == 0)
            *decayed_size = offset;
    }
    return offset;
}

struct net_spec *spec_finish(struct spec_builder *builder)
{
    struct net_spec *spec = builder->spec;
    struct value_shape logits = spec_shape(builder, spec->node_count);
    if (spec->loss == NET_LOSS_SQUARED_NORM)
        spec->class_count = logits.channels;
    assert(logits.channels == spec->class_count && logits.height == 1 && logits.width == 1);
    size_t none;
    spec->parameter_size = lay_out(spec->parameters, spec->parameter_count, &spec->decayed_size);
    spec->buffer_size = lay_out(spec->buffers, spec->buffer_count, &none);
    builder->spec = NULL;
    return spec;
}

void spec_set_loss(struct spec_builder *builder, enum net_loss loss)
{
    builder->spec->loss = loss;
}

void spec_set_scope(struct spec_builder *builder, const char *scope)
{
    int length = snprintf(builder->scope, sizeof builder->scope, "%s", scope);
    assert(length >= 0 && (size_t)length < sizeof builder->scope);
}

struct value_shape spec_shape(const struct spec_builder *builder, int value)
{
    const struct net_spec *spec = builder->spec;
    assert(value >= 0 && value <= spec->node_count);
    if (value == SPEC_IMAGES)
        return (struct value_shape){spec->channels, spec->height, spec->width};
    const struct net_node *node = &spec->nodes[value - 1];
    return (struct value_shape){node->channels, node->height, node->width};
}

static int add_node(struct spec_builder *builder, struct net_node node, struct value_shape shape)
{
    struct net_spec *spec = builder->spec;
    assert(shape.channels >= 1 && shape.height >= 1 && shape.width >= 1);
    node.channels = shape.channels;
    node.height = shape.height;
    node.width = shape.width;
    spec->nodes = grow(spec->nodes, spec->node_count, &builder->node_capacity, sizeof node);
    spec->nodes[spec->node_count++] = node;
    return spec->node_count;
}

/* A node of this kind that owns no tensor. */
static struct net_node bare_node(enum net_op op, int input)
{
    return (struct net_node){
        .op = op,
        .input = input,
        .residual = NET_NONE,
        .weight = NET_NONE,
        .bias = NET_NONE,
        .mean = NET_NONE,
        .variance = NET_NONE,
    };
}

/* Name a tensor and count its elements; the shape ends at the first 0. */
static void describe(const struct spec_builder *builder, struct net_tensor *tensor, const char *owner, const char *part)
{
    int length = snprintf(tensor->name, sizeof tensor->name, "%s%s.%s", builder->scope, owner, part);
    assert(length > 0 && (size_t)length < sizeof tensor->name);
    tensor->count = 1;
    for (tensor->rank = 0; tensor->rank < 4 && tensor->shape[tensor->rank] > 0; tensor->rank++)
        tensor->count *= tensor->shape[tensor->rank];
}

static int add_parameter(struct spec_builder *builder, const char *owner, const char *part, struct net_tensor tensor)
{
    struct net_spec *spec = builder->spec;
    describe(builder, &tensor, owner, part);
    spec->parameters = grow(spec->parameters, spec->parameter_count, &builder->parameter_capacity, sizeof tensor);
    spec->parameters[spec->parameter_count] = tensor;
    return spec->parameter_count++;
}

static int add_buffer(struct spec_builder *builder, const char *owner, const char *part, struct net_tensor tensor)
{
    struct net_spec *spec = builder->spec;
    describe(builder, &tensor, owner, part);
    spec->buffers = grow(spec->buffers, spec->buffer_count, &builder->buffer_capacity, sizeof tensor);
    spec->buffers[spec->buffer_count] = tensor;
    return spec->buffer_count++;
}

/* Length of one side of a value behind a window that slides over it. */
static int slide(int size, int kernel, int stride, int pad)
{
    assert(size + 2 * pad >= kernel);
    return (size + 2 * pad - kernel) / stride + 1;
}

int spec_add_conv(struct spec_builder *builder, const char *name, int input, struct conv_shape shape)
{
    struct value_shape in = spec_shape(builder, input);
    size_t out_channels = (size_t)shape.out_channels, kernel = (size_t)shape.kernel;
    struct net_node node = bare_node(NET_CONV, input);
    node.out_channels = shape.out_channels;
    node.kernel = shape.kernel;
    node.stride = shape.stride;
    node.pad = shape.pad;
    struct net_tensor weight = {
        .shape = {out_channels, (size_t)in.channels, kernel, kernel},
        .decayed = true,
        .init = NET_INIT_KAIMING_NORMAL_FAN_OUT,
        .fan = out_channels * kernel * kernel,
    };
    struct net_tensor bias = {.shape = {out_channels}, .init = NET_INIT_ZERO};
    node.weight = add_parameter(builder, name, "weight", weight);
    if (shape.bias)
        node.bias = add_parameter(builder, name, "bias", bias);
    struct value_shape out = {
        .channels = shape.out_channels,
        .height = slide(in.height, shape.kernel, shape.stride, shape.pad),
        .width = slide(in.width, shape.kernel, shape.stride, shape.pad),
    };
    return add_node(builder, node, out);
}

struct norm_tensors spec_register_norm(struct spec_builder *builder, const char *name, int channels)
{
    struct net_tensor zeros = {.shape = {(size_t)channels}, .init = NET_INIT_ZERO};
    struct net_tensor ones = {.shape = {(size_t)channels}, .init = NET_INIT_ONE};
    struct norm_tensors tensors;
    tensors.scale = add_parameter(builder, name, "weight", ones);
    tensors.shift = add_parameter(builder, name, "bias", zeros);
    tensors.mean = add_buffer(builder, name, "running_mean", zeros);
    tensors.variance = add_buffer(builder, name, "running_var", ones);
    return tensors;
}

int spec_add_norm(struct spec_builder *builder, struct norm_tensors tensors, int input, int residual, bool relu)
{
    struct value_shape shape = spec_shape(builder, input);
    assert(builder->spec->parameters[tensors.scale].count == (size_t)shape.channels);
    if (residual != NET_NONE) {
        struct value_shape added = spec_shape(builder, residual);
        assert(added.channels == shape.channels && added.height == shape.height && added.width == shape.width);
    }
    struct net_node node = bare_node(NET_NORM, input);
    node.residual = residual;
    node.relu = relu;
    node.weight = tensors.scale;
    node.bias = tensors.shift;
    node.mean = tensors.mean;
    node.variance = tensors.variance;
    node.epsilon = 1e-5;
    node.momentum = 0.1;
    return add_node(builder, node, shape);
}

int spec_add_norm_relu(struct spec_builder *builder, const char *name, int input)
{
    struct norm_tensors tensors = spec_register_norm(builder, name, spec_shape(builder, input).channels);
    return spec_add_norm(builder, tensors, input, NET_NONE, true);
}

int spec_add_max_pool(struct spec_builder *builder, int input, int kernel, int stride, int pad)
{
    struct value_shape in = spec_shape(builder, input);
    struct net_node node = bare_node(NET_MAX_POOL, input);
    node.kernel = kernel;
    node.stride = stride;
    node.pad = pad;
    struct value_shape out = {
        .channels = in.channels,
        .height = slide(in.height, kernel, stride, pad),
        .width = slide(in.width, kernel, stride, pad),
    };
    return add_node(builder, node, out);
}

int spec_add_adaptive_avg_pool(struct spec_builder *builder, int input, int out_size)
{
    struct net_node node = bare_node(NET_ADAPTIVE_AVG_POOL, input);
    node.out_size = out_size;
    struct value_shape shape = {spec_shape(builder, input).channels, out_size, out_size};
    return add_node(builder, node, shape);
}

int spec_add_linear(struct spec_builder *builder, const char *name, int input, int out_channels, bool relu,
                    enum net_init init)
{
    assert(init == NET_INIT_UNIFORM_FAN_IN || init == NET_INIT_NORMAL_001 || init == NET_INIT_ZERO);
    struct value_shape in = spec_shape(builder, input);
    size_t fan_in = (size_t)in.channels * (size_t)in.height * (size_t)in.width;
    struct net_node node = bare_node(NET_LINEAR, input);
    node.out_channels = out_channels;
    node.relu = relu;
    struct net_tensor weight = {
        .shape = {(size_t)out_channels, fan_in},
        .decayed = true,
        .init = init,
        .fan = fan_in,
    };
    struct net_tensor bias = {
        .shape = {(size_t)out_channels},
        .init = init == NET_INIT_NORMAL_001 ? NET_INIT_ZERO : init,
        .fan = fan_in,
    };
    node.weight = add_parameter(builder, name, "weight", weight);
    node.bias = add_parameter(builder, name, "bias", bias);
    return add_node(builder, node, (struct value_shape){out_channels, 1, 1});
}

int spec_add_dropout(struct spec_builder *builder, int input, double rate)
{
    assert(rate >= 0 && rate < 1);
    if (rate == 0)
        return input;
    struct net_node node = bare_node(NET_DROPOUT, input);
    node.rate = rate;
    return add_node(builder, node, spec_shape(builder, input));
}

int spec_add_quadratic(struct spec_builder *builder, const char *name, int input, double condition)
{
    assert(condition >= 1);
    struct value_shape in = spec_shape(builder, input);
    struct value_shape out = {in.channels * in.height * in.width, 1, 1};
    struct net_node node = bare_node(NET_QUADRATIC, input);
    node.condition = condition;
    struct net_tensor weight = {.shape = {(size_t)out.channels}, .decayed = true, .init = NET_INIT_ONE};
    node.weight = add_parameter(builder, name, "weight", weight);
    return add_node(builder, node, out);
}
