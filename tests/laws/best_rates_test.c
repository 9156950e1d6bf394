/* graph/best_rates.h: what is proved of best rates. Uniform ones stay where edges are alike; nothing is ever worse, and
 * no change within the budget is an improvement; the barbell gains the orders of the thesis's table 5.2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "capture.h"
#include "graph/best_rates.h"
#include "graph/rate_program.h"

/* The solver is asked for 1e-9 of the objective; where it stops a little earlier, its own bound says so. */
static const double solved = 1e-6;

static struct graph *create(const char *name, int worker_count, uint64_t seed)
{
    struct graph_params params = {
        .name = name, .worker_count = worker_count, .rate = 1, .degree = 3, .probability = 0.4, .seed = seed};
    struct graph *graph = NULL;
    assert_int_equal(graph_create(&params, &graph), STATUS_OK);
    return graph;
}

static double root(const struct spectrum *spectrum)
{
    return sqrt(spectrum->chi1 * spectrum->chi2);
}

static double total_of(const struct graph *graph)
{
    double total = 0;
    for (int e = 0; e < graph->edge_count; e++)
        total += graph->edges[e].rate;
    return total;
}

static double busiest_of(const struct graph *graph)
{
    double *sums = calloc((size_t)graph->worker_count, sizeof *sums), busiest = 0;
    for (int e = 0; e < graph->edge_count; e++) {
        sums[graph->edges[e].a] += graph->edges[e].rate;
        sums[graph->edges[e].b] += graph->edges[e].rate;
    }
    for (int i = 0; i < graph->worker_count; i++)
        busiest = fmax(busiest, sums[i]);
    free(sums);
    return busiest;
}

/* √(χ1χ2) by spectrum.h, which shares no code with what is tested; all rates must be positive. */
static double judge(const struct graph *graph)
{
    struct spectrum spectrum = {0, 0};
    assert_int_equal(spectrum_compute(graph, &spectrum), STATUS_OK);
    return root(&spectrum);
}

/* The best rates, and what holds of all of them. Returns the gain: uniform over best, at least 1. */
static double find(struct graph *graph, enum rate_budget budget, struct best_rates *out)
{
    struct best_rates_params params = {.budget = budget, .worker_rate = 1};
    double before = judge(graph), total = total_of(graph), busiest = busiest_of(graph);
    struct best_rates found;
    assert_int_equal(best_rates_find(graph, &params, &found), STATUS_OK);
    if (budget == RATE_BUDGET_TOTAL)
        assert_true(fabs(total_of(graph) - total) <= 1e-12 * total);
    else
        assert_true(busiest_of(graph) <= 1 + 1e-12);
    double scaled = budget == RATE_BUDGET_TOTAL ? before : before * busiest;
    assert_true(fabs(root(&found.uniform) - scaled) <= 1e-9 * scaled);
    assert_true(root(&found.best) <= root(&found.uniform));
    assert_true(found.bound <= root(&found.best) * (1 + 1e-9));
    assert_true(found.bound >= root(&found.best) * (1 - solved));
    assert_true(found.kept == (found.best.chi1 == found.uniform.chi1 && found.best.chi2 == found.uniform.chi2));
    if (found.silent == 0)
        assert_true(fabs(judge(graph) - root(&found.best)) <= 1e-9 * root(&found.best));
    if (out != NULL)
        *out = found;
    return root(&found.uniform) / root(&found.best);
}

static const struct alike {
    const char *name;
    int worker_count;
} edges_alike[] = {{"ring", 3},      {"ring", 8},  {"ring", 31},      {"ring", 200},     {"star", 3},
                   {"star", 9},      {"star", 32}, {"complete", 4},   {"complete", 13},  {"complete", 32},
                   {"complete", 64}, {"torus", 9}, {"torus", 16},     {"torus", 64},     {"hypercube", 8},
                   {"torus", 7},     {"line", 3},  {"hypercube", 16}, {"hypercube", 64}, {"ring", 300}};

static void alike_edges_keep_their_rates(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof edges_alike / sizeof edges_alike[0]; k++) {
        struct graph *graph = create(edges_alike[k].name, edges_alike[k].worker_count, 1);
        double rate = graph->edges[0].rate;
        struct best_rates found;
        assert_true(find(graph, RATE_BUDGET_TOTAL, &found) == 1);
        assert_true(found.kept && found.silent == 0);
        for (int e = 0; e < graph->edge_count; e++)
            assert_true(fabs(graph->edges[e].rate - rate) <= 1e-12 * rate);
        graph_destroy(graph);
    }
}

