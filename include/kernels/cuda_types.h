/* What the launchers of CUDA kernels have in common. Plain C: callers need neither nvcc nor the toolkit's headers.
 *
 * A launcher enqueues its kernel on `stream` (a cudaStream_t) and returns at once; the result is a cudaError_t as an
 * int, 0 for success. Pointers are device memory, 16-byte aligned at the start of an array. Nothing is allocated. Sums
 * are taken in an order that depends on the shapes alone, so that the same input gives the same bits; nothing uses
 * floating-point atomics. Multiply-adds are not contracted: a kernel gives the bits of its plain-C twin. */
#ifndef GRAPEVINE_KERNELS_CUDA_TYPES_H
#define GRAPEVINE_KERNELS_CUDA_TYPES_H

struct CUstream_st;

/* How activations and the working copy are stored. Arithmetic is in fp32. */
enum cuda_type { CUDA_FP32, CUDA_FP16, CUDA_BF16 };

#endif
