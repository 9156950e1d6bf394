/* Gradient event on the device, and the changes of layout between a flat vector and the working copy; contract:
 * kernels/cuda_vector.h. The expressions are those of kernels/update.c, in the same order: the same bits.
 *
 * All of it is bound by memory. A thread loads 16 bytes of each vector before it computes. A tile belongs to one block:
 * its flat side is contiguous, and the elements pass through shared memory in flat order, so that the working side,
 * whose channels lie `taps` apart there, is read and written in runs of channels. */
#include "kernels/cuda_vector.h"

#include <cuda_kernel.h>

enum { BLOCK = 256, LANES = pack<float>::COUNT };

/* One element, where a pack does not fit. */
template <typename T> struct single {
    enum { COUNT = 1 };
    T of[COUNT];
};

template <typename V, typename T> __device__ __forceinline__ V load(const T *from)
{
    return *reinterpret_cast<const V *>(from);
}

template <typename V, typename T> __device__ __forceinline__ void store(T *to, V value)
{
    *reinterpret_cast<V *>(to) = value;
}

/* --- gradient event --- */

struct event {
    struct cuda_update c;
    float scale; /* negative: without the gradient */
    size_t decayed;
};

__device__ __forceinline__ struct event event_of(const struct cuda_update &c, const float *scale, size_t decayed)
{
    struct event event = {c, scale != NULL ? *scale : 1.0f, decayed};
    return event;
}

template <bool tilde>
__device__ __forceinline__ void update_element(const struct event &event, float decay, float &x, float &x_tilde,
                                               float &m, float g)
{
    const struct cuda_update &c = event.c;
    float delta = tilde ? c.mix * (x_tilde - x) : 0.0f;
    float here = tilde ? x + delta : x;
    float direction = event.scale * g + decay * here;
    float velocity = c.momentum * m + direction;
    float step = c.learning_rate * (c.nesterov ? direction + c.momentum * velocity : velocity);
    bool skip = event.scale < 0.0f;
    m = skip ? m : velocity;
    step = skip ? 0.0f : step;
    x = here - step;
    x_tilde = (x_tilde - delta) - step;
}

/* Elements from `at` on, as many as V holds; the new x. */
template <bool tilde, typename V>
__device__ __forceinline__ V update_group(const struct event &event, size_t at, float *__restrict__ x,
                                          float *__restrict__ x_tilde, float *__restrict__ m,
                                          const float *__restrict__ g)
{
    V new_x = load<V>(x + at), new_tilde = {}, new_m = load<V>(m + at), gradient = load<V>(g + at);
    if (tilde)
        new_tilde = load<V>(x_tilde + at);
    for (unsigned i = 0; i < V::COUNT; i++) {
        float decay = at + i < event.decayed ? event.c.weight_decay : 0.0f;
        update_element<tilde>(event, decay, new_x.of[i], new_tilde.of[i], new_m.of[i], gradient.of[i]);
    }
    store(m + at, new_m);
    store(x + at, new_x);
    if (tilde)
        store(x_tilde + at, new_tilde);
    return new_x;
}

/* A thread for each pack, then one for each element beyond them. */
template <bool tilde>
__global__ void update_flat(struct cuda_update c, const float *__restrict__ scale, size_t packs, size_t count,
                            size_t decayed, float *__restrict__ x, float *__restrict__ x_tilde, float *__restrict__ m,
                            const float *__restrict__ g)
{
    size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    struct event event = event_of(c, scale, decayed);
    if (i < packs)
        update_group<tilde, pack<float>>(event, i * LANES, x, x_tilde, m, g);
    else if (i - packs < count - packs * LANES)
        update_group<tilde, single<float>>(event, packs * LANES + (i - packs), x, x_tilde, m, g);
}

static bool aligned(const void *a, const void *b, const void *c, const void *d)
{
    return ((uintptr_t)a | (uintptr_t)b | (uintptr_t)c | (uintptr_t)d) % sizeof(pack<float>) == 0;
}

