/* Resampling of pixels (kernels/resample.h): whole rows in vectors, then one pixel's three channels at a time. */
#include "kernels/resample.h"

#include <math.h>

#include "kernels/clones.h"
#include "kernels/resample_vectors.h"

enum { ROWS_AT_ONCE = 4 };

typedef float pixel __attribute__((vector_size(4 * sizeof(float)), aligned(4), may_alias));

#if defined(__clang__) || __GNUC__ >= 12
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef int order __attribute__((vector_size(4 * sizeof(int))));
#define PICK(a, b, ...) __builtin_shuffle(a, b, (order){__VA_ARGS__})
#endif

static double half_width(const struct resample_span *span)
{
    return fmax(span->length / span->out_total, 1);
}

int kernel_resample_taps(const struct resample_span *span)
{
    int taps = (int)ceil(2 * half_width(span));
    return taps < span->in_count ? taps : span->in_count;
}

/* The weights of elements [from, from + taps), 0 but for those in [low, high) within `width` of the center. */
static void fill_weights(double center, double width, int from, int low, int high, int taps, float *weights)
{
    float sum = 0, slope = (float)(1 / width), at = (float)((from + 0.5 - center) / width);
    for (int k = 0; k < taps; k++, at += slope) {
        float apart = fabsf(at), weight = apart < 1 ? 1 - apart : 0;
        sum += weights[k] = from + k >= low && from + k < high ? weight : 0;
    }
    for (int k = 0; k < taps; k++)
        weights[k] /= sum;
}

void kernel_resample_axis(const struct resample_span *span, bool mirrored, struct resample_axis *axis)
{
    double step = span->length / span->out_total, width = half_width(span);
    int low = (int)fmax(floor(span->begin), 0), high = (int)fmin(ceil(span->begin + span->length), span->in_count);
    for (int i = 0; i < span->out_count; i++) {
        double center = span->begin + (span->out_first + i + 0.5) * step;
        int from = (int)floor(center - width + 0.5), to = mirrored ? span->out_count - 1 - i : i;
        from = from < 0 ? 0 : from;
        from = from + axis->taps > span->in_count ? span->in_count - axis->taps : from;
        axis->first[to] = from;
        fill_weights(center, width, from, low, high, axis->taps, axis->weights + (size_t)to * (size_t)axis->taps);
    }
}

/* `out` (+)= the weighted sum of so many rows; with a number that the compiler knows, in vectors. */
KERNEL_INLINE void sum_rows(size_t count, int taps, const uint8_t *const *rows, const float *weights, bool more,
                            float *restrict out)
{
    const uint8_t *row[ROWS_AT_ONCE];
    float weight[ROWS_AT_ONCE];
    for (int k = 0; k < taps; k++) {
        row[k] = rows[k];
        weight[k] = weights[k];
    }
    for (size_t j = 0; j < count; j++) {
        float sum = more ? out[j] : 0;
        for (int k = 0; k < taps; k++)
            sum += weight[k] * (float)row[k][j];
        out[j] = sum;
    }
}

KERNEL_CLONES
static void sum_all_rows(size_t count, int taps, const uint8_t *const *rows, const float *weights, float *out)
{
    for (int k = 0; k < taps; k += ROWS_AT_ONCE)
        switch (taps - k) {
        case 1:
            sum_rows(count, 1, rows + k, weights + k, k > 0, out);
            break;
        case 2:
            sum_rows(count, 2, rows + k, weights + k, k > 0, out);
            break;
        case 3:
            sum_rows(count, 3, rows + k, weights + k, k > 0, out);
            break;
        default:
            sum_rows(count, ROWS_AT_ONCE, rows + k, weights + k, k > 0, out);
        }
}

void kernel_resample_rows(size_t count, int taps, const uint8_t *const *rows, const float *weights, float *out)
{
    if (resample_vectors_known())
        resample_vectors_rows(count, taps, rows, weights, out);
    else
        sum_all_rows(count, taps, rows, weights, out);
}

bool kernel_resample_lanes(const struct resample_axis *axis, int out_count)
{
    return resample_vectors_known() && resample_vectors_lanes(axis, out_count);
}

/* One element of the result, all its channels (and one number more, of no meaning). */
KERNEL_INLINE pixel resample(const float *from, const float *weights, int taps)
{
    pixel sum = {0.0f};
    for (int k = 0; k < taps; k++)
        sum += weights[k] * *(const pixel *)(from + k * RESAMPLE_CHANNELS);
    return sum;
}

/* Four elements at a time, turned so that each channel's lie side by side. */
KERNEL_INLINE void resample_all(const struct resample_axis *axis, int taps, int done, int out_count, const float *row,
                                const float *factor, const float *shift, float *const *planes)
{
    int i = done;
    for (; i + 4 <= out_count; i += 4) {
        pixel at[4];
        for (int part = 0; part < 4; part++)
            at[part] = resample(row + axis->first[i + part] * RESAMPLE_CHANNELS,
                                axis->weights + (i + part) * axis->taps, taps);
        pixel low = PICK(at[0], at[1], 0, 4, 1, 5);
        pixel high = PICK(at[2], at[3], 0, 4, 1, 5);
        pixel third = PICK(PICK(at[0], at[1], 2, 6, 2, 6), PICK(at[2], at[3], 2, 6, 2, 6), 0, 1, 4, 5);
        *(pixel *)(planes[0] + i) = factor[0] * PICK(low, high, 0, 1, 4, 5) + shift[0];
        *(pixel *)(planes[1] + i) = factor[1] * PICK(low, high, 2, 3, 6, 7) + shift[1];
        *(pixel *)(planes[2] + i) = factor[2] * third + shift[2];
    }
    for (; i < out_count; i++) {
        pixel one = resample(row + axis->first[i] * RESAMPLE_CHANNELS, axis->weights + i * axis->taps, taps);
        for (int c = 0; c < RESAMPLE_CHANNELS; c++)
            planes[c][i] = factor[c] * one[c] + shift[c];
    }
}

KERNEL_CLONES
static void resample_rest(const struct resample_axis *axis, int done, int out_count, const float *row,
                          const float *factor, const float *shift, float *const *planes)
{
    switch (axis->taps) { /* the usual ones, without a loop */
    case 2:
        resample_all(axis, 2, done, out_count, row, factor, shift, planes);
        break;
    case 3:
        resample_all(axis, 3, done, out_count, row, factor, shift, planes);
        break;
    case 4:
        resample_all(axis, 4, done, out_count, row, factor, shift, planes);
        break;
    default:
        resample_all(axis, axis->taps, done, out_count, row, factor, shift, planes);
    }
}

void kernel_resample_columns(const struct resample_axis *axis, int out_count, const float *row,
                             const float factor[RESAMPLE_CHANNELS], const float shift[RESAMPLE_CHANNELS],
                             float *const planes[RESAMPLE_CHANNELS])
{
    int done = axis->lanes != NULL ? resample_vectors_columns(axis, out_count, row, factor, shift, planes) : 0;
    if (done < out_count)
        resample_rest(axis, done, out_count, row, factor, shift, planes);
}
