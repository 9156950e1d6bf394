/* CUDA kernels on flat fp32 vectors: the gradient event, the pair event, snapshots, norms, and the two changes of
 * layout between a flat vector and a network's working copy. Formulas: kernels/update.h, pair.h, reduce.h, whose
 * plain-C functions are the twins: the same bits. Only sums are taken in another order than the twin's; up to 10^8
 * elements, either result is within 1e-12 of the exact sum, relatively.
 *
 * Launchers as cuda_types.h says. Vectors are fp32, (count), in the canonical layout (PyTorch's, rows × channels × taps
 * for each tensor); pointers at any element boundary (the fast path needs 16 bytes). */
#ifndef GRAPEVINE_KERNELS_CUDA_VECTOR_H
#define GRAPEVINE_KERNELS_CUDA_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/cuda_types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CUDA_TILE = 2304 }; /* elements of a tile at most: 256 threads × 9 */

/* A piece of one tensor, contiguous in the flat vector, and where it lies in the working copy. A convolution's weight
 * (K, C, R, S) has taps R·S and lies in the working copy as (K, R, S, C'), C' ≥ C; a matrix (K, C) has one tap; a
 * matrix that reads flattened images (K, C·H·W) has taps H·W. Element (r, c, t) of the tile is
 *     flat[first + (r·channels + c)·taps + t]      working[to + r·row_stride + t·tap_stride + c]
 * The tiles of a table cover each element of the flat vector once, in ascending order. */
struct cuda_tile {
    uint64_t first;
    uint64_t to;
    uint32_t rows, channels, taps; /* rows·channels·taps ≤ CUDA_TILE */
    uint32_t row_stride, tap_stride;
    uint32_t wide; /* 1: the working copy of this tensor is fp32 (`wide` of cuda_working): biases, batch norm */
};

struct cuda_working {
    enum cuda_type type;
    void *narrow; /* of `type`: weights of convolutions and matrices */
    float *wide;  /* the others */
};

struct cuda_update {
    float mix, learning_rate, momentum, weight_decay;
    bool nesterov;
};

/* Gradient event: kernel_update with gradient_scale = *scale (scale NULL: 1). A negative *scale leaves the gradient
 * out: x and x̃ are advanced by mix, m is left alone (an overflow of fp16 gradients). x_tilde may be NULL. */
int cuda_update(struct CUstream_st *stream, const struct cuda_update *c, const float *scale, size_t count,
                size_t decayed, float *x, float *x_tilde, float *m, const float *g);
/* The same, and the new x rounded into the working copy in the same pass; `tiles` (tile_count) cover [0, count). */
int cuda_update_working(struct CUstream_st *stream, const struct cuda_update *c, const float *scale, size_t count,
                        size_t decayed, float *x, float *x_tilde, float *m, const float *g,
                        const struct cuda_tile *tiles, size_t tile_count, const struct cuda_working *working);
/* Working copy ← x, for the elements of the tiles. */
int cuda_cast(struct CUstream_st *stream, const struct cuda_tile *tiles, size_t tile_count, const float *x,
              const struct cuda_working *working);
/* Flat gradient ← *unscale × working-layout gradient (unscale NULL: 1), for tiles that are not wide; wide ones are left
 * alone: their kernels write the flat gradient themselves. `d_working` is fp32 or narrow as `type` says. */
int cuda_gather(struct CUstream_st *stream, const struct cuda_tile *tiles, size_t tile_count, enum cuda_type type,
                const void *d_working, const float *unscale, float *gradient);

/* Pair event: kernel_pair. x_tilde may be NULL. */
int cuda_pair(struct CUstream_st *stream, float mix, float alpha, float alpha_tilde, size_t count, float *x,
              float *x_tilde, const float *own, const float *peer);
/* Snapshot: kernel_snapshot. x_tilde may be NULL: a copy. */
int cuda_snapshot(struct CUstream_st *stream, float mix, size_t count, const float *x, const float *x_tilde,
                  float *out);

enum { CUDA_SUM_PARTS = 1024 };
/* *sum = Σ v² in float64, in an order that depends on the count alone; `parts` (CUDA_SUM_PARTS) is scratch. */
int cuda_sum_squares(struct CUstream_st *stream, size_t count, const float *v, double *parts, double *sum);
/* *scale = min(1, clip_norm/(√*sum_squares + 1e-6)), torch's factor, computed in float64; clip_norm ≤ 0: 1. Where the
 * sum is not finite −1, for an update without the gradient, and 1 is added to *left_out (unless NULL). With
 * `loss_scale` (not NULL; of fp16) also moves that: halved when the sum is not finite, doubled after 2000 finite steps
 * on end, counted in *good_steps; at most 2^24, at least 1; and then *unscale = 1/ *loss_scale. With loss_scale NULL,
 * unscale and good_steps are left alone. */
int cuda_clip(struct CUstream_st *stream, const double *sum_squares, double clip_norm, float *scale, uint64_t *left_out,
              float *loss_scale, float *unscale, uint32_t *good_steps);

#ifdef __cplusplus
}
#endif

#endif
