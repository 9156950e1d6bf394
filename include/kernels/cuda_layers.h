/* CUDA kernels of network layers that have no fused form in the libraries. Activations are NHWC: (pixels, channels)
 * with pixels = batch × height × width, the channels of a pixel contiguous and `channels` apart, stored as `type`;
 * coefficients, statistics and parameter gradients are fp32.
 *
 * Launchers as cuda_types.h says. Any number of channels works; where channels × size of an element is a multiple of
 * 16, accesses are of 16 bytes. NaN passes through max and ReLU, so that a diverged network is seen in its loss. */
#ifndef GRAPEVINE_KERNELS_CUDA_LAYERS_H
#define GRAPEVINE_KERNELS_CUDA_LAYERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/cuda_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- batch norm (Ioffe and Szegedy 2015), with residual and ReLU: y = relu(a·x + b + residual) ---
 *
 * a = scale/σ, b = shift − mean·a. Backward, with d = the sum of the gradients of y, zero where the ReLU was closed:
 *     s1 = Σ d,  s2 = Σ d·(x − mean);  d_shift = s1, d_scale = s2/σ
 *     d_x = a·(d − s1/n − (x − mean)·s2/(n·σ²)) = p·((d + r) + q·(x − mean))
 * The ReLU was open where y > 0 if y is given (needed with a residual), else where a·x + b > 0. */

struct cuda_matrix { /* of activations */
    size_t pixels;
    int channels;
    enum cuda_type type;
};

/* Blocks that the sums over pixels are split into, for this shape; partial sums are (blocks, 2, channels) floats. */
int cuda_norm_blocks(const struct cuda_matrix *shape);

/* Per block and channel: Σ (x − x_0) and Σ (x − x_0)², x_0 the channel's value in the first pixel. */
int cuda_norm_sums(struct CUstream_st *stream, const struct cuda_matrix *shape, const void *x, float *partial);

struct cuda_norm_state { /* device memory, each (channels) */
    const float *scale, *shift;
    float *running_mean, *running_variance;
    float *mean, *inverse; /* written: of this batch; inverse = 1/√(variance + epsilon) */
    float *a, *b;          /* written */
};
/* From the partial sums to the batch's coefficients, summed in float64; running statistics move by `momentum`, with the
 * unbiased variance. `sums` is what cuda_norm_sums left, with x its input; or, with x NULL, plain (1, 2, channels)
 * sums of x and x². */
int cuda_norm_finish(struct CUstream_st *stream, const struct cuda_matrix *shape, const void *x, const float *sums,
                     int blocks, double epsilon, double momentum, const struct cuda_norm_state *state);
/* a and b from the running statistics (evaluation). */
int cuda_norm_running(struct CUstream_st *stream, int channels, double epsilon, const struct cuda_norm_state *state);

/* y = a·x + b (+ residual), then relu if `relu`. residual may be NULL; y may be x or residual. */
int cuda_norm_apply(struct CUstream_st *stream, const struct cuda_matrix *shape, bool relu, const void *x,
                    const float *a, const float *b, const void *residual, void *y);

struct cuda_norm_backward { /* device memory */
    const void *x;
    const void *y; /* NULL: the mask is found again from x */
    const void *d_y;
    const void *d_y_other; /* a second part of the gradient, or NULL */
    const float *a, *b, *mean;
    bool relu;
};
/* Per block and channel: s1 and s2, (blocks, 2, channels). */
int cuda_norm_backward_sums(struct CUstream_st *stream, const struct cuda_matrix *shape,
                            const struct cuda_norm_backward *g, float *partial);
/* d_scale and d_shift (channels), times *unscale (NULL: 1), and the coefficients p, q, r (channels) of the next pass.
 * */
int cuda_norm_backward_finish(struct CUstream_st *stream, const struct cuda_matrix *shape, const float *partial,
                              int blocks, const float *a, const float *inverse, const float *unscale, float *d_scale,
                              float *d_shift, float *p, float *q, float *r);
/* d_x; and d_residual = d where that is wanted (not NULL). Either may be d_y or d_y_other, d_x may be x. */
int cuda_norm_backward_apply(struct CUstream_st *stream, const struct cuda_matrix *shape,
                             const struct cuda_norm_backward *g, const float *p, const float *q, const float *r,
                             void *d_x, void *d_residual);

/* --- pooling: x (batch, height, width, channels), y (batch, out_height, out_width, channels) --- */

struct cuda_pool {
    size_t batch;
    int channels, height, width, out_height, out_width;
    int kernel, stride, pad; /* max pooling */
    enum cuda_type type;
};
/* `place` (like y): which of the window's kernel² places the maximum came from, the first of equals; NaN wins. */
int cuda_max_pool(struct CUstream_st *stream, const struct cuda_pool *pool, const void *x, void *y, uint8_t *place);
/* Each element of d_x gathers from the windows that chose it: no atomics. */
int cuda_max_pool_backward(struct CUstream_st *stream, const struct cuda_pool *pool, const void *d_y,
                           const uint8_t *place, void *d_x);
/* Adaptive average pooling, PyTorch's bins: floor(i·H/out) … ceil((i+1)·H/out). */
int cuda_average_pool(struct CUstream_st *stream, const struct cuda_pool *pool, const void *x, void *y);
int cuda_average_pool_backward(struct CUstream_st *stream, const struct cuda_pool *pool, const void *d_y, void *d_x);

/* --- element by element; in place is allowed --- */

