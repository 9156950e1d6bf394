/* SGD's direction: momentum, Nesterov, weight decay, clipping of the global norm. The algorithm applies it. */
#ifndef GRAPEVINE_ALGO_OPTIMIZER_H
#define GRAPEVINE_ALGO_OPTIMIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "device/device.h"

struct optimizer_params {
    double momentum;     /* μ in [0, 1) */
    double weight_decay; /* ≥ 0 */
    double clip_norm;    /* global norm above which the gradient is scaled down; 0: no clipping */
    bool nesterov;
    bool decay_norm_and_bias; /* decay every parameter instead of the decayed head */
};

/* Coefficients of one gradient event. Clipping measures ‖g‖ without the decay term, as PyTorch's clip_grad_norm_. */
struct update_coefficients optimizer_coefficients(const struct optimizer_params *params, double learning_rate,
                                                  double mix);

#endif
