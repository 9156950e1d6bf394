/* Passes over flat arrays, dropout, and the quadratic; contract: kernels/cuda_layers.h.
 *
 * Flat passes are bound by memory: a thread loads up to four pieces of 16 bytes before it computes; what is left behind
 * the last full piece goes element by element. Dropout stores no mask: an element's draw is named by its index. */
#include "kernels/cuda_layers.h"

#include <cuda_kernel.h>
#include <math.h>

enum {
    THREADS = 256,
    BLOCKS = 1056, /* 132 processors × 8 */
    LOADS = 4      /* that a thread has in flight of each input */
};

/* Elements that a thread takes at once, in accesses of up to 16 bytes. */
template <typename T, int N> struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) piece {
    T of[N];
};

static unsigned blocks_for(size_t items, unsigned per_thread)
{
    size_t wanted = (items + (size_t)THREADS * per_thread - 1) / ((size_t)THREADS * per_thread);
    return (unsigned)min(max(wanted, (size_t)1), (size_t)BLOCKS);
}

/* Call `launch` with a value of the type; only what type it is counts. */
template <typename F> static int with_type(enum cuda_type type, F launch)
{
    return type == CUDA_FP16 ? launch(fp16()) : type == CUDA_BF16 ? launch(bf16()) : launch(0.0f);
}

/* --- y = map(x), out = map(x, y) --- */

struct relu {
    /* NaN passes. */
    static __device__ __forceinline__ float of(float x)
    {
        return x < 0.0f ? 0.0f : x;
    }
};

struct same {
    static __device__ __forceinline__ float of(float x)
    {
        return x;
    }
};

struct open_where_positive {
    static __device__ __forceinline__ float of(float y, float d_y)
    {
        return y > 0.0f ? d_y : 0.0f;
    }
};

struct sum {
    static __device__ __forceinline__ float of(float a, float b)
    {
        return a + b;
    }
};

/* Where a piece does not exist the last one is loaded, for nothing: no load waits for a branch. */
template <typename Map, typename X, typename Y, int N>
__global__ void __launch_bounds__(THREADS, 4) map_one(size_t count, const X *x, Y *y)
{
    size_t thread = (size_t)blockIdx.x * THREADS + threadIdx.x, step = (size_t)gridDim.x * THREADS;
    size_t pieces = count / N, rest = pieces * N + thread;
    const piece<X, N> *from = reinterpret_cast<const piece<X, N> *>(x);
    for (size_t at = thread; at < pieces; at += LOADS * step) {
        piece<X, N> in[LOADS];
        for (int k = 0; k < LOADS; k++)
            in[k] = from[min(at + k * step, pieces - 1)];
        for (int k = 0; k < LOADS; k++) {
            piece<Y, N> out;
            for (int i = 0; i < N; i++)
                out.of[i] = from_float<Y>(Map::of(to_float(in[k].of[i])));
            if (k == 0 || at + k * step < pieces)
                reinterpret_cast<piece<Y, N> *>(y)[at + k * step] = out;
        }
    }
    if (rest < count)
        y[rest] = from_float<Y>(Map::of(to_float(x[rest])));
}

template <typename Map, typename T, int N>
__global__ void __launch_bounds__(THREADS, 4) map_two(size_t count, const T *x, const T *y, T *out)
{
    size_t thread = (size_t)blockIdx.x * THREADS + threadIdx.x, step = (size_t)gridDim.x * THREADS;
    size_t pieces = count / N, rest = pieces * N + thread;
    for (size_t at = thread; at < pieces; at += LOADS * step) {
        piece<T, N> first[LOADS], second[LOADS];
        for (int k = 0; k < LOADS; k++) {
            first[k] = reinterpret_cast<const piece<T, N> *>(x)[min(at + k * step, pieces - 1)];
            second[k] = reinterpret_cast<const piece<T, N> *>(y)[min(at + k * step, pieces - 1)];
        }
        for (int k = 0; k < LOADS; k++) {
            piece<T, N> made;
            for (int i = 0; i < N; i++)
                made.of[i] = from_float<T>(Map::of(to_float(first[k].of[i]), to_float(second[k].of[i])));
            if (k == 0 || at + k * step < pieces)
                reinterpret_cast<piece<T, N> *>(out)[at + k * step] = made;
        }
    }
    if (rest < count)
        out[rest] = from_float<T>(Map::of(to_float(x[rest]), to_float(y[rest])));
}

