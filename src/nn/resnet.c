/* Residual networks: torchvision's resnet18, resnet34 and resnet50, and the resnet20 of He et al. 2016 for CIFAR.
 *
 * Images of up to STEM_SMALL rows get the CIFAR stem: conv1 3×3, stride 1, pad 1, and no max pool; larger ones
 * torchvision's (7×7, stride 2, pad 3, then max pool 3×3, stride 2). resnet50 has its stride in the 3×3 convolution, as
 * torchvision has (v1.5).
 *
 * resnet20 has 3 stages of 3 basic blocks with 16, 32 and 64 channels, always the CIFAR stem, and torchvision's names
 * (layer1 … layer3). Where the shape changes the shortcut is a projection (1×1 convolution and norm:
 * option B of the paper, downsample.0 and .1), as in torchvision, not the padded identity of option A; that adds 2,752
 * parameters to the paper's 0.27 M. */
#include <stdio.h>

#include "nn/model_family.h"

enum { STAGE_COUNT_MAX = 4, STEM_SMALL = 64 /* pixels */ };

struct resnet {
    int stage_count;
    int depth[STAGE_COUNT_MAX]; /* blocks of each stage */
    int channels;               /* inside the blocks of the first stage; each stage doubles them */
    bool bottleneck;            /* 1×1, 3×3, 1×1 with four times the channels out; else 3×3, 3×3 */
    bool small_stem;            /* the CIFAR stem whatever the size of the images */
};

static struct conv_shape conv(int out_channels, int kernel, int stride)
{
    return (struct conv_shape){out_channels, kernel, stride, kernel / 2, false};
}

static int add_stem(struct spec_builder *builder, const struct resnet *net)
{
    int channels = net->channels;
    bool small = net->small_stem || spec_shape(builder, SPEC_IMAGES).height <= STEM_SMALL;
    int value = spec_add_conv(builder, "conv1", SPEC_IMAGES, small ? conv(channels, 3, 1) : conv(channels, 7, 2));
    value = spec_add_norm_relu(builder, "bn1", value);
    return small ? value : spec_add_max_pool(builder, value, 3, 2, 1);
}

/* y = relu(norm(convolutions(x)) + shortcut(x)) */
static int add_block(struct spec_builder *builder, int input, int channels, int stride, bool bottleneck)
{
    int out_channels = bottleneck ? 4 * channels : channels;
    const char *last_norm = bottleneck ? "bn3" : "bn2";
    int value = spec_add_conv(builder, "conv1", input, bottleneck ? conv(channels, 1, 1) : conv(channels, 3, stride));
    value = spec_add_norm_relu(builder, "bn1", value);
    value = spec_add_conv(builder, "conv2", value, conv(channels, 3, bottleneck ? stride : 1));
    if (bottleneck) {
        value = spec_add_norm_relu(builder, "bn2", value);
        value = spec_add_conv(builder, "conv3", value, conv(out_channels, 1, 1));
    }
    struct norm_tensors last = spec_register_norm(builder, last_norm, out_channels);
    int shortcut = input;
    if (stride != 1 || spec_shape(builder, input).channels != out_channels) {
        shortcut = spec_add_conv(builder, "downsample.0", input, conv(out_channels, 1, stride));
        struct norm_tensors projection = spec_register_norm(builder, "downsample.1", out_channels);
        shortcut = spec_add_norm(builder, projection, shortcut, NET_NONE, false);
    }
    return spec_add_norm(builder, last, value, shortcut, true);
}

static void build(struct spec_builder *builder, const struct model_params *params, const struct resnet *net)
{
    int value = add_stem(builder, net);
    for (int stage = 0; stage < net->stage_count; stage++)
        for (int i = 0; i < net->depth[stage]; i++) {
            char scope[32];
            snprintf(scope, sizeof scope, "layer%d.%d.", stage + 1, i);
            spec_set_scope(builder, scope);
            value = add_block(builder, value, net->channels << stage, stage > 0 && i == 0 ? 2 : 1, net->bottleneck);
        }
    spec_set_scope(builder, "");
    value = spec_add_adaptive_avg_pool(builder, value, 1);
    spec_add_linear(builder, "fc", value, params->class_count, false, NET_INIT_UNIFORM_FAN_IN);
}

static void build_resnet18(struct spec_builder *builder, const struct model_params *params)
{
    build(builder, params, &(struct resnet){4, {2, 2, 2, 2}, 64, false, false});
}

static void build_resnet34(struct spec_builder *builder, const struct model_params *params)
{
    build(builder, params, &(struct resnet){4, {3, 4, 6, 3}, 64, false, false});
}

static void build_resnet50(struct spec_builder *builder, const struct model_params *params)
{
    build(builder, params, &(struct resnet){4, {3, 4, 6, 3}, 64, true, false});
}

static void build_resnet20(struct spec_builder *builder, const struct model_params *params)
{
    build(builder, params, &(struct resnet){3, {3, 3, 3}, 16, false, true});
}

const struct model_family resnet18_model = {"resnet18", 1, false, 0, build_resnet18};
const struct model_family resnet34_model = {"resnet34", 1, false, 0, build_resnet34};
const struct model_family resnet50_model = {"resnet50", 1, false, 0, build_resnet50};
const struct model_family resnet20_model = {"resnet20", 1, false, 0, build_resnet20};
