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

/* Pictures of a set to test on. */
struct evaluation_range {
    const struct dataset *set; /* borrowed */
    const uint32_t *indices;   /* borrowed: the list that first and last count in; NULL: the set itself */
    size_t first, last;        /* [first, last) */
};

/* A batch of pictures in host memory. */
struct evaluator {
    const struct device_ops *ops;
    size_t batch, picture_size;
    int threads;     /* that make pictures */
    float *images;   /* owned, (batch, channels, height, width) */
    int32_t *labels; /* owned, (batch) */
};

/* `threads` 0 is 1. */
void evaluator_init(struct evaluator *evaluator, const struct device_ops *ops, const struct net_spec *spec,
                    size_t batch, int threads);
void evaluator_release(struct evaluator *evaluator);

/* Test the net's working copy, whose batch is the evaluator's; the last batch may be partial. */
enum status evaluator_run(struct evaluator *evaluator, struct net *net, const struct evaluation_range *range,
                          struct evaluation *out);

#endif
