/* The random families of more workers than all pairs can be looked at: expected time linear in workers and edges.
 *
 * They are other draws than those of graph_random.c, whose graphs are part of recorded runs; so graph_is_large is a
 * fixed bound, and the graphs of a seed above it do not change either. */
#ifndef GRAPEVINE_GRAPH_GRAPH_LARGE_H
#define GRAPEVINE_GRAPH_GRAPH_LARGE_H

#include <stdbool.h>

#include "graph/graph_build.h"

/* More than 16384 workers. */
bool graph_is_large(const struct graph_params *params);

/* A regular graph of degree 3 to worker_count/64, simple and connected: stubs are paired by a shuffle, and the few
 * pairs that are loops or doubles are switched with random others. Nearly uniform: switching a share of order
 * degree²/edges of the pairs is all that tells it from a uniform draw. */
void graph_draw_pairing(const struct graph_params *params, struct edge_list *list);

/* Every pair with params->probability, by the gaps between the pairs that are drawn (Batagelj and Brandes 2005).
 * False as soon as a worker has no edge. `met` (worker_count) is scratch. */
bool graph_draw_skipping(const struct graph_params *params, uint64_t attempt, bool *met, struct edge_list *list);

#endif
