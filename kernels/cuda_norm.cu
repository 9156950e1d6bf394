/* Batch norm with residual and ReLU (kernels/cuda_layers.h); the arithmetic of an element is that of kernels/norm.c.
 *
 * A thread keeps a few channels that lie side by side (one access of 16 bytes; a single channel where the count does
 * not allow that) and walks over pixels, so that coefficients stay in registers. A block is (width, rows) threads:
 * `width` accesses side by side, its rows at pixels that follow one another. gridDim.x blocks share the pixels,
 * gridDim.y the accesses of a pixel where these are more than a block is wide. Every pass reads each input once; sums
 * begin with the first pixel, maps with the last, of which the cache may still have what the pass before it read. */
#include <cuda_kernel.h>

#include <type_traits>

#include "kernels/cuda_layers.h"

enum {
    THREADS = 256, /* of a block */
    PROCESSORS = 132,
    SUMMING = 3,         /* blocks that a processor has at once: sums */
    MAPPING = 4,         /* the same: maps, forward */
    MAPPING_BACK = 2,    /* backward, where a thread has more coefficients */
    LOADS = 4,           /* that a thread has in flight where there is one input */
    LOADS_OF_EACH = 2,   /* where there are several */
    FINISH_CHANNELS = 8, /* a block that finishes sums is (channels, groups of partial sums) threads */
    FINISH_GROUPS = 32,
};

/* One element, where the number of channels allows no more at once. */
template <typename T> struct single {
    enum { COUNT = 1 };
    T of[1];
};

template <typename T> __device__ __forceinline__ void set(T &element, float value)
{
    element = from_float<T>(value);
}

/* --- who does what --- */

struct walk {
    size_t pixels;
    unsigned columns; /* accesses of one pixel */
    dim3 grid, block;
};

static size_t bytes_of(enum cuda_type type)
{
    return type == CUDA_FP32 ? 4 : 2;
}

static bool is_packed(const struct cuda_matrix *shape)
{
    return (size_t)shape->channels * bytes_of(shape->type) % 16 == 0;
}

static unsigned divide_up(size_t a, size_t b)
{
    return (unsigned)((a + b - 1) / b);
}

/* Each thread takes `pixels_per_thread` or, where `most_blocks` are too few for that, more. */
static struct walk walk_of(const struct cuda_matrix *shape, unsigned pixels_per_thread, unsigned most_blocks)
{
    size_t channels = (size_t)shape->channels;
    unsigned columns = (unsigned)(is_packed(shape) ? channels * bytes_of(shape->type) / 16 : channels);
    unsigned tiles = divide_up(columns, THREADS), width = divide_up(columns, tiles), rows = THREADS / width;
    unsigned blocks = divide_up(shape->pixels, (size_t)rows * pixels_per_thread);
    unsigned most = most_blocks > tiles ? most_blocks / tiles : 1;
    struct walk walk = {shape->pixels, columns, dim3(blocks < most ? blocks : most, tiles), dim3(width, rows)};
    return walk;
}

static struct walk walk_of_sums(const struct cuda_matrix *shape)
{
    return walk_of(shape, LOADS, SUMMING * PROCESSORS);
}

static struct walk walk_of_map(const struct cuda_matrix *shape, unsigned loads)
{
    return walk_of(shape, loads, MAPPING * PROCESSORS);
}

int cuda_norm_blocks(const struct cuda_matrix *shape)
{
    return (int)walk_of_sums(shape).grid.x;
}

/* Call `launch` with a value of the type; only what type it is counts. */
template <typename F> static int with_type(enum cuda_type type, F launch)
{
    return type == CUDA_FP16 ? launch(fp16()) : type == CUDA_BF16 ? launch(bf16()) : launch(0.0f);
}

/* The same with what a thread loads of this matrix at once. */
template <typename F> static int with_access(const struct cuda_matrix *shape, F launch)
{
    return with_type(shape->type, [&](auto element) {
        using T = decltype(element);
        return is_packed(shape) ? launch(pack<T>()) : launch(single<T>());
    });
}

/* The same with std::true_type or std::false_type. */
template <typename F> static int with_flag(bool flag, F launch)
{
    return flag ? launch(std::true_type()) : launch(std::false_type());
}

