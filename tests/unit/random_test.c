/* Random streams: published vectors of Philox, exact bounds, moments and independence. Seeds are fixed, so every bound
 * either always holds or never does. */
#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Salmon et al. 2011, the test vectors of Random123 for philox4x32 with 10 rounds. */
static void test_philox_vectors(void **state)
{
    static const struct {
        uint32_t counter[4], key[2], block[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct random_stream stream = {.used = 4};
        memcpy(stream.counter, vectors[i].counter, sizeof stream.counter);
        memcpy(stream.key, vectors[i].key, sizeof stream.key);
        for (int word = 0; word < 4; word++)
            assert_int_equal(random_u32(&stream), vectors[i].block[word]);
    }
}

/* The name of a stream is its key and counter: this layout is part of every golden result. */
static void test_names(void **state)
{
    (void)state;
    struct random_stream stream = random_stream(0x299f31d0a4093822, RANDOM_AUGMENT, 0xabcdef, 0x0370734413198a2e);
    assert_int_equal(stream.key[0], 0xa4093822);
    assert_int_equal(stream.key[1], 0x299f31d0);
    assert_int_equal(stream.counter[0], 0);
    assert_int_equal(stream.counter[1], (uint32_t)RANDOM_AUGMENT << 24 | 0xabcdef);
    assert_int_equal(stream.counter[2], 0x13198a2e);
    assert_int_equal(stream.counter[3], 0x03707344);
    assert_int_equal(stream.used, 4);
    random_u32(&stream);
    assert_int_equal(stream.counter[0], 1);
    assert_int_equal(stream.used, 1);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Streams whose names differ in any part begin differently, and the same name begins alike. */
static void test_different_names_differ(void **state)
{
    enum { COUNT = 3 * 10 * 4 * 4 };
    static const uint64_t seeds[] = {0, 1, (uint64_t)1 << 32}, steps[] = {0, 1, (uint64_t)1 << 32, (uint64_t)1 << 63};
    uint64_t firsts[COUNT];
    size_t count = 0;
    (void)state;
    for (int seed = 0; seed < 3; seed++)
        for (int purpose = RANDOM_INIT; purpose <= RANDOM_TEST; purpose++)
            for (uint32_t worker = 0; worker < 4; worker++)
                for (int step = 0; step < 4; step++) {
                    struct random_stream stream =
                        random_stream(seeds[seed], (enum random_purpose)purpose, worker, steps[step]);
                    struct random_stream again = stream;
                    uint64_t high = random_u32(&stream), low = random_u32(&stream);
                    firsts[count++] = high << 32 | low;
                    assert_int_equal(random_u32(&again), high);
                }
    assert_int_equal(count, COUNT);
    qsort(firsts, count, sizeof firsts[0], compare_u64);
    for (size_t i = 1; i < count; i++)
        assert_true(firsts[i - 1] < firsts[i]);
}

/* Correlation of two streams of neighbouring names: within four standard deviations, 4/√n. */
static void test_neighbours_are_uncorrelated(void **state)
{
    const int count = 100000;
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        struct random_stream a = random_stream(5, RANDOM_TEST, 7, 9);
        struct random_stream b = random_stream(5 + (variant == 0), variant == 1 ? RANDOM_BACKOFF : RANDOM_TEST,
                                               7 + (variant == 2), 9 + (variant == 3));
        double sum = 0;
        for (int i = 0; i < count; i++)
            sum += 12 * (random_uniform(&a) - 0.5) * (random_uniform(&b) - 0.5);
        assert_true(fabs(sum / count) < 4 / sqrt(count));
    }
}

/* χ² of 64 bins has mean 63 and deviation √126 = 11.2. */
static double chi_square_of_bins(double (*draw)(struct random_stream *), uint64_t step)
{
    enum { BINS = 64, PER_BIN = 2000 };
    struct random_stream stream = random_stream(1, RANDOM_TEST, 0, step);
    double counts[BINS] = {0}, chi_square = 0;
    for (int i = 0; i < BINS * PER_BIN; i++) {
        double u = draw(&stream);
        assert_true(u >= 0 && u < 1);
        counts[(int)(u * BINS)]++;
    }
    for (int i = 0; i < BINS; i++)
        chi_square += (counts[i] - PER_BIN) * (counts[i] - PER_BIN) / PER_BIN;
    return chi_square;
}

static double draw_below(struct random_stream *stream)
{
    return random_below(stream, 64 * 3) / 192.0;
}

static double draw_low_bits(struct random_stream *stream)
{
    double u = random_uniform(stream) * 0x1p40;
    return u - floor(u);
}

static double draw_exponential(struct random_stream *stream)
{
    return exp(-random_exponential(stream)) * (1 - 0x1p-53);
}

static double draw_normal(struct random_stream *stream)
{
    return 0.5 * erfc(-random_normal(stream) / sqrt(2));
}

/* Exponential and normal draws are uniform once sent through their distribution function. */
static void test_uniformity(void **state)
{
    double (*const draws[])(struct random_stream *) = {random_uniform, draw_below, draw_low_bits, draw_exponential,
                                                       draw_normal};
    (void)state;
    for (size_t i = 0; i < sizeof draws / sizeof draws[0]; i++) {
        double chi_square = chi_square_of_bins(draws[i], i);
        assert_true(chi_square > 63 - 4 * 11.2 && chi_square < 63 + 5 * 11.2);
    }
}

/* A stream whose next words are given. */
static struct random_stream stream_of(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    return (struct random_stream){.block = {a, b, c, d}, .used = 0};
}

/* Of 2³² words, bound 3 refuses one (2³² mod 3 = 1) and shares out the rest in equal parts: word 0 is refused, and the
 * parts meet between 1431655765 and 1431655766, and between 2863311530 and 2863311531. */
static void test_below_is_exact(void **state)
{
    (void)state;
    struct random_stream stream = stream_of(0, 1431655765, 1431655766, 2863311530);
    assert_int_equal(random_below(&stream, 3), 0);
    assert_int_equal(stream.used, 2);
    assert_int_equal(random_below(&stream, 3), 1);
    assert_int_equal(random_below(&stream, 3), 1);
    stream = stream_of(2863311531, 0xffffffff, 0x7fffffff, 0x80000000);
    assert_int_equal(random_below(&stream, 3), 2);
    assert_int_equal(random_below(&stream, 3), 2);
    assert_int_equal(random_below(&stream, 2), 0);
    assert_int_equal(random_below(&stream, 2), 1);
    stream = stream_of(0, 0xffffffff, 12345, 0xffffffff);
    assert_int_equal(random_below(&stream, 1), 0);
    assert_int_equal(random_below(&stream, 1), 0);
    assert_int_equal(random_below(&stream, 1u << 31), 6172);
    assert_int_equal(random_below(&stream, 0xffffffff), 0xfffffffe);
    stream = random_stream(1, RANDOM_TEST, 0, 0);
    for (int i = 0; i < 10000; i++)
        assert_true(random_below(&stream, 0x80000001) <= 0x80000000);
}

/* The ends of what can be drawn: 53 bits, never 1, and a logarithm that stays finite. */
static void test_extremes(void **state)
{
    (void)state;
    struct random_stream stream = stream_of(0, 0, ~0u, ~0u);
    assert_true(random_uniform(&stream) == 0);
    assert_true(random_uniform(&stream) == 1 - 0x1p-53);
    stream = stream_of(~0u, ~0u, 0, 0);
    assert_true(fabs(random_exponential(&stream) - 53 * log(2)) < 1e-12);
    assert_true(random_exponential(&stream) == 0);
    stream = stream_of(~0u, ~0u, 0, 0);
    assert_true(fabs(random_normal(&stream) - sqrt(2 * 53 * log(2))) < 1e-12);
    stream = stream_of(1u << 5, 1u << 6, 0, 0);
    assert_true(random_uniform(&stream) == 0x1p-27 + 0x1p-53);
}

struct moments {
    double mean, variance, skewness;
};

static struct moments measure(double (*draw)(struct random_stream *, double), double shape, int count)
{
    struct random_stream stream = random_stream(3, RANDOM_TEST, 1, (uint64_t)(shape * 1000));
    double sum = 0, sum2 = 0, sum3 = 0;
    for (int i = 0; i < count; i++) {
        double x = draw(&stream, shape);
        sum += x;
        sum2 += x * x;
        sum3 += x * x * x;
    }
    double mean = sum / count, variance = sum2 / count - mean * mean;
    double third = sum3 / count - 3 * mean * sum2 / count + 2 * mean * mean * mean;
    return (struct moments){mean, variance, third / pow(variance, 1.5)};
}

static double normal_of(struct random_stream *stream, double shape)
{
    (void)shape;
    return random_normal(stream);
}

static double exponential_of(struct random_stream *stream, double shape)
{
    (void)shape;
    return random_exponential(stream);
}

/* Bounds of five standard errors: of the mean √(σ²/n), of the variance √((κ − 1)σ⁴/n), κ the kurtosis. */
static void check_moments(struct moments got, struct moments want, double kurtosis, int count)
{
    assert_true(fabs(got.mean - want.mean) < 5 * sqrt(want.variance / count));
    assert_true(fabs(got.variance - want.variance) < 5 * want.variance * sqrt((kurtosis - 1) / count));
    assert_true(fabs(got.skewness - want.skewness) < 0.05 * (1 + want.skewness));
}

static void test_moments(void **state)
{
    static const double shapes[] = {0.1, 0.3, 0.999, 1, 1.5, 10, 1000};
    const int count = 200000;
    (void)state;
    check_moments(measure(normal_of, 0, count), (struct moments){0, 1, 0}, 3, count);
    check_moments(measure(exponential_of, 1, count), (struct moments){1, 1, 2}, 9, count);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        double k = shapes[i];
        check_moments(measure(random_gamma, k, count), (struct moments){k, k, 2 / sqrt(k)}, 3 + 6 / k, count);
    }
}

