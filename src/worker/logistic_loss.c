/* Passes over the pictures of a logistic regression: its loss, gradient and curvature, and D(d). Pictures are taken
 * four at a time, in 16 parts whose sums are added in order, however many threads there are. */
#include "worker/logistic_loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/clones.h"

enum { ROWS_TOGETHER = 4, LANES = 8 };

static const double exponent_large = 700; /* exp does not overflow below */

/* What a pass over the pictures finds out in one part of them. */
struct part {
    double sum;
    double largest, smallest;
};

/* products (4, classes), of pictures [first, first + 4) with a θ, become the factors of their rows in the sum. */
typedef void group_fn(struct logistic *logistic, size_t first, double *products, struct part *part);

/* Four dot products with one vector, each in as many partial sums as a wide register has lanes: the same bits with
 * every instruction set. */
KERNEL_INLINE void multiply_row(size_t size, const double *rows, const double *theta, double *out, size_t stride)
{
    const double *a = rows, *b = a + size, *c = b + size, *d = c + size;
    double of_a[LANES] = {0}, of_b[LANES] = {0}, of_c[LANES] = {0}, of_d[LANES] = {0};
    double sums[ROWS_TOGETHER] = {0};
    size_t k = 0;
    for (; k + LANES <= size; k += LANES) {
#pragma omp simd
        for (size_t lane = 0; lane < LANES; lane++) {
            of_a[lane] += a[k + lane] * theta[k + lane];
            of_b[lane] += b[k + lane] * theta[k + lane];
            of_c[lane] += c[k + lane] * theta[k + lane];
            of_d[lane] += d[k + lane] * theta[k + lane];
        }
    }
    for (; k < size; k++)
        for (size_t row = 0; row < ROWS_TOGETHER; row++)
            sums[row] += rows[row * size + k] * theta[k];
    for (size_t lane = 0; lane < LANES; lane++) {
        sums[0] += of_a[lane];
        sums[1] += of_b[lane];
        sums[2] += of_c[lane];
        sums[3] += of_d[lane];
    }
    for (size_t row = 0; row < ROWS_TOGETHER; row++)
        out[row * stride] = sums[row];
}

/* products (4, classes) = rows (4, size) θᵀ. */
KERNEL_CLONES static void multiply(const struct convex_layer *layer, const double *rows, const double *theta,
                                   double *products)
{
    for (size_t class = 0; class < layer->classes; class ++)
        multiply_row(layer->size, rows, theta + class * layer->size, products + class, layer->classes);
}

/* sum (classes, size) += factors (4, classes)ᵀ rows (4, size). */
KERNEL_CLONES static void accumulate(const struct convex_layer *layer, const double *rows, const double *factors,
                                     double *sum)
{
    size_t size = layer->size, classes = layer->classes;
    const double *a = rows, *b = a + size, *c = b + size, *d = c + size;
    for (size_t class = 0; class < classes; class ++, sum += size) {
        double of_a = factors[class], of_b = factors[classes + class];
        double of_c = factors[2 * classes + class], of_d = factors[3 * classes + class];
#pragma omp simd
        for (size_t k = 0; k < size; k++)
            sum[k] += of_a * a[k] + of_b * b[k] + of_c * c[k] + of_d * d[k];
    }
}

/* One part: groups [begin, end). sum (classes, size) may be NULL. */
static void visit_part(struct logistic *logistic, const double *theta, group_fn *visit, size_t index, double *sum,
                       struct part *part)
{
    const struct convex_layer *layer = &logistic->layer;
    size_t groups = logistic->padded / ROWS_TOGETHER;
    size_t begin = groups * index / LOGISTIC_PARTS, end = groups * (index + 1) / LOGISTIC_PARTS;
    size_t elements = ROWS_TOGETHER * layer->size;
    double *rows = logistic->group_rows + index * elements;
    double *products = logistic->products + index * ROWS_TOGETHER * layer->classes;
    if (sum != NULL)
        memset(sum, 0, layer->classes * layer->size * sizeof *sum);
    for (size_t group = begin; group < end; group++) {
        const float *from = logistic->rows + group * elements;
#pragma omp simd
        for (size_t i = 0; i < elements; i++)
            rows[i] = from[i];
        multiply(layer, rows, theta, products);
        visit(logistic, group * ROWS_TOGETHER, products, part);
        if (sum != NULL)
            accumulate(layer, rows, products, sum);
    }
}

static struct part combine(const struct part *parts)
{
    struct part all = parts[0];
    for (size_t i = 1; i < LOGISTIC_PARTS; i++) {
        all.sum += parts[i].sum;
        all.largest = fmax(all.largest, parts[i].largest);
        all.smallest = fmin(all.smallest, parts[i].smallest);
    }
    return all;
}

static const struct part part_empty = {.largest = 0, .smallest = INFINITY};

