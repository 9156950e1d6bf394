/* The flat-vector kernels: laws that hold to the last bit, formulas against float64, and independence of how a
 * range is cut. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/norm.h"
#include "kernels/pair.h"
#include "kernels/reduce.h"
#include "kernels/update.h"

enum { COUNT = 1013 }; /* not a multiple of any vector length */

struct vectors {
    float x[COUNT], x_tilde[COUNT], m[COUNT], g[COUNT];
};

static void fill_normal(float *v, size_t count, uint64_t seed)
{
    struct random_stream stream = random_stream(seed, RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < count; i++)
        v[i] = (float)random_normal(&stream);
}

/* Multiples of 1/16 below 16: sums, differences and products with small dyadic factors are exact. */
static void fill_dyadic(float *v, size_t count, uint64_t seed)
{
    struct random_stream stream = random_stream(seed, RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < count; i++)
        v[i] = ((float)random_below(&stream, 512) - 256.0f) / 16.0f;
}

static void vectors_fill(struct vectors *v, uint64_t seed)
{
    fill_normal(v->x, COUNT, seed);
    fill_normal(v->x_tilde, COUNT, seed + 1);
    fill_normal(v->m, COUNT, seed + 2);
    fill_normal(v->g, COUNT, seed + 3);
}

static const struct update_constants sgd = {
    .mix = 0.3f, .learning_rate = 0.1f, .momentum = 0.9f, .weight_decay = 5e-4f, .gradient_scale = 0.7f};

static void test_pair_conserves(void **state)
{
    (void)state;
    static float x[2][COUNT], x_tilde[2][COUNT], snapshots[2][COUNT], before[COUNT], before_tilde[COUNT];
    for (int mixing = 0; mixing < 2; mixing++) {
        for (int i = 0; i < 2; i++) {
            fill_dyadic(x[i], COUNT, 10 + (uint64_t)i);
            fill_dyadic(x_tilde[i], COUNT, 20 + (uint64_t)i);
            fill_dyadic(snapshots[i], COUNT, 30 + (uint64_t)i);
        }
        for (size_t k = 0; k < COUNT; k++) {
            before[k] = x[0][k] + x[1][k];
            before_tilde[k] = x_tilde[0][k] + x_tilde[1][k];
        }
        float mix = mixing == 1 ? 0.25f : 0.0f;
        kernel_pair(mix, 0.5f, 1.25f, 0, COUNT, x[0], x_tilde[0], snapshots[0], snapshots[1]);
        kernel_pair(mix, 0.5f, 1.25f, 0, COUNT, x[1], x_tilde[1], snapshots[1], snapshots[0]);
        for (size_t k = 0; k < COUNT; k++) {
            float sum = x[0][k] + x[1][k], sum_tilde = x_tilde[0][k] + x_tilde[1][k];
            assert_true(sum + sum_tilde == before[k] + before_tilde[k]);
            if (mixing == 0)
                assert_true(sum == before[k] && sum_tilde == before_tilde[k]);
        }
    }
}

/* On any inputs: what one side adds is, bit for bit, what the other takes. */
static void test_pair_antisymmetric(void **state)
{
    (void)state;
    static float own[COUNT], peer[COUNT], x[2][COUNT], x_tilde[2][COUNT];
    fill_normal(own, COUNT, 1);
    fill_normal(peer, COUNT, 2);
    memset(x, 0, sizeof x);
    memset(x_tilde, 0, sizeof x_tilde);
    kernel_pair(0.37f, 0.5f, 1.8717f, 0, COUNT, x[0], x_tilde[0], own, peer);
    kernel_pair(0.37f, 0.5f, 1.8717f, 0, COUNT, x[1], x_tilde[1], peer, own);
    for (size_t k = 0; k < COUNT; k++)
        assert_true(x[0][k] == -x[1][k] && x_tilde[0][k] == -x_tilde[1][k] && x[0][k] != 0.0f);
}

static void test_pair_without_eta_is_gossip(void **state)
{
    (void)state;
    static float x[COUNT], x_tilde[COUNT], plain[COUNT], own[COUNT], peer[COUNT];
    fill_normal(x, COUNT, 1);
    memcpy(x_tilde, x, sizeof x);
    memcpy(plain, x, sizeof x);
    fill_normal(own, COUNT, 2);
    fill_normal(peer, COUNT, 3);
    kernel_pair(0.0f, 0.5f, 0.5f, 0, COUNT, x, x_tilde, own, peer);
    kernel_pair(0.0f, 0.5f, 0.5f, 0, COUNT, plain, NULL, own, peer);
    assert_memory_equal(x, plain, sizeof x);
    assert_memory_equal(x_tilde, plain, sizeof x);
}

