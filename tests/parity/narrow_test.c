/* The weight gradient of convolutions on images of few channels (cpu_narrow.h) against its definition in float64, over
 * odd shapes: every count of channels, block, kernel, stride and padding that it serves.
 *
 * With small whole numbers every product and sum is exact in fp32, so the result must be equal; with normal draws it
 * must lie within what rounding can do, (pixels of a row + rows of all images)·2⁻²⁴ of the sum of absolute products.
 * Outputs start as NaN, with more of it behind their ends, which must stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "device/cpu/cpu_narrow.h"

enum { GUARD = 16 };

struct problem {
    struct cpu_shape in, out;
    int kernel, stride, pad;
    bool whole; /* inputs are whole numbers in [−4, 4] */
};

struct tensors {
    float *x, *d_out;                 /* owned */
    float *d_weight, *d_bias;         /* owned, with a guard behind */
    size_t weight_count, bias_count;  /* without it */
    double *weight, *weight_absolute; /* owned: the definition, and the sum of its terms' absolute values */
    double *bias, *bias_absolute;     /* owned */
};

/* An image of height × width; `out_channels` in blocks. */
static struct problem problem_of(size_t channels, size_t height, size_t width, int kernel, int stride, int pad)
{
    struct problem p = {.in = {.batch = 3, .channels = channels, .height = height, .width = width, .block = 1},
                        .kernel = kernel,
                        .stride = stride,
                        .pad = pad};
    p.out.batch = p.in.batch;
    p.out.height = (height + 2 * (size_t)pad - (size_t)kernel) / (size_t)stride + 1;
    p.out.width = (width + 2 * (size_t)pad - (size_t)kernel) / (size_t)stride + 1;
    return p;
}

static float draw(const struct problem *p, struct random_stream *stream)
{
    return p->whole ? (float)random_below(stream, 9) - 4.0f : (float)random_normal(stream);
}

/* Padding lanes of d_out stay zero, as the layout promises. */
static void fill(const struct problem *p, struct tensors *t, uint64_t seed)
{
    struct random_stream stream = random_stream(seed, RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < cpu_shape_count(&p->in); i++)
        t->x[i] = draw(p, &stream);
    for (size_t n = 0; n < p->out.batch; n++)
        for (size_t c = 0; c < p->out.channels; c++)
            for (size_t h = 0; h < p->out.height; h++)
                for (size_t w = 0; w < p->out.width; w++)
                    t->d_out[cpu_shape_index(&p->out, n, c, h, w)] = draw(p, &stream);
}

/* Add one pixel of d_out to the definition: its products with the window that made it. */
static void add_pixel(const struct problem *p, struct tensors *t, size_t n, size_t c, size_t h, size_t w)
{
    double d = t->d_out[cpu_shape_index(&p->out, n, c, h, w)];
    size_t kernel = (size_t)p->kernel, stride = (size_t)p->stride, pad = (size_t)p->pad;
    t->bias[c] += d;
    t->bias_absolute[c] += fabs(d);
    for (size_t channel = 0; channel < p->in.channels; channel++)
        for (size_t i = 0; i < kernel; i++)
            for (size_t j = 0; j < kernel; j++) {
                size_t row = h * stride + i, column = w * stride + j; /* in the padded image */
                if (row < pad || row >= pad + p->in.height || column < pad || column >= pad + p->in.width)
                    continue;
                size_t at = ((c * p->in.channels + channel) * kernel + i) * kernel + j;
                double product = d * t->x[cpu_shape_index(&p->in, n, channel, row - pad, column - pad)];
                t->weight[at] += product;
                t->weight_absolute[at] += fabs(product);
            }
}

static void tensors_init(const struct problem *p, struct tensors *t, uint64_t seed)
{
    *t = (struct tensors){.weight_count = p->out.channels * p->in.channels * (size_t)(p->kernel * p->kernel),
                          .bias_count = p->out.channels};
    t->x = memory_zalloc(cpu_shape_count(&p->in), sizeof *t->x);
    t->d_out = memory_zalloc(cpu_shape_count(&p->out), sizeof *t->d_out);
    t->d_weight = memory_zalloc(t->weight_count + GUARD, sizeof *t->d_weight);
    t->d_bias = memory_zalloc(t->bias_count + GUARD, sizeof *t->d_bias);
    t->weight = memory_zalloc(t->weight_count, sizeof *t->weight);
    t->weight_absolute = memory_zalloc(t->weight_count, sizeof *t->weight_absolute);
    t->bias = memory_zalloc(t->bias_count, sizeof *t->bias);
    t->bias_absolute = memory_zalloc(t->bias_count, sizeof *t->bias_absolute);
    fill(p, t, seed);
    for (size_t n = 0; n < p->out.batch; n++)
        for (size_t c = 0; c < p->out.channels; c++)
            for (size_t h = 0; h < p->out.height; h++)
                for (size_t w = 0; w < p->out.width; w++)
                    add_pixel(p, t, n, c, h, w);
}

static void tensors_release(struct tensors *t)
{
    free(t->x);
    free(t->d_out);
    free(t->d_weight);
    free(t->d_bias);
    free(t->weight);
    free(t->weight_absolute);
    free(t->bias);
    free(t->bias_absolute);
}

static void poison(float *vector, size_t count)
{
    for (size_t i = 0; i < count; i++)
        vector[i] = NAN;
}

