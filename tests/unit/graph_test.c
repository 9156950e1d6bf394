/* graph/graph.h: every family at every count up to 40, and refused counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "graph_fixture.h"

enum { COUNT_MAX = 40 };

static int is_possible(const char *name, int n)
{
    if (strcmp(name, "hypercube") == 0)
        return n == 1 || n == 2 || n == 4 || n == 8 || n == 16 || n == 32;
    if (strcmp(name, "barbell") == 0)
        return n == 1 || n % 2 == 0;
    if (strcmp(name, "random-regular") == 0)
        return n <= 2 || n > 4; /* degree 4 */
    return 1;
}

static void every_family_at_every_count(void **state)
{
    (void)state;
    int families = 0;
    for (const char *const *name = graph_family_names(); *name != NULL; name++, families++)
        for (int n = 1; n <= COUNT_MAX; n++) {
            struct graph_params params = params_of(*name, n);
            if (!is_possible(*name, n)) {
                assert_refused(&params, "the nearest count");
                continue;
            }
            struct graph *graph = create(params);
            assert_string_equal(graph->name, *name);
            assert_int_equal(graph->worker_count, n);
            if (n <= 2)
                assert_int_equal(graph->edge_count, n - 1);
            assert_sound(graph, params.rate);
            graph_destroy(graph);
        }
    assert_int_equal(families, 12);
}

static void assert_edges(struct graph_params params, int edge_count, const int (*pairs)[2])
{
    struct graph *graph = create(params);
    assert_int_equal(graph->edge_count, edge_count);
    for (int e = 0; pairs != NULL && e < edge_count; e++) {
        assert_int_equal(graph->edges[e].a, pairs[e][0]);
        assert_int_equal(graph->edges[e].b, pairs[e][1]);
    }
    graph_destroy(graph);
}

static void families_have_their_edges(void **state)
{
    (void)state;
    assert_edges(params_of("ring", 5), 5, (const int[][2]){{0, 1}, {0, 4}, {1, 2}, {2, 3}, {3, 4}});
    assert_edges(params_of("line", 4), 3, (const int[][2]){{0, 1}, {1, 2}, {2, 3}});
    assert_edges(params_of("star", 4), 3, (const int[][2]){{0, 1}, {0, 2}, {0, 3}});
    assert_edges(params_of("complete", 9), 36, NULL);
    assert_edges(params_of("torus", 4), 4, (const int[][2]){{0, 1}, {0, 2}, {1, 3}, {2, 3}});
    assert_edges(params_of("torus", 6), 9,
                 (const int[][2]){{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 4}, {2, 5}, {3, 4}, {3, 5}, {4, 5}});
    assert_edges(params_of("torus", 16), 32, NULL);
    assert_edges(params_of("torus", 5), 5, (const int[][2]){{0, 1}, {0, 4}, {1, 2}, {2, 3}, {3, 4}});
    assert_edges(params_of("grid", 6), 7, (const int[][2]){{0, 1}, {0, 3}, {1, 2}, {1, 4}, {2, 5}, {3, 4}, {4, 5}});
    assert_edges(params_of("grid", 3), 2, (const int[][2]){{0, 1}, {1, 2}});
    assert_edges(params_of("grid", 12), 17, NULL); /* 3 × 4, not 2 × 6 */
    assert_edges(params_of("hypercube", 4), 4, (const int[][2]){{0, 1}, {0, 2}, {1, 3}, {2, 3}});
    assert_edges(params_of("hypercube", 32), 80, NULL);
    assert_edges(params_of("exponential", 6), 12, NULL);  /* degree 4: ±1, ±2, and ±4, which is ∓2 */
    assert_edges(params_of("exponential", 16), 56, NULL); /* degree 7: ±1, ±2, ±4, 8 */
    assert_edges(params_of("tree", 6), 5, (const int[][2]){{0, 1}, {0, 2}, {1, 3}, {1, 4}, {2, 5}});
    assert_edges(params_of("barbell", 6), 7, (const int[][2]){{0, 1}, {0, 2}, {1, 2}, {2, 3}, {3, 4}, {3, 5}, {4, 5}});
}

