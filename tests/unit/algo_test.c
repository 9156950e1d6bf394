/* The algorithms one by one: what they keep, how they advance, meet and are reset. Laws are in tests/laws. */
#include "algo_fixture.h"

#include <math.h>

enum { COUNT = 1003 };

static void test_list(void **state)
{
    (void)state;
    const char *const *names = algo_names();
    size_t count = 0;
    for (; names[count] != NULL; count++)
        assert_string_equal(algo_find(names[count])->name, names[count]);
    assert_int_equal(count, 3);
    assert_null(algo_find("adpsgd"));
    assert_int_equal(algo_find("acid")->meets, ALGO_MEETS_ONE);
    assert_int_equal(algo_find("gossip")->meets, ALGO_MEETS_ONE);
    assert_int_equal(algo_find("allreduce")->meets, ALGO_MEETS_EVERYONE);
    assert_null(algo_find("allreduce")->on_pair);
}

static void test_vectors_at_creation(void **state)
{
    (void)state;
    struct fixture fixture = fixture_create();
    float initial[COUNT];
    fill_normal(initial, COUNT, 0, 0);
    struct algo_params params = {.count = COUNT, .eta = 0.5, .alpha = 0.5, .alpha_tilde = 0.5};
    for (const char *const *name = algo_names(); *name != NULL; name++) {
        struct replica_under_test replica = replica_create(&fixture, *name, &params, initial);
        float *x_tilde = replica.ops->vector(replica.algo, "x_tilde");
        float *momentum = replica.ops->vector(replica.algo, "momentum");
        assert_int_equal(x_tilde != NULL, replica.ops->has_momentum_vector);
        if (x_tilde != NULL)
            assert_memory_equal(x_tilde, initial, sizeof initial);
        assert_non_null(momentum);
        for (size_t i = 0; i < COUNT; i++)
            assert_true(momentum[i] == 0);
        assert_null(replica.ops->vector(replica.algo, "velocity"));
        replica_destroy(&replica);
    }
    fixture_destroy(&fixture);
}

/* An advance is ½(1 ± exp(−2ηΔ)) of the 2×2 matrix exponential; a snapshot shows it and changes nothing. */
static void test_snapshot_advances(void **state)
{
    (void)state;
    const double eta = 0.289, t = 1.7;
    struct fixture fixture = fixture_create();
    float initial[COUNT], other[COUNT], before[COUNT];
    fill_normal(initial, COUNT, 0, 0);
    fill_normal(other, COUNT, 1, 0);
    struct algo_params params = {.count = COUNT, .eta = eta, .alpha = 0.5, .alpha_tilde = 1};
    struct replica_under_test replica = replica_create(&fixture, "acid", &params, initial);
    float *x_tilde = replica.ops->vector(replica.algo, "x_tilde"), *out = fixture_vector(&fixture, COUNT);
    memcpy(x_tilde, other, sizeof other);
    memcpy(before, replica.x, sizeof before);
    replica.ops->snapshot(replica.algo, t, true, 0, COUNT, out);
    double e = exp(-2 * eta * t);
    for (size_t i = 0; i < COUNT; i++) {
        double exact = 0.5 * (1 + e) * (double)initial[i] + 0.5 * (1 - e) * (double)other[i];
        double size = fabs((double)initial[i]) + fabs((double)other[i]);
        /* mix, difference, product and sum round once each */
        assert_true(fabs((double)out[i] - exact) <= 4 * 0x1p-24 * size);
    }
    assert_memory_equal(replica.x, before, sizeof before);
    assert_memory_equal(x_tilde, other, sizeof other);
    fixture_free(&fixture, out);
    replica_destroy(&replica);
    fixture_destroy(&fixture);
}