static void test_snapshot(void **state)
{
    (void)state;
    static struct vectors v;
    static float out[COUNT], zero[COUNT];
    vectors_fill(&v, 1);
    kernel_snapshot(0.3f, 0, COUNT, v.x, NULL, out);
    assert_memory_equal(out, v.x, sizeof out);
    kernel_snapshot(0.3f, 0, COUNT, v.x, v.x_tilde, out);
    kernel_pair(0.3f, 0.5f, 0.5f, 0, COUNT, v.x, v.x_tilde, zero, zero);
    assert_memory_equal(out, v.x, sizeof out);
}

static void test_update_on_equal_vectors_is_sgd(void **state)
{
    (void)state;
    static struct vectors both, plain;
    for (int nesterov = 0; nesterov < 2; nesterov++) {
        struct update_constants c = sgd;
        c.nesterov = nesterov == 1;
        vectors_fill(&both, 4);
        memcpy(both.x_tilde, both.x, sizeof both.x);
        plain = both;
        for (int step = 0; step < 3; step++) {
            kernel_update(&c, 0, COUNT, 500, both.x, both.x_tilde, both.m, both.g);
            kernel_update(&c, 0, COUNT, 500, plain.x, NULL, plain.m, plain.g);
        }
        assert_memory_equal(both.x, plain.x, sizeof plain.x);
        assert_memory_equal(both.x_tilde, plain.x, sizeof plain.x);
        assert_memory_equal(both.m, plain.m, sizeof plain.m);
    }
}

static void test_update_formula(void **state)
{
    (void)state;
    static struct vectors v, old;
    const size_t decayed = 501;
    for (int nesterov = 0; nesterov < 2; nesterov++) {
        struct update_constants c = sgd;
        c.nesterov = nesterov == 1;
        c.weight_decay = 0.25f;
        vectors_fill(&old, 6);
        v = old;
        kernel_update(&c, 0, COUNT, decayed, v.x, v.x_tilde, v.m, v.g);
        for (size_t i = 0; i < COUNT; i++) {
            double delta = c.mix * ((double)old.x_tilde[i] - old.x[i]), x = old.x[i] + delta;
            double d = (double)c.gradient_scale * old.g[i] + (i < decayed ? c.weight_decay * x : 0.0);
            double m = (double)c.momentum * old.m[i] + d;
            double u = nesterov == 1 ? d + (double)c.momentum * m : m;
            assert_float_equal(v.m[i], m, 2e-6);
            assert_float_equal(v.x[i], x - c.learning_rate * u, 2e-6);
            assert_float_equal(v.x_tilde[i], old.x_tilde[i] - delta - c.learning_rate * u, 2e-6);
        }
    }
}

/* (1 + 2⁻¹²)² rounds to 1 + 2⁻¹¹; a fused multiply-add would leave 2⁻²⁴ after the subtraction. */
static void test_no_contraction(void **state)
{
    (void)state;
    static struct vectors v;
    const struct update_constants c = {.learning_rate = 1.0f, .momentum = 1.0f + 0x1p-12f, .gradient_scale = 1.0f};
    for (size_t i = 0; i < COUNT; i++) {
        v.m[i] = 1.0f + 0x1p-12f;
        v.g[i] = -(1.0f + 0x1p-11f);
    }
    kernel_update(&c, 0, COUNT, 0, v.x, NULL, v.m, v.g);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(v.m[i] == 0.0f);
}

static void test_pieces_equal_whole(void **state)
{
    (void)state;
    static struct vectors whole, pieces;
    static float own[COUNT], peer[COUNT], out[2][COUNT];
    fill_normal(own, COUNT, 1);
    fill_normal(peer, COUNT, 2);
    vectors_fill(&whole, 8);
    pieces = whole;
    kernel_update(&sgd, 0, COUNT, 333, whole.x, whole.x_tilde, whole.m, whole.g);
    kernel_pair(0.1f, 0.5f, 0.9f, 0, COUNT, whole.x, whole.x_tilde, own, peer);
    kernel_snapshot(0.1f, 0, COUNT, whole.x, whole.x_tilde, out[0]);
    static const size_t cuts[] = {0, 1, 7, 100, 333, 340, 900, COUNT};
    for (size_t i = 0; i + 1 < sizeof cuts / sizeof *cuts; i++) {
        kernel_update(&sgd, cuts[i], cuts[i + 1], 333, pieces.x, pieces.x_tilde, pieces.m, pieces.g);
        kernel_pair(0.1f, 0.5f, 0.9f, cuts[i], cuts[i + 1], pieces.x, pieces.x_tilde, own, peer);
        kernel_snapshot(0.1f, cuts[i], cuts[i + 1], pieces.x, pieces.x_tilde, out[1]);
    }
    assert_memory_equal(&whole, &pieces, sizeof whole);
    assert_memory_equal(out[0], out[1], sizeof out[0]);
}