/* --- what kernels have in common --- */

/* A thread takes the accesses at, at + step, ... up to `last`, all in its column; none where a block is wider than what
 * is left. */
struct position {
    size_t at, step, last;
    unsigned column;
};

__device__ __forceinline__ struct position own_position(size_t pixels, unsigned columns)
{
    unsigned column = blockIdx.y * blockDim.x + threadIdx.x;
    size_t pixel = (size_t)blockIdx.x * blockDim.y + threadIdx.y, step = (size_t)gridDim.x * blockDim.y;
    if (column >= columns) {
        column = 0;
        pixel = pixels;
    }
    struct position own = {pixel * columns + column, step * columns, (pixels - 1) * columns + column, column};
    return own;
}

/* The thread's k-th access from here exists; that at 0 does. */
__device__ __forceinline__ bool is_inside(const struct position &own, int k)
{
    return k == 0 || own.at + k * own.step <= own.last;
}

/* Where it is. The last one stands for those that do not exist: what is loaded there is not used, but no load waits for
 * a branch. */
__device__ __forceinline__ size_t place_of(const struct position &own, int k)
{
    return min(own.at + k * own.step, own.last);
}

/* The same, counted from the last pixel. */
__device__ __forceinline__ size_t place_from_end(const struct position &own, int k)
{
    return own.last - place_of(own, k) + own.column;
}

/* Coefficients of the channels of a column: aligned to 16 bytes, as their number allows accesses of 16 bytes. */
template <int COUNT>
__device__ __forceinline__ void read_channels(const float *channels, unsigned column, float (&values)[COUNT])
{
    enum { WIDTH = pack<float>::COUNT };
    for (int i = 0; i < COUNT / WIDTH; i++) {
        pack<float> in = reinterpret_cast<const pack<float> *>(channels)[column * (COUNT / WIDTH) + i];
        for (int j = 0; j < WIDTH; j++)
            values[i * WIDTH + j] = in.of[j];
    }
    if (COUNT < WIDTH)
        values[0] = channels[column];
}

/* Add up what the rows of the block have, by a tree of fixed shape; the first row gets the sums. Every thread of the
 * block calls it, once in a kernel. */
template <int COUNT> __device__ __forceinline__ void sum_rows(float (&values)[COUNT])
{
    __shared__ float rows[COUNT][THREADS];
    unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
    for (int i = 0; i < COUNT; i++)
        rows[i][thread] = values[i];
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        if (half >= blockDim.y)
            continue;
        __syncthreads();
        if (threadIdx.y >= half || threadIdx.y + half >= blockDim.y)
            continue;
        for (int i = 0; i < COUNT; i++) {
            values[i] += rows[i][thread + half * blockDim.x];
            rows[i][thread] = values[i];
        }
    }
}

/* The block's part of `partial` (blocks, 2, channels). A thread has two sums for each of its channels: all the first
 * ones, then all the second ones. */
template <int COUNT>
__device__ __forceinline__ void write_partial(unsigned columns, float (&sums)[2 * COUNT], float *partial)
{
    sum_rows(sums);
    unsigned column = blockIdx.y * blockDim.x + threadIdx.x;
    if (threadIdx.y > 0 || column >= columns)
        return;
    size_t channels = (size_t)columns * COUNT;
    float *out = partial + (size_t)blockIdx.x * 2 * channels + column * COUNT;
    for (int i = 0; i < COUNT; i++) {
        out[i] = sums[i];
        out[channels + i] = sums[COUNT + i];
    }
}

/* Both sums of the thread's channel over `partial` (blocks, 2, channels), by a tree of fixed shape. True in the one
 * thread that has them. */