/* After a reset x̃ = x, so nothing moves, and time counts from the reset. */
static void test_reset(void **state)
{
    (void)state;
    struct fixture fixture = fixture_create();
    float initial[COUNT], set[COUNT];
    fill_normal(initial, COUNT, 0, 0);
    fill_normal(set, COUNT, 1, 0);
    struct algo_params params = {.count = COUNT, .eta = 0.5, .alpha = 0.5, .alpha_tilde = 1};
    struct replica_under_test replica = replica_create(&fixture, "acid", &params, initial);
    float *out = fixture_vector(&fixture, COUNT), *x_tilde = replica.ops->vector(replica.algo, "x_tilde");
    memcpy(replica.x, set, sizeof set);
    replica.ops->reset(replica.algo, 3);
    assert_memory_equal(x_tilde, set, sizeof set);
    replica.ops->snapshot(replica.algo, 9, false, 0, COUNT, out);
    assert_memory_equal(out, set, sizeof set);
    x_tilde[0] = set[0] + 1;
    replica.ops->snapshot(replica.algo, 3, false, 0, COUNT, out);
    assert_true(out[0] == set[0]); /* no time has passed since the reset */
    fixture_free(&fixture, out);
    replica_destroy(&replica);
    fixture_destroy(&fixture);
}

static void test_gossip_meets_in_the_middle(void **state)
{
    (void)state;
    struct fixture fixture = fixture_create();
    const float a[] = {0, 1, -3, 0.5f, 8}, b[] = {2, 1, 5, -0.25f, 16};
    struct algo_params params = {.count = 5, .alpha = 0.5};
    struct replica_under_test one = replica_create(&fixture, "gossip", &params, a);
    struct replica_under_test two = replica_create(&fixture, "gossip", &params, b);
    replica_meet(&one, 1, a, b);
    replica_meet(&two, 1, b, a);
    for (size_t i = 0; i < 5; i++) {
        assert_true(one.x[i] == (a[i] + b[i]) / 2);
        assert_true(two.x[i] == one.x[i]);
    }
    replica_destroy(&one);
    replica_destroy(&two);
    fixture_destroy(&fixture);
}

/* Decay acts on the head, or on everything when the option says so: zero gradient, so x ← (1 − γ·decay)·x there. */
static void test_decay_filter(void **state)
{
    (void)state;
    struct fixture fixture = fixture_create();
    const float initial[] = {1, 2, 4, 8}, gradient[4] = {0};
    for (int everything = 0; everything <= 1; everything++) {
        struct algo_params params = {
            .count = 4, .decayed = 2, .optimizer = {.weight_decay = 0.5, .decay_norm_and_bias = everything}};
        for (const char *const *name = algo_names(); *name != NULL; name++) {
            struct replica_under_test replica = replica_create(&fixture, *name, &params, initial);
            replica_step(&replica, 1, gradient, 0.25);
            for (size_t i = 0; i < 4; i++)
                assert_true(replica.x[i] == initial[i] * (i < 2 || everything ? 0.875f : 1.0f));
            replica_destroy(&replica);
        }
    }
    fixture_destroy(&fixture);
}

/* A gradient that is not finite is left out: x and x̃ advance as they do without an event, the momentum stays, and the
 * device counts it. */
