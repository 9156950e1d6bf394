/* Resistances of many edges of an expander, by one Chebyshev series for all columns of an inverse.
 *
 * N = D^{-1/2} Λ D^{-1/2} has its eigenvalues off the kernel in [a, 2]. On it, with h = 1 − a/2, x = (μ − 1 − a/2)/h,
 *
 *     1/μ = 1/√(2a) · (1 + 2 Σ_(s ≥ 1) (−ρ)^s T_s(x)),   ρ = (√(2/a) − 1)/(√(2/a) + 1)
 *
 * so y_i = p(N) e_i needs T_s of P = −x(N) alone, whose entries are ≥ 0, and
 *
 *     R_ab = y_a[a]/d_a + y_b[b]/d_b − 2 y_a[b]/√(d_a d_b)
 *
 * Cut after degree s = K the series is off by at most ε = 2ρ^{K+1}/((1 − ρ)√(2a)), hence R_ab by ε(1/d_a + 1/d_b); and
 * R_ab ≥ ½(1/d_a + 1/d_b), since no eigenvalue exceeds 2: relative 2ε. The kernel's component drops out. Columns go
 * through in blocks of single precision, whose rounding is some 1e-7 of y: the caller computes the largest again. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "graph/spectrum_parts.h"

enum { LANES = 32 };                   /* columns at a time: twice as fast here as 16, and three times as 64 */
static const double truncation = 4e-7; /* ε */
static const double gap_margin = 0.97; /* a/μ_2: the gap is known to 1e-3 or better */

struct series {
    const struct laplacian *laplacian; /* borrowed */
    const int *same_as;                /* borrowed */
    double rho, scale;                 /* ρ, 1/√(2a) */
    int degree;                        /* K */
    float diagonal;                    /* of P */
    float *weight;                     /* owned, (2·edge_count): P beside the diagonal */
    float *now, *before; /* owned, (worker_count, LANES): T_s and T_(s−1) of P, of the block's columns */
    double *own;         /* owned, (worker_count): y_i[i] */
    double *across;      /* borrowed, (edge_count): y_a[b] */
};

static int degree_of(double gap, double *rho, double *scale)
{
    double root = sqrt(2 / (gap_margin * gap));
    *rho = (root - 1) / (root + 1);
    *scale = 1 / sqrt(2 * gap_margin * gap);
    if (*rho <= 0)
        return 1;
    return (int)ceil(fmax(1, log(truncation * (1 - *rho) / (2 * *scale)) / log(*rho)));
}

/* A column is wanted where one of its edges is a representative. */
static bool is_wanted(const struct laplacian *laplacian, const int *same_as, int worker)
{
    for (int k = laplacian->start[worker]; k < laplacian->start[worker + 1]; k++)
        if (same_as[laplacian->edge[k]] == laplacian->edge[k])
            return true;
    return false;
}

double chebyshev_operations(const struct laplacian *laplacian, double gap, const int *same_as)
{
    double rho, scale, columns = 0;
    for (int i = 0; i < laplacian->worker_count; i++)
        columns += is_wanted(laplacian, same_as, i);
    double products = columns * degree_of(gap, &rho, &scale);
    return products * (2.0 * laplacian->edge_count + laplacian->worker_count);
}

static void series_init(struct series *series, const struct laplacian *laplacian, double gap, const int *same_as)
{
    size_t n = (size_t)laplacian->worker_count;
    double low = fmin(gap_margin * gap, 1.9), half = 1 - low / 2;
    *series = (struct series){
        .laplacian = laplacian,
        .same_as = same_as,
        .diagonal = (float)(low / (2 * half)),
        .weight = memory_zalloc(2 * (size_t)laplacian->edge_count, sizeof(float)),
        .now = memory_alloc_aligned(n * LANES * sizeof(float)),
        .before = memory_alloc_aligned(n * LANES * sizeof(float)),
        .own = memory_zalloc(n, sizeof(double)),
    };
    series->degree = degree_of(low / gap_margin, &series->rho, &series->scale);
    for (int i = 0; i < laplacian->worker_count; i++)
        for (int k = laplacian->start[i]; k < laplacian->start[i + 1]; k++) {
            double both = laplacian->degree[i] * laplacian->degree[laplacian->column[k]];
            series->weight[k] = (float)(laplacian->rate[k] / (sqrt(both) * half));
        }
}

