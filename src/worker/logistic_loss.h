/* The loss of multinomial logistic regression on pictures, with what its minimiser needs of it; convex_logistic.c says
 * what the letters mean. Private to worker/. */
#ifndef GRAPEVINE_WORKER_LOGISTIC_LOSS_H
#define GRAPEVINE_WORKER_LOGISTIC_LOSS_H

#include "worker/convex.h"

enum { LOGISTIC_PARTS = 16 }; /* of the pictures: a sum over them needs this many vectors */

struct logistic {
    struct convex_layer layer;
    size_t count, padded; /* pictures, and a multiple of four: beyond the last picture are rows of 0 with weight 0 */
    int threads;
    double row_scale;   /* root of Σ_n w_n ‖row_n‖² */
    double *decay;      /* owned, (size): λ_k */
    float *rows;        /* owned, (padded, size) */
    int32_t *labels;    /* owned, (padded) */
    double *weights;    /* owned, (padded) */
    double *theta;      /* owned, (classes, size) */
    double *logits;     /* owned, (padded, classes): z */
    double *shares;     /* owned, (padded, classes): p */
    double *changes;    /* owned, (padded, classes): Δ of a direction */
    double *group_rows; /* owned, (parts, 4, size): the rows of a part's group */
    double *products;   /* owned, (parts, 4, classes): of them with a θ, then their factors in a sum */
};

enum status logistic_create(const struct convex_setup *setup, struct logistic **out);
void logistic_destroy(void *logistic); /* NULL is fine */

/* At θ, without decay: returns the loss, sums[0] (classes, size) = its gradient, *margin = the least of a label's logit
 * over another class's. Keeps z and p. sums (parts, classes, size). */
double logistic_gradient(struct logistic *logistic, double *sums, double *margin);
/* At the kept p, without decay: sums[0] = H direction. */
void logistic_curvature(struct logistic *logistic, const double *direction, double *sums);
/* Keeps Δ of the direction (classes, size); returns the largest |Δ − pᵀΔ|. */
double logistic_change(struct logistic *logistic, const double *direction);
/* D(step · direction), with decay; the direction's Δ is the kept one. */
double logistic_excess(const struct logistic *logistic, const double *direction, double step);

#endif
