/* How a graph comes to be: what the families, the random families and the edge-list reader hand to graph.c.
 *
 * A builder only lists edges; graph.c sorts them, merges doubles, checks that they connect, and sets the rates.
 * To add a family, write one builder and its line in GRAPH_FAMILIES (graph_families.c). */
#ifndef GRAPEVINE_GRAPH_GRAPH_BUILD_H
#define GRAPEVINE_GRAPH_GRAPH_BUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "graph/graph.h"

/* Start with {0}. */
struct edge_list {
    struct graph_edge *edges; /* owned */
    size_t count, capacity;
};

/* List the edge of a and b, in either order. A self-loop is dropped and a double is merged later, so that a family
 * whose wrap-around meets itself (a torus side of 1 or 2) needs no special case. rate 0: graph.c sets it. */
void edge_list_add(struct edge_list *list, int a, int b, double rate);
void edge_list_release(struct edge_list *list);

/* The graph of a list of edges, which it takes: sorted, doubles merged, rates set where they are 0. STATUS_USAGE
 * (logged): it does not connect; the list is released. */
enum status graph_from_list(const char *name, struct edge_list *list, int worker_count, double rate,
                            struct graph **out);

/* Label each worker with the smallest id that it is connected to: part (worker_count). Returns the number of parts. */
int edge_list_parts(const struct edge_list *list, int worker_count, int *part);

/* Build the family params->name for 3 workers or more; logs one message and fails where it cannot. */
enum status graph_family_build(const struct graph_params *params, struct edge_list *list);

/* Seeded and connected; both take streams (seed, RANDOM_GRAPH, 0, attempt) until a graph connects. */
enum status graph_build_random_regular(const struct graph_params *params, struct edge_list *list);
enum status graph_build_erdos_renyi(const struct graph_params *params, struct edge_list *list);

/* Read params->file; worker_count is the file's where params has 0. Every edge has a rate (the file's times
 * params->rate), or every rate is 0. */
enum status graph_file_read(const struct graph_params *params, struct edge_list *list, int *worker_count);

#endif
