/* What goes wrong in modelled time: pauses, deaths, lost meetings, and runs that cannot go on. */
#include "sim/sim_fixture.h"

#define MODELLED "simulate.time=modelled"
#define CONSTANT "simulate.distribution=constant"

/* Events of this kind of a worker (−1: of all) in [from, to). */
static size_t count_events(const struct sim_run *run, enum event_kind kind, int worker, double from, double to)
{
    size_t count = 0;
    for (size_t k = 0; k < run->event_count; k++) {
        const struct event_report *event = &run->events[k];
        count += event->kind == kind && (worker < 0 || event->worker == worker) && event->time_s >= from &&
                 event->time_s < to;
    }
    return count;
}

/* All events of a worker in [from, to). */
static size_t count_any(const struct sim_run *run, int worker, double from, double to)
{
    size_t count = 0;
    for (int kind = EVENT_BEGIN; kind <= EVENT_LOST; kind++)
        count += count_events(run, (enum event_kind)kind, worker, from, to);
    return count;
}

/* Ticks are meetings held, lost, or still due in the end. */
static void assert_ticks_accounted(const struct sim_run *run)
{
    const struct runtime_result *result = &run->result;
    assert_int_equal(result->ticks, result->exchanges + result->meetings_lost + result->ticks_unserved);
}

static void assert_same_course(const struct sim_run *one, const struct sim_run *other)
{
    assert_int_equal(one->event_count, other->event_count);
    for (size_t k = 0; k < one->event_count; k++) {
        const struct event_report *a = &one->events[k], *b = &other->events[k];
        assert_true(a->kind == b->kind && a->worker == b->worker && a->peer == b->peer && a->time_s == b->time_s &&
                    a->t == b->t);
    }
    assert_true(one->result.wall_s == other->result.wall_s && one->result.first_living == other->result.first_living);
}

/* Neither gradients nor meetings; the gradient under way goes on where it was; the others do not wait. */
static void test_pause(void **state)
{
    (void)state;
    struct sim_run *run = SIM_RUN(MODELLED, CONSTANT, "simulate.step_s=0.25", "inject.pause=1 2.125..4, 1 6..7",
                                  "train.epochs=2", "communication.patience_s=0.5");
    assert_int_equal(count_any(run, 1, 2.125, 4) + count_any(run, 1, 6, 7), 0);
    assert_int_equal(count_events(run, EVENT_UPDATE, 1, 0, 2.125), 8);
    assert_int_equal(count_events(run, EVENT_UPDATE, 1, 4.125, 4.126), 1); /* half of it was done at 2.125 */
    assert_int_equal(count_events(run, EVENT_UPDATE, 1, 4, 6), 8);         /* the one that ends at 6.125 waits */
    assert_int_equal(count_events(run, EVENT_UPDATE, 1, 7.125, 7.126), 1);
    for (int i = 0; i < 4; i++) {
        if (i != 1)
            assert_in_range(count_events(run, EVENT_UPDATE, i, 2, 7), 18, 20);
        assert_true(count_events(run, EVENT_APPLY, i, 4, 6) > 0);
    }
    assert_int_equal(run->result.gradients, 200);
    assert_ticks_accounted(run);
    sim_free(run);
}

/* Whoever asks a paused worker waits for his patience to run out, then leaves it alone until it is back: the meetings
 * that have become due are held from that moment on, one after the other. Of this seed none was open when it left. */
static void test_back_from_a_pause(void **state)
{
    (void)state;
    struct sim_run *run = SIM_RUN(MODELLED, CONSTANT, "train.workers=2", "inject.pause=1 1..3", "communication.rate=6",
                                  "communication.patience_s=0.5", "simulate.latency_s=0.001", "seed=2");
    assert_int_equal(count_events(run, EVENT_APPLY, 0, 1, 3), 0);
    for (int meeting = 0; meeting < 40; meeting++) { /* 4 ms each; 20 gradients of worker 0 were 60 ticks */
        size_t ends = 0;
        for (size_t k = 0; k < run->span_count; k++)
            ends += run->spans[k].kind == SPAN_PEER && fabs(run->spans[k].begin_s - 3 - 0.004 * meeting) < 1e-5;
        assert_int_equal(ends, 2);
    }
    assert_ticks_accounted(run);
    sim_free(run);
}

/* Two pauses that follow each other: each side has meetings due with the other when both are back, and waits. */
static void test_pauses_one_after_another(void **state)
{
    (void)state;
    for (int seed = 1; seed <= 20; seed++) {
        char text[32];
        snprintf(text, sizeof text, "seed=%d", seed);
        struct sim_run *run =
            SIM_RUN(MODELLED, "train.workers=2", "inject.pause=0 0.5..2, 1 2..4", "train.epochs=1.3", text);
        assert_int_equal(run->result.gradients, 130);
        assert_int_equal(count_any(run, 0, 0.5, 2) + count_any(run, 1, 2, 4), 0);
        assert_ticks_accounted(run);
        sim_free(run);
    }
}

