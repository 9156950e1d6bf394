/* Every edge of every graph is met at its rate λ_ij, with exponential gaps: seeded statistical tests.
 *
 * Counts of Poisson events over a time T: Σ (count − λT)²/(λT) follows χ² with as many degrees of freedom as there are
 * counts. By Wilson and Hilferty (1931) (χ²/k)^⅓ is nearly normal with mean 1 − 2/(9k) and variance 2/(9k); four
 * deviations either way are accepted (too even is as wrong as too uneven). At T = 2000 an edge of rate ½ that is 10 %
 * too fast would add 10 to χ². */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "graph/edge_clock.h"

static const double duration = 2000; /* units of time */
static const double deviations_accepted = 4;

static struct graph *create(const char *name, int worker_count)
{
    struct graph_params params = {
        .name = name, .worker_count = worker_count, .rate = 1, .degree = 3, .probability = 0.4, .seed = 11};
    struct graph *graph = NULL;
    assert_int_equal(graph_create(&params, &graph), STATUS_OK);
    return graph;
}

static double chi_square_deviation(double chi_square, int freedom)
{
    double spread = 2.0 / (9.0 * freedom);
    return (cbrt(chi_square / freedom) - (1 - spread)) / sqrt(spread);
}

/* Ticks of each half edge: counts (2·edge_count), half 0 of edge e drawn by its worker a, half 1 by b. */
static void count_ticks(const struct graph *graph, uint64_t seed, int *counts)
{
    for (int worker = 0; worker < graph->worker_count; worker++) {
        const struct graph_neighbor *neighbors = graph_neighbors(graph, worker);
        struct edge_clock clock;
        int neighbor;
        edge_clock_init(&clock, graph, worker, seed);
        while (edge_clock_tick(&clock, duration, &neighbor)) {
            int edge = neighbors[neighbor].edge;
            counts[2 * edge + (graph->edges[edge].b == worker)]++;
        }
        edge_clock_release(&clock);
    }
}

static void assert_rates(const char *name, int worker_count)
{
    struct graph *graph = create(name, worker_count);
    int *counts = calloc(2 * (size_t)graph->edge_count, sizeof *counts);
    double of_edges = 0, of_halves = 0, of_workers = 0;
    double *wanted = calloc((size_t)worker_count, sizeof *wanted), *met = calloc((size_t)worker_count, sizeof *met);
    count_ticks(graph, 2024, counts);
    for (int e = 0; e < graph->edge_count; e++) {
        const struct graph_edge *edge = &graph->edges[e];
        double expected = edge->rate * duration, count = counts[2 * e] + counts[2 * e + 1];
        of_edges += pow(count - expected, 2) / expected;
        for (int half = 0; half < 2; half++) {
            int worker = half == 0 ? edge->a : edge->b;
            of_halves += pow(counts[2 * e + half] - expected / 2, 2) / (expected / 2);
            met[worker] += counts[2 * e + half];
            wanted[worker] += expected / 2;
        }
    }
    for (int i = 0; i < worker_count; i++)
        of_workers += pow(met[i] - wanted[i], 2) / wanted[i];
    double edges = chi_square_deviation(of_edges, graph->edge_count);
    double halves = chi_square_deviation(of_halves, 2 * graph->edge_count);
    double workers = chi_square_deviation(of_workers, worker_count);
    if (!(fabs(edges) < deviations_accepted && fabs(halves) < deviations_accepted &&
          fabs(workers) < deviations_accepted))
        fail_msg("%s of %d: χ² off by %.2f (edges), %.2f (half edges), %.2f (workers) deviations", name, worker_count,
                 edges, halves, workers);
    free(wanted);
    free(met);
    free(counts);
    graph_destroy(graph);
}

static void every_edge_is_met_at_its_rate(void **state)
{
    (void)state;
    for (const char *const *name = graph_family_names(); *name != NULL; name++) {
        assert_rates(*name, 2);
        assert_rates(*name, 8);
        assert_rates(*name, 16);
    }
}

