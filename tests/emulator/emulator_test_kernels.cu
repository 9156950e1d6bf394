// Kernels of tests/unit/emulator_test.cpp, right ones and wrong ones.
#include "cuda_kernel.h"

#include "emulator_test_kernels.h"

template <typename T> __global__ void convert(size_t count, const float *x, T *narrow, float *back)
{
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) {
        narrow[i] = from_float<T>(x[i]);
        back[i] = to_float(narrow[i]);
    }
}

int launch_convert(struct CUstream_st *stream, int type, size_t count, const float *x, void *narrow, float *back)
{
    unsigned blocks = (unsigned)((count + 255) / 256);
    if (type == 16)
        return LAUNCH(convert<fp16>, blocks, 256, stream, count, x, static_cast<fp16 *>(narrow), back);
    return LAUNCH(convert<bf16>, blocks, 256, stream, count, x, static_cast<bf16 *>(narrow), back);
}

__global__ void add_one(size_t count, float *x)
{
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count)
        x[i] += 1.0f;
}

int launch_add_one(struct CUstream_st *stream, size_t count, float *x)
{
    return LAUNCH(add_one, (unsigned)((count + 127) / 128), 128, stream, count, x);
}

/* Block sums by shuffles and one barrier: out[block] = Σ x of its 256 threads, for a block of 64 by 4. */
__global__ void sum_blocks(const float *x, float *out)
{
    __shared__ float parts[8];
    unsigned thread = threadIdx.y * blockDim.x + threadIdx.x, block = blockIdx.y * gridDim.x + blockIdx.x;
    float sum = x[block * 256 + thread];
    for (int lane = 16; lane > 0; lane /= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, lane);
    if (thread % 32 == 0)
        parts[thread / 32] = sum;
    __syncthreads();
    if (thread == 0) {
        sum = 0;
        for (int i = 0; i < 8; i++)
            sum += parts[i];
        out[block] = sum;
    }
}

int launch_sum_blocks(struct CUstream_st *stream, const float *x, float *out)
{
    return LAUNCH(sum_blocks, dim3(3, 2), dim3(64, 4), stream, x, out);
}

/* Every type that a shuffle takes: out[thread] is the sum of what lane XOR 5 brought. */
__global__ void shuffle_types(double *out)
{
    unsigned t = threadIdx.x;
    double sum = __shfl_xor_sync(0xffffffffu, 0.5 + t, 5);
    sum += __shfl_xor_sync(0xffffffffu, (float)t, 5);
    sum += __shfl_xor_sync(0xffffffffu, -(int)t, 5);
    sum += __shfl_xor_sync(0xffffffffu, (uint32_t)t, 5);
    sum += (double)__shfl_xor_sync(0xffffffffu, (uint64_t)t << 33, 5);
    out[t] = sum;
}

int launch_shuffle_types(struct CUstream_st *stream, double *out)
{
    return LAUNCH(shuffle_types, 1, 96, stream, out);
}

/* What a block finds in shared memory that it has not written. */
__global__ void read_stale(float *out)
{
    __shared__ float shared[32];
    out[blockIdx.x * 32 + threadIdx.x] = shared[threadIdx.x];
    shared[threadIdx.x] = 1.0f;
}

int launch_read_stale(struct CUstream_st *stream, float *out)
{
    return LAUNCH(read_stale, 2, 32, stream, out);
}

/* Neighbours' values, with a barrier where it belongs or without. */
template <bool WAITS> __global__ void rotate(float *x)
{
    __shared__ float shared[64];
    shared[threadIdx.x] = x[threadIdx.x];
    if (WAITS)
        __syncthreads();
    x[threadIdx.x] = shared[(threadIdx.x + 1) % 64];
}

int launch_rotate(struct CUstream_st *stream, int waits, float *x)
{
    return waits ? LAUNCH(rotate<true>, 1, 64, stream, x) : LAUNCH(rotate<false>, 1, 64, stream, x);
}

__global__ void divergent_barrier(int missing)
{
    if ((int)threadIdx.x != missing)
        __syncthreads();
}

int launch_divergent_barrier(struct CUstream_st *stream)
{
    return LAUNCH(divergent_barrier, 1, 64, stream, 7);
}

__global__ void divergent_shuffle(float *out)
{
    if (threadIdx.x < 16)
        out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
}

int launch_divergent_shuffle(struct CUstream_st *stream, float *out)
{
    return LAUNCH(divergent_shuffle, 1, 32, stream, out);
}

int launch_too_large(struct CUstream_st *stream, float *x)
{
    return LAUNCH(add_one, 1, 2048, stream, (size_t)1, x);
}
