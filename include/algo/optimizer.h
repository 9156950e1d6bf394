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

/* Coefficients of one gradient event: measures ‖g‖ where clipping is on, the decay term not included (PyTorch's
 * clip_grad_norm_: min(1, clip/(‖g‖ + 1e-6))). */
struct update_coefficients optimizer_coefficients(const struct optimizer_params *params, const struct device_ops *ops,
                                                  struct device *device, size_t count, const float *gradient,
                                                  double learning_rate, double mix);

#endif
