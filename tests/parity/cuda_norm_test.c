/* Batch norm on the device (kernels/cuda_layers.h), pass by pass and as a whole, against float64 references that follow
 * the contract's formulas. Runs on a GPU or on the emulator.
 *
 * Bounds: cuda_arrays.h; the comment at each check counts the roundings. For sums: a thread adds 24 terms at most one
 * after another in the shapes below, and a tree of 8 levels follows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>

#include "cuda_fixture.h"

#include "cuda_arrays.h"
#include "kernels/cuda_layers.h"
#include "kernels/norm.h"

enum { SUM_ROUNDINGS = 24 + 8 };

/* Channels below, at and above 16 bytes; more than a block is wide; pixels that the blocks share once and more often. */
static const struct cuda_matrix shapes[] = {
    {1, 1, CUDA_FP32},   {1, 64, CUDA_FP32},     {2, 3, CUDA_FP32},     {33, 8, CUDA_FP32},
    {33, 10, CUDA_FP32}, {1000, 20, CUDA_FP32},  {1027, 64, CUDA_FP32}, {1500, 72, CUDA_FP32},
    {257, 1, CUDA_FP32}, {2200, 129, CUDA_FP32}, {9, 2101, CUDA_FP32},  {7, 2112, CUDA_FP32},
};
/* Accesses of 16 bytes, so many that every thread makes several rounds. */
static const struct cuda_matrix large[] = {{2200, 516, CUDA_FP32}, {2200, 1032, CUDA_FP16}};

static struct cuda_matrix with_type(struct cuda_matrix shape, enum cuda_type type)
{
    shape.type = type;
    return shape;
}

static size_t count_of(const struct cuda_matrix *shape)
{
    return shape->pixels * (size_t)shape->channels;
}

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

struct state {
    struct array scale, shift, running_mean, running_variance, mean, inverse, a, b;
    struct cuda_norm_state device;
};

static struct state state_create(size_t channels)
{
    struct state s = {.scale = array_channels(channels, 0.5, 1, 1),
                      .shift = array_channels(channels, 1, 0, 2),
                      .running_mean = array_channels(channels, 1, 0, 3),
                      .running_variance = array_channels(channels, 0.1, 1, 4),
                      .mean = array_empty(CUDA_FP32, channels),
                      .inverse = array_empty(CUDA_FP32, channels),
                      .a = array_empty(CUDA_FP32, channels),
                      .b = array_empty(CUDA_FP32, channels)};
    s.device = (struct cuda_norm_state){s.scale.device,
                                        s.shift.device,
                                        s.running_mean.device,
                                        s.running_variance.device,
                                        s.mean.device,
                                        s.inverse.device,
                                        s.a.device,
                                        s.b.device};
    return s;
}

static void state_release(struct state *s)
{
    RELEASE(&s->scale, &s->shift, &s->running_mean, &s->running_variance, &s->mean, &s->inverse, &s->a, &s->b);
}

static const double epsilon = 1e-5, momentum = 0.1;

/* Coefficients and running statistics of one channel, from a mean and a variance known within `e_mean`, `e_variance`.
 * Results are rounded once from float64. */
static void check_channel(const struct state *s, const struct array *before, size_t c, size_t pixels, double mean,
                          double variance, double e_mean, double e_variance)
{
    double inverse = 1 / sqrt(variance + epsilon), a = at(&s->scale, c) * inverse, unit = 0x1p-24;
    double e_inverse = inverse * e_variance / (variance + epsilon), e_a = fabs(at(&s->scale, c)) * e_inverse;
    double unbiased = pixels > 1 ? (double)pixels / (double)(pixels - 1) : 1;
    double shifted = fabs(at(&s->shift, c)) + fabs(mean * a);
    check("mean", c, at(&s->mean, c), mean, e_mean + unit * fabs(mean));
    check("inverse", c, at(&s->inverse, c), inverse, e_inverse + unit * inverse);
    check("a", c, at(&s->a, c), a, e_a + unit * fabs(a));
    check("b", c, at(&s->b, c), at(&s->shift, c) - mean * a, fabs(mean) * e_a + fabs(a) * e_mean + unit * shifted);
    double running_mean = (1 - momentum) * at(&before[0], c) + momentum * mean;
    double running_variance = (1 - momentum) * at(&before[1], c) + momentum * unbiased * variance;
    check("running mean", c, at(&s->running_mean, c), running_mean, e_mean + unit * fabs(running_mean));
    check("running variance", c, at(&s->running_variance, c), running_variance,
          unbiased * e_variance + unit * running_variance);
}

