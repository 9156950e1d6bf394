/* Learning-rate schedules against values worked out by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>

#include "algo/schedule.h"

/* The published CIFAR-10 setting on 16 workers: peak 0.1·128·16/256 = 0.8, warm-up 5 of 300 epochs. */
static const struct schedule_params published = {.name = "step",
                                                 .base_rate = 0.1,
                                                 .per_samples = 256,
                                                 .batch = 128,
                                                 .worker_count = 16,
                                                 .epochs = 300,
                                                 .warmup_epochs = -1,
                                                 .milestones = {0.5, 0.75},
                                                 .milestone_count = 2,
                                                 .factor = 0.1};

static void assert_rate(const struct schedule *schedule, double progress, double expected)
{
    double rate = schedule_rate(schedule, progress);
    if (fabs(rate - expected) > 1e-14)
        fail_msg("rate(%g) is %.17g, not %.17g", progress, rate, expected);
}

static struct schedule create(const struct schedule_params *params)
{
    struct schedule schedule;
    assert_int_equal(schedule_init(&schedule, params), STATUS_OK);
    return schedule;
}

static void test_step(void **state)
{
    (void)state;
    struct schedule schedule = create(&published);
    assert_rate(&schedule, 0, 0.1);
    assert_rate(&schedule, 1.0 / 240, 0.275); /* a quarter of the way from 0.1 to 0.8 */
    assert_rate(&schedule, 1.0 / 120, 0.45);
    assert_rate(&schedule, 1.0 / 60, 0.8);
    assert_rate(&schedule, 0.4999, 0.8);
    assert_rate(&schedule, 0.5, 0.08);
    assert_rate(&schedule, 0.7499, 0.08);
    assert_rate(&schedule, 0.75, 0.008);
    assert_rate(&schedule, 1, 0.008);
    assert_rate(&schedule, 1.01, 0.008);
    assert_rate(&schedule, -1, 0.1);
}

static void test_warmup(void **state)
{
    (void)state;
    struct schedule_params params = published;
    params.epochs = 10; /* 5 epochs would be half of it: capped at 5 % */
    assert_true(create(&params).warmup == 0.05);
    params.warmup_epochs = 4; /* given: not capped */
    assert_true(create(&params).warmup == 0.4);
    params.warmup_epochs = 40;
    assert_true(create(&params).warmup == 1);
    params.warmup_epochs = 0;
    struct schedule schedule = create(&params);
    assert_rate(&schedule, 0, 0.8);
    params.worker_count = 1; /* peak 0.05 is below the base rate: nothing to warm up to */
    params.warmup_epochs = -1;
    schedule = create(&params);
    assert_rate(&schedule, 0, 0.05);
    assert_rate(&schedule, 0.025, 0.05);
    params.per_samples = 0; /* the base rate is the peak itself */
    schedule = create(&params);
    assert_rate(&schedule, 0.3, 0.1);
}

static void test_cosine_and_constant(void **state)
{
    (void)state;
    struct schedule_params params = published;
    params.name = "cosine";
    params.epochs = 100;
    params.warmup_epochs = 20;
    struct schedule schedule = create(&params);
    assert_rate(&schedule, 0.1, 0.45);
    assert_rate(&schedule, 0.2, 0.8);
    assert_rate(&schedule, 0.4, 0.8 * 0.5 * (1 + sqrt(0.5))); /* an eighth of the period */
    assert_rate(&schedule, 0.6, 0.4);
    assert_rate(&schedule, 1, 0);
    params.warmup_epochs = 100;
    schedule = create(&params);
    assert_rate(&schedule, 1, 0.8);
    params.name = "constant";
    params.warmup_epochs = 20;
    schedule = create(&params);
    assert_rate(&schedule, 0.1, 0.45);
    assert_rate(&schedule, 0.6, 0.8);
    assert_rate(&schedule, 1, 0.8);
}

static void test_refusals(void **state)
{
    (void)state;
    struct schedule schedule = {.peak = -1};
    struct schedule_params params = published;
    params.name = "cosin";
    assert_int_equal(schedule_init(&schedule, &params), STATUS_USAGE);
    params.name = "exponential";
    assert_int_equal(schedule_init(&schedule, &params), STATUS_USAGE);
    params.name = "step";
    params.milestones[1] = 0.25;
    assert_int_equal(schedule_init(&schedule, &params), STATUS_USAGE);
    params.milestones[1] = 150;
    assert_int_equal(schedule_init(&schedule, &params), STATUS_USAGE);
    assert_true(schedule.peak == -1); /* outputs are set on success only */
    size_t count = 0;
    for (const char *const *name = schedule_names(); *name != NULL; name++, count++) {
        struct schedule_params named = published;
        named.name = *name;
        assert_int_equal(schedule_init(&schedule, &named), STATUS_OK);
    }
    assert_int_equal(count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step),
        cmocka_unit_test(test_warmup),
        cmocka_unit_test(test_cosine_and_constant),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
