/* graph_survivors of graph/graph.h: the graph that is left when workers have died. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/log.h"
#include "base/random.h"
#include "graph/graph.h"

static struct graph_params params_of(const char *name, int worker_count)
{
    return (struct graph_params){
        .name = name, .worker_count = worker_count, .rate = 1.5, .degree = 3, .probability = 0.3, .seed = 1};
}

static void assert_survivors(const struct graph *graph, const bool *dead, double rate)
{
    int vertex[40], living = 0;
    struct graph *left = graph_survivors(graph, dead), *again = graph_survivors(graph, dead);
    for (int i = 0; i < graph->worker_count; i++)
        vertex[i] = dead[i] ? -1 : living++;
    assert_int_equal(left->worker_count, living);
    int kept = 0, reached = 1, part[40] = {0};
    for (int e = 0; e < graph->edge_count; e++) { /* those between the living stay */
        int a = vertex[graph->edges[e].a], b = vertex[graph->edges[e].b], found = 0;
        for (int k = 0; k < left->edge_count; k++)
            found += left->edges[k].a == a && left->edges[k].b == b;
        assert_int_equal(found, a >= 0 && b >= 0);
        kept += found;
    }
    assert_true(left->edge_count >= kept);
    for (part[0] = 1; reached < living;) { /* connected */
        int before = reached;
        for (int e = 0; e < left->edge_count; e++) {
            int *a = &part[left->edges[e].a], *b = &part[left->edges[e].b];
            reached += *a != *b;
            *a = *b = *a | *b;
        }
        assert_true(reached > before);
    }
    double sum = 0;
    for (int e = 0; e < left->edge_count; e++) {
        const struct graph_edge *edge = &left->edges[e];
        double wanted = rate / 2 * (1.0 / graph_degree(left, edge->a) + 1.0 / graph_degree(left, edge->b));
        assert_true(fabs(edge->rate - wanted) < 1e-12);
        sum += edge->rate;
        assert_memory_equal(edge, &again->edges[e], sizeof *edge);
    }
    assert_true(living == 1 || fabs(2 * sum / living - rate) < 1e-12);
    graph_destroy(again);
    graph_destroy(left);
}

/* Of every family, whoever dies: the rest connects, keeps its edges and its mean rate. */
static void survivors_stay_connected(void **state)
{
    (void)state;
    for (const char *const *name = graph_family_names(); *name != NULL; name++)
        for (int n = 2; n <= 32; n = n < 8 ? n + 2 : 2 * n) {
            struct graph_params params = params_of(*name, n);
            struct graph *graph;
            log_hold(true);
            bool exists = graph_create(&params, &graph) == STATUS_OK; /* else this family has no such count */
            log_hold(false);
            if (!exists)
                continue;
            for (uint64_t seed = 0; seed < 60; seed++) {
                struct random_stream stream = random_stream(seed, RANDOM_TEST, 5, 0);
                bool dead[40] = {false};
                for (uint32_t k = random_below(&stream, (uint32_t)n); k > 0; k--)
                    dead[random_below(&stream, (uint32_t)n)] = true;
                assert_survivors(graph, dead, params.rate);
            }
            graph_destroy(graph);
        }
}

/* What stands in the header: a ring stays one; those around a hub become one; two that are left meet. */
static void survivors_close_the_ring(void **state)
{
    (void)state;
    const bool second[] = {false, true, false, false, false}, opposite[] = {false, true, false, true};
    const bool hub[] = {true, false, false, false, false};
    struct graph_params ring5 = params_of("ring", 5), ring4 = params_of("ring", 4), star = params_of("star", 5);
    struct graph *graph[3], *left[3];
    assert_int_equal(graph_create(&ring5, &graph[0]), STATUS_OK);
    assert_int_equal(graph_create(&ring4, &graph[1]), STATUS_OK);
    assert_int_equal(graph_create(&star, &graph[2]), STATUS_OK);
    left[0] = graph_survivors(graph[0], second);
    left[1] = graph_survivors(graph[1], opposite);
    left[2] = graph_survivors(graph[2], hub);
    for (int i = 0; i < 4; i++)
        assert_int_equal(graph_degree(left[0], i), 2);
    assert_int_equal(left[1]->edge_count, 1);
    assert_int_equal(left[2]->edge_count, 4);
    for (int k = 0; k < 3; k++) {
        graph_destroy(left[k]);
        graph_destroy(graph[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survivors_stay_connected),
        cmocka_unit_test(survivors_close_the_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
