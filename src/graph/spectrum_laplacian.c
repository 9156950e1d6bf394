/* Λ in compressed rows. Edges are sorted by (a, b), so one pass fills every row by ascending id. */
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "graph/spectrum_parts.h"

static void list_edges(struct laplacian *laplacian, const struct graph *graph, const double *rates)
{
    for (int e = 0; e < graph->edge_count; e++) {
        struct graph_edge edge = graph->edges[e];
        if (rates != NULL)
            edge.rate = rates[e];
        if (edge.rate > 0)
            laplacian->edges[laplacian->edge_count++] = edge;
    }
}

static void put(struct laplacian *laplacian, int *next, int row, int column, int edge)
{
    int at = next[row]++;
    laplacian->column[at] = column;
    laplacian->edge[at] = edge;
    laplacian->rate[at] = laplacian->edges[edge].rate;
    laplacian->degree[row] += laplacian->edges[edge].rate;
}

static void fill_rows(struct laplacian *laplacian)
{
    int n = laplacian->worker_count;
    int *next = memory_zalloc((size_t)n, sizeof *next);
    for (int e = 0; e < laplacian->edge_count; e++) {
        laplacian->start[laplacian->edges[e].a + 1]++;
        laplacian->start[laplacian->edges[e].b + 1]++;
    }
    for (int i = 0; i < n; i++) {
        laplacian->start[i + 1] += laplacian->start[i];
        next[i] = laplacian->start[i];
    }
    for (int e = 0; e < laplacian->edge_count; e++) {
        put(laplacian, next, laplacian->edges[e].a, laplacian->edges[e].b, e);
        put(laplacian, next, laplacian->edges[e].b, laplacian->edges[e].a, e);
    }
    free(next);
}

struct laplacian *laplacian_create(const struct graph *graph, const double *rates)
{
    struct laplacian *laplacian = memory_zalloc(1, sizeof *laplacian);
    size_t n = (size_t)graph->worker_count, entries = 2 * (size_t)graph->edge_count;
    *laplacian = (struct laplacian){
        .name = graph->name,
        .worker_count = graph->worker_count,
        .edges = memory_zalloc((size_t)graph->edge_count, sizeof *laplacian->edges),
        .start = memory_zalloc(n + 1, sizeof *laplacian->start),
        .column = memory_zalloc(entries, sizeof *laplacian->column),
        .edge = memory_zalloc(entries, sizeof *laplacian->edge),
        .rate = memory_zalloc(entries, sizeof *laplacian->rate),
        .degree = memory_zalloc(n, sizeof *laplacian->degree),
    };
    list_edges(laplacian, graph, rates);
    fill_rows(laplacian);
    return laplacian;
}

void laplacian_destroy(struct laplacian *laplacian)
{
    if (laplacian == NULL)
        return;
    free(laplacian->edges);
    free(laplacian->start);
    free(laplacian->column);
    free(laplacian->edge);
    free(laplacian->rate);
    free(laplacian->degree);
    free(laplacian);
}

bool laplacian_is_connected(const struct laplacian *laplacian)
{
    int n = laplacian->worker_count, found = 1;
    bool *seen = memory_zalloc((size_t)n, sizeof *seen);
    int *queue = memory_zalloc((size_t)n, sizeof *queue);
    seen[0] = true;
    for (int next = 0; next < found; next++)
        for (int k = laplacian->start[queue[next]]; k < laplacian->start[queue[next] + 1]; k++) {
            int neighbor = laplacian->column[k];
            if (!seen[neighbor])
                queue[found++] = neighbor;
            seen[neighbor] = true;
        }
    free(queue);
    free(seen);
    return found == n;
}

void laplacian_multiply(const struct laplacian *laplacian, const double *x, double *out)
{
    for (int i = 0; i < laplacian->worker_count; i++) {
        double sum = laplacian->degree[i] * x[i];
        for (int k = laplacian->start[i]; k < laplacian->start[i + 1]; k++)
            sum -= laplacian->rate[k] * x[laplacian->column[k]];
        out[i] = sum;
    }
}

enum status laplacian_report_unresolved(const struct laplacian *laplacian, const char *what)
{
    log_error("graph %s: %s: its rates lie too far apart to be resolved in double precision", laplacian->name, what);
    return STATUS_MACHINE;
}
