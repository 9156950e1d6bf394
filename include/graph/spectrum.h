/* χ1, χ2 of a graph's rates, and the constants of A²CiD² that follow from them.
 *
 *     Λ = Σ_(i,j) λ_ij (e_i − e_j)(e_i − e_j)ᵀ
 *     χ1 = 1/λ_2(Λ),   χ2 = ½ max over edges of (e_i − e_j)ᵀ Λ⁺ (e_i − e_j)
 *     η = 1/(2√(χ1 χ2)),   α = ½,   α̃ = ½ √(χ1/χ2)
 *
 * (Oyallon, habilitation thesis 2023, section 5.1; A²CiD² paper, section 3.2.) */
#ifndef GRAPEVINE_GRAPH_SPECTRUM_H
#define GRAPEVINE_GRAPH_SPECTRUM_H

#include "base/status.h"
#include "graph/graph.h"

struct spectrum {
    double chi1, chi2; /* units of time; 0 for one worker, INFINITY where all rates are 0 */
};

/* Relative error of both below 1e-6; at 256 workers or fewer, rounding alone.
 *
 * Up to 256 workers dense (LAPACK). Beyond, sparse LDLᵀ with shift-invert Lanczos where the factor is small (rings,
 * trees, tori, grids), else conjugate gradients and a Chebyshev series (expanders); edges that a symmetry maps onto one
 * another are solved once. 10,000 workers take a fraction of a second, random regular graphs some 5 to 10 s: their
 * time grows as workers × edges. One thread.
 *
 * One worker: both 0; all rates 0: both INFINITY. STATUS_USAGE where there are more than 2^26 edges, or where no way
 * would end within about half an hour. STATUS_MACHINE when the numbers fail, as with rates of an edge list that lie
 * some 1e15 apart. */
enum status spectrum_compute(const struct graph *graph, struct spectrum *out);

/* The same for other rates (edge_count, ≥ 0) of the graph's edges, whose own are not looked at. An edge of rate 0 is
 * absent: χ2 is over the others, and where those do not connect all workers both are INFINITY. May be called again and
 * again; nothing is kept between calls. */
enum status spectrum_from_rates(const struct graph *graph, const double *rates, struct spectrum *out);

/* Effective resistance (e_i − e_j)ᵀ Λ⁺ (e_i − e_j) of every edge: resistances (edge_count), in the order of
 * graph.edges, units of time. χ2 is half the largest; Σ λ_ij R_ij = n − 1 (Foster). Accuracy (relative to
 * the largest) and errors as spectrum_compute. */
enum status spectrum_resistances(const struct graph *graph, double *resistances);

struct acid_constants {
    double eta, alpha, alpha_tilde;
};

/* The constants of the theorem; one worker, or nobody who ever meets (χ infinite): η = 0, α = α̃ = ½. */
struct acid_constants acid_constants_from(const struct spectrum *spectrum);

/* The same but where `given` has a number instead of NAN. One worker: η = 0 in any case. */
struct acid_constants acid_constants_given(const struct spectrum *spectrum, const struct acid_constants *given);

#endif
