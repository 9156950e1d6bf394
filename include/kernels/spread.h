/* How far many vectors are from their mean: the consensus distance, exactly. */
#ifndef GRAPEVINE_KERNELS_SPREAD_H
#define GRAPEVINE_KERNELS_SPREAD_H

#include <stddef.h>

enum { SPREAD_BLOCK = 512 }; /* elements; callers add the blocks' sums in order */

/* Σ_i Σ_k (v_i[k] − mean[k])² over elements k in [first, last), last − first ≤ SPREAD_BLOCK, of `vector_count` vectors.
 * Of an element the mean and the squares are taken in float64, the vectors in their order. mean[k] in fp32; `mean` may
 * be NULL. */
double kernel_spread(int vector_count, size_t first, size_t last, const float *const *vectors, float *mean);

#endif
