/* Classes of edges that symmetries of the graph map onto one another: a union-find over the edges. A map of the ids
 * counts only after every edge was seen to have an image of the same rate, so no class rests on a family's name. */
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"
#include "graph/spectrum_parts.h"

static int representative(int *same_as, int edge)
{
    while (same_as[edge] != edge) {
        same_as[edge] = same_as[same_as[edge]];
        edge = same_as[edge];
    }
    return edge;
}

static void join(int *same_as, int edge, int other)
{
    int a = representative(same_as, edge), b = representative(same_as, other);
    if (a < b)
        same_as[b] = a;
    else
        same_as[a] = b;
}

/* The edge of two workers; −1 where there is none. */
static int find_edge(const struct laplacian *laplacian, int worker, int neighbor)
{
    int low = laplacian->start[worker], high = laplacian->start[worker + 1] - 1;
    while (low <= high) {
        int middle = low + (high - low) / 2;
        if (laplacian->column[middle] == neighbor)
            return laplacian->edge[middle];
        if (laplacian->column[middle] < neighbor)
            low = middle + 1;
        else
            high = middle - 1;
    }
    return -1;
}

/* The ids i + shift modulo n, or i with some bits flipped. */
struct id_map {
    int worker_count, shift, flip;
};

static int image_of(const struct id_map *map, int worker)
{
    return map->flip != 0 ? worker ^ map->flip : (worker + map->shift) % map->worker_count;
}

static int edge_image(const struct laplacian *laplacian, const struct id_map *map, int edge)
{
    const struct graph_edge *from = &laplacian->edges[edge];
    int to = find_edge(laplacian, image_of(map, from->a), image_of(map, from->b));
    return to >= 0 && laplacian->edges[to].rate == from->rate ? to : -1;
}

static void join_images(const struct laplacian *laplacian, const struct id_map *map, int *same_as)
{
    for (int e = 0; e < laplacian->edge_count; e++)
        if (edge_image(laplacian, map, e) < 0)
            return;
    for (int e = 0; e < laplacian->edge_count; e++)
        join(same_as, e, edge_image(laplacian, map, e));
}

/* --- workers with the same neighbors: exchanging the two is a symmetry --- */

struct signature {
    uint64_t neighbors; /* equal for equal sets of neighbors */
    int worker;
};

/* The mixing function of SplitMix64 (Steele, Lea, Flood 2014): sums of its values tell sets apart. */
static uint64_t mixed(int worker)
{
    uint64_t z = ((uint64_t)worker + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int compare_signatures(const void *left, const void *right)
{
    const struct signature *a = left, *b = right;
    if (a->neighbors != b->neighbors)
        return a->neighbors < b->neighbors ? -1 : 1;
    return (a->worker > b->worker) - (a->worker < b->worker);
}

/* Walks both rows, each without the other worker. Joins where `same_as` is not NULL; else only compares. */
static bool rows_agree(const struct laplacian *laplacian, int a, int b, int *same_as)
{
    int j = laplacian->start[a], k = laplacian->start[b];
    int j_end = laplacian->start[a + 1], k_end = laplacian->start[b + 1];
    for (;; j++, k++) {
        j += j < j_end && laplacian->column[j] == b;
        k += k < k_end && laplacian->column[k] == a;
        if (j == j_end || k == k_end)
            return j == j_end && k == k_end;
        if (same_as != NULL)
            join(same_as, laplacian->edge[j], laplacian->edge[k]);
        else if (laplacian->column[j] != laplacian->column[k] || laplacian->rate[j] != laplacian->rate[k])
            return false;
    }
}

/* closed: each worker counts as its own neighbor, as in a complete graph; else as among the leaves of a star. */
static void join_twins(const struct laplacian *laplacian, bool closed, int *same_as)
{
    int n = laplacian->worker_count;
    struct signature *signatures = memory_zalloc((size_t)n, sizeof *signatures);
    for (int i = 0; i < n; i++) {
        signatures[i] = (struct signature){.neighbors = closed ? mixed(i) : 0, .worker = i};
        for (int k = laplacian->start[i]; k < laplacian->start[i + 1]; k++)
            signatures[i].neighbors += mixed(laplacian->column[k]);
    }
    qsort(signatures, (size_t)n, sizeof *signatures, compare_signatures);
    for (int i = 1; i < n; i++) {
        int a = signatures[i - 1].worker, b = signatures[i].worker;
        if (signatures[i - 1].neighbors == signatures[i].neighbors && rows_agree(laplacian, a, b, NULL))
            rows_agree(laplacian, a, b, same_as);
    }
    free(signatures);
}

int edge_classes(const struct laplacian *laplacian, int *same_as)
{
    int n = laplacian->worker_count, count = 0;
    for (int e = 0; e < laplacian->edge_count; e++)
        same_as[e] = e;
    join_images(laplacian, &(struct id_map){.worker_count = n, .shift = 1}, same_as);
    if ((n & (n - 1)) == 0)
        for (int flip = 1; flip < n; flip *= 2)
            join_images(laplacian, &(struct id_map){.worker_count = n, .flip = flip}, same_as);
    join_twins(laplacian, false, same_as);
    join_twins(laplacian, true, same_as);
    for (int e = 0; e < laplacian->edge_count; e++) {
        same_as[e] = representative(same_as, e);
        count += same_as[e] == e;
    }
    return count;
}
