/* What best_rates.c is made of: the pieces of a graph, the semidefinite program, a bound in closed form. */
#ifndef GRAPEVINE_GRAPH_RATE_PROGRAM_H
#define GRAPEVINE_GRAPH_RATE_PROGRAM_H

#include <stddef.h>

#include "base/status.h"
#include "graph/best_rates.h"
#include "graph/graph.h"

/* Maximal sets of edges that lie on common cycles (biconnected components). A current between the ends of an edge
 * stays in the edge's piece, so its resistance depends on the rates of that piece alone. A bridge is a piece. */
struct graph_pieces {
    int count;
    int *of_edge; /* owned, (edge_count): 0 … count − 1 */
    int *rank;    /* owned, (count): workers of the piece less one, the order of its grounded Laplacian */
};

void graph_pieces_find(const struct graph *graph, struct graph_pieces *out);
void graph_pieces_release(struct graph_pieces *pieces);

/* Scalar unknowns of the program: one a rate, rank·(rank + 1)/2 a piece, and four. */
size_t rate_program_unknowns(const struct graph *graph, const struct graph_pieces *pieces);

/* The budget that the graph's rates use, in units of a rate per worker: their mean over workers of Σ_j λ_ij
 * (RATE_BUDGET_TOTAL), or the largest of these sums (RATE_BUDGET_WORKER). */
double rate_budget_used(const struct graph *graph, enum rate_budget budget);

/* Rates (edge_count), ≥ 0, of least √(χ1χ2) among those whose rate_budget_used is at most 1; bound is what that least
 * value cannot be below, by the solver's other side, to its tolerance. The graph's own rates, which must be positive,
 * and their spectrum are where it starts. Three workers or more. STATUS_MACHINE, logged, when the solver fails. */
enum status rate_program_solve(const struct graph *graph, const struct graph_pieces *pieces,
                               const struct spectrum *spectrum, enum rate_budget budget, double *rates, double *bound);

/* χ1, and χ2 over all edges, those of rate 0 too, of a connected graph of two workers or more; and a lower bound of
 * √(χ1χ2) over all rates of the same sum (NULL: not wanted), which is tight where the graph's edges are all alike and
 * its rates the best. One eigendecomposition, O(n³). STATUS_MACHINE, logged, when LAPACK fails. */
enum status rates_evaluate(const struct graph *graph, struct spectrum *spectrum, double *bound);

#endif
