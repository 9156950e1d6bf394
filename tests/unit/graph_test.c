/* graph/graph.h: every family at every count up to 40, refused counts, edge lists and what is wrong with them. */
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

#include "graph/graph.h"

enum { COUNT_MAX = 40, MESSAGE_BYTES = 4096 };

static char path[] = "/tmp/graph_test_XXXXXX"; /* the edge list under test */

static struct graph_params params_of(const char *name, int worker_count)
{
    return (struct graph_params){
        .name = name, .worker_count = worker_count, .rate = 1.5, .degree = 4, .probability = 0.5, .seed = 7};
}

static struct graph *create(struct graph_params params)
{
    struct graph *graph = NULL;
    assert_int_equal(graph_create(&params, &graph), STATUS_OK);
    assert_non_null(graph);
    return graph;
}

/* Runs graph_create with standard error caught in `message`. */
static enum status create_caught(const struct graph_params *params, struct graph **graph, char *message)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    enum status status = graph_create(params, graph);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    size_t length = fread(message, 1, MESSAGE_BYTES - 1, file);
    message[length] = '\0';
    fclose(file);
    return status;
}

/* Refused with STATUS_USAGE, output untouched, and exactly one line that holds `part`. */
static void assert_refused(const struct graph_params *params, const char *part)
{
    struct graph *graph = NULL;
    char message[MESSAGE_BYTES];
    assert_int_equal(create_caught(params, &graph, message), STATUS_USAGE);
    assert_null(graph);
    if (strstr(message, part) == NULL)
        fail_msg("'%s' is not in: %s", part, message);
    assert_ptr_equal(strchr(message, '\n'), message + strlen(message) - 1);
}

static void write_file(const char *content, size_t bytes)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, bytes, file), bytes);
    fclose(file);
}

static struct graph_params file_params(const char *content, int worker_count)
{
    write_file(content, strlen(content));
    struct graph_params params = params_of("file", worker_count);
    params.file = path;
    return params;
}

static void assert_neighbors_consistent(const struct graph *graph)
{
    int seen = 0;
    for (int i = 0; i < graph->worker_count; i++) {
        const struct graph_neighbor *neighbors = graph_neighbors(graph, i);
        for (int k = 0; k < graph_degree(graph, i); k++, seen++) {
            const struct graph_edge *edge = &graph->edges[neighbors[k].edge];
            assert_int_not_equal(neighbors[k].worker, i);
            assert_int_equal(edge->a, i < neighbors[k].worker ? i : neighbors[k].worker);
            assert_int_equal(edge->b, i < neighbors[k].worker ? neighbors[k].worker : i);
            assert_true(k == 0 || neighbors[k - 1].worker < neighbors[k].worker);
        }
    }
    assert_int_equal(seen, 2 * graph->edge_count);
}

static void assert_connected(const struct graph *graph)
{
    int *queue = calloc((size_t)graph->worker_count, sizeof *queue), tail = 1;
    char *seen = calloc((size_t)graph->worker_count, 1);
    seen[0] = 1;
    for (int head = 0; head < tail; head++) {
        const struct graph_neighbor *neighbors = graph_neighbors(graph, queue[head]);
        for (int k = 0; k < graph_degree(graph, queue[head]); k++)
            if (!seen[neighbors[k].worker]) {
                seen[neighbors[k].worker] = 1;
                queue[tail++] = neighbors[k].worker;
            }
    }
    assert_int_equal(tail, graph->worker_count);
    free(seen);
    free(queue);
}

static void assert_sound(const struct graph *graph, double rate)
{
    double total = 0;
    for (int e = 0; e < graph->edge_count; e++) {
        const struct graph_edge *edge = &graph->edges[e];
        assert_true(0 <= edge->a && edge->a < edge->b && edge->b < graph->worker_count);
        assert_true(e == 0 || edge[-1].a < edge->a || (edge[-1].a == edge->a && edge[-1].b < edge->b));
        double wanted = rate * 0.5 * (1.0 / graph_degree(graph, edge->a) + 1.0 / graph_degree(graph, edge->b));
        assert_true(fabs(edge->rate - wanted) <= 1e-14 * rate);
        total += edge->rate;
    }
    if (graph->worker_count > 1)
        assert_true(fabs(2 * total / graph->worker_count - rate) <=
                    (1e-12 + graph->edge_count * 0x1p-53) * rate); /* mean over workers */
    assert_neighbors_consistent(graph);
    assert_connected(graph);
}

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

static void edge_list_without_rates(void **state)
{
    (void)state;
    struct graph_params params = file_params("# a square\n2 1\n\n 0\t1 # one side\r\n3 0\n2 3", 0);
    struct graph *graph = create(params);
    assert_int_equal(graph->worker_count, 4);
    assert_string_equal(graph->name, path);
    assert_int_equal(graph->edge_count, 4);
    assert_sound(graph, 1.5);
    graph_destroy(graph);
}