/* The proof in closed form spares the solver these graphs; asked all the same, it must answer the same. */
static void the_solver_agrees_on_alike_edges(void **state)
{
    (void)state;
    static const struct alike small[] = {{"ring", 3},  {"ring", 9},   {"star", 7},      {"complete", 8},
                                         {"torus", 9}, {"torus", 16}, {"hypercube", 8}, {"hypercube", 16}};
    for (size_t k = 0; k < sizeof small / sizeof small[0]; k++)
        for (int budget = 0; budget < 2; budget++) {
            struct graph *graph = create(small[k].name, small[k].worker_count, 1);
            double rates[64], bound = 0;
            struct graph_pieces pieces;
            struct spectrum spectrum;
            assert_in_range(graph->edge_count, 1, 64);
            graph_pieces_find(graph, &pieces);
            assert_int_equal(rates_evaluate(graph, &spectrum, NULL), STATUS_OK);
            assert_int_equal(rate_program_solve(graph, &pieces, &spectrum, (enum rate_budget)budget, rates, &bound),
                             STATUS_OK);
            double used = rate_budget_used(graph, (enum rate_budget)budget);
            for (int e = 0; e < graph->edge_count; e++)
                assert_true(fabs(rates[e] * used / graph->edges[e].rate - 1) < 1e-4);
            assert_true(fabs(bound / (root(&spectrum) * used) - 1) < solved);
            graph_pieces_release(&pieces);
            graph_destroy(graph);
        }
}

static void a_line_is_never_worse(void **state)
{
    (void)state;
    for (int n = 2; n <= 40; n += n < 12 ? 1 : 7)
        for (int budget = 0; budget < 2; budget++) {
            struct graph *graph = create("line", n, 1);
            double gain = find(graph, (enum rate_budget)budget, NULL);
            assert_true(n >= 4 ? gain > 1.0001 : gain == 1);
            graph_destroy(graph);
        }
}

/* Slope of the least-squares line through (ln x, ln y). */
static double exponent(const double *x, const double *y, int count)
{
    double mean_x = 0, mean_y = 0, covariance = 0, variance = 0;
    for (int k = 0; k < count; k++) {
        mean_x += log(x[k]) / count;
        mean_y += log(y[k]) / count;
    }
    for (int k = 0; k < count; k++) {
        covariance += (log(x[k]) - mean_x) * (log(y[k]) - mean_y);
        variance += (log(x[k]) - mean_x) * (log(x[k]) - mean_x);
    }
    return covariance / variance;
}

/* Table 5.2 counts communications, Tr Λ·√(χ1χ2): n^{5/2} for uniform rates, n for the best. With a half H of n/2
 * workers, the uniform bridge has rate 2/n: χ2 = n/4, and χ1 = n²/8 from the cut, so that the order 5/2 is met within
 * ¼ from n = 8 on. The best rates give the bridge a constant share: √(χ1χ2) tends to a constant, from below, by terms
 * of order 1/n, which at these n still add up to ¼ of an order. */
static void the_barbell_gains_one_order_and_a_half(void **state)
{
    (void)state;
    static const double n[] = {8, 12, 16, 24, 32};
    double uniform[5], best[5];
    for (int k = 0; k < 5; k++) {
        struct graph *graph = create("barbell", (int)n[k], 1);
        double trace = 2 * total_of(graph);
        struct best_rates found;
        find(graph, RATE_BUDGET_TOTAL, &found);
        uniform[k] = trace * root(&found.uniform);
        best[k] = trace * root(&found.best);
        graph_destroy(graph);
    }
    assert_true(fabs(exponent(n, uniform, 5) - 2.5) <= 0.25);
    assert_true(exponent(n, best, 5) >= 1 && exponent(n, best, 5) <= 1.25);
    /* and falling towards 1 */
    assert_true(exponent(n + 3, best + 3, 2) < exponent(n, best, 2));
}

static void random_graphs_are_never_worse(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++)
        for (int budget = 0; budget < 2; budget++) {
            struct graph *graph = create("erdos-renyi", 6 + (int)seed, seed);
            assert_true(find(graph, (enum rate_budget)budget, NULL) >= 1);
            graph_destroy(graph);
        }
}

/* Other rates within the same budget: each rate by a factor of its own, and silent edges a little of their own. */
static void perturb(struct graph *graph, const struct graph *best, enum rate_budget budget, double size,
                    struct random_stream *stream)
{
    double used = rate_budget_used(best, budget), mean = total_of(best) / best->edge_count;
    for (int e = 0; e < graph->edge_count; e++)
        graph->edges[e].rate = best->edges[e].rate * exp(size * (2 * random_uniform(stream) - 1)) + 1e-3 * size * mean;
    double scale = used / rate_budget_used(graph, budget);
    for (int e = 0; e < graph->edge_count; e++)
        graph->edges[e].rate *= scale;
}

