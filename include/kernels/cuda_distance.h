/* CUDA kernels: distances, a digest, and scaling a vector. Launchers as cuda_types.h says. */
#ifndef GRAPEVINE_KERNELS_CUDA_DISTANCE_H
#define GRAPEVINE_KERNELS_CUDA_DISTANCE_H

#include <stddef.h>

#include "kernels/cuda_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* *sum = ½‖own − peer‖², of the blocks that kernels/distance.h looks at, scaled likewise; float64. `parts`
 * (CUDA_SUM_PARTS of cuda_vector.h) is scratch. */
int cuda_pair_distance(struct CUstream_st *stream, size_t count, const float *own, const float *peer, double *parts,
                       double *sum);
/* *sum = Σ_i ‖v_i − mean‖² of vectors (vector_count, count) as kernels/spread.h has it, in another order of elements;
 * the array of pointers lies in device memory. `mean` (count) may be NULL; `parts` as above. count ≥ 1. */
int cuda_spread(struct CUstream_st *stream, int vector_count, size_t count, const float *const *vectors, float *mean,
                double *parts, double *sum);
/* *digest = kernel_digest(count, v), a uint64_t; `parts`, as many, is scratch. count ≥ 1. */
int cuda_digest(struct CUstream_st *stream, size_t count, const float *v, void *parts, void *digest);
/* v *= factor */
int cuda_scale(struct CUstream_st *stream, size_t count, float factor, float *v);

#ifdef __cplusplus
}
#endif

#endif