/* Visit all pictures. sums (parts, classes, size), of which the first becomes the total, or NULL. */
static struct part pass(struct logistic *logistic, const double *theta, group_fn *visit, double *sums)
{
    struct part parts[LOGISTIC_PARTS];
    size_t count = logistic->layer.classes * logistic->layer.size;
#pragma omp parallel for schedule(dynamic, 1) num_threads(logistic->threads)
    for (size_t i = 0; i < LOGISTIC_PARTS; i++) {
        parts[i] = part_empty;
        visit_part(logistic, theta, visit, i, sums != NULL ? sums + i * count : NULL, &parts[i]);
    }
    for (size_t i = 1; sums != NULL && i < LOGISTIC_PARTS; i++)
        for (size_t k = 0; k < count; k++)
            sums[k] += sums[i * count + k];
    return combine(parts);
}

/* One picture: p of z, the factors w (p − e_label) in ∇F, without cancellation at the label. Returns the loss. */
static double softmax(const double *logits, size_t classes, size_t label, double weight, double *shares,
                      double *factors, double *margin)
{
    size_t top = 0;
    double others = 0, without_label = 0, runner_up = -INFINITY;
    for (size_t c = 1; c < classes; c++)
        top = logits[c] > logits[top] ? c : top;
    for (size_t c = 0; c < classes; c++) {
        shares[c] = exp(logits[c] - logits[top]);
        others += c == top ? 0 : shares[c];
        runner_up = c == label ? runner_up : fmax(runner_up, logits[c]);
    }
    for (size_t c = 0; c < classes; c++) {
        shares[c] /= 1 + others;
        factors[c] = weight * shares[c];
        without_label += c == label ? 0 : shares[c];
    }
    factors[label] = -weight * without_label;
    *margin = logits[label] - runner_up;
    return log1p(others) + (logits[top] - logits[label]);
}

/* For ∇F: keeps z and p; the sum is F's, without decay, `smallest` the margin. */
static void visit_gradient(struct logistic *logistic, size_t first, double *products, struct part *part)
{
    size_t classes = logistic->layer.classes;
    memcpy(logistic->logits + first * classes, products, ROWS_TOGETHER * classes * sizeof *products);
    for (size_t n = first; n < first + ROWS_TOGETHER; n++, products += classes) {
        double margin, weight = logistic->weights[n];
        part->sum += weight * softmax(logistic->logits + n * classes, classes, (size_t)logistic->labels[n], weight,
                                      logistic->shares + n * classes, products, &margin);
        if (n < logistic->count)
            part->smallest = fmin(part->smallest, margin);
    }
}

/* Σ_c p_c change_c. */
static double mean_change(const double *shares, const double *changes, size_t classes)
{
    double mean = 0;
    for (size_t c = 0; c < classes; c++)
        mean += shares[c] * changes[c];
    return mean;
}

/* For H d, without decay: the factors are w (diag(p) − p pᵀ) Δ. */
static void visit_curvature(struct logistic *logistic, size_t first, double *products, struct part *part)
{
    (void)part;
    size_t classes = logistic->layer.classes;
    for (size_t n = first; n < first + ROWS_TOGETHER; n++, products += classes) {
        const double *shares = logistic->shares + n * classes;
        double mean = mean_change(shares, products, classes);
        for (size_t c = 0; c < classes; c++)
            products[c] = logistic->weights[n] * shares[c] * (products[c] - mean);
    }
}

/* For D(d): keeps Δ; `largest` is that of |Δ − pᵀΔ|. */
static void visit_change(struct logistic *logistic, size_t first, double *products, struct part *part)
{
    size_t classes = logistic->layer.classes;
    memcpy(logistic->changes + first * classes, products, ROWS_TOGETHER * classes * sizeof *products);
    for (size_t n = first; n < first + ROWS_TOGETHER; n++, products += classes) {
        double mean = mean_change(logistic->shares + n * classes, products, classes);
        for (size_t c = 0; c < classes; c++)
            part->largest = fmax(part->largest, fabs(products[c] - mean));
    }
}

double logistic_gradient(struct logistic *logistic, double *sums, double *margin)
{
    struct part all = pass(logistic, logistic->theta, visit_gradient, sums);
    *margin = all.smallest;
    return all.sum;
}

void logistic_curvature(struct logistic *logistic, const double *direction, double *sums)
{
    pass(logistic, direction, visit_curvature, sums);
}

double logistic_change(struct logistic *logistic, const double *direction)
{
    return pass(logistic, direction, visit_change, NULL).largest;
}

/* --- D(d) --- */

/* φ(u) = exp u − 1 − u, to full precision: by its series Σ_i u^i/i! from i = 2 where the parts would cancel. */
static double exponential_excess(double u)
{
    if (fabs(u) >= 0.1)
        return expm1(u) - u;
    double factor = 1;
    for (int i = 11; i > 2; i--)
        factor = 1 + u / i * factor;
    return 0.5 * u * u * factor;
}

/* log Σ_c exp(z_c + step Δ_c − mean), for exponents that would overflow. */
static double log_sum(const double *logits, const double *changes, size_t classes, double step, double mean)
{
    double top = -INFINITY, sum = 0;
    for (size_t c = 0; c < classes; c++)
        top = fmax(top, logits[c] + (step * changes[c] - mean));
    for (size_t c = 0; c < classes; c++)
        sum += exp(logits[c] + (step * changes[c] - mean) - top);
    return top + log(sum);
}

