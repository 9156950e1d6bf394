/* SGD's direction against the formulas of torch.optim.SGD and torch.nn.utils.clip_grad_norm_, computed in float64. */
#include "algo_fixture.h"

#include <math.h>

#include "kernels/update.h"

enum { COUNT = 517, DECAYED = 300, STEPS = 50 };

/* torch.optim.SGD (dampening 0): d = g·scale + decay·p; b ← μ·b + d; p ← p − γ·(d + μ·b with Nesterov, else b). */
static void reference_step(const struct optimizer_params *o, double learning_rate, const float *gradient, double *x,
                           double *m)
{
    double sum = 0;
    for (size_t i = 0; i < COUNT; i++)
        sum += (double)gradient[i] * (double)gradient[i];
    double scale = o->clip_norm > 0 ? fmin(1, o->clip_norm / (sqrt(sum) + 1e-6)) : 1;
    size_t decayed = o->decay_norm_and_bias ? COUNT : DECAYED;
    for (size_t i = 0; i < COUNT; i++) {
        double d = scale * (double)gradient[i] + (i < decayed ? o->weight_decay * x[i] : 0);
        m[i] = o->momentum * m[i] + d;
        x[i] -= learning_rate * (o->nesterov ? d + o->momentum * m[i] : m[i]);
    }
}

/* Each step rounds x, the direction and the momentum a few times, errors of the momentum live 1/(1 − μ) steps, and
 * gradients here are of size 1: 2⁻²⁴·STEPS·8 covers both generously, while a missing factor shows at 1e-2. */
static void check_against_reference(const struct optimizer_params *optimizer)
{
    struct fixture fixture = fixture_create();
    float initial[COUNT], gradient[COUNT];
    double x[COUNT], m[COUNT] = {0};
    fill_normal(initial, COUNT, 0, 0);
    for (size_t i = 0; i < COUNT; i++)
        x[i] = (double)initial[i];
    struct algo_params params = {.count = COUNT, .decayed = DECAYED, .optimizer = *optimizer};
    struct replica_under_test replica = replica_create(&fixture, "allreduce", &params, initial);
    for (int step = 0; step < STEPS; step++) {
        double learning_rate = step < STEPS / 2 ? 0.1 : 0.01;
        fill_normal(gradient, COUNT, 1, (uint64_t)step);
        reference_step(optimizer, learning_rate, gradient, x, m);
        replica_step(&replica, step + 1, gradient, learning_rate);
    }
    const float *momentum = replica.ops->vector(replica.algo, "momentum");
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(fabs((double)replica.x[i] - x[i]) <= 0x1p-24 * STEPS * 8);
        assert_true(fabs((double)momentum[i] - m[i]) <= 0x1p-24 * STEPS * 8);
    }
    replica_destroy(&replica);
    fixture_destroy(&fixture);
}

static void test_directions(void **state)
{
    (void)state;
    check_against_reference(&(struct optimizer_params){0});
    check_against_reference(&(struct optimizer_params){.momentum = 0.9});
    check_against_reference(&(struct optimizer_params){.momentum = 0.9, .nesterov = true});
    check_against_reference(&(struct optimizer_params){.momentum = 0.9, .weight_decay = 0.01});
    check_against_reference(&(struct optimizer_params){
        .momentum = 0.9, .weight_decay = 0.01, .nesterov = true, .decay_norm_and_bias = true});
    check_against_reference(&(struct optimizer_params){.momentum = 0.9, .weight_decay = 0.01, .clip_norm = 1});
    check_against_reference(&(struct optimizer_params){.clip_norm = 1e6});
}

static void test_clipping(void **state)
{
    (void)state;
    const struct optimizer_params params = {.momentum = 0.875, .weight_decay = 0.5, .clip_norm = 2, .nesterov = true};
    struct update_coefficients c = optimizer_coefficients(&params, 0.25, 0.125);
    assert_true(c.mix == 0.125 && c.learning_rate == 0.25 && c.momentum == 0.875 && c.weight_decay == 0.5);
    assert_true(c.nesterov && c.clip_norm == 2);
    assert_true(kernel_clip_scale(2, 25) == 2 / (5 + 1e-6));
    assert_true(kernel_clip_scale(6, 25) == 1);
    assert_true(kernel_clip_scale(0, 25) == 1);
    assert_true(kernel_clip_scale(2, 0) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_directions),
        cmocka_unit_test(test_clipping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