/* All-reduce: everybody waits for the paused worker. */
static void test_pause_in_rounds(void **state)
{
    (void)state;
    struct sim_run *run = SIM_RUN(MODELLED, CONSTANT, "algorithm.name=allreduce", "inject.pause=2 0.95..2",
                                  "simulate.latency_s=0", "simulate.bytes_per_second=1e15");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(count_events(run, EVENT_UPDATE, i, 0, 0.95), 9);
        assert_int_equal(count_events(run, EVENT_UPDATE, i, 0.95, 2.049), 0);
        assert_int_equal(count_events(run, EVENT_UPDATE, i, 2.049, 2.051), 1);
    }
    sim_free(run);
}

/* A dead worker does nothing any more, the others finish all gradients, and the average is over those that live. */
static void test_death(void **state)
{
    (void)state;
    struct sim_run *run = SIM_RUN(MODELLED, CONSTANT, "inject.death=0 at 1.05", "train.epochs=2", "optimizer.lr=0.05",
                                  "communication.rate=2");
    assert_int_equal(count_any(run, 0, 1.05, INFINITY), 0);
    assert_int_equal(count_events(run, EVENT_UPDATE, 0, 0, INFINITY), 10);
    assert_int_equal(run->result.gradients, 200);
    assert_int_equal(run->result.gradients_per_worker[0], 10);
    assert_int_equal(run->result.first_living, 1);
    for (int i = 1; i < 4; i++)
        assert_in_range(run->result.gradients_per_worker[i], 62, 65);
    for (size_t k = 0; k < run->event_count; k++)
        assert_true(run->events[k].peer != 0 || run->events[k].time_s <= 1.05);
    /* 2 lies between 1 and 3, which both knew the dead worker: these meet as before. */
    assert_true(count_events(run, EVENT_APPLY, 2, 1.05, INFINITY) > 60);
    assert_true(run->result.consensus_distance > 0 && run->result.ticks_unserved > 0);
    const float *one = worker_parameters(run->group.workers[1]);
    for (int i = 2; i < 4; i++)
        assert_memory_equal(worker_parameters(run->group.workers[i]), one, (size_t)run->bytes);
    assert_memory_not_equal(worker_parameters(run->group.workers[0]), one, (size_t)run->bytes);
    sim_free(run);
}

/* In the middle of a meeting: the other end is free at once. Here a meeting takes 0.4 s, and so most of the time. */
static void test_death_in_a_meeting(void **state)
{
    (void)state;
    for (int tenth = 5; tenth < 25; tenth++) {
        char text[32];
        snprintf(text, sizeof text, "inject.death=1 at %.1f", tenth / 10.0);
        struct sim_run *run = SIM_RUN(MODELLED, "simulate.latency_s=0.1", "communication.patience_s=100", text);
        assert_int_equal(run->result.gradients, 100);
        assert_int_equal(count_any(run, 1, tenth / 10.0, INFINITY), 0);
        for (int i = 0; i < 4; i += 2)
            assert_true(count_events(run, EVENT_APPLY, i, tenth / 10.0, INFINITY) > 0);
        sim_free(run);
    }
}

/* Whoever dies after the last gradient has lived through the run. */
static void test_death_after_the_end(void **state)
{
    (void)state;
    struct sim_run *plain = SIM_RUN(MODELLED, "optimizer.lr=0.05");
    static const char *const deaths[] = {"inject.death=3 at 1e6", "inject.death=all at 1e6"};
    for (size_t k = 0; k < 2; k++) {
        struct sim_run *run = SIM_RUN(MODELLED, "optimizer.lr=0.05", deaths[k]);
        assert_same_course(run, plain);
        assert_true(run->result.consensus_distance == plain->result.consensus_distance);
        assert_memory_equal(worker_parameters(run->group.workers[0]), worker_parameters(plain->group.workers[0]),
                            (size_t)run->bytes);
        sim_free(run);
    }
    sim_free(plain);
    struct sim_run *rounds = SIM_RUN(MODELLED, "algorithm.name=allreduce", "inject.death=all at 1e6");
    assert_int_equal(rounds->result.gradients, 100);
    sim_free(rounds);
}

static void assert_refused_and_freed(struct sim_run *run, const char *words)
{
    assert_refused(run, words);
    sim_free(run);
}

