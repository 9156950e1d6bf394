/* How a value lies in memory: shapes, and their translation to and from oneDNN's layouts. */
#include "device/cpu/cpu_layout.h"

#include <string.h>

size_t cpu_shape_blocks(const struct cpu_shape *shape)
{
    return (shape->channels + shape->block - 1) / shape->block;
}

size_t cpu_shape_image(const struct cpu_shape *shape)
{
    return cpu_shape_blocks(shape) * shape->block * shape->height * shape->width;
}

size_t cpu_shape_count(const struct cpu_shape *shape)
{
    return shape->batch * cpu_shape_image(shape);
}

size_t cpu_shape_index(const struct cpu_shape *shape, size_t n, size_t c, size_t h, size_t w)
{
    size_t plane = n * cpu_shape_blocks(shape) + c / shape->block;
    return ((plane * shape->height + h) * shape->width + w) * shape->block + c % shape->block;
}

bool cpu_shape_is_plain(const struct cpu_shape *shape)
{
    return shape->block == 1 || (shape->height * shape->width == 1 && shape->channels % shape->block == 0);
}

void cpu_shape_convert(const struct cpu_shape *from, const float *x, const struct cpu_shape *to, float *y, int threads)
{
    size_t pixels = to->height * to->width, planes = cpu_shape_blocks(to), size = pixels * to->block;
    if (from->block == to->block) {
        memcpy(y, x, cpu_shape_count(to) * sizeof *y);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t i = 0; i < to->batch * planes; i++) {
        for (size_t j = 0; j < size; j++) {
            size_t c = i % planes * to->block + j % to->block, pixel = j / to->block;
            y[i * size + j] =
                c < to->channels ? x[cpu_shape_index(from, i / planes, c, pixel / to->width, pixel % to->width)] : 0.0f;
        }
    }
}

static enum status layout_of(const struct cpu_shape *shape, dnnl_format_tag_t tag, struct onednn_layout *out)
{
    dnnl_dims_t dims = {(dnnl_dim_t)shape->batch, (dnnl_dim_t)shape->channels, (dnnl_dim_t)shape->height,
                        (dnnl_dim_t)shape->width};
    TRY_DNNL("describing an activation", onednn_layout_tag(out, 4, dims, tag));
    return STATUS_OK;
}

enum status cpu_layout_plain(const struct cpu_shape *shape, struct onednn_layout *out)
{
    return layout_of(shape, dnnl_nchw, out);
}

/* NHWC is told apart by its block, the number of channels; with 8 or 16 of them it is also a blocked layout of one
 * block. */
enum status cpu_layout_blocked(const struct cpu_shape *shape, struct onednn_layout *out)
{
    dnnl_format_tag_t tag = shape->block == 1    ? dnnl_nchw
                            : shape->block == 8  ? dnnl_nChw8c
                            : shape->block == 16 ? dnnl_nChw16c
                                                 : dnnl_nhwc;
    return layout_of(shape, tag, out);
}

enum status cpu_layout_any(const struct cpu_shape *shape, struct onednn_layout *out)
{
    return layout_of(shape, dnnl_format_tag_any, out);
}

bool cpu_layout_read(const struct onednn_layout *layout, struct cpu_shape *shape)
{
    struct onednn_blocking blocking = onednn_layout_blocking(layout);
    if (!blocking.blocked || blocking.inner_count > 1)
        return false;
    size_t candidates[2] = {1, shape->channels};
    if (blocking.inner_count == 1) {
        if (blocking.inner_dimension != 1 || (blocking.inner_block != 8 && blocking.inner_block != 16))
            return false;
        candidates[0] = candidates[1] = (size_t)blocking.inner_block;
    }
    for (int i = 0; i < 2; i++) {
        struct cpu_shape trial = *shape;
        trial.block = candidates[i];
        size_t pixels = shape->height * shape->width;
        bool channels_fit = blocking.inner_count == 1 ? blocking.strides[1] == (dnnl_dim_t)(pixels * trial.block)
                                                      : blocking.strides[1] == (dnnl_dim_t)(i == 0 ? pixels : 1);
        bool fits = (shape->batch == 1 || blocking.strides[0] == (dnnl_dim_t)cpu_shape_image(&trial)) &&
                    (cpu_shape_blocks(&trial) == 1 || channels_fit) &&
                    (blocking.inner_count == 1 || shape->channels == 1 || channels_fit) &&
                    (shape->height == 1 || blocking.strides[2] == (dnnl_dim_t)(shape->width * trial.block)) &&
                    (shape->width == 1 || blocking.strides[3] == (dnnl_dim_t)trial.block);
        if (fits) {
            shape->block = trial.block;
            return true;
        }
    }
    return false;
}
