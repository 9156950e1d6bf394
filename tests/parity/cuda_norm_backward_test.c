/* Batch norm on the device, backward (kernels/cuda_layers.h): pass by pass against float64 references that follow the
 * contract's formulas, and all passes against differences of the definition. Runs on a GPU or on the emulator. Bounds:
 * cuda_arrays.h; each check counts the roundings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>

#include "cuda_fixture.h"

#include "cuda_arrays.h"
#include "kernels/norm.h"

/* --- backward --- */

enum mask { MASK_NONE, MASK_FROM_Y, MASK_FROM_X };

/* What the backward passes read. Of y only whether it is above zero counts. */
struct inputs {
    struct array x, y, d_y, other, a, b, mean;
    enum mask mask;
    bool has_other;
};

static struct array array_of_outputs(enum cuda_type type, size_t count, uint64_t seed)
{
    float *values = new_normal(count, seed);
    for (size_t i = 0; i < count; i++)
        values[i] = i % 3 == 0 ? values[i] : fmaxf(values[i], 0);
    return array_from(type, count, values);
}

static struct inputs inputs_create(const struct cuda_matrix *shape, enum mask mask, bool has_other)
{
    size_t count = count_of(shape), channels = (size_t)shape->channels;
    return (struct inputs){.x = array_drawn(shape->type, count, 21),
                           .y = array_of_outputs(shape->type, count, 22),
                           .d_y = array_drawn(shape->type, count, 23),
                           .other = array_drawn(shape->type, count, 24),
                           .a = array_drawn(CUDA_FP32, channels, 25),
                           .b = array_drawn(CUDA_FP32, channels, 26),
                           .mean = array_uniform(CUDA_FP32, channels, 0.5, 0, 27),
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

static void check_all_backward_sums(const struct cuda_matrix *shape, int number)
{
    (void)number;
    for (int flags = 0; flags < 6; flags++)
        check_backward_sums(shape, (enum mask)(flags / 2), flags % 2);
}

static void test_backward_sums(void **state)
{
    (void)state;
    for_each_shape(check_all_backward_sums);
    for (size_t i = 0; i < COUNT_OF(large); i++) {
        check_backward_sums(&large[i], MASK_FROM_X, true);
        check_backward_sums(&large[i], MASK_FROM_Y, false);
    }
}

/* Everything here is in float64, rounded once. */
static void check_backward_finish(const struct cuda_matrix *shape, int blocks, bool scaled)
{
    size_t channels = (size_t)shape->channels;
    struct array partial = array_uniform(CUDA_FP32, (size_t)blocks * 2 * channels, 1, 0.1, 31), out[5];
    struct array a = array_drawn(CUDA_FP32, channels, 32), inverse = array_uniform(CUDA_FP32, channels, 0.1, 1, 33);
    struct array unscale = array_uniform(CUDA_FP32, 1, 0, 1.0 / 768, 34);
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
    struct array p = array_drawn(CUDA_FP32, channels, 41), q = array_drawn(CUDA_FP32, channels, 42);
    struct array r = array_drawn(CUDA_FP32, channels, 43);
    struct array d_x = array_empty(shape->type, count), d_residual = array_empty(shape->type, count);
    struct cuda_norm_backward g = device_inputs(&in);
    void *const x_targets[] = {d_x.device, in.x.device, in.d_y.device, in.other.device};
    void *const residual_targets[] = {NULL, d_residual.device, in.d_y.device, in.other.device};
    DEVICE_MUST(cuda_norm_backward_apply(NULL, shape, &g, p.device, q.device, r.device, x_targets[into.d_x],
                                         residual_targets[into.d_residual]));
    array_download_from(&d_x, x_targets[into.d_x]);
    if (into.d_residual != NO_RESIDUAL)
        array_download_from(&d_residual, residual_targets[into.d_residual]);
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

static const struct targets in_place[] = {
    {INTO_D_Y, RESIDUAL_OTHER}, {INTO_X, RESIDUAL_OWN},     {INTO_X, RESIDUAL_D_Y},     {INTO_D_Y, NO_RESIDUAL},
    {INTO_X, RESIDUAL_OTHER},   {INTO_OTHER, RESIDUAL_D_Y}, {INTO_OTHER, RESIDUAL_OWN},
};

static void check_backward_applications(const struct cuda_matrix *shape, int number)
{
    const struct targets own = {INTO_OWN, RESIDUAL_OWN}, alone = {INTO_OWN, NO_RESIDUAL};
    for (int flags = 0; flags < 12; flags++)
        check_backward_apply(shape, (enum mask)(flags / 4), flags & 1, flags & 2 ? own : alone);
    for (int k = 0; k < (int)COUNT_OF(in_place); k++)
        check_backward_apply(shape, (enum mask)((number + k) % 3), true, in_place[k]);
}

static void test_backward_apply(void **state)
{
    (void)state;
    for_each_shape(check_backward_applications);
    for (size_t i = 0; i < COUNT_OF(large); i++)
        check_backward_apply(&large[i], MASK_FROM_Y, true, in_place[i]);
}

/* --- all passes together --- */

enum { PIXELS = 21, CHANNELS = 5, SIZE = PIXELS * CHANNELS };
static const double epsilon = 1e-5;

/* What the result depends on, and what the device makes of it, fp32. */
struct passes {
    struct array x, residual, w, scale, shift;
    struct array d_x, d_residual, d_scale, d_shift;
};

static struct passes passes_create(void)
{
    return (struct passes){.x = array_drawn(CUDA_FP32, SIZE, 51),
                           .residual = array_drawn(CUDA_FP32, SIZE, 52),
                           .w = array_drawn(CUDA_FP32, SIZE, 53),
                           .scale = array_drawn(CUDA_FP32, CHANNELS, 54),
                           .shift = array_drawn(CUDA_FP32, CHANNELS, 55),
                           .d_x = array_empty(CUDA_FP32, SIZE),
                           .d_residual = array_empty(CUDA_FP32, SIZE),
                           .d_scale = array_empty(CUDA_FP32, CHANNELS),
                           .d_shift = array_empty(CUDA_FP32, CHANNELS)};
}

/* L = Σ w·relu(norm(x) + residual), float64, from the definition alone; `changed` is larger by `change` in element i.
 * */
static double objective(const struct passes *p, const struct array *changed, size_t i, double change)
{
    double x[SIZE], sum = 0;
    for (size_t k = 0; k < SIZE; k++)
        x[k] = at(&p->x, k) + (changed == &p->x && k == i ? change : 0);
    for (size_t k = 0; k < SIZE; k++) {
        size_t c = k % CHANNELS;
        double mean = 0, variance = 0;
        for (size_t j = c; j < SIZE; j += CHANNELS)
            mean += x[j] / PIXELS;
        for (size_t j = c; j < SIZE; j += CHANNELS)
            variance += (x[j] - mean) * (x[j] - mean) / PIXELS;
        double scale = at(&p->scale, c) + (changed == &p->scale && c == i ? change : 0);
        double shift = at(&p->shift, c) + (changed == &p->shift && c == i ? change : 0);
        double residual = at(&p->residual, k) + (changed == &p->residual && k == i ? change : 0);
        sum += at(&p->w, k) * fmax(0, scale * (x[k] - mean) / sqrt(variance + epsilon) + shift + residual);
    }
    return sum;
}

/* From x to y, and from d_y = w back. */
static void run_passes(struct passes *p)
{
    const struct cuda_matrix shape = {PIXELS, CHANNELS, CUDA_FP32};
    int blocks = cuda_norm_blocks(&shape);
    struct array partial = array_empty(CUDA_FP32, (size_t)blocks * 2 * CHANNELS), y = array_empty(CUDA_FP32, SIZE);
    struct array channels = array_uniform(CUDA_FP32, 9 * 8, 0, 1, 0); /* nine arrays, each at a multiple of 16 bytes */
    float *c[9];
    for (int i = 0; i < 9; i++)
        c[i] = (float *)channels.device + 8 * i;
    float *mean = c[2], *inverse = c[3], *a = c[4], *b = c[5], *coefficients[] = {c[6], c[7], c[8]};
    struct cuda_norm_state state = {p->scale.device, p->shift.device, c[0], c[1], mean, inverse, a, b};
    struct cuda_norm_backward g = {p->x.device, y.device, p->w.device, NULL, a, b, mean, true};
    DEVICE_MUST(cuda_norm_sums(NULL, &shape, p->x.device, partial.device));
    DEVICE_MUST(cuda_norm_finish(NULL, &shape, p->x.device, partial.device, blocks, epsilon, 0.1, &state));
    DEVICE_MUST(cuda_norm_apply(NULL, &shape, true, p->x.device, a, b, p->residual.device, y.device));
    DEVICE_MUST(cuda_norm_backward_sums(NULL, &shape, &g, partial.device));
    DEVICE_MUST(cuda_norm_backward_finish(NULL, &shape, partial.device, blocks, a, inverse, NULL, p->d_scale.device,
                                          p->d_shift.device, coefficients[0], coefficients[1], coefficients[2]));
    DEVICE_MUST(cuda_norm_backward_apply(NULL, &shape, &g, coefficients[0], coefficients[1], coefficients[2],
                                         p->d_x.device, p->d_residual.device));
    RELEASE(&partial, &y, &channels);
}

/* Central differences of step 1e-6 have an error of about 1e-8 here, the device's fp32 one of about 1e-5; 5e-5 holds
 * for both, the gradients being about 1. An element whose ReLU lies within a step of its edge would break that: with
 * these draws none does. */
static void test_gradients_are_differences(void **state)
{
    (void)state;
    const double step = 1e-6;
    struct passes p = passes_create();
    struct array *const variables[] = {&p.x, &p.residual, &p.scale, &p.shift};
    struct array *const gradients[] = {&p.d_x, &p.d_residual, &p.d_scale, &p.d_shift};
    run_passes(&p);
    for (size_t v = 0; v < COUNT_OF(variables); v++) {
        array_download(gradients[v]);
        for (size_t i = 0; i < variables[v]->count; i++) {
            double above = objective(&p, variables[v], i, step), below = objective(&p, variables[v], i, -step);
            check("gradient", i, at(gradients[v], i), (above - below) / (2 * step), 5e-5);
        }
    }
    RELEASE(&p.x, &p.residual, &p.w, &p.scale, &p.shift, &p.d_x, &p.d_residual, &p.d_scale, &p.d_shift);
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
    struct array p = array_drawn(CUDA_FP32, NORM_LANES, 61), q = array_drawn(CUDA_FP32, NORM_LANES, 62);
    static float expected_y[COUNT], expected_d_x[COUNT];
    DEVICE_MUST(cuda_norm_apply(NULL, &shape, true, in.x.device, in.a.device, in.b.device, in.other.device, y.device));
    kernel_norm_apply(&slab, true, in.a.values, in.b.values, in.x.values, in.other.values, expected_y);
    struct cuda_norm_backward device = device_inputs(&in);
    DEVICE_MUST(cuda_norm_backward_apply(NULL, &shape, &device, p.device, q.device, in.mean.device, d_x.device, NULL));
    struct norm_gradient host = {
        .a = in.a.values, .b = in.b.values, .mean = in.mean.values, .x = in.x.values, .relu = true};
    host.d_y = in.d_y.values;
    kernel_norm_backward_apply(&slab, &host, p.values, q.values, in.mean.values, expected_d_x);
    array_download(&y);
    array_download(&d_x);
    assert_memory_equal(y.values, expected_y, sizeof expected_y);
    assert_memory_equal(d_x.values, expected_d_x, sizeof expected_d_x);
    inputs_release(&in);
    RELEASE(&y, &d_x, &p, &q);
}

static void check_repetition(const struct cuda_matrix *shape, int number)
{
    size_t count = (size_t)cuda_norm_blocks(shape) * 2 * (size_t)shape->channels;
    struct inputs in = inputs_create(shape, (enum mask)(number % 3), number % 2);
    struct cuda_norm_backward g = device_inputs(&in);
    struct array sums[4];
    for (int k = 0; k < 4; k++) {
        sums[k] = array_empty(CUDA_FP32, count);
        DEVICE_MUST(k < 2 ? cuda_norm_sums(NULL, shape, in.x.device, sums[k].device)
                          : cuda_norm_backward_sums(NULL, shape, &g, sums[k].device));
        array_download(&sums[k]);
    }
    assert_memory_equal(sums[0].values, sums[1].values, count * sizeof(float));
    assert_memory_equal(sums[2].values, sums[3].values, count * sizeof(float));
    inputs_release(&in);
    RELEASE(&sums[0], &sums[1], &sums[2], &sums[3]);
}

static void test_sums_have_the_same_bits_twice(void **state)
{
    (void)state;
    for_each_shape(check_repetition);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backward_sums),        cmocka_unit_test(test_backward_finish),
        cmocka_unit_test(test_backward_apply),       cmocka_unit_test(test_gradients_are_differences),
        cmocka_unit_test(test_maps_are_their_twins), cmocka_unit_test(test_sums_have_the_same_bits_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
