/* χ1 and χ2 by dense linear algebra. One n×n matrix is filled twice: LAPACK overwrites what it works on. */
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "graph/spectrum_parts.h"

/* Λ as a full symmetric matrix; returns its mean diagonal entry, the scale of its eigenvalues. */
static double fill_laplacian(const struct laplacian *laplacian, double *matrix /* (n, n) */)
{
    size_t n = (size_t)laplacian->worker_count;
    double trace = 0;
    for (size_t i = 0; i < n * n; i++)
        matrix[i] = 0;
    for (int e = 0; e < laplacian->edge_count; e++) {
        const struct graph_edge *edge = &laplacian->edges[e];
        size_t a = (size_t)edge->a, b = (size_t)edge->b;
        matrix[a * n + a] += edge->rate;
        matrix[b * n + b] += edge->rate;
        matrix[a * n + b] -= edge->rate;
        matrix[b * n + a] -= edge->rate;
        trace += 2 * edge->rate;
    }
    return trace / (double)n;
}

static enum status report_lapack(const struct laplacian *laplacian, const char *call, lapack_int info)
{
    log_error("graph %s: %s returned %d: its rates lie too far apart to be resolved in double precision",
              laplacian->name, call, (int)info);
    return STATUS_MACHINE;
}

/* (Λ + s·11ᵀ/n)⁻¹ = Λ⁺ + 11ᵀ/(s n), and the second term drops out of (e_i − e_j)ᵀ·(e_i − e_j). With s of the size of
 * Λ's own eigenvalues the sum is as well conditioned as Λ lets it be. */
static enum status resistances_with(const struct laplacian *laplacian, double *matrix,
                                    const struct spectrum_request *request)
{
    int n = laplacian->worker_count;
    size_t stride = (size_t)n;
    double largest = 0, shift = fill_laplacian(laplacian, matrix) / n;
    for (size_t i = 0; i < stride * stride; i++)
        matrix[i] += shift;
    lapack_int info = LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', n, matrix, n);
    if (info != 0)
        return report_lapack(laplacian, "LAPACKE_dpotrf", info);
    info = LAPACKE_dpotri(LAPACK_COL_MAJOR, 'L', n, matrix, n);
    if (info != 0)
        return report_lapack(laplacian, "LAPACKE_dpotri", info);
    for (int e = 0; e < laplacian->edge_count; e++) {
        size_t a = (size_t)laplacian->edges[e].a, b = (size_t)laplacian->edges[e].b; /* a < b: (b, a) is below */
        double resistance = matrix[a * stride + a] + matrix[b * stride + b] - 2 * matrix[a * stride + b];
        largest = fmax(largest, resistance);
        if (request->resistances != NULL)
            request->resistances[e] = resistance;
    }
    if (request->chi2 != NULL)
        *request->chi2 = largest / 2;
    return STATUS_OK;
}

static enum status smallest_positive_eigenvalue(const struct laplacian *laplacian, double *matrix, double *lambda2)
{
    int n = laplacian->worker_count;
    double *eigenvalues = memory_zalloc((size_t)n, sizeof *eigenvalues);
    lapack_int found = 0, support[2];
    fill_laplacian(laplacian, matrix);
    lapack_int info = LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'N', 'I', 'L', n, matrix, n, 0, 0, 2, 2, 2 * LAPACKE_dlamch('S'),
                                     &found, eigenvalues, NULL, 1, support);
    *lambda2 = eigenvalues[0];
    free(eigenvalues);
    if (info != 0 || found != 1 || !(*lambda2 > 0))
        return report_lapack(laplacian, "LAPACKE_dsyevr", info);
    return STATUS_OK;
}

enum status dense_answer(const struct laplacian *laplacian, const struct spectrum_request *request)
{
    enum status status = STATUS_OK;
    size_t n = (size_t)laplacian->worker_count;
    double lambda2 = 0, *matrix = memory_zalloc(n * n, sizeof *matrix);
    if (request->chi1 != NULL)
        TRY_GOTO(smallest_positive_eigenvalue(laplacian, matrix, &lambda2), free_matrix);
    if (request->chi2 != NULL || request->resistances != NULL)
        TRY_GOTO(resistances_with(laplacian, matrix, request), free_matrix);
    if (request->chi1 != NULL)
        *request->chi1 = 1 / lambda2;

free_matrix:
    free(matrix);
    return status;
}
