/* The graph of those that are left when workers have died. */
#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "graph/graph_build.h"

/* A search through dead workers that are each other's neighbors. */
struct search {
    const struct graph *graph;
    const bool *dead;
    const int *vertex; /* number among the living */
    bool *seen;        /* owned (worker_count): dead workers that a search has reached */
    bool *met;         /* owned (worker_count): living ones that the present one has */
    int *waiting;      /* owned (worker_count): dead workers whose neighbors are still to be looked at */
    int *around;       /* owned (worker_count): the living ones that have been met, by their numbers */
};

static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Join the living neighbors of the dead that are reached from this one. */
static void heal(struct search *search, int from, struct edge_list *list)
{
    int waiting = 0, around = 0;
    search->seen[from] = true;
    search->waiting[waiting++] = from;
    while (waiting > 0) {
        int worker = search->waiting[--waiting];
        const struct graph_neighbor *neighbors = graph_neighbors(search->graph, worker);
        for (int k = 0; k < graph_degree(search->graph, worker); k++) {
            int other = neighbors[k].worker;
            if (search->dead[other] && !search->seen[other]) {
                search->seen[other] = true;
                search->waiting[waiting++] = other;
            } else if (!search->dead[other] && !search->met[other]) {
                search->met[other] = true;
                search->around[around++] = other;
            }
        }
    }
    qsort(search->around, (size_t)around, sizeof search->around[0], compare);
    for (int k = 0; k < around; k++) {
        edge_list_add(list, search->vertex[search->around[k]], search->vertex[search->around[(k + 1) % around]], 0);
        search->met[search->around[k]] = false;
    }
}

static void list_edges(const struct graph *graph, const bool *dead, const int *vertex, struct edge_list *list)
{
    size_t n = (size_t)graph->worker_count;
    struct search search = {.graph = graph, .dead = dead, .vertex = vertex};
    for (int e = 0; e < graph->edge_count; e++)
        if (!dead[graph->edges[e].a] && !dead[graph->edges[e].b])
            edge_list_add(list, vertex[graph->edges[e].a], vertex[graph->edges[e].b], 0);
    search.seen = memory_zalloc(n, sizeof search.seen[0]);
    search.met = memory_zalloc(n, sizeof search.met[0]);
    search.waiting = memory_zalloc(n, sizeof search.waiting[0]);
    search.around = memory_zalloc(n, sizeof search.around[0]);
    for (int i = 0; i < graph->worker_count; i++)
        if (dead[i] && !search.seen[i])
            heal(&search, i, list);
    free(search.seen);
    free(search.met);
    free(search.waiting);
    free(search.around);
}

struct graph *graph_survivors(const struct graph *graph, const bool *dead)
{
    int *vertex = memory_zalloc((size_t)graph->worker_count, sizeof vertex[0]);
    struct edge_list list = {0};
    struct graph *survivors = NULL;
    int living = 0;
    for (int i = 0; i < graph->worker_count; i++)
        vertex[i] = dead[i] ? -1 : living++;
    list_edges(graph, dead, vertex, &list);
    char *name = text_format("%d of %s", living, graph->name);
    enum status status = graph_from_list(name, &list, living, graph_mean_rate(graph), &survivors);
    assert(status == STATUS_OK); /* a path through the dead has become one along the ring around them */
    free(name);
    free(vertex);
    return survivors;
}
