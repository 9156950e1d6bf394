/* Batch norm on slabs: the pixels of one image in up to sixteen channels that lie side by side in memory.
 *
 * A slab is `rows` rows of `lanes` floats, `stride` floats apart; a lane is a channel (or, where a channel's
 * pixels are contiguous, one of sixteen pixels of the same channel: the caller then folds the lanes). Per-lane
 * arrays have 16 entries.
 *
 *     forward    y = a·x + b (+ residual), then max(0, ·) where relu; a = scale/σ, b = shift − mean·a
 *     backward   d = Σ gradients of y, zero where the ReLU was closed;  s1 = Σ d,  s2 = Σ d·(x − mean)
 *                d_x = p·((d + r) + q·(x − mean)), where p, q, r follow from the sums over the whole batch
 *
 * Whether the ReLU was open is read from y where it is given, else found again as a·x + b > 0, the same bits as
 * forward. NaN passes through the ReLU, so that a diverged network is seen in its loss. */
#ifndef GRAPEVINE_KERNELS_NORM_H
#define GRAPEVINE_KERNELS_NORM_H

#include <stdbool.h>
#include <stddef.h>

enum { NORM_LANES = 16 };

struct norm_slab {
    size_t rows, stride, lanes; /* lanes ≤ NORM_LANES */
};

/* Σ x and Σ (x − centre)² per lane, added to `sums` and `squares`; `centre` may be NULL: squares are then left
 * alone. */
void kernel_norm_sums(const struct norm_slab *slab, const float *x, float sums[NORM_LANES]);
void kernel_norm_squares(const struct norm_slab *slab, const float *x, const float centre[NORM_LANES],
                         float squares[NORM_LANES]);

/* `residual` may be NULL. */
void kernel_norm_apply(const struct norm_slab *slab, bool relu, const float a[NORM_LANES], const float b[NORM_LANES],
                       const float *x, const float *residual, float *y);

/* What the two backward passes read. */
struct norm_gradient {
    const float *a, *b, *mean; /* (NORM_LANES) */
    const float *x;
    const float *y; /* NULL: found again from x */
    bool relu;
    float *d_y;             /* gradient of y; the masked sum is left here when `store` */
    const float *d_y_other; /* a second part of it, or NULL */
    bool store;
};

/* Adds this slab's s1 and s2 to `s1` and `s2`. */
void kernel_norm_backward_sums(const struct norm_slab *slab, const struct norm_gradient *g, float s1[NORM_LANES],
                               float s2[NORM_LANES]);
/* After a pass that stored, d_y is read as it stands; else the mask is applied again. d_x may be g->x itself. */
void kernel_norm_backward_apply(const struct norm_slab *slab, const struct norm_gradient *g, const float p[NORM_LANES],
                                const float q[NORM_LANES], const float r[NORM_LANES], float *d_x);

#endif
