/* Bias of a matrix (rows, columns), and its gradient; contract: kernels/cuda_layers.h.
 *
 * The forward pass is flat: the threads take as many accesses as are a multiple of a row's, so that a thread stays in
 * its columns. The gradient is a sum over rows by blocks of (width, height) threads, each of which adds its rows in
 * fp32; what the threads have is added in float64, by a tree of fixed shape. */
#include "kernels/cuda_layers.h"

#include <cuda_kernel.h>
#include <type_traits>

enum {
    THREADS = 256,
    BLOCKS = 528,      /* 132 processors × 4 */
    LOADS = 4,         /* that a thread has in flight */
    SUM_THREADS = 512, /* of a block that sums */
    NARROW = 32,       /* bytes of a row that such a block takes: one sector, so that there are many blocks, */
    WIDE = 128         /* or a cache line where many blocks share the rows */
};

/* One element, where a row is no multiple of 16 bytes. */
template <typename T> struct single {
    enum { COUNT = 1 };
    T of[COUNT];
};

template <typename T> __device__ __forceinline__ void set(T &element, float value)
{
    element = from_float<T>(value);
}

static unsigned divide_up(size_t a, size_t b)
{
    return (unsigned)((a + b - 1) / b);
}

/* Call `launch` with what a thread loads at once; only what type the value is of counts. */
template <typename T, typename F> static int with_access_of(int columns, F launch)
{
    return (size_t)columns * sizeof(T) % 16 == 0 ? launch(pack<T>()) : launch(single<T>());
}

template <typename F> static int with_access(enum cuda_type type, int columns, F launch)
{
    return type == CUDA_FP16   ? with_access_of<fp16>(columns, launch)
           : type == CUDA_BF16 ? with_access_of<bf16>(columns, launch)
                               : with_access_of<float>(columns, launch);
}

/* --- y += bias --- */

template <bool RELU, typename P, int COUNT> __device__ __forceinline__ P biased(const P &y, const float (&bias)[COUNT])
{
    P out;
    for (int i = 0; i < COUNT; i++) {
        float value = to_float(y.of[i]) + bias[i];
        set(out.of[i], RELU && value < 0.0f ? 0.0f : value);
    }
    return out;
}

/* `width` accesses are a row, `count` all of them. Where one does not exist the last one is loaded, for nothing: no
 * load waits for a branch. */
template <typename P, bool RELU>
__global__ void __launch_bounds__(THREADS, 4) bias_add(size_t count, unsigned width, const float *bias, P *y)
{
    enum { COUNT = P::COUNT };
    unsigned thread = blockIdx.x * THREADS + threadIdx.x, threads = gridDim.x * THREADS;
    size_t step = threads - threads % width;
    if (thread >= step)
        return;
    float addend[COUNT];
    for (int i = 0; i < COUNT; i++)
        addend[i] = bias != NULL ? bias[thread % width * COUNT + i] : 0.0f;
    for (size_t at = thread; at < count; at += LOADS * step) {
        P in[LOADS];
        for (int k = 0; k < LOADS; k++)
            in[k] = y[min(at + k * step, count - 1)];
        for (int k = 0; k < LOADS; k++) {
            if (k == 0 || at + k * step < count)
                y[at + k * step] = biased<RELU>(in[k], addend);
        }
    }
}

int cuda_bias(struct CUstream_st *stream, enum cuda_type type, size_t rows, int columns, const float *bias, bool relu,
              void *y)
{
    return with_access(type, columns, [&](auto access) {
        using P = decltype(access);
        unsigned width = (unsigned)columns / P::COUNT, least = divide_up(width, THREADS);
        unsigned wanted = min(divide_up(rows * width, THREADS * LOADS), (unsigned)BLOCKS);
        auto kernel = relu ? bias_add<P, true> : bias_add<P, false>;
        return LAUNCH(kernel, max(wanted, least), THREADS, stream, rows * width, width, bias, static_cast<P *>(y));
    });
}

