/* Device memory for tests of CUDA kernels, and 16-bit formats on the host. The same calls run on a GPU and on the
 * emulator; everything is on the default stream. A failing call fails the test that made it.
 *
 * Each array lies between two guards, which device_free checks; guards and fresh memory are NaN in every format. The
 * conversions are written from the formats' definitions, by arithmetic in float64, and share nothing with the kernels.
 * cmocka.h comes before this header. */
#ifndef GRAPEVINE_TESTS_CUDA_FIXTURE_H
#define GRAPEVINE_TESTS_CUDA_FIXTURE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime.h>

#include "base/memory.h"
#include "base/random.h"
#include "kernels/cuda_types.h"

#define DEVICE_MUST(call) device_must((int)(call), #call, __FILE__, __LINE__)

static inline void device_must(int error, const char *call, const char *file, int line)
{
    if (error != 0) {
        print_error("%s: %s\n", call, cudaGetErrorString((cudaError_t)error));
        _fail(file, line);
    }
}

/* --- arrays in device memory --- */

/* Also the alignment of arrays, and a multiple of what any kernel loads at once. The front guard begins with the size
 * of its array. */
enum { DEVICE_GUARD = 256 };

static inline void device_fill_guard(unsigned char guard[DEVICE_GUARD])
{
    const uint16_t nan = 0x7fdb; /* not what fresh memory holds, so that a stray copy of that shows */
    for (size_t i = 0; i < DEVICE_GUARD; i += sizeof nan)
        memcpy(guard + i, &nan, sizeof nan);
}

/* `bytes` of device memory in which every word is NaN (bits all ones). */
static inline void *device_alloc(size_t bytes)
{
    unsigned char guard[DEVICE_GUARD];
    void *memory = NULL;
    device_fill_guard(guard);
    DEVICE_MUST(cudaMalloc(&memory, DEVICE_GUARD + bytes + DEVICE_GUARD));
    unsigned char *array = (unsigned char *)memory + DEVICE_GUARD;
    DEVICE_MUST(cudaMemcpy(array + bytes, guard, DEVICE_GUARD, cudaMemcpyHostToDevice));
    memcpy(guard, &bytes, sizeof bytes);
    DEVICE_MUST(cudaMemcpy(memory, guard, DEVICE_GUARD, cudaMemcpyHostToDevice));
    if (bytes > 0)
        DEVICE_MUST(cudaMemset(array, 0xff, bytes));
    return array;
}

static inline void *device_upload(const void *from, size_t bytes)
{
    void *array = device_alloc(bytes);
    if (bytes > 0)
        DEVICE_MUST(cudaMemcpy(array, from, bytes, cudaMemcpyHostToDevice));
    return array;
}

/* After all that was enqueued. `array` may point into the middle of one. */
static inline void device_download(void *to, const void *array, size_t bytes)
{
    DEVICE_MUST(cudaStreamSynchronize(NULL));
    if (bytes > 0)
        DEVICE_MUST(cudaMemcpy(to, array, bytes, cudaMemcpyDeviceToHost));
}

/* After all that was enqueued; the test fails if something wrote around the array. NULL is fine. */
static inline void device_free(void *array)
{
    unsigned char expected[DEVICE_GUARD], front[DEVICE_GUARD], back[DEVICE_GUARD];
    size_t bytes = 0;
    if (array == NULL)
        return;
    device_fill_guard(expected);
    device_download(front, (unsigned char *)array - DEVICE_GUARD, DEVICE_GUARD);
    memcpy(&bytes, front, sizeof bytes);
    assert_memory_equal(front + sizeof bytes, expected + sizeof bytes, DEVICE_GUARD - sizeof bytes);
    device_download(back, (unsigned char *)array + bytes, DEVICE_GUARD);
    assert_memory_equal(back, expected, DEVICE_GUARD);
    DEVICE_MUST(cudaFree((unsigned char *)array - DEVICE_GUARD));
}

/* --- 16-bit formats --- */

