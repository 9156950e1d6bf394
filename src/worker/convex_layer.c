/* What least squares and logistic regression have in common: rows with a 1 for the bias, the order of their
 * parameters, and the second moment of the rows. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/clones.h"
#include "worker/convex.h"

enum { ROWS_TOGETHER = 4, ROWS_PER_BLOCK = 64 };

bool convex_layer_fits(const struct net_spec *spec, enum net_loss loss)
{
    const struct net_node *node = &spec->nodes[0];
    if (spec->node_count != 1 || spec->loss != loss || node->op != NET_LINEAR || node->relu || node->bias == NET_NONE)
        return false;
    size_t features = spec->parameters[node->weight].shape[1];
    return features <= OPTIMUM_FEATURES_MAX && spec->parameter_size <= OPTIMUM_PARAMETERS_MAX;
}

struct convex_layer convex_layer_of(const struct net_spec *spec)
{
    const struct net_tensor *weight = &spec->parameters[spec->nodes[0].weight];
    return (struct convex_layer){
        .features = weight->shape[1],
        .size = weight->shape[1] + 1,
        .classes = weight->shape[0],
        .weight = weight->offset,
        .bias = spec->parameters[spec->nodes[0].bias].offset,
    };
}

enum status convex_layer_read(const struct convex_setup *setup, const struct convex_layer *layer, size_t first,
                              size_t count, float *rows, int32_t *labels)
{
    for (size_t n = 0; n < count; n++) {
        uint32_t index = setup->indices[first + n];
        TRY(setup->set->ops->fetch(setup->set, index, NULL, rows + n * layer->size));
        rows[n * layer->size + layer->features] = 1;
        labels[n] = setup->set->labels[index];
    }
    return STATUS_OK;
}

void convex_layer_to_flat(const struct convex_layer *layer, const double *theta, double *x)
{
    for (size_t c = 0; c < layer->classes; c++) {
        memcpy(x + layer->weight + c * layer->features, theta + c * layer->size, layer->features * sizeof *x);
        x[layer->bias + c] = theta[c * layer->size + layer->features];
    }
}

void convex_layer_from_flat(const struct convex_layer *layer, const float *x, double *theta)
{
    for (size_t c = 0; c < layer->classes; c++) {
        for (size_t k = 0; k < layer->features; k++)
            theta[c * layer->size + k] = x[layer->weight + c * layer->features + k];
        theta[c * layer->size + layer->features] = x[layer->bias + c];
    }
}

double convex_layer_decay(const struct convex_setup *setup, const struct convex_layer *layer, size_t k)
{
    size_t place = k < layer->features ? layer->weight : layer->bias;
    return place < setup->decayed ? setup->decay : 0;
}

/* moment[j] += Σ_r factors_r rows_r[j] for j in [first, size), four rows at a time. */
KERNEL_CLONES static void add_rows(size_t first, size_t size, const double *rows, const double *factors, size_t count,
                                   double *moment)
{
    for (size_t r = 0; r < count; r += ROWS_TOGETHER) {
        const double *a = rows + r * size, *b = a + size, *c = b + size, *d = c + size;
#pragma omp simd
        for (size_t j = first; j < size; j++)
            moment[j] += factors[r] * a[j] + factors[r + 1] * b[j] + factors[r + 2] * c[j] + factors[r + 3] * d[j];
    }
}

/* Each row of the moment is one thread's: the sums do not depend on how many there are. */
static void add_block(const struct convex_layer *layer, const double *rows, const double *weights, size_t count,
                      double *moment, int threads)
{
    size_t size = layer->size;
#pragma omp parallel for schedule(dynamic, 16) num_threads(threads)
    for (size_t i = 0; i < size; i++) {
        double factors[ROWS_PER_BLOCK] = {0};
        for (size_t r = 0; r < count; r++)
            factors[r] = weights[r] * rows[r * size + i];
        add_rows(i, size, rows, factors, count, moment + i * size);
    }
}

void convex_layer_add_moment(const struct convex_layer *layer, const float *rows, const double *weights, size_t count,
                             double *moment, int threads)
{
    size_t size = layer->size;
    double *block = memory_zalloc(ROWS_PER_BLOCK * size, sizeof *block);
    for (size_t first = 0; first < count; first += ROWS_PER_BLOCK) {
        size_t taken = count - first < ROWS_PER_BLOCK ? count - first : ROWS_PER_BLOCK;
        size_t padded = (taken + ROWS_TOGETHER - 1) / ROWS_TOGETHER * ROWS_TOGETHER;
        double scaled[ROWS_PER_BLOCK] = {0}; /* rows beyond the last have a weight of 0 */
        memcpy(scaled, weights + first, taken * sizeof *scaled);
        for (size_t i = 0; i < taken * size; i++)
            block[i] = rows[first * size + i];
        memset(block + taken * size, 0, (padded - taken) * size * sizeof *block);
        add_block(layer, block, scaled, padded, moment, threads);
    }
    free(block);
}