static void test_sum_squares(void **state)
{
    (void)state;
    static float v[REDUCE_BLOCK];
    for (size_t i = 0; i < REDUCE_BLOCK; i++)
        v[i] = (float)(i % 97);
    static const size_t counts[] = {0, 1, 15, 16, 17, 1000, REDUCE_BLOCK};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        uint64_t wanted = 0;
        for (size_t i = 0; i < counts[c]; i++)
            wanted += (i % 97) * (i % 97);
        assert_true(kernel_sum_squares(0, counts[c], v) == (double)wanted);
    }
    v[3] = INFINITY;
    assert_true(isinf(kernel_sum_squares(0, 10, v)));
    v[3] = NAN;
    assert_true(isnan(kernel_sum_squares(0, 10, v)));
}

/* Rows of sixteen lanes and of fifteen go different ways through the code: the lanes they share must agree. */
static void test_norm_lanes(void **state)
{
    (void)state;
    enum { ROWS = 37, SIZE = ROWS * NORM_LANES };
    static float x[SIZE], residual[SIZE], y[2][SIZE], d_y[2][SIZE], d_x[2][SIZE], tables[6][NORM_LANES];
    static float s1[2][NORM_LANES], s2[2][NORM_LANES], sums[2][NORM_LANES], squares[2][NORM_LANES];
    fill_normal(x, SIZE, 1);
    fill_normal(residual, SIZE, 2);
    for (int i = 0; i < 6; i++)
        fill_normal(tables[i], NORM_LANES, 3 + (uint64_t)i);
    for (int kind = 0; kind < 6; kind++) {
        bool relu = kind % 2 == 1, with_residual = kind / 2 >= 1;
        memset(s1, 0, sizeof s1);
        memset(s2, 0, sizeof s2);
        for (int narrow = 0; narrow < 2; narrow++) {
            struct norm_slab slab = {.rows = ROWS, .stride = NORM_LANES, .lanes = narrow == 1 ? 15 : 16};
            fill_normal(d_y[narrow], SIZE, 9);
            kernel_norm_sums(&slab, x, sums[narrow]);
            kernel_norm_squares(&slab, x, tables[2], squares[narrow]);
            kernel_norm_apply(&slab, relu, tables[0], tables[1], x, with_residual ? residual : NULL, y[narrow]);
            struct norm_gradient g = {.a = tables[0],
                                      .b = tables[1],
                                      .mean = tables[2],
                                      .x = x,
                                      .relu = relu,
                                      .y = with_residual ? y[narrow] : NULL,
                                      .d_y = d_y[narrow],
                                      .d_y_other = kind >= 4 ? residual : NULL,
                                      .store = with_residual};
            kernel_norm_backward_sums(&slab, &g, s1[narrow], s2[narrow]);
            kernel_norm_backward_apply(&slab, &g, tables[3], tables[4], tables[5], d_x[narrow]);
        }
        for (size_t i = 0; i < SIZE; i++) {
            if (i % NORM_LANES == 15)
                continue;
            assert_true(y[0][i] == y[1][i] && d_y[0][i] == d_y[1][i] && d_x[0][i] == d_x[1][i]);
            assert_true(!relu || y[0][i] >= 0.0f);
        }
        for (size_t lane = 0; lane < 15; lane++) {
            assert_float_equal(sums[0][lane], sums[1][lane], 1e-3);
            assert_float_equal(squares[0][lane], squares[1][lane], 1e-3 * squares[0][lane]);
            assert_true(s1[0][lane] == s1[1][lane] && s2[0][lane] == s2[1][lane]);
        }
    }
}

static void test_norm_keeps_nan(void **state)
{
    (void)state;
    float x[NORM_LANES] = {NAN}, y[NORM_LANES], a[NORM_LANES], b[NORM_LANES] = {0.0f};
    for (size_t lane = 0; lane < NORM_LANES; lane++)
        a[lane] = 1.0f;
    for (size_t lanes = 1; lanes <= NORM_LANES; lanes += NORM_LANES - 1) {
        const struct norm_slab slab = {.rows = 1, .stride = NORM_LANES, .lanes = lanes};
        kernel_norm_apply(&slab, true, a, b, x, NULL, y);
        assert_true(isnan(y[0]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pair_conserves),
        cmocka_unit_test(test_pair_antisymmetric),
        cmocka_unit_test(test_pair_without_eta_is_gossip),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_update_on_equal_vectors_is_sgd),
        cmocka_unit_test(test_update_formula),
        cmocka_unit_test(test_no_contraction),
        cmocka_unit_test(test_pieces_equal_whole),
        cmocka_unit_test(test_sum_squares),
        cmocka_unit_test(test_norm_lanes),
        cmocka_unit_test(test_norm_keeps_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
