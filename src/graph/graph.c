/* The container of a communication graph: sorted edges, neighbor lists, connectivity, rates.
 * Which edges there are is the business of graph_families.c, graph_random.c and graph_file.c. */
#include "graph/graph.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "graph/graph_build.h"

enum { PARTS_SHOWN = 4, WORKERS_SHOWN = 8 };

void edge_list_add(struct edge_list *list, int a, int b, double rate)
{
    if (a == b)
        return;
    if (list->count == list->capacity) {
        list->capacity = list->capacity > 0 ? 2 * list->capacity : 64;
        list->edges = memory_realloc(list->edges, list->capacity, sizeof *list->edges);
    }
    list->edges[list->count++] = (struct graph_edge){.a = a < b ? a : b, .b = a < b ? b : a, .rate = rate};
}

void edge_list_release(struct edge_list *list)
{
    free(list->edges);
    *list = (struct edge_list){0};
}

static int part_root(int *part, int worker)
{
    while (part[worker] != worker)
        worker = part[worker] = part[part[worker]];
    return worker;
}

int edge_list_parts(const struct edge_list *list, int worker_count, int *part)
{
    int parts = worker_count;
    for (int i = 0; i < worker_count; i++)
        part[i] = i;
    for (size_t e = 0; e < list->count; e++) {
        int a = part_root(part, list->edges[e].a), b = part_root(part, list->edges[e].b);
        if (a != b) {
            part[a < b ? b : a] = a < b ? a : b;
            parts--;
        }
    }
    for (int i = 0; i < worker_count; i++)
        part[i] = part_root(part, i);
    return parts;
}

static int compare_edges(const struct graph_edge *x, const struct graph_edge *y)
{
    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    return (x->b > y->b) - (x->b < y->b);
}

/* One pass of a counting sort by the lower or the upper end: from `from` to `to` (count), equal ends in their order.
 * `position` (worker_count + 1) is scratch. */
static void sort_by_end(const struct graph_edge *from, struct graph_edge *to, size_t count, bool upper,
                        uint32_t *position, int worker_count)
{
    memset(position, 0, ((size_t)worker_count + 1) * sizeof *position);
    for (size_t e = 0; e < count; e++)
        position[(upper ? from[e].b : from[e].a) + 1]++;
    for (int i = 0; i < worker_count; i++)
        position[i + 1] += position[i];
    for (size_t e = 0; e < count; e++)
        to[position[upper ? from[e].b : from[e].a]++] = from[e];
}

static bool is_sorted(const struct edge_list *list)
{
    for (size_t e = 1; e < list->count; e++)
        if (compare_edges(&list->edges[e - 1], &list->edges[e]) > 0)
            return false;
    return true;
}

/* By (a, b): first by b, then, keeping that order, by a. */
static void sort_edges(struct edge_list *list, int worker_count)
{
    if (is_sorted(list))
        return;
    struct graph_edge *other = memory_realloc(NULL, list->count, sizeof *other);
    uint32_t *position = memory_zalloc((size_t)worker_count + 1, sizeof *position);
    sort_by_end(list->edges, other, list->count, true, position, worker_count);
    sort_by_end(other, list->edges, list->count, false, position, worker_count);
    free(position);
    free(other);
}

static void sort_and_merge(struct edge_list *list, int worker_count)
{
    if (list->count == 0)
        return;
    sort_edges(list, worker_count);
    size_t kept = 1;
    for (size_t e = 1; e < list->count; e++)
        if (compare_edges(&list->edges[kept - 1], &list->edges[e]) != 0)
            list->edges[kept++] = list->edges[e];
    list->count = kept;
}

static void add_part(struct text *text, const int *part, int worker_count, int root)
{
    int shown = 0;
    text_add(text, "{");
    for (int i = root; i < worker_count && shown <= WORKERS_SHOWN; i++)
        if (part[i] == root) {
            text_add(text, shown == WORKERS_SHOWN ? " ..." : shown > 0 ? " %d" : "%d", i);
            shown++;
        }
    text_add(text, "}");
}

static void report_parts(const char *name, const int *part, int worker_count, int parts)
{
    struct text text = {0};
    int shown = 0;
    for (int i = 0; i < worker_count && shown < PARTS_SHOWN; i++)
        if (part[i] == i) {
            text_add(&text, "%s", shown == 0 ? "" : shown + 1 == parts ? " and " : ", ");
            add_part(&text, part, worker_count, i);
            shown++;
        }
    if (parts > shown)
        text_add(&text, " and %d more", parts - shown);
    log_error("%s: the graph is not connected: its %d parts are %s; add edges between them", name, parts,
              text_view(&text));
    text_release(&text);
}

