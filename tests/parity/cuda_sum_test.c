/* Sum of squares, clipping and the loss scale on the device (kernels/cuda_vector.h): the sum to the bit against the
 * order that kernels/cuda_sum.cu states, and within 1e-12 of the exact sum, as its twin is; the factor to the bit
 * against kernel_clip_scale. Runs on a GPU or on the emulator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdbool.h>

#include "cuda_fixture.h"
#include "kernels/cuda_vector.h"
#include "kernels/reduce.h"
#include "kernels/update.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static const size_t counts[] = {0, 1, 3, 4, 5, 511, 512, 513, 2305, 100003, 524287, 524290, 1800001, 2200003};

/* --- sum of squares --- */

/* The order that kernels/cuda_sum.cu states. */
enum { THREADS = 128, WARP = 32, FOUR = 4 };

static double thread_sum(size_t count, const float *v, size_t thread)
{
    double sums[FOUR] = {0};
    for (size_t i = thread * FOUR; i < count; i += (size_t)CUDA_SUM_PARTS * THREADS * FOUR)
        for (size_t j = 0; j < FOUR && i + j < count; j++)
            sums[j] += (double)v[i + j] * v[i + j];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static double block_sum(double values[THREADS])
{
    for (size_t half = WARP / 2; half > 0; half /= 2)
        for (size_t i = 0; i < THREADS; i++) {
            if (i % WARP < half)
                values[i] += values[i + half];
        }
    double sum = values[0];
    for (size_t i = WARP; i < THREADS; i += WARP)
        sum += values[i];
    return sum;
}

static double stated_sum(size_t count, const float *v)
{
    double values[THREADS], totals[THREADS] = {0};
    for (size_t part = 0; part < CUDA_SUM_PARTS; part++) {
        for (size_t i = 0; i < THREADS; i++)
            values[i] = thread_sum(count, v, part * THREADS + i);
        totals[part % THREADS] += block_sum(values);
    }
    return block_sum(totals);
}

static double device_sum(size_t count, const float *device)
{
    double *parts = device_alloc(CUDA_SUM_PARTS * sizeof *parts), *sum = device_alloc(sizeof *sum), found;
    DEVICE_MUST(cuda_sum_squares(NULL, count, device, parts, sum));
    device_download(&found, sum, sizeof found);
    device_free(parts);
    device_free(sum);
    return found;
}

static double twin_sum(size_t count, const float *v)
{
    double sum = 0;
    for (size_t i = 0; i < count; i += REDUCE_BLOCK)
        sum += kernel_sum_squares(i, i + REDUCE_BLOCK < count ? i + REDUCE_BLOCK : count, v);
    return sum;
}

static void check_sum(size_t count, const float *v)
{
    long double exact = 0;
    for (size_t i = 0; i < count; i++)
        exact += (long double)v[i] * v[i];
    double expected = stated_sum(count, v);
    for (size_t start = 0; start < FOUR; start++) {
        float *device = device_alloc((start + count) * sizeof *v);
        DEVICE_MUST(cudaMemcpy(device + start, v, count * sizeof *v, cudaMemcpyHostToDevice));
        double found = device_sum(count, device + start);
        assert_memory_equal(&found, &expected, sizeof found);
        device_free(device);
    }
    assert_true(fabsl(expected - exact) <= 1e-12L * exact);
    assert_true(fabsl(twin_sum(count, v) - exact) <= 1e-12L * exact);
}

static void test_sum_of_squares(void **state)
{
    (void)state;
    float *v = new_normal(2200003, 1);
    for (size_t i = 0; i < 2200003; i += 7)
        v[i] *= i % 2 == 0 ? 30.0f : 1e-39f;
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        check_sum(counts[i], v);
    free(v);
}

static void test_sum_of_squares_shows_overflow(void **state)
{
    (void)state;
    const float bad[] = {INFINITY, -INFINITY, NAN};
    float *v = new_normal(10007, 2);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        v[10006 - i * 3000] = bad[i];
        float *device = device_upload(v, 10007 * sizeof *v);
        assert_false(isfinite(device_sum(10007, device)));
        v[10006 - i * 3000] = FLT_MAX; /* its square fits */
        device_free(device);
    }
    check_sum(10007, v);
    free(v);
}

