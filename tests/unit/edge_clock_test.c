/* graph/edge_clock.h: order, determinism and golden ticks. Whether the rates are right is tests/laws/edge_rates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "graph/edge_clock.h"

static struct graph *create(const char *name, int worker_count, double rate)
{
    struct graph_params params = {.name = name, .worker_count = worker_count, .rate = rate, .seed = 1};
    struct graph *graph = NULL;
    assert_int_equal(graph_create(&params, &graph), STATUS_OK);
    return graph;
}

static void rates_are_half_the_edges(void **state)
{
    (void)state;
    struct graph *graph = create("star", 5, 1);
    struct edge_clock clock;
    edge_clock_init(&clock, graph, 0, 9);
    assert_int_equal(clock.degree, 4);
    for (int i = 0; i < 4; i++)
        assert_true(clock.rates[i] == 0.3125); /* ½ · ½(1 + 1/4) */
    edge_clock_release(&clock);
    graph_destroy(graph);
}

/* Drawn once; the draws of a seed are part of every recorded run. The bound is the difference of two log(). */
static void first_ticks_are_golden(void **state)
{
    (void)state;
    static const struct {
        int neighbor;
        double time;
    } golden[] = {
        {0, 0.19156119899936394}, {1, 0.99904869435023291}, {1, 2.5853769791994061},
        {1, 3.2477213264379401},  {1, 3.6382079278684616},  {0, 4.1526637364415482},
    };
    struct graph *graph = create("ring", 8, 1);
    struct edge_clock clock;
    edge_clock_init(&clock, graph, 3, 42);
    for (size_t k = 0; k < sizeof golden / sizeof golden[0]; k++) {
        int neighbor = -1;
        double time = fmin(clock.next[0], clock.next[1]);
        assert_true(edge_clock_tick(&clock, INFINITY, &neighbor));
        assert_int_equal(neighbor, golden[k].neighbor);
        if (!(fabs(time - golden[k].time) <= 1e-12 * golden[k].time))
            fail_msg("tick %zu: %.17g", k, time);
    }
    edge_clock_release(&clock);
    graph_destroy(graph);
}

/* Asked in small steps or in one, a clock gives the same ticks, in order and never early. */
static void ticks_do_not_depend_on_when_they_are_asked_for(void **state)
{
    (void)state;
    struct graph *graph = create("complete", 6, 2);
    struct edge_clock often, once;
    edge_clock_init(&often, graph, 2, 5);
    edge_clock_init(&once, graph, 2, 5);
    int ticks = 0;
    for (int step = 1; step <= 4000; step++) {
        int neighbor = -1, same = -1;
        double due = often.next[0], t = step / 32.0;
        for (int i = 1; i < often.degree; i++)
            due = fmin(due, often.next[i]);
        if (due > t)
            assert_false(edge_clock_tick(&often, t, &neighbor));
        else
            assert_true(edge_clock_tick(&often, t, &neighbor));
        if (neighbor < 0)
            continue;
        step--; /* the same time again, until none is due */
        ticks++;
        assert_true(edge_clock_tick(&once, INFINITY, &same));
        assert_int_equal(neighbor, same);
        assert_true(often.next[neighbor] == once.next[neighbor]);
        assert_true(often.next[neighbor] > due);
    }
    assert_in_range(ticks, 80, 170); /* 125 units at rate 1 (half of 2) */
    edge_clock_release(&often);
    edge_clock_release(&once);
    graph_destroy(graph);
}

static void a_tick_at_exactly_t_is_due(void **state)
{
    (void)state;
    struct graph *graph = create("line", 2, 1);
    struct edge_clock clock;
    int neighbor = -1;
    edge_clock_init(&clock, graph, 1, 0);
    double due = clock.next[0];
    assert_false(edge_clock_tick(&clock, nextafter(due, 0), &neighbor));
    assert_true(clock.next[0] == due);
    assert_true(edge_clock_tick(&clock, due, &neighbor));
    assert_int_equal(neighbor, 0);
    edge_clock_release(&clock);
    graph_destroy(graph);
}

/* The two halves of an edge, and the halves under two seeds, are different streams. */
static void halves_are_streams_of_their_own(void **state)
{
    (void)state;
    struct graph *graph = create("line", 2, 1);
    struct edge_clock left, right, reseeded;
    edge_clock_init(&left, graph, 0, 1);
    edge_clock_init(&right, graph, 1, 1);
    edge_clock_init(&reseeded, graph, 0, 2);
    assert_true(left.next[0] != right.next[0]);
    assert_true(left.next[0] != reseeded.next[0]);
    edge_clock_release(&left);
    edge_clock_release(&right);
    edge_clock_release(&reseeded);
    graph_destroy(graph);
}

static void silence_never_ticks(void **state)
{
    (void)state;
    struct edge_clock clock;
    int neighbor;
    struct graph *alone = create("ring", 1, 1), *silent = create("ring", 4, 0);
    edge_clock_init(&clock, alone, 0, 1);
    assert_false(edge_clock_tick(&clock, 1e300, &neighbor));
    edge_clock_release(&clock);
    edge_clock_init(&clock, silent, 0, 1);
    assert_false(edge_clock_tick(&clock, 1e300, &neighbor));
    edge_clock_release(&clock);
    graph_destroy(alone);
    graph_destroy(silent);
}

/* Best rates may leave an edge out: it never ticks, on either side, and the others tick as if it were not there. */
static void an_edge_of_rate_0_never_ticks(void **state)
{
    (void)state;
    struct graph *whole = create("complete", 4, 1), *graph = create("complete", 4, 1);
    graph->edges[1].rate = 0; /* 0-2 */
    for (int worker = 0; worker <= 2; worker += 2) {
        struct edge_clock clock, other;
        int neighbor, silent = worker == 0 ? 1 : 0, ticks = 0;
        edge_clock_init(&clock, graph, worker, 3);
        edge_clock_init(&other, whole, worker, 3);
        assert_true(isinf(clock.next[silent]));
        while (edge_clock_tick(&other, 200, &neighbor)) {
            int same = -1;
            if (neighbor == silent)
                continue;
            ticks++;
            assert_true(edge_clock_tick(&clock, 200, &same));
            assert_int_equal(same, neighbor);
        }
        assert_false(edge_clock_tick(&clock, 200, &neighbor));
        assert_in_range(ticks, 30, 110); /* 200 units of two halves of 1/6 */
        edge_clock_release(&clock);
        edge_clock_release(&other);
    }
    graph_destroy(whole);
    graph_destroy(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_half_the_edges),
        cmocka_unit_test(first_ticks_are_golden),
        cmocka_unit_test(ticks_do_not_depend_on_when_they_are_asked_for),
        cmocka_unit_test(a_tick_at_exactly_t_is_due),
        cmocka_unit_test(halves_are_streams_of_their_own),
        cmocka_unit_test(silence_never_ticks),
        cmocka_unit_test(an_edge_of_rate_0_never_ticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
