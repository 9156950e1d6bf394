/* Pooling, flat passes, dropout, bias and the quadratic on the device (kernels/cuda_layers.h) against references that
 * follow the contract. Runs on a GPU or on the emulator.
 *
 * Where a result is one operation, or a sum of small whole numbers, it must be equal; elsewhere the bounds are those of
 * cuda_arrays.h, and each check counts the roundings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>

#include "cuda_fixture.h"

#include "cuda_arrays.h"

/* Whole numbers in [−most, most]. */
static struct array array_whole(enum cuda_type type, size_t count, int most, uint64_t seed)
{
    struct random_stream stream = random_stream(seed, RANDOM_TEST, 2, 0);
    float *values = memory_zalloc(count, sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)random_below(&stream, 2 * (uint32_t)most + 1) - (float)most;
    return array_from(type, count, values);
}

/* A value as the device stores it. */
static float stored(enum cuda_type type, float value)
{
    uint32_t bytes;
    type_store(type, &bytes, 0, value);
    return type_load(type, &bytes, 0);
}

/* Equal, or NaN both. */
static void check_same(const char *what, size_t i, float found, float expected)
{
    if (!(found == expected || (isnan(found) && isnan(expected))))
        fail_msg("%s %zu: %.9g, expected %.9g", what, i, found, expected);
}

/* --- max pooling --- */

struct window {
    int kernel, stride, pad;
};

static const struct window windows[] = {{2, 2, 0}, {3, 2, 1}, {3, 1, 1}, {2, 3, 1}, {5, 3, 2}, {7, 4, 3}, {1, 2, 0}};
static const int sizes[][2] = {{7, 9}, {8, 8}, {7, 7}, {11, 10}};
static const int channel_counts[] = {1, 3, 4, 8, 10, 20, 24, 72};

static struct cuda_pool max_pool_of(const struct window *w, const int size[2], int channels, enum cuda_type type)
{
    struct cuda_pool pool = {3, channels, size[0], size[1], 0, 0, w->kernel, w->stride, w->pad, type};
    pool.out_height = (pool.height + 2 * pool.pad - pool.kernel) / pool.stride + 1;
    pool.out_width = (pool.width + 2 * pool.pad - pool.kernel) / pool.stride + 1;
    return pool;
}

static size_t in_count(const struct cuda_pool *p)
{
    return p->batch * (size_t)p->height * (size_t)p->width * (size_t)p->channels;
}

static size_t out_count(const struct cuda_pool *p)
{
    return p->batch * (size_t)p->out_height * (size_t)p->out_width * (size_t)p->channels;
}

/* Of the result's element `i`: image, row, column, channel. */
static void split(size_t i, int height, int width, int channels, int at_out[4])
{
    at_out[3] = (int)(i % (size_t)channels);
    at_out[2] = (int)(i / (size_t)channels % (size_t)width);
    at_out[1] = (int)(i / (size_t)channels / (size_t)width % (size_t)height);
    at_out[0] = (int)(i / (size_t)channels / (size_t)width / (size_t)height);
}

static size_t in_index(const struct cuda_pool *p, int image, int row, int column, int channel)
{
    return (((size_t)image * (size_t)p->height + (size_t)row) * (size_t)p->width + (size_t)column) *
               (size_t)p->channels +
           (size_t)channel;
}

/* The index in x of place `place` of the window of output `i`; SIZE_MAX beyond the border. */
static size_t in_window(const struct cuda_pool *p, size_t i, int place)
{
    int at_out[4];
    split(i, p->out_height, p->out_width, p->channels, at_out);
    int row = at_out[1] * p->stride - p->pad + place / p->kernel;
    int column = at_out[2] * p->stride - p->pad + place % p->kernel;
    if (row < 0 || row >= p->height || column < 0 || column >= p->width)
        return SIZE_MAX;
    return in_index(p, at_out[0], row, column, at_out[3]);
}

