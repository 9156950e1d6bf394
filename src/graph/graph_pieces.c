/* The biconnected components of a graph, as classes of edges. The cycle that an edge closes in a spanning tree is all
 * of one class, and two cycles that share an edge are; these unions make all the classes (the graph is connected). */
#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "graph/rate_program.h"

struct spanning_tree {
    int *parent, *parent_edge, *depth; /* owned, (worker_count); −1 at the root */
};

static void grow_tree(const struct graph *graph, struct spanning_tree *tree)
{
    size_t n = (size_t)graph->worker_count;
    int *queue = memory_zalloc(n, sizeof *queue), count = 1;
    *tree = (struct spanning_tree){.parent = memory_zalloc(n, sizeof(int)),
                                   .parent_edge = memory_zalloc(n, sizeof(int)),
                                   .depth = memory_zalloc(n, sizeof(int))};
    tree->parent[0] = tree->parent_edge[0] = -1;
    for (int k = 0; k < count; k++) {
        int worker = queue[k];
        const struct graph_neighbor *neighbors = graph_neighbors(graph, worker);
        for (int i = 0; i < graph_degree(graph, worker); i++) {
            int next = neighbors[i].worker;
            if (next == 0 || tree->depth[next] > 0)
                continue;
            tree->parent[next] = worker;
            tree->parent_edge[next] = neighbors[i].edge;
            tree->depth[next] = tree->depth[worker] + 1;
            queue[count++] = next;
        }
    }
    assert(count == graph->worker_count);
    free(queue);
}

static int class_of(int *classes, int edge)
{
    while (classes[edge] != edge)
        edge = classes[edge] = classes[classes[edge]];
    return edge;
}

/* All edges of the cycle that `edge` closes join its class. */
static void join_cycle(const struct graph *graph, const struct spanning_tree *tree, int edge, int *classes)
{
    int a = graph->edges[edge].a, b = graph->edges[edge].b;
    if (tree->parent_edge[a] == edge || tree->parent_edge[b] == edge)
        return;
    while (a != b) {
        int *lower = tree->depth[a] >= tree->depth[b] ? &a : &b;
        classes[class_of(classes, tree->parent_edge[*lower])] = class_of(classes, edge);
        *lower = tree->parent[*lower];
    }
}

/* Classes become numbers in the order of their first edges. */
static void number_pieces(const struct graph *graph, int *classes, struct graph_pieces *out)
{
    int *number = memory_zalloc((size_t)graph->edge_count, sizeof *number);
    for (int e = 0; e < graph->edge_count; e++) {
        int class = class_of(classes, e);
        if (number[class] == 0)
            number[class] = ++out->count;
        out->of_edge[e] = number[class] - 1;
    }
    free(number);
}

/* The tree's edges of a piece span it: as many as its workers, less one. */
static void count_ranks(const struct graph *graph, const struct spanning_tree *tree, struct graph_pieces *out)
{
    out->rank = memory_zalloc((size_t)out->count, sizeof *out->rank);
    for (int i = 1; i < graph->worker_count; i++)
        out->rank[out->of_edge[tree->parent_edge[i]]]++;
}

void graph_pieces_find(const struct graph *graph, struct graph_pieces *out)
{
    struct spanning_tree tree;
    int *classes = memory_zalloc((size_t)graph->edge_count, sizeof *classes);
    *out = (struct graph_pieces){.of_edge = memory_zalloc((size_t)graph->edge_count, sizeof *out->of_edge)};
    grow_tree(graph, &tree);
    for (int e = 0; e < graph->edge_count; e++)
        classes[e] = e;
    for (int e = 0; e < graph->edge_count; e++)
        join_cycle(graph, &tree, e, classes);
    number_pieces(graph, classes, out);
    count_ranks(graph, &tree, out);
    free(tree.parent);
    free(tree.parent_edge);
    free(tree.depth);
    free(classes);
}

void graph_pieces_release(struct graph_pieces *pieces)
{
    free(pieces->of_edge);
    free(pieces->rank);
    *pieces = (struct graph_pieces){0};
}