static void download_state(const struct state *s)
{
    const struct array *arrays[] = {&s->running_mean, &s->running_variance, &s->mean, &s->inverse, &s->a, &s->b};
    for (size_t i = 0; i < COUNT_OF(arrays); i++)
        array_download(arrays[i]);
}

/* x in channel c is about `offset`·(c + 1), with variance 1. */
static struct array array_offset(const struct cuda_matrix *shape, double offset)
{
    float *values = new_normal(count_of(shape), 7);
    void *host = memory_zalloc(count_of(shape), type_bytes(shape->type));
    for (size_t i = 0; i < count_of(shape); i++)
        type_store(shape->type, host, i, (float)(values[i] + offset * (double)(i % (size_t)shape->channels + 1)));
    free(values);
    return array_from(shape->type, count_of(shape), host);
}

/* The sums are off by (SUM_ROUNDINGS + 2) roundings of their terms; the variance is that of both sums, since
 * |Σ (x − x_0)|·Σ |x − x_0| ≤ n Σ (x − x_0)². */
static void check_statistics(const struct cuda_matrix *shape, double offset)
{
    size_t channels = (size_t)shape->channels;
    int blocks = cuda_norm_blocks(shape);
    struct array x = array_offset(shape, offset), partial = array_empty(CUDA_FP32, (size_t)blocks * 2 * channels);
    struct state s = state_create(channels);
    struct array before[2] = {array_channels(channels, 1, 0, 3), array_channels(channels, 0.1, 1, 4)};
    assert_true(blocks >= 1 && (size_t)blocks <= shape->pixels);
    DEVICE_MUST(cuda_norm_sums(NULL, shape, x.device, partial.device));
    DEVICE_MUST(cuda_norm_finish(NULL, shape, x.device, partial.device, blocks, epsilon, momentum, &s.device));
    download_state(&s);
    for (size_t c = 0; c < channels; c++) {
        struct moments m = moments_of(shape, &x, c);
        double unit = (SUM_ROUNDINGS + 2) * 0x1p-24;
        check_channel(&s, before, c, shape->pixels, m.mean, m.variance, unit * m.distance, 3 * unit * m.square);
    }
    state_release(&s);
    RELEASE(&x, &partial, &before[0], &before[1]);
}

static void test_statistics(void **state)
{
    (void)state;
    for (size_t t = 0; t < COUNT_OF(types); t++) {
        for (size_t i = 0; i < COUNT_OF(shapes); i++) {
            struct cuda_matrix shape = with_type(shapes[i], types[t]);
            check_statistics(&shape, 0.3);
        }
    }
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
    struct array before[2] = {array_channels(CHANNELS, 1, 0, 3), array_channels(CHANNELS, 0.1, 1, 4)};
    struct state s = state_create(CHANNELS);
    DEVICE_MUST(cuda_norm_finish(NULL, &shape, NULL, plain.device, 1, epsilon, momentum, &s.device));
    download_state(&s);
    for (size_t c = 0; c < CHANNELS; c++) {
        double mean = at(&plain, c) / 500.0;
        check_channel(&s, before, c, 500, mean, at(&plain, CHANNELS + c) / 500.0 - mean * mean, 1e-15, 1e-13);
    }
    state_release(&s);
    RELEASE(&plain, &before[0], &before[1]);
}

static void test_running_statistics(void **state)
{
    (void)state;
    enum { CHANNELS = 300 };
    struct state s = state_create(CHANNELS);
    struct cuda_norm_state device = s.device;
    device.mean = device.inverse = NULL;
    DEVICE_MUST(cuda_norm_running(NULL, CHANNELS, epsilon, &device));
    download_state(&s);
    for (size_t c = 0; c < CHANNELS; c++) {
        double a = at(&s.scale, c) / sqrt(at(&s.running_variance, c) + epsilon);
        double b = at(&s.shift, c) - at(&s.running_mean, c) * a;
        check("a", c, at(&s.a, c), a, 0x1p-23 * fabs(a));
        check("b", c, at(&s.b, c), b, 0x1p-23 * (fabs(b) + 1e-3));
    }
    state_release(&s);
}

/* --- forward --- */

enum place { PLACE_OWN, PLACE_X, PLACE_RESIDUAL }; /* where y goes */

