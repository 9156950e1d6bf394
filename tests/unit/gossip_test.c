/* runtime/gossip.h and the meetings beneath it: edges are drawn by their rates, times are Poisson, and what cannot be
 * measured is said so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/gossip.h"
#include "runtime/sim/gossip_meetings.h"

static struct graph *create(const char *name, int worker_count, double rate)
{
    struct graph_params params = {.name = name, .worker_count = worker_count, .rate = rate};
    struct graph *graph = NULL;
    assert_int_equal(graph_create(&params, &graph), STATUS_OK);
    return graph;
}

/* A graph whose rates stand in an edge list. */
static struct graph *create_from(const char *edges)
{
    char path[] = "/tmp/gossip_test_XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    FILE *file = fdopen(descriptor, "w");
    assert_non_null(file);
    fputs(edges, file);
    fclose(file);
    struct graph_params params = {.name = "file", .file = path, .rate = 1};
    struct graph *graph = NULL;
    assert_int_equal(graph_create(&params, &graph), STATUS_OK);
    unlink(path);
    return graph;
}

static const char uneven[] = "0 1 3\n1 2 0.25\n2 3 1\n3 0 0.125\n0 2 7.5\n1 3 0.001\n";

/* What the columns give to each edge, added up, is its share of all rates. */
static void alias_table_holds_the_rates(void **state)
{
    (void)state;
    struct graph *graphs[] = {create_from(uneven), create("star", 50, 1), create("barbell", 12, 2),
                              create("line", 30, 0.7)};
    for (size_t k = 0; k < sizeof graphs / sizeof graphs[0]; k++) {
        struct graph *graph = graphs[k];
        struct meeting_source source;
        double *share = calloc((size_t)graph->edge_count, sizeof *share), total = 0;
        meeting_source_init(&source, graph, 1, 0);
        for (int e = 0; e < graph->edge_count; e++)
            total += graph->edges[e].rate;
        assert_true(fabs(source.total_rate - total) <= 1e-12 * total);
        for (int e = 0; e < graph->edge_count && source.columns != NULL; e++) {
            assert_true(source.columns[e].keep >= 0 && source.columns[e].keep <= 1 + 1e-12);
            share[e] += source.columns[e].keep / graph->edge_count;
            share[source.columns[e].alias] += (1 - source.columns[e].keep) / graph->edge_count;
        }
        assert_true((source.columns == NULL) == (k == 1)); /* a star's edges are alike */
        for (int e = 0; e < graph->edge_count && source.columns != NULL; e++)
            assert_true(fabs(share[e] - graph->edges[e].rate / total) <= 1e-13);
        meeting_source_release(&source);
        free(share);
        graph_destroy(graph);
    }
}

/* An edge of rate 0 beside others never meets. */
static void silent_edges_never_meet(void **state)
{
    (void)state;
    struct graph *graph = create("complete", 8, 1);
    for (int e = 0; e < graph->edge_count; e += 3)
        graph->edges[e].rate = 0;
    struct meeting_source source;
    meeting_source_init(&source, graph, 1, 0);
    for (int batch = 0; batch < 100; batch++) {
        meeting_source_draw(&source);
        for (int k = 0; k < MEETING_BATCH; k++)
            assert_true(source.edges[k] % 3 != 0);
    }
    meeting_source_release(&source);
    graph_destroy(graph);
}

/* Counts over a time T are Poisson of mean λT: Σ (count − λT)²/(λT) is χ² with one degree an edge; by Wilson and
 * Hilferty its cube root is nearly normal, and four deviations are accepted. Gaps: mean 1/Σλ, and variance its square.
 */
static void assert_poisson(struct graph *graph, double time)
{
    struct meeting_source source;
    double *counts = calloc((size_t)graph->edge_count, sizeof *counts), chi_square = 0, latest = 0, squares = 0;
    size_t count = 0, freedom = 0;
    meeting_source_init(&source, graph, 5, 2);
    for (bool over = false; !over;) {
        meeting_source_draw(&source);
        for (int k = 0; k < MEETING_BATCH; k++) {
            const struct meeting *meeting = &source.meetings[k];
            const struct graph_edge *edge = &graph->edges[source.edges[k]];
            assert_true(meeting->time >= latest && meeting->a == edge->a && meeting->b == edge->b);
            over = over || meeting->time > time;
            if (over)
                break;
            squares += pow((meeting->time - latest) * source.total_rate, 2);
            latest = meeting->time;
            counts[source.edges[k]]++;
            count++;
        }
    }
    for (int e = 0; e < graph->edge_count; e++) {
        double wanted = graph->edges[e].rate * time;
        if (wanted < 20)
            continue;
        chi_square += (counts[e] - wanted) * (counts[e] - wanted) / wanted;
        freedom++;
    }
    double spread = 2.0 / (9.0 * (double)freedom);
    assert_true(fabs((cbrt(chi_square / (double)freedom) - (1 - spread)) / sqrt(spread)) < 4);
    assert_true(fabs(squares / (double)count - 2) < 4 * sqrt(20.0 / (double)count)); /* E g² = 2, Var g² = 20 */
    meeting_source_release(&source);
    free(counts);
    graph_destroy(graph);
}

