/* A small convolutional network for CPUs: three stages of conv 3×3 + norm + ReLU + max pool, which double the
 * channels and halve the picture, then the mean over the picture and one linear layer. */
#include <stdio.h>

#include "nn/model_family.h"

enum { STAGE_COUNT = 3, SMALLEST = 1 << STAGE_COUNT };

static void build(struct spec_builder *builder, const struct model_params *params)
{
    int width = params->width_hidden, value = SPEC_IMAGES;
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        char conv[16], norm[16];
        snprintf(conv, sizeof conv, "conv%d", stage + 1);
        snprintf(norm, sizeof norm, "bn%d", stage + 1);
        value = spec_add_conv(builder, conv, value, (struct conv_shape){width << stage, 3, 1, 1, false});
        value = spec_add_norm_relu(builder, norm, value);
        value = spec_add_max_pool(builder, value, 2, 2, 0);
    }
    value = spec_add_adaptive_avg_pool(builder, value, 1);
    spec_add_linear(builder, "fc", value, params->class_count, false, NET_INIT_UNIFORM_FAN_IN);
}

const struct model_family convnet_model = {"convnet", SMALLEST, false, 16, build};