/* The draws of a gamma variable below shape 1: those of shape + 1 come first, the power's after them. */
static void test_gamma_order(void **state)
{
    (void)state;
    struct random_stream a = random_stream(1, RANDOM_PARTITION, 0, 0), b = a;
    double above = random_gamma(&b, 1.25), u = random_uniform(&b);
    assert_true(random_gamma(&a, 0.25) == above * pow(1 - u, 4));
    assert_int_equal(random_u32(&a), random_u32(&b));
}

static void test_shuffle_is_a_permutation(void **state)
{
    enum { COUNT = 1000 };
    uint32_t items[COUNT], again[COUNT];
    bool seen[COUNT] = {false};
    size_t moved = 0;
    (void)state;
    struct random_stream stream = random_stream(1, RANDOM_ORDER, 0, 0), same = stream;
    for (uint32_t i = 0; i < COUNT; i++)
        items[i] = again[i] = i;
    random_shuffle(&stream, items, COUNT);
    random_shuffle(&same, again, COUNT);
    assert_memory_equal(items, again, sizeof items);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(items[i] < COUNT && !seen[items[i]]);
        seen[items[i]] = true;
        moved += items[i] != i;
    }
    assert_true(moved > COUNT - 10);
    random_shuffle(&stream, items, 0);
    uint32_t first = items[0];
    random_shuffle(&stream, items, 1);
    assert_int_equal(items[0], first);
}

