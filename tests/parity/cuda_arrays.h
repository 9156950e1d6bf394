/* Arrays that lie on the host and on the device, bounds of rounding, and shapes of batch norm, for tests of the
 * kernels of layers. cmocka.h and cuda_fixture.h come before this header. */
#ifndef GRAPEVINE_TESTS_CUDA_ARRAYS_H
#define GRAPEVINE_TESTS_CUDA_ARRAYS_H

#include <stdbool.h>

#include "kernels/cuda_layers.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static const enum cuda_type types[] = {CUDA_FP32, CUDA_FP16, CUDA_BF16};

struct array {
    enum cuda_type type;
    size_t count;
    float *values; /* owned; what the device's elements stand for, at the last transfer */
    void *device;  /* owned */
};

/* Takes over `values`, which are rounded to `type`. */
static inline struct array array_from(enum cuda_type type, size_t count, float *values)
{
    void *bytes = memory_zalloc(count, type_bytes(type));
    for (size_t i = 0; i < count; i++) {
        type_store(type, bytes, i, values[i]);
        values[i] = type_load(type, bytes, i);
    }
    struct array array = {type, count, values, device_upload(bytes, count * type_bytes(type))};
    free(bytes);
    return array;
}

/* Uniform in [offset − scale, offset + scale). */
static inline struct array array_uniform(enum cuda_type type, size_t count, double scale, double offset, uint64_t seed)
{
    struct random_stream stream = random_stream(seed, RANDOM_TEST, 1, 0);
    float *values = memory_zalloc(count, sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(scale * (random_u32(&stream) * 0x1p-31 - 1) + offset);
    return array_from(type, count, values);
}

static inline struct array array_drawn(enum cuda_type type, size_t count, uint64_t seed)
{
    return array_uniform(type, count, 2, 0, seed);
}

/* What a kernel leaves out of it is NaN. */
static inline struct array array_empty(enum cuda_type type, size_t count)
{
    return (struct array){type, count, memory_zalloc(count, sizeof(float)), device_alloc(count * type_bytes(type))};
}

/* From `device`, which may be another array of the same type and size. */
static inline void array_download_from(const struct array *array, const void *device)
{
    void *bytes = memory_zalloc(array->count, type_bytes(array->type));
    device_download(bytes, device, array->count * type_bytes(array->type));
    for (size_t i = 0; i < array->count; i++)
        array->values[i] = type_load(array->type, bytes, i);
    free(bytes);
}

static inline void array_download(const struct array *array)
{
    array_download_from(array, array->device);
}

static inline double at(const struct array *array, size_t i)
{
    return array->values[i];
}

static inline void array_release(struct array *array)
{
    free(array->values);
    device_free(array->device);
}

static inline void release_all(struct array *const arrays[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        array_release(arrays[i]);
}

#define RELEASE(...) release_all((struct array *const[]){__VA_ARGS__}, COUNT_OF(((struct array *const[]){__VA_ARGS__})))

/* Of a result that is stored as `type`: n roundings to fp32 of terms whose absolute values add up to `magnitude` are
 * off by n·2⁻²⁴·magnitude at most, to first order; storing adds half a unit in the last place. */
static inline double error_of(enum cuda_type type, double value, int roundings, double magnitude)
{
    double error = roundings * 0x1p-24 * magnitude, most = fabs(value) + error;
    return error + (type == CUDA_FP16 ? 0x1p-11 * most + 0x1p-25 : type == CUDA_BF16 ? 0x1p-8 * most : 0x1p-149);
}

static inline void check(const char *what, size_t i, double found, double expected, double bound)
{
    if (!(fabs(found - expected) <= bound))
        fail_msg("%s %zu: %.9g, expected %.9g within %.3g", what, i, found, expected, bound);
}

/* --- shapes of batch norm --- */

/* Channels below, at and above 16 bytes; more than a block is wide; pixels that the blocks share once and more often.
 * */
static const struct cuda_matrix shapes[] = {
    {1, 1, CUDA_FP32},   {1, 64, CUDA_FP32},     {2, 3, CUDA_FP32},     {33, 8, CUDA_FP32},
    {33, 10, CUDA_FP32}, {1000, 20, CUDA_FP32},  {1027, 64, CUDA_FP32}, {1500, 72, CUDA_FP32},
    {257, 1, CUDA_FP32}, {2200, 129, CUDA_FP32}, {9, 2101, CUDA_FP32},  {7, 2112, CUDA_FP32},
};
/* Accesses of 16 bytes, so many that every thread makes several rounds. */
static const struct cuda_matrix large[] = {{2200, 516, CUDA_FP32}, {2200, 1032, CUDA_FP16}};

static inline size_t count_of(const struct cuda_matrix *shape)
{
    return shape->pixels * (size_t)shape->channels;
}

/* Small ones in every type, with a number that differs from one to the next. */
static inline void for_each_shape(void (*check_shape)(const struct cuda_matrix *shape, int number))
{
    for (size_t i = 0; i < COUNT_OF(shapes) * COUNT_OF(types); i++) {
        struct cuda_matrix shape = shapes[i / COUNT_OF(types)];
        shape.type = types[i % COUNT_OF(types)];
        check_shape(&shape, (int)i);
    }
}

/* A sum over pixels: in these shapes a thread adds 24 terms at most one after another, and a tree of 8 levels
 * follows. */
enum { SUM_ROUNDINGS = 24 + 8 };

#endif
