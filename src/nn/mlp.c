/* Multilayer perceptron: flatten → 2 hidden layers with ReLU → classes. The smallest model, for pictures of digits
 * and for tests; without batch norm, so its gradient is a mean over the images of a batch. */
#include "nn/model_family.h"

static void build(struct spec_builder *builder, const struct model_params *params)
{
    int width = params->width_hidden;
    int value = spec_add_linear(builder, "fc1", SPEC_IMAGES, width, true, NET_INIT_UNIFORM_FAN_IN);
    value = spec_add_dropout(builder, value, params->dropout);
    value = spec_add_linear(builder, "fc2", value, width, true, NET_INIT_UNIFORM_FAN_IN);
    value = spec_add_dropout(builder, value, params->dropout);
    spec_add_linear(builder, "fc3", value, params->class_count, false, NET_INIT_UNIFORM_FAN_IN);
}

const struct model_family mlp_model = {"mlp", 1, true, 256, build};
