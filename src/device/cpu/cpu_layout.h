/* How a value lies in memory: the few orders that our own loops and oneDNN share.
 *
 * An activation (batch, channels, height, width) lies as (batch, blocks, height, width, block) with
 * channel = blocks' index · block + lane: block 1 is NCHW, 8 and 16 are oneDNN's nChw8c and nChw16c, and block =
 * channels is NHWC. Lanes beyond the last channel exist in memory and hold zeros. */
#ifndef GRAPEVINE_DEVICE_CPU_LAYOUT_H
#define GRAPEVINE_DEVICE_CPU_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "device/cpu/onednn_compat.h"

struct cpu_shape {
    size_t batch, channels, height, width;
    size_t block; /* channels side by side */
};

/* Elements in memory, padding lanes included, and of one image. */
size_t cpu_shape_image(const struct cpu_shape *shape);
size_t cpu_shape_count(const struct cpu_shape *shape);
size_t cpu_shape_blocks(const struct cpu_shape *shape);
/* Place of element (n, c, h, w). */
size_t cpu_shape_index(const struct cpu_shape *shape, size_t n, size_t c, size_t h, size_t w);
/* True where memory order is (batch, channels, height, width): also a blocked one without pixels or padding. */
bool cpu_shape_is_plain(const struct cpu_shape *shape);

/* Copy the elements from one order to the other; padding lanes become zero. Dimensions are equal. */
void cpu_shape_convert(const struct cpu_shape *from, const float *x, const struct cpu_shape *to, float *y, int threads);

/* The library's layout of a plain (NCHW) shape; STATUS_MACHINE. */
enum status cpu_layout_plain(const struct cpu_shape *shape, struct onednn_layout *out);
/* The library's layout of a shape with its block. */
enum status cpu_layout_blocked(const struct cpu_shape *shape, struct onednn_layout *out);
/* The same dimensions, order left to the library. */
enum status cpu_layout_any(const struct cpu_shape *shape, struct onednn_layout *out);
/* Read the order back: sets shape->block, or returns false for one that our loops do not know. */
bool cpu_layout_read(const struct onednn_layout *layout, struct cpu_shape *shape);

#endif
