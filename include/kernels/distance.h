/* How far apart two snapshots are: an estimate of the consensus distance at no traffic. */
#ifndef GRAPEVINE_KERNELS_DISTANCE_H
#define GRAPEVINE_KERNELS_DISTANCE_H

#include <stddef.h>

enum { DISTANCE_BLOCK = 1024, DISTANCE_EXACT = 1 << 17, DISTANCE_STRIDE = 16 };

/* ½‖own − peer‖². Of a vector longer than DISTANCE_EXACT every sixteenth block is looked at, and the sum scaled. */
double kernel_pair_distance(const float *own, const float *peer, size_t count);

#endif
