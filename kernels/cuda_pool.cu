/* Max pooling and adaptive average pooling, forward and backward; contract: kernels/cuda_layers.h.
 *
 * Each thread makes one access (16 bytes of channels, or one channel) of one pixel of the result: it gathers, forward
 * from the window or bin of the pixel, backward from the windows or bins that the pixel lies in, row by row.
 * Neighbors load the same lines from the cache; the blocks are small, so that few pixels still reach all processors.
 * */
#include "kernels/cuda_layers.h"

#include <cuda_kernel.h>
#include <math.h>

enum { THREADS = 128 };

/* One element, where channels do not fill 16 bytes. */
template <typename T> struct single {
    enum { COUNT = 1 };
    T of[COUNT];
};

/* The places of as many maxima. */
template <int COUNT> struct alignas(COUNT) places {
    uint8_t of[COUNT];
};

template <typename T> __device__ __forceinline__ void set(T &element, float value)
{
    element = from_float<T>(value);
}

/* --- who does what --- */

/* `columns` accesses are a pixel. */
struct geometry {
    size_t count; /* accesses of the result */
    unsigned columns;
    int height, width, out_height, out_width, kernel, stride, pad;
};

/* The access of the result that a thread makes: of pixel (row, column) of an image. */
struct target {
    size_t at, image;
    int row, column;
    unsigned access;
};

/* Of a result of height × width. */
__device__ __forceinline__ struct target own_target(const struct geometry &g, int height, int width)
{
    size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x, pixel = at / g.columns, line = pixel / (unsigned)width;
    size_t image = line / (unsigned)height;
    struct target own = {at, image, (int)(line - image * (unsigned)height), (int)(pixel - line * (unsigned)width),
                         (unsigned)(at - pixel * g.columns)};
    return own;
}

template <typename T, typename F> static int with_access_of(const struct cuda_pool *pool, F launch)
{
    return (size_t)pool->channels * sizeof(T) % 16 == 0 ? launch(pack<T>()) : launch(single<T>());
}

/* Call `launch` with what a thread loads at once; only what type the value is of counts. */
template <typename F> static int with_access(const struct cuda_pool *pool, F launch)
{
    return pool->type == CUDA_FP16   ? with_access_of<fp16>(pool, launch)
           : pool->type == CUDA_BF16 ? with_access_of<bf16>(pool, launch)
                                     : with_access_of<float>(pool, launch);
}

/* For a result of `pixels` per image. */
static struct geometry geometry_of(const struct cuda_pool *pool, int pixels, int channels_per_access)
{
    unsigned columns = (unsigned)(pool->channels / channels_per_access);
    struct geometry g = {pool->batch * (unsigned)pixels * columns,
                         columns,
                         pool->height,
                         pool->width,
                         pool->out_height,
                         pool->out_width,
                         pool->kernel,
                         pool->stride,
                         pool->pad};
    return g;
}

static dim3 grid_of(const struct geometry &g)
{
    return dim3((unsigned)((g.count + THREADS - 1) / THREADS));
}

/* --- max --- */

/* The maximum so far, and its place. Of equals the first stays; NaN replaces everything, as in PyTorch. */
template <typename P> struct best {
    float most[P::COUNT];
    int place[P::COUNT];
};

template <typename P> __device__ __forceinline__ void challenge(best<P> &best, const P &in, bool inside, int place)
{
    for (int i = 0; i < P::COUNT; i++) {
        float value = to_float(in.of[i]);
        bool better = inside & ((value > best.most[i]) | (value != value)); /* all three: no branches */
        best.most[i] = better ? value : best.most[i];
        best.place[i] = better ? place : best.place[i];
    }
}

/* A place beyond the border is loaded from the border, for nothing: no load waits for a branch. The side of the
 * window is KERNEL or, where that is 0, g.kernel. */
