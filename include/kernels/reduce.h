/* Sums of a flat vector in float64 over fixed blocks, so that the result depends on the data alone. */
#ifndef GRAPEVINE_KERNELS_REDUCE_H
#define GRAPEVINE_KERNELS_REDUCE_H

#include <stddef.h>

enum { REDUCE_BLOCK = 16384 }; /* elements; callers add the blocks' sums in order */

/* Σ v[i]² over [first, last), last − first ≤ REDUCE_BLOCK. */
double kernel_sum_squares(size_t first, size_t last, const float *v);

#endif