static void check_apply(const struct cuda_matrix *shape, bool relu, bool has_residual, enum place place)
{
    size_t count = count_of(shape), channels = (size_t)shape->channels;
    struct array x = array_normal(shape->type, count, 11), residual = array_normal(shape->type, count, 12);
    struct array a = array_channels(channels, 1, 0, 13), b = array_channels(channels, 1, 0, 14);
    struct array y = array_empty(shape->type, count);
    void *to = place == PLACE_X ? x.device : place == PLACE_RESIDUAL ? residual.device : y.device;
    DEVICE_MUST(
        cuda_norm_apply(NULL, shape, relu, x.device, a.device, b.device, has_residual ? residual.device : NULL, to));
    device_download(y.host, to, count * type_bytes(shape->type));
    for (size_t i = 0; i < count; i++) { /* 3 roundings */
        double product = (double)at(&x, i) * at(&a, i % channels), rest = has_residual ? at(&residual, i) : 0;
        double expected = product + at(&b, i % channels) + rest;
        double magnitude = fabs(product) + fabs(at(&b, i % channels)) + fabs(rest);
        expected = relu && expected < 0 ? 0 : expected;
        check("y", i, at(&y, i), expected, error_of(shape->type, expected, 3, magnitude));
    }
    RELEASE(&x, &residual, &a, &b, &y);
}

static void test_apply(void **state)
{
    (void)state;
    for (size_t t = 0; t < COUNT_OF(types); t++) {
        for (size_t i = 0; i < COUNT_OF(shapes); i++) {
            struct cuda_matrix shape = with_type(shapes[i], types[t]);
            for (int flags = 0; flags < 4; flags++)
                check_apply(&shape, flags & 1, flags & 2, PLACE_OWN);
            check_apply(&shape, true, false, PLACE_X);
            check_apply(&shape, i % 2, true, PLACE_X);
            check_apply(&shape, true, true, PLACE_RESIDUAL);
        }
    }
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
        struct array x = array_normal(types[t], COUNT, 15), y = array_empty(types[t], COUNT);
        struct array one = array_channels(CHANNELS, 0, 1, 16);
        array_release(&x);
        void *host = new_normal_of_type(types[t], COUNT, 15);
        type_store(types[t], host, 11, NAN);
        x = array_from(types[t], COUNT, host);
        DEVICE_MUST(cuda_norm_apply(NULL, &shape, true, x.device, one.device, one.device, NULL, y.device));
        array_download(&y);
        for (size_t i = 0; i < COUNT; i++)
            assert_int_equal(isnan(at(&y, i)) != 0, i == 11);
        RELEASE(&x, &y, &one);
    }
}

/* --- backward --- */

enum mask { MASK_NONE, MASK_FROM_Y, MASK_FROM_X };

/* What the backward passes read; of y only the sign counts. */
struct inputs {
    struct array x, y, d_y, other, a, b, mean;
    enum mask mask;
    bool has_other;
};

static struct inputs inputs_create(const struct cuda_matrix *shape, enum mask mask, bool has_other)
{
    size_t count = count_of(shape), channels = (size_t)shape->channels;
    return (struct inputs){.x = array_normal(shape->type, count, 21),
                           .y = array_normal(shape->type, count, 22),
                           .d_y = array_normal(shape->type, count, 23),
                           .other = array_normal(shape->type, count, 24),
                           .a = array_channels(channels, 1, 0, 25),
                           .b = array_channels(channels, 1, 0, 26),
                           .mean = array_channels(channels, 0.5, 0, 27),
                           .mask = mask,
                           .has_other = has_other};
}

static struct cuda_norm_backward device_inputs(const struct inputs *in)
{
    return (struct cuda_norm_backward){.x = in->x.device,
                                       .y = in->mask == MASK_FROM_Y ? in->y.device : NULL,
                                       .d_y = in->d_y.device,
                                       .d_y_other = in->has_other ? in->other.device : NULL,
                                       .a = in->a.device,
                                       .b = in->b.device,
                                       .mean = in->mean.device,
                                       .relu = in->mask != MASK_NONE};
}

static void inputs_release(struct inputs *in)
{
    RELEASE(&in->x, &in->y, &in->d_y, &in->other, &in->a, &in->b, &in->mean);
}

