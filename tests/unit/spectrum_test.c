/* graph/spectrum.h: the method's table, resistances that are known, Foster's theorem, and the edges of the domain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "graph/spectrum.h"

static const double pi = 3.14159265358979323846;

static struct graph *create(const char *name, int worker_count, double rate)
{
    struct graph_params params = {
        .name = name, .worker_count = worker_count, .rate = rate, .degree = 4, .probability = 0.3, .seed = 3};
    struct graph *graph = NULL;
    assert_int_equal(graph_create(&params, &graph), STATUS_OK);
    return graph;
}

static struct spectrum spectrum_of(const char *name, int worker_count, double rate)
{
    struct graph *graph = create(name, worker_count, rate);
    struct spectrum spectrum = {-1, -1};
    assert_int_equal(spectrum_compute(graph, &spectrum), STATUS_OK);
    graph_destroy(graph);
    return spectrum;
}

static void assert_near(double value, double wanted, double tolerance)
{
    if (!(fabs(value - wanted) <= tolerance))
        fail_msg("%.17g is not within %g of %.17g", value, tolerance, wanted);
}

/* The published constants, printed with three or four decimals. */
static void table_of_the_method(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int worker_count;
        double chi1, chi2, eta, alpha_tilde, eta_at_rate_2;
    } rows[] = {
        {"complete", 4, 0.750, 0.750, 0.6667, 0.5000, 1.3333},  {"complete", 16, 0.938, 0.938, 0.5333, 0.5000, 1.0667},
        {"complete", 64, 0.984, 0.984, 0.5079, 0.5000, 1.0159}, {"ring", 4, 1.000, 0.750, 0.5774, 0.5774, 1.1547},
        {"ring", 8, 3.414, 0.875, 0.2893, 0.9877, 0.5786},      {"ring", 16, 13.137, 0.938, 0.1425, 1.8717, 0.2849},
        {"ring", 32, 52.043, 0.969, 0.0704, 3.6648, 0.1408},    {"ring", 64, 207.673, 0.984, 0.0350, 7.2624, 0.0699},
        {"ring", 128, 830.190, 0.992, 0.0174, 14.4631, 0.0348}, {"torus", 16, 2.000, 0.938, 0.3651, 0.7303, 0.7303},
        {"torus", 64, 6.828, 0.984, 0.1929, 1.3169, 0.3857},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct spectrum one = spectrum_of(rows[i].name, rows[i].worker_count, 1);
        struct spectrum two = spectrum_of(rows[i].name, rows[i].worker_count, 2);
        struct acid_constants at_one = acid_constants_from(&one), at_two = acid_constants_from(&two);
        assert_near(one.chi1, rows[i].chi1, 1e-3);
        assert_near(one.chi2, rows[i].chi2, 1e-3);
        assert_near(at_one.eta, rows[i].eta, 1e-4);
        assert_near(at_one.alpha_tilde, rows[i].alpha_tilde, 1e-4);
        assert_near(at_two.eta, rows[i].eta_at_rate_2, 1e-4);
        assert_near(at_two.alpha_tilde, rows[i].alpha_tilde, 1e-4);
        assert_near(two.chi1, one.chi1 / 2, 1e-10 * one.chi1);
        assert_near(two.chi2, one.chi2 / 2, 1e-10 * one.chi2);
        assert_true(at_one.alpha == 0.5);
    }
}

/* Eigenvalues in closed form: ring 1 − cos(2π/n), rate 1, degree 2; hypercube 2/d; star n = 5 by hand. */
static void closed_forms(void **state)
{
    (void)state;
    for (int n = 3; n <= 200; n += 19) {
        double wanted = 1 / (1 - cos(2 * pi / n));
        assert_near(spectrum_of("ring", n, 1).chi1, wanted, 1e-10 * wanted);
        assert_near(spectrum_of("ring", n, 1).chi2, 1 - 1.0 / n, 1e-10);
    }
    for (int d = 1; d <= 7; d++) {
        struct spectrum spectrum = spectrum_of("hypercube", 1 << d, 1);
        assert_near(spectrum.chi1, d / 2.0, 1e-11 * d);
        assert_near(spectrum.chi2, 1 - 1.0 / (1 << d), 1e-11);
    }
    /* Star of 5: λ = ½(1 + 1/4) = 5/8 on each edge, so Λ has eigenvalues 0, 5/8 (3 times), 25/8; each R = 8/5. */
    struct spectrum star = spectrum_of("star", 5, 1);
    assert_near(star.chi1, 1.6, 1e-13);
    assert_near(star.chi2, 0.8, 1e-13);
}

/* The only path between the ends of a tree's edge is the edge itself, so R = 1/λ. */
static void tree_edges_resist_by_themselves(void **state)
{
    (void)state;
    static const char *const names[] = {"tree", "line", "star"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct graph *graph = create(names[i], 37, 0.7);
        double *resistances = calloc((size_t)graph->edge_count, sizeof *resistances);
        assert_int_equal(spectrum_resistances(graph, resistances), STATUS_OK);
        for (int e = 0; e < graph->edge_count; e++)
            assert_near(resistances[e] * graph->edges[e].rate, 1, 1e-11);
        free(resistances);
        graph_destroy(graph);
    }
}

