/* Batch norm on the device, forward (kernels/cuda_layers.h), pass by pass against float64 references that follow the
 * contract's formulas. Runs on a GPU or on the emulator. Bounds: cuda_arrays.h; each check counts the roundings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>

#include "cuda_fixture.h"

#include "cuda_arrays.h"

/* --- statistics --- */

/* Of one channel, in float64. */
struct moments {
    double mean, variance, origin;
    double distance, square; /* means of |x − x_0| and (x − x_0)² */
};

static struct moments moments_of(const struct cuda_matrix *shape, const struct array *x, size_t channel)
{
    size_t channels = (size_t)shape->channels;
    double n = (double)shape->pixels;
    struct moments m = {.origin = at(x, channel)};
    for (size_t i = channel; i < x->count; i += channels) {
        m.mean += at(x, i) / n;
        m.distance += fabs(at(x, i) - m.origin) / n;
        m.square += (at(x, i) - m.origin) * (at(x, i) - m.origin) / n;
    }
    for (size_t i = channel; i < x->count; i += channels)
        m.variance += (at(x, i) - m.mean) * (at(x, i) - m.mean) / n;
    return m;
}

/* In the order of cuda_norm_state; then what the running statistics were before. */
enum state_array { SCALE, SHIFT, RUNNING_MEAN, RUNNING_VARIANCE, MEAN, INVERSE, A, B, OLD_MEAN, OLD_VARIANCE, ARRAYS };

struct state {
    struct array of[ARRAYS];
    struct cuda_norm_state device;
};

static struct array state_array(enum state_array array, size_t channels)
{
    switch (array) {
    case SCALE:
    case SHIFT:
        return array_drawn(CUDA_FP32, channels, 1 + (uint64_t)array);
    case RUNNING_MEAN:
    case OLD_MEAN:
        return array_drawn(CUDA_FP32, channels, 3);
    case RUNNING_VARIANCE:
    case OLD_VARIANCE:
        return array_uniform(CUDA_FP32, channels, 1, 1.5, 4);
    default:
        return array_empty(CUDA_FP32, channels);
    }
}

static struct state state_create(size_t channels)
{
    struct state s;
    void *pointers[ARRAYS];
    for (int i = 0; i < ARRAYS; i++) {
        s.of[i] = state_array((enum state_array)i, channels);
        pointers[i] = s.of[i].device;
    }
    memcpy(&s.device, pointers, sizeof s.device);
    return s;
}

static void state_release(struct state *s)
{
    for (int i = 0; i < ARRAYS; i++)
        array_release(&s->of[i]);
}

/* Of channel c. */
static double of(const struct state *s, enum state_array array, size_t c)
{
    return at(&s->of[array], c);
}

static const double epsilon = 1e-5, momentum = 0.1;

/* Coefficients and running statistics of one channel, from a mean and a variance known within `e_mean`, `e_variance`.
 * Results are rounded once from float64. */
static void check_channel(const struct state *s, size_t c, size_t pixels, double mean, double variance, double e_mean,
                          double e_variance)
{
    double inverse = 1 / sqrt(variance + epsilon), a = of(s, SCALE, c) * inverse, unit = 0x1p-24;
    double e_inverse = inverse * e_variance / (variance + epsilon), e_a = fabs(of(s, SCALE, c)) * e_inverse;
    double unbiased = pixels > 1 ? (double)pixels / (double)(pixels - 1) : 1;
    double running_mean = (1 - momentum) * of(s, OLD_MEAN, c) + momentum * mean;
    double running_variance = (1 - momentum) * of(s, OLD_VARIANCE, c) + momentum * unbiased * variance;
    check("mean", c, of(s, MEAN, c), mean, e_mean + unit * fabs(mean));
    check("inverse", c, of(s, INVERSE, c), inverse, e_inverse + unit * inverse);
    check("a", c, of(s, A, c), a, e_a + unit * fabs(a));
    check("b", c, of(s, B, c), of(s, SHIFT, c) - mean * a,
          fabs(mean) * e_a + fabs(a) * e_mean + unit * (fabs(of(s, SHIFT, c)) + fabs(mean * a)));
    check("running mean", c, of(s, RUNNING_MEAN, c), running_mean, e_mean + unit * fabs(running_mean));
    check("running variance", c, of(s, RUNNING_VARIANCE, c), running_variance,
          unbiased * e_variance + unit * running_variance);
}

