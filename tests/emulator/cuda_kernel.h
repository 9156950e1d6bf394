/* The host twin of kernels/cuda_kernel.h: the .cu files compiled by g++ and run on the CPU.
 *
 *     g++ -std=c++17 -x c++ -Itests/emulator -Iinclude -ffp-contract=off -c kernels/cuda_pair.cu
 *
 * It needs nothing of the CUDA toolkit. What a kernel may use is what the other header's first comment lists. A launch
 * copies its arguments, as CUDA does, and joins the stream's queue (emulator.h); when it runs, the threads of a block
 * are fibers of one thread of the host and the blocks run one after another (emulator_kernels.cpp). A barrier or a
 * shuffle that not every thread reaches ends the program with a message that names the kernel.
 *
 * __shared__ is static thread_local: blocks run one at a time, and the emulator finds these variables in the program's
 * symbol table to fill them with NaN between blocks. */
#ifndef GRAPEVINE_TESTS_CUDA_KERNEL_H
#define GRAPEVINE_TESTS_CUDA_KERNEL_H

#include <float.h>
#include <functional>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <type_traits>

#include "emulator_number.h"

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __shared__ static thread_local

using cudaStream_t = struct CUstream_st *;

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned columns = 1, unsigned rows = 1, unsigned layers = 1) : x(columns), y(rows), z(layers)
    {
    }
};

/* Of the thread that runs. Kernels run under the emulator's lock, one thread at a time. */
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

/* 16 bytes of elements, loaded and stored at once; the address must be a multiple of 16. */
template <typename T> struct alignas(16) pack {
    enum { COUNT = 16 / sizeof(T) };
    T of[COUNT];
};

/* --- min and max, as device code has them: mixed signedness of one width compares as unsigned --- */

#define EMULATOR_MIN_MAX(result, left, right)                 \
    inline result min(left a, right b)                        \
    {                                                         \
        return (result)a < (result)b ? (result)a : (result)b; \
    }                                                         \
    inline result max(left a, right b)                        \
    {                                                         \
        return (result)a > (result)b ? (result)a : (result)b; \
    }
#define EMULATOR_MIN_MAX_INTEGER(width)                              \
    EMULATOR_MIN_MAX(width, width, width)                            \
    EMULATOR_MIN_MAX(unsigned width, unsigned width, unsigned width) \
    EMULATOR_MIN_MAX(unsigned width, width, unsigned width)          \
    EMULATOR_MIN_MAX(unsigned width, unsigned width, width)
EMULATOR_MIN_MAX_INTEGER(int)
EMULATOR_MIN_MAX_INTEGER(long)
EMULATOR_MIN_MAX_INTEGER(long long)
#undef EMULATOR_MIN_MAX_INTEGER
#undef EMULATOR_MIN_MAX

#define EMULATOR_MIN_MAX_FLOAT(type, minimum, maximum) \
    inline type min(type a, type b)                    \
    {                                                  \
        return minimum(a, b);                          \
    }                                                  \
    inline type max(type a, type b)                    \
    {                                                  \
        return maximum(a, b);                          \
    }
EMULATOR_MIN_MAX_FLOAT(float, fminf, fmaxf)
EMULATOR_MIN_MAX_FLOAT(double, fmin, fmax)
#undef EMULATOR_MIN_MAX_FLOAT

/* --- what threads of a block do together --- */

/* Wait for every thread of the block. */
void emulator_barrier(const char *file, int line);
/* Wait for every thread of the warp; the value that lane (own lane XOR lane_mask) brought. */
uint64_t emulator_shuffle(uint32_t mask, uint64_t value, int lane_mask, const char *file, int line);

template <typename T> inline T emulator_shuffle_value(uint32_t mask, T value, int lane_mask, const char *file, int line)
{
    static_assert(std::is_arithmetic<T>::value && (sizeof(T) == 4 || sizeof(T) == 8), "not a value to shuffle");
    uint64_t word = 0;
    memcpy(&word, &value, sizeof(value));
    word = emulator_shuffle(mask, word, lane_mask, file, line);
    memcpy(&value, &word, sizeof(value));
    return value;
}

#define __syncthreads() emulator_barrier(__FILE__, __LINE__)
#define __shfl_xor_sync(mask, value, lane_mask) emulator_shuffle_value((mask), (value), (lane_mask), __FILE__, __LINE__)

inline void __threadfence_system()
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* --- launch --- */

/* Enqueue `thread` to be called once for every thread of the grid; a cudaError_t. */
int emulator_launch(const char *kernel, dim3 grid, dim3 block, cudaStream_t stream, std::function<void()> thread);

/* A kernel with its launch configuration; the call converts the arguments to the parameters' types and copies them. */
template <typename... P> struct emulator_configured {
    const char *name;
    void (*kernel)(P...);
    dim3 grid, block;
    cudaStream_t stream;

    int operator()(P... arguments) const
    {
        void (*function)(P...) = kernel;
        return emulator_launch(name, grid, block, stream, [function, arguments...]() { function(arguments...); });
    }
};
template <typename... P>
inline emulator_configured<P...> emulator_configure(const char *name, void (*kernel)(P...), dim3 grid, dim3 block,
                                                    cudaStream_t stream)
{
    return emulator_configured<P...>{name, kernel, grid, block, stream};
}

/* Enqueue and return the launch's cudaError_t. */
#define LAUNCH(kernel, grid, block, stream, ...) \
    emulator_configure(#kernel, kernel, dim3(grid), dim3(block), (stream))(__VA_ARGS__)

#endif
