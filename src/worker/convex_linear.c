/* Least squares on one-hot labels: F(θ) = ½ Σ_c θ_cᵀ A θ_c − Σ_c θ_cᵀ b_c + ½ with A = Σ_n w_n row_n row_nᵀ + λ on its
 * diagonal (the biases' only if they are decayed) and b_c = Σ_{n of class c} w_n row_n, so A θ*_c = b_c,
 * F(θ*) = ½ − ½ Σ_c θ*_cᵀ b_c, and F(θ) − F(θ*) = ½ Σ_c (θ_c − θ*_c)ᵀ A (θ_c − θ*_c) without cancellation. */
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "worker/convex.h"

enum { ROWS_AT_A_TIME = 256 };

struct linear {
    struct convex_layer layer;
    int threads;
    double *a;     /* owned, (size, size), symmetric */
    double *b;     /* owned, (classes, size) */
    double *theta; /* owned, (classes, size): the minimiser */
};

static bool linear_fits(const struct net_spec *spec)
{
    return convex_layer_fits(spec, NET_LOSS_SQUARED);
}

static void linear_destroy(void *problem)
{
    struct linear *linear = problem;
    if (linear == NULL)
        return;
    memory_free_aligned(linear->a);
    free(linear->b);
    free(linear->theta);
    free(linear);
}

static struct linear *linear_new(const struct convex_setup *setup)
{
    struct linear *linear = memory_zalloc(1, sizeof *linear);
    linear->layer = convex_layer_of(setup->spec);
    linear->threads = setup->threads;
    size_t size = linear->layer.size, classes = linear->layer.classes;
    linear->a =
        memory_alloc_aligned_for(size * size * sizeof *linear->a, "the minimiser (run.optimum=false leaves it out)");
    linear->b = memory_zalloc(classes * size, sizeof *linear->b);
    linear->theta = memory_zalloc(classes * size, sizeof *linear->theta);
    return linear;
}

static void add_labels(struct linear *linear, const float *rows, const int32_t *labels, const double *weights,
                       size_t count)
{
    size_t size = linear->layer.size;
    for (size_t n = 0; n < count; n++)
        for (size_t k = 0; k < size; k++)
            linear->b[(size_t)labels[n] * size + k] += weights[n] * rows[n * size + k];
}

/* Both triangles of A, and b. */
static enum status add_up(const struct convex_setup *setup, struct linear *linear)
{
    enum status status = STATUS_OK;
    const struct convex_layer *layer = &linear->layer;
    size_t size = layer->size;
    float *rows = memory_zalloc(ROWS_AT_A_TIME * size, sizeof *rows);
    int32_t labels[ROWS_AT_A_TIME];
    for (size_t first = 0; first < setup->count && status == STATUS_OK; first += ROWS_AT_A_TIME) {
        size_t count = setup->count - first < ROWS_AT_A_TIME ? setup->count - first : ROWS_AT_A_TIME;
        TRY_GOTO(convex_layer_read(setup, layer, first, count, rows, labels), free_rows);
        convex_layer_add_moment(layer, rows, setup->weights + first, count, linear->a, setup->threads);
        add_labels(linear, rows, labels, setup->weights + first, count);
        convex_progress(setup, (double)NAN, (double)(first + count) / (double)setup->count);
    }
    for (size_t i = 0; i < size; i++) {
        linear->a[i * size + i] += convex_layer_decay(setup, layer, i);
        for (size_t j = 0; j < i; j++)
            linear->a[i * size + j] = linear->a[j * size + i];
    }
free_rows:
    free(rows);
    return status;
}

/* A θ_c = b_c for every class. False where A is singular to working precision. */
static bool solve_equations(struct linear *linear)
{
    lapack_int size = (lapack_int)linear->layer.size, classes = (lapack_int)linear->layer.classes;
    size_t elements = linear->layer.size * linear->layer.size;
    double *factor =
        memory_alloc_aligned_for(elements * sizeof *factor, "the minimiser (run.optimum=false leaves it out)");
    double *scale = memory_zalloc((size_t)size, sizeof *scale);
    double *errors = memory_zalloc(2 * (size_t)classes, sizeof *errors), reciprocal_condition;
    char equed = 'N';
    lapack_int info =
        LAPACKE_dposvx(LAPACK_COL_MAJOR, 'N', 'U', size, classes, linear->a, size, factor, size, &equed, scale,
                       linear->b, size, linear->theta, size, &reciprocal_condition, errors, errors + classes);
    memory_free_aligned(factor);
    free(scale);
    free(errors);
    return info == 0;
}

static size_t linear_remembered(const struct net_spec *spec)
{
    struct convex_layer layer = convex_layer_of(spec);
    return layer.size * (layer.size + layer.classes);
}

/* θ, then A. */
static void linear_remember(const void *problem, double *numbers)
{
    const struct linear *linear = problem;
    size_t size = linear->layer.size, count = linear->layer.classes * size;
    memcpy(numbers, linear->theta, count * sizeof *numbers);
    memcpy(numbers + count, linear->a, size * size * sizeof *numbers);
}

