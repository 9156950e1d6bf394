/* The quadratic: F(w) = ½ Σ_k [a_k (w_k − m_k)² + a_k v_k + λ w_k²] with mean m and variance v of the pictures, so
 * w*_k = a_k m_k / (a_k + λ), and F(w) − F(w*) = ½ Σ_k (a_k + λ)(w_k − w*_k)² without cancellation. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "worker/convex.h"

struct quadratic {
    double *curvature; /* owned, (parameter_size): a_k + λ */
    size_t count;
};

static bool quadratic_fits(const struct net_spec *spec)
{
    return spec->node_count == 1 && spec->nodes[0].op == NET_QUADRATIC && spec->loss == NET_LOSS_SQUARED_NORM;
}

/* Mean and variance of every element over the weighted pictures, in one pass (Welford's update). */
static enum status measure(const struct convex_setup *setup, double *mean, double *variance)
{
    size_t dimension = setup->spec->parameter_size;
    float *picture = memory_zalloc(dimension, sizeof *picture);
    double weight_sum = 0;
    enum status status = STATUS_OK;
    for (size_t n = 0; n < setup->count && status == STATUS_OK; n++) {
        status = setup->set->ops->fetch(setup->set, setup->indices[n], NULL, picture);
        weight_sum += setup->weights[n];
        for (size_t k = 0; status == STATUS_OK && k < dimension; k++) {
            double before = picture[k] - mean[k];
            mean[k] += before * (setup->weights[n] / weight_sum);
            variance[k] += setup->weights[n] * before * (picture[k] - mean[k]);
        }
    }
    free(picture);
    return status;
}

static enum status quadratic_solve(const struct convex_setup *setup, double *x, double *value, void **problem)
{
    enum status status;
    size_t dimension = setup->spec->parameter_size;
    double condition = setup->spec->nodes[0].condition, sum = 0;
    double *mean = memory_zalloc(dimension, sizeof *mean), *variance = memory_zalloc(dimension, sizeof *variance);
    TRY_GOTO(measure(setup, mean, variance), free_moments);
    struct quadratic *quadratic = memory_zalloc(1, sizeof *quadratic);
    quadratic->curvature = memory_zalloc(dimension, sizeof *quadratic->curvature);
    quadratic->count = dimension;
    for (size_t k = 0; k < dimension; k++) {
        double a = k == 0 ? 1 : pow(condition, -(double)k / (double)(dimension - 1));
        double decay = k < setup->decayed ? setup->decay : 0;
        quadratic->curvature[k] = a + decay;
        x[k] = a * mean[k] / (a + decay);
        sum += a * (x[k] - mean[k]) * (x[k] - mean[k]) + a * variance[k] + decay * x[k] * x[k];
    }
    *value = 0.5 * sum;
    *problem = quadratic;
free_moments:
    free(mean);
    free(variance);
    return status;
}

static double quadratic_gap(const struct optimum *optimum, const float *x)
{
    const struct quadratic *quadratic = optimum->problem;
    double sum = 0;
    for (size_t k = 0; k < quadratic->count; k++)
        sum += quadratic->curvature[k] * (x[k] - optimum->exact[k]) * (x[k] - optimum->exact[k]);
    return 0.5 * sum;
}

static void quadratic_destroy(void *problem)
{
    struct quadratic *quadratic = problem;
    if (quadratic == NULL)
        return;
    free(quadratic->curvature);
    free(quadratic);
}

static struct optimum_need quadratic_need(const struct net_spec *spec, double count)
{
    double vector = (double)spec->parameter_size * sizeof(double);
    (void)count;
    return (struct optimum_need){.solving = 3 * vector, .kept = vector};
}

const struct convex_ops convex_quadratic_ops = {
    .need = quadratic_need,
    .fits = quadratic_fits,
    .solve = quadratic_solve,
    .gap = quadratic_gap,
    .destroy = quadratic_destroy,
};
