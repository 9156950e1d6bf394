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
    double chi1, chi2; /* units of time; 0 for one worker */
};

/* Dense symmetric eigenproblem (LAPACK): O(n³) time, O(n²) memory. One worker: both 0.
 * STATUS_MACHINE when LAPACK does not converge. */
enum status spectrum_compute(const struct graph *graph, struct spectrum *out);

struct acid_constants {
    double eta, alpha, alpha_tilde;
};

/* The constants of the theorem; one worker: η = 0, α = α̃ = ½. */
struct acid_constants acid_constants_from(const struct spectrum *spectrum);

#endif