/* The maximum of a window, and its place: the first of equals; a NaN wins, whichever. */
static void check_window(const struct cuda_pool *p, const struct array *x, size_t i, float found, int place)
{
    int best = -1, nan_count = 0;
    float most = 0;
    for (int k = 0; k < p->kernel * p->kernel; k++) {
        size_t from = in_window(p, i, k);
        if (from == SIZE_MAX)
            continue;
        nan_count += isnan(at(x, from)) != 0;
        if (best < 0 || at(x, from) > most) {
            best = k;
            most = at(x, from);
        }
    }
    assert_true(place < p->kernel * p->kernel && in_window(p, i, place) != SIZE_MAX);
    check_same("y", i, found, nan_count > 0 ? NAN : most);
    if (nan_count > 0)
        assert_true(isnan(at(x, in_window(p, i, place))));
    else
        assert_int_equal(place, best);
}

/* Few values, so that there are ties; the gradient is a sum of whole numbers. */
static void check_max_pool(const struct cuda_pool *p, bool with_nan)
{
    struct array x = array_whole(p->type, in_count(p), 3, 1), y = array_empty(p->type, out_count(p));
    struct array d_y = array_whole(p->type, out_count(p), 9, 2), d_x = array_empty(p->type, in_count(p));
    uint8_t *places = memory_zalloc(out_count(p), 1), *device_places = device_alloc(out_count(p));
    double *expected = memory_zalloc(in_count(p), sizeof *expected);
    if (with_nan) {
        for (size_t i = 0; i < x.count; i += 5)
            x.values[i] = i % 2 ? NAN : -INFINITY;
        device_free(x.device);
        x = array_from(p->type, x.count, x.values);
    }
    DEVICE_MUST(cuda_max_pool(NULL, p, x.device, y.device, device_places));
    DEVICE_MUST(cuda_max_pool_backward(NULL, p, d_y.device, device_places, d_x.device));
    array_download(&y);
    array_download(&d_x);
    device_download(places, device_places, out_count(p));
    for (size_t i = 0; i < out_count(p); i++) {
        check_window(p, &x, i, at(&y, i), places[i]);
        expected[in_window(p, i, places[i])] += at(&d_y, i);
    }
    for (size_t i = 0; i < in_count(p); i++)
        check_same("d_x", i, at(&d_x, i), (float)expected[i]);
    free(expected);
    free(places);
    device_free(device_places);
    RELEASE(&x, &y, &d_y, &d_x);
}

static void test_max_pool(void **state)
{
    (void)state;
    size_t number = 0;
    for (size_t w = 0; w < COUNT_OF(windows); w++)
        for (size_t s = 0; s < COUNT_OF(sizes); s++)
            for (size_t c = 0; c < COUNT_OF(channel_counts); c++, number++) {
                struct cuda_pool p = max_pool_of(&windows[w], sizes[s], channel_counts[c], types[number % 3]);
                check_max_pool(&p, number % 2);
            }
}

/* All −∞: the first place inside. */
static void test_max_pool_of_nothing_but_minus_infinity(void **state)
{
    (void)state;
    const struct window w = {3, 2, 1};
    struct cuda_pool p = max_pool_of(&w, (const int[]){5, 5}, 8, CUDA_BF16);
    float *values = memory_zalloc(in_count(&p), sizeof *values);
    for (size_t i = 0; i < in_count(&p); i++)
        values[i] = -INFINITY;
    struct array x = array_from(p.type, in_count(&p), values), y = array_empty(p.type, out_count(&p));
    uint8_t *places = memory_zalloc(out_count(&p), 1), *device_places = device_alloc(out_count(&p));
    DEVICE_MUST(cuda_max_pool(NULL, &p, x.device, y.device, device_places));
    array_download(&y);
    device_download(places, device_places, out_count(&p));
    for (size_t i = 0; i < out_count(&p); i++)
        check_window(&p, &x, i, at(&y, i), places[i]);
    free(places);
    device_free(device_places);
    RELEASE(&x, &y);
}

/* --- average pooling --- */

/* Input and output height, input and output width. */
static const int bins[][4] = {{7, 3, 7, 3}, {2, 7, 3, 7}, {7, 1, 5, 1}, {4, 4, 6, 6}, {8, 2, 9, 4}, {1, 1, 1, 1}};

