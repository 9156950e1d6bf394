/* The direct way: LDLᵀ of Λ without the row and column of one worker, the ground. With Z its inverse,
 *
 *     R_ab = Z_aa + Z_bb − 2 Z_ab,   R_a,ground = Z_aa
 *
 * and every entry that edges need lies on the pattern of L, where Takahashi's equations give Z from the last column
 * to the first (Takahashi, Fagan, Chin 1973; Erisman, Tinney 1975):
 *
 *     Z_ij = − Σ_(k > j) Z_ik L_kj,   Z_jj = 1/D_jj − Σ_(k > j) L_kj Z_kj */
#include <math.h>
#include <stdlib.h>
#include <suitesparse/cholmod.h>

#include "base/memory.h"
#include "graph/spectrum_parts.h"

struct factor {
    const struct laplacian *laplacian; /* borrowed */
    int ground, size;                  /* size: worker_count − 1 */
    cholmod_common common;
    cholmod_sparse *matrix; /* owned: lower triangle */
    cholmod_factor *lower;  /* owned */
    double *kernel;         /* owned, (worker_count): of Λ, length 1 */
    cholmod_dense *right;   /* owned, (size) */
    /* owned: kept by CHOLMOD from solution to solution */
    cholmod_dense *solution, *scratch_y, *scratch_e;
};

static int index_of(const struct factor *factor, int worker)
{
    return worker - (worker > factor->ground);
}

/* Grounding the most connected worker takes the most entries away. */
static int most_connected(const struct laplacian *laplacian)
{
    int best = 0;
    for (int i = 1; i < laplacian->worker_count; i++)
        if (laplacian->start[i + 1] - laplacian->start[i] > laplacian->start[best + 1] - laplacian->start[best])
            best = i;
    return best;
}

/* Rows by ascending id, of which the lower triangle's columns hold those below the diagonal. */
static void fill_matrix(const struct factor *factor)
{
    const struct laplacian *laplacian = factor->laplacian;
    int *start = factor->matrix->p, *row = factor->matrix->i, count = 0;
    double *value = factor->matrix->x;
    for (int i = 0; i < laplacian->worker_count; i++) {
        if (i == factor->ground)
            continue;
        start[index_of(factor, i)] = count;
        row[count] = index_of(factor, i);
        value[count++] = laplacian->degree[i];
        for (int k = laplacian->start[i]; k < laplacian->start[i + 1]; k++) {
            if (laplacian->column[k] < i || laplacian->column[k] == factor->ground)
                continue;
            row[count] = index_of(factor, laplacian->column[k]);
            value[count++] = -laplacian->rate[k];
        }
    }
    start[factor->size] = count;
}

struct factor *factor_create(const struct laplacian *laplacian)
{
    struct factor *factor = memory_zalloc(1, sizeof *factor);
    size_t n = (size_t)laplacian->worker_count;
    factor->laplacian = laplacian;
    factor->ground = most_connected(laplacian);
    factor->size = laplacian->worker_count - 1;
    factor->kernel = memory_zalloc(n, sizeof *factor->kernel);
    for (size_t i = 0; i < n; i++)
        factor->kernel[i] = 1 / sqrt((double)n);
    cholmod_common *common = &factor->common;
    cholmod_start(common);
    common->print = 0;
    common->supernodal = CHOLMOD_SIMPLICIAL; /* keeps LDLᵀ by columns, and needs no BLAS */
    common->nmethods = 1;
    common->method[0].ordering = CHOLMOD_AMD;
    factor->matrix = cholmod_allocate_sparse(n - 1, n - 1, n - 1 + (size_t)laplacian->edge_count, true, true, -1,
                                             CHOLMOD_REAL, common);
    if (factor->matrix != NULL) {
        fill_matrix(factor);
        factor->lower = cholmod_analyze(factor->matrix, common);
        factor->right = cholmod_allocate_dense(n - 1, 1, n - 1, CHOLMOD_REAL, common);
    }
    if (factor->lower != NULL && factor->right != NULL)
        return factor;
    factor_destroy(factor);
    return NULL;
}

void factor_destroy(struct factor *factor)
{
    if (factor == NULL)
        return;
    cholmod_free_sparse(&factor->matrix, &factor->common);
    cholmod_free_factor(&factor->lower, &factor->common);
    cholmod_free_dense(&factor->right, &factor->common);
    cholmod_free_dense(&factor->solution, &factor->common);
    cholmod_free_dense(&factor->scratch_y, &factor->common);
    cholmod_free_dense(&factor->scratch_e, &factor->common);
    cholmod_finish(&factor->common);
    free(factor->kernel);
    free(factor);
}

double factor_operations(const struct factor *factor)
{
    return factor->common.fl;
}

double factor_entries(const struct factor *factor)
{
    return factor->common.lnz;
}

static enum status factorize(struct factor *factor)
{
    bool done = cholmod_factorize(factor->matrix, factor->lower, &factor->common) &&
                factor->common.status == CHOLMOD_OK && !factor->lower->is_ll && factor->lower->is_monotonic;
    const int *start = factor->lower->p;
    const double *value = factor->lower->x;
    for (int j = 0; done && j < factor->size; j++)
        done = value[start[j]] > 0 && isfinite(value[start[j]]);
    return done ? STATUS_OK : laplacian_report_unresolved(factor->laplacian, "its Laplacian has no LDL^T");
}