static enum status check_connected(const char *name, const struct edge_list *list, int worker_count)
{
    int *part = memory_zalloc((size_t)worker_count, sizeof *part);
    int parts = edge_list_parts(list, worker_count, part);
    if (parts > 1)
        report_parts(name, part, worker_count, parts);
    free(part);
    return parts > 1 ? STATUS_USAGE : STATUS_OK;
}

/* Offsets are counted first and then used as write positions. As the edges are sorted by (a, b), each worker first
 * gets its neighbors below it and then those above it, both ascending. */
static void link_neighbors(struct graph *graph)
{
    graph->neighbors = memory_zalloc(2 * (size_t)graph->edge_count, sizeof *graph->neighbors);
    graph->neighbor_start = memory_zalloc((size_t)graph->worker_count + 1, sizeof *graph->neighbor_start);
    for (int e = 0; e < graph->edge_count; e++) {
        graph->neighbor_start[graph->edges[e].a + 1]++;
        graph->neighbor_start[graph->edges[e].b + 1]++;
    }
    for (int i = 0; i < graph->worker_count; i++)
        graph->neighbor_start[i + 1] += graph->neighbor_start[i];
    int *position = memory_zalloc((size_t)graph->worker_count, sizeof *position);
    memcpy(position, graph->neighbor_start, (size_t)graph->worker_count * sizeof *position);
    for (int e = 0; e < graph->edge_count; e++) {
        int a = graph->edges[e].a, b = graph->edges[e].b;
        graph->neighbors[position[a]++] = (struct graph_neighbor){.worker = b, .edge = e};
        graph->neighbors[position[b]++] = (struct graph_neighbor){.worker = a, .edge = e};
    }
    free(position);
}

/* Each worker offers half its rate evenly to its edges, so the mean over workers of Σ_j λ_ij is `rate`. */
static void set_rates(struct graph *graph, double rate)
{
    for (int e = 0; e < graph->edge_count; e++) {
        struct graph_edge *edge = &graph->edges[e];
        if (edge->rate == 0)
            edge->rate = 0.5 * (rate / graph_degree(graph, edge->a) + rate / graph_degree(graph, edge->b));
    }
}

static enum status check_params(const struct graph_params *params, bool from_file)
{
    if (!(params->rate >= 0) || !isfinite(params->rate)) {
        log_error("communication.rate = %g: it must be a finite number, 0 or more", params->rate);
        return STATUS_USAGE;
    }
    if (params->worker_count < (from_file ? 0 : 1) || params->worker_count > GRAPH_WORKERS_MAX) {
        log_error("graph %s: %d workers: a graph has 1 to %d", params->name, params->worker_count, GRAPH_WORKERS_MAX);
        return STATUS_USAGE;
    }
    return STATUS_OK;
}

enum status graph_from_list(const char *name, struct edge_list *list, int worker_count, double rate, struct graph **out)
{
    sort_and_merge(list, worker_count);
    enum status status = check_connected(name, list, worker_count);
    if (status != STATUS_OK) {
        edge_list_release(list);
        return status;
    }
    struct graph *graph = memory_zalloc(1, sizeof *graph);
    graph->name = memory_copy_text(name);
    graph->worker_count = worker_count;
    graph->edge_count = (int)list->count;
    graph->edges = list->edges;
    graph->rates_given = list->count > 0 && list->edges[0].rate > 0;
    link_neighbors(graph);
    set_rates(graph, rate);
    *out = graph;
    return STATUS_OK;
}

enum status graph_create(const struct graph_params *params, struct graph **out)
{
    enum status status = STATUS_OK;
    struct edge_list list = {0};
    bool from_file = strcmp(params->name, "file") == 0;
    const char *name = from_file ? params->file : params->name;
    int worker_count = params->worker_count;
    TRY(check_params(params, from_file));
    if (from_file)
        TRY_GOTO(graph_file_read(params, &list, &worker_count), release_list);
    else
        TRY_GOTO(graph_family_build(params, &list), release_list);
    return graph_from_list(name, &list, worker_count, params->rate, out);

release_list:
    edge_list_release(&list);
    return status;
}

void graph_destroy(struct graph *graph)
{
    if (graph == NULL)
        return;
    free(graph->name);
    free(graph->edges);
    free(graph->neighbors);
    free(graph->neighbor_start);
    free(graph);
}

double graph_mean_rate(const struct graph *graph)
{
    double sum = 0;
    for (int e = 0; e < graph->edge_count; e++)
        sum += graph->edges[e].rate;
    return 2 * sum / graph->worker_count;
}

int graph_degree(const struct graph *graph, int worker)
{
    assert(worker >= 0 && worker < graph->worker_count);
    return graph->neighbor_start[worker + 1] - graph->neighbor_start[worker];
}

const struct graph_neighbor *graph_neighbors(const struct graph *graph, int worker)
{
    assert(worker >= 0 && worker < graph->worker_count);
    return graph->neighbors + graph->neighbor_start[worker];
}
