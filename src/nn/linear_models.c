/* One linear layer, started at 0: with cross-entropy it is multinomial logistic regression, with the squared loss on
 * one-hot labels it is least squares. Both are convex. */
#include "nn/model_family.h"

static void build_logistic(struct spec_builder *builder, const struct model_params *params)
{
    spec_add_linear(builder, "fc", SPEC_IMAGES, params->class_count, false, NET_INIT_ZERO);
}

static void build_linear(struct spec_builder *builder, const struct model_params *params)
{
    spec_set_loss(builder, NET_LOSS_SQUARED);
    spec_add_linear(builder, "fc", SPEC_IMAGES, params->class_count, false, NET_INIT_ZERO);
}

const struct model_family logistic_model = {"logistic", 1, false, 0, build_logistic};
const struct model_family linear_model = {"linear", 1, false, 0, build_linear};
