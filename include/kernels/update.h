/* Gradient event of the A²CiD² dynamic on flat vectors, one pass (Oyallon, habilitation thesis 2023,
 * eq. 5.22-5.23).
 *
 *     δ = mix·(x̃ − x);  x ← x + δ;  x̃ ← x̃ − δ              mix = ½(1 − exp(−2ηΔ))
 *     d = scale·g + decay·x                                  decay on the first `decayed` elements only
 *     m ← μ·m + d;  u = m, or d + μ·m with Nesterov
 *     x ← x − γ·u;  x̃ ← x̃ − γ·u
 *
 * The decay term reads the advanced x. x̃ = NULL leaves out δ and x̃: plain SGD, bit for bit what the same call
 * gives with x̃ = x and any mix. Elements are independent: the result does not depend on the thread count or on
 * [first, last). */
#ifndef GRAPEVINE_KERNELS_UPDATE_H
#define GRAPEVINE_KERNELS_UPDATE_H

#include <stdbool.h>
#include <stddef.h>

struct update_constants {
    float mix, learning_rate, momentum, weight_decay, gradient_scale;
    bool nesterov;
};

/* Clipping: the factor of torch.nn.utils.clip_grad_norm_, min(1, clip/(‖g‖ + 1e-6)), of Σ g²; 1 where clip_norm is 0.
 * */
double kernel_clip_scale(double clip_norm, double sum_squares);

/* δ alone: what an event without a gradient does. */
void kernel_advance(float mix, size_t first, size_t last, float *x, float *x_tilde);

/* Elements [first, last) of the vectors; x, x_tilde, m, g do not overlap. */
void kernel_update(const struct update_constants *c, size_t first, size_t last, size_t decayed, float *x,
                   float *x_tilde, float *m, const float *g);

#endif
