/* Models: each writes a net_spec, the network as data that a device compiles.
 *
 * A model is one file in src/nn/ and one line in the list of models.c. Parameter names, shapes, counts and initial
 * distributions are torchvision's (PyTorch's defaults where torchvision sets none).
 *
 * Three models are convex, so that the minimiser is known (worker/optimum.h) and the distance to it can be reported.
 * They start at a fixed point, the same for every seed: logistic and linear at 0, the quadratic at (1, …, 1), away from
 * where samples of mean 0 have their mean. Their weights are decayed, the bias is not (optimizer.decay_norm_and_bias).
 *     quadratic   ½ Σ_k a_k (w_k − ξ_k)², the picture ξ flattened, a_k falling geometrically from 1 to 1/condition
 *     logistic    cross-entropy of fc.weight·ξ + fc.bias
 *     linear      ½ ‖fc.weight·ξ + fc.bias − e_label‖² */
#ifndef GRAPEVINE_NN_MODEL_H
#define GRAPEVINE_NN_MODEL_H

#include <stdbool.h>

#include "base/status.h"
#include "device/net_spec.h"

struct model_params {
    const char *name;            /* of model_names() */
    int channels, height, width; /* of the data set's images */
    int class_count;
    double dropout;         /* rate in [0, 1) of the models that have dropout (vgg*, mlp); 0: none */
    int width_hidden;       /* mlp: units of each hidden layer (256); convnet: channels of the first stage (16);
                         0: the model's own */
    double condition;       /* quadratic: largest over smallest curvature, ≥ 1; 0: the model's own (10) */
    double label_smoothing; /* in [0, 1), of models that are trained with cross-entropy (net_spec.h); 0: none */
};

/* Build the network's description. STATUS_USAGE (logged): unknown model (nearest named), images that the
 * model cannot take (says which sizes it can, and which models can take them), a dropout, a width or smoothed labels
 * that it has not. */
enum status model_build(const struct model_params *params, struct net_spec **out);
void model_destroy(struct net_spec *spec);

/* Both have the same parameters and buffers, by name, shape and place: the vectors of one serve the other. */
bool model_same_parameters(const struct net_spec *one, const struct net_spec *other);

/* NULL-terminated: mlp convnet resnet20 resnet18 resnet34 resnet50 vgg13 vgg19 quadratic logistic linear. */
const char *const *model_names(void);

/* STATUS_USAGE (logged, nearest named): no model has this name. */
enum status model_check_name(const char *name);

#endif
