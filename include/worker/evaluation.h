/* Testing a network on pictures: forward passes in batches, losses and hits counted. */
#ifndef GRAPEVINE_WORKER_EVALUATION_H
#define GRAPEVINE_WORKER_EVALUATION_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "data/dataset.h"
#include "device/device.h"

struct evaluation {
    double loss_sum;                     /* over `count` pictures */
    size_t correct, correct_top5, count; /* as in device.h's net_result */
    int class_count;                     /* of the set */
};

enum { EVALUATION_TOP5_CLASSES = 11 }; /* with fewer, the five best guesses say too little to be reported */

/* Means over the pictures, accuracies as fractions of 1; NAN without pictures. Top-5: NAN also where the set has fewer
 * than EVALUATION_TOP5_CLASSES. */
double evaluation_loss(const struct evaluation *evaluation);
double evaluation_accuracy(const struct evaluation *evaluation);
double evaluation_accuracy_top5(const struct evaluation *evaluation);

/* What a network says of one image. */
struct prediction {
    int32_t label;
    int32_t predicted;  /* the class that comes before all others (device.h); −1: a logit is NaN, or the loss reads no
                         * labels. Predictions that are labels are as many as the net counts correct */
    double probability; /* softmax(logits) of the predicted class; NAN unless the loss is the cross-entropy */
    double loss;        /* that the specification names; their mean is evaluation_loss, up to rounding */
};

/* Images of a set to test on. */
struct evaluation_range {
    const struct dataset *set;      /* borrowed */
    const uint32_t *indices;        /* borrowed: the list that first and last count in; NULL: the set itself */
    size_t first, last;             /* [first, last) */
    struct prediction *predictions; /* borrowed, (last − first), in the range's order: filled in. NULL: not wanted */
};

/* A batch of pictures in host memory. */
struct evaluator {
    const struct device_ops *ops;
    size_t batch, picture_size;
    enum net_loss loss;
    size_t class_count; /* logits of an image */
    int threads;        /* that make pictures */
    float *images;      /* owned, (batch, channels, height, width) */
    int32_t *labels;    /* owned, (batch) */
    float *logits;      /* owned, (batch, class_count); NULL until predictions are wanted */
};

/* `threads` 0 is 1. */
void evaluator_init(struct evaluator *evaluator, const struct device_ops *ops, const struct net_spec *spec,
                    size_t batch, int threads);
void evaluator_release(struct evaluator *evaluator);

/* Test the net's working copy, whose batch is the evaluator's; the last batch may be partial. */
enum status evaluator_run(struct evaluator *evaluator, struct net *net, const struct evaluation_range *range,
                          struct evaluation *out);

#endif
