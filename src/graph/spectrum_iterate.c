/* Λ⁺ by conjugate gradients, preconditioned by Λ's diagonal D, and the eigenvalues that follow from it.
 *
 * That is the plain method on N = D^{-1/2} Λ D^{-1/2}, whose eigenvalues lie in {0} ∪ [μ_2, 2]. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "graph/spectrum_parts.h"

enum { PRODUCTS_MAX = 20000 };
static const double solve_tolerance = 1e-10;

struct solver {
    const struct laplacian *laplacian;                       /* borrowed */
    double *root;                                            /* owned, (n): √degree */
    double *kernel;                                          /* owned, (n): of N, or of Λ */
    double *residual, *direction, *image, *right, *solution; /* owned, (n) */
};

static void init(struct solver *solver, const struct laplacian *laplacian, bool normalized)
{
    size_t n = (size_t)laplacian->worker_count;
    double sum = 0;
    *solver = (struct solver){
        .laplacian = laplacian,
        .root = memory_zalloc(n, sizeof(double)),
        .kernel = memory_zalloc(n, sizeof(double)),
        .residual = memory_zalloc(n, sizeof(double)),
        .direction = memory_zalloc(n, sizeof(double)),
        .image = memory_zalloc(n, sizeof(double)),
        .right = memory_zalloc(n, sizeof(double)),
        .solution = memory_zalloc(n, sizeof(double)),
    };
    for (size_t i = 0; i < n; i++) {
        solver->root[i] = sqrt(laplacian->degree[i]);
        sum += laplacian->degree[i];
    }
    for (size_t i = 0; i < n; i++)
        solver->kernel[i] = normalized ? solver->root[i] / sqrt(sum) : 1 / sqrt((double)n);
}

static void release(struct solver *solver)
{
    free(solver->root);
    free(solver->kernel);
    free(solver->residual);
    free(solver->direction);
    free(solver->image);
    free(solver->right);
    free(solver->solution);
}

/* Returns the residual's square in the norm of D⁻¹ after x += step·direction. */
static double advance(struct solver *s, double step, double *x)
{
    double square = 0;
    for (int i = 0; i < s->laplacian->worker_count; i++) {
        x[i] += step * s->direction[i];
        s->residual[i] -= step * s->image[i];
        square += s->residual[i] * s->residual[i] / s->laplacian->degree[i];
    }
    return square;
}

/* Λ x = right, whose entries sum to 0; x is free up to a constant. */
static enum status solve(struct solver *s, const double *right, double *x)
{
    int n = s->laplacian->worker_count;
    double square = 0, wanted = 0;
    for (int i = 0; i < n; i++) {
        x[i] = 0;
        s->residual[i] = right[i];
        s->direction[i] = right[i] / s->laplacian->degree[i];
        square += right[i] * s->direction[i];
    }
    wanted = square * solve_tolerance * solve_tolerance;
    for (int product = 0; square > wanted; product++) {
        double energy = 0, before = square;
        if (product == PRODUCTS_MAX)
            return laplacian_report_unresolved(s->laplacian, "conjugate gradients do not converge");
        laplacian_multiply(s->laplacian, s->direction, s->image);
        for (int i = 0; i < n; i++)
            energy += s->direction[i] * s->image[i];
        if (!(energy > 0))
            return laplacian_report_unresolved(s->laplacian, "conjugate gradients break down");
        square = advance(s, before / energy, x);
        for (int i = 0; i < n; i++)
            s->direction[i] = s->residual[i] / s->laplacian->degree[i] + square / before * s->direction[i];
    }
    return STATUS_OK;
}

static enum status apply_pseudo_inverse(void *context, const double *in, double *out)
{
    return solve(context, in, out);
}

/* N⁺ = D^{1/2} Λ⁺ D^{1/2} on vectors orthogonal to N's kernel. */
static enum status apply_normalized_inverse(void *context, const double *in, double *out)
{
    struct solver *s = context;
    for (int i = 0; i < s->laplacian->worker_count; i++)
        s->right[i] = s->root[i] * in[i];
    TRY(solve(s, s->right, out));
    for (int i = 0; i < s->laplacian->worker_count; i++)
        out[i] *= s->root[i];
    return STATUS_OK;
}

/* 2 − N, whose largest eigenvalue off the kernel is 2 − μ_2. */
static enum status apply_reflected(void *context, const double *in, double *out)
{
    struct solver *s = context;
    int n = s->laplacian->worker_count;
    for (int i = 0; i < n; i++)
        s->right[i] = in[i] / s->root[i];
    laplacian_multiply(s->laplacian, s->right, out);
    for (int i = 0; i < n; i++)
        out[i] = 2 * in[i] - out[i] / s->root[i];
    return STATUS_OK;
}

static enum status largest_eigenvalue(const struct laplacian *laplacian, bool normalized,
                                      enum status (*apply)(void *, const double *, double *),
                                      const struct lanczos_limits *limits, double *largest, double *residual)
{
    struct solver solver;
    init(&solver, laplacian, normalized);
    struct symmetric_operator symmetric = {
        .size = laplacian->worker_count, .kernel = solver.kernel, .apply = apply, .context = &solver};
    enum status status = lanczos_largest(&symmetric, limits, largest, residual);
    release(&solver);
    return status;
}

enum status gap_probe(const struct laplacian *laplacian, double *gap)
{
    const struct lanczos_limits limits = {.tolerance = 1e-3, .step_max = 40};
    double largest, residual;
    TRY(largest_eigenvalue(laplacian, true, apply_reflected, &limits, &largest, &residual));
    *gap = 2 - largest;
    return STATUS_OK;
}

static enum status converged(const struct laplacian *laplacian, double residual, const struct lanczos_limits *limits)
{
    if (residual <= limits->tolerance)
        return STATUS_OK;
    return laplacian_report_unresolved(laplacian, "Lanczos' method does not converge");
}

enum status gap_compute(const struct laplacian *laplacian, double *gap)
{
    const struct lanczos_limits limits = {.tolerance = 1e-3, .step_max = 1000};
    double largest, residual;
    TRY(largest_eigenvalue(laplacian, true, apply_normalized_inverse, &limits, &largest, &residual));
    TRY(converged(laplacian, residual, &limits));
    *gap = 1 / largest;
    return STATUS_OK;
}

enum status iterate_chi1(const struct laplacian *laplacian, double *chi1)
{
    const struct lanczos_limits limits = {.tolerance = 1e-8, .step_max = 2000};
    double largest, residual;
    TRY(largest_eigenvalue(laplacian, false, apply_pseudo_inverse, &limits, &largest, &residual));
    TRY(converged(laplacian, residual, &limits));
    *chi1 = largest;
    return STATUS_OK;
}

enum status iterate_resistance(const struct laplacian *laplacian, int edge, double *resistance)
{
    int a = laplacian->edges[edge].a, b = laplacian->edges[edge].b;
    struct solver solver;
    init(&solver, laplacian, false);
    solver.right[a] = 1;
    solver.right[b] = -1;
    enum status status = solve(&solver, solver.right, solver.solution);
    if (status == STATUS_OK)
        *resistance = solver.solution[a] - solver.solution[b];
    release(&solver);
    return status;
}