static void download_state(const struct state *s)
{
    for (int i = RUNNING_MEAN; i <= B; i++)
        array_download(&s->of[i]);
}

/* x in channel c is about `offset`·(c + 1), with variance 1. */
static struct array array_offset(const struct cuda_matrix *shape, double offset)
{
    float *values = new_normal(count_of(shape), 7);
    for (size_t i = 0; i < count_of(shape); i++)
        values[i] += (float)(offset * (double)(i % (size_t)shape->channels + 1));
    return array_from(shape->type, count_of(shape), values);
}

/* The sums are off by (SUM_ROUNDINGS + 2) roundings of their terms; the variance is that of both sums, since
 * |Σ (x − x_0)|·Σ |x − x_0| ≤ n Σ (x − x_0)². */
static void check_statistics(const struct cuda_matrix *shape, double offset)
{
    size_t channels = (size_t)shape->channels;
    int blocks = cuda_norm_blocks(shape);
    struct array x = array_offset(shape, offset), partial = array_empty(CUDA_FP32, (size_t)blocks * 2 * channels);
    struct state s = state_create(channels);
    assert_true(blocks >= 1 && (size_t)blocks <= shape->pixels);
    DEVICE_MUST(cuda_norm_sums(NULL, shape, x.device, partial.device));
    DEVICE_MUST(cuda_norm_finish(NULL, shape, x.device, partial.device, blocks, epsilon, momentum, &s.device));
    download_state(&s);
    for (size_t c = 0; c < channels; c++) {
        struct moments m = moments_of(shape, &x, c);
        double unit = (SUM_ROUNDINGS + 2) * 0x1p-24;
        check_channel(&s, c, shape->pixels, m.mean, m.variance, unit * m.distance, 3 * unit * m.square);
    }
    state_release(&s);
    RELEASE(&x, &partial);
}

static void check_statistics_near_zero(const struct cuda_matrix *shape, int number)
{
    check_statistics(shape, 0.1 * number);
}

static void test_statistics(void **state)
{
    (void)state;
    for_each_shape(check_statistics_near_zero);
    for (size_t i = 0; i < COUNT_OF(large); i++)
        check_statistics(&large[i], 0.001);
}

/* A mean of up to 20 000 deviations: without the shift by x_0 nothing would be left of the variance. */
static void test_statistics_far_from_zero(void **state)
{
    (void)state;
    struct cuda_matrix shape = {1000, 20, CUDA_FP32};
    check_statistics(&shape, 1000);
}

/* Σ x and Σ x² as a library leaves them. */
static void test_plain_sums(void **state)
{
    (void)state;
    struct cuda_matrix shape = {500, 37, CUDA_FP16};
    enum { CHANNELS = 37 };
    float *sums = memory_zalloc(2 * CHANNELS, sizeof *sums);
    for (size_t c = 0; c < CHANNELS; c++) {
        sums[c] = 500 * (0.1f * (float)c - 1);
        sums[CHANNELS + c] = 500 * (0.3f + (float)c / 10 + (0.1f * (float)c - 1) * (0.1f * (float)c - 1));
    }
    struct array plain = array_from(CUDA_FP32, 2 * CHANNELS, sums);
    struct state s = state_create(CHANNELS);
    DEVICE_MUST(cuda_norm_finish(NULL, &shape, NULL, plain.device, 1, epsilon, momentum, &s.device));
    download_state(&s);
    for (size_t c = 0; c < CHANNELS; c++) {
        double mean = at(&plain, c) / 500.0;
        check_channel(&s, c, 500, mean, at(&plain, CHANNELS + c) / 500.0 - mean * mean, 1e-15, 1e-13);
    }
    state_release(&s);
    RELEASE(&plain);
}

