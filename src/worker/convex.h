/* A convex problem, as each kind of it fits behind optimum.h. Private to worker/. */
#ifndef GRAPEVINE_WORKER_CONVEX_H
#define GRAPEVINE_WORKER_CONVEX_H

#include <stddef.h>
#include <stdint.h>

#include "worker/optimum.h"

/* The pictures that count, with their weights, which sum to 1. */
struct convex_setup {
    const struct net_spec *spec;
    const struct dataset *set;
    size_t count;
    const uint32_t *indices; /* (count) in the set */
    const double *weights;   /* (count) */
    double decay;            /* λ: F has (λ/2) ‖first `decayed` elements of x‖² */
    size_t decayed;
    int threads;
    const struct optimum_params *params; /* for convex_progress */
};

/* Tell the caller how far the search is. */
void convex_progress(const struct convex_setup *setup, double gradient, double pictures);

struct convex_ops {
    /* The specification is of this kind. */
    bool (*fits)(const struct net_spec *spec);
    /* Bytes for `count` pictures. */
    struct optimum_need (*need)(const struct net_spec *spec, double count);
    /* x (parameter_size) = x*, *value = F(x*), *problem for the functions below. */
    enum status (*solve)(const struct convex_setup *setup, double *x, double *value, void **problem);
    /* The same from numbers (count) that `remember` has given; *good: they are of this problem, and the gradient there
     * is small. NULL: solving takes no time. */
    enum status (*recall)(const struct convex_setup *setup, const double *numbers, double *x, double *value,
                          void **problem, bool *good);
    /* How many, and into `numbers`. */
    size_t (*remembered)(const struct net_spec *spec);
    void (*remember)(const void *problem, double *numbers);
    double (*gap)(const struct optimum *optimum, const float *x);
    void (*destroy)(void *problem); /* NULL is fine */
};

extern const struct convex_ops convex_quadratic_ops, convex_linear_ops, convex_logistic_ops;

/* --- one linear layer: a picture is a row of `size` numbers, its elements and a 1 for the bias --- */

/* Where the layer's parameters lie. θ (classes, size) has class c's weights and its bias in row c. */
struct convex_layer {
    size_t features, size, classes; /* size = features + 1 */
    size_t weight, bias;            /* offsets in x */
};

/* True for a specification of one linear layer without ReLU, with this loss. */
bool convex_layer_fits(const struct net_spec *spec, enum net_loss loss);
struct convex_layer convex_layer_of(const struct net_spec *spec);
/* Pictures [first, first + count) of the setup as rows (count, size); labels (count). */
enum status convex_layer_read(const struct convex_setup *setup, const struct convex_layer *layer, size_t first,
                              size_t count, float *rows, int32_t *labels);
void convex_layer_to_flat(const struct convex_layer *layer, const double *theta, double *x);
void convex_layer_from_flat(const struct convex_layer *layer, const float *x, double *theta);
/* λ for element k of a row, 0 where it is not decayed. */
double convex_layer_decay(const struct convex_setup *setup, const struct convex_layer *layer, size_t k);
/* moment (size, size), symmetric: += Σ_n weights_n row_n row_nᵀ over `count` rows, its upper triangle only. */
void convex_layer_add_moment(const struct convex_layer *layer, const float *rows, const double *weights, size_t count,
                             double *moment, int threads);

#endif
