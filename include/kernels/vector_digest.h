/* A 64-bit digest of a vector's bits, the same on every device: tells whether a copy has arrived whole. */
#ifndef GRAPEVINE_KERNELS_VECTOR_DIGEST_H
#define GRAPEVINE_KERNELS_VECTOR_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/* Σ_k mix(k·2³² + bits of v[k]) mod 2⁶⁴, mix being the finalizer of SplitMix64: any order of elements gives the same.
 * Vectors that differ have other digests, but for one chance in 2⁶⁴; it tells accidents, not forgery. count ≤ 2³². */
uint64_t kernel_digest(size_t count, const float *v);

#endif
