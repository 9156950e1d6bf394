/* runtime/mpi/worker_clock.h: gradients completed and the share of the present one; real time is an argument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/thread.h"
#include "runtime/mpi/worker_clock.h"

static void step(struct worker_clock *clock, double begin_s, double end_s)
{
    worker_clock_begin(clock, begin_s);
    worker_clock_end(clock, end_s);
}

static void before_the_first_end_there_is_no_share(void **state)
{
    (void)state;
    struct worker_clock clock;
    worker_clock_init(&clock);
    assert_true(worker_clock_time(&clock, 100) == 0);
    assert_true(worker_clock_average(&clock) == 0);
    worker_clock_begin(&clock, 100);
    assert_true(worker_clock_time(&clock, 107) == 0);
    assert_int_equal(worker_clock_steps(&clock), 0);
    worker_clock_end(&clock, 108);
    assert_true(worker_clock_time(&clock, 108) == 1);
    assert_true(worker_clock_average(&clock) == 8);
    assert_int_equal(worker_clock_steps(&clock), 1);
    worker_clock_release(&clock);
}

static void time_is_steps_and_the_share_that_has_passed(void **state)
{
    (void)state;
    struct worker_clock clock;
    worker_clock_init(&clock);
    step(&clock, 0, 8);
    worker_clock_begin(&clock, 16);
    for (int eighths = 0; eighths <= 8; eighths++)
        assert_true(worker_clock_time(&clock, 16 + eighths) == 1 + eighths / 8.0);
    worker_clock_end(&clock, 24);
    assert_true(worker_clock_time(&clock, 24) == 2);
    worker_clock_release(&clock);
}

static void the_share_never_leaves_the_unit_interval(void **state)
{
    (void)state;
    struct worker_clock clock;
    worker_clock_init(&clock);
    step(&clock, 0, 8);
    worker_clock_begin(&clock, 10);
    assert_true(worker_clock_time(&clock, 18) == 2);
    assert_true(worker_clock_time(&clock, 1e12) == 2); /* suspended: no burst of ticks */
    assert_true(worker_clock_time(&clock, 9) == 1);    /* read with a time from just before the gradient began */
    worker_clock_end(&clock, 1e6);
    assert_true(worker_clock_time(&clock, 1e6) == 2); /* a slow gradient is one gradient */
    worker_clock_release(&clock);
}

static void time_stands_still_outside_a_gradient(void **state)
{
    (void)state;
    struct worker_clock clock;
    worker_clock_init(&clock);
    for (int k = 1; k <= 5; k++) {
        step(&clock, 100 * k, 100 * k + 1);
        for (int wait = 0; wait < 99; wait += 7) {
            assert_true(worker_clock_time(&clock, 100 * k + 1 + wait) == k);
            assert_true(worker_clock_average(&clock) == 1); /* waits are no part of a gradient */
        }
    }
    worker_clock_begin(&clock, 1000);
    assert_true(worker_clock_time(&clock, 1000) == 5);
    worker_clock_release(&clock);
}

static void the_average_halves_the_past(void **state)
{
    (void)state;
    static const double durations_s[] = {8, 4, 2, 16, 0.5};
    static const double averages_s[] = {8, 6, 4, 10, 5.25};
    struct worker_clock clock;
    worker_clock_init(&clock);
    for (size_t k = 0; k < sizeof durations_s / sizeof durations_s[0]; k++) {
        step(&clock, 64 * (double)k, 64 * (double)k + durations_s[k]);
        assert_true(worker_clock_average(&clock) == averages_s[k]);
        assert_int_equal(worker_clock_steps(&clock), k + 1);
    }
    worker_clock_release(&clock);
}

/* Gradients of any length and waits of any length, none included: whoever reads at rising times reads rising times. */
static void time_never_goes_back(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct random_stream stream = random_stream(seed, RANDOM_TEST, 5, 0);
        struct worker_clock clock;
        worker_clock_init(&clock);
        double now_s = 0, last = 0;
        bool running = false;
        for (int k = 0; k < 2000; k++) {
            static const double scales_s[] = {0, 1e-9, 1e-3, 1, 1e6};
            double late_s = now_s; /* a reader's time may be older than the event that it reads after */
            now_s += scales_s[random_below(&stream, 5)] * random_exponential(&stream);
            if (random_below(&stream, 3) == 0) {
                (running ? worker_clock_end : worker_clock_begin)(&clock, now_s);
                running = !running;
            }
            double time = worker_clock_time(&clock, random_below(&stream, 4) == 0 && !running ? late_s : now_s);
            assert_true(time >= last);
            assert_true(time >= (double)clock.steps && time <= (double)clock.steps + 1);
            last = time;
        }
        worker_clock_release(&clock);
    }
}

/* --- one thread writes, two read --- */

enum { GRADIENTS = 20000 };

struct readings {
    struct worker_clock *clock;
    const _Atomic double *now_s;
    uint64_t steps_read; /* the last */
    bool in_order, in_range;
};

static void *read_on(void *context)
{
    struct readings *readings = context;
    double last = 0;
    while (readings->steps_read < GRADIENTS) {
        uint64_t before = worker_clock_steps(readings->clock);
        double time = worker_clock_time(readings->clock, atomic_load(readings->now_s));
        uint64_t after = worker_clock_steps(readings->clock);
        readings->in_order &= time >= last && before >= readings->steps_read;
        readings->in_range &= time >= (double)before && time <= (double)after + 1;
        readings->steps_read = after;
        last = time;
    }
    return NULL;
}

static void two_threads_read_while_one_writes(void **state)
{
    (void)state;
    struct worker_clock clock;
    _Atomic double now_s = 0;
    worker_clock_init(&clock);
    struct readings readings[2] = {{&clock, &now_s, 0, true, true}, {&clock, &now_s, 0, true, true}};
    struct thread threads[2] = {0};
    for (int k = 0; k < 2; k++)
        assert_int_equal(thread_start(&threads[k], "reader", read_on, &readings[k]), STATUS_OK);
    for (int k = 0; k < GRADIENTS; k++) {
        worker_clock_begin(&clock, 4.0 * k);
        for (int passed = 1; passed < 4; passed++)
            atomic_store(&now_s, 4.0 * k + passed);
        worker_clock_end(&clock, 4.0 * k + 3);
        atomic_store(&now_s, 4.0 * (k + 1));
    }
    for (int k = 0; k < 2; k++) {
        thread_join(&threads[k]);
        assert_true(readings[k].in_order);
        assert_true(readings[k].in_range);
        assert_int_equal(readings[k].steps_read, GRADIENTS);
    }
    assert_true(worker_clock_average(&clock) == 3);
    worker_clock_release(&clock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_the_first_end_there_is_no_share),
        cmocka_unit_test(time_is_steps_and_the_share_that_has_passed),
        cmocka_unit_test(the_share_never_leaves_the_unit_interval),
        cmocka_unit_test(time_stands_still_outside_a_gradient),
        cmocka_unit_test(the_average_halves_the_past),
        cmocka_unit_test(time_never_goes_back),
        cmocka_unit_test(two_threads_read_while_one_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
