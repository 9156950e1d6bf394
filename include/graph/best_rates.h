/* The rates that make A²CiD² fastest on a graph whose edges are given, within a budget of communication.
 *
 *     minimise √(χ1 χ2) over λ ≥ 0 within the budget,
 *     χ1 = 1/λ_2(Λ),  χ2 = ½ max over *all* edges of the graph of (e_i − e_j)ᵀ Λ⁺ (e_i − e_j)
 *
 * (Oyallon, habilitation thesis 2023, section 5.2, lemmas 1 and 2.) An edge may end with rate 0: it then never meets,
 * and still counts in χ2. Graphs whose edges are all alike keep the rates that they have.
 * The same graph and parameters give the same rates: no chance, no clock. */
#ifndef GRAPEVINE_GRAPH_BEST_RATES_H
#define GRAPEVINE_GRAPH_BEST_RATES_H

#include <stdbool.h>

#include "base/status.h"
#include "graph/graph.h"
#include "graph/spectrum.h"

/* What is solved at most; graphs whose own rates are proved to be the best in closed form (those whose edges are all
 * alike) may have BOUND_WORKERS_MAX workers. Unknowns are one an edge, and k(k − 1)/2 for each biconnected component
 * of k workers: a ring of 69, a complete graph of 49, a tree of 256 workers. */
enum { BEST_RATES_WORKERS_MAX = 256, BEST_RATES_UNKNOWNS_MAX = 2500, BOUND_WORKERS_MAX = 1024 };

enum rate_budget {
    RATE_BUDGET_TOTAL,  /* Σ λ_ij stays what it is: half the trace of Λ */
    RATE_BUDGET_WORKER, /* Σ_j λ_ij ≤ worker_rate for every worker i */
};

struct best_rates_params {
    enum rate_budget budget;
    double worker_rate; /* of RATE_BUDGET_WORKER: meetings per unit of time and worker, ≥ 0 */
};

struct best_rates {
    struct spectrum uniform; /* of the rates that the graph came with, scaled down or up to the budget */
    struct spectrum best;    /* of the rates that it has now: √(χ1χ2) is never above that of `uniform` */
    double bound;            /* what no rates within the budget can be below, √(χ1χ2), to some 1e-6 of it */
    bool kept;               /* nothing better by more than 1e-6 was found: the rates are the uniform ones */
    int silent;              /* edges whose rate is 0 now */
};

/* Replace graph->edges[].rate by the best ones. One or two workers, or rates of 0, have no choice and are only scaled.
 * Errors (one logged message; the graph is as it was): STATUS_USAGE for a graph too large to be solved (BEST_RATES_*),
 * STATUS_MACHINE when LAPACK or the solver fails. Takes minutes at the limits. */
enum status best_rates_find(struct graph *graph, const struct best_rates_params *params, struct best_rates *out);

/* "total" | "worker", as in graph.budget; the caller has checked the word. */
enum rate_budget rate_budget_from(const char *word);

#endif
