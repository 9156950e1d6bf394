/* Pair event and snapshot of the A²CiD² dynamic on flat vectors, one pass each (Oyallon, habilitation thesis
 * 2023, eq. 5.22-5.23).
 *
 * Pair:      δ = mix·(x̃ − x);  d = own − peer;  x ← (x + δ) − α·d;  x̃ ← (x̃ − δ) − α̃·d
 * Snapshot:  out = x + mix·(x̃ − x)
 *
 * Both ends compute d from the same two snapshots, and fl(a − b) = −fl(b − a): the event is exactly antisymmetric.
 * x̃ = NULL: x ← x − α·d, and out = x. */
#ifndef GRAPEVINE_KERNELS_PAIR_H
#define GRAPEVINE_KERNELS_PAIR_H

#include <stddef.h>

void kernel_pair(float mix, float alpha, float alpha_tilde, size_t first, size_t last, float *x, float *x_tilde,
                 const float *own, const float *peer);
void kernel_snapshot(float mix, size_t first, size_t last, const float *x, const float *x_tilde, float *out);

#endif