/* N elements are 16 bytes of the narrower type. */
template <typename Map, typename X, typename Y>
static int launch_one(struct CUstream_st *stream, size_t count, const void *x, void *y)
{
    enum { N = 16 / (sizeof(X) < sizeof(Y) ? sizeof(X) : sizeof(Y)) };
    auto kernel = map_one<Map, X, Y, N>;
    return LAUNCH(kernel, blocks_for(count / N, LOADS), THREADS, stream, count, static_cast<const X *>(x),
                  static_cast<Y *>(y));
}

template <typename Map>
static int launch_two(struct CUstream_st *stream, enum cuda_type type, size_t count, const void *x, const void *y,
                      void *out)
{
    return with_type(type, [&](auto element) {
        using T = decltype(element);
        enum { N = 16 / sizeof(T) };
        auto kernel = map_two<Map, T, N>;
        return LAUNCH(kernel, blocks_for(count / N, LOADS), THREADS, stream, count, static_cast<const T *>(x),
                      static_cast<const T *>(y), static_cast<T *>(out));
    });
}

int cuda_relu(struct CUstream_st *stream, enum cuda_type type, size_t count, const void *x, void *y)
{
    return with_type(type, [&](auto element) {
        using T = decltype(element);
        return launch_one<relu, T, T>(stream, count, x, y);
    });
}

int cuda_narrow(struct CUstream_st *stream, enum cuda_type type, size_t count, const float *x, void *y)
{
    return with_type(type,
                     [&](auto element) { return launch_one<same, float, decltype(element)>(stream, count, x, y); });
}

int cuda_relu_backward(struct CUstream_st *stream, enum cuda_type type, size_t count, const void *y, const void *d_y,
                       void *d_x)
{
    return launch_two<open_where_positive>(stream, type, count, y, d_y, d_x);
}

int cuda_add(struct CUstream_st *stream, enum cuda_type type, size_t count, void *sum_of, const void *part)
{
    return launch_two<sum>(stream, type, count, sum_of, part, sum_of);
}

/* --- dropout --- */

struct philox {
    uint32_t words[4];
};

/* The two halves of a product are exclusive-ored into the other two words; Salmon et al. 2011, section 3.3. */
__device__ __forceinline__ struct philox philox_round(const struct philox &in, uint32_t key0, uint32_t key1)
{
    uint64_t first = (uint64_t)0xD2511F53u * in.words[0], second = (uint64_t)0xCD9E8D57u * in.words[2];
    struct philox out = {{(uint32_t)(second >> 32) ^ in.words[1] ^ key0, (uint32_t)second,
                          (uint32_t)(first >> 32) ^ in.words[3] ^ key1, (uint32_t)first}};
    return out;
}

/* Philox4x32-10. */
__device__ __forceinline__ struct philox draw(uint64_t block, uint32_t node, uint64_t seed)
{
    struct philox state = {{(uint32_t)block, (uint32_t)(block >> 32), node, 0}};
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        state = philox_round(state, key0, key1);
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return state;
}

struct dropout {
    uint64_t threshold; /* words below it drop */
    float scale;
    uint32_t node;
};

/* What becomes of `count` elements (4 at most) of block `block`. */
template <typename T>
__device__ __forceinline__ void drop_some(const struct dropout &c, uint64_t seed, size_t block, size_t count,
                                          const T *in, T *out)
{
    struct philox draws = draw(block, c.node, seed);
    for (int j = 0; j < 4; j++) {
        if ((size_t)j >= count)
            break;
        float kept = to_float(in[j]) * c.scale;
        out[j] = from_float<T>(draws.words[j] < c.threshold ? 0.0f : kept);
    }
}

/* The thread behind the last full piece takes the rest. */
template <typename T, int N>
__global__ void drop(size_t count, struct dropout c, const uint64_t *seed, const T *x, T *y)
{
    size_t step = (size_t)gridDim.x * THREADS, pieces = count / N, at = (size_t)blockIdx.x * THREADS + threadIdx.x;
    uint64_t key = *seed;
    for (; at < pieces; at += step) {
        const piece<T, N> in = reinterpret_cast<const piece<T, N> *>(x)[at];
        piece<T, N> out;
        for (int i = 0; i < N; i += 4)
            drop_some(c, key, (at * N + i) / 4, 4, in.of + i, out.of + i);
        reinterpret_cast<piece<T, N> *>(y)[at] = out;
    }
    for (size_t i = at * N; at == pieces && i < count; i += 4)
        drop_some(c, key, i / 4, count - i, x + i, y + i);
}

