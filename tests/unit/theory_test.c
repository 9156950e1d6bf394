/* What the mathematics promises of a run: realised χ, the levels, and warnings that come once, with the right words. */
#include "runtime/theory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture.h"

enum { EDGES_MAX = 64, WORKERS_MAX = 64 };

struct case_of {
    struct graph *graph;   /* owned */
    struct theory *theory; /* owned */
    struct spectrum promised;
    uint64_t meetings[EDGES_MAX];
    double own_time[WORKERS_MAX];
};

static struct case_of begin(const char *family, int workers, double rate)
{
    struct case_of c = {0};
    struct graph_params params = {.name = family, .worker_count = workers, .rate = rate};
    assert_int_equal(graph_create(&params, &c.graph), STATUS_OK);
    assert_int_equal(spectrum_compute(c.graph, &c.promised), STATUS_OK);
    struct acid_constants constants = acid_constants_from(&c.promised);
    struct mixing_params mixing = {
        .eta = constants.eta, .alpha = constants.alpha, .alpha_tilde = constants.alpha_tilde, .momentum = 0.9};
    c.theory = theory_create(c.graph, &mixing);
    return c;
}

static void end(struct case_of *c)
{
    theory_destroy(c->theory);
    graph_destroy(c->graph);
}

/* All workers have lived `time` units, all edges have met as promised. */
static void live(struct case_of *c, double time)
{
    for (int i = 0; i < c->graph->worker_count; i++)
        c->own_time[i] = time;
    for (int e = 0; e < c->graph->edge_count; e++)
        c->meetings[e] = (uint64_t)(c->graph->edges[e].rate * time);
}

static void assert_near(double value, double wanted)
{
    assert_true(fabs(value - wanted) <= 1e-11 * wanted);
}

/* A line's rates are ¾ at its ends and ½ inside: with times that differ by eights every count is whole. */
static void realised_rates_give_the_graphs_spectrum(void **state)
{
    (void)state;
    struct case_of c = begin("line", 12, 1);
    for (int i = 0; i < 12; i++)
        c.own_time[i] = 400 + 8 * i;
    for (int e = 0; e < c.graph->edge_count; e++)
        c.meetings[e] = (uint64_t)(c.graph->edges[e].rate * (c.own_time[e] + c.own_time[e + 1]) / 2);
    struct spectrum realised = theory_realised(c.theory, c.meetings, c.own_time);
    assert_near(realised.chi1, c.promised.chi1);
    assert_near(realised.chi2, c.promised.chi2);
    for (int e = 0; e < c.graph->edge_count; e++)
        c.meetings[e] *= 2;
    realised = theory_realised(c.theory, c.meetings, c.own_time);
    assert_near(realised.chi1, c.promised.chi1 / 2);
    assert_near(realised.chi2, c.promised.chi2 / 2);
    end(&c);
}

static void without_meetings_or_time(void **state)
{
    (void)state;
    struct case_of c = begin("line", 4, 1);
    live(&c, 100);
    c.meetings[1] = 0;
    assert_true(isinf(theory_realised(c.theory, c.meetings, c.own_time).chi1));
    c.own_time[0] = c.own_time[1] = 0;
    assert_true(isnan(theory_realised(c.theory, c.meetings, c.own_time).chi1));
    end(&c);
    c = begin("ring", 8, 0);
    assert_true(isinf(theory_consensus(c.theory, 1)));
    assert_true(theory_consensus_of_pairs(c.theory, 3) == 3);
    end(&c);
}

/* On the complete graph all pairs are neighbors: (1/n) Σ‖x_i − x̄‖² is (n−1)/n times their mean ½‖x_i − x_j‖². */
static void pairs_tell_the_consensus_distance(void **state)
{
    (void)state;
    struct case_of c = begin("complete", 8, 1);
    assert_near(theory_consensus_of_pairs(c.theory, 16), 14);
    assert_near(theory_consensus(c.theory, 6), 2 * theory_consensus(c.theory, 3));
    end(&c);
    c = begin("ring", 32, 1);
    assert_true(theory_consensus_of_pairs(c.theory, 1) > 2);
    end(&c);
}

/* Whether the call warns, and that it says so if and only if it does; the text is kept. */
static bool watch_edges(struct case_of *c, int worker, struct capture *capture)
{
    capture_begin(capture);
    bool warned = theory_watch_edges(c->theory, worker, c->meetings, c->own_time);
    assert_true(warned == (capture_end(capture)[0] != '\0'));
    return warned;
}