/* PyTorch's bins: floor(i·H/out) … ceil((i + 1)·H/out). */
static bool in_bin(int i, int in, int out, int place)
{
    return place >= (int)floor((double)i * in / out) && place < (int)ceil((double)(i + 1) * in / out);
}

/* Pixels of the bin of out-element (row, column). */
static double bin_size(const struct cuda_pool *p, int row, int column)
{
    int rows = 0, columns = 0;
    for (int i = 0; i < p->height; i++)
        rows += in_bin(row, p->height, p->out_height, i);
    for (int i = 0; i < p->width; i++)
        columns += in_bin(column, p->width, p->out_width, i);
    return (double)rows * columns;
}

/* Both ways from the pairs (pixel, bin) in which the pixel lies in the bin: pixels + 3 roundings; the share is rounded,
 * multiplied, and added. */
static void check_average_pool(const struct cuda_pool *p)
{
    struct array x = array_drawn(p->type, in_count(p), 3), y = array_empty(p->type, out_count(p));
    struct array d_y = array_drawn(p->type, out_count(p), 4), d_x = array_empty(p->type, in_count(p));
    double *sums = memory_zalloc(2 * (out_count(p) + in_count(p)), sizeof *sums), *y_sum = sums;
    double *y_most = y_sum + out_count(p), *x_sum = y_most + out_count(p), *x_most = x_sum + in_count(p);
    DEVICE_MUST(cuda_average_pool(NULL, p, x.device, y.device));
    DEVICE_MUST(cuda_average_pool_backward(NULL, p, d_y.device, d_x.device));
    array_download(&y);
    array_download(&d_x);
    for (size_t i = 0; i < out_count(p); i++) {
        int o[4];
        split(i, p->out_height, p->out_width, p->channels, o);
        double share = 1 / bin_size(p, o[1], o[2]);
        for (int row = 0; row < p->height; row++)
            for (int column = 0; column < p->width; column++) {
                if (!in_bin(o[1], p->height, p->out_height, row) || !in_bin(o[2], p->width, p->out_width, column))
                    continue;
                size_t from = in_index(p, o[0], row, column, o[3]);
                y_sum[i] += share * at(&x, from);
                y_most[i] += share * fabs(at(&x, from));
                x_sum[from] += share * at(&d_y, i);
                x_most[from] += share * fabs(at(&d_y, i));
            }
    }
    int roundings = p->height * p->width + p->out_height * p->out_width + 3;
    for (size_t i = 0; i < out_count(p); i++)
        check("y", i, at(&y, i), y_sum[i], error_of(p->type, y_sum[i], roundings, y_most[i]));
    for (size_t i = 0; i < in_count(p); i++)
        check("d_x", i, at(&d_x, i), x_sum[i], error_of(p->type, x_sum[i], roundings, x_most[i]));
    free(sums);
    RELEASE(&x, &y, &d_y, &d_x);
}

static void test_average_pool(void **state)
{
    (void)state;
    size_t number = 0;
    for (size_t b = 0; b < COUNT_OF(bins); b++)
        for (size_t c = 0; c < COUNT_OF(channel_counts); c++, number++) {
            struct cuda_pool p = {.batch = 3,
                                  .channels = channel_counts[c],
                                  .height = bins[b][0],
                                  .width = bins[b][2],
                                  .out_height = bins[b][1],
                                  .out_width = bins[b][3],
                                  .type = types[number % 3]};
            check_average_pool(&p);
        }
}

/* --- flat passes: one operation in fp32, then storing --- */

/* With and without a rest behind 16 bytes; 4·10⁶ and more: every thread makes more than one round. */
static const size_t counts[] = {0, 1, 2, 7, 8, 9, 15, 16, 1000, 4099};
enum { MANY = 4330000 + 3 };