static int compare_doubles(const void *left, const void *right)
{
    double x = *(const double *)left, y = *(const double *)right;
    return (x > y) - (x < y);
}

/* Kolmogorov's distance of sorted values to the exponential distribution of mean 1, times √count. */
static double exponential_distance(double *gaps, int count)
{
    double distance = 0;
    qsort(gaps, (size_t)count, sizeof *gaps, compare_doubles);
    for (int i = 0; i < count; i++) {
        double probability = 1 - exp(-gaps[i]);
        distance = fmax(distance, fmax(fabs(probability - (double)i / count), fabs(probability - (i + 1.0) / count)));
    }
    return distance * sqrt(count);
}

/* Ticks of worker's half edge to its neighbor `index`, in order: times (count). */
static void draw_times(const struct graph *graph, int worker, int index, uint64_t seed, double *times, int count)
{
    struct edge_clock clock;
    edge_clock_init(&clock, graph, worker, seed);
    for (int drawn = 0; drawn < count;) {
        int neighbor;
        double due = clock.next[index];
        assert_true(edge_clock_tick(&clock, INFINITY, &neighbor));
        if (neighbor == index)
            times[drawn++] = due;
    }
    edge_clock_release(&clock);
}

/* The level of 1.95 is exceeded by one in a thousand honest samples. */
enum { GAPS = 20000 };
static const double distance_accepted = 1.95;

static void gaps_of_a_half_edge_are_exponential(void **state)
{
    (void)state;
    static double times[GAPS];
    struct graph *graph = create("star", 6);
    draw_times(graph, 0, 2, 77, times, GAPS);
    double rate = graph->edges[graph_neighbors(graph, 0)[2].edge].rate / 2;
    for (int i = GAPS - 1; i >= 0; i--)
        times[i] = rate * (times[i] - (i > 0 ? times[i - 1] : 0));
    assert_true(exponential_distance(times, GAPS) < distance_accepted);
    graph_destroy(graph);
}

/* Both halves together tick as one Poisson process of rate λ: they are independent of one another. */
static void gaps_of_an_edge_are_exponential(void **state)
{
    (void)state;
    static double left[GAPS], right[GAPS], gaps[GAPS];
    struct graph *graph = create("ring", 2);
    draw_times(graph, 0, 0, 78, left, GAPS);
    draw_times(graph, 1, 0, 78, right, GAPS);
    double last = 0;
    for (int k = 0, i = 0, j = 0; k < GAPS; k++) {
        double now = left[i] < right[j] ? left[i++] : right[j++];
        gaps[k] = graph->edges[0].rate * (now - last);
        last = now;
    }
    assert_true(exponential_distance(gaps, GAPS) < distance_accepted);
    graph_destroy(graph);
}

/* The tests above can fail: gaps 5 % too long, and counts of an edge 10 % too fast, are seen. */
static void wrong_rates_are_seen(void **state)
{
    (void)state;
    static double times[GAPS];
    struct graph *graph = create("ring", 16);
    draw_times(graph, 3, 1, 79, times, GAPS);
    for (int i = GAPS - 1; i >= 0; i--)
        times[i] = 1.05 * 0.25 * (times[i] - (i > 0 ? times[i - 1] : 0));
    assert_true(exponential_distance(times, GAPS) > distance_accepted);

    int counts[32] = {0};
    double chi_square = 0, expected = 1.1 * 0.5 * duration;
    count_ticks(graph, 2024, counts);
    for (int e = 0; e < 16; e++)
        chi_square += pow(counts[2 * e] + counts[2 * e + 1] - expected, 2) / expected;
    assert_true(chi_square_deviation(chi_square, 16) > deviations_accepted);
    graph_destroy(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_edge_is_met_at_its_rate),
        cmocka_unit_test(gaps_of_a_half_edge_are_exponential),
        cmocka_unit_test(gaps_of_an_edge_are_exponential),
        cmocka_unit_test(wrong_rates_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
