/* torchvision's vgg13_bn and vgg19_bn (Simonyan and Zisserman 2015, configurations B and E, with batch norm).
 *
 * Names keep torchvision's indices in its two Sequentials, in which ReLU, max pool and dropout count too:
 * features.0, features.1, features.3, …; classifier.0, .3, .6, with or without dropout. */
#include <stdio.h>

#include "nn/model_family.h"

enum { STAGE_COUNT = 5, SMALLEST = 1 << STAGE_COUNT, HIDDEN = 4096, POOLED_SIZE = 7 };

/* Stage s has depth[s] convolutions of channels[s] and ends in a max pool. */
static void build(struct spec_builder *builder, const struct model_params *params, const int depth[STAGE_COUNT])
{
    static const int channels[STAGE_COUNT] = {64, 128, 256, 512, 512};
    int value = SPEC_IMAGES, index = 0;
    char name[16];
    spec_set_scope(builder, "features.");
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        for (int i = 0; i < depth[stage]; i++) {
            snprintf(name, sizeof name, "%d", index);
            value = spec_add_conv(builder, name, value, (struct conv_shape){channels[stage], 3, 1, 1, true});
            snprintf(name, sizeof name, "%d", index + 1);
            value = spec_add_norm_relu(builder, name, value);
            index += 3;
        }
        value = spec_add_max_pool(builder, value, 2, 2, 0);
        index++;
    }
    spec_set_scope(builder, "classifier.");
    value = spec_add_adaptive_avg_pool(builder, value, POOLED_SIZE);
    value = spec_add_linear(builder, "0", value, HIDDEN, true, NET_INIT_NORMAL_001);
    value = spec_add_dropout(builder, value, params->dropout);
    value = spec_add_linear(builder, "3", value, HIDDEN, true, NET_INIT_NORMAL_001);
    value = spec_add_dropout(builder, value, params->dropout);
    spec_add_linear(builder, "6", value, params->class_count, false, NET_INIT_NORMAL_001);
}

static void build_vgg13(struct spec_builder *builder, const struct model_params *params)
{
    build(builder, params, (const int[STAGE_COUNT]){2, 2, 2, 2, 2});
}

static void build_vgg19(struct spec_builder *builder, const struct model_params *params)
{
    build(builder, params, (const int[STAGE_COUNT]){2, 2, 4, 4, 4});
}

const struct model_family vgg13_model = {"vgg13", SMALLEST, true, 0, build_vgg13};
const struct model_family vgg19_model = {"vgg19", SMALLEST, true, 0, build_vgg19};
