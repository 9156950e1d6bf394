/* graph/spectrum.h beyond the dense way: each sparse way against LAPACK, closed forms at 10,000 workers, and other
 * rates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/random.h"
#include "graph/spectrum_parts.h"

static const double pi = 3.14159265358979323846;

static struct graph *create(const char *name, int worker_count)
{
    struct graph_params params = {
        .name = name, .worker_count = worker_count, .rate = 1, .degree = 4, .probability = 0.1, .seed = 3};
    struct graph *graph = NULL;
    assert_int_equal(graph_create(&params, &graph), STATUS_OK);
    return graph;
}

static void assert_relative(double value, double wanted, double tolerance)
{
    if (!(fabs(value - wanted) <= tolerance * fabs(wanted)))
        fail_msg("%.17g is not within %g of %.17g", value, tolerance, wanted);
}

static void compare_with_dense(const struct laplacian *laplacian, enum spectrum_way way, double tolerance)
{
    size_t edges = (size_t)laplacian->edge_count;
    struct spectrum wanted, found;
    double *wanted_each = calloc(edges, sizeof(double)), *found_each = calloc(edges, sizeof(double));
    struct spectrum_request ask_dense = {&wanted.chi1, &wanted.chi2, wanted_each};
    struct spectrum_request ask_sparse = {&found.chi1, &found.chi2, found_each};
    assert_int_equal(spectrum_answer(laplacian, SPECTRUM_DENSE, &ask_dense), STATUS_OK);
    assert_int_equal(spectrum_answer(laplacian, way, &ask_sparse), STATUS_OK);
    assert_relative(found.chi1, wanted.chi1, 1e-8);
    assert_relative(found.chi2, wanted.chi2, tolerance);
    for (size_t e = 0; e < edges; e++)
        assert_true(fabs(found_each[e] - wanted_each[e]) <= 1e-6 * 2 * wanted.chi2);
    free(found_each);
    free(wanted_each);
}

/* The iterative way is for few classes of edges, or for a wide gap. */
static bool suits_iterations(const struct laplacian *laplacian)
{
    int *same_as = calloc((size_t)laplacian->edge_count, sizeof *same_as);
    int classes = edge_classes(laplacian, same_as);
    double gap = 0;
    assert_int_equal(gap_compute(laplacian, &gap), STATUS_OK);
    free(same_as);
    return classes <= 64 || gap >= 0.02;
}

/* 256 is a power of two (hypercube) and even (barbell); the dense way is exact to its rounding, λ_2 of the longest path
 * being some 1e-4 of the largest eigenvalue. */
static void all_families_agree_with_dense(void **state)
{
    (void)state;
    for (const char *const *name = graph_family_names(); *name != NULL; name++) {
        struct graph *graph = create(*name, 256);
        struct laplacian *laplacian = laplacian_create(graph, NULL);
        compare_with_dense(laplacian, SPECTRUM_DIRECT, 1e-9);
        if (suits_iterations(laplacian))
            compare_with_dense(laplacian, SPECTRUM_ITERATIVE, 1e-6);
        laplacian_destroy(laplacian);
        graph_destroy(graph);
    }
}

/* Rates without any symmetry, up to 16 times apart for the series, and up to 10⁴ for whatever is chosen then. */
static void unequal_rates_agree_with_dense(void **state)
{
    (void)state;
    static const char *const names[] = {"random-regular", "erdos-renyi", "exponential"};
    for (size_t i = 0; i < 2 * sizeof names / sizeof names[0]; i++) {
        struct graph *graph = create(names[i / 2], 300);
        struct random_stream stream = random_stream(5, RANDOM_TEST, 0, i);
        for (int e = 0; e < graph->edge_count; e++)
            graph->edges[e].rate = pow(i % 2 == 0 ? 16 : 1e4, random_uniform(&stream));
        struct laplacian *laplacian = laplacian_create(graph, NULL);
        assert_true(i % 2 == 1 || suits_iterations(laplacian));
        compare_with_dense(laplacian, SPECTRUM_DIRECT, 1e-9);
        compare_with_dense(laplacian, i % 2 == 0 ? SPECTRUM_ITERATIVE : SPECTRUM_CHOSEN, 1e-6);
        laplacian_destroy(laplacian);
        graph_destroy(graph);
    }
}