/* The gradient before the ReLU. Whether that was open is found in fp32, as forward did. */
static double masked(const struct inputs *in, size_t i, size_t channel)
{
    float product = at(&in->x, i) * at(&in->a, channel), value = product + at(&in->b, channel);
    bool open = in->mask == MASK_NONE || (in->mask == MASK_FROM_Y ? at(&in->y, i) > 0 : value > 0);
    return open ? (double)at(&in->d_y, i) + (in->has_other ? at(&in->other, i) : 0) : 0;
}

static double magnitude_of(const struct inputs *in, size_t i)
{
    return fabs(at(&in->d_y, i)) + (in->has_other ? fabs(at(&in->other, i)) : 0);
}

/* Both sums of a channel over all blocks of `partial`. */
static void total(const struct array *partial, size_t channels, size_t channel, double sums[2])
{
    sums[0] = sums[1] = 0;
    for (size_t i = channel; i < partial->count; i += channels)
        sums[i / channels % 2] += at(partial, i);
}

/* 3 roundings in each term beside those of the sums. */
static void check_backward_sums(const struct cuda_matrix *shape, enum mask mask, bool has_other)
{
    size_t channels = (size_t)shape->channels;
    struct inputs in = inputs_create(shape, mask, has_other);
    struct array partial = array_empty(CUDA_FP32, (size_t)cuda_norm_blocks(shape) * 2 * channels);
    struct cuda_norm_backward g = device_inputs(&in);
    DEVICE_MUST(cuda_norm_backward_sums(NULL, shape, &g, partial.device));
    array_download(&partial);
    for (size_t c = 0; c < channels; c++) {
        double found[2], expected[2] = {0}, magnitude[2] = {0}, unit = (SUM_ROUNDINGS + 3) * 0x1p-24;
        for (size_t i = c; i < in.x.count; i += channels) {
            double d = masked(&in, i, c), distance = (double)at(&in.x, i) - at(&in.mean, c);
            expected[0] += d;
            expected[1] += d * distance;
            magnitude[0] += magnitude_of(&in, i);
            magnitude[1] += magnitude_of(&in, i) * fabs(distance);
        }
        total(&partial, channels, c, found);
        for (int k = 0; k < 2; k++)
            check(k == 0 ? "s1" : "s2", c, found[k], expected[k], unit * magnitude[k]);
    }
    inputs_release(&in);
    RELEASE(&partial);
}

static void test_backward_sums(void **state)
{
    (void)state;
    for (size_t t = 0; t < COUNT_OF(types); t++) {
        for (size_t i = 0; i < COUNT_OF(shapes); i++) {
            struct cuda_matrix shape = with_type(shapes[i], types[t]);
            for (int flags = 0; flags < 6; flags++)
                check_backward_sums(&shape, (enum mask)(flags / 2), flags % 2);
        }
    }
    for (size_t i = 0; i < COUNT_OF(large); i++) {
        check_backward_sums(&large[i], MASK_FROM_X, true);
        check_backward_sums(&large[i], MASK_FROM_Y, false);
    }
}

/* Everything here is in float64, rounded once. */
static void check_backward_finish(const struct cuda_matrix *shape, int blocks, bool scaled)
{
    size_t channels = (size_t)shape->channels;
    struct array partial = array_channels((size_t)blocks * 2 * channels, 1, 0.1, 31), out[5];
    struct array a = array_channels(channels, 1, 0, 32), inverse = array_channels(channels, 0.1, 1, 33);
    struct array unscale = array_channels(1, 0, 1.0 / 768, 34);
    for (size_t i = 0; i < COUNT_OF(out); i++)
        out[i] = array_empty(CUDA_FP32, channels);
    DEVICE_MUST(cuda_norm_backward_finish(NULL, shape, partial.device, blocks, a.device, inverse.device,
                                          scaled ? unscale.device : NULL, out[0].device, out[1].device, out[2].device,
                                          out[3].device, out[4].device));
    for (size_t i = 0; i < COUNT_OF(out); i++)
        array_download(&out[i]);
    for (size_t c = 0; c < channels; c++) {
        double s[2], n = (double)shape->pixels, factor = scaled ? at(&unscale, 0) : 1, i = at(&inverse, c);
        total(&partial, channels, c, s);
        double expected[] = {s[1] * i * factor, s[0] * factor, at(&a, c), -i * i * s[1] / n, -s[0] / n};
        for (size_t k = 0; k < COUNT_OF(expected); k++)
            check("d_scale, d_shift, p, q, r", k, at(&out[k], c), expected[k], 0x1p-23 * fabs(expected[k]) + 1e-12);
        assert_true(at(&out[2], c) == at(&a, c));
    }
    RELEASE(&partial, &a, &inverse, &unscale, &out[0], &out[1], &out[2], &out[3], &out[4]);
}

