/* Pair event and snapshot on the device, one pass each; contract: kernels/cuda_vector.h. The expressions are those of
 * kernels/pair.c, in the same order: the same bits, and the same exact antisymmetry.
 *
 * Bound by memory: each thread has up to four loads of 16 bytes in flight before it computes. */
#include "kernels/cuda_vector.h"

#include <cuda_kernel.h>

enum { BLOCK = 256, LANES = pack<float>::COUNT };

/* One element, where a pack does not fit. */
struct single {
    enum { COUNT = 1 };
    float of[COUNT];
};

template <typename V> __device__ __forceinline__ V load(const float *from)
{
    return *reinterpret_cast<const V *>(from);
}

template <typename V> __device__ __forceinline__ void store(float *to, V value)
{
    *reinterpret_cast<V *>(to) = value;
}

static bool aligned(const void *a, const void *b, const void *c, const void *d)
{
    return ((uintptr_t)a | (uintptr_t)b | (uintptr_t)c | (uintptr_t)d) % sizeof(pack<float>) == 0;
}

static unsigned blocks_of(size_t threads)
{
    return (unsigned)((threads + BLOCK - 1) / BLOCK);
}

/* --- pair event --- */

struct coefficients {
    float mix, alpha, alpha_tilde;
};

/* Elements from `at` on, as many as V holds. */
template <bool tilde, typename V>
__device__ __forceinline__ void pair_group(const struct coefficients &c, size_t at, float *__restrict__ x,
                                           float *__restrict__ x_tilde, const float *__restrict__ own,
                                           const float *__restrict__ peer)
{
    V new_x = load<V>(x + at), new_tilde = {}, mine = load<V>(own + at), theirs = load<V>(peer + at);
    if (tilde)
        new_tilde = load<V>(x_tilde + at);
    for (unsigned i = 0; i < V::COUNT; i++) {
        float delta = tilde ? c.mix * (new_tilde.of[i] - new_x.of[i]) : 0.0f;
        float here = tilde ? new_x.of[i] + delta : new_x.of[i];
        float difference = mine.of[i] - theirs.of[i];
        new_x.of[i] = here - c.alpha * difference;
        new_tilde.of[i] = (new_tilde.of[i] - delta) - c.alpha_tilde * difference;
    }
    store(x + at, new_x);
    if (tilde)
        store(x_tilde + at, new_tilde);
}

/* A thread for each pack, then one for each element beyond them. */
template <bool tilde>
__global__ void pair_flat(struct coefficients c, size_t packs, size_t count, float *__restrict__ x,
                          float *__restrict__ x_tilde, const float *__restrict__ own, const float *__restrict__ peer)
{
    size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    if (i < packs)
        pair_group<tilde, pack<float>>(c, i * LANES, x, x_tilde, own, peer);
    else if (i - packs < count - packs * LANES)
        pair_group<tilde, single>(c, packs * LANES + (i - packs), x, x_tilde, own, peer);
}

int cuda_pair(struct CUstream_st *stream, float mix, float alpha, float alpha_tilde, size_t count, float *x,
              float *x_tilde, const float *own, const float *peer)
{
    if (count == 0)
        return 0;
    struct coefficients c = {mix, alpha, alpha_tilde};
    size_t packs = aligned(x, x_tilde, own, peer) ? count / LANES : 0;
    unsigned grid = blocks_of(packs + (count - packs * LANES));
    auto pair = x_tilde != NULL ? pair_flat<true> : pair_flat<false>;
    return LAUNCH(pair, grid, BLOCK, stream, c, packs, count, x, x_tilde, own, peer);
}

/* --- snapshot --- */

template <bool tilde, typename V> __device__ __forceinline__ V snapshot_of(float mix, const V &x, const V &x_tilde)
{
    V out;
    for (unsigned i = 0; i < V::COUNT; i++)
        out.of[i] = tilde ? x.of[i] + mix * (x_tilde.of[i] - x.of[i]) : x.of[i];
    return out;
}

template <bool tilde, typename V>
__device__ __forceinline__ void snapshot_group(float mix, size_t at, const float *x, const float *x_tilde, float *out)
{
    store(out + at, snapshot_of<tilde>(mix, load<V>(x + at), tilde ? load<V>(x_tilde + at) : V()));
}

enum { GROUPS = 2 }; /* of a thread, BLOCK apart */

/* Groups i and i + BLOCK, both packs: all loads before the stores. */
template <bool tilde>
__device__ __forceinline__ void snapshot_packs(float mix, size_t i, const float *x, const float *x_tilde, float *out)
{
    pack<float> from[GROUPS], from_tilde[GROUPS] = {};
    for (unsigned k = 0; k < GROUPS; k++) {
        from[k] = load<pack<float>>(x + (i + k * BLOCK) * LANES);
        if (tilde)
            from_tilde[k] = load<pack<float>>(x_tilde + (i + k * BLOCK) * LANES);
    }
    for (unsigned k = 0; k < GROUPS; k++)
        store(out + (i + k * BLOCK) * LANES, snapshot_of<tilde>(mix, from[k], from_tilde[k]));
}

/* Groups are the packs, then each element beyond them. */
template <bool tilde>
__global__ void snapshot_flat(float mix, size_t packs, size_t count, const float *__restrict__ x,
                              const float *__restrict__ x_tilde, float *__restrict__ out)
{
    size_t first = (size_t)blockIdx.x * (BLOCK * GROUPS) + threadIdx.x, last = first + (GROUPS - 1) * BLOCK;
    if (last < packs) {
        snapshot_packs<tilde>(mix, first, x, x_tilde, out);
        return;
    }
    for (size_t i = first; i <= last; i += BLOCK) {
        if (i < packs)
            snapshot_group<tilde, pack<float>>(mix, i * LANES, x, x_tilde, out);
        else if (i - packs < count - packs * LANES)
            snapshot_group<tilde, single>(mix, packs * LANES + (i - packs), x, x_tilde, out);
    }
}

int cuda_snapshot(struct CUstream_st *stream, float mix, size_t count, const float *x, const float *x_tilde, float *out)
{
    if (count == 0)
        return 0;
    size_t packs = aligned(x, x_tilde, out, NULL) ? count / LANES : 0;
    unsigned grid = (blocks_of(packs + (count - packs * LANES)) + GROUPS - 1) / GROUPS;
    auto snapshot = x_tilde != NULL ? snapshot_flat<true> : snapshot_flat<false>;
    return LAUNCH(snapshot, grid, BLOCK, stream, mix, packs, count, x, x_tilde, out);
}
