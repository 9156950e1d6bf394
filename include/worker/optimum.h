/* The minimiser x* of a convex model, to measure how far a run has come: ‖x − x*‖² and F(x) − F(x*).
 *
 * The objective is what a run minimises, without augmentation:
 *     F(x) = 1/n Σ_i 1/|P_i| Σ_{p ∈ P_i} loss(x, p) + (weight_decay/2) ‖decayed part of x‖²
 * with the training pictures P_i of worker i: every worker counts alike, however many pictures it has.
 *     quadratic   closed form: x*_k = a_k m_k / (a_k + weight_decay), m the mean picture
 *     linear      normal equations (LAPACK, with its estimate of the condition and iterative refinement)
 *     logistic    Newton's method with conjugate gradients, from 0, to ‖∇F‖ ≤ 1e-10 ‖∇F(0)‖
 * Where minimisers differ by a constant added to every class (logistic: in the biases, without decay in the weights
 * too), x* is the one that gradient steps from 0 lead to: the classes' sum is 0.
 *
 * A file of the cache is trusted as far as its digests and the gradient at its point go: where it is another's, damaged
 * or worse, the minimiser is found anew and written again, whole or not at all.
 *
 * All in float64. Memory: quadratic a few vectors; linear two square matrices of (features + 1)²; logistic the same,
 * the pictures in fp32 and one vector for each of 16 parts of the sum. One thread at a time. */
#ifndef GRAPEVINE_WORKER_OPTIMUM_H
#define GRAPEVINE_WORKER_OPTIMUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "data/dataset.h"
#include "data/partition.h"
#include "device/net_spec.h"

/* Linear and logistic: more elements in a picture, or more parameters, are left unsolved. */
enum { OPTIMUM_FEATURES_MAX = 4096, OPTIMUM_PARAMETERS_MAX = 1 << 20 };

/* How far the search is. */
struct optimum_progress {
    double gradient; /* ‖∇F‖ / ‖∇F(0)‖; NAN where no step has been made */
    double pictures; /* share of them that has been read */
};

struct optimum_params {
    const struct net_spec *spec;        /* borrowed during the call */
    const struct dataset *train;        /* borrowed during the call; read without augmentation */
    const struct partition *partitions; /* (partition_count), borrowed during the call: of every worker; where all have
                                         * the same pictures (shared), one is enough */
    int partition_count;
    double weight_decay;
    bool decay_norm_and_bias; /* decay all of x, not its decayed head alone */
    int threads;              /* ≥ 1 */
    const char *cache;        /* folder with a file for each minimiser, under a digest of the model, the decay and all
                               * pictures that count, with labels and weights: read, else written; NULL: none */
    void (*progress)(void *context, const struct optimum_progress *progress); /* often; may be NULL */
    void *context;                                                            /* of it */
};

struct optimum {
    size_t count;  /* elements of x */
    float *x;      /* owned, (count), the canonical layout: x*, rounded */
    double *exact; /* owned, (count): x* */
    double value;  /* F(x*) */
    const struct convex_ops *ops;
    void *problem; /* owned: what F(x) − F(x*) needs */
};

/* True for a convex model whose minimiser optimum_create can find: not with smoothed labels. */
bool optimum_known(const struct net_spec *spec);

/* Bytes that optimum_create takes for `count` pictures: beside what it keeps, until it returns; and kept. */
struct optimum_need {
    double solving, kept;
};
struct optimum_need optimum_plan(const struct net_spec *spec, size_t count);

/* *out is NULL, with STATUS_OK, where the minimiser is not known. STATUS_USAGE (logged): a convex model, but no
 * minimiser, or no single one (says which, and the weight decay that makes one); STATUS_DATA: a picture cannot be
 * read. */
enum status optimum_create(const struct optimum_params *params, struct optimum **out);
void optimum_destroy(struct optimum *optimum); /* NULL is fine */

/* ‖x − x*‖², x (count) in host memory. */
double optimum_distance(const struct optimum *optimum, const float *x);
/* F(x) − F(x*) ≥ 0, up to rounding (logistic: 1e-15 F). Logistic reads all pictures, the others none. */
double optimum_gap(const struct optimum *optimum, const float *x);

#endif
