/* What a batch norm and the convolution before it have from one another. Private to this folder. */
#ifndef GRAPEVINE_DEVICE_CUDA_CONV_H
#define GRAPEVINE_DEVICE_CUDA_CONV_H

#include "device/cuda/cuda_net.h"

/* Σ y and Σ y² per channel of a value, (2, channels), as the last forward pass left them in a training mode; NULL where
 * its producer does not take them. */
const float *cuda_conv_sums(const struct net *net, int value);

/* Does the convolution that made the value leave an evaluation to the norm behind it, to be done in one graph? */
bool cuda_conv_waits_for_norm(const struct net *net, int value);
/* Then: the convolution, and the norm with the coefficients that it has set, into the norm's output. */
enum status cuda_conv_with_norm(struct net *net, int value);

/* Coefficients of a norm (channels each): y = x·a + b. */
void cuda_norm_coefficients(const struct net *net, const struct cuda_op *op, float **a, float **b);

#endif