/* Draws among which zeros, −0, NaN and infinities are. */
static struct array array_special(enum cuda_type type, size_t count, uint64_t seed)
{
    static const float special[] = {0, -0.0f, NAN, INFINITY, -INFINITY, 65520, 1e-7f, 2.98e-8f, 1.0009765625f, 3e38f};
    float *values = new_normal(count, seed);
    for (size_t i = seed % 3; i < count; i += 3)
        values[i] = special[i / 3 % COUNT_OF(special)];
    return array_from(type, count, values);
}

enum flat { FLAT_RELU, FLAT_RELU_BACKWARD, FLAT_ADD, FLATS };

static float expect_flat(enum flat flat, float x, float y)
{
    if (flat == FLAT_ADD)
        return x + y;
    if (flat == FLAT_RELU_BACKWARD)
        return x > 0 ? y : 0;
    return x < 0 ? 0 : x;
}

static int run_flat(enum flat flat, enum cuda_type type, size_t count, void *x, const void *y, void *out)
{
    if (flat == FLAT_ADD)
        return cuda_add(NULL, type, count, x, y);
    if (flat == FLAT_RELU_BACKWARD)
        return cuda_relu_backward(NULL, type, count, x, y, out);
    return cuda_relu(NULL, type, count, x, out);
}

/* `into`: 0 an array of its own, 1 that of x, 2 that of y; addition is always in the place of x. */
static void check_flat(enum flat flat, enum cuda_type type, size_t count, int into)
{
    struct array x = array_special(type, count, 11), y = array_special(type, count, 12);
    struct array out = array_empty(type, count);
    void *to = flat == FLAT_ADD || into == 1 ? x.device : into == 2 && flat != FLAT_RELU ? y.device : out.device;
    DEVICE_MUST(run_flat(flat, type, count, x.device, y.device, to));
    array_download_from(&out, to);
    for (size_t i = 0; i < count; i++)
        check_same("flat pass", i, at(&out, i), stored(type, expect_flat(flat, at(&x, i), at(&y, i))));
    RELEASE(&x, &y, &out);
}

static void test_flat_passes(void **state)
{
    (void)state;
    for (int flat = 0; flat < FLATS; flat++) {
        for (size_t i = 0; i < COUNT_OF(counts); i++)
            for (size_t t = 0; t < COUNT_OF(types); t++)
                for (int into = 0; into < 3; into++)
                    check_flat((enum flat)flat, types[t], counts[i], into);
        check_flat((enum flat)flat, CUDA_FP32, MANY, 1);
    }
}

static void check_conversions(enum cuda_type type, size_t count)
{
    struct array wide = array_special(CUDA_FP32, count, 13), narrow = array_empty(type, count);
    DEVICE_MUST(cuda_narrow(NULL, type, count, wide.device, narrow.device));
    array_download(&narrow);
    for (size_t i = 0; i < count; i++)
        check_same("narrow", i, at(&narrow, i), stored(type, at(&wide, i)));
    RELEASE(&wide, &narrow);
}

static void test_conversions(void **state)
{
    (void)state;
    for (size_t t = 0; t < COUNT_OF(types); t++)
        for (size_t i = 0; i < COUNT_OF(counts); i++)
            check_conversions(types[t], counts[i]);
}

/* --- dropout --- */

static void run_dropout(const struct array *x, double rate, uint64_t seed, uint32_t node, const struct array *y)
{
    uint64_t *device_seed = device_upload(&seed, sizeof seed);
    DEVICE_MUST(cuda_dropout(NULL, x->type, x->count, rate, device_seed, node, x->device, y->device));
    array_download(y);
    device_free(device_seed);
}

/* The words are those of the stream whose purpose and worker are 0 and whose step is the node. */
static void check_dropout(enum cuda_type type, size_t count, double rate, uint64_t seed, uint32_t node)
{
    struct array x = array_drawn(type, count, 21), y = array_empty(type, count);
    struct random_stream stream = random_stream(seed, (enum random_purpose)0, 0, node);
    run_dropout(&x, rate, seed, node, &y);
    for (size_t i = 0; i < count; i++) { /* 2 roundings */
        double expected = random_u32(&stream) < rate * 0x1p32 ? 0 : at(&x, i) / (1 - rate);
        check("y", i, at(&y, i), expected, expected == 0 ? 0 : error_of(type, expected, 2, fabs(expected)));
    }
    RELEASE(&x, &y);
}

