/* The balance of drift and mixing, eigenvector by eigenvector of Λ; all matrices are 2×2 and solved in closed form. */
#include "graph/mixing.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

/* Symmetric, or the vector (x, x_tilde). */
struct moments {
    double xx, xt, tt;
};
struct pair_of {
    double x, t;
};

/* Eigenvalues of Λ in ascending order, the first is 0; NULL where LAPACK fails. Owned by the caller. */
static double *eigenvalues_of(const struct graph *graph)
{
    size_t n = (size_t)graph->worker_count;
    double *matrix = memory_zalloc(n * n, sizeof matrix[0]), *values = memory_zalloc(n, sizeof values[0]);
    for (int e = 0; e < graph->edge_count; e++) {
        const struct graph_edge *edge = &graph->edges[e];
        size_t a = (size_t)edge->a, b = (size_t)edge->b; /* a < b: row b, column a is below the diagonal */
        matrix[a * n + a] += edge->rate;
        matrix[b * n + b] += edge->rate;
        matrix[a * n + b] -= edge->rate;
    }
    lapack_int info = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'N', 'L', (lapack_int)n, matrix, (lapack_int)n, values);
    free(matrix);
    if (info == 0)
        return values;
    free(values);
    return NULL;
}

static double trace_of(const struct mixing_params *p, double lambda)
{
    return -2 * p->eta - p->alpha * lambda;
}

static double determinant_of(const struct mixing_params *p, double lambda)
{
    return p->eta * lambda * (p->alpha + p->alpha_tilde);
}

/* P^{xx} of A P + P Aᵀ + Q = 0: P = (|A| Q + (A − tr A)Q(A − tr A)ᵀ) / (−2 tr A |A|). Without η, x stands alone. */
static double solve_moments(const struct mixing_params *p, double lambda, struct moments q)
{
    if (p->eta == 0)
        return q.xx / (2 * p->alpha * lambda);
    double determinant = determinant_of(p, lambda), mixed = p->eta * p->eta * (q.xx + 2 * q.xt + q.tt);
    return (determinant * q.xx + mixed) / (-2 * trace_of(p, lambda) * determinant);
}

/* g of Poisson events: μ((1−μ)I − A)⁻¹ 1. */
static struct pair_of momentum_poisson(const struct mixing_params *p, double lambda)
{
    double mu = p->momentum, gap = 1 - mu;
    if (p->eta == 0)
        return (struct pair_of){.x = mu / (gap + p->alpha * lambda)};
    double determinant = gap * gap - gap * trace_of(p, lambda) + determinant_of(p, lambda);
    double numerator = gap + 2 * p->eta;
    return (struct pair_of){.x = mu * numerator / determinant,
                            .t = mu * (numerator + (p->alpha - p->alpha_tilde) * lambda) / determinant};
}

/* exp(A) = c·I + s·A of a stable A, from its two eigenvalues h ± √(h² − |A|). */
static void exponential(double trace, double determinant, double *c, double *s)
{
    double h = trace / 2, square = h * h - determinant, root = sqrt(fabs(square));
    if (root < 1e-6 * -h) {
        *s = exp(h);
        *c = *s * (1 - h);
    } else if (square > 0) {
        double larger = exp(h + root), smaller = exp(h - root);
        *s = (larger - smaller) / (2 * root);
        *c = (larger + smaller) / 2 - *s * h;
    } else {
        *s = exp(h) * sin(root) / root;
        *c = exp(h) * cos(root) - *s * h;
    }
}

/* g of regular events: Σ_{j≥1} μ^j E^j 1 = (I − μE)⁻¹ μE 1, with E = exp(A). */
static struct pair_of momentum_regular(const struct mixing_params *p, double lambda)
{
    double mu = p->momentum, c, s;
    if (p->eta == 0) {
        double factor = mu * exp(-p->alpha * lambda);
        return (struct pair_of){.x = factor / (1 - factor)};
    }
    exponential(trace_of(p, lambda), determinant_of(p, lambda), &c, &s);
    double e11 = mu * (c - s * (p->eta + p->alpha * lambda)), e12 = mu * s * p->eta;
    double e21 = mu * s * (p->eta - p->alpha_tilde * lambda), e22 = mu * (c - s * p->eta);
    double determinant = (1 - e11) * (1 - e22) - e12 * e21, x = e11 + e12, t = e21 + e22;
    return (struct pair_of){.x = ((1 - e22) * x + e12 * t) / determinant, .t = (e21 * x + (1 - e11) * t) / determinant};
}

/* P^{xx} of this eigenvalue per U, the chance of the meetings left out. */
static double drift_moment(const struct mixing_params *p, double lambda)
{
    struct pair_of g = p->poisson ? momentum_poisson(p, lambda) : momentum_regular(p, lambda);
    return solve_moments(p, lambda, (struct moments){1 + 2 * g.x, 1 + g.x + g.t, 1 + 2 * g.t});
}

/* P^{xx} per D: what the chance of the meetings adds. */
static double meeting_moment(const struct mixing_params *p, double lambda)
{
    struct moments q = {p->alpha * p->alpha, p->alpha * p->alpha_tilde, p->alpha_tilde * p->alpha_tilde};
    return solve_moments(p, lambda, (struct moments){lambda * q.xx, lambda * q.xt, lambda * q.tt});
}

/* −Re of the slower eigenvalue of A. */
static double slowest_rate(const struct mixing_params *p, double lambda)
{
    if (p->eta == 0)
        return p->alpha * lambda;
    double h = trace_of(p, lambda) / 2, square = h * h - determinant_of(p, lambda);
    return square > 0 ? determinant_of(p, lambda) / (-h + sqrt(square)) : -h;
}

static struct mixing_level balance(const struct graph *graph, const struct mixing_params *p, const double *lambda)
{
    double rates = 0, drift = 0, drift_energy = 0, chance = 0, chance_energy = 0, slowest = INFINITY;
    for (int e = 0; e < graph->edge_count; e++)
        rates += graph->edges[e].rate;
    for (int k = 1; k < graph->worker_count; k++) {
        double of_drift = drift_moment(p, lambda[k]), of_meetings = meeting_moment(p, lambda[k]);
        drift += of_drift;
        drift_energy += lambda[k] * of_drift;
        chance += of_meetings;
        chance_energy += lambda[k] * of_meetings;
        slowest = fmin(slowest, slowest_rate(p, lambda[k]));
    }
    double left = rates - chance_energy; /* what meetings take away, less what their chance puts back */
    if (!(left > 0) || !(slowest > 0))
        return (struct mixing_level){.consensus = INFINITY, .pair = INFINITY, .rate = 0};
    double square_difference = drift_energy / left; /* D / U */
    return (struct mixing_level){.consensus = (drift + chance * square_difference) / graph->worker_count,
                                 .pair = square_difference / 2,
                                 .rate = slowest};
}

struct mixing_level mixing_compute(const struct graph *graph, const struct mixing_params *params)
{
    const struct mixing_level unknown = {.consensus = NAN, .pair = NAN, .rate = NAN};
    if (graph->worker_count == 1)
        return (struct mixing_level){0};
    if (graph->edges[0].rate == 0)
        return (struct mixing_level){.consensus = INFINITY, .pair = INFINITY, .rate = 0};
    if (graph->worker_count > MIXING_WORKERS_MAX)
        return unknown;
    double *lambda = eigenvalues_of(graph);
    bool known = lambda != NULL && lambda[1] > 0;
    struct mixing_level level = known ? balance(graph, params, lambda) : unknown;
    free(lambda);
    return level;
}