static void edge_list_with_rates_is_taken_as_it_is(void **state)
{
    (void)state;
    struct graph *graph = create(file_params("0 1 0.25\n1 2 3e0\n", 3));
    assert_int_equal(graph->edge_count, 2);
    assert_true(graph->edges[0].rate == 0.25 && graph->edges[1].rate == 3);
    assert_neighbors_consistent(graph);
    graph_destroy(graph);
}

static void malformed_edge_lists_name_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        int worker_count, line; /* line 0: of the file as a whole */
        const char *part;
    } cases[] = {
        {"0 1\n1 1\n", 2, 2, "self-loop"},
        {"0 1\n1 2\n0 1\n", 3, 3, "duplicate: the edge of 0 and 1 stands on line 1 already"},
        {"0 1\n1 2\n\n2 1\n", 3, 4, "duplicate: the edge of 1 and 2 stands on line 2 already"},
        {"0 -1\n", 2, 1, "worker -1 does not exist"},
        {"0 16777215\n", 0, 1, "worker 16777215 does not exist"},
        {"0 1\n1 5\n5 7\n", 4, 2, "worker 5 does not exist: this run has 4 workers, numbered from 0; the file needs 8"},
        {"0 1\n1 2\n", 4, 0, "worker 3 of this run's 4 would meet nobody; start 3 workers"},
        {"0 1\n1 2\n", 9, 0, "workers from 3 of this run's 9 would meet nobody"},
        {"0 1\n2\n", 3, 2, "worker 2 has no second number"},
        {"0 one\n", 2, 1, "'one' is not a worker's number"},
        {"0,1\n", 2, 1, "'0,1' is not a worker's number"},
        {"0 1.5\n", 2, 1, "'1.5' is not a worker's number"},
        {"0 1 fast\n", 2, 1, "'fast' is not a rate"},
        {"0 1 2 3\n", 2, 1, "'3' is too much"},
        {"0 1 0\n", 2, 1, "rate 0: it must be a finite number greater than 0"},
        {"0 1 -0.5\n", 2, 1, "rate -0.5"},
        {"0 1 inf\n", 2, 1, "rate inf"},
        {"0 1 nan\n", 2, 1, "rate nan"},
        {"0 1 1.0\n1 2\n", 3, 2, "this edge has no rate, but that of line 1 has one"},
        {"0 1\n1 2 1.0\n", 3, 2, "this edge has a rate, but that of line 1 has none"},
        {"", 0, 0, "the edge list is empty"},
        {"# nothing\n\n", 3, 0, "the edge list is empty"},
        {"0 1\n1 2\n3 4\n", 5, 0, "its 2 parts are {0 1 2} and {3 4}"},
        {"0 2\n", 0, 0, "its 2 parts are {0 2} and {1}"},
        {"0 1\n2 3\n4 5\n6 7\n8 9\n10 11\n", 0, 0, "its 6 parts are {0 1}, {2 3}, {4 5}, {6 7} and 2 more"},
        {"0 1\n1 2\n2 3\n3 4\n4 5\n5 6\n6 7\n7 8\n9 10\n", 0, 0, "{0 1 2 3 4 5 6 7 ...} and {9 10}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char place[64];
        struct graph_params params = file_params(cases[i].content, cases[i].worker_count);
        snprintf(place, sizeof place, cases[i].line > 0 ? "%s:%d: " : "%s: ", path, cases[i].line);
        assert_refused(&params, place);
        assert_refused(&params, cases[i].part);
    }
}

static void unreadable_edge_lists_are_refused(void **state)
{
    (void)state;
    struct graph_params params = params_of("file", 0);
    assert_refused(&params, "graph.file is not set");
    params.file = "/nonexistent/edges.txt";
    assert_refused(&params, "/nonexistent/edges.txt: cannot be opened: No such file");
    params.file = "/tmp";
    assert_refused(&params, "/tmp: cannot be read: Is a directory");
    write_file("0 1\n\0 2\n", 8);
    params.file = path;
    assert_refused(&params, ":2: a zero byte");
}

static void destroy_takes_null(void **state)
{
    (void)state;
    graph_destroy(NULL);
}

static int make_path(void **state)
{
    (void)state;
    int descriptor = mkstemp(path);
    return descriptor < 0 ? -1 : close(descriptor);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
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
        cmocka_unit_test(edge_list_without_rates),
        cmocka_unit_test(edge_list_with_rates_is_taken_as_it_is),
        cmocka_unit_test(malformed_edge_lists_name_file_and_line),
        cmocka_unit_test(unreadable_edge_lists_are_refused),
        cmocka_unit_test(destroy_takes_null),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
