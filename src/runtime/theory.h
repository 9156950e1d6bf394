/* What the mathematics promises of a run, beside what comes of it: the consensus distance that updates of the present
 * size lead to, χ1 and χ2 of the rates at which edges really meet, and a warning when the two part.
 *
 * Private to the runtimes. One per process; calls come from one thread; nothing is allocated after theory_create. */
#ifndef GRAPEVINE_SRC_RUNTIME_THEORY_H
#define GRAPEVINE_SRC_RUNTIME_THEORY_H

#include <stdbool.h>
#include <stdint.h>

#include "graph/graph.h"
#include "graph/mixing.h"
#include "graph/spectrum.h"

struct theory;

/* The graph is borrowed; its rates are what is promised. */
struct theory *theory_create(const struct graph *graph, const struct mixing_params *params);
void theory_destroy(struct theory *theory); /* NULL is fine */

/* The level of (1/n) Σ ‖x_i − x̄‖² at which updates of this mean square (γ²‖m‖²: learning rate and momentum) and
 * meetings balance; NAN where it is not known, INFINITY where there is none (graph/mixing.h). */
double theory_consensus(const struct theory *theory, double update_mean_square);
/* (1/n) Σ ‖x_i − x̄‖² as estimated from the mean of ½‖x_i − x_j‖² over meetings: neighbors are nearer to each other
 * than to the mean, by a factor that follows from the graph and the dynamic; 1 where it is not known. */
double theory_consensus_of_pairs(const struct theory *theory, double pair_distance);

/* χ1, χ2 of the rates at which edges have met: meetings (edge_count, in the order of graph.edges), own_time
 * (worker_count): units that each worker has lived, which are gradients it has done. Edge (i, j) meets at λ_ij per unit
 * of the mean of both, so its realised rate is meetings/(½(t_i + t_j)). Fields are NAN where that says nothing yet
 * (a time of 0), INFINITY where the edges that have met do not connect all workers. */
struct spectrum theory_realised(struct theory *theory, const uint64_t *meetings, const double *own_time);

/* Warn once, of the process's lifetime, when edges lag: an edge has met less than half as often as promised, and by
 * more than four standard deviations of a Poisson count. At most three are named, the slowest first. `worker` −1: all
 * edges are looked at; else only this worker's, and only they and the times of their ends need to be known. Returns
 * whether it has warned now. */
bool theory_watch_edges(struct theory *theory, int worker, const uint64_t *meetings, const double *own_time);

/* Warn once when the consensus distance is more than four times the level, in five calls in a row. `t`: own time, or
 * the workers' mean, never decreasing. When updates shrink (the learning rate steps down), what they had built up
 * before may take its time to go: the level compared with falls no faster than mixing lets it. NAN or INFINITY for
 * either distance: nothing is concluded. Returns whether it has warned now. */
bool theory_watch_consensus(struct theory *theory, double t, double consensus_distance, double update_mean_square);

#endif