int cuda_update(struct CUstream_st *stream, const struct cuda_update *c, const float *scale, size_t count,
                size_t decayed, float *x, float *x_tilde, float *m, const float *g)
{
    if (count == 0)
        return 0;
    size_t packs = aligned(x, x_tilde, m, g) ? count / LANES : 0;
    size_t threads = packs + (count - packs * LANES);
    unsigned grid = (unsigned)((threads + BLOCK - 1) / BLOCK);
    auto update = x_tilde != NULL ? update_flat<true> : update_flat<false>;
    return LAUNCH(update, grid, BLOCK, stream, *c, scale, packs, count, decayed, x, x_tilde, m, g);
}

/* --- tiles: their elements in shared memory, in flat order --- */

/* One word in 33 stays free: lanes that are 4·k or 8·k·taps apart then meet few bank conflicts. */
enum { STAGED = CUDA_TILE + CUDA_TILE / 32 };

__device__ __forceinline__ unsigned staged_at(unsigned i)
{
    return i + i / 32;
}

/* How a tile's flat side splits: `head` elements up to a 16-byte boundary, then packs, then the rest. */
struct span {
    unsigned head, packs, singles; /* singles: head and rest together */
};

/* `aligned`: every vector begins at a 16-byte boundary. */
__device__ __forceinline__ struct span span_of(const struct cuda_tile &tile, bool aligned)
{
    unsigned count = tile.rows * tile.channels * tile.taps;
    unsigned head = (unsigned)(-tile.first % LANES);
    if (!aligned || head > count)
        head = count;
    unsigned packs = (count - head) / LANES;
    return {head, packs, count - packs * LANES};
}

__device__ __forceinline__ unsigned pack_at(const struct span &span, unsigned i)
{
    return span.head + i * LANES;
}

__device__ __forceinline__ unsigned single_at(const struct span &span, unsigned i)
{
    return i < span.head ? i : i + span.packs * LANES;
}

template <typename V> __device__ __forceinline__ void stage(float *staged, unsigned at, const V &values)
{
    for (unsigned i = 0; i < V::COUNT; i++)
        staged[staged_at(at + i)] = values.of[i];
}

/* --- tiles: the working side --- */

/* V::COUNT channels of one row and tap: where they lie in the working copy, and the first of them in flat order. */
struct place {
    size_t working;
    unsigned flat;
};

/* Number i of the tile's groups, channels first, then taps. */
template <typename V> __device__ __forceinline__ struct place place_of(const struct cuda_tile &tile, unsigned i)
{
    unsigned columns = tile.channels / V::COUNT, line = i / columns;
    unsigned channel = (i - line * columns) * V::COUNT, row = line / tile.taps, tap = line - row * tile.taps;
    size_t working = (size_t)tile.to + (size_t)row * tile.row_stride + (size_t)tap * tile.tap_stride + channel;
    return {working, (row * tile.channels + channel) * tile.taps + tap};
}

template <typename T> __device__ __forceinline__ bool packs_fit(const struct cuda_tile &tile, const T *working)
{
    uint64_t strides = tile.to | tile.row_stride | tile.tap_stride | tile.channels;
    return strides % pack<T>::COUNT == 0 && (uintptr_t)working % sizeof(pack<T>) == 0;
}

template <typename V, typename T>
__device__ __forceinline__ void write_groups(const struct cuda_tile &tile, const float *staged, T *working)
{
    unsigned groups = tile.rows * tile.taps * (tile.channels / V::COUNT);
    for (unsigned i = threadIdx.x; i < groups; i += BLOCK) {
        struct place place = place_of<V>(tile, i);
        V values;
        for (unsigned j = 0; j < V::COUNT; j++)
            values.of[j] = from_float<T>(staged[staged_at(place.flat + j * tile.taps)]);
        store(working + place.working, values);
    }
}

template <typename T>
__device__ __forceinline__ void write_working(const struct cuda_tile &tile, const float *staged, T *working)
{
    if (packs_fit(tile, working))
        write_groups<pack<T>>(tile, staged, working);
    else
        write_groups<single<T>>(tile, staged, working);
}

