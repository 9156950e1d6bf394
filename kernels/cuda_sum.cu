/* Norm of a gradient on the device, and what follows from it; contract: kernels/cuda_vector.h.
 *
 * Σ v² is taken in float64, in an order that depends on the count alone. Elements come in fours; four number f belongs
 * to thread f mod (CUDA_SUM_PARTS × BLOCK), which keeps one sum for each place in a four and adds its fours in
 * ascending order; then a tree over the thread's places, the threads of a block and the blocks. Alignment changes how
 * elements are loaded, not where they are added. kernels/reduce.c adds in another order: its last bits may differ.
 * Terms are positive, so either result is within (additions one after another)·2^-53 of the exact sum, relatively: here
 * at most count/2^19 + 26, so 1e-12 up to 4·10^9 elements. */
#include "kernels/cuda_vector.h"

#include <cuda_kernel.h>
#include <float.h>

enum { BLOCK = 128, WARP = 32, WARPS = BLOCK / WARP, LANES = pack<float>::COUNT, IN_FLIGHT = 4 };

/* --- sum of squares --- */

struct sums {
    double of[LANES];
};

template <bool aligned> __device__ __forceinline__ pack<float> load_four(const float *v, size_t four);
template <> __device__ __forceinline__ pack<float> load_four<true>(const float *v, size_t four)
{
    return reinterpret_cast<const pack<float> *>(v)[four];
}
template <> __device__ __forceinline__ pack<float> load_four<false>(const float *v, size_t four)
{
    return {{v[four * LANES], v[four * LANES + 1], v[four * LANES + 2], v[four * LANES + 3]}};
}

__device__ __forceinline__ void add_squares(struct sums *sums, const pack<float> &values)
{
    for (unsigned i = 0; i < LANES; i++)
        sums->of[i] += (double)values.of[i] * (double)values.of[i];
}

/* Fours first, first + stride, ... below `fours`; several are loaded before the first is added. */
template <bool aligned>
__device__ __forceinline__ void add_fours(struct sums *sums, const float *v, size_t first, size_t stride, size_t fours)
{
    size_t four = first;
    for (; four + (IN_FLIGHT - 1) * stride < fours; four += IN_FLIGHT * stride) {
        pack<float> values[IN_FLIGHT];
        for (unsigned k = 0; k < IN_FLIGHT; k++)
            values[k] = load_four<aligned>(v, four + k * stride);
        for (unsigned k = 0; k < IN_FLIGHT; k++)
            add_squares(sums, values[k]);
    }
    for (; four < fours; four += stride)
        add_squares(sums, load_four<aligned>(v, four));
}

/* The sum over the block, for thread 0. */
__device__ __forceinline__ double sum_block(double value)
{
    __shared__ double warp_sums[WARPS];
    for (int distance = WARP / 2; distance > 0; distance /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, distance);
    if (threadIdx.x % WARP == 0)
        warp_sums[threadIdx.x / WARP] = value;
    __syncthreads();
    double sum = warp_sums[0];
    for (unsigned i = 1; i < WARPS; i++)
        sum += warp_sums[i];
    return sum;
}

/* Block b leaves its part in parts[b]. The elements beyond the last four go on where it ends. */
template <bool aligned> __global__ void sum_parts(size_t count, const float *__restrict__ v, double *__restrict__ parts)
{
    const size_t stride = (size_t)CUDA_SUM_PARTS * BLOCK;
    size_t thread = (size_t)blockIdx.x * BLOCK + threadIdx.x, fours = count / LANES;
    struct sums sums = {};
    add_fours<aligned>(&sums, v, thread, stride, fours);
    if (thread == fours % stride) {
        pack<float> rest = {};
        for (unsigned i = 0; i < LANES; i++)
            rest.of[i] = i < count % LANES ? v[fours * LANES + i] : 0.0f;
        add_squares(&sums, rest);
    }
    double part = sum_block((sums.of[0] + sums.of[1]) + (sums.of[2] + sums.of[3]));
    if (threadIdx.x == 0)
        parts[blockIdx.x] = part;
}

/* One block. */
__global__ void sum_total(const double *__restrict__ parts, double *__restrict__ sum)
{
    double mine = 0;
    for (unsigned i = threadIdx.x; i < CUDA_SUM_PARTS; i += BLOCK)
        mine += parts[i];
    double total = sum_block(mine);
    if (threadIdx.x == 0)
        *sum = total;
}

int cuda_sum_squares(struct CUstream_st *stream, size_t count, const float *v, double *parts, double *sum)
{
    auto sum_first = (uintptr_t)v % sizeof(pack<float>) == 0 ? sum_parts<true> : sum_parts<false>;
    int error = LAUNCH(sum_first, CUDA_SUM_PARTS, BLOCK, stream, count, v, parts);
    return error != 0 ? error : LAUNCH(sum_total, 1, BLOCK, stream, parts, sum);
}

/* --- clipping and the loss scale: one thread --- */

/* kernel_clip_scale of kernels/update.h */
__device__ __forceinline__ double clip_factor(double clip_norm, double sum_squares)
{
    const double guard = 1e-6;
    if (clip_norm <= 0)
        return 1;
    double scale = clip_norm / (sqrt(sum_squares) + guard);
    return scale < 1 ? scale : 1;
}

__device__ __forceinline__ float move_loss_scale(float loss_scale, bool finite, uint32_t *good_steps)
{
    const float least = 1.0f, most = 16777216.0f; /* 2^24 */
    const uint32_t patience = 2000;
    if (!finite) {
        *good_steps = 0;
        return max(loss_scale / 2, least);
    }
    if (++*good_steps < patience)
        return loss_scale;
    *good_steps = 0;
    return min(loss_scale * 2, most);
}

__global__ void clip(const double *sum_squares, double clip_norm, float *scale, uint64_t *left_out, float *loss_scale,
                     float *unscale, uint32_t *good_steps)
{
    bool finite = *sum_squares <= DBL_MAX; /* not of NaN */
    *scale = finite ? (float)clip_factor(clip_norm, *sum_squares) : -1.0f;
    if (!finite && left_out != NULL)
        ++*left_out;
    if (loss_scale != NULL) {
        *loss_scale = move_loss_scale(*loss_scale, finite, good_steps);
        *unscale = 1 / *loss_scale;
    }
}

int cuda_clip(struct CUstream_st *stream, const double *sum_squares, double clip_norm, float *scale,
              uint64_t *left_out, float *loss_scale, float *unscale, uint32_t *good_steps)
{
    return LAUNCH(clip, 1, 1, stream, sum_squares, clip_norm, scale, left_out, loss_scale, unscale, good_steps);
}