static void series_release(struct series *series)
{
    free(series->weight);
    memory_free_aligned(series->now);
    memory_free_aligned(series->before);
    free(series->own);
}

/* before ← factor · P now − before: T_(s+1) where factor is 2, and T_1 from T_0 with before = 0 and factor 1. */
static void recur(const struct series *series, float factor, const float *restrict now, float *restrict before)
{
    const struct laplacian *laplacian = series->laplacian;
    for (int i = 0; i < laplacian->worker_count; i++) {
        float sum[LANES];
        const float *mine = now + (size_t)i * LANES;
        float *out = before + (size_t)i * LANES;
        for (int lane = 0; lane < LANES; lane++)
            sum[lane] = series->diagonal * mine[lane];
        for (int k = laplacian->start[i]; k < laplacian->start[i + 1]; k++) {
            const float weight = series->weight[k], *other = now + (size_t)laplacian->column[k] * LANES;
            for (int lane = 0; lane < LANES; lane++)
                sum[lane] += weight * other[lane];
        }
        for (int lane = 0; lane < LANES; lane++)
            out[lane] = factor * sum[lane] - out[lane];
    }
}

/* Adds coefficient·T_s to the entries that resistances need. */
static void collect(struct series *series, const int *columns, int count, double coefficient)
{
    const struct laplacian *laplacian = series->laplacian;
    for (int lane = 0; lane < count; lane++) {
        int a = columns[lane];
        series->own[a] += coefficient * (double)series->now[(size_t)a * LANES + (size_t)lane];
        for (int k = laplacian->start[a]; k < laplacian->start[a + 1]; k++) {
            int e = laplacian->edge[k], b = laplacian->column[k];
            if (b > a && series->same_as[e] == e)
                series->across[e] += coefficient * (double)series->now[(size_t)b * LANES + (size_t)lane];
        }
    }
}

static void sum_block(struct series *series, const int *columns, int count)
{
    size_t bytes = (size_t)series->laplacian->worker_count * LANES * sizeof(float);
    double coefficient = series->scale;
    memset(series->now, 0, bytes);
    memset(series->before, 0, bytes);
    for (int lane = 0; lane < count; lane++)
        series->now[(size_t)columns[lane] * LANES + (size_t)lane] = 1;
    collect(series, columns, count, coefficient);
    for (int s = 1; s <= series->degree; s++) {
        recur(series, s == 1 ? 1 : 2, series->now, series->before);
        float *swapped = series->now;
        series->now = series->before;
        series->before = swapped;
        coefficient *= series->rho;
        collect(series, columns, count, 2 * coefficient);
    }
}

void chebyshev_resistances(const struct laplacian *laplacian, double gap, const int *same_as, double *resistances)
{
    struct series series;
    int columns[LANES], count = 0;
    series_init(&series, laplacian, gap, same_as);
    series.across = resistances;
    for (int e = 0; e < laplacian->edge_count; e++)
        resistances[e] = 0;
    for (int i = 0; i < laplacian->worker_count; i++) {
        if (is_wanted(laplacian, same_as, i))
            columns[count++] = i;
        if (count == LANES || (i == laplacian->worker_count - 1 && count > 0)) {
            sum_block(&series, columns, count);
            count = 0;
        }
    }
    for (int e = 0; e < laplacian->edge_count; e++) {
        int a = laplacian->edges[e].a, b = laplacian->edges[e].b;
        double d_a = laplacian->degree[a], d_b = laplacian->degree[b];
        if (same_as[e] == e)
            resistances[e] = series.own[a] / d_a + series.own[b] / d_b - 2 * resistances[e] / sqrt(d_a * d_b);
    }
    series_release(&series);
}
