/* A quadratic around every picture: F(w, ξ) = ½ Σ_k a_k (w_k − ξ_k)², the curvatures a_k falling geometrically from 1
 * to 1/condition. Its mean over pictures is least at their mean, so workers with different pictures disagree about the
 * minimiser in a way that is known exactly. */
#include "nn/model_family.h"

static void build(struct spec_builder *builder, const struct model_params *params)
{
    spec_set_loss(builder, NET_LOSS_SQUARED_NORM);
    spec_add_quadratic(builder, "quadratic", SPEC_IMAGES, params->condition);
}

const struct model_family quadratic_model = {"quadratic", 1, false, 0, build};