static void run(const struct problem *p, struct tensors *t, bool has_bias, int threads)
{
    poison(t->d_weight, t->weight_count + GUARD);
    poison(t->d_bias, t->bias_count + GUARD);
    cpu_narrow_gradient(&p->in, t->x, &p->out, t->d_out, p->kernel, p->stride, p->pad, t->d_weight,
                        has_bias ? t->d_bias : NULL, threads);
}

static void compare(const struct problem *p, const char *what, const float *found, const double *wanted,
                    const double *absolute, size_t count, double share)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabs(found[i] - wanted[i]) <= share * absolute[i]))
            fail_msg("%s %zu: %.9g, wanted %.9g; %zu to %zu channels in blocks of %zu, image %zu × %zu, kernel %d, "
                     "stride %d, padding %d",
                     what, i, found[i], wanted[i], p->in.channels, p->out.channels, p->out.block, p->in.height,
                     p->in.width, p->kernel, p->stride, p->pad);
}

static void assert_untouched(const float *vector, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_true(isnan(vector[i]));
}

/* Bias: summed in float64, rounded once. */
static void check_results(const struct problem *p, const struct tensors *t, bool has_bias)
{
    double rounding = 0x1p-24 * (double)(p->out.width + p->out.batch * p->out.height);
    compare(p, "weight", t->d_weight, t->weight, t->weight_absolute, t->weight_count, p->whole ? 0 : rounding);
    assert_untouched(t->d_weight + t->weight_count, GUARD);
    if (has_bias)
        compare(p, "bias", t->d_bias, t->bias, t->bias_absolute, t->bias_count, p->whole ? 0 : 0x1p-24);
    assert_untouched(t->d_bias + (has_bias ? t->bias_count : 0), GUARD + (has_bias ? 0 : t->bias_count));
}

static float *copy_of(const float *vector, size_t count)
{
    float *copy = memory_zalloc(count, sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = vector[i];
    return copy;
}

static void check_problem(const struct problem *p, uint64_t seed)
{
    struct tensors t;
    assert_true(cpu_narrow_fits(&p->in, &p->out, p->kernel));
    tensors_init(p, &t, seed);
    run(p, &t, true, 1);
    check_results(p, &t, true);
    float *weight = copy_of(t.d_weight, t.weight_count), *bias = copy_of(t.d_bias, t.bias_count);
    run(p, &t, true, 3);
    check_results(p, &t, true);
    assert_memory_equal(weight, t.d_weight, t.weight_count * sizeof *weight);
    assert_memory_equal(bias, t.d_bias, t.bias_count * sizeof *bias);
    for (int threads = 1; threads <= 3; threads += 2) {
        run(p, &t, false, threads);
        check_results(p, &t, false);
        assert_memory_equal(weight, t.d_weight, t.weight_count * sizeof *weight);
    }
    free(weight);
    free(bias);
    tensors_release(&t);
}

/* Whole blocks, a block that is not full, and both, in blocks of 8 and of 16. */
static void check_blocks(const struct problem *shape, uint64_t seed)
{
    const size_t blocks[] = {8, 16};
    for (size_t b = 0; b < 2; b++) {
        const size_t channels[] = {2 * blocks[b], 5, 2 * blocks[b] + 3};
        for (size_t c = 0; c < 3; c++)
            for (int whole = 0; whole < 2; whole++) {
                struct problem p = *shape;
                p.out.block = blocks[b];
                p.out.channels = channels[c];
                p.whole = whole;
                check_problem(&p, seed + 10 * b + c);
            }
    }
}

static void check_image(size_t height, size_t width)
{
    uint64_t seed = 100 * (height + width);
    for (size_t channels = 1; channels <= 4; channels++)
        for (int kernel = 1; kernel <= 7; kernel += 2)
            for (int stride = 1; stride <= 2; stride++)
                for (int pad = 0; pad <= 3; pad++) {
                    size_t padding = 2 * (size_t)pad;
                    if (height + padding < (size_t)kernel || width + padding < (size_t)kernel)
                        continue; /* no pixel comes out */
                    struct problem p = problem_of(channels, height, width, kernel, stride, pad);
                    check_blocks(&p, seed += 100);
                }
}

static void images_larger_than_the_kernel(void **state)
{
    (void)state;
    check_image(9, 12);
}

/* Windows that lie in the padding for the most part. */
static void images_smaller_than_the_kernel(void **state)
{
    (void)state;
    check_image(3, 2);
    check_image(1, 5);
    check_image(1, 1);
}

static void only_these_shapes_fit(void **state)
{
    (void)state;
    struct problem p = problem_of(3, 8, 8, 3, 1, 1);
    p.out.channels = 16;
    p.out.block = 16;
    assert_true(cpu_narrow_fits(&p.in, &p.out, 3));
    assert_false(cpu_narrow_fits(&p.in, &p.out, 9));
    assert_false(cpu_narrow_fits(&p.in, &p.out, 2));
    const size_t other_blocks[] = {1, 4, 32};
    for (size_t i = 0; i < sizeof other_blocks / sizeof other_blocks[0]; i++) {
        p.out.block = other_blocks[i];
        assert_false(cpu_narrow_fits(&p.in, &p.out, 3));
    }
    p.out.block = 8;
    assert_true(cpu_narrow_fits(&p.in, &p.out, 3));
    p.in.block = 3; /* NHWC */
    assert_false(cpu_narrow_fits(&p.in, &p.out, 3));
    p.in.block = 1;
    p.in.channels = 5;
    assert_false(cpu_narrow_fits(&p.in, &p.out, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_larger_than_the_kernel),
        cmocka_unit_test(images_smaller_than_the_kernel),
        cmocka_unit_test(only_these_shapes_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