static void test_dropout(void **state)
{
    (void)state;
    const double rates[] = {0, 0.1, 0.5, 0.999};
    for (size_t t = 0; t < COUNT_OF(types); t++)
        for (size_t i = 0; i < COUNT_OF(counts); i++)
            for (size_t r = 0; r < COUNT_OF(rates); r++)
                check_dropout(types[t], counts[i], rates[r], 0x123456789abcdef0u + i, (uint32_t)(7 * r));
    check_dropout(CUDA_FP32, MANY, 0.3, 99, 4000000000u);
}

/* Elements that both drop or both keep. */
static size_t agreement(const struct array *x, const struct array *y)
{
    size_t same = 0;
    for (size_t i = 0; i < x->count; i++)
        same += (at(x, i) == 0) == (at(y, i) == 0);
    return same;
}

/* At rate 1/2 independent masks agree in half of the places, within 5 deviations of √n/2. */
static void test_dropout_masks(void **state)
{
    (void)state;
    enum { COUNT = 40000 };
    struct array x = array_uniform(CUDA_BF16, COUNT, 0, 1, 1), y[4], again = array_uniform(CUDA_BF16, COUNT, 0, -3, 1);
    const uint64_t seeds[] = {1, 2, 1, (uint64_t)1 << 32 | 1};
    const uint32_t nodes[] = {5, 5, 6, 5};
    for (int i = 0; i < 4; i++) {
        y[i] = array_empty(CUDA_BF16, COUNT);
        run_dropout(&x, 0.5, seeds[i], nodes[i], &y[i]);
        for (int j = 0; j < i; j++)
            check("agreement", (size_t)i, (double)agreement(&y[i], &y[j]), COUNT / 2.0, 5 * sqrt(COUNT) / 2);
    }
    run_dropout(&again, 0.5, seeds[0], nodes[0], &again); /* a gradient, in place: the same mask */
    assert_int_equal(agreement(&y[0], &again), COUNT);
    RELEASE(&x, &again, &y[0], &y[1], &y[2], &y[3]);
}

/* --- bias --- */

static const struct {
    size_t rows;
    int columns;
} matrices[] = {{1, 1},      {1, 1000},  {2, 3},      {33, 8},   {33, 10},
                {128, 1000}, {1000, 72}, {4500, 129}, {5, 4096}, {3, 2101}};

static void check_bias(enum cuda_type type, size_t rows, int columns, bool has_bias, bool relu)
{
    size_t count = rows * (size_t)columns;
    struct array before = array_drawn(type, count, 31), y = array_drawn(type, count, 31);
    struct array bias = array_drawn(CUDA_FP32, (size_t)columns, 32);
    DEVICE_MUST(cuda_bias(NULL, type, rows, columns, has_bias ? bias.device : NULL, relu, y.device));
    array_download(&y);
    for (size_t i = 0; i < count; i++) {
        float sum = at(&before, i) + (has_bias ? at(&bias, i % (size_t)columns) : 0);
        check_same("y", i, at(&y, i), stored(type, relu && sum < 0 ? 0 : sum));
    }
    RELEASE(&before, &y, &bias);
}

/* Of these rows a thread adds 141 at most one after another in fp32 (16 columns of a block's 512 threads); the split
 * sum adds fewer, twice. The factor and the result round too. */
