/* What the CUDA kernels are written in: the toolkit's headers, conversions, and one way to launch. Private to kernels/.
 *
 * The tests compile the same .cu files for the host with another header of this name, found first on the include path,
 * in which a launch runs every thread of every block. A kernel therefore uses what stands here and
 *     threadIdx, blockIdx, blockDim, gridDim (x, y), __global__, __device__, __forceinline__, __restrict__,
 *     __shared__ arrays of fixed size, __syncthreads, __shfl_xor_sync over whole warps, __threadfence_system
 * and nothing else of CUDA: no atomics, no dynamic shared memory, no other intrinsic. */
#ifndef GRAPEVINE_KERNELS_CUDA_KERNEL_H
#define GRAPEVINE_KERNELS_CUDA_KERNEL_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>

typedef __half fp16;
typedef __nv_bfloat16 bf16;

__device__ __forceinline__ float to_float(float value)
{
    return value;
}
__device__ __forceinline__ float to_float(fp16 value)
{
    return __half2float(value);
}
__device__ __forceinline__ float to_float(bf16 value)
{
    return __bfloat162float(value);
}

template <typename T> __device__ __forceinline__ T from_float(float value);
template <> __device__ __forceinline__ float from_float<float>(float value)
{
    return value;
}
template <> __device__ __forceinline__ fp16 from_float<fp16>(float value)
{
    return __float2half_rn(value);
}
template <> __device__ __forceinline__ bf16 from_float<bf16>(float value)
{
    return __float2bfloat16_rn(value);
}

/* 16 bytes of elements, loaded and stored at once; the address must be a multiple of 16. */
template <typename T> struct alignas(16) pack {
    enum { COUNT = 16 / sizeof(T) };
    T of[COUNT];
};

/* Enqueue and return the launch's cudaError_t. */
#define LAUNCH(kernel, grid, block, stream, ...) \
    (kernel<<<(grid), (block), 0, (stream)>>>(__VA_ARGS__), static_cast<int>(cudaPeekAtLastError()))

#endif