static void check_large(const char *name, int n, double chi1, double chi2)
{
    struct graph *graph = create(name, n);
    struct spectrum spectrum;
    assert_int_equal(spectrum_compute(graph, &spectrum), STATUS_OK);
    assert_relative(spectrum.chi1, chi1, 1e-8);
    assert_relative(spectrum.chi2, chi2, 1e-8);
    graph_destroy(graph);
}

/* Edge-transitive graphs of rate λ: R = (n − 1)/(m λ) by Foster. */
static void closed_forms_at_ten_thousand(void **state)
{
    (void)state;
    int n = 10000;
    check_large("ring", n, 1 / (1 - cos(2 * pi / n)), 1 - 1.0 / n);
    check_large("torus", n, 2 / (1 - cos(2 * pi / 100)), 1 - 1.0 / n);
    check_large("star", n, 2 / (1 + 1.0 / (n - 1)), 1 / (1 + 1.0 / (n - 1)));
    check_large("hypercube", 8192, 6.5, 1 - 1.0 / 8192);
}

/* A path of equal rates: λ_2 = 2·rate·(1 − cos(π/n)), and each edge resists by itself. */
static void line_of_equal_rates(void **state)
{
    (void)state;
    int n = 10000;
    struct graph *graph = create("line", n);
    double *rates = calloc((size_t)graph->edge_count, sizeof *rates);
    for (int e = 0; e < graph->edge_count; e++)
        rates[e] = 0.25;
    struct spectrum spectrum;
    assert_int_equal(spectrum_from_rates(graph, rates, &spectrum), STATUS_OK);
    assert_relative(spectrum.chi1, 2 / (1 - cos(pi / n)), 1e-8);
    assert_relative(spectrum.chi2, 2, 1e-10);
    free(rates);
    graph_destroy(graph);
}

/* A ring that loses an edge is a line; one that loses two falls apart. */
static void absent_edges(void **state)
{
    (void)state;
    for (int n = 8; n <= 2048; n *= 16) {
        struct graph *graph = create("ring", n);
        struct spectrum spectrum;
        double *rates = calloc((size_t)n, sizeof *rates);
        for (int e = 0; e < n; e++)
            rates[e] = e == 3 ? 0 : 0.5;
        assert_int_equal(spectrum_from_rates(graph, rates, &spectrum), STATUS_OK);
        assert_relative(spectrum.chi1, 1 / (1 - cos(pi / n)), 1e-8);
        assert_relative(spectrum.chi2, 1, 1e-9);
        rates[n - 2] = 0;
        assert_int_equal(spectrum_from_rates(graph, rates, &spectrum), STATUS_OK);
        assert_true(isinf(spectrum.chi1) && isinf(spectrum.chi2));
        free(rates);
        graph_destroy(graph);
    }
}

/* Classes found by symmetry, whatever the family is called; one other rate breaks them. */
static void edges_that_are_alike(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int classes;
    } rows[] = {{"ring", 1}, {"complete", 1}, {"star", 1}, {"hypercube", 8}, {"barbell", 5}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct graph *graph = create(rows[i].name, 256);
        int *same_as = calloc((size_t)graph->edge_count, sizeof *same_as);
        struct laplacian *laplacian = laplacian_create(graph, NULL);
        assert_int_equal(edge_classes(laplacian, same_as), rows[i].classes);
        laplacian_destroy(laplacian);
        free(same_as);
        graph_destroy(graph);
    }
    struct graph *graph = create("ring", 256);
    int same_as[256];
    graph->edges[7].rate *= 2;
    struct laplacian *laplacian = laplacian_create(graph, NULL);
    assert_int_equal(edge_classes(laplacian, same_as), 256);
    laplacian_destroy(laplacian);
    graph_destroy(graph);
}

/* The size is looked at before memory is taken: the edges themselves need not exist. */
static void too_many_edges_are_refused(void **state)
{
    (void)state;
    char name[] = "vast";
    struct graph graph = {.name = name, .worker_count = 1 << 20, .edge_count = 1 << 30};
    struct spectrum spectrum = {-1, -1};
    log_hold(true);
    assert_int_equal(spectrum_compute(&graph, &spectrum), STATUS_USAGE);
    log_hold(false);
    assert_true(spectrum.chi1 == -1 && spectrum.chi2 == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_families_agree_with_dense),
        cmocka_unit_test(unequal_rates_agree_with_dense),
        cmocka_unit_test(closed_forms_at_ten_thousand),
        cmocka_unit_test(line_of_equal_rates),
        cmocka_unit_test(absent_edges),
        cmocka_unit_test(edges_that_are_alike),
        cmocka_unit_test(too_many_edges_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