/* All 24 orders of 4 items are equally likely: χ² of 24 bins has mean 23, deviation √46 = 6.8. */
static void test_shuffle_is_uniform(void **state)
{
    const int per_order = 2000;
    double counts[256] = {0}, chi_square = 0;
    int orders = 0;
    (void)state;
    struct random_stream stream = random_stream(2, RANDOM_ORDER, 0, 0);
    for (int i = 0; i < 24 * per_order; i++) {
        uint32_t items[] = {0, 1, 2, 3};
        random_shuffle(&stream, items, 4);
        counts[items[0] << 6 | items[1] << 4 | items[2] << 2 | items[3]]++;
    }
    for (int i = 0; i < 256; i++)
        if (counts[i] > 0) {
            chi_square += (counts[i] - per_order) * (counts[i] - per_order) / per_order;
            orders++;
        }
    assert_int_equal(orders, 24);
    assert_true(chi_square > 3 && chi_square < 23 + 5 * 6.8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_vectors),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_different_names_differ),
        cmocka_unit_test(test_neighbours_are_uncorrelated),
        cmocka_unit_test(test_uniformity),
        cmocka_unit_test(test_below_is_exact),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_gamma_order),
        cmocka_unit_test(test_shuffle_is_a_permutation),
        cmocka_unit_test(test_shuffle_is_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
