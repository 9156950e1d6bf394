/* Weight gradient of a convolution on images of few channels. A block of output channels is a vector of lanes: each
 * pixel of d_out is loaded once for a row of taps, whose pixels of x are broadcast. Sums of one row of pixels stay in
 * registers; they are then added up, so that rounding grows with the number of rows, not of pixels. */
#include "device/cpu/cpu_narrow.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/clones.h"

enum { LANES_MAX = 16, KERNEL_MAX = 7, CHANNELS_MAX = 4 };

bool cpu_narrow_fits(const struct cpu_shape *in, const struct cpu_shape *out, int kernel)
{
    return in->block == 1 && in->channels <= CHANNELS_MAX && kernel <= KERNEL_MAX && kernel % 2 == 1 &&
           (out->block == 8 || out->block == 16);
}

/* What one block of output channels is summed from. */
struct narrow {
    const struct cpu_shape *in, *out;
    const float *x, *d_out;
    int kernel, stride, pad;
    size_t block;
};

/* sums (kernel, lanes) += Σ_w d_out[w] · x[w·stride + tap], over a row of d_out (width, lanes). */
KERNEL_INLINE void add_row(size_t lanes, int kernel, size_t width, size_t stride, const float *d_out, const float *x,
                           float *sums)
{
    float row[KERNEL_MAX][LANES_MAX] = {{0}};
    for (size_t w = 0; w < width; w++, d_out += lanes, x += stride)
        for (int tap = 0; tap < kernel; tap++) {
#pragma omp simd
            for (size_t lane = 0; lane < lanes; lane++)
                row[tap][lane] += d_out[lane] * x[tap];
        }
    for (int tap = 0; tap < kernel; tap++)
        for (size_t lane = 0; lane < lanes; lane++)
            sums[(size_t)tap * lanes + lane] += row[tap][lane];
}

/* The shapes that networks have, with constants that the compiler can unroll. */
KERNEL_CLONES static void add_known_row(size_t lanes, int kernel, size_t width, size_t stride, const float *d_out,
                                        const float *x, float *sums)
{
    if (lanes == 8 && kernel == 3)
        add_row(8, 3, width, stride, d_out, x, sums);
    else if (lanes == 16 && kernel == 3)
        add_row(16, 3, width, stride, d_out, x, sums);
    else if (lanes == 8)
        add_row(8, kernel, width, stride, d_out, x, sums);
    else
        add_row(16, kernel, width, stride, d_out, x, sums);
}

/* sums (kernel, kernel, lanes) of input channel `channel`; `padded` (width + 2 pad) has zeros at its ends. */
static void sum_channel(const struct narrow *n, size_t channel, float *padded, float *sums)
{
    const struct cpu_shape *in = n->in, *out = n->out;
    size_t lanes = out->block, row_size = (size_t)n->kernel * lanes;
    for (size_t image = 0; image < out->batch; image++)
        for (size_t row = 0; row < out->height; row++) {
            size_t top = row * (size_t)n->stride; /* of the window, counted from the padding's top */
            const float *d_out = n->d_out + cpu_shape_index(out, image, n->block * lanes, row, 0);
            for (int tap = 0; tap < n->kernel; tap++) {
                size_t from = top + (size_t)tap;
                if (from < (size_t)n->pad || from - (size_t)n->pad >= in->height)
                    continue;
                memcpy(padded + n->pad, n->x + cpu_shape_index(in, image, channel, from - (size_t)n->pad, 0),
                       in->width * sizeof *padded);
                add_known_row(lanes, n->kernel, out->width, (size_t)n->stride, d_out, padded,
                              sums + (size_t)tap * row_size);
            }
        }
}

static void sum_bias(const struct narrow *n, float *d_bias)
{
    const struct cpu_shape *out = n->out;
    size_t lanes = out->block, pixels = out->height * out->width;
    double sums[LANES_MAX] = {0};
    for (size_t image = 0; image < out->batch; image++) {
        const float *d_out = n->d_out + cpu_shape_index(out, image, n->block * lanes, 0, 0);
        for (size_t i = 0; i < pixels * lanes; i++)
            sums[i % lanes] += d_out[i];
    }
    for (size_t lane = 0; lane < lanes && n->block * lanes + lane < out->channels; lane++)
        d_bias[n->block * lanes + lane] = (float)sums[lane];
}

void cpu_narrow_gradient(const struct cpu_shape *in, const float *x, const struct cpu_shape *out, const float *d_out,
                         int kernel, int stride, int pad, float *d_weight, float *d_bias, int threads)
{
    size_t lanes = out->block, taps = (size_t)kernel * (size_t)kernel, blocks = cpu_shape_blocks(out);
    size_t padded_size = in->width + 2 * (size_t)pad, scratch_size = padded_size + taps * lanes;
    float *scratch = memory_zalloc(blocks * scratch_size, sizeof *scratch);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t block = 0; block < blocks; block++) {
        struct narrow narrow = {in, out, x, d_out, kernel, stride, pad, block};
        float *padded = scratch + block * scratch_size, *sums = padded + padded_size;
        for (size_t channel = 0; channel < in->channels; channel++) {
            memset(sums, 0, taps * lanes * sizeof *sums);
            sum_channel(&narrow, channel, padded, sums);
            for (size_t lane = 0; lane < lanes && block * lanes + lane < out->channels; lane++)
                for (size_t tap = 0; tap < taps; tap++)
                    d_weight[((block * lanes + lane) * in->channels + channel) * taps + tap] = sums[tap * lanes + lane];
        }
        if (d_bias != NULL)
            sum_bias(&narrow, d_bias);
    }
    free(scratch);
}