static void refused_counts_name_the_nearest(void **state)
{
    (void)state;
    struct graph_params params = params_of("hypercube", 12);
    assert_refused(&params, "12 workers: the count must be a power of two; the nearest counts are 8 and 16");
    params = params_of("hypercube", 16383);
    assert_refused(&params, "8192 and 16384");
    params = params_of("barbell", 7);
    assert_refused(&params, "even; the nearest counts are 6 and 8");
    params = params_of("random-regular", 9);
    params.degree = 5;
    assert_refused(&params, "graph.degree = 5, which must be 2 or more, and even where that is odd; "
                            "the nearest counts are 8 and 10");
    params = params_of("random-regular", 4);
    assert_refused(&params, "the nearest counts are 2 and 5");
    params.degree = 1;
    assert_refused(&params, "the nearest count is 2");
    params = params_of("ring", 0);
    assert_refused(&params, "0 workers: a graph has 1 to 16777215");
    params = params_of("ring", GRAPH_WORKERS_MAX + 1);
    assert_refused(&params, "a graph has 1 to 16777215");
}

static void bad_parameters_are_refused(void **state)
{
    (void)state;
    struct graph_params params = params_of("rign", 4);
    assert_refused(&params, "did you mean ring?");
    params = params_of("moebius-kantor", 4);
    assert_refused(&params, "known: ring | complete | line");
    params = params_of("ring", 4);
    params.rate = -1;
    assert_refused(&params, "communication.rate = -1");
    params.rate = NAN;
    assert_refused(&params, "communication.rate");
    params = params_of("erdos-renyi", 4);
    params.probability = 0;
    assert_refused(&params, "graph.probability = 0");
    params.probability = 1.5;
    assert_refused(&params, "graph.probability = 1.5");
    params = params_of("erdos-renyi", 100);
    params.probability = 0.001;
    assert_refused(&params, "log(n)/n = 0.04605");
}

static void rate_zero_silences_all_edges(void **state)
{
    (void)state;
    struct graph_params params = params_of("star", 5);
    params.rate = 0;
    struct graph *graph = create(params);
    for (int e = 0; e < graph->edge_count; e++)
        assert_true(graph->edges[e].rate == 0);
    graph_destroy(graph);
}

static int same_edges(const struct graph *x, const struct graph *y)
{
    if (x->edge_count != y->edge_count)
        return 0;
    for (int e = 0; e < x->edge_count; e++)
        if (x->edges[e].a != y->edges[e].a || x->edges[e].b != y->edges[e].b)
            return 0;
    return 1;
}

static void random_families_follow_their_seed(void **state)
{
    (void)state;
    static const char *const names[] = {"random-regular", "erdos-renyi"};
    for (int k = 0; k < 2; k++)
        for (int degree = 2; degree <= 4; degree++) {
            struct graph_params params = params_of(names[k], 20);
            params.degree = degree;
            struct graph *first = create(params), *again = create(params);
            params.seed++;
            struct graph *other = create(params);
            assert_true(same_edges(first, again));
            assert_false(same_edges(first, other));
            graph_destroy(first);
            graph_destroy(again);
            graph_destroy(other);
        }
}

/* The graphs of a seed are part of every recorded run: these were drawn once and must not change. */
static void random_families_are_golden(void **state)
{
    (void)state;
    struct graph_params params = params_of("random-regular", 6);
    params.degree = 3;
    assert_edges(params, 9, (const int[][2]){{0, 3}, {0, 4}, {0, 5}, {1, 2}, {1, 4}, {1, 5}, {2, 3}, {2, 5}, {3, 4}});
    assert_edges(params_of("erdos-renyi", 5), 4, (const int[][2]){{0, 3}, {0, 4}, {1, 2}, {2, 3}});
}

static void random_regular_has_its_degree(void **state)
{
    (void)state;
    for (int n = 3; n <= 14; n++)
        for (int degree = 2; degree < n; degree++) {
            struct graph_params params = params_of("random-regular", n);
            params.degree = degree;
            if (n * degree % 2 == 1)
                continue;
            struct graph *graph = create(params);
            for (int i = 0; i < n; i++)
                assert_int_equal(graph_degree(graph, i), degree);
            assert_sound(graph, params.rate);
            graph_destroy(graph);
        }
}

static uint64_t digest_of(const struct graph *graph)
{
    uint64_t digest = 14695981039346656037u; /* FNV-1a over the ends */
    for (int e = 0; e < graph->edge_count; e++)
        digest =
            ((digest ^ (uint64_t)graph->edges[e].a) * 1099511628211u ^ (uint64_t)graph->edges[e].b) * 1099511628211u;
    return digest;
}

/* Above 16384 workers the random families are drawn without looking at all pairs. Degree 300 has some 22,000 doubles
 * to repair. */
