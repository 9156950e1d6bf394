/* χ1 and χ2 by dense linear algebra. One n×n matrix is filled twice: LAPACK overwrites what it works on. */
#include "graph/spectrum.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"

/* Λ as a full symmetric matrix; returns its mean diagonal entry, the scale of its eigenvalues. */
static double fill_laplacian(const struct graph *graph, double *matrix /* (n, n) */)
{
    size_t n = (size_t)graph->worker_count;
    double trace = 0;
    for (size_t i = 0; i < n * n; i++)
        matrix[i] = 0;
    for (int e = 0; e < graph->edge_count; e++) {
        const struct graph_edge *edge = &graph->edges[e];
        size_t a = (size_t)edge->a, b = (size_t)edge->b;
        matrix[a * n + a] += edge->rate;
        matrix[b * n + b] += edge->rate;
        matrix[a * n + b] -= edge->rate;
        matrix[b * n + a] -= edge->rate;
        trace += 2 * edge->rate;
    }
    return trace / (double)n;
}

static enum status report_lapack(const struct graph *graph, const char *call, lapack_int info)
{
    log_error("graph %s: %s returned %d: its rates lie too far apart to be resolved in double precision", graph->name,
              call, (int)info);
    return STATUS_MACHINE;
}

/* Silent edges (rate 0) separate workers: an infinite resistance. Either all rates are 0 or none is. */
static bool is_silent(const struct graph *graph)
{
    return graph->edge_count > 0 && graph->edges[0].rate == 0;
}

/* (Λ + s·11ᵀ/n)⁻¹ = Λ⁺ + 11ᵀ/(s n), and the second term drops out of (e_i − e_j)ᵀ·(e_i − e_j). With s of the size of
 * Λ's own eigenvalues the sum is as well conditioned as Λ lets it be. */
static enum status resistances_with(const struct graph *graph, double *matrix, double *resistances)
{
    int n = graph->worker_count;
    size_t stride = (size_t)n;
    double shift = fill_laplacian(graph, matrix) / n;
    for (size_t i = 0; i < stride * stride; i++)
        matrix[i] += shift;
    lapack_int info = LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', n, matrix, n);
    if (info != 0)
        return report_lapack(graph, "LAPACKE_dpotrf", info);
    info = LAPACKE_dpotri(LAPACK_COL_MAJOR, 'L', n, matrix, n);
    if (info != 0)
        return report_lapack(graph, "LAPACKE_dpotri", info);
    for (int e = 0; e < graph->edge_count; e++) {
        size_t a = (size_t)graph->edges[e].a, b = (size_t)graph->edges[e].b; /* a < b: row b, column a is below */
        resistances[e] = matrix[a * stride + a] + matrix[b * stride + b] - 2 * matrix[a * stride + b];
    }
    return STATUS_OK;
}

enum status spectrum_resistances(const struct graph *graph, double *resistances)
{
    if (is_silent(graph)) {
        for (int e = 0; e < graph->edge_count; e++)
            resistances[e] = INFINITY;
        return STATUS_OK;
    }
    size_t n = (size_t)graph->worker_count;
    double *matrix = memory_zalloc(n * n, sizeof *matrix);
    enum status status = graph->edge_count > 0 ? resistances_with(graph, matrix, resistances) : STATUS_OK;
    free(matrix);
    return status;
}

static enum status smallest_positive_eigenvalue(const struct graph *graph, double *matrix, double *lambda2)
{
    int n = graph->worker_count;
    double *eigenvalues = memory_zalloc((size_t)n, sizeof *eigenvalues);
    lapack_int found = 0, support[2];
    fill_laplacian(graph, matrix);
    lapack_int info = LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'N', 'I', 'L', n, matrix, n, 0, 0, 2, 2, 2 * LAPACKE_dlamch('S'),
                                     &found, eigenvalues, NULL, 1, support);
    *lambda2 = eigenvalues[0];
    free(eigenvalues);
    if (info != 0 || found != 1 || !(*lambda2 > 0))
        return report_lapack(graph, "LAPACKE_dsyevr", info);
    return STATUS_OK;
}

enum status spectrum_compute(const struct graph *graph, struct spectrum *out)
{
    if (graph->worker_count == 1) {
        *out = (struct spectrum){0};
        return STATUS_OK;
    }
    if (is_silent(graph)) {
        *out = (struct spectrum){.chi1 = INFINITY, .chi2 = INFINITY};
        return STATUS_OK;
    }
    enum status status;
    size_t n = (size_t)graph->worker_count;
    double *matrix = memory_zalloc(n * n, sizeof *matrix);
    double *resistances = memory_zalloc((size_t)graph->edge_count, sizeof *resistances);
    double lambda2, largest = 0;
    TRY_GOTO(smallest_positive_eigenvalue(graph, matrix, &lambda2), free_arrays);
    TRY_GOTO(resistances_with(graph, matrix, resistances), free_arrays);
    for (int e = 0; e < graph->edge_count; e++)
        largest = fmax(largest, resistances[e]);
    *out = (struct spectrum){.chi1 = 1 / lambda2, .chi2 = largest / 2};

free_arrays:
    free(resistances);
    free(matrix);
    return status;
}

struct acid_constants acid_constants_from(const struct spectrum *spectrum)
{
    /* Without meetings x_tilde has nothing to carry: A²CiD² is then the plain method. */
    if (spectrum->chi1 == 0 || isinf(spectrum->chi1))
        return (struct acid_constants){.eta = 0, .alpha = 0.5, .alpha_tilde = 0.5};
    return (struct acid_constants){
        .eta = 1 / (2 * sqrt(spectrum->chi1 * spectrum->chi2)),
        .alpha = 0.5,
        .alpha_tilde = 0.5 * sqrt(spectrum->chi1 / spectrum->chi2),
    };
}
