/* SGD's coefficients of one gradient event; the pass over the vectors itself is the device's. */
#include "algo/optimizer.h"

struct update_coefficients optimizer_coefficients(const struct optimizer_params *params, double learning_rate,
                                                  double mix)
{
    return (struct update_coefficients){
        .mix = mix,
        .learning_rate = learning_rate,
        .momentum = params->momentum,
        .weight_decay = params->weight_decay,
        .clip_norm = params->clip_norm,
        .nesterov = params->nesterov,
    };
}