static void test_backward_finish(void **state)
{
    (void)state;
    const int blocks[] = {1, 2, 31, 33, 396};
    for (size_t i = 0; i < COUNT_OF(shapes); i++)
        for (size_t k = 0; k < COUNT_OF(blocks); k++)
            check_backward_finish(&shapes[i], blocks[k], k % 2);
}

/* Where the results go. */
struct targets {
    enum { INTO_OWN, INTO_X, INTO_D_Y, INTO_OTHER } d_x;
    enum { NO_RESIDUAL, RESIDUAL_OWN, RESIDUAL_D_Y, RESIDUAL_OTHER } d_residual;
};

/* 6 roundings of d_x, 1 of d_residual. */
static void check_backward_apply(const struct cuda_matrix *shape, enum mask mask, bool has_other, struct targets into)
{
    size_t count = count_of(shape), channels = (size_t)shape->channels;
    struct inputs in = inputs_create(shape, mask, has_other);
    struct array p = array_channels(channels, 1, 0, 41), q = array_channels(channels, 1, 0, 42);
    struct array r = array_channels(channels, 1, 0, 43);
    struct array d_x = array_empty(shape->type, count), d_residual = array_empty(shape->type, count);
    struct cuda_norm_backward g = device_inputs(&in);
    void *const x_targets[] = {d_x.device, in.x.device, in.d_y.device, in.other.device};
    void *const residual_targets[] = {NULL, d_residual.device, in.d_y.device, in.other.device};
    DEVICE_MUST(cuda_norm_backward_apply(NULL, shape, &g, p.device, q.device, r.device, x_targets[into.d_x],
                                         residual_targets[into.d_residual]));
    device_download(d_x.host, x_targets[into.d_x], count * type_bytes(shape->type));
    if (into.d_residual != NO_RESIDUAL)
        device_download(d_residual.host, residual_targets[into.d_residual], count * type_bytes(shape->type));
    for (size_t i = 0; i < count; i++) {
        size_t c = i % channels;
        double d = masked(&in, i, c), distance = (double)at(&in.x, i) - at(&in.mean, c);
        double expected = at(&p, c) * (d + at(&r, c) + at(&q, c) * distance);
        double magnitude = fabs(at(&p, c)) * (magnitude_of(&in, i) + fabs(at(&r, c)) + fabs(at(&q, c) * distance));
        check("d_x", i, at(&d_x, i), expected, error_of(shape->type, expected, 6, magnitude));
        if (into.d_residual != NO_RESIDUAL)
            check("d_residual", i, at(&d_residual, i), d, error_of(shape->type, d, 1, magnitude_of(&in, i)));
    }
    inputs_release(&in);
    RELEASE(&p, &q, &r, &d_x, &d_residual);
}

static void test_backward_apply(void **state)
{
    (void)state;
    static const struct targets in_place[] = {
        {INTO_X, RESIDUAL_OWN},   {INTO_X, RESIDUAL_D_Y},     {INTO_D_Y, NO_RESIDUAL},    {INTO_D_Y, RESIDUAL_OTHER},
        {INTO_X, RESIDUAL_OTHER}, {INTO_OTHER, RESIDUAL_D_Y}, {INTO_OTHER, RESIDUAL_OWN},
    };
    const struct targets own = {INTO_OWN, RESIDUAL_OWN}, alone = {INTO_OWN, NO_RESIDUAL};
    for (size_t t = 0; t < COUNT_OF(types); t++) {
        for (size_t i = 0; i < COUNT_OF(shapes); i++) {
            struct cuda_matrix shape = with_type(shapes[i], types[t]);
            for (int flags = 0; flags < 12; flags++)
                check_backward_apply(&shape, (enum mask)(flags / 4), flags & 1, flags & 2 ? own : alone);
            for (size_t k = 0; k < COUNT_OF(in_place); k++)
                check_backward_apply(&shape, (enum mask)((i + k) % 3), true, in_place[k]);
        }
    }
    for (size_t i = 0; i < COUNT_OF(large); i++)
        check_backward_apply(&large[i], MASK_FROM_Y, true, in_place[3]);
}

