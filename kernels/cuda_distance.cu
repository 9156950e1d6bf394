/* What is asked of whole vectors, and scaling: the formulas of kernels/distance.h, spread.h and vector_digest.h. */
#include "kernels/cuda_distance.h"

#include <cuda_kernel.h>
#include "kernels/cuda_vector.h"
#include "kernels/distance.h"

enum { THREADS = 256, WARP = 32 };

/* The sum over a block's threads, in all threads of warp 0; every thread of the block calls it once. */
template <typename T> __device__ static T block_sum(T value)
{
    __shared__ T of_warp[THREADS / WARP];
    for (int mask = WARP / 2; mask > 0; mask /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, mask);
    if (threadIdx.x % WARP == 0)
        of_warp[threadIdx.x / WARP] = value;
    __syncthreads();
    value = threadIdx.x < THREADS / WARP ? of_warp[threadIdx.x] : T(0);
    for (int mask = WARP / 2; mask > 0; mask /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, mask);
    return value;
}

/* One thread block for a range of the blocks that are looked at. */
__global__ void distance_parts(size_t count, size_t stride, size_t looked_at, const float *own, const float *peer,
                               double *parts)
{
    double sum = 0.0;
    for (size_t block = blockIdx.x; block < looked_at; block += gridDim.x) {
        size_t first = block * stride * DISTANCE_BLOCK;
        size_t last = first + DISTANCE_BLOCK < count ? first + DISTANCE_BLOCK : count;
        for (size_t k = first + threadIdx.x; k < last; k += THREADS) {
            float difference = own[k] - peer[k];
            sum += static_cast<double>(difference) * static_cast<double>(difference);
        }
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

__global__ void distance_sum(int part_count, double factor, const double *parts, double *out)
{
    double sum = 0.0;
    for (int k = static_cast<int>(threadIdx.x); k < part_count; k += THREADS)
        sum += parts[k];
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        *out = sum * factor;
}

int cuda_pair_distance(struct CUstream_st *stream, size_t count, const float *own, const float *peer, double *parts,
                       double *sum)
{
    size_t stride = count <= DISTANCE_EXACT ? 1 : DISTANCE_STRIDE, span = stride * DISTANCE_BLOCK;
    size_t looked_at = (count + span - 1) / span, begin = (looked_at - 1) * span, used;
    used = (looked_at - 1) * DISTANCE_BLOCK +
           (count - begin < DISTANCE_BLOCK ? count - begin : static_cast<size_t>(DISTANCE_BLOCK));
    int grid = looked_at < CUDA_SUM_PARTS ? static_cast<int>(looked_at) : static_cast<int>(CUDA_SUM_PARTS);
    int code = LAUNCH(distance_parts, grid, THREADS, stream, count, stride, looked_at, own, peer, parts);
    double factor = static_cast<double>(count) / static_cast<double>(used) / 2;
    return code != 0 ? code : LAUNCH(distance_sum, 1, THREADS, stream, grid, factor, parts, sum);
}

/* Vectors are read twice, the second time out of the cache. */
__global__ void spread_parts(int vector_count, size_t count, const float *const *vectors, float *mean, double *parts)
{
    double sum = 0.0;
    for (size_t k = blockIdx.x * static_cast<size_t>(THREADS) + threadIdx.x; k < count;
         k += static_cast<size_t>(gridDim.x) * THREADS) {
        double center = 0.0, squares = 0.0;
        for (int i = 0; i < vector_count; i++)
            center += static_cast<double>(vectors[i][k]);
        center /= vector_count;
        for (int i = 0; i < vector_count; i++) {
            double difference = static_cast<double>(vectors[i][k]) - center;
            squares += difference * difference;
        }
        sum += squares;
        if (mean != NULL)
            mean[k] = static_cast<float>(center);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

int cuda_spread(struct CUstream_st *stream, int vector_count, size_t count, const float *const *vectors, float *mean,
                double *parts, double *sum)
{
    size_t blocks = (count + THREADS - 1) / THREADS;
    int grid = blocks < CUDA_SUM_PARTS ? static_cast<int>(blocks) : static_cast<int>(CUDA_SUM_PARTS);
    int code = LAUNCH(spread_parts, grid, THREADS, stream, vector_count, count, vectors, mean, parts);
    return code != 0 ? code : LAUNCH(distance_sum, 1, THREADS, stream, grid, 1.0, parts, sum);
}

/* A 64-bit word that __shfl_xor_sync takes. */
typedef unsigned long long digest_word;

__device__ __forceinline__ digest_word mix(digest_word word)
{
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9ull;
    word = (word ^ word >> 27) * 0x94d049bb133111ebull;
    return word ^ word >> 31;
}

__global__ void digest_parts(size_t count, const uint32_t *bits, digest_word *parts)
{
    digest_word sum = 0;
    for (size_t k = blockIdx.x * static_cast<size_t>(THREADS) + threadIdx.x; k < count;
         k += static_cast<size_t>(gridDim.x) * THREADS)
        sum += mix(static_cast<digest_word>(k) << 32 | bits[k]);
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

__global__ void digest_sum(int part_count, const digest_word *parts, digest_word *out)
{
    digest_word sum = 0;
    for (int k = static_cast<int>(threadIdx.x); k < part_count; k += THREADS)
        sum += parts[k];
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        *out = sum;
}

int cuda_digest(struct CUstream_st *stream, size_t count, const float *v, void *parts, void *digest)
{
    size_t blocks = (count + THREADS - 1) / THREADS;
    int grid = blocks < CUDA_SUM_PARTS ? static_cast<int>(blocks) : static_cast<int>(CUDA_SUM_PARTS);
    digest_word *of_blocks = static_cast<digest_word *>(parts);
    int code = LAUNCH(digest_parts, grid, THREADS, stream, count, reinterpret_cast<const uint32_t *>(v), of_blocks);
    return code != 0 ? code
                     : LAUNCH(digest_sum, 1, THREADS, stream, grid, of_blocks, static_cast<digest_word *>(digest));
}

__global__ void scale_vector(size_t count, float factor, float *v)
{
    for (size_t k = blockIdx.x * static_cast<size_t>(THREADS) + threadIdx.x; k < count;
         k += static_cast<size_t>(gridDim.x) * THREADS)
        v[k] *= factor;
}

int cuda_scale(struct CUstream_st *stream, size_t count, float factor, float *v)
{
    size_t blocks = (count + THREADS - 1) / THREADS;
    return LAUNCH(scale_vector, static_cast<int>(blocks < 2048 ? blocks : 2048), THREADS, stream, count, factor, v);
}
