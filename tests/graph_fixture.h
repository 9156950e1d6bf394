/* Graphs that are made or refused: for the tests of the graph layer. */
#ifndef GRAPEVINE_TESTS_GRAPH_FIXTURE_H
#define GRAPEVINE_TESTS_GRAPH_FIXTURE_H

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

enum { MESSAGE_BYTES = 4096 };

static inline struct graph_params params_of(const char *name, int worker_count)
{
    return (struct graph_params){
        .name = name, .worker_count = worker_count, .rate = 1.5, .degree = 4, .probability = 0.5, .seed = 7};
}

static inline struct graph *create(struct graph_params params)
{
    struct graph *graph = NULL;
    assert_int_equal(graph_create(&params, &graph), STATUS_OK);
    assert_non_null(graph);
    return graph;
}

/* Runs graph_create with standard error caught in `message`. */
static inline enum status create_caught(const struct graph_params *params, struct graph **graph, char *message)
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
static inline void assert_refused(const struct graph_params *params, const char *part)
{
    struct graph *graph = NULL;
    char message[MESSAGE_BYTES];
    assert_int_equal(create_caught(params, &graph, message), STATUS_USAGE);
    assert_null(graph);
    if (strstr(message, part) == NULL)
        fail_msg("'%s' is not in: %s", part, message);
    assert_ptr_equal(strchr(message, '\n'), message + strlen(message) - 1);
}

static inline void assert_neighbors_consistent(const struct graph *graph)
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

static inline void assert_connected(const struct graph *graph)
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

static inline void assert_sound(const struct graph *graph, double rate)
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

#endif
