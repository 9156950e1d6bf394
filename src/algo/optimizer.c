/* SGD's coefficients of one gradient event; the pass over the vectors itself is kernels/update.h. */
#include "algo/optimizer.h"

#include <math.h>

/* The factor of torch.nn.utils.clip_grad_norm_, the norm taken of g alone: decay does not enter it. */
static double clip_scale(double clip_norm, double norm)
{
    const double guard = 1e-6; /* torch's, against a norm of 0 */
    double scale = clip_norm / (norm + guard);
    return scale < 1 ? scale : 1;
}

struct update_coefficients optimizer_coefficients(const struct optimizer_params *params, const struct device_ops *ops,
                                                  struct device *device, size_t count, const float *gradient,
                                                  double learning_rate, double mix)
{
    struct update_coefficients c = {
        .mix = mix,
        .learning_rate = learning_rate,
        .momentum = params->momentum,
        .weight_decay = params->weight_decay,
        .gradient_scale = 1,
        .nesterov = params->nesterov,
    };
    if (params->clip_norm > 0)
        c.gradient_scale = clip_scale(params->clip_norm, sqrt(ops->sum_squares(device, true, count, gradient)));
    return c;
}
