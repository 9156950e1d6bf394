/* Gradient event on flat vectors: one pass, the formulas of kernels/update.h. Plain C that the compiler vectorises. */
#include "kernels/update.h"

#include <math.h>

#include "kernels/clones.h"

double kernel_clip_scale(double clip_norm, double sum_squares)
{
    const double guard = 1e-6; /* torch's, against a norm of 0 */
    if (clip_norm <= 0)
        return 1;
    double scale = clip_norm / (sqrt(sum_squares) + guard);
    return scale < 1 ? scale : 1;
}

KERNEL_CLONES
void kernel_advance(float mix, size_t first, size_t last, float *restrict x, float *restrict x_tilde)
{
    for (size_t i = first; i < last; i++) {
        float delta = mix * (x_tilde[i] - x[i]);
        x[i] += delta;
        x_tilde[i] -= delta;
    }
}

/* `tilde` and `nesterov` are constants at every call, so each call is its own branch-free loop. */
KERNEL_INLINE void update_range(const struct update_constants *c, bool tilde, bool nesterov, float decay, size_t first,
                                size_t last, float *restrict x, float *restrict x_tilde, float *restrict m,
                                const float *restrict g)
{
    const float mix = c->mix, rate = c->learning_rate, momentum = c->momentum, scale = c->gradient_scale;
    for (size_t i = first; i < last; i++) {
        float delta = tilde ? mix * (x_tilde[i] - x[i]) : 0.0f;
        float here = tilde ? x[i] + delta : x[i];
        float direction = scale * g[i] + decay * here;
        float velocity = momentum * m[i] + direction;
        float step = rate * (nesterov ? direction + momentum * velocity : velocity);
        m[i] = velocity;
        x[i] = here - step;
        if (tilde)
            x_tilde[i] = (x_tilde[i] - delta) - step;
    }
}

KERNEL_CLONES
static void update_plain(const struct update_constants *c, float decay, size_t first, size_t last, float *x, float *m,
                         const float *g)
{
    if (c->nesterov)
        update_range(c, false, true, decay, first, last, x, NULL, m, g);
    else
        update_range(c, false, false, decay, first, last, x, NULL, m, g);
}

KERNEL_CLONES
static void update_tilde(const struct update_constants *c, float decay, size_t first, size_t last, float *x,
                         float *x_tilde, float *m, const float *g)
{
    if (c->nesterov)
        update_range(c, true, true, decay, first, last, x, x_tilde, m, g);
    else
        update_range(c, true, false, decay, first, last, x, x_tilde, m, g);
}

void kernel_update(const struct update_constants *c, size_t first, size_t last, size_t decayed, float *x,
                   float *x_tilde, float *m, const float *g)
{
    size_t middle = decayed < first ? first : decayed < last ? decayed : last;
    if (x_tilde == NULL) {
        update_plain(c, c->weight_decay, first, middle, x, m, g);
        update_plain(c, 0.0f, middle, last, x, m, g);
    } else {
        update_tilde(c, c->weight_decay, first, middle, x, x_tilde, m, g);
        update_tilde(c, 0.0f, middle, last, x, x_tilde, m, g);
    }
}