/* b alone, which the pictures give at little cost. */
static enum status add_up_labels(const struct convex_setup *setup, struct linear *linear)
{
    enum status status = STATUS_OK;
    float *rows = memory_zalloc(ROWS_AT_A_TIME * linear->layer.size, sizeof *rows);
    int32_t labels[ROWS_AT_A_TIME];
    for (size_t first = 0; first < setup->count && status == STATUS_OK; first += ROWS_AT_A_TIME) {
        size_t count = setup->count - first < ROWS_AT_A_TIME ? setup->count - first : ROWS_AT_A_TIME;
        status = convex_layer_read(setup, &linear->layer, first, count, rows, labels);
        if (status == STATUS_OK)
            add_labels(linear, rows, labels, setup->weights + first, count);
    }
    free(rows);
    return status;
}

/* ‖A θ − b‖ ≤ `small_residual` ‖b‖: b is ∇F(0). */
static bool is_solved(const struct linear *linear)
{
    const double small_residual = 1e-9;
    size_t size = linear->layer.size;
    double residual = 0, scale = 0;
    for (size_t c = 0; c < linear->layer.classes; c++)
        for (size_t i = 0; i < size; i++) {
            double sum = -linear->b[c * size + i];
            scale += sum * sum;
            for (size_t j = 0; j < size; j++)
                sum += linear->a[i * size + j] * linear->theta[c * size + j];
            residual += sum * sum;
        }
    return residual <= small_residual * small_residual * scale;
}

static double value_of(const struct linear *linear)
{
    double sum = 0;
    for (size_t i = 0; i < linear->layer.classes * linear->layer.size; i++)
        sum += linear->theta[i] * linear->b[i];
    return 0.5 - 0.5 * sum;
}

static enum status linear_recall(const struct convex_setup *setup, const double *numbers, double *x, double *value,
                                 void **problem, bool *good)
{
    struct linear *linear = linear_new(setup);
    size_t size = linear->layer.size, count = linear->layer.classes * size;
    memcpy(linear->theta, numbers, count * sizeof *numbers);
    memcpy(linear->a, numbers + count, size * size * sizeof *numbers);
    enum status status = add_up_labels(setup, linear);
    *good = status == STATUS_OK && is_solved(linear);
    if (!*good) {
        linear_destroy(linear);
        return status;
    }
    *value = value_of(linear);
    convex_layer_to_flat(&linear->layer, linear->theta, x);
    *problem = linear;
    return STATUS_OK;
}

static enum status linear_solve(const struct convex_setup *setup, double *x, double *value, void **problem)
{
    enum status status;
    struct linear *linear = linear_new(setup);
    TRY_GOTO(add_up(setup, linear), destroy);
    if (!solve_equations(linear)) {
        log_error("model.name linear: its loss has no single minimiser, because the features of the %zu training "
                  "pictures are linearly dependent; set optimizer.weight_decay, which is %g, to 1e-4 for example, or "
                  "run.optimum to false",
                  setup->count, setup->decay);
        TRY_GOTO(STATUS_USAGE, destroy);
    }
    *value = value_of(linear);
    convex_layer_to_flat(&linear->layer, linear->theta, x);
    *problem = linear;
    return STATUS_OK;
destroy:
    linear_destroy(linear);
    return status;
}

static double linear_gap(const struct optimum *optimum, const float *x)
{
    const struct linear *linear = optimum->problem;
    size_t size = linear->layer.size, count = linear->layer.classes * size;
    double *difference = memory_zalloc(count, sizeof *difference), sum = 0;
    convex_layer_from_flat(&linear->layer, x, difference);
    for (size_t i = 0; i < count; i++)
        difference[i] -= linear->theta[i];
    for (size_t i = 0; i < count; i++) {
        const double *row = linear->a + i % size * size, *class = difference + i / size * size;
        double product = 0;
#pragma omp simd reduction(+ : product)
        for (size_t k = 0; k < size; k++)
            product += row[k] * class[k];
        sum += product * difference[i];
    }
    free(difference);
    return 0.5 * sum;
}

static struct optimum_need linear_need(const struct net_spec *spec, double count)
{
    struct convex_layer layer = convex_layer_of(spec);
    double size = (double)layer.size, square = size * size * sizeof(double);
    (void)count;
    return (struct optimum_need){.solving = square + ROWS_AT_A_TIME * size * sizeof(float),
                                 .kept = square + 2 * (double)layer.classes * size * sizeof(double)};
}

const struct convex_ops convex_linear_ops = {
    .need = linear_need,
    .recall = linear_recall,
    .remembered = linear_remembered,
    .remember = linear_remember,
    .fits = linear_fits,
    .solve = linear_solve,
    .gap = linear_gap,
    .destroy = linear_destroy,
};