static void test_nobody_can_go_on(void **state)
{
    (void)state;
    assert_refused_and_freed(SIM_TRY(MODELLED, "inject.death=all at 0.5"), "no worker can go on: all have died");
    assert_refused_and_freed(SIM_TRY(MODELLED, "inject.death=0-2 at 0.5, 3 at 1"), "no worker can go on");
    assert_refused_and_freed(SIM_TRY(MODELLED, "inject.pause=all 0.5.."), "no worker can go on");
    assert_refused_and_freed(SIM_TRY(MODELLED, "inject.pause=0-1 1..", "inject.death=2-3 at 1.5"),
                             "no worker can go on");
    assert_refused_and_freed(SIM_TRY(MODELLED, "algorithm.name=allreduce", "inject.death=1 at 0.5"),
                             "worker 1 has died at 0.5 s (inject.death), and an all-reduce needs every worker");
    assert_refused_and_freed(SIM_TRY(MODELLED, "algorithm.name=allreduce", "inject.pause=1 0.5.."),
                             "a worker pauses for ever (inject.pause), and an all-reduce waits for every worker");
}

/* One that pauses for ever does not hold up the others. */
static void test_endless_pause(void **state)
{
    (void)state;
    struct sim_run *run = SIM_RUN(MODELLED, "inject.pause=2 1..", "train.epochs=2", "communication.patience_s=0.1");
    assert_int_equal(count_any(run, 2, 1, INFINITY), 0);
    assert_int_equal(run->result.gradients, 200);
    for (int i = 0; i < 4; i++)
        assert_true(run->result.idle[i] < 0.5);
    assert_ticks_accounted(run);
    sim_free(run);
}

/* Each tick is lost with this probability, on this link; that is counted, logged at the worker whose tick it was, and
 * nothing is exchanged. Bounds: five standard deviations. */
static void test_loss(void **state)
{
    (void)state;
    struct sim_run *run = SIM_RUN(MODELLED, "inject.loss=0.25", "train.epochs=40");
    double ticks = (double)run->result.ticks;
    assert_near((double)run->result.meetings_lost, 0.25 * ticks, 5 * sqrt(0.25 * 0.75 * ticks));
    assert_int_equal(count_events(run, EVENT_LOST, -1, 0, INFINITY), run->result.meetings_lost);
    assert_int_equal(count_events(run, EVENT_APPLY, -1, 0, INFINITY), 2 * run->result.exchanges);
    assert_int_equal(count_events(run, EVENT_SNAPSHOT, -1, 0, INFINITY), 2 * run->result.exchanges);
    assert_int_equal(run->result.gradients, 4000);
    assert_ticks_accounted(run);
    sim_free(run);

    run = SIM_RUN(MODELLED, "inject.links=1-2 loss=0.9", "train.epochs=40");
    const uint64_t *met = run->result.meetings;
    for (size_t k = 0; k < run->event_count; k++) {
        const struct event_report *event = &run->events[k];
        if (event->kind == EVENT_LOST)
            assert_true((event->worker == 1 && event->peer == 2) || (event->worker == 2 && event->peer == 1));
    }
    double expected = 0.1 * 0.5 * 1000; /* λ = ½, 1000 gradients each */
    assert_near((double)met[1 * 4 + 2], expected, 5 * sqrt(expected));
    assert_near((double)met[0 * 4 + 1], 500, 5 * sqrt(500));
    assert_ticks_accounted(run);
    sim_free(run);
}

/* Everything at once, many seeds: what is counted fits together, nobody does anything when he cannot. */
static void test_all_at_once(void **state)
{
    (void)state;
    for (int seed = 1; seed <= 10; seed++) {
        char text[32];
        snprintf(text, sizeof text, "seed=%d", seed);
        struct sim_run *run = SIM_RUN(MODELLED, text, "train.workers=8", "graph.name=exponential", "train.epochs=4",
                                      "inject.slow=0 x4, 1-2 x1.5 1..3", "inject.pause=3 1..2, 4 1.5..3, 3 2.5..3",
                                      "inject.death=5 at 2.5", "inject.links=0-1 latency_s=0.3, all loss=0.05",
                                      "communication.patience_s=0.05", "simulate.latency_s=0.01", "optimizer.lr=0.01");
        assert_int_equal(run->result.gradients, 400);
        assert_int_equal(count_any(run, 3, 1, 2) + count_any(run, 3, 2.5, 3) + count_any(run, 4, 1.5, 3), 0);
        assert_int_equal(count_any(run, 5, 2.5, INFINITY), 0);
        double now = 0;
        for (size_t k = 0; k < run->event_count; k++) {
            assert_true(run->events[k].time_s >= now);
            now = run->events[k].time_s;
        }
        assert_true((size_t)run->vectors_most <= run->snapshots_bound);
        assert_true(isfinite(run->result.consensus_distance) && run->result.meetings_lost > 0);
        sim_free(run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_back_from_a_pause),
        cmocka_unit_test(test_pauses_one_after_another),
        cmocka_unit_test(test_pause_in_rounds),
        cmocka_unit_test(test_death),
        cmocka_unit_test(test_death_in_a_meeting),
        cmocka_unit_test(test_death_after_the_end),
        cmocka_unit_test(test_nobody_can_go_on),
        cmocka_unit_test(test_endless_pause),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