__device__ __forceinline__ bool sum_partial(unsigned channels, const float *partial, int blocks, double (&sums)[2])
{
    __shared__ double groups[2][FINISH_GROUPS][FINISH_CHANNELS];
    unsigned channel = blockIdx.x * FINISH_CHANNELS + threadIdx.x, group = threadIdx.y;
    sums[0] = sums[1] = 0.0;
    for (int block = (int)group; channel < channels && block < blocks; block += FINISH_GROUPS) {
        sums[0] += partial[(size_t)block * 2 * channels + channel];
        sums[1] += partial[((size_t)block * 2 + 1) * channels + channel];
    }
    for (int i = 0; i < 2; i++)
        groups[i][group][threadIdx.x] = sums[i];
    for (unsigned half = FINISH_GROUPS / 2; half > 0; half /= 2) {
        __syncthreads();
        for (int i = 0; i < 2 && group < half; i++)
            groups[i][group][threadIdx.x] = sums[i] += groups[i][group + half][threadIdx.x];
    }
    return group == 0 && channel < channels;
}

static dim3 finish_grid(int channels)
{
    return dim3(divide_up((size_t)channels, FINISH_CHANNELS));
}

static dim3 finish_block()
{
    return dim3(FINISH_CHANNELS, FINISH_GROUPS);
}

/* --- statistics --- */

template <typename P>
__global__ void __launch_bounds__(THREADS, SUMMING)
    norm_sums(size_t pixels, unsigned columns, const P *x, float *partial)
{
    enum { COUNT = P::COUNT };
    struct position own = own_position(pixels, columns);
    const P first = x[own.column];
    float sums[2 * COUNT] = {};
    for (; own.at <= own.last; own.at += LOADS * own.step) {
        P in[LOADS];
        for (int k = 0; k < LOADS; k++)
            in[k] = x[place_of(own, k)];
        for (int k = 0; k < LOADS; k++) {
            for (int i = 0; i < COUNT; i++) {
                float distance = is_inside(own, k) ? to_float(in[k].of[i]) - to_float(first.of[i]) : 0.0f;
                sums[i] += distance;
                sums[COUNT + i] += distance * distance;
            }
        }
    }
    write_partial<COUNT>(columns, sums, partial);
}

int cuda_norm_sums(struct CUstream_st *stream, const struct cuda_matrix *shape, const void *x, float *partial)
{
    struct walk walk = walk_of_sums(shape);
    return with_access(shape, [&](auto access) {
        using P = decltype(access);
        return LAUNCH(norm_sums<P>, walk.grid, walk.block, stream, walk.pixels, walk.columns, static_cast<const P *>(x),
                      partial);
    });
}

struct finish {
    unsigned channels;
    int blocks;
    double pixels, epsilon, momentum;
};

/* a and b from mean and 1/σ. */
__device__ __forceinline__ void set_affine(const struct cuda_norm_state &state, unsigned channel, double mean,
                                           double inverse)
{
    double a = state.scale[channel] * inverse;
    state.a[channel] = (float)a;
    state.b[channel] = (float)(state.shift[channel] - mean * a);
}

/* Before the squares become a variance, rounding may have left them below zero; NaN stays. */
template <typename T>
__global__ void norm_finish(struct finish c, const T *x, const float *partial, struct cuda_norm_state state)
{
    double sums[2];
    if (!sum_partial(c.channels, partial, c.blocks, sums))
        return;
    unsigned channel = blockIdx.x * FINISH_CHANNELS + threadIdx.x;
    double origin = x != NULL ? to_float(x[channel]) : 0.0, mean = origin + sums[0] / c.pixels;
    double squares = sums[1] - sums[0] * (sums[0] / c.pixels);
    squares = squares < 0.0 ? 0.0 : squares;
    double inverse = 1.0 / sqrt(squares / c.pixels + c.epsilon);
    double unbiased = squares / (c.pixels > 1.0 ? c.pixels - 1.0 : 1.0);
    set_affine(state, channel, mean, inverse);
    state.mean[channel] = (float)mean;
    state.inverse[channel] = (float)inverse;
    float *running_mean = state.running_mean + channel, *running_variance = state.running_variance + channel;
    *running_mean = (float)((1.0 - c.momentum) * *running_mean + c.momentum * mean);
    *running_variance = (float)((1.0 - c.momentum) * *running_variance + c.momentum * unbiased);
}