template <typename P, int KERNEL>
__global__ void max_pool(struct geometry g, const P *x, P *y, places<P::COUNT> *places_out)
{
    struct target own = own_target(g, g.out_height, g.out_width);
    if (own.at >= g.count)
        return;
    int kernel = KERNEL > 0 ? KERNEL : g.kernel, top = own.row * g.stride - g.pad, left = own.column * g.stride - g.pad;
    const P *image = x + own.image * (unsigned)g.height * (unsigned)g.width * g.columns + own.access;
    best<P> best;
    for (int i = 0; i < P::COUNT; i++) {
        best.most[i] = -INFINITY;
        best.place[i] = max(-top, 0) * kernel + max(-left, 0);
    }
    for (int i = 0; i < kernel; i++) {
        for (int j = 0; j < kernel; j++) {
            int row = min(max(top + i, 0), g.height - 1), column = min(max(left + j, 0), g.width - 1);
            const P in = image[((size_t)row * (unsigned)g.width + (unsigned)column) * g.columns];
            challenge(best, in, row == top + i && column == left + j, i * kernel + j);
        }
    }
    P most;
    places<P::COUNT> where;
    for (int i = 0; i < P::COUNT; i++) {
        set(most.of[i], best.most[i]);
        where.of[i] = (uint8_t)best.place[i];
    }
    y[own.at] = most;
    places_out[own.at] = where;
}

int cuda_max_pool(struct CUstream_st *stream, const struct cuda_pool *pool, const void *x, void *y, uint8_t *place)
{
    return with_access(pool, [&](auto access) {
        using P = decltype(access);
        struct geometry g = geometry_of(pool, pool->out_height * pool->out_width, P::COUNT);
        auto kernel = pool->kernel == 2 ? max_pool<P, 2> : pool->kernel == 3 ? max_pool<P, 3> : max_pool<P, 0>;
        return LAUNCH(kernel, grid_of(g), THREADS, stream, g, static_cast<const P *>(x), static_cast<P *>(y),
                      reinterpret_cast<places<P::COUNT> *>(place));
    });
}

/* Windows along one side that hold the pixel `at` of the padded image. */
struct span {
    int first, last;
};

__device__ __forceinline__ struct span windows_with(int at, int kernel, int stride, int count)
{
    struct span windows = {at < kernel ? 0 : (at - kernel) / stride + 1, min(at / stride, count - 1)};
    return windows;
}

template <typename P>
__global__ void max_pool_backward(struct geometry g, const P *d_y, const places<P::COUNT> *places_in, P *d_x)
{
    struct target own = own_target(g, g.height, g.width);
    if (own.at >= g.count)
        return;
    int padded_row = own.row + g.pad, padded_column = own.column + g.pad;
    struct span rows = windows_with(padded_row, g.kernel, g.stride, g.out_height);
    struct span columns = windows_with(padded_column, g.kernel, g.stride, g.out_width);
    float sums[P::COUNT] = {};
    for (int row = rows.first; row <= rows.last; row++) {
        for (int column = columns.first; column <= columns.last; column++) {
            int place = (padded_row - row * g.stride) * g.kernel + padded_column - column * g.stride;
            size_t pixel =
                (own.image * (unsigned)g.out_height + (unsigned)row) * (unsigned)g.out_width + (unsigned)column;
            const P d = d_y[pixel * g.columns + own.access];
            const places<P::COUNT> where = places_in[pixel * g.columns + own.access];
            for (int i = 0; i < P::COUNT; i++) {
                float part = to_float(d.of[i]); /* outside of the choice: a load of 16 bytes stays one */
                sums[i] += where.of[i] == place ? part : 0.0f;
            }
        }
    }
    P out;
    for (int i = 0; i < P::COUNT; i++)
        set(out.of[i], sums[i]);
    d_x[own.at] = out;
}

int cuda_max_pool_backward(struct CUstream_st *stream, const struct cuda_pool *pool, const void *d_y,
                           const uint8_t *place, void *d_x)
{
    return with_access(pool, [&](auto access) {
        using P = decltype(access);
        struct geometry g = geometry_of(pool, pool->height * pool->width, P::COUNT);
        return LAUNCH(max_pool_backward<P>, grid_of(g), THREADS, stream, g, static_cast<const P *>(d_y),
                      reinterpret_cast<const places<P::COUNT> *>(place), static_cast<P *>(d_x));
    });
}