/* --- sums over rows --- */

/* Add up what threads of the same column have; those in the first row of the block get the sums. Every thread of the
 * block calls it. */
template <int COUNT> static __device__ __forceinline__ void sum_columns(double (&sums)[COUNT])
{
    __shared__ double all[COUNT][SUM_THREADS];
    unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
    for (int i = 0; i < COUNT; i++)
        all[i][thread] = sums[i];
    for (unsigned half = SUM_THREADS / 2; half > 0; half /= 2) {
        if (half >= blockDim.y)
            continue;
        __syncthreads();
        if (threadIdx.y >= half || threadIdx.y + half >= blockDim.y)
            continue;
        for (int i = 0; i < COUNT; i++)
            all[i][thread] = sums[i] += all[i][thread + half * blockDim.x];
    }
}

/* out (gridDim.y, columns) = *unscale × Σ over the rows of each block; `width` accesses are a row. */
template <typename P>
__global__ void __launch_bounds__(SUM_THREADS, 2)
    bias_sums(size_t rows, unsigned width, const P *in, const float *unscale, float *out)
{
    enum { COUNT = P::COUNT };
    unsigned column = blockIdx.x * blockDim.x + threadIdx.x;
    size_t step = (size_t)gridDim.y * blockDim.y;
    float parts[COUNT] = {};
    for (size_t row = (size_t)blockIdx.y * blockDim.y + threadIdx.y; column < width && row < rows;
         row += LOADS * step) {
        P loaded[LOADS];
        for (int k = 0; k < LOADS; k++)
            loaded[k] = in[min(row + k * step, rows - 1) * width + column];
        for (int k = 0; k < LOADS; k++) {
            for (int i = 0; i < COUNT; i++)
                parts[i] += k == 0 || row + k * step < rows ? to_float(loaded[k].of[i]) : 0.0f;
        }
    }
    double sums[COUNT], scale = unscale != NULL ? *unscale : 1.0;
    for (int i = 0; i < COUNT; i++)
        sums[i] = parts[i];
    sum_columns(sums);
    for (int i = 0; threadIdx.y == 0 && column < width && i < COUNT; i++)
        out[((size_t)blockIdx.y * width + column) * COUNT + i] = (float)(sums[i] * scale);
}

/* Blocks side by side take `bytes` of a row each; `row_blocks` share the rows. */
static int launch_sums(struct CUstream_st *stream, enum cuda_type type, size_t rows, int columns, unsigned bytes,
                       unsigned row_blocks, const void *in, const float *unscale, float *out)
{
    return with_access(type, columns, [&](auto access) {
        using P = decltype(access);
        unsigned width = (unsigned)columns / P::COUNT, across = min(bytes / (unsigned)sizeof(P), width);
        unsigned height = (unsigned)min((size_t)(SUM_THREADS / across), max(rows, (size_t)1));
        dim3 grid(divide_up(width, across), row_blocks), block(across, height);
        return LAUNCH(bias_sums<P>, grid, block, stream, rows, width, static_cast<const P *>(in), unscale, out);
    });
}

int cuda_bias_backward(struct CUstream_st *stream, enum cuda_type type, size_t rows, int columns, const void *d_y,
                       const float *unscale, float *d_bias)
{
    return launch_sums(stream, type, rows, columns, NARROW, 1, d_y, unscale, d_bias);
}

int cuda_bias_backward_split(struct CUstream_st *stream, enum cuda_type type, size_t rows, int columns, const void *d_y,
                             const float *unscale, float *partial, float *d_bias)
{
    int error = launch_sums(stream, type, rows, columns, WIDE, CUDA_BIAS_PARTS, d_y, NULL, partial);
    if (error != 0)
        return error;
    return launch_sums(stream, CUDA_FP32, CUDA_BIAS_PARTS, columns, NARROW, 1, partial, unscale, d_bias);
}