int cuda_norm_finish(struct CUstream_st *stream, const struct cuda_matrix *shape, const void *x, const float *sums,
                     int blocks, double epsilon, double momentum, const struct cuda_norm_state *state)
{
    struct finish c = {(unsigned)shape->channels, blocks, (double)shape->pixels, epsilon, momentum};
    return with_type(shape->type, [&](auto element) {
        using T = decltype(element);
        return LAUNCH(norm_finish<T>, finish_grid(shape->channels), finish_block(), stream, c,
                      static_cast<const T *>(x), sums, *state);
    });
}

__global__ void norm_running(unsigned channels, double epsilon, struct cuda_norm_state state)
{
    unsigned channel = blockIdx.x * blockDim.x + threadIdx.x;
    if (channel < channels)
        set_affine(state, channel, state.running_mean[channel], 1.0 / sqrt(state.running_variance[channel] + epsilon));
}

int cuda_norm_running(struct CUstream_st *stream, int channels, double epsilon, const struct cuda_norm_state *state)
{
    return LAUNCH(norm_running, dim3(divide_up((size_t)channels, THREADS)), dim3(THREADS), stream, (unsigned)channels,
                  epsilon, *state);
}

/* --- y = relu(a·x + b + residual) --- */

template <bool RELU, bool RESIDUAL, typename P, int COUNT>
__device__ __forceinline__ P affine(const P &x, const float (&a)[COUNT], const float (&b)[COUNT], const P &residual)
{
    P y;
    for (int i = 0; i < COUNT; i++) {
        float value = to_float(x.of[i]) * a[i] + b[i];
        if (RESIDUAL)
            value += to_float(residual.of[i]);
        set(y.of[i], RELU && value < 0.0f ? 0.0f : value);
    }
    return y;
}

template <typename P, bool RELU, bool RESIDUAL>
__global__ void __launch_bounds__(THREADS, MAPPING)
    norm_apply(size_t pixels, unsigned columns, const P *x, const float *a, const float *b, const P *residual, P *y)
{
    enum { DEPTH = RESIDUAL ? LOADS_OF_EACH : LOADS };
    struct position own = own_position(pixels, columns);
    float factor[P::COUNT], addend[P::COUNT];
    read_channels(a, own.column, factor);
    read_channels(b, own.column, addend);
    for (; own.at <= own.last; own.at += DEPTH * own.step) {
        P in[DEPTH], rest[DEPTH];
        for (int k = 0; k < DEPTH; k++) {
            in[k] = x[place_from_end(own, k)];
            rest[k] = RESIDUAL ? residual[place_from_end(own, k)] : in[k];
        }
        for (int k = 0; k < DEPTH; k++) {
            if (is_inside(own, k))
                y[place_from_end(own, k)] = affine<RELU, RESIDUAL>(in[k], factor, addend, rest[k]);
        }
    }
}

int cuda_norm_apply(struct CUstream_st *stream, const struct cuda_matrix *shape, bool relu, const void *x,
                    const float *a, const float *b, const void *residual, void *y)
{
    struct walk walk = walk_of_map(shape, residual != NULL ? LOADS_OF_EACH : LOADS);
    return with_access(shape, [&](auto access) {
        return with_flag(relu, [&](auto relu_flag) {
            return with_flag(residual != NULL, [&](auto residual_flag) {
                using P = decltype(access);
                auto kernel = norm_apply<P, decltype(relu_flag)::value, decltype(residual_flag)::value>;
                return LAUNCH(kernel, walk.grid, walk.block, stream, walk.pixels, walk.columns,
                              static_cast<const P *>(x), a, b, static_cast<const P *>(residual), static_cast<P *>(y));
            });
        });
    });
}

/* --- backward --- */

/* How the gradient of y is masked. */
enum mask { MASK_NONE, MASK_FROM_Y, MASK_FROM_X };

template <enum mask MASK> using mask_constant = std::integral_constant<enum mask, MASK>;

/* What the passes read: cuda_norm_backward, its arrays by what a thread loads at once. */
template <typename P> struct gradient {
    const P *x, *y, *d_y, *other;
    const float *a, *b, *mean;

    explicit gradient(const struct cuda_norm_backward *g)
        : x(static_cast<const P *>(g->x)), y(static_cast<const P *>(g->y)), d_y(static_cast<const P *>(g->d_y)),
          other(static_cast<const P *>(g->d_y_other)), a(g->a), b(g->b), mean(g->mean)
    {
    }
};

