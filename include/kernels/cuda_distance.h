/* CUDA kernels: the distance of two snapshots, and scaling a vector. Launchers as cuda_types.h says. */
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
/* v *= factor */
int cuda_scale(struct CUstream_st *stream, size_t count, float factor, float *v);

#ifdef __cplusplus
}
#endif

#endif
