/* Two-dimensional convolutions (cross-correlations) of tensors with any strides, by unfolding each image into a matrix.
 *     y[n, k, p, q] = Σ x[n, c, p·stride − pad + r·dilation, …] · w[k, c, r, s]
 * and the two gradients. */
#ifndef GRAPEVINE_TESTS_EMULATOR_CONVOLUTION_H
#define GRAPEVINE_TESTS_EMULATOR_CONVOLUTION_H

#include <stdint.h>

#include "emulator_math.h"

namespace emulator
{

struct tensor_layout {
    number_type type;
    int64_t sizes[4];   /* (batch, channels, height, width), or (filters, channels, height, width) */
    int64_t strides[4]; /* in elements */
};

enum convolution_kind { FORWARD, BACKWARD_DATA, BACKWARD_FILTER };

struct convolution {
    convolution_kind kind;
    tensor_layout x, w, y; /* or their gradients, which have the same sizes */
    int64_t pad[2], stride[2], dilation[2];
    bool tf32; /* round fp32 inputs */
};

/* Reads two of x, w, y and writes the third. Forward, y may be NULL, and sums and squares (channels of y) may be
 * wanted: Σ y and Σ y² of each channel, of y as it is stored. */
void convolve(const convolution &c, void *x, void *w, void *y, float *sums, float *squares);

} // namespace emulator

#endif