static void meetings_are_poisson(void **state)
{
    (void)state;
    assert_poisson(create_from(uneven), 20000);
    assert_poisson(create("torus", 36, 1), 4000);
    assert_poisson(create("tree", 40, 1.5), 4000);
}

static struct gossip_decay measure(const struct graph *graph, double time, int repetitions)
{
    struct gossip_decay_params params = {
        .gossip = {.momentum = true, .eta = 0.3, .alpha = 0.5, .alpha_tilde = 0.6, .dimension = 3, .seed = 1},
        .time = time,
        .repetitions = repetitions};
    struct gossip_decay decay;
    assert_int_equal(gossip_measure_decay(graph, &params, &decay), STATUS_OK);
    return decay;
}

static void what_does_not_decay_is_said_so(void **state)
{
    (void)state;
    struct graph *one = create("ring", 1, 1), *silent = create("ring", 5, 0), *five = create("ring", 5, 1);
    assert_true(isnan(measure(one, 10, 4).rate));
    assert_true(measure(one, 10, 4).meetings == 0);
    assert_true(measure(silent, 10, 4).rate == 0 && measure(silent, 10, 4).spread == 0);
    assert_true(isfinite(measure(five, 10, 1).rate) && isnan(measure(five, 10, 1).spread));
    graph_destroy(one);
    graph_destroy(silent);
    graph_destroy(five);
}

/* Two workers agree exactly after one meeting: no exponential, whatever the samples. */
static void exact_consensus_has_no_rate(void **state)
{
    (void)state;
    struct graph *two = create("ring", 2, 1);
    struct gossip_decay_params params = {
        .gossip = {.alpha = 0.5, .dimension = 3, .seed = 1}, .time = 30, .repetitions = 4};
    struct gossip_decay decay;
    assert_int_equal(gossip_measure_decay(two, &params, &decay), STATUS_OK);
    assert_true(isnan(decay.rate) && isnan(decay.spread));
    graph_destroy(two);
}

/* A time far longer than float64 resolves: the fit ends early, and the rate is that of a time that is just resolved. */
static void unresolved_samples_are_left_out(void **state)
{
    (void)state;
    struct graph *graph = create("complete", 16, 1);
    struct gossip_decay whole = measure(graph, 60, 20), part = measure(graph, 400, 20);
    assert_true(whole.fit_from == 20 && whole.fit_to == 60);
    assert_true(part.fit_to > 60 && part.fit_to < 200 && fabs(part.fit_from - part.fit_to / 3) < 2);
    assert_true(fabs(part.rate - whole.rate) < 4 * sqrt((pow(whole.spread, 2) + pow(part.spread, 2)) / 20));
    struct gossip_decay none = measure(graph, 1e5, 4);
    assert_true(isnan(none.rate)); /* one sample in 400 units of time */
    graph_destroy(graph);
}

static void too_many_numbers_are_refused(void **state)
{
    (void)state;
    struct graph *graph = create("line", 300000, 1);
    struct gossip_decay_params params = {
        .gossip = {.alpha = 0.5, .dimension = GOSSIP_DIMENSION_MAX, .seed = 1}, .time = 1, .repetitions = 1};
    struct gossip_decay decay;
    assert_int_equal(gossip_measure_decay(graph, &params, &decay), STATUS_USAGE);
    graph_destroy(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alias_table_holds_the_rates),  cmocka_unit_test(silent_edges_never_meet),
        cmocka_unit_test(meetings_are_poisson),         cmocka_unit_test(what_does_not_decay_is_said_so),
        cmocka_unit_test(exact_consensus_has_no_rate),  cmocka_unit_test(unresolved_samples_are_left_out),
        cmocka_unit_test(too_many_numbers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