/* One access of each; those that the pass does not need repeat d_y. */
template <typename P> struct loaded {
    P x, y, d_y, other;
};

template <enum mask MASK, bool OTHER, typename P>
__device__ __forceinline__ loaded<P> load(const gradient<P> &g, size_t place)
{
    loaded<P> in;
    in.x = g.x[place];
    in.d_y = g.d_y[place];
    in.y = MASK == MASK_FROM_Y ? g.y[place] : in.d_y;
    in.other = OTHER ? g.other[place] : in.d_y;
    return in;
}

/* a and b of the thread's channels where the mask needs them, and the mean. */
template <enum mask MASK, typename P> struct channels {
    float a[P::COUNT], b[P::COUNT], mean[P::COUNT];

    __device__ __forceinline__ channels(const gradient<P> &g, unsigned column)
    {
        read_channels(g.mean, column, mean);
        read_channels(MASK == MASK_FROM_X ? g.a : g.mean, column, a);
        read_channels(MASK == MASK_FROM_X ? g.b : g.mean, column, b);
    }
};

/* The gradient of element i before the ReLU. */
template <enum mask MASK, bool OTHER, typename P>
__device__ __forceinline__ float masked(const loaded<P> &in, const channels<MASK, P> &c, int i)
{
    float d = to_float(in.d_y.of[i]);
    if (OTHER)
        d += to_float(in.other.of[i]);
    if (MASK == MASK_FROM_Y)
        return to_float(in.y.of[i]) > 0.0f ? d : 0.0f;
    if (MASK == MASK_FROM_X)
        return to_float(in.x.of[i]) * c.a[i] + c.b[i] > 0.0f ? d : 0.0f;
    return d;
}

/* With three inputs and three coefficients per channel, registers are left for one access of each. */
template <typename P, enum mask MASK, bool OTHER>
__global__ void __launch_bounds__(THREADS, SUMMING)
    norm_backward_sums(size_t pixels, unsigned columns, gradient<P> g, float *partial)
{
    enum { COUNT = P::COUNT, DEPTH = MASK == MASK_FROM_X && OTHER ? 1 : LOADS_OF_EACH };
    struct position own = own_position(pixels, columns);
    const channels<MASK, P> c(g, own.column);
    float sums[2 * COUNT] = {};
    for (; own.at <= own.last; own.at += DEPTH * own.step) {
        loaded<P> in[DEPTH];
        for (int k = 0; k < DEPTH; k++)
            in[k] = load<MASK, OTHER>(g, place_of(own, k));
        for (int k = 0; k < DEPTH; k++) {
            for (int i = 0; i < COUNT; i++) {
                float d = is_inside(own, k) ? masked<MASK, OTHER>(in[k], c, i) : 0.0f;
                sums[i] += d;
                sums[COUNT + i] += d * (to_float(in[k].x.of[i]) - c.mean[i]);
            }
        }
    }
    write_partial<COUNT>(columns, sums, partial);
}

/* Call `launch` with what a thread loads at once, the mask, and whether the gradient has two parts. */
template <typename F>
static int with_gradient(const struct cuda_matrix *shape, const struct cuda_norm_backward *g, F launch)
{
    return with_access(shape, [&](auto access) {
        return with_flag(g->d_y_other != NULL, [&](auto other) {
            if (!g->relu)
                return launch(access, mask_constant<MASK_NONE>(), other);
            return g->y != NULL ? launch(access, mask_constant<MASK_FROM_Y>(), other)
                                : launch(access, mask_constant<MASK_FROM_X>(), other);
        });
    });
}

int cuda_norm_backward_sums(struct CUstream_st *stream, const struct cuda_matrix *shape,
                            const struct cuda_norm_backward *g, float *partial)
{
    struct walk walk = walk_of_sums(shape);
    return with_gradient(shape, g, [&](auto access, auto mask, auto other) {
        using P = decltype(access);
        auto kernel = norm_backward_sums<P, decltype(mask)::value, decltype(other)::value>;
        return LAUNCH(kernel, walk.grid, walk.block, stream, walk.pixels, walk.columns, gradient<P>(g), partial);
    });
}

