/* Resampling in vectors of sixteen (AVX-512), for resample.c: the same bits, since every sum has the same order. */
#ifndef GRAPEVINE_KERNELS_RESAMPLE_VECTORS_H
#define GRAPEVINE_KERNELS_RESAMPLE_VECTORS_H

#include "kernels/resample.h"

/* This processor has such vectors; else none of the others may be called. */
bool resample_vectors_known(void);
/* As kernel_resample_rows and kernel_resample_lanes. */
void resample_vectors_rows(size_t count, int taps, const uint8_t *const *rows, const float *weights, float *out);
bool resample_vectors_lanes(const struct resample_axis *axis, int out_count);
/* As kernel_resample_columns with lanes; returns how many elements are done, the others are left. What is aligned goes
 * past the caches, for it is a batch that nobody reads soon; a lock, or a fence, comes before others see it. */
int resample_vectors_columns(const struct resample_axis *axis, int out_count, const float *row, const float *factor,
                             const float *shift, float *const *planes);

#endif