static void no_perturbation_improves(void **state)
{
    (void)state;
    static const char *const names[] = {"line", "barbell", "grid", "tree", "torus", "erdos-renyi", "random-regular"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        for (int budget = 0; budget < 2; budget++) {
            struct graph *best = create(names[k], 10, 5), *other = create(names[k], 10, 5);
            struct random_stream stream = random_stream(7, RANDOM_TEST, (uint32_t)k, (uint64_t)budget);
            struct best_rates found;
            find(best, (enum rate_budget)budget, &found);
            for (int trial = 0; trial < 300; trial++) {
                perturb(other, best, (enum rate_budget)budget, pow(10, -(trial % 6)), &stream);
                assert_true(judge(other) >= root(&found.best) * (1 - 1e-7));
            }
            graph_destroy(best);
            graph_destroy(other);
        }
}

/* Bound and value of rates_evaluate: whatever the rates it starts from, none of the same sum are below the bound. */
static void bounds_hold_for_all_rates(void **state)
{
    (void)state;
    struct graph *from = create("grid", 12, 1), *other = create("grid", 12, 1), *base = create("grid", 12, 1);
    struct random_stream stream = random_stream(8, RANDOM_TEST, 0, 0);
    double highest = 0, lowest = INFINITY;
    for (int trial = 0; trial < 200; trial++) {
        struct spectrum spectrum;
        double bound;
        perturb(from, base, RATE_BUDGET_TOTAL, 3.0 * trial / 200, &stream);
        perturb(other, base, RATE_BUDGET_TOTAL, 3.0 * trial / 200, &stream);
        assert_int_equal(rates_evaluate(from, &spectrum, &bound), STATUS_OK);
        assert_true(fabs(judge(from) - root(&spectrum)) <= 1e-9 * root(&spectrum));
        highest = fmax(highest, bound);
        lowest = fmin(lowest, judge(other));
    }
    struct best_rates found;
    find(base, RATE_BUDGET_TOTAL, &found);
    assert_true(highest <= root(&found.best) && root(&found.best) <= lowest);
    graph_destroy(from);
    graph_destroy(other);
    graph_destroy(base);
}

/* χ2 is over the edges that were given: as if a silent one had a rate too small to matter. */
static void silent_edges_count(void **state)
{
    (void)state;
    struct graph *graph = create("erdos-renyi", 7, 3);
    struct best_rates found;
    find(graph, RATE_BUDGET_TOTAL, &found);
    assert_int_equal(found.silent, 1);
    assert_false(found.kept);
    for (int e = 0; e < graph->edge_count; e++)
        if (graph->edges[e].rate == 0)
            graph->edges[e].rate = 1e-11;
    struct spectrum spectrum;
    assert_int_equal(spectrum_compute(graph, &spectrum), STATUS_OK);
    assert_true(fabs(spectrum.chi1 - found.best.chi1) <= 1e-8 * spectrum.chi1);
    assert_true(fabs(spectrum.chi2 - found.best.chi2) <= 1e-8 * spectrum.chi2);
    graph_destroy(graph);
}

static void rates_scale_with_the_budget(void **state)
{
    (void)state;
    struct graph *one = create("grid", 9, 1), *three = create("grid", 9, 1);
    struct best_rates_params params = {.budget = RATE_BUDGET_WORKER, .worker_rate = 1};
    struct best_rates at_one, at_three;
    assert_int_equal(best_rates_find(one, &params, &at_one), STATUS_OK);
    params.worker_rate = 3;
    assert_int_equal(best_rates_find(three, &params, &at_three), STATUS_OK);
    assert_true(fabs(3 * root(&at_three.best) / root(&at_one.best) - 1) < 1e-7);
    assert_true(fabs(busiest_of(three) - 3) < 1e-12);
    graph_destroy(one);
    graph_destroy(three);
}

/* An edge list may start anywhere: with rates three decades apart the quickest way to ask the solver stalls on the
 * second of these. The best rates do not depend on it. */
static void the_start_does_not_matter(void **state)
{
    (void)state;
    static const int worker_counts[] = {12, 20};
    for (int k = 0; k < 2; k++) {
        struct graph *near = create("barbell", worker_counts[k], 3), *far = create("barbell", worker_counts[k], 3);
        struct best_rates from_near, from_far;
        for (int e = 0; e < far->edge_count; e++)
            far->edges[e].rate *= pow(10, 3.0 * ((e * 7919 + 93) % 101) / 100 - 1.5);
        find(near, RATE_BUDGET_WORKER, &from_near);
        find(far, RATE_BUDGET_WORKER, &from_far);
        assert_true(fabs(root(&from_far.best) / root(&from_near.best) - 1) <= 2e-7);
        graph_destroy(near);
        graph_destroy(far);
    }
}

static void the_same_twice(void **state)
{
    (void)state;
    struct graph *first = create("erdos-renyi", 12, 9), *second = create("erdos-renyi", 12, 9);
    find(first, RATE_BUDGET_TOTAL, NULL);
    find(second, RATE_BUDGET_TOTAL, NULL);
    for (int e = 0; e < first->edge_count; e++)
        assert_true(first->edges[e].rate == second->edges[e].rate);
    graph_destroy(first);
    graph_destroy(second);
}

static void assert_pieces(const char *name, int worker_count, int count, int largest)
{
    struct graph *graph = create(name, worker_count, 1);
    struct graph_pieces pieces;
    graph_pieces_find(graph, &pieces);
    int sum = 0, highest = 0;
    for (int p = 0; p < pieces.count; p++) {
        sum += pieces.rank[p];
        highest = pieces.rank[p] > highest ? pieces.rank[p] : highest;
    }
    assert_int_equal(pieces.count, count);
    assert_int_equal(highest, largest);
    assert_int_equal(sum, worker_count - 1);
    graph_pieces_release(&pieces);
    graph_destroy(graph);
}

static void graphs_fall_into_pieces(void **state)
{
    (void)state;
    assert_pieces("tree", 20, 19, 1);
    assert_pieces("ring", 9, 1, 8);
    assert_pieces("barbell", 12, 3, 5);
    assert_pieces("barbell", 4, 3, 1);
    assert_pieces("grid", 12, 1, 11);
    assert_pieces("complete", 7, 1, 6);
}

static void without_choice(void **state)
{
    (void)state;
    struct best_rates_params params = {.budget = RATE_BUDGET_WORKER, .worker_rate = 2};
    struct best_rates found;
    struct graph *alone = create("ring", 1, 1), *two = create("line", 2, 1), *still = create("ring", 5, 1);
    assert_int_equal(best_rates_find(alone, &params, &found), STATUS_OK);
    assert_true(found.best.chi1 == 0 && found.best.chi2 == 0 && found.kept);
    assert_int_equal(best_rates_find(two, &params, &found), STATUS_OK);
    assert_true(two->edges[0].rate == 2 && found.best.chi1 == 0.25 && found.best.chi2 == 0.25 && found.kept);
    params.worker_rate = 0;
    assert_int_equal(best_rates_find(still, &params, &found), STATUS_OK);
    assert_true(isinf(found.best.chi1) && isinf(found.best.chi2) && still->edges[3].rate == 0);
    graph_destroy(alone);
    graph_destroy(two);
    graph_destroy(still);
}

static void too_large_is_refused(void **state)
{
    (void)state;
    static const struct alike large[] = {{"line", 257}, {"erdos-renyi", 90}, {"line", 1500}};
    for (size_t k = 0; k < sizeof large / sizeof large[0]; k++) {
        struct graph *graph = create(large[k].name, large[k].worker_count, 1);
        struct best_rates_params params = {.budget = RATE_BUDGET_TOTAL};
        struct best_rates found;
        struct capture capture;
        double first = graph->edges[0].rate;
        capture_begin(&capture);
        enum status status = best_rates_find(graph, &params, &found);
        const char *said = capture_end(&capture);
        assert_int_equal(status, STATUS_USAGE);
        assert_non_null(strstr(said, "use rates uniform"));
        assert_non_null(strstr(said, large[k].name));
        assert_true(graph->edges[0].rate == first);
        graph_destroy(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alike_edges_keep_their_rates),
        cmocka_unit_test(the_solver_agrees_on_alike_edges),
        cmocka_unit_test(a_line_is_never_worse),
        cmocka_unit_test(the_barbell_gains_one_order_and_a_half),
        cmocka_unit_test(random_graphs_are_never_worse),
        cmocka_unit_test(no_perturbation_improves),
        cmocka_unit_test(bounds_hold_for_all_rates),
        cmocka_unit_test(silent_edges_count),
        cmocka_unit_test(rates_scale_with_the_budget),
        cmocka_unit_test(the_start_does_not_matter),
        cmocka_unit_test(the_same_twice),
        cmocka_unit_test(graphs_fall_into_pieces),
        cmocka_unit_test(without_choice),
        cmocka_unit_test(too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