int cuda_dropout(struct CUstream_st *stream, enum cuda_type type, size_t count, double rate, const uint64_t *seed,
                 uint32_t node, const void *x, void *y)
{
    struct dropout c = {(uint64_t)ceil(rate * 4294967296.0), (float)(1.0 / (1.0 - rate)), node};
    return with_type(type, [&](auto element) {
        using T = decltype(element);
        enum { N = 16 / sizeof(T) };
        auto kernel = drop<T, N>;
        return LAUNCH(kernel, blocks_for((count + N - 1) / N, 1), THREADS, stream, count, c, seed,
                      static_cast<const T *>(x), static_cast<T *>(y));
    });
}

/* --- quadratic --- */

/* √a_k */
__device__ __forceinline__ float root_of(unsigned k, unsigned dimension, double condition)
{
    return k == 0 ? 1.0f : (float)pow(condition, -0.5 * (double)k / (double)(dimension - 1));
}

/* Where element k of a picture, counted (channel, pixel), lies in memory (pixel, channel). */
__device__ __forceinline__ unsigned place_of(unsigned k, unsigned dimension, unsigned pixels)
{
    return k % pixels * (dimension / pixels) + k / pixels;
}

/* A thread keeps its k and walks over the batch. */
__global__ void quadratic(size_t batch, unsigned dimension, unsigned pixels, double condition, const float *w,
                          const float *x, float *y)
{
    unsigned k = blockIdx.x * THREADS + threadIdx.x;
    if (k >= dimension)
        return;
    float root = root_of(k, dimension, condition), center = w[k];
    unsigned place = place_of(k, dimension, pixels);
    for (size_t n = blockIdx.y; n < batch; n += gridDim.y)
        y[n * dimension + k] = root * (center - x[n * dimension + place]);
}

__global__ void quadratic_backward(size_t batch, unsigned dimension, double condition, const float *d_y, float *d_w)
{
    unsigned k = blockIdx.x * THREADS + threadIdx.x;
    double total = 0.0;
    if (k >= dimension)
        return;
    for (size_t n = 0; n < batch; n++)
        total += d_y[n * dimension + k];
    d_w[k] = (float)(root_of(k, dimension, condition) * total);
}

__global__ void quadratic_backward_input(size_t batch, unsigned dimension, unsigned pixels, double condition,
                                         const float *d_y, float *d_x)
{
    size_t count = batch * dimension;
    for (size_t i = blockIdx.x * (size_t)THREADS + threadIdx.x; i < count; i += (size_t)gridDim.x * THREADS) {
        unsigned k = (unsigned)(i % dimension);
        d_x[i - k + place_of(k, dimension, pixels)] = -root_of(k, dimension, condition) * d_y[i];
    }
}

int cuda_quadratic(struct CUstream_st *stream, size_t batch, int dimension, int pixels, double condition,
                   const float *w, const float *x, float *y)
{
    unsigned across = ((unsigned)dimension + THREADS - 1) / THREADS;
    dim3 grid(across, (unsigned)min(batch, (size_t)max(BLOCKS / across, 1u)));
    return LAUNCH(quadratic, grid, THREADS, stream, batch, (unsigned)dimension, (unsigned)pixels, condition, w, x, y);
}

int cuda_quadratic_backward(struct CUstream_st *stream, size_t batch, int dimension, double condition, const float *d_y,
                            float *d_w)
{
    return LAUNCH(quadratic_backward, ((unsigned)dimension + THREADS - 1) / THREADS, THREADS, stream, batch,
                  (unsigned)dimension, condition, d_y, d_w);
}

int cuda_quadratic_backward_input(struct CUstream_st *stream, size_t batch, int dimension, int pixels, double condition,
                                  const float *d_y, float *d_x)
{
    size_t blocks = (batch * (unsigned)dimension + THREADS - 1) / THREADS;
    return LAUNCH(quadratic_backward_input, (unsigned)min(blocks, (size_t)BLOCKS), THREADS, stream, batch,
                  (unsigned)dimension, (unsigned)pixels, condition, d_y, d_x);
}