static void test_running_statistics(void **state)
{
    (void)state;
    enum { CHANNELS = 300 };
    struct state s = state_create(CHANNELS);
    s.device.mean = s.device.inverse = NULL;
    DEVICE_MUST(cuda_norm_running(NULL, CHANNELS, epsilon, &s.device));
    download_state(&s);
    for (size_t c = 0; c < CHANNELS; c++) {
        double a = of(&s, SCALE, c) / sqrt(of(&s, OLD_VARIANCE, c) + epsilon);
        double b = of(&s, SHIFT, c) - of(&s, OLD_MEAN, c) * a;
        check("a", c, of(&s, A, c), a, 0x1p-24 * fabs(a) + 1e-15);
        check("b", c, of(&s, B, c), b, 0x1p-24 * fabs(b) + 1e-15);
    }
    state_release(&s);
}

/* --- forward --- */

enum place { PLACE_OWN, PLACE_X, PLACE_RESIDUAL }; /* where y goes */

static void check_apply(const struct cuda_matrix *shape, bool relu, bool has_residual, enum place place)
{
    size_t count = count_of(shape), channels = (size_t)shape->channels;
    struct array x = array_drawn(shape->type, count, 11), residual = array_drawn(shape->type, count, 12);
    struct array a = array_drawn(CUDA_FP32, channels, 13), b = array_drawn(CUDA_FP32, channels, 14);
    struct array y = array_empty(shape->type, count);
    void *to = place == PLACE_X ? x.device : place == PLACE_RESIDUAL ? residual.device : y.device;
    DEVICE_MUST(
        cuda_norm_apply(NULL, shape, relu, x.device, a.device, b.device, has_residual ? residual.device : NULL, to));
    array_download_from(&y, to);
    for (size_t i = 0; i < count; i++) { /* 3 roundings */
        double product = (double)at(&x, i) * at(&a, i % channels), rest = has_residual ? at(&residual, i) : 0;
        double expected = product + at(&b, i % channels) + rest;
        double magnitude = fabs(product) + fabs(at(&b, i % channels)) + fabs(rest);
        expected = relu && expected < 0 ? 0 : expected;
        check("y", i, at(&y, i), expected, error_of(shape->type, expected, 3, magnitude));
    }
    RELEASE(&x, &residual, &a, &b, &y);
}

static void check_applications(const struct cuda_matrix *shape, int number)
{
    for (int flags = 0; flags < 4; flags++)
        check_apply(shape, flags & 1, flags & 2, PLACE_OWN);
    check_apply(shape, true, false, PLACE_X);
    check_apply(shape, number % 2, true, PLACE_X);
    check_apply(shape, true, true, PLACE_RESIDUAL);
}

static void test_apply(void **state)
{
    (void)state;
    for_each_shape(check_applications);
    for (size_t i = 0; i < COUNT_OF(large); i++) {
        check_apply(&large[i], true, false, PLACE_OWN);
        check_apply(&large[i], true, true, PLACE_RESIDUAL);
    }
}

static void test_nan_passes_relu(void **state)
{
    (void)state;
    enum { CHANNELS = 8, COUNT = 5 * CHANNELS };
    for (size_t t = 0; t < COUNT_OF(types); t++) {
        struct cuda_matrix shape = {COUNT / CHANNELS, CHANNELS, types[t]};
        float *values = new_normal(COUNT, 15);
        values[11] = NAN;
        struct array x = array_from(types[t], COUNT, values), y = array_empty(types[t], COUNT);
        struct array one = array_uniform(CUDA_FP32, CHANNELS, 0, 1, 16);
        DEVICE_MUST(cuda_norm_apply(NULL, &shape, true, x.device, one.device, one.device, NULL, y.device));
        array_download(&y);
        for (size_t i = 0; i < COUNT; i++)
            assert_int_equal(isnan(at(&y, i)) != 0, i == 11);
        RELEASE(&x, &y, &one);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics), cmocka_unit_test(test_statistics_far_from_zero),
        cmocka_unit_test(test_plain_sums), cmocka_unit_test(test_running_statistics),
        cmocka_unit_test(test_apply),      cmocka_unit_test(test_nan_passes_relu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