static void large_random_regular_is_regular(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++) {
        struct graph_params params = params_of("random-regular", 20000);
        params.degree = (int[]){3, 8, 300}[k];
        struct graph *graph = create(params), *again = create(params);
        for (int i = 0; i < graph->worker_count; i++)
            assert_int_equal(graph_degree(graph, i), params.degree);
        assert_sound(graph, params.rate);
        assert_true(same_edges(graph, again));
        if (params.degree == 8)
            assert_true(digest_of(graph) == 0xcb0faef442f8b949u);
        graph_destroy(graph);
        graph_destroy(again);
    }
}

/* 200,000 edges expected of 20000 workers, deviation 447; a worker's degree is 20 on average, with variance 20, of
 * which the mean over 20000 is known to 20·√(2/20000) = 0.2. */
static void large_erdos_renyi_has_its_probability(void **state)
{
    (void)state;
    struct graph_params params = params_of("erdos-renyi", 20000);
    params.probability = 0.001;
    struct graph *graph = create(params);
    assert_sound(graph, params.rate);
    assert_true(abs(graph->edge_count - 199990) < 4 * 447);
    double variance = 0, low = 0;
    for (int i = 0; i < graph->worker_count; i++) {
        variance += pow(graph_degree(graph, i) - 20, 2) / graph->worker_count;
        low += i < graph->worker_count / 2 ? graph_degree(graph, i) : 0;
    }
    assert_true(fabs(variance - 20) < 0.8);
    assert_true(fabs(low - 200000) < 4 * 550); /* the first half's degrees: edges within count twice */
    assert_true(digest_of(graph) == 0x3029432cfbe1f6a3u);
    graph_destroy(graph);
    params.probability = 0.0001;
    assert_refused(&params, "log(n)/n = 0.0004952");
}

static void too_many_edges_are_refused(void **state)
{
    (void)state;
    struct graph_params params = params_of("complete", 40000);
    assert_refused(&params, "graph complete: 40000 workers have up to 8e+08 edges; a graph has at most 268435456");
    params = params_of("barbell", 60000);
    assert_refused(&params, "at most 268435456");
    params = params_of("exponential", 16000000);
    assert_refused(&params, "at most 268435456");
    params = params_of("random-regular", 10000000);
    params.degree = 60;
    assert_refused(&params, "up to 3e+08 edges");
    params = params_of("erdos-renyi", 1000000);
    assert_refused(&params, "at most 268435456");
}

/* Sparse enough that many first draws fall apart, also into parts of which none is a single worker. */
static void sparse_erdos_renyi_connects(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct graph_params params = params_of("erdos-renyi", 8);
        params.probability = 0.25;
        params.seed = seed;
        struct graph *graph = create(params);
        assert_sound(graph, params.rate);
        graph_destroy(graph);
    }
}

/* Of 6 workers with degree 3 there are 70 labelled graphs: 60 prisms and 10 K(3,3), which have no triangle. Drawn
 * uniformly, 1 in 7 is a K(3,3): of 2100 draws 300 ± 16, and the bound is four deviations. */
static void random_regular_is_uniform(void **state)
{
    (void)state;
    int bipartite = 0;
    for (uint64_t seed = 0; seed < 2100; seed++) {
        struct graph_params params = params_of("random-regular", 6);
        params.degree = 3;
        params.seed = seed;
        struct graph *graph = create(params);
        int adjacent[6][6] = {{0}}, triangles = 0;
        for (int e = 0; e < graph->edge_count; e++)
            adjacent[graph->edges[e].a][graph->edges[e].b] = 1;
        for (int i = 0; i < 6; i++)
            for (int j = i + 1; j < 6; j++)
                for (int k = j + 1; k < 6; k++)
                    triangles += adjacent[i][j] && adjacent[j][k] && adjacent[i][k];
        bipartite += triangles == 0;
        graph_destroy(graph);
    }
    assert_in_range(bipartite, 300 - 64, 300 + 64);
}

static void destroy_takes_null(void **state)
{
    (void)state;
    graph_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_at_every_count),
        cmocka_unit_test(families_have_their_edges),
        cmocka_unit_test(refused_counts_name_the_nearest),
        cmocka_unit_test(bad_parameters_are_refused),
        cmocka_unit_test(rate_zero_silences_all_edges),
        cmocka_unit_test(random_families_follow_their_seed),
        cmocka_unit_test(random_families_are_golden),
        cmocka_unit_test(random_regular_has_its_degree),
        cmocka_unit_test(random_regular_is_uniform),
        cmocka_unit_test(large_random_regular_is_regular),
        cmocka_unit_test(large_erdos_renyi_has_its_probability),
        cmocka_unit_test(too_many_edges_are_refused),
        cmocka_unit_test(sparse_erdos_renyi_connects),
        cmocka_unit_test(destroy_takes_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
