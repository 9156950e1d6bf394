/* What a batch norm may have from the convolution before it. Private to this folder. */
#ifndef GRAPEVINE_DEVICE_CUDA_CONV_H
#define GRAPEVINE_DEVICE_CUDA_CONV_H

#include "device/cuda/cuda_net.h"

/* Σ y and Σ y² per channel of a value, (2, channels), as the last forward pass left them in a training mode; NULL where
 * its producer does not take them. */
const float *cuda_conv_sums(const struct net *net, int value);

#endif