/* --- average --- */

/* Pixels along one side that bin `i` of `out` takes. */
__device__ __forceinline__ struct span pixels_of(int i, int in, int out)
{
    struct span pixels = {i * in / out, ((i + 1) * in + out - 1) / out - 1};
    return pixels;
}

/* Bins along one side that take pixel `at`: those with first ≤ at ≤ last, solved for the bin. */
__device__ __forceinline__ struct span bins_with(int at, int in, int out)
{
    struct span bins = {at * out / in, ((at + 1) * out - 1) / in};
    return bins;
}

__device__ __forceinline__ int length(const struct span &span)
{
    return span.last - span.first + 1;
}

template <typename P> __global__ void average_pool(struct geometry g, const P *x, P *y)
{
    struct target own = own_target(g, g.out_height, g.out_width);
    if (own.at >= g.count)
        return;
    struct span rows = pixels_of(own.row, g.height, g.out_height);
    struct span columns = pixels_of(own.column, g.width, g.out_width);
    float sums[P::COUNT] = {}, share = 1.0f / (float)(length(rows) * length(columns));
    for (int row = rows.first; row <= rows.last; row++) {
        for (int column = columns.first; column <= columns.last; column++) {
            size_t pixel = (own.image * (unsigned)g.height + (unsigned)row) * (unsigned)g.width + (unsigned)column;
            const P in = x[pixel * g.columns + own.access];
            for (int i = 0; i < P::COUNT; i++)
                sums[i] += to_float(in.of[i]);
        }
    }
    P out;
    for (int i = 0; i < P::COUNT; i++)
        set(out.of[i], sums[i] * share);
    y[own.at] = out;
}

int cuda_average_pool(struct CUstream_st *stream, const struct cuda_pool *pool, const void *x, void *y)
{
    return with_access(pool, [&](auto access) {
        using P = decltype(access);
        struct geometry g = geometry_of(pool, pool->out_height * pool->out_width, P::COUNT);
        return LAUNCH(average_pool<P>, grid_of(g), THREADS, stream, g, static_cast<const P *>(x), static_cast<P *>(y));
    });
}

template <typename P> __global__ void average_pool_backward(struct geometry g, const P *d_y, P *d_x)
{
    struct target own = own_target(g, g.height, g.width);
    if (own.at >= g.count)
        return;
    struct span rows = bins_with(own.row, g.height, g.out_height);
    struct span columns = bins_with(own.column, g.width, g.out_width);
    float sums[P::COUNT] = {};
    for (int row = rows.first; row <= rows.last; row++) {
        int bin_height = length(pixels_of(row, g.height, g.out_height));
        for (int column = columns.first; column <= columns.last; column++) {
            float share = 1.0f / (float)(bin_height * length(pixels_of(column, g.width, g.out_width)));
            size_t pixel =
                (own.image * (unsigned)g.out_height + (unsigned)row) * (unsigned)g.out_width + (unsigned)column;
            const P d = d_y[pixel * g.columns + own.access];
            for (int i = 0; i < P::COUNT; i++)
                sums[i] += to_float(d.of[i]) * share;
        }
    }
    P out;
    for (int i = 0; i < P::COUNT; i++)
        set(out.of[i], sums[i]);
    d_x[own.at] = out;
}

int cuda_average_pool_backward(struct CUstream_st *stream, const struct cuda_pool *pool, const void *d_y, void *d_x)
{
    return with_access(pool, [&](auto access) {
        using P = decltype(access);
        struct geometry g = geometry_of(pool, pool->height * pool->width, P::COUNT);
        return LAUNCH(average_pool_backward<P>, grid_of(g), THREADS, stream, g, static_cast<const P *>(d_y),
                      static_cast<P *>(d_x));
    });
}