/* --- all passes together --- */

enum { PIXELS = 21, CHANNELS = 5, SIZE = PIXELS * CHANNELS };

/* Σ w·relu(norm(x) + residual), float64, from the definition alone. */
static double objective(const double x[SIZE], const double residual[SIZE], const double *scale, const double *shift,
                        const double w[SIZE])
{
    double sum = 0;
    for (size_t c = 0; c < CHANNELS; c++) {
        double mean = 0, variance = 0;
        for (size_t i = c; i < SIZE; i += CHANNELS)
            mean += x[i] / PIXELS;
        for (size_t i = c; i < SIZE; i += CHANNELS)
            variance += (x[i] - mean) * (x[i] - mean) / PIXELS;
        for (size_t i = c; i < SIZE; i += CHANNELS)
            sum += w[i] * fmax(0, scale[c] * (x[i] - mean) / sqrt(variance + epsilon) + shift[c] + residual[i]);
    }
    return sum;
}

/* What the device makes of it, fp32: the gradients of x, residual, scale and shift. */
struct gradients {
    float x[SIZE], residual[SIZE], scale[CHANNELS], shift[CHANNELS];
};

static void run_passes(const struct array *x, const struct array *residual, const struct array *w,
                       const struct state *s, struct gradients *out)
{
    const struct cuda_matrix shape = {PIXELS, CHANNELS, CUDA_FP32};
    int blocks = cuda_norm_blocks(&shape);
    struct array partial = array_empty(CUDA_FP32, (size_t)blocks * 2 * CHANNELS), y = array_empty(CUDA_FP32, SIZE);
    struct array d_x = array_empty(CUDA_FP32, SIZE), d_residual = array_empty(CUDA_FP32, SIZE), five[5];
    for (int i = 0; i < 5; i++)
        five[i] = array_empty(CUDA_FP32, CHANNELS);
    DEVICE_MUST(cuda_norm_sums(NULL, &shape, x->device, partial.device));
    DEVICE_MUST(cuda_norm_finish(NULL, &shape, x->device, partial.device, blocks, epsilon, momentum, &s->device));
    DEVICE_MUST(cuda_norm_apply(NULL, &shape, true, x->device, s->a.device, s->b.device, residual->device, y.device));
    struct cuda_norm_backward g = {x->device,   y.device,    w->device,      NULL,
                                   s->a.device, s->b.device, s->mean.device, true};
    DEVICE_MUST(cuda_norm_backward_sums(NULL, &shape, &g, partial.device));
    DEVICE_MUST(cuda_norm_backward_finish(NULL, &shape, partial.device, blocks, s->a.device, s->inverse.device, NULL,
                                          five[0].device, five[1].device, five[2].device, five[3].device,
                                          five[4].device));
    DEVICE_MUST(cuda_norm_backward_apply(NULL, &shape, &g, five[2].device, five[3].device, five[4].device, d_x.device,
                                         d_residual.device));
    device_download(out->x, d_x.device, sizeof out->x);
    device_download(out->residual, d_residual.device, sizeof out->residual);
    device_download(out->scale, five[0].device, sizeof out->scale);
    device_download(out->shift, five[1].device, sizeof out->shift);
    RELEASE(&partial, &y, &d_x, &d_residual, &five[0], &five[1], &five[2], &five[3], &five[4]);
}

/* Central differences of step 1e-6 have an error of about 1e-9 here, the device's fp32 one of about 1e-6; 2e-5 holds for
 * both. An element whose ReLU lies within a step of its edge would break that: with these draws none does. */