struct narrow_format {
    int mantissa_bits, exponent_bits;
};

static inline struct narrow_format narrow_format(enum cuda_type type)
{
    struct narrow_format fp16 = {.mantissa_bits = 10, .exponent_bits = 5};
    struct narrow_format bf16 = {.mantissa_bits = 7, .exponent_bits = 8};
    return type == CUDA_FP16 ? fp16 : bf16;
}

/* What the bits stand for: ±2^(e − bias)·1.m, ±2^(1 − bias)·0.m for e = 0, infinity and NaN for the last e. */
static inline double narrow_value(enum cuda_type type, uint16_t bits)
{
    struct narrow_format f = narrow_format(type);
    int bias = (1 << (f.exponent_bits - 1)) - 1, last = (1 << f.exponent_bits) - 1;
    int exponent = bits >> f.mantissa_bits & last, mantissa = bits & ((1 << f.mantissa_bits) - 1);
    double magnitude;
    if (exponent == last)
        magnitude = mantissa != 0 ? NAN : INFINITY;
    else if (exponent == 0)
        magnitude = ldexp(mantissa, 1 - bias - f.mantissa_bits);
    else
        magnitude = ldexp(mantissa + (1 << f.mantissa_bits), exponent - bias - f.mantissa_bits);
    return bits >> 15 ? -magnitude : magnitude;
}

/* The nearest bits, ties to even; the device's NaN is 0x7fff whatever the sign. */
static inline uint16_t narrow_bits(enum cuda_type type, double value)
{
    struct narrow_format f = narrow_format(type);
    int bias = (1 << (f.exponent_bits - 1)) - 1, last = (1 << f.exponent_bits) - 1;
    unsigned sign = signbit(value) ? 0x8000u : 0;
    if (isnan(value))
        return 0x7fff;
    if (value == 0)
        return (uint16_t)sign;
    int exponent = isinf(value) ? bias + 1 : ilogb(value);
    if (exponent < 1 - bias)
        exponent = 1 - bias;
    if (exponent > bias)
        return (uint16_t)(sign | (unsigned)last << f.mantissa_bits);
    /* In units of the last place: 2^mantissa_bits and more for a normal number, whose leading 1 adds 1 to the exponent,
     * as does a carry out of the rounding, up to infinity. */
    double units = nearbyint(ldexp(fabs(value), f.mantissa_bits - exponent));
    return (uint16_t)(sign | (((unsigned)(exponent + bias - 1) << f.mantissa_bits) + (unsigned)units));
}

static inline size_t type_bytes(enum cuda_type type)
{
    return type == CUDA_FP32 ? sizeof(float) : sizeof(uint16_t);
}

/* Element `i` of a host array of `type`. */
static inline float type_load(enum cuda_type type, const void *array, size_t i)
{
    if (type == CUDA_FP32)
        return ((const float *)array)[i];
    return (float)narrow_value(type, ((const uint16_t *)array)[i]);
}

static inline void type_store(enum cuda_type type, void *array, size_t i, float value)
{
    if (type == CUDA_FP32)
        ((float *)array)[i] = value;
    else
        ((uint16_t *)array)[i] = narrow_bits(type, value);
}

/* --- contents --- */

/* Standard normal draws of the stream (seed, tests). */
static inline void fill_normal(float *values, size_t count, uint64_t seed)
{
    struct random_stream stream = random_stream(seed, RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)random_normal(&stream);
}

/* The same on the heap; the caller frees it. */
static inline float *new_normal(size_t count, uint64_t seed)
{
    float *values = memory_zalloc(count, sizeof *values);
    fill_normal(values, count, seed);
    return values;
}

/* A host array of `type` with normal draws; the caller frees it. */
static inline void *new_normal_of_type(enum cuda_type type, size_t count, uint64_t seed)
{
    float *values = new_normal(count, seed);
    void *array = memory_zalloc(count, type_bytes(type));
    for (size_t i = 0; i < count; i++)
        type_store(type, array, i, values[i]);
    free(values);
    return array;
}

#endif