int cuda_relu(struct CUstream_st *stream, enum cuda_type type, size_t count, const void *x, void *y);
/* d_x = d_y where y > 0, else 0 */
int cuda_relu_backward(struct CUstream_st *stream, enum cuda_type type, size_t count, const void *y, const void *d_y,
                       void *d_x);
int cuda_add(struct CUstream_st *stream, enum cuda_type type, size_t count, void *sum, const void *part);
/* y = x/(1 − rate), or 0 with probability rate: element i drops where word i mod 4 of block i/4 of the Philox4x32-10
 * stream with counter (i/4, node) and key *seed is below rate·2³²: counter words (i/4 mod 2³², i/4 div 2³², node, 0),
 * key words (low, high). Forward and backward are the same map. `seed` is device memory. */
int cuda_dropout(struct CUstream_st *stream, enum cuda_type type, size_t count, double rate, const uint64_t *seed,
                 uint32_t node, const void *x, void *y);
/* y (rows, columns) += bias (columns), then relu if `relu`. bias may be NULL. */
int cuda_bias(struct CUstream_st *stream, enum cuda_type type, size_t rows, int columns, const float *bias, bool relu,
              void *y);
/* d_bias (columns) = *unscale × Σ over rows of d_y; rows in fixed blocks, float64 across them. */
int cuda_bias_backward(struct CUstream_st *stream, enum cuda_type type, size_t rows, int columns, const void *d_y,
                       const float *unscale, float *d_bias);
enum { CUDA_BIAS_PARTS = 132 };
/* The same for many rows and few columns (a convolution's bias): fast where the one above has too few blocks. `partial`
 * (CUDA_BIAS_PARTS, columns) is scratch. */
int cuda_bias_backward_split(struct CUstream_st *stream, enum cuda_type type, size_t rows, int columns, const void *d_y,
                             const float *unscale, float *partial, float *d_bias);
/* fp32 → type, element by element; in place for fp32 only. */
int cuda_narrow(struct CUstream_st *stream, enum cuda_type type, size_t count, const float *x, void *y);

/* --- quadratic (NET_QUADRATIC), fp32: y_k = √a_k (w_k − x_k), a_k = condition^(−k/(d − 1)), a_0 = 1;
 * k counts (channel, pixel), and x lies as (pixel, channel): `pixels` divides the dimension --- */
int cuda_quadratic(struct CUstream_st *stream, size_t batch, int dimension, int pixels, double condition,
                   const float *w, const float *x, float *y);
/* d_w_k = Σ over the batch of √a_k d_y_k, in order of the batch. */
int cuda_quadratic_backward(struct CUstream_st *stream, size_t batch, int dimension, double condition, const float *d_y,
                            float *d_w);

/* d_x_k = −√a_k d_y_k, d_x lying as x */
int cuda_quadratic_backward_input(struct CUstream_st *stream, size_t batch, int dimension, int pixels, double condition,
                                  const float *d_y, float *d_x);

/* --- loss of fp32 logits (batch, classes); NET_LOSS_* of device/net_spec.h --- */

enum cuda_loss_kind { CUDA_LOSS_CROSS_ENTROPY, CUDA_LOSS_SQUARED, CUDA_LOSS_SQUARED_NORM };

struct cuda_loss {
    enum cuda_loss_kind kind;
    size_t batch;
    int classes;
    double label_smoothing; /* CROSS_ENTROPY: ε of the target (1 − ε) one-hot + ε/classes; 0: none */
};
enum { CUDA_TOP5 = 5 };
/* What a step leaves for the host, in mapped memory; `serial` is written last, after a system-wide fence. */
struct cuda_outcome {
    double loss; /* mean over *real pictures */
    uint32_t correct, correct_top5, finite, unused;
    uint64_t serial;
};
/* Loss of the first *real rows (device memory; others count for nothing), correct guesses (no class, or fewer than
 * CUDA_TOP5, come before the label: a larger logit, or the same and a smaller number; NaN is larger than any number,
 * and a label whose own logit is NaN comes last), and, where d_logits is not NULL, the gradient of the mean loss times
 * *loss_scale (NULL: 1), zero in rows beyond. `losses` (batch) and `places` (batch) are scratch. outcomes[*serial mod
 * outcome_count] gets the sums, float64 in order of the rows, with serial = *serial. labels may be NULL for
 * SQUARED_NORM. */
int cuda_loss(struct CUstream_st *stream, const struct cuda_loss *loss, const float *logits, const int32_t *labels,
              const uint32_t *real, const float *loss_scale, float *d_logits, float *losses, uint8_t *places,
              const uint64_t *serial, struct cuda_outcome *outcomes, int outcome_count);

/* --- pictures → activations (batch, height, width, stored_channels), zeros in channels beyond `channels` --- */

struct cuda_pictures {
    size_t batch;
    int channels, height, width, stored_channels;
    enum cuda_type type;
};
/* One picture of a batch out of a set that lies in device memory; data/memory_set.c is the twin. */
struct cuda_pick {
    uint32_t index;
    int8_t row, column; /* where the crop begins, beyond the border: pixel value 0 */
    uint8_t mirrored, unused;
};
/* pixels (set, channels, height, width) bytes; normalised (channels, 256). */
int cuda_pictures_from_bytes(struct CUstream_st *stream, const struct cuda_pictures *shape, const uint8_t *pixels,
                             const float *normalised, const struct cuda_pick *picks, void *out);
/* planes (batch, channels, height, width) fp32; pictures from *real on are zeros. */
int cuda_pictures_from_planes(struct CUstream_st *stream, const struct cuda_pictures *shape, const float *planes,
                              const uint32_t *real, void *out);

#ifdef __cplusplus
}
#endif

#endif
