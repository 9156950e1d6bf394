/* The families that are drawn by chance. The draws use integers and comparisons only, so that the same seed gives
 * the same graph on every machine: the ranks of one run build it each for itself. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "graph/graph_build.h"
#include "graph/graph_large.h"

/* The bits of all pairs take n²/8 bytes, the edges of degree n/64 and more at least twice that in the end. */
enum { TRIES_MAX = 1000, SWITCHES_PER_EDGE = 20, SPARSE_SHARE = 64 };

/* Adjacency of all pairs, one bit each: (worker_count, worker_count), both orders. */
struct pair_set {
    uint64_t *bits; /* owned */
    size_t worker_count;
};

static bool pair_has(const struct pair_set *set, int a, int b)
{
    size_t place = (size_t)a * set->worker_count + (size_t)b;
    return (set->bits[place / 64] >> (place % 64) & 1) != 0;
}

static void pair_flip(struct pair_set *set, int a, int b)
{
    size_t place = (size_t)a * set->worker_count + (size_t)b, mirror = (size_t)b * set->worker_count + (size_t)a;
    set->bits[place / 64] ^= (uint64_t)1 << (place % 64);
    set->bits[mirror / 64] ^= (uint64_t)1 << (mirror % 64);
}

/* A connected regular graph without chance: i ± 1, …, ± degree/2, and the opposite worker for an odd degree. */
static void add_circulant(const struct graph_params *params, struct edge_list *list)
{
    int n = params->worker_count;
    for (int i = 0; i < n; i++)
        for (int hop = 1; hop <= params->degree / 2; hop++)
            edge_list_add(list, i, (i + hop) % n, 0);
    if (params->degree % 2 == 1)
        for (int i = 0; i < n / 2; i++)
            edge_list_add(list, i, i + n / 2, 0);
}

/* Replace edges (a,b), (c,d) by (a,d), (c,b) wherever that keeps the graph simple. This random walk over the graphs
 * of given degrees is symmetric, hence uniform in the limit, and needs no luck at any degree, unlike pairing. */
static void switch_edges(struct edge_list *list, struct pair_set *pairs, struct random_stream *stream)
{
    for (size_t trial = 0; trial < SWITCHES_PER_EDGE * list->count; trial++) {
        struct graph_edge *first = &list->edges[random_below(stream, (uint32_t)list->count)];
        struct graph_edge *second = &list->edges[random_below(stream, (uint32_t)list->count)];
        bool turned = random_below(stream, 2) == 1;
        int a = first->a, b = first->b, c = turned ? second->b : second->a, d = turned ? second->a : second->b;
        if (a == d || c == b || pair_has(pairs, a, d) || pair_has(pairs, c, b))
            continue;
        pair_flip(pairs, a, b);
        pair_flip(pairs, c, d);
        pair_flip(pairs, a, d);
        pair_flip(pairs, c, b);
        *first = (struct graph_edge){.a = a, .b = d};
        *second = (struct graph_edge){.a = c, .b = b};
    }
}

/* A connected graph of degree 2 is a ring, so it is drawn as one: switching would rarely leave a long one whole. */
static void add_shuffled_ring(const struct graph_params *params, struct edge_list *list)
{
    int n = params->worker_count;
    uint32_t *order = memory_zalloc((size_t)n, sizeof *order);
    for (int i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    struct random_stream stream = random_stream(params->seed, RANDOM_GRAPH, 0, 0);
    random_shuffle(&stream, order, (size_t)n);
    for (int i = 0; i < n; i++)
        edge_list_add(list, (int)order[i], (int)order[(i + 1) % n], 0);
    free(order);
}

enum status graph_build_random_regular(const struct graph_params *params, struct edge_list *list)
{
    if (params->degree == 2) {
        add_shuffled_ring(params, list);
        return STATUS_OK;
    }
    if (graph_is_large(params) && params->degree < params->worker_count / SPARSE_SHARE) {
        graph_draw_pairing(params, list);
        return STATUS_OK;
    }
    size_t n = (size_t)params->worker_count;
    struct pair_set pairs = {.bits = memory_zalloc(n * n / 64 + 1, sizeof *pairs.bits), .worker_count = n};
    int *part = memory_zalloc(n, sizeof *part);
    add_circulant(params, list);
    for (size_t e = 0; e < list->count; e++)
        pair_flip(&pairs, list->edges[e].a, list->edges[e].b);
    /* From degree 3 on nearly all regular graphs connect (least often degree 3 on 8 workers: 19,320 of 19,355), so
     * the bound is never met. */
    int parts = 0;
    for (uint64_t attempt = 0; attempt < TRIES_MAX && parts != 1; attempt++) {
        struct random_stream stream = random_stream(params->seed, RANDOM_GRAPH, 0, attempt);
        switch_edges(list, &pairs, &stream);
        parts = edge_list_parts(list, params->worker_count, part);
    }
    assert(parts == 1);
    free(part);
    free(pairs.bits);
    /* Switching leaves the ends of an edge in any order. */
    for (size_t e = 0; e < list->count; e++) {
        struct graph_edge *edge = &list->edges[e];
        if (edge->a > edge->b)
            *edge = (struct graph_edge){.a = edge->b, .b = edge->a};
    }
    return STATUS_OK;
}

/* Every pair with the given probability; false as soon as a worker is left without any edge, since the graph cannot
 * connect then: that makes hopeless tries cheap. `met` (worker_count) is scratch. */
static bool draw_pairs(const struct graph_params *params, uint64_t attempt, bool *met, struct edge_list *list)
{
    int n = params->worker_count;
    struct random_stream stream = random_stream(params->seed, RANDOM_GRAPH, 0, attempt);
    memset(met, 0, (size_t)n * sizeof *met);
    list->count = 0;
    for (int i = 0; i < n; i++) {
        for (int j = i + 1; j < n; j++)
            if (random_uniform(&stream) < params->probability) {
                edge_list_add(list, i, j, 0);
                met[i] = met[j] = true;
            }
        if (!met[i])
            return false;
    }
    return true;
}

enum status graph_build_erdos_renyi(const struct graph_params *params, struct edge_list *list)
{
    int n = params->worker_count;
    if (!(params->probability > 0 && params->probability <= 1)) {
        log_error("graph.probability = %g: it must be greater than 0 and at most 1", params->probability);
        return STATUS_USAGE;
    }
    int *part = memory_zalloc((size_t)n, sizeof *part);
    bool *met = memory_zalloc((size_t)n, sizeof *met);
    bool connected = false;
    for (uint64_t attempt = 0; attempt < TRIES_MAX && !connected; attempt++)
        connected = (graph_is_large(params) ? graph_draw_skipping : draw_pairs)(params, attempt, met, list) &&
                    edge_list_parts(list, n, part) == 1;
    free(met);
    free(part);
    if (connected)
        return STATUS_OK;
    log_error("graph erdos-renyi: none of %d draws of %d workers with graph.probability = %g connected; take more than "
              "log(n)/n = %.4g",
              TRIES_MAX, n, params->probability, log(n) / n);
    return STATUS_USAGE;
}
