/* Batch norm on slabs (kernels/norm.h): a full row is one vector of sixteen floats, a narrower one goes lane by
 * lane. */
#include "kernels/norm.h"

#include <string.h>

#include "kernels/clones.h"

/* Sixteen floats, in as many registers as the instruction set needs; loads and stores may be unaligned. */
typedef float lane_floats __attribute__((vector_size(NORM_LANES * sizeof(float)), aligned(4), may_alias));

typedef int lane_bits __attribute__((vector_size(NORM_LANES * sizeof(int)))); /* what comparing lanes gives: 0 or −1 */

KERNEL_INLINE const lane_floats *lanes_of(const float *p)
{
    return (const lane_floats *)p;
}

KERNEL_CLONES
void kernel_norm_sums(const struct norm_slab *slab, const float *x, float sums[NORM_LANES])
{
    if (slab->lanes < NORM_LANES) {
        for (size_t row = 0; row < slab->rows; row++) {
            for (size_t lane = 0; lane < slab->lanes; lane++)
                sums[lane] += x[row * slab->stride + lane];
        }
        return;
    }
    lane_floats even = *lanes_of(sums), odd = {0.0f};
    size_t row = 0;
    for (; row + 2 <= slab->rows; row += 2) {
        even += *lanes_of(x + row * slab->stride);
        odd += *lanes_of(x + (row + 1) * slab->stride);
    }
    if (row < slab->rows)
        even += *lanes_of(x + row * slab->stride);
    even += odd;
    memcpy(sums, &even, sizeof even);
}

KERNEL_CLONES
void kernel_norm_squares(const struct norm_slab *slab, const float *x, const float centre[NORM_LANES],
                         float squares[NORM_LANES])
{
    if (slab->lanes < NORM_LANES) {
        for (size_t row = 0; row < slab->rows; row++) {
            for (size_t lane = 0; lane < slab->lanes; lane++) {
                float distance = x[row * slab->stride + lane] - centre[lane];
                squares[lane] += distance * distance;
            }
        }
        return;
    }
    lane_floats even = *lanes_of(squares), odd = {0.0f}, middle = *lanes_of(centre);
    size_t row = 0;
    for (; row + 2 <= slab->rows; row += 2) {
        lane_floats first = *lanes_of(x + row * slab->stride) - middle;
        lane_floats second = *lanes_of(x + (row + 1) * slab->stride) - middle;
        even += first * first;
        odd += second * second;
    }
    if (row < slab->rows) {
        lane_floats last = *lanes_of(x + row * slab->stride) - middle;
        even += last * last;
    }
    even += odd;
    memcpy(squares, &even, sizeof even);
}

/* `residual` and `relu` are constants at every call. */
KERNEL_INLINE void apply_rows(const struct norm_slab *slab, bool relu, const float *a, const float *b, const float *x,
                              const float *residual, float *y)
{
    const lane_floats zero = {0.0f}, factor = *lanes_of(a), addend = *lanes_of(b);
    for (size_t row = 0; row < slab->rows; row++) {
        size_t at = row * slab->stride;
        lane_floats value = *lanes_of(x + at) * factor + addend;
        if (residual != NULL)
            value += *lanes_of(residual + at);
        if (relu)
            value = (lane_floats)(~(value < zero) & (lane_bits)value);
        *(lane_floats *)(y + at) = value;
    }
}

KERNEL_CLONES
void kernel_norm_apply(const struct norm_slab *slab, bool relu, const float a[NORM_LANES], const float b[NORM_LANES],
                       const float *x, const float *residual, float *y)
{
    if (slab->lanes < NORM_LANES) {
        for (size_t row = 0; row < slab->rows; row++) {
            for (size_t lane = 0; lane < slab->lanes; lane++) {
                size_t at = row * slab->stride + lane;
                float value = x[at] * a[lane] + b[lane];
                if (residual != NULL)
                    value += residual[at];
                y[at] = relu && value < 0.0f ? 0.0f : value;
            }
        }
    } else if (residual != NULL) {
        if (relu)
            apply_rows(slab, true, a, b, x, residual, y);
        else
            apply_rows(slab, false, a, b, x, residual, y);
    } else if (relu) {
        apply_rows(slab, true, a, b, x, NULL, y);
    } else {
        apply_rows(slab, false, a, b, x, NULL, y);
    }
}

/* How the gradient of y is masked; a constant at every call of the row loops. */
enum mask { MASK_NONE, MASK_FROM_Y, MASK_FROM_X };

KERNEL_INLINE enum mask mask_of(const struct norm_gradient *g)
{
    return !g->relu ? MASK_NONE : g->y != NULL ? MASK_FROM_Y : MASK_FROM_X;
}

/* The gradient of one element before the ReLU. */
KERNEL_INLINE float masked(const struct norm_gradient *g, enum mask mask, size_t at, size_t lane, bool other)
{
    float d = other ? g->d_y[at] + g->d_y_other[at] : g->d_y[at];
    if (mask == MASK_FROM_Y)
        return g->y[at] > 0.0f ? d : 0.0f;
    if (mask == MASK_FROM_X)
        return g->x[at] * g->a[lane] + g->b[lane] > 0.0f ? d : 0.0f;
    return d;
}