static enum status apply_pseudo_inverse(void *context, const double *in, double *out)
{
    struct factor *factor = context;
    double *right = factor->right->x;
    for (int i = 0; i < factor->laplacian->worker_count; i++)
        if (i != factor->ground)
            right[index_of(factor, i)] = in[i];
    if (!cholmod_solve2(CHOLMOD_A, factor->lower, factor->right, NULL, &factor->solution, NULL, &factor->scratch_y,
                        &factor->scratch_e, &factor->common))
        return laplacian_report_unresolved(factor->laplacian, "its Laplacian has no solution");
    const double *solution = factor->solution->x;
    for (int i = 0; i < factor->laplacian->worker_count; i++)
        out[i] = i == factor->ground ? 0 : solution[index_of(factor, i)];
    return STATUS_OK;
}

static enum status chi1_of(struct factor *factor, double *chi1)
{
    struct symmetric_operator symmetric = {.size = factor->laplacian->worker_count,
                                           .kernel = factor->kernel,
                                           .apply = apply_pseudo_inverse,
                                           .context = factor};
    const struct lanczos_limits limits = {.tolerance = 1e-8, .step_max = 2000};
    double residual;
    TRY(lanczos_largest(&symmetric, &limits, chi1, &residual));
    if (!(residual <= limits.tolerance))
        return laplacian_report_unresolved(factor->laplacian, "Lanczos' method does not converge");
    return STATUS_OK;
}

/* Column j of the inverse from those behind it. place (size): 0 outside the column, else 1 + the position in it. */
static void invert_column(const cholmod_factor *lower, int j, const int *place, double *inverse)
{
    const int *start = lower->p, *count = lower->nz, *row = lower->i;
    const double *value = lower->x;
    int first = start[j], length = count[j];
    for (int p = 1; p < length; p++) {
        int k = row[first + p];
        inverse[first + p] -= inverse[start[k]] * value[first + p];
        for (int q = start[k] + 1; q < start[k] + count[k]; q++) {
            int other = place[row[q]] - 1;
            if (other < 0)
                continue;
            inverse[first + other] -= inverse[q] * value[first + p];
            inverse[first + p] -= inverse[q] * value[first + other];
        }
    }
    inverse[first] = 1 / value[first];
    for (int p = 1; p < length; p++)
        inverse[first] -= value[first + p] * inverse[first + p];
}

/* Z on the pattern of L, beside its values; owned by the caller. */
static double *invert(const struct factor *factor)
{
    const cholmod_factor *lower = factor->lower;
    const int *start = lower->p, *count = lower->nz, *row = lower->i;
    double *inverse = memory_zalloc(lower->nzmax, sizeof *inverse);
    int *place = memory_zalloc((size_t)factor->size, sizeof *place);
    for (int j = factor->size - 1; j >= 0; j--) {
        for (int p = 1; p < count[j]; p++)
            place[row[start[j] + p]] = 1 + p;
        invert_column(lower, j, place, inverse);
        for (int p = 1; p < count[j]; p++)
            place[row[start[j] + p]] = 0;
    }
    free(place);
    return inverse;
}

/* Position of row `wanted` in a column whose rows ascend. */
static int find(const cholmod_factor *lower, int column, int wanted)
{
    const int *row = lower->i;
    int low = ((int *)lower->p)[column], high = low + ((int *)lower->nz)[column] - 1;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (row[middle] < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static double resistance_of(const struct factor *factor, const double *inverse, const int *order,
                            const struct graph_edge *edge)
{
    const int *start = factor->lower->p;
    if (edge->a == factor->ground)
        return inverse[start[order[index_of(factor, edge->b)]]];
    if (edge->b == factor->ground)
        return inverse[start[order[index_of(factor, edge->a)]]];
    int a = order[index_of(factor, edge->a)], b = order[index_of(factor, edge->b)];
    int between = find(factor->lower, a < b ? a : b, a < b ? b : a);
    return inverse[start[a]] + inverse[start[b]] - 2 * inverse[between];
}

static void fill_resistances(const struct factor *factor, const struct spectrum_request *request)
{
    const int *permutation = factor->lower->Perm;
    double largest = 0, *inverse = invert(factor);
    int *order = memory_zalloc((size_t)factor->size, sizeof *order); /* place in the elimination */
    for (int k = 0; k < factor->size; k++)
        order[permutation[k]] = k;
    for (int e = 0; e < factor->laplacian->edge_count; e++) {
        double resistance = resistance_of(factor, inverse, order, &factor->laplacian->edges[e]);
        largest = fmax(largest, resistance);
        if (request->resistances != NULL)
            request->resistances[e] = resistance;
    }
    if (request->chi2 != NULL)
        *request->chi2 = largest / 2;
    free(order);
    free(inverse);
}

enum status factor_answer(struct factor *factor, const struct spectrum_request *request)
{
    double chi1 = 0;
    TRY(factorize(factor));
    if (request->chi1 != NULL)
        TRY(chi1_of(factor, &chi1));
    if (request->chi2 != NULL || request->resistances != NULL)
        fill_resistances(factor, request);
    if (request->chi1 != NULL)
        *request->chi1 = chi1;
    return STATUS_OK;
}
