/* Judges rates without the solver, by one eigendecomposition of Λ: χ1 and χ2 over the fixed edges, and a lower bound of
 * √(χ1χ2) over all rates of the same sum.
 *
 * The bound: for weights w ≥ 0 of sum 1 on the edges, W their Laplacian, and V ⪰ 0 of trace 1 with V1 = 0, all rates λ'
 * with Laplacian Λ' have
 *
 *     1/χ1' = λ_2(Λ') ≤ Tr(VΛ') = Σ λ'_e v_e,                      v_e = eᵀVe
 *     2χ2' ≥ Tr(WΛ'⁺) ≥ c²/Tr(KΛ') = c²/Σ λ'_e k_e,                k_e = eᵀKe,  K = Λ⁺WΛ⁺,  c = Tr(WΛ⁺)
 *
 * (the second by Cauchy and Schwarz, whatever Λ is), and the product of the two sums is at most
 * (½ Σλ' · max_e (θ v_e + k_e/θ))² for every θ > 0. Here Λ is the graph's own, V the projector on the eigenvectors of
 * λ_2 and W the mean of the edges that resist most: where the automorphisms of the graph carry each edge to each other,
 * v and k are constant, all inequalities are equalities at Λ, and its rates are proved to be the best. */
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "graph/rate_program.h"
#include "graph/spectrum.h"

/* Relative: eigenvalues and resistances that near are the same but for rounding; λ_2 below that of the largest is. */
static const double alike = 1e-9, unresolved = 1e-14;

struct evaluation {
    const struct graph *graph; /* borrowed */
    size_t n;
    double *eigenvalues;             /* owned, (n) */
    double *vectors;                 /* owned, (n, n): row k is the eigenvector of eigenvalue k */
    double *pseudo_inverse, *weight; /* owned, (n, n): Λ⁺, W; then K takes W's place */
    double *projector;               /* owned, (n, n): V */
    double *product;                 /* owned, (n, n) */
    double resistance;               /* the largest of an edge */
};

/* eᵀAe of the edge between a and b. */
static double along_edge(const struct evaluation *self, const double *matrix, const struct graph_edge *edge)
{
    size_t n = self->n, a = (size_t)edge->a, b = (size_t)edge->b;
    return matrix[a * n + a] + matrix[b * n + b] - 2 * matrix[a * n + b];
}

static void add_edge(const struct evaluation *self, double *matrix, const struct graph_edge *edge, double value)
{
    size_t n = self->n, a = (size_t)edge->a, b = (size_t)edge->b;
    matrix[a * n + a] += value;
    matrix[b * n + b] += value;
    matrix[a * n + b] -= value;
    matrix[b * n + a] -= value;
}

static void add_outer(const struct evaluation *self, double *matrix, const double *vector, double value)
{
    for (size_t i = 0; i < self->n; i++)
        for (size_t j = 0; j < self->n; j++)
            matrix[i * self->n + j] += value * vector[i] * vector[j];
}

static void multiply(const struct evaluation *self, const double *left, const double *right, double *out)
{
    size_t n = self->n;
    for (size_t i = 0; i < n * n; i++)
        out[i] = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++)
            for (size_t j = 0; j < n; j++)
                out[i * n + j] += left[i * n + k] * right[k * n + j];
}

static enum status decompose(struct evaluation *self)
{
    int n = (int)self->n;
    for (int e = 0; e < self->graph->edge_count; e++)
        add_edge(self, self->vectors, &self->graph->edges[e], self->graph->edges[e].rate);
    lapack_int info = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'L', n, self->vectors, n, self->eigenvalues);
    if (info != 0) {
        log_error("graph %s: LAPACKE_dsyevd returned %d", self->graph->name, (int)info);
        return STATUS_MACHINE;
    }
    if (!(self->eigenvalues[1] > self->eigenvalues[n - 1] * unresolved)) {
        log_error("graph %s: its rates lie too far apart to be resolved in double precision", self->graph->name);
        return STATUS_MACHINE;
    }
    return STATUS_OK;
}

/* Λ⁺, V and W of the graph's own rates. */
static void fill(struct evaluation *self)
{
    size_t same = 1, n = self->n;
    const struct graph *graph = self->graph;
    while (same + 1 < n && self->eigenvalues[same + 1] <= self->eigenvalues[1] * (1 + alike))
        same++;
    for (size_t k = 1; k < n; k++) {
        add_outer(self, self->pseudo_inverse, self->vectors + k * n, 1 / self->eigenvalues[k]);
        if (k <= same)
            add_outer(self, self->projector, self->vectors + k * n, 1.0 / (double)same);
    }
    int count = 0;
    for (int e = 0; e < graph->edge_count; e++)
        self->resistance = fmax(self->resistance, along_edge(self, self->pseudo_inverse, &graph->edges[e]));
    for (int e = 0; e < graph->edge_count; e++)
        count += along_edge(self, self->pseudo_inverse, &graph->edges[e]) >= self->resistance * (1 - alike);
    for (int e = 0; e < graph->edge_count; e++)
        if (along_edge(self, self->pseudo_inverse, &graph->edges[e]) >= self->resistance * (1 - alike))
            add_edge(self, self->weight, &graph->edges[e], 1.0 / count);
}

static double lower_bound(struct evaluation *self)
{
    const struct graph *graph = self->graph;
    double c = 0, total = 0, v_sum = 0, k_sum = 0, largest = 0;
    for (size_t i = 0; i < self->n * self->n; i++)
        c += self->weight[i] * self->pseudo_inverse[i];
    multiply(self, self->pseudo_inverse, self->weight, self->product);
    multiply(self, self->product, self->pseudo_inverse, self->weight);
    for (int e = 0; e < graph->edge_count; e++) {
        total += graph->edges[e].rate;
        v_sum += graph->edges[e].rate * along_edge(self, self->projector, &graph->edges[e]);
        k_sum += graph->edges[e].rate * along_edge(self, self->weight, &graph->edges[e]);
    }
    double theta = sqrt(k_sum / v_sum);
    for (int e = 0; e < graph->edge_count; e++)
        largest = fmax(largest, theta * along_edge(self, self->projector, &graph->edges[e]) +
                                    along_edge(self, self->weight, &graph->edges[e]) / theta);
    return sqrt(2.0) * c / (total * largest);
}

enum status rates_evaluate(const struct graph *graph, struct spectrum *spectrum, double *bound)
{
    size_t n = (size_t)graph->worker_count;
    double *matrices = memory_zalloc(5 * n * n, sizeof *matrices);
    struct evaluation self = {
        .graph = graph,
        .n = n,
        .eigenvalues = memory_zalloc(n, sizeof *self.eigenvalues),
        .vectors = matrices,
        .pseudo_inverse = matrices + n * n,
        .weight = matrices + 2 * n * n,
        .projector = matrices + 3 * n * n,
        .product = matrices + 4 * n * n,
    };
    enum status status = decompose(&self);
    if (status == STATUS_OK) {
        fill(&self);
        *spectrum = (struct spectrum){.chi1 = 1 / self.eigenvalues[1], .chi2 = self.resistance / 2};
        if (bound != NULL)
            *bound = lower_bound(&self);
    }
    free(self.eigenvalues);
    free(matrices);
    return status;
}