/* All loads, then all stores: a tile is too short for its loads to wait for each other. */
template <typename V, typename T>
__device__ __forceinline__ void read_groups(const struct cuda_tile &tile, const T *working, float *staged)
{
    enum { ROUNDS = (CUDA_TILE / V::COUNT + BLOCK - 1) / BLOCK };
    unsigned groups = tile.rows * tile.taps * (tile.channels / V::COUNT), flat[ROUNDS] = {};
    V values[ROUNDS] = {};
    for (unsigned k = 0; k < ROUNDS; k++) {
        if (threadIdx.x + k * BLOCK < groups) {
            struct place place = place_of<V>(tile, threadIdx.x + k * BLOCK);
            values[k] = load<V>(working + place.working);
            flat[k] = place.flat;
        }
    }
    for (unsigned k = 0; k < ROUNDS; k++) {
        for (unsigned j = 0; j < V::COUNT && threadIdx.x + k * BLOCK < groups; j++)
            staged[staged_at(flat[k] + j * tile.taps)] = to_float(values[k].of[j]);
    }
}

/* --- gradient event that also writes the working copy --- */

template <bool tilde, typename T>
__global__ void update_tiles(struct cuda_update c, const float *__restrict__ scale, size_t decayed, bool aligned,
                             float *__restrict__ x, float *__restrict__ x_tilde, float *__restrict__ m,
                             const float *__restrict__ g, const struct cuda_tile *__restrict__ tiles,
                             T *__restrict__ narrow, float *__restrict__ wide)
{
    __shared__ float staged[STAGED];
    const struct cuda_tile tile = tiles[blockIdx.x];
    struct event event = event_of(c, scale, decayed);
    struct span span = span_of(tile, aligned);
    for (unsigned i = threadIdx.x; i < span.packs; i += BLOCK) {
        unsigned at = pack_at(span, i);
        stage(staged, at, update_group<tilde, pack<float>>(event, tile.first + at, x, x_tilde, m, g));
    }
    for (unsigned i = threadIdx.x; i < span.singles; i += BLOCK) {
        unsigned at = single_at(span, i);
        stage(staged, at, update_group<tilde, single<float>>(event, tile.first + at, x, x_tilde, m, g));
    }
    __syncthreads();
    if (tile.wide)
        write_working(tile, staged, wide);
    else
        write_working(tile, staged, narrow);
}

template <typename T>
static int launch_update(struct CUstream_st *stream, const struct cuda_update *c, const float *scale, size_t decayed,
                         float *x, float *x_tilde, float *m, const float *g, const struct cuda_tile *tiles,
                         size_t tile_count, const struct cuda_working *working)
{
    auto update = x_tilde != NULL ? update_tiles<true, T> : update_tiles<false, T>;
    return LAUNCH(update, (unsigned)tile_count, BLOCK, stream, *c, scale, decayed, aligned(x, x_tilde, m, g), x,
                  x_tilde, m, g, tiles, static_cast<T *>(working->narrow), working->wide);
}

int cuda_update_working(struct CUstream_st *stream, const struct cuda_update *c, const float *scale, size_t count,
                        size_t decayed, float *x, float *x_tilde, float *m, const float *g,
                        const struct cuda_tile *tiles, size_t tile_count, const struct cuda_working *working)
{
    if (count == 0 || tile_count == 0)
        return 0;
    auto launch = working->type == CUDA_FP32   ? launch_update<float>
                  : working->type == CUDA_FP16 ? launch_update<fp16>
                                               : launch_update<bf16>;
    return launch(stream, c, scale, decayed, x, x_tilde, m, g, tiles, tile_count, working);
}

/* --- working copy from the flat vector --- */

/* All loads, then all stores. */
__device__ __forceinline__ void stage_packs(const struct span &span, const float *x, float *staged)
{
    enum { ROUNDS = (CUDA_TILE / LANES + BLOCK - 1) / BLOCK };
    pack<float> values[ROUNDS] = {};
    for (unsigned k = 0; k < ROUNDS; k++) {
        if (threadIdx.x + k * BLOCK < span.packs)
            values[k] = load<pack<float>>(x + pack_at(span, threadIdx.x + k * BLOCK));
    }
    for (unsigned k = 0; k < ROUNDS; k++) {
        if (threadIdx.x + k * BLOCK < span.packs)
            stage(staged, pack_at(span, threadIdx.x + k * BLOCK), values[k]);
    }
}