/* The bridge of a barbell stands alone; within a half K_h of equal rates λ the resistance would be 2/(hλ). */
static void barbell_bridge_resists_by_itself(void **state)
{
    (void)state;
    struct graph *graph = create("barbell", 12, 1);
    double resistances[31];
    assert_int_equal(graph->edge_count, 31);
    assert_int_equal(spectrum_resistances(graph, resistances), STATUS_OK);
    for (int e = 0; e < graph->edge_count; e++)
        if (graph->edges[e].a == 5 && graph->edges[e].b == 6)
            assert_near(resistances[e] * graph->edges[e].rate, 1, 1e-12);
        else
            assert_true(resistances[e] * graph->edges[e].rate < 0.5);
    graph_destroy(graph);
}

static void foster_and_order_on_all_families(void **state)
{
    (void)state;
    for (const char *const *name = graph_family_names(); *name != NULL; name++)
        for (int n = 2; n <= 64; n *= 2) {
            if (n == 4)
                continue; /* random-regular of degree 4 needs 5 */
            struct graph *graph = create(*name, n, 1.3);
            double *resistances = calloc((size_t)graph->edge_count, sizeof *resistances);
            double sum = 0;
            struct spectrum spectrum;
            assert_int_equal(spectrum_resistances(graph, resistances), STATUS_OK);
            assert_int_equal(spectrum_compute(graph, &spectrum), STATUS_OK);
            for (int e = 0; e < graph->edge_count; e++) {
                sum += graph->edges[e].rate * resistances[e];
                assert_true(resistances[e] / 2 <= spectrum.chi2);
            }
            assert_near(sum, n - 1, 1e-10 * n);
            assert_true(spectrum.chi2 <= spectrum.chi1 * (1 + 1e-12));
            free(resistances);
            graph_destroy(graph);
        }
}

static void one_worker_has_no_spectrum(void **state)
{
    (void)state;
    struct spectrum spectrum = spectrum_of("ring", 1, 1);
    assert_true(spectrum.chi1 == 0 && spectrum.chi2 == 0);
    struct acid_constants constants = acid_constants_from(&spectrum);
    assert_true(constants.eta == 0 && constants.alpha == 0.5 && constants.alpha_tilde == 0.5);
}

static void two_workers_know_each_other(void **state)
{
    (void)state;
    struct spectrum spectrum = spectrum_of("line", 2, 1); /* Λ = [1 −1; −1 1]: λ_2 = 2, R = 1 */
    assert_near(spectrum.chi1, 0.5, 1e-15);
    assert_near(spectrum.chi2, 0.5, 1e-15);
}

static void without_meetings_chi_is_infinite(void **state)
{
    (void)state;
    struct spectrum spectrum = spectrum_of("ring", 8, 0);
    assert_true(isinf(spectrum.chi1) && isinf(spectrum.chi2));
    struct acid_constants constants = acid_constants_from(&spectrum);
    assert_true(constants.eta == 0 && constants.alpha == 0.5 && constants.alpha_tilde == 0.5);
    struct graph *graph = create("line", 2, 0);
    double resistance = 0;
    assert_int_equal(spectrum_resistances(graph, &resistance), STATUS_OK);
    assert_true(isinf(resistance));
    graph_destroy(graph);
}

/* The constants scale with time, whatever its unit: rates of a millionth or a million are no special case. */
static void constants_do_not_depend_on_the_unit_of_time(void **state)
{
    (void)state;
    struct spectrum one = spectrum_of("torus", 30, 1);
    for (double rate = 1e-9; rate < 1e10; rate *= 1e3) {
        struct spectrum scaled = spectrum_of("torus", 30, rate);
        assert_near(scaled.chi1 * rate, one.chi1, 1e-10 * one.chi1);
        assert_near(scaled.chi2 * rate, one.chi2, 1e-10 * one.chi2);
    }
}

/* λ_2 below the rounding error of the largest rate: an error, never a meaningless constant. */
static void unresolvable_rates_are_an_error(void **state)
{
    (void)state;
    struct graph *graph = create("line", 3, 1);
    struct spectrum spectrum = {-1, -1};
    graph->edges[0].rate = 1e-14;
    graph->edges[1].rate = 1e6;
    log_hold(true);
    assert_int_equal(spectrum_compute(graph, &spectrum), STATUS_MACHINE);
    log_hold(false);
    assert_true(spectrum.chi1 == -1 && spectrum.chi2 == -1);
    graph_destroy(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_of_the_method),
        cmocka_unit_test(closed_forms),
        cmocka_unit_test(tree_edges_resist_by_themselves),
        cmocka_unit_test(barbell_bridge_resists_by_itself),
        cmocka_unit_test(foster_and_order_on_all_families),
        cmocka_unit_test(one_worker_has_no_spectrum),
        cmocka_unit_test(two_workers_know_each_other),
        cmocka_unit_test(without_meetings_chi_is_infinite),
        cmocka_unit_test(constants_do_not_depend_on_the_unit_of_time),
        cmocka_unit_test(unresolvable_rates_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
