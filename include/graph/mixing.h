/* How far workers drift apart: the level at which gradients that push them apart and meetings that pull them together
 * are in balance.
 *
 * Model, in units of the expected gradient's duration. Every worker has x and x̃ (method: algo/algo.h). At its gradient
 * events, one per unit, both move by −u_k, where u is the optimizer's step, learning rate included:
 *
 *     u_k = μ u_{k−1} + ε_k,    ε independent over steps and workers, mean 0;    U = E ‖u_k‖²
 *
 * Between events (x, x̃) mix with η, and edge e meets at the points of a Poisson process of rate λ_e, where α and α̃
 * times the difference d_e go from one end to the other. Along an eigenvector of Λ with eigenvalue λ_k > 0 the means
 * follow A_k = [−η−αλ_k, η; η−α̃λ_k, −η], and with 1 = (1, 1)ᵀ, a = (α, α̃)ᵀ the second moments P_k solve
 *
 *     A_k P + P A_kᵀ + U (11ᵀ + 1gᵀ + g1ᵀ) + D λ_k aaᵀ = 0
 *     g = μ((1−μ)I − A_k)⁻¹ 1  (Poisson events)   or   Σ_{j≥1} μ^j exp(jA_k) 1  (one event exactly every unit of time)
 *     D Σ_e λ_e = Σ_k λ_k P_k^{xx}   with   D = E ‖d_e‖²
 *
 * so everything is a multiple of U. g is what earlier steps, still in the momentum, have in common with this one; the
 * last term of the first line is the chance of the meetings.
 *
 * Exact in this model: the first moments, and, where all edges are alike (ring, star, complete, torus, hypercube), the
 * rest. Mean field: one D for all edges. The level is then up to 4 % low on lines and trees, 12 % on a barbell.
 * Not in the model: what all workers' gradients have in common (it is in U and drives nobody apart, so the level is
 * reached from below), curvature, gradients whose mean differs from worker to worker (shards of unlike data lie above
 * the level), Nesterov's correction, meetings that are applied late. */
#ifndef GRAPEVINE_GRAPH_MIXING_H
#define GRAPEVINE_GRAPH_MIXING_H

#include <stdbool.h>

#include "graph/graph.h"

/* Above that many workers the level is not computed (dense eigenvalues: O(n³) time, O(n²) memory). */
enum { MIXING_WORKERS_MAX = 4096 };

struct mixing_params {
    double eta, alpha, alpha_tilde; /* of the dynamic; η = 0: x̃ does not act on x */
    double momentum;                /* μ in [0, 1) */
    bool poisson;                   /* gradient events of a worker: Poisson of rate 1; false: one every unit of time */
};

/* Squares of lengths as multiples of U. NAN: not known (too many workers, or LAPACK could not). INFINITY: there is no
 * balance, nobody ever meets or the constants make meetings amplify differences. One worker: 0. */
struct mixing_level {
    double consensus; /* (1/n) Σ_i E ‖x_i − x̄‖² = consensus·U */
    double pair;      /* mean over meetings of ½ E ‖x_i − x_j‖² just before = pair·U */
    double rate;      /* slowest decay of a difference's mean, per unit of time: what is left of a start far from the
                       * balance falls at least about as fast */
};

struct mixing_level mixing_compute(const struct graph *graph, const struct mixing_params *params);

#endif