/* One picture's log(1 + Σ_c p_c φ(u_c)), u = step Δ − its mean under p. */
static double picture_excess(const struct logistic *logistic, size_t n, double step)
{
    size_t classes = logistic->layer.classes;
    const double *shares = logistic->shares + n * classes, *changes = logistic->changes + n * classes;
    double mean = step * mean_change(shares, changes, classes), sum = 0, largest = 0;
    for (size_t c = 0; c < classes; c++)
        largest = fmax(largest, step * changes[c] - mean);
    if (largest > exponent_large) {
        const double *logits = logistic->logits + n * classes;
        return log_sum(logits, changes, classes, step, mean) - log_sum(logits, changes, classes, 0, 0);
    }
    for (size_t c = 0; c < classes; c++)
        sum += shares[c] * exponential_excess(step * changes[c] - mean);
    return log1p(sum);
}

double logistic_excess(const struct logistic *logistic, const double *direction, double step)
{
    size_t size = logistic->layer.size, count = logistic->layer.classes * size;
    double parts[LOGISTIC_PARTS] = {0}, sum = 0, decay = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(logistic->threads)
    for (size_t i = 0; i < LOGISTIC_PARTS; i++) {
        size_t begin = logistic->count * i / LOGISTIC_PARTS, end = logistic->count * (i + 1) / LOGISTIC_PARTS;
        for (size_t n = begin; n < end; n++)
            parts[i] += logistic->weights[n] * picture_excess(logistic, n, step);
    }
    for (size_t i = 0; i < LOGISTIC_PARTS; i++)
        sum += parts[i];
    for (size_t k = 0; k < count; k++)
        decay += logistic->decay[k % size] * direction[k] * direction[k];
    return sum + 0.5 * step * step * decay;
}

/* --- memory --- */

void logistic_destroy(void *problem)
{
    struct logistic *logistic = problem;
    if (logistic == NULL)
        return;
    free(logistic->decay);
    memory_free_aligned(logistic->rows);
    free(logistic->labels);
    free(logistic->weights);
    free(logistic->theta);
    memory_free_aligned(logistic->logits);
    memory_free_aligned(logistic->shares);
    memory_free_aligned(logistic->changes);
    free(logistic->group_rows);
    free(logistic->products);
    free(logistic);
}

static struct logistic *logistic_new(const struct convex_setup *setup)
{
    struct logistic *logistic = memory_zalloc(1, sizeof *logistic);
    logistic->layer = convex_layer_of(setup->spec);
    logistic->count = setup->count;
    logistic->padded = (setup->count + ROWS_TOGETHER - 1) / ROWS_TOGETHER * ROWS_TOGETHER;
    logistic->threads = setup->threads;
    size_t size = logistic->layer.size, classes = logistic->layer.classes;
    logistic->decay = memory_zalloc(size, sizeof *logistic->decay);
    for (size_t k = 0; k < size; k++)
        logistic->decay[k] = convex_layer_decay(setup, &logistic->layer, k);
    logistic->rows = memory_alloc_aligned_for(logistic->padded * size * sizeof *logistic->rows,
                                              "the minimiser (run.optimum=false leaves it out)");
    logistic->labels = memory_zalloc(logistic->padded, sizeof *logistic->labels);
    logistic->weights = memory_zalloc(logistic->padded, sizeof *logistic->weights);
    memcpy(logistic->weights, setup->weights, setup->count * sizeof *logistic->weights);
    logistic->theta = memory_zalloc(classes * size, sizeof *logistic->theta);
    logistic->logits = memory_alloc_aligned(logistic->padded * classes * sizeof *logistic->logits);
    logistic->shares = memory_alloc_aligned(logistic->padded * classes * sizeof *logistic->shares);
    logistic->changes = memory_alloc_aligned(logistic->padded * classes * sizeof *logistic->changes);
    logistic->group_rows = memory_zalloc(LOGISTIC_PARTS * ROWS_TOGETHER * size, sizeof *logistic->group_rows);
    logistic->products = memory_zalloc(LOGISTIC_PARTS * ROWS_TOGETHER * classes, sizeof *logistic->products);
    return logistic;
}

static enum status read_pictures(const struct convex_setup *setup, struct logistic *logistic)
{
    size_t size = logistic->layer.size;
    double sum = 0;
    TRY(convex_layer_read(setup, &logistic->layer, 0, logistic->count, logistic->rows, logistic->labels));
    for (size_t n = 0; n < logistic->count; n++) {
        const float *row = logistic->rows + n * size;
        double square = 0;
        for (size_t k = 0; k < size; k++)
            square += (double)row[k] * row[k];
        sum += logistic->weights[n] * square;
    }
    logistic->row_scale = sqrt(sum);
    return STATUS_OK;
}

enum status logistic_create(const struct convex_setup *setup, struct logistic **out)
{
    struct logistic *logistic = logistic_new(setup);
    enum status status = read_pictures(setup, logistic);
    if (status != STATUS_OK)
        logistic_destroy(logistic);
    else
        *out = logistic;
    return status;
}