KERNEL_INLINE void backward_sums_rows(const struct norm_slab *slab, const struct norm_gradient *g, enum mask mask,
                                      bool other, bool store, float *s1, float *s2)
{
    const lane_floats zero = {0.0f}, mean = *lanes_of(g->mean), a = *lanes_of(g->a), b = *lanes_of(g->b);
    lane_floats sum = *lanes_of(s1), product = *lanes_of(s2);
    for (size_t row = 0; row < slab->rows; row++) {
        size_t at = row * slab->stride;
        lane_floats x = *lanes_of(g->x + at), d = *lanes_of(g->d_y + at);
        if (other)
            d += *lanes_of(g->d_y_other + at);
        if (mask == MASK_FROM_Y)
            d = (lane_floats)((*lanes_of(g->y + at) > zero) & (lane_bits)d);
        if (mask == MASK_FROM_X)
            d = (lane_floats)((x * a + b > zero) & (lane_bits)d);
        if (store)
            *(lane_floats *)(g->d_y + at) = d;
        sum += d;
        product += d * (x - mean);
    }
    memcpy(s1, &sum, sizeof sum);
    memcpy(s2, &product, sizeof product);
}

KERNEL_INLINE void backward_sums_choose(const struct norm_slab *slab, const struct norm_gradient *g, enum mask mask,
                                        float *s1, float *s2)
{
    if (g->d_y_other != NULL)
        backward_sums_rows(slab, g, mask, true, true, s1, s2);
    else if (g->store)
        backward_sums_rows(slab, g, mask, false, true, s1, s2);
    else
        backward_sums_rows(slab, g, mask, false, false, s1, s2);
}

KERNEL_CLONES
void kernel_norm_backward_sums(const struct norm_slab *slab, const struct norm_gradient *g, float s1[NORM_LANES],
                               float s2[NORM_LANES])
{
    enum mask mask = mask_of(g);
    if (slab->lanes < NORM_LANES) {
        for (size_t row = 0; row < slab->rows; row++) {
            for (size_t lane = 0; lane < slab->lanes; lane++) {
                size_t at = row * slab->stride + lane;
                float d = masked(g, mask, at, lane, g->d_y_other != NULL);
                if (g->store)
                    g->d_y[at] = d;
                s1[lane] += d;
                s2[lane] += d * (g->x[at] - g->mean[lane]);
            }
        }
    } else if (mask == MASK_NONE) {
        backward_sums_choose(slab, g, MASK_NONE, s1, s2);
    } else if (mask == MASK_FROM_Y) {
        backward_sums_choose(slab, g, MASK_FROM_Y, s1, s2);
    } else {
        backward_sums_choose(slab, g, MASK_FROM_X, s1, s2);
    }
}

KERNEL_INLINE void backward_apply_rows(const struct norm_slab *slab, const struct norm_gradient *g, enum mask mask,
                                       const float *p, const float *q, const float *r, float *d_x)
{
    const lane_floats zero = {0.0f}, mean = *lanes_of(g->mean), a = *lanes_of(g->a), b = *lanes_of(g->b);
    const lane_floats factor = *lanes_of(p), slope = *lanes_of(q), rest = *lanes_of(r);
    for (size_t row = 0; row < slab->rows; row++) {
        size_t at = row * slab->stride;
        lane_floats x = *lanes_of(g->x + at), d = *lanes_of(g->d_y + at);
        if (mask == MASK_FROM_Y)
            d = (lane_floats)((*lanes_of(g->y + at) > zero) & (lane_bits)d);
        if (mask == MASK_FROM_X)
            d = (lane_floats)((x * a + b > zero) & (lane_bits)d);
        *(lane_floats *)(d_x + at) = factor * ((d + rest) + slope * (x - mean));
    }
}

KERNEL_CLONES
void kernel_norm_backward_apply(const struct norm_slab *slab, const struct norm_gradient *g, const float p[NORM_LANES],
                                const float q[NORM_LANES], const float r[NORM_LANES], float *d_x)
{
    enum mask mask = g->store ? MASK_NONE : mask_of(g);
    if (slab->lanes < NORM_LANES) {
        for (size_t row = 0; row < slab->rows; row++) {
            for (size_t lane = 0; lane < slab->lanes; lane++) {
                size_t at = row * slab->stride + lane;
                float d = masked(g, mask, at, lane, false);
                d_x[at] = p[lane] * ((d + r[lane]) + q[lane] * (g->x[at] - g->mean[lane]));
            }
        }
    } else if (mask == MASK_NONE) {
        backward_apply_rows(slab, g, MASK_NONE, p, q, r, d_x);
    } else if (mask == MASK_FROM_Y) {
        backward_apply_rows(slab, g, MASK_FROM_Y, p, q, r, d_x);
    } else {
        backward_apply_rows(slab, g, MASK_FROM_X, p, q, r, d_x);
    }
}
