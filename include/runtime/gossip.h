/* Pure gossip in virtual time: no gradients, only the averaging of A²CiD² or of the asynchronous baseline, in float64.
 *
 *     dx_i = η(x̃_i − x_i) dt − α Σ_j (x_i − x_j) dM_ij(t),   dx̃_i = η(x_i − x̃_i) dt − α̃ Σ_j (x_i − x_j) dM_ij(t)
 *
 * M_ij: Poisson process of rate λ_ij (A²CiD² paper, eq. 4; without ∇F). All edges' processes are drawn as one: a clock
 * of the total rate Σλ, and each tick's edge with probability λ_ij/Σλ. That superposition is exact, not a step size.
 * Workers are advanced only when they meet. The same graph, parameters and seed give the same bits on every machine
 * with the same mathematical library; meetings do not depend on η, α, α̃ or the dimension. One thread, no clock. */
#ifndef GRAPEVINE_RUNTIME_GOSSIP_H
#define GRAPEVINE_RUNTIME_GOSSIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "graph/graph.h"

/* x has float64 of 8 bytes, x̃ as many: the workers' vectors take 16 GiB at most. */
enum { GOSSIP_DIMENSION_MAX = 4096, GOSSIP_REPETITIONS_MAX = 10000, GOSSIP_NUMBERS_MAX = 1 << 30 };

struct gossip_params {
    bool momentum;                  /* A²CiD²: x̃ is kept; false: the baseline, whose η is 0 and α̃ not used */
    double eta, alpha, alpha_tilde; /* η ≥ 0 */
    size_t dimension;               /* 1 … GOSSIP_DIMENSION_MAX */
    uint64_t seed;
};

struct gossip; /* one repetition: its workers and its clock */

/* Every component of every x_i is drawn from a normal law, then the mean over workers is taken off; x̃ = x; time 0.
 * `graph` is borrowed. `repetition` < 2^24 names an independent run of the same parameters. */
struct gossip *gossip_create(const struct graph *graph, const struct gossip_params *params, uint32_t repetition);
void gossip_destroy(struct gossip *gossip);

/* Let all meetings up to time t happen; t never decreases. How a span is cut into calls does not change the state. */
void gossip_advance(struct gossip *gossip, double t);

/* At the time of the latest gossip_advance, without changing the state. */
double gossip_distance(const struct gossip *gossip); /* ‖x − mean‖² = Σ_i ‖x_i − x̄‖² */
void gossip_vectors(const struct gossip *gossip, int worker, double *x, double *x_tilde); /* (dimension) each */
uint64_t gossip_meetings(const struct gossip *gossip);

struct gossip_decay_params {
    struct gossip_params gossip;
    double time;     /* T > 0: units of time of each repetition */
    int repetitions; /* 1 … GOSSIP_REPETITIONS_MAX */
};

/* decay: minus the slope of the mean over repetitions of ln ‖x − mean‖² over the last two thirds of the time, by least
 * squares. The fit ends early where a repetition falls below 1e-24 of its start, which float64 does
 * not resolve: it then takes the last two thirds of the time up to there. */
struct gossip_decay {
    double rate;             /* per unit of time; NAN where there is nothing to fit: one worker, or a consensus that
                               * is reached exactly, as by two workers in one meeting */
    double spread;           /* standard deviation over repetitions of their own slopes; NAN for one repetition */
    double fit_from, fit_to; /* units of time */
    uint64_t meetings;       /* of all repetitions together, up to T */
};

/* STATUS_USAGE (logged): more than GOSSIP_NUMBERS_MAX numbers in all workers' vectors. */
enum status gossip_measure_decay(const struct graph *graph, const struct gossip_decay_params *params,
                                 struct gossip_decay *out);

#endif
