/* Arrays that lie on the host and on the device, and bounds of rounding, for tests of the kernels of layers. cmocka.h and
 * cuda_fixture.h come before this header. */
#ifndef GRAPEVINE_TESTS_CUDA_ARRAYS_H
#define GRAPEVINE_TESTS_CUDA_ARRAYS_H

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static const enum cuda_type types[] = {CUDA_FP32, CUDA_FP16, CUDA_BF16};

struct array {
    enum cuda_type type;
    size_t count;
    void *host;   /* owned */
    void *device; /* owned */
};

static inline struct array array_from(enum cuda_type type, size_t count, void *host)
{
    return (struct array){type, count, host, device_upload(host, count * type_bytes(type))};
}

static inline struct array array_normal(enum cuda_type type, size_t count, uint64_t seed)
{
    return array_from(type, count, new_normal_of_type(type, count, seed));
}

/* What a kernel leaves out of it is NaN. */
static inline struct array array_empty(enum cuda_type type, size_t count)
{
    return (struct array){type, count, memory_zalloc(count, type_bytes(type)), device_alloc(count * type_bytes(type))};
}

/* `count` draws of scale·normal + offset, fp32. */
static inline struct array array_channels(size_t count, double scale, double offset, uint64_t seed)
{
    float *values = new_normal(count, seed);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(scale * values[i] + offset);
    return array_from(CUDA_FP32, count, values);
}

static inline void array_download(const struct array *array)
{
    device_download(array->host, array->device, array->count * type_bytes(array->type));
}

static inline float at(const struct array *array, size_t i)
{
    return type_load(array->type, array->host, i);
}

static inline void array_release(struct array *array)
{
    free(array->host);
    device_free(array->device);
}

static inline void release_all(struct array *const arrays[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        array_release(arrays[i]);
}

#define RELEASE(...) release_all((struct array *const[]){__VA_ARGS__}, COUNT_OF(((struct array *const[]){__VA_ARGS__})))

/* Of a result that is stored as `type`: n roundings to fp32 of terms whose absolute values add up to `magnitude` are off by
 * n·2⁻²⁴·magnitude at most, to first order; storing adds half a unit in the last place. */
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

#endif
