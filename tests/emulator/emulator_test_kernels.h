/* Launchers of emulator_test_kernels.cu, for tests/unit/emulator_test.cpp. Each returns a cudaError_t. */
#ifndef GRAPEVINE_TESTS_EMULATOR_TEST_KERNELS_H
#define GRAPEVINE_TESTS_EMULATOR_TEST_KERNELS_H

#include <stddef.h>

struct CUstream_st;

/* narrow = x rounded to fp16 (type 16) or bf16, back = narrow as float. */
int launch_convert(struct CUstream_st *stream, int type, size_t count, const float *x, void *narrow, float *back);
int launch_add_one(struct CUstream_st *stream, size_t count, float *x);
int launch_sum_blocks(struct CUstream_st *stream, const float *x, float *out); /* (6, 256) to (6) */
int launch_shuffle_types(struct CUstream_st *stream, double *out);             /* (96) */
int launch_read_stale(struct CUstream_st *stream, float *out);                 /* (64) */
int launch_rotate(struct CUstream_st *stream, int waits, float *x);            /* (64), by one to the left */
int launch_divergent_barrier(struct CUstream_st *stream);                      /* aborts */
int launch_divergent_shuffle(struct CUstream_st *stream, float *out);          /* aborts */
int launch_too_large(struct CUstream_st *stream, float *x);                    /* cudaErrorInvalidConfiguration */

#endif