static void slow_edges_are_named_once(void **state)
{
    (void)state;
    static struct capture capture;
    struct case_of c = begin("ring", 8, 1);
    live(&c, 1000);
    assert_false(watch_edges(&c, -1, &capture));
    c.meetings[2] = 60;  /* of 500: edge 1-2 */
    c.meetings[0] = 100; /* 0-1 */
    c.meetings[4] = 240; /* 3-4 */
    c.meetings[7] = 245; /* 6-7 */
    c.meetings[5] = 250; /* half is enough */
    assert_true(watch_edges(&c, -1, &capture));
    assert_non_null(strstr(capture.text, "warning: "));
    assert_non_null(strstr(capture.text, ": 1-2 at 12 %, 0-1 at 20 %, 3-4 at 48 % and 1 more; "));
    assert_false(watch_edges(&c, -1, &capture));
    end(&c);
}

static void a_worker_looks_at_its_own_edges(void **state)
{
    (void)state;
    static struct capture capture;
    struct case_of c = begin("ring", 8, 1);
    live(&c, 1000);
    c.meetings[0] = 0; /* 0-1 */
    assert_false(watch_edges(&c, 5, &capture));
    assert_true(watch_edges(&c, 1, &capture));
    assert_non_null(strstr(capture.text, ": 0-1 at 0 %; "));
    end(&c);
}

/* 16 promised and none met is four standard deviations: chance is ruled out only beyond. */
static void a_few_missing_meetings_are_chance(void **state)
{
    (void)state;
    static struct capture capture;
    struct case_of c = begin("ring", 8, 1);
    live(&c, 32);
    c.meetings[0] = 0;
    assert_false(watch_edges(&c, -1, &capture));
    live(&c, 33);
    c.meetings[0] = 0;
    assert_true(watch_edges(&c, -1, &capture));
    end(&c);
}

/* `factor` times the level of updates of square `square`. */
static bool watch_consensus(struct case_of *c, double t, double factor, double square, struct capture *capture)
{
    double distance = factor * theory_consensus(c->theory, square);
    capture_begin(capture);
    bool warned = theory_watch_consensus(c->theory, t, distance, square);
    assert_true(warned == (capture_end(capture)[0] != '\0'));
    return warned;
}

static void a_large_distance_is_told_once_it_lasts(void **state)
{
    (void)state;
    static struct capture capture;
    struct case_of c = begin("ring", 8, 1);
    double t = 0;
    for (int k = 0; k < 4; k++)
        assert_false(watch_consensus(&c, t += 50, 10, 1, &capture));
    assert_false(watch_consensus(&c, t += 50, 3.9, 1, &capture));
    assert_false(watch_consensus(&c, t += 50, (double)NAN, 1, &capture)); /* says nothing, and interrupts nothing */
    for (int k = 0; k < 4; k++)
        assert_false(watch_consensus(&c, t += 50, 10, 1, &capture));
    assert_true(watch_consensus(&c, t += 50, 10, 1, &capture));
    assert_non_null(strstr(capture.text, "warning: workers are farther apart than their updates explain"));
    assert_non_null(strstr(capture.text, ", 10 times the "));
    for (int k = 0; k < 10; k++)
        assert_false(watch_consensus(&c, t += 50, 10, 1, &capture));
    end(&c);
}

/* The learning rate steps down by ten, the level by a hundred; what was built up before leaves as fast as it mixes. */
static void a_smaller_learning_rate_is_no_alarm(void **state)
{
    (void)state;
    static struct capture capture;
    struct case_of c = begin("ring", 64, 1);
    double t = 1000;
    assert_false(watch_consensus(&c, t, 1, 1, &capture));
    double distance = theory_consensus(c.theory, 1);
    for (int k = 0; k < 10; k++) {
        t += 10;
        distance *= exp(-10 * 0.0585); /* the measured decay of this ring */
        assert_false(theory_watch_consensus(c.theory, t, distance, 0.01));
    }
    end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(realised_rates_give_the_graphs_spectrum),
        cmocka_unit_test(without_meetings_or_time),
        cmocka_unit_test(pairs_tell_the_consensus_distance),
        cmocka_unit_test(slow_edges_are_named_once),
        cmocka_unit_test(a_worker_looks_at_its_own_edges),
        cmocka_unit_test(a_few_missing_meetings_are_chance),
        cmocka_unit_test(a_large_distance_is_told_once_it_lasts),
        cmocka_unit_test(a_smaller_learning_rate_is_no_alarm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