static void check_bias_backward(enum cuda_type type, size_t rows, int columns, bool scaled, bool split_rows)
{
    size_t width = (size_t)columns;
    struct array d_y = array_drawn(type, rows * width, 33), d_bias = array_empty(CUDA_FP32, width);
    struct array partial = array_empty(CUDA_FP32, CUDA_BIAS_PARTS * width), unscale = array_drawn(CUDA_FP32, 1, 34);
    float *factor = scaled ? unscale.device : NULL;
    DEVICE_MUST(split_rows ? cuda_bias_backward_split(NULL, type, rows, columns, d_y.device, factor, partial.device,
                                                      d_bias.device)
                           : cuda_bias_backward(NULL, type, rows, columns, d_y.device, factor, d_bias.device));
    array_download(&d_bias);
    for (size_t c = 0; c < width; c++) {
        double expected = 0, magnitude = 0, by = scaled ? at(&unscale, 0) : 1;
        for (size_t i = c; i < rows * width; i += width) {
            expected += by * at(&d_y, i);
            magnitude += fabs(by * at(&d_y, i));
        }
        check("d_bias", c, at(&d_bias, c), expected, 143 * 0x1p-24 * magnitude);
    }
    RELEASE(&d_y, &d_bias, &partial, &unscale);
}

static void test_bias(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(matrices); i++)
        for (size_t t = 0; t < COUNT_OF(types); t++)
            for (int flags = 0; flags < 4; flags++) {
                check_bias(types[t], matrices[i].rows, matrices[i].columns, flags & 1, flags & 2);
                check_bias_backward(types[t], matrices[i].rows, matrices[i].columns, flags & 1, flags & 2);
            }
    check_bias(CUDA_FP32, 300000, 8, true, true);
    check_bias_backward(CUDA_BF16, 300000, 8, true, true);
}

/* --- quadratic --- */

/* The k-th element of a picture is counted (channel, pixel), in x and d_x it lies as (pixel, channel). */
static void check_quadratic(size_t batch, int dimension, int pixels, double condition)
{
    size_t d = (size_t)dimension, across = (size_t)pixels;
    struct array w = array_drawn(CUDA_FP32, d, 41), x = array_drawn(CUDA_FP32, batch * d, 42);
    struct array y = array_empty(CUDA_FP32, batch * d), d_y = array_drawn(CUDA_FP32, batch * d, 43);
    struct array d_w = array_empty(CUDA_FP32, d), d_x = array_empty(CUDA_FP32, batch * d);
    DEVICE_MUST(cuda_quadratic(NULL, batch, dimension, pixels, condition, w.device, x.device, y.device));
    DEVICE_MUST(cuda_quadratic_backward(NULL, batch, dimension, condition, d_y.device, d_w.device));
    DEVICE_MUST(cuda_quadratic_backward_input(NULL, batch, dimension, pixels, condition, d_y.device, d_x.device));
    array_download(&y);
    array_download(&d_w);
    array_download(&d_x);
    for (size_t k = 0; k < d; k++) { /* y: 3 roundings; d_w: the root and the result; d_x: as well */
        double root = k == 0 ? 1 : sqrt(pow(condition, -(double)k / (double)(d - 1))), sum = 0;
        for (size_t n = 0; n < batch; n++) {
            size_t i = n * d + k, place = n * d + k % across * (d / across) + k / across;
            double distance = root * ((double)at(&w, k) - at(&x, place)), back = -root * at(&d_y, i);
            check("y", i, at(&y, i), distance, error_of(CUDA_FP32, distance, 3, fabs(distance)));
            check("d_x", place, at(&d_x, place), back, error_of(CUDA_FP32, back, 2, fabs(back)));
            sum += at(&d_y, i);
        }
        check("d_w", k, at(&d_w, k), root * sum, error_of(CUDA_FP32, root * sum, 2, fabs(root * sum)) + 1e-14);
    }
    RELEASE(&w, &x, &y, &d_y, &d_w, &d_x);
}

static void test_quadratic(void **state)
{
    (void)state;
    check_quadratic(1, 1, 1, 10);
    check_quadratic(5, 2, 2, 1);
    check_quadratic(33, 100, 1, 1000);
    check_quadratic(7, 300, 20, 1000);
    check_quadratic(3000, 300, 300, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_max_pool),      cmocka_unit_test(test_max_pool_of_nothing_but_minus_infinity),
        cmocka_unit_test(test_average_pool),  cmocka_unit_test(test_flat_passes),
        cmocka_unit_test(test_conversions),   cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_dropout_masks), cmocka_unit_test(test_bias),
        cmocka_unit_test(test_quadratic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