/* --- clipping and the loss scale --- */

struct clip_state {
    uint64_t left_out;
    float scale, loss_scale, unscale;
    uint32_t good_steps;
};

/* `steps` calls with the same sum; loss_scale 0: without it. */
static struct clip_state clip(double sum, double clip_norm, bool tells, struct clip_state from, int steps)
{
    struct clip_state found;
    double *device_sum = device_upload(&sum, sizeof sum);
    struct clip_state *device = device_upload(&from, sizeof from);
    for (int i = 0; i < steps; i++)
        DEVICE_MUST(cuda_clip(NULL, device_sum, clip_norm, &device->scale, tells ? &device->left_out : NULL,
                              from.loss_scale > 0 ? &device->loss_scale : NULL, &device->unscale, &device->good_steps));
    device_download(&found, device, sizeof found);
    device_free(device);
    device_free(device_sum);
    return found;
}

static void test_clip_factor(void **state)
{
    (void)state;
    const double sums[] = {0, 1e-30, 0.24, 0.25, 0.26, 3, 1e30, 1e300, INFINITY, NAN};
    const double norms[] = {-1, 0, 1e-3, 0.5, 1e10};
    struct clip_state start = {.scale = 7, .unscale = 5, .good_steps = 3};
    for (size_t i = 0; i < COUNT_OF(sums); i++)
        for (size_t j = 0; j < COUNT_OF(norms); j++)
            for (int tells = 0; tells < 2; tells++) {
                struct clip_state found = clip(sums[i], norms[j], tells, start, 1);
                float expected = isfinite(sums[i]) ? (float)kernel_clip_scale(norms[j], sums[i]) : -1;
                assert_memory_equal(&found.scale, &expected, sizeof expected);
                assert_true(found.left_out == (uint64_t)(tells && !isfinite(sums[i])));
                assert_true(found.unscale == 5 && found.good_steps == 3 && found.loss_scale == 0);
            }
}

static void check_loss_scale(double sum, struct clip_state from, int steps, float loss_scale, uint32_t good_steps)
{
    struct clip_state found = clip(sum, 1.0, true, from, steps);
    assert_true(found.loss_scale == loss_scale && found.unscale == 1 / loss_scale && found.good_steps == good_steps);
    assert_true(found.scale == (isfinite(sum) ? 1 : -1));
}

static void test_loss_scale(void **state)
{
    (void)state;
    const float most = 0x1p24f;
    check_loss_scale(0.25, (struct clip_state){.loss_scale = 1024, .good_steps = 5}, 1, 1024, 6);
    check_loss_scale(0.25, (struct clip_state){.loss_scale = 1024, .good_steps = 1998}, 1, 1024, 1999);
    check_loss_scale(0.25, (struct clip_state){.loss_scale = 1024, .good_steps = 1999}, 1, 2048, 0);
    check_loss_scale(0.25, (struct clip_state){.loss_scale = 8}, 4001, 32, 1);
    check_loss_scale(0.25, (struct clip_state){.loss_scale = most, .good_steps = 1999}, 1, most, 0);
    check_loss_scale(INFINITY, (struct clip_state){.loss_scale = 1024, .good_steps = 1999}, 1, 512, 0);
    check_loss_scale(NAN, (struct clip_state){.loss_scale = 1024, .good_steps = 9}, 3, 128, 0);
    check_loss_scale(NAN, (struct clip_state){.loss_scale = 2}, 3, 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum_of_squares),
        cmocka_unit_test(test_sum_of_squares_shows_overflow),
        cmocka_unit_test(test_clip_factor),
        cmocka_unit_test(test_loss_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