static void test_a_gradient_that_is_not_finite(void **state)
{
    (void)state;
    struct fixture fixture = fixture_create();
    float initial[COUNT], gradient[COUNT], before[COUNT], momentum[COUNT], expected[COUNT];
    fill_normal(initial, COUNT, 0, 0);
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (const char *const *name = algo_names(); *name != NULL; name++)
        for (int k = 0; k < 6; k++) {
            struct algo_params params = {
                .count = COUNT,
                .eta = 0.3,
                .optimizer = {
                    .momentum = 0.9, .weight_decay = 0.1, .clip_norm = k < 3 ? 0 : 1, .nesterov = k % 2 == 0}};
            struct replica_under_test replica = replica_create(&fixture, *name, &params, initial);
            fill_normal(gradient, COUNT, 1, 0);
            replica_step(&replica, 0.5, gradient, 0.25);
            fill_normal(before, COUNT, 2, 0); /* x and x̃ apart */
            if (replica.ops->on_pair != NULL)
                replica_meet(&replica, 0.75, before, gradient);
            memcpy(momentum, replica.ops->vector(replica.algo, "momentum"), sizeof momentum);
            replica.ops->snapshot(replica.algo, 2, true, 0, COUNT, expected);
            uint64_t left_out = fixture.ops->left_out(fixture.device);
            gradient[COUNT - 7] = bad[k % 3];
            replica_step(&replica, 2, gradient, 0.25);
            assert_int_equal(fixture.ops->left_out(fixture.device), left_out + 1);
            assert_memory_equal(replica.x, expected, sizeof expected);
            assert_memory_equal(replica.ops->vector(replica.algo, "momentum"), momentum, sizeof momentum);
            const float *x_tilde = replica.ops->vector(replica.algo, "x_tilde");
            for (size_t i = 0; i < COUNT && x_tilde != NULL; i++)
                assert_true(isfinite(x_tilde[i]));
            replica_destroy(&replica);
        }
    fixture_destroy(&fixture);
}

/* Two constants, one after the other, do to x and x̃ what they would do with an event in between that moves nothing;
 * x + x̃ stays; the same constants again change no bit. */
static void test_retune(void **state)
{
    (void)state;
    struct fixture fixture = fixture_create();
    float initial[COUNT], peer[COUNT], none[COUNT] = {0};
    fill_normal(initial, COUNT, 0, 0);
    fill_normal(peer, COUNT, 1, 0);
    struct algo_params params = {.count = COUNT, .eta = 0.3, .alpha = 0.5, .alpha_tilde = 0.8};
    struct dynamic same = {.eta = 0.3, .alpha = 0.5, .alpha_tilde = 0.8};
    struct dynamic later = {.eta = 1.1, .alpha = 0.5, .alpha_tilde = 0.6}, last = {0, 0.5, 0.5};
    struct replica_under_test replica[3];
    for (int k = 0; k < 3; k++) {
        replica[k] = replica_create(&fixture, "acid", &params, initial);
        replica_meet(&replica[k], 0.5, initial, peer); /* x and x̃ apart */
    }
    const struct algo_ops *ops = replica[0].ops;
    replica_meet(&replica[0], 0.75, none, none);
    ops->retune(replica[0].algo, 0.75, &later);
    ops->retune(replica[1].algo, 0.75, &later);
    ops->retune(replica[1].algo, 1, &last);
    ops->retune(replica[1].algo, 1.25, &later);
    replica_meet(&replica[0], 2, none, none);
    replica_meet(&replica[1], 2.25, none, none);
    for (size_t i = 0; i < COUNT; i++) {
        float x = replica[0].x[i], x_tilde = ops->vector(replica[0].algo, "x_tilde")[i];
        float sum = replica[2].x[i] + ops->vector(replica[2].algo, "x_tilde")[i];
        assert_true(fabsf(replica[1].x[i] - x) < 1e-5f);
        assert_true(fabsf(ops->vector(replica[1].algo, "x_tilde")[i] - x_tilde) < 1e-5f);
        assert_true(fabsf(x + x_tilde - sum) < 1e-5f);
    }
    float before[COUNT], after[COUNT];
    ops->snapshot(replica[2].algo, 3, true, 0, COUNT, before);
    ops->retune(replica[2].algo, 0.5, &same);
    ops->snapshot(replica[2].algo, 3, true, 0, COUNT, after);
    assert_memory_equal(before, after, sizeof before);
    for (int k = 0; k < 3; k++)
        replica_destroy(&replica[k]);
    fixture_destroy(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_vectors_at_creation),
        cmocka_unit_test(test_snapshot_advances),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_gossip_meets_in_the_middle),
        cmocka_unit_test(test_decay_filter),
        cmocka_unit_test(test_a_gradient_that_is_not_finite),
        cmocka_unit_test(test_retune),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
