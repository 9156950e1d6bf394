/* How a kernel is compiled: once per instruction set, the best one chosen when the program is loaded.
 *
 * One binary then runs on any x86-64 and uses AVX-512 where it is. The clones give the same bits: rounding is that
 * of the written expressions, because contraction into fused multiply-adds is off. gcc turns it off under -std=c11,
 * which the exact laws (antisymmetric pair events, x̃ = x is plain SGD) rely on; clang is told so here. */
#ifndef GRAPEVINE_KERNELS_CLONES_H
#define GRAPEVINE_KERNELS_CLONES_H

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif !defined(__STRICT_ANSI__)
#error "kernels need -std=c11: the gnu dialects contract a*b+c, which breaks the exact laws"
#endif

/* Sanitizers do not get along with the load-time choice. */
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define KERNEL_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define KERNEL_CLONES
#endif

#define KERNEL_INLINE static inline __attribute__((always_inline))

#endif