struct backward_finish {
    unsigned channels;
    int blocks;
    double pixels;
    const float *a, *inverse, *unscale;
    float *d_scale, *d_shift, *p, *q, *r;
};

__global__ void norm_backward_finish(struct backward_finish c, const float *partial)
{
    double sums[2];
    if (!sum_partial(c.channels, partial, c.blocks, sums))
        return;
    unsigned channel = blockIdx.x * FINISH_CHANNELS + threadIdx.x;
    double inverse = c.inverse[channel], unscale = c.unscale != NULL ? *c.unscale : 1.0;
    c.d_scale[channel] = (float)(sums[1] * inverse * unscale);
    c.d_shift[channel] = (float)(sums[0] * unscale);
    c.p[channel] = c.a[channel];
    c.q[channel] = (float)(-inverse * inverse * sums[1] / c.pixels);
    c.r[channel] = (float)(-sums[0] / c.pixels);
}

int cuda_norm_backward_finish(struct CUstream_st *stream, const struct cuda_matrix *shape, const float *partial,
                              int blocks, const float *a, const float *inverse, const float *unscale, float *d_scale,
                              float *d_shift, float *p, float *q, float *r)
{
    struct backward_finish c = {
        (unsigned)shape->channels, blocks, (double)shape->pixels, a, inverse, unscale, d_scale, d_shift, p, q, r};
    return LAUNCH(norm_backward_finish, finish_grid(shape->channels), finish_block(), stream, c, partial);
}

struct backward_coefficients {
    const float *p, *q, *r;
};

template <typename P, enum mask MASK, bool OTHER, bool RESIDUAL>
__global__ void __launch_bounds__(THREADS, MAPPING_BACK)
    norm_backward_apply(size_t pixels, unsigned columns, gradient<P> g, struct backward_coefficients coefficients,
                        P *d_x, P *d_residual)
{
    enum { COUNT = P::COUNT };
    struct position own = own_position(pixels, columns);
    const channels<MASK, P> c(g, own.column);
    float p[COUNT], q[COUNT], r[COUNT];
    read_channels(coefficients.p, own.column, p);
    read_channels(coefficients.q, own.column, q);
    read_channels(coefficients.r, own.column, r);
    for (; own.at <= own.last; own.at += LOADS_OF_EACH * own.step) {
        loaded<P> in[LOADS_OF_EACH];
        for (int k = 0; k < LOADS_OF_EACH; k++)
            in[k] = load<MASK, OTHER>(g, place_from_end(own, k));
        for (int k = 0; k < LOADS_OF_EACH; k++) {
            P d_in, d_rest;
            for (int i = 0; i < COUNT; i++) {
                float d = masked<MASK, OTHER>(in[k], c, i);
                set(d_rest.of[i], d);
                set(d_in.of[i], p[i] * ((d + r[i]) + q[i] * (to_float(in[k].x.of[i]) - c.mean[i])));
            }
            if (is_inside(own, k))
                d_x[place_from_end(own, k)] = d_in;
            if (RESIDUAL && is_inside(own, k))
                d_residual[place_from_end(own, k)] = d_rest;
        }
    }
}

int cuda_norm_backward_apply(struct CUstream_st *stream, const struct cuda_matrix *shape,
                             const struct cuda_norm_backward *g, const float *p, const float *q, const float *r,
                             void *d_x, void *d_residual)
{
    struct walk walk = walk_of_map(shape, LOADS_OF_EACH);
    struct backward_coefficients coefficients = {p, q, r};
    return with_gradient(shape, g, [&](auto access, auto mask, auto other) {
        return with_flag(d_residual != NULL, [&](auto residual) {
            using P = decltype(access);
            auto kernel =
                norm_backward_apply<P, decltype(mask)::value, decltype(other)::value, decltype(residual)::value>;
            return LAUNCH(kernel, walk.grid, walk.block, stream, walk.pixels, walk.columns, gradient<P>(g),
                          coefficients, static_cast<P *>(d_x), static_cast<P *>(d_residual));
        });
    });
}