static void test_gradients_are_differences(void **state)
{
    (void)state;
    struct array x = array_normal(CUDA_FP32, SIZE, 51), residual = array_normal(CUDA_FP32, SIZE, 52);
    struct array w = array_normal(CUDA_FP32, SIZE, 53);
    struct state s = state_create(CHANNELS);
    struct gradients found;
    double values[3][SIZE], scale[CHANNELS], shift[CHANNELS];
    run_passes(&x, &residual, &w, &s, &found);
    for (size_t i = 0; i < SIZE; i++) {
        values[0][i] = at(&x, i);
        values[1][i] = at(&residual, i);
        values[2][i] = at(&w, i);
        scale[i % CHANNELS] = at(&s.scale, i % CHANNELS);
        shift[i % CHANNELS] = at(&s.shift, i % CHANNELS);
    }
    struct {
        double *of;
        const float *found;
        size_t count;
    } variables[] = {{values[0], found.x, SIZE},
                     {values[1], found.residual, SIZE},
                     {scale, found.scale, CHANNELS},
                     {shift, found.shift, CHANNELS}};
    for (size_t v = 0; v < COUNT_OF(variables); v++) {
        for (size_t i = 0; i < variables[v].count; i++) {
            double saved = variables[v].of[i], sides[2];
            for (int k = 0; k < 2; k++) {
                variables[v].of[i] = saved + (k == 0 ? -1e-6 : 1e-6);
                sides[k] = objective(values[0], values[1], scale, shift, values[2]);
            }
            variables[v].of[i] = saved;
            check("gradient", i, variables[v].found[i], (sides[1] - sides[0]) / 2e-6, 2e-5);
        }
    }
    state_release(&s);
    RELEASE(&x, &residual, &w);
}

/* fp32, to the bit what kernels/norm.c makes of it. */
static void test_maps_are_their_twins(void **state)
{
    (void)state;
    const struct cuda_matrix shape = {100, NORM_LANES, CUDA_FP32};
    const struct norm_slab slab = {.rows = 100, .stride = NORM_LANES, .lanes = NORM_LANES};
    enum { COUNT = 100 * NORM_LANES };
    struct inputs in = inputs_create(&shape, MASK_FROM_X, false);
    struct array y = array_empty(CUDA_FP32, COUNT), d_x = array_empty(CUDA_FP32, COUNT);
    struct array p = array_channels(NORM_LANES, 1, 0, 61), q = array_channels(NORM_LANES, 1, 0, 62);
    static float expected_y[COUNT], expected_d_x[COUNT];
    DEVICE_MUST(cuda_norm_apply(NULL, &shape, true, in.x.device, in.a.device, in.b.device, in.other.device, y.device));
    kernel_norm_apply(&slab, true, in.a.host, in.b.host, in.x.host, in.other.host, expected_y);
    struct cuda_norm_backward device = device_inputs(&in);
    DEVICE_MUST(cuda_norm_backward_apply(NULL, &shape, &device, p.device, q.device, in.mean.device, d_x.device, NULL));
    struct norm_gradient host = {.a = in.a.host, .b = in.b.host, .mean = in.mean.host, .x = in.x.host, .relu = true};
    host.d_y = in.d_y.host;
    kernel_norm_backward_apply(&slab, &host, p.host, q.host, in.mean.host, expected_d_x);
    array_download(&y);
    array_download(&d_x);
    assert_memory_equal(y.host, expected_y, sizeof expected_y);
    assert_memory_equal(d_x.host, expected_d_x, sizeof expected_d_x);
    inputs_release(&in);
    RELEASE(&y, &d_x, &p, &q);
}

static void test_sums_have_the_same_bits_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        struct cuda_matrix shape = with_type(shapes[i], types[i % 3]);
        size_t count = (size_t)cuda_norm_blocks(&shape) * 2 * (size_t)shape.channels;
        struct inputs in = inputs_create(&shape, MASK_FROM_Y, true);
        struct cuda_norm_backward g = device_inputs(&in);
        struct array sums[4];
        for (int k = 0; k < 4; k++) {
            sums[k] = array_empty(CUDA_FP32, count);
            DEVICE_MUST(k < 2 ? cuda_norm_sums(NULL, &shape, in.x.device, sums[k].device)
                              : cuda_norm_backward_sums(NULL, &shape, &g, sums[k].device));
            array_download(&sums[k]);
        }
        assert_memory_equal(sums[0].host, sums[1].host, count * sizeof(float));
        assert_memory_equal(sums[2].host, sums[3].host, count * sizeof(float));
        inputs_release(&in);
        RELEASE(&sums[0], &sums[1], &sums[2], &sums[3]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_statistics_far_from_zero),
        cmocka_unit_test(test_plain_sums),
        cmocka_unit_test(test_running_statistics),
        cmocka_unit_test(test_apply),
        cmocka_unit_test(test_nan_passes_relu),
        cmocka_unit_test(test_backward_sums),
        cmocka_unit_test(test_backward_finish),
        cmocka_unit_test(test_backward_apply),
        cmocka_unit_test(test_gradients_are_differences),
        cmocka_unit_test(test_maps_are_their_twins),
        cmocka_unit_test(test_sums_have_the_same_bits_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
