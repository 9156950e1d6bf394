/* The largest eigenvalue of a symmetric operator: Lanczos with full orthogonalization, begun again from its best
 * vector when the basis is full. */
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "graph/spectrum_parts.h"

enum { BASIS_MAX = 120, BASIS_MIN = 8, CHECK_EVERY = 4 };
static const size_t basis_bytes_max = (size_t)1 << 30;

struct basis {
    size_t size;
    int capacity, count;
    double *vectors;           /* owned, (capacity + 1, size), orthonormal */
    double *diagonal, *beside; /* owned, (capacity): the operator in this basis, tridiagonal */
    double *mix;               /* owned, (capacity): its best vector in this basis */
    double *workspace;         /* owned, (capacity · (capacity + 2)) */
};

static double *vector(const struct basis *basis, int index)
{
    return basis->vectors + (size_t)index * basis->size;
}

static double dot(size_t size, const double *x, const double *y)
{
    double sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += x[i] * y[i];
    return sum;
}

static void subtract(size_t size, double factor, const double *x, double *y)
{
    for (size_t i = 0; i < size; i++)
        y[i] -= factor * x[i];
}

/* Twice: once leaves what cancellation left. Returns the length that remains; `out` gets length 1 (or stays 0). */
static double orthonormalize(const struct symmetric_operator *symmetric, const struct basis *basis, int count,
                             double *out)
{
    for (int pass = 0; pass < 2; pass++) {
        subtract(basis->size, dot(basis->size, symmetric->kernel, out), symmetric->kernel, out);
        for (int k = 0; k < count; k++)
            subtract(basis->size, dot(basis->size, vector(basis, k), out), vector(basis, k), out);
    }
    double length = sqrt(dot(basis->size, out, out));
    for (size_t i = 0; i < basis->size && length > 0; i++)
        out[i] /= length;
    return length;
}

static void init(struct basis *basis, const struct symmetric_operator *symmetric)
{
    size_t size = (size_t)symmetric->size, fit = basis_bytes_max / (size * sizeof(double));
    int capacity = fit < BASIS_MIN ? BASIS_MIN : fit < BASIS_MAX ? (int)fit : BASIS_MAX;
    *basis = (struct basis){
        .size = size,
        .capacity = capacity,
        .vectors = memory_zalloc(size * (size_t)(capacity + 1), sizeof(double)),
        .diagonal = memory_zalloc((size_t)capacity, sizeof(double)),
        .beside = memory_zalloc((size_t)capacity, sizeof(double)),
        .mix = memory_zalloc((size_t)capacity, sizeof(double)),
        .workspace = memory_zalloc((size_t)capacity * (size_t)(capacity + 2), sizeof(double)),
    };
    struct random_stream stream = random_stream(0, RANDOM_GRAPH, 1, 0); /* graphs themselves draw as worker 0 */
    for (size_t i = 0; i < size; i++)
        basis->vectors[i] = random_normal(&stream);
    orthonormalize(symmetric, basis, 0, basis->vectors);
}

static void release(struct basis *basis)
{
    free(basis->vectors);
    free(basis->diagonal);
    free(basis->beside);
    free(basis->mix);
    free(basis->workspace);
}

/* One product, one more vector. Returns what the product had outside the basis. */
static enum status extend(const struct symmetric_operator *symmetric, struct basis *basis, double *outside)
{
    int k = basis->count;
    double *next = vector(basis, k + 1);
    TRY(symmetric->apply(symmetric->context, vector(basis, k), next));
    basis->diagonal[k] = dot(basis->size, vector(basis, k), next);
    basis->count = k + 1;
    *outside = orthonormalize(symmetric, basis, k + 1, next);
    basis->beside[k] = *outside;
    return STATUS_OK;
}

/* The largest eigenvalue of the tridiagonal matrix, and its vector in `mix`. */
static double best(struct basis *basis)
{
    size_t count = (size_t)basis->count;
    double *values = basis->workspace, *beside = values + basis->capacity, *columns = beside + basis->capacity;
    for (size_t k = 0; k < count; k++) {
        values[k] = basis->diagonal[k];
        beside[k] = basis->beside[k];
    }
    if (LAPACKE_dstev(LAPACK_COL_MAJOR, 'V', basis->count, values, beside, columns, basis->count) != 0)
        return NAN;
    for (size_t k = 0; k < count; k++)
        basis->mix[k] = columns[(count - 1) * count + k];
    return values[count - 1];
}

/* The best vector becomes the first of a new basis. */
static void restart(const struct symmetric_operator *symmetric, struct basis *basis)
{
    double *first = vector(basis, 0);
    for (size_t i = 0; i < basis->size; i++) {
        double sum = 0;
        for (int k = 0; k < basis->count; k++)
            sum += basis->mix[k] * vector(basis, k)[i];
        first[i] = sum;
    }
    orthonormalize(symmetric, basis, 0, first);
    basis->count = 0;
}

enum status lanczos_largest(const struct symmetric_operator *symmetric, const struct lanczos_limits *limits,
                            double *largest, double *residual)
{
    enum status status = STATUS_OK;
    struct basis basis;
    double value = 0, left = INFINITY;
    init(&basis, symmetric);
    for (int step = 1; step <= limits->step_max && left > limits->tolerance; step++) {
        double outside;
        TRY_GOTO(extend(symmetric, &basis, &outside), release_basis);
        bool full = basis.count == basis.capacity;
        bool exhausted = outside <= 1e-13 * fabs(basis.diagonal[basis.count - 1]);
        if (!full && !exhausted && step < limits->step_max && basis.count % CHECK_EVERY != 0)
            continue;
        value = best(&basis);
        left = exhausted ? 0 : outside * fabs(basis.mix[basis.count - 1]) / fabs(value);
        if (full)
            restart(symmetric, &basis);
    }
    *largest = value;
    *residual = left;

release_basis:
    release(&basis);
    return status;
}
