/* Pictures into activations; contract: kernels/cuda_layers.h. The host's twin of the first is data/memory_set.c.
 *
 * A thread makes one access (16 bytes of channels, or one channel) of one pixel; neighboring threads read neighboring
 * pixels of a plane. */
#include "kernels/cuda_layers.h"

#include <cuda_kernel.h>

enum { THREADS = 256 };

/* One element, where channels do not fill 16 bytes. */
template <typename T> struct single {
    enum { COUNT = 1 };
    T of[COUNT];
};

template <typename T> __device__ __forceinline__ void set(T &element, float value)
{
    element = from_float<T>(value);
}

struct geometry {
    size_t count; /* accesses */
    unsigned columns, channels, height, width;
};

/* The access that a thread makes: its first channel, of pixel (row, column) of a picture. */
struct target {
    size_t at, picture;
    unsigned row, column, channel;
};

template <int COUNT> __device__ __forceinline__ struct target own_target(const struct geometry &g)
{
    size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x, pixel = at / g.columns, line = pixel / g.width;
    size_t picture = line / g.height;
    struct target own = {at, picture, (unsigned)(line - picture * g.height), (unsigned)(pixel - line * g.width),
                         (unsigned)(at - pixel * g.columns) * COUNT};
    return own;
}

template <typename T, typename F> static int with_access_of(const struct cuda_pictures *shape, F launch)
{
    return (size_t)shape->stored_channels * sizeof(T) % 16 == 0 ? launch(pack<T>()) : launch(single<T>());
}

/* Call `launch` with what a thread stores at once; only what type the value is of counts. */
template <typename F> static int with_access(const struct cuda_pictures *shape, F launch)
{
    return shape->type == CUDA_FP16   ? with_access_of<fp16>(shape, launch)
           : shape->type == CUDA_BF16 ? with_access_of<bf16>(shape, launch)
                                      : with_access_of<float>(shape, launch);
}

static struct geometry geometry_of(const struct cuda_pictures *shape, int channels_per_access)
{
    unsigned columns = (unsigned)(shape->stored_channels / channels_per_access);
    struct geometry g = {shape->batch * (unsigned)shape->height * (unsigned)shape->width * columns, columns,
                         (unsigned)shape->channels, (unsigned)shape->height, (unsigned)shape->width};
    return g;
}

static dim3 grid_of(const struct geometry &g)
{
    return dim3((unsigned)((g.count + THREADS - 1) / THREADS));
}

/* --- from bytes --- */

/* Where a pixel comes from in its plane; `inside` is false beyond the border. */
struct source {
    bool inside;
    size_t pixel;
};

/* The picture is cropped, then mirrored. */
__device__ __forceinline__ struct source source_of(const struct geometry &g, const struct cuda_pick &pick,
                                                   const struct target &own)
{
    int row = (int)own.row + pick.row;
    int column = (int)(pick.mirrored ? g.width - 1 - own.column : own.column) + pick.column;
    bool inside = row >= 0 && row < (int)g.height && column >= 0 && column < (int)g.width;
    struct source source = {inside, inside ? (size_t)row * g.width + (unsigned)column : 0};
    return source;
}

template <typename P>
__global__ void pictures_from_bytes(struct geometry g, const uint8_t *pixels, const float *normalised,
                                    const struct cuda_pick *picks, P *out)
{
    struct target own = own_target<P::COUNT>(g);
    if (own.at >= g.count)
        return;
    struct cuda_pick pick = picks[own.picture];
    struct source source = source_of(g, pick, own);
    size_t plane = (size_t)g.height * g.width;
    const uint8_t *from = pixels + (size_t)pick.index * g.channels * plane + source.pixel;
    unsigned values[P::COUNT]; /* all are loaded before the first is looked up */
    for (unsigned i = 0; i < P::COUNT; i++)
        values[i] = source.inside && own.channel + i < g.channels ? from[(own.channel + i) * plane] : 0;
    P made;
    for (unsigned i = 0; i < P::COUNT; i++) {
        unsigned channel = own.channel + i;
        set(made.of[i], channel < g.channels ? normalised[channel * 256 + values[i]] : 0.0f);
    }
    out[own.at] = made;
}

int cuda_pictures_from_bytes(struct CUstream_st *stream, const struct cuda_pictures *shape, const uint8_t *pixels,
                             const float *normalised, const struct cuda_pick *picks, void *out)
{
    return with_access(shape, [&](auto access) {
        using P = decltype(access);
        struct geometry g = geometry_of(shape, P::COUNT);
        return LAUNCH(pictures_from_bytes<P>, grid_of(g), THREADS, stream, g, pixels, normalised, picks,
                      static_cast<P *>(out));
    });
}

/* --- from planes --- */

template <typename P>
__global__ void pictures_from_planes(struct geometry g, const float *planes, const uint32_t *real, P *out)
{
    struct target own = own_target<P::COUNT>(g);
    if (own.at >= g.count)
        return;
    size_t plane = (size_t)g.height * g.width, pixel = (size_t)own.row * g.width + own.column;
    const float *from = planes + own.picture * g.channels * plane + pixel;
    bool filled = own.picture < *real;
    P made;
    for (unsigned i = 0; i < P::COUNT; i++) {
        unsigned channel = own.channel + i;
        set(made.of[i], filled && channel < g.channels ? from[channel * plane] : 0.0f);
    }
    out[own.at] = made;
}

int cuda_pictures_from_planes(struct CUstream_st *stream, const struct cuda_pictures *shape, const float *planes,
                              const uint32_t *real, void *out)
{
    return with_access(shape, [&](auto access) {
        using P = decltype(access);
        struct geometry g = geometry_of(shape, P::COUNT);
        return LAUNCH(pictures_from_planes<P>, grid_of(g), THREADS, stream, g, planes, real, static_cast<P *>(out));
    });
}