template <typename T>
__global__ void cast_tiles(const struct cuda_tile *__restrict__ tiles, bool aligned, const float *__restrict__ x,
                           T *__restrict__ narrow, float *__restrict__ wide)
{
    __shared__ float staged[STAGED];
    const struct cuda_tile tile = tiles[blockIdx.x];
    struct span span = span_of(tile, aligned);
    stage_packs(span, x + tile.first, staged);
    for (unsigned i = threadIdx.x; i < span.singles; i += BLOCK)
        stage(staged, single_at(span, i), load<single<float>>(x + tile.first + single_at(span, i)));
    __syncthreads();
    if (tile.wide)
        write_working(tile, staged, wide);
    else
        write_working(tile, staged, narrow);
}

template <typename T>
static int launch_cast(struct CUstream_st *stream, const struct cuda_tile *tiles, size_t tile_count, const float *x,
                       const struct cuda_working *working)
{
    return LAUNCH(cast_tiles<T>, (unsigned)tile_count, BLOCK, stream, tiles, aligned(x, NULL, NULL, NULL), x,
                  static_cast<T *>(working->narrow), working->wide);
}

int cuda_cast(struct CUstream_st *stream, const struct cuda_tile *tiles, size_t tile_count, const float *x,
              const struct cuda_working *working)
{
    if (tile_count == 0)
        return 0;
    auto launch = working->type == CUDA_FP32   ? launch_cast<float>
                  : working->type == CUDA_FP16 ? launch_cast<fp16>
                                               : launch_cast<bf16>;
    return launch(stream, tiles, tile_count, x, working);
}

/* --- flat gradient from the working layout --- */

template <typename V> __device__ __forceinline__ void unstage(const float *staged, unsigned at, float factor, float *to)
{
    V values;
    for (unsigned i = 0; i < V::COUNT; i++)
        values.of[i] = factor * staged[staged_at(at + i)];
    store(to + at, values);
}

template <typename T>
__global__ void gather_tiles(const struct cuda_tile *__restrict__ tiles, bool aligned, const T *__restrict__ d_working,
                             const float *__restrict__ unscale, float *__restrict__ gradient)
{
    __shared__ float staged[STAGED];
    const struct cuda_tile tile = tiles[blockIdx.x];
    if (tile.wide)
        return;
    float factor = unscale != NULL ? *unscale : 1.0f;
    if (packs_fit(tile, d_working))
        read_groups<pack<T>>(tile, d_working, staged);
    else
        read_groups<single<T>>(tile, d_working, staged);
    __syncthreads();
    struct span span = span_of(tile, aligned);
    for (unsigned i = threadIdx.x; i < span.packs; i += BLOCK)
        unstage<pack<float>>(staged, pack_at(span, i), factor, gradient + tile.first);
    for (unsigned i = threadIdx.x; i < span.singles; i += BLOCK)
        unstage<single<float>>(staged, single_at(span, i), factor, gradient + tile.first);
}

template <typename T>
static int launch_gather(struct CUstream_st *stream, const struct cuda_tile *tiles, size_t tile_count,
                         const void *d_working, const float *unscale, float *gradient)
{
    return LAUNCH(gather_tiles<T>, (unsigned)tile_count, BLOCK, stream, tiles, aligned(gradient, NULL, NULL, NULL),
                  static_cast<const T *>(d_working), unscale, gradient);
}

int cuda_gather(struct CUstream_st *stream, const struct cuda_tile *tiles, size_t tile_count, enum cuda_type type,
                const void *d_working, const float *unscale, float *gradient)
{
    if (tile_count == 0)
        return 0;
    auto launch = type == CUDA_FP32   ? launch_gather<float>
                  : type == CUDA_FP16 ? launch_gather<fp16>
                                      : launch_gather<bf16>;
    return launch(stream, tiles, tile_count, d_working, unscale, gradient);
}
