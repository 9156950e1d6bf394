/* The Poisson clocks of one worker: for every edge it has, one of rate λ_ij/2 in the worker's own gradient
 * time. The two halves of an edge superpose to λ_ij, and nobody has to coordinate. */
#ifndef GRAPEVINE_GRAPH_EDGE_CLOCK_H
#define GRAPEVINE_GRAPH_EDGE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "graph/graph.h"

struct edge_clock {
    int degree;                    /* neighbors */
    double *rates;                 /* owned, (degree): λ_ij/2 */
    double *next;                  /* owned, (degree): time of the next tick */
    struct random_stream *streams; /* owned, (degree): one per half edge, named by (seed, worker, neighbor) */
};

void edge_clock_init(struct edge_clock *clock, const struct graph *graph, int worker, uint64_t seed);
/* The same, of clocks that are started at time t: none ticks before it. */
void edge_clock_init_at(struct edge_clock *clock, const struct graph *graph, int worker, uint64_t seed, double t);
void edge_clock_release(struct edge_clock *clock);

/* When the next tick is due: INFINITY without neighbors, or where nobody ever meets. */
double edge_clock_next(const struct edge_clock *clock);
/* The earliest tick at or before time t: stores the index of the neighbor (into graph_neighbors) and true, and draws
 * that edge's next tick; false when none is due. Call until false. */
bool edge_clock_tick(struct edge_clock *clock, double t, int *neighbor);

#endif
