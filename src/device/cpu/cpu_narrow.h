/* The weight gradient of a convolution that reads plain images of few channels and writes blocks of channels: there
 * oneDNN on AVX2 has nothing but its reference loops, a hundred times slower than the rest of the convolution. */
#ifndef GRAPEVINE_DEVICE_CPU_NARROW_H
#define GRAPEVINE_DEVICE_CPU_NARROW_H

#include "device/cpu/cpu_layout.h"

/* True for shapes that cpu_narrow_gradient serves. */
bool cpu_narrow_fits(const struct cpu_shape *in, const struct cpu_shape *out, int kernel);
/* d_weight (out channels, in channels, kernel, kernel) = Σ over images and pixels of d_out · x; d_bias (out channels)
 * likewise without x, unless it is NULL. The result does not depend on the number of threads. */
void cpu_narrow_gradient(const struct cpu_shape *in, const float *x, const struct cpu_shape *out, const float *d_out,
                         int kernel, int stride, int pad, float *d_weight, float *d_bias, int threads);

#endif
