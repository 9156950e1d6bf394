/* The communication graph: which workers may meet, and how often.
 *
 * Vertices are workers 0..worker_count−1, edges are undirected, each stands once with a < b, sorted by (a, b).
 * `rate` is λ_ij: expected meetings of the edge per unit of time, where one unit is the expected duration
 * of one gradient (A²CiD², Nabli, Belilovsky, Oyallon, NeurIPS 2023). Knows nothing of parameters,
 * MPI or real time. */
#ifndef GRAPEVINE_GRAPH_GRAPH_H
#define GRAPEVINE_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* Random streams name fewer than 2^24 workers. Edges take 32 bytes each, so the most of them take 8 GiB. */
enum { GRAPH_WORKERS_MAX = (1 << 24) - 1, GRAPH_EDGES_MAX = 1 << 28 };

struct graph_edge {
    int a, b;    /* a < b */
    double rate; /* λ_ab, meetings per unit of time, ≥ 0: positive ones connect the graph, or all are 0 */
};

/* What worker i sees of its edge e. */
struct graph_neighbor {
    int worker;
    int edge; /* index into graph.edges */
};

struct graph {
    char *name;                       /* owned: family or file name */
    int worker_count;                 /* ≥ 1 */
    bool rates_given;                 /* by an edge list, times graph_params.rate; else graph_create chose them */
    int edge_count;                   /* 0 only for one worker, at most GRAPH_EDGES_MAX */
    struct graph_edge *edges;         /* owned, (edge_count) */
    struct graph_neighbor *neighbors; /* owned, (2·edge_count): worker 0's by ascending id, then worker 1's, … */
    int *neighbor_start;              /* owned, (worker_count + 1): offsets into `neighbors` */
};

struct graph_params {
    const char *name; /* a family of graph_family_names(), or "file" */
    const char *file; /* edge list, for name "file": "a b" or "a b rate" a line, and what else graph_file.c reads */
    int worker_count; /* 1 … GRAPH_WORKERS_MAX; for a file 0 means: the largest id + 1 */
    double rate;      /* communications per gradient and worker, ≥ 0: the mean over workers; where an edge list gives
                         * rates: what multiplies them */
    int degree;       /* of random-regular: 2 … worker_count − 1, and not odd where worker_count is */
    double probability; /* of erdos-renyi, of each pair: in (0, 1] */
    uint64_t seed;      /* of the random families */
};

/* Build a graph and its rates: λ_ij = rate·½(1/deg_i + 1/deg_j), which is rate/degree where all degrees agree.
 * An edge list may give λ_ij (to all its edges or to none); they are multiplied by `rate`.
 * One worker has no edge and two have one, in every family. A torus or grid is the most nearly square rectangle of
 * exactly worker_count places: of a prime count the torus is a ring and the grid a line. A hypercube needs a power of
 * two, a barbell an even count. Random families depend on the seed alone, and always connect.
 * Time and memory are linear in workers and edges, but for the sorting of edge-list files and for random families of up
 * to 16384 workers or of high density, which look at all pairs.
 * Errors (one logged message, STATUS_USAGE): unknown family (nearest named), a worker count that the family cannot
 * have (nearest counts that it can), more than GRAPH_EDGES_MAX edges, a disconnected graph (its parts named), a
 * malformed edge list (file, line: self-loop, duplicate, negative id, id out of range, rate not positive), or one with
 * fewer workers than worker_count. */
enum status graph_create(const struct graph_params *params, struct graph **out);
void graph_destroy(struct graph *graph);

/* The graph of those that are left when some workers have died: dead (worker_count), at least one is alive. Its workers
 * are the living in ascending order, numbered anew; its edges those between two of them, and where neighbors die, their
 * living neighbors are joined in a ring (two: by an edge). So it connects as the graph did, a ring stays a ring, and it
 * is the same for everybody who knows of the same deaths. Rates are uniform anew, as graph_create sets them: the mean
 * over workers of what they meet stays what it was. */
struct graph *graph_survivors(const struct graph *graph, const bool *dead);

/* Meetings per unit of time and worker, the mean over workers: (2/n) Σ λ_ij. */
double graph_mean_rate(const struct graph *graph);

int graph_degree(const struct graph *graph, int worker);
/* Neighbors of a worker by ascending id: graph_degree() entries. */
const struct graph_neighbor *graph_neighbors(const struct graph *graph, int worker);

/* NULL-terminated list: ring complete line star torus grid hypercube exponential tree barbell random-regular
 * erdos-renyi. */
const char *const *graph_family_names(void);

/* STATUS_USAGE (logged, nearest named): no family has this name. */
enum status graph_family_check(const char *name);

#endif
