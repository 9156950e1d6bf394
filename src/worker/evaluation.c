/* Testing a network on pictures. */
#include "worker/evaluation.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

static double mean(double sum, size_t count)
{
    return count > 0 ? sum / (double)count : (double)NAN;
}

double evaluation_loss(const struct evaluation *evaluation)
{
    return mean(evaluation->loss_sum, evaluation->count);
}

double evaluation_accuracy(const struct evaluation *evaluation)
{
    return mean((double)evaluation->correct, evaluation->count);
}

double evaluation_accuracy_top5(const struct evaluation *evaluation)
{
    if (evaluation->class_count < EVALUATION_TOP5_CLASSES)
        return (double)NAN;
    return mean((double)evaluation->correct_top5, evaluation->count);
}

void evaluator_init(struct evaluator *evaluator, const struct device_ops *ops, const struct net_spec *spec,
                    size_t batch, int threads)
{
    size_t size = (size_t)spec->channels * (size_t)spec->height * (size_t)spec->width;
    *evaluator = (struct evaluator){.ops = ops,
                                    .batch = batch,
                                    .picture_size = size,
                                    .threads = threads > 0 ? threads : 1,
                                    .loss = spec->loss,
                                    .class_count = (size_t)spec->class_count};
    evaluator->images =
        memory_alloc_aligned_for(batch * size * sizeof evaluator->images[0], "test images of train.batch=%zu", batch);
    evaluator->labels = memory_zalloc(batch, sizeof evaluator->labels[0]);
}

void evaluator_release(struct evaluator *evaluator)
{
    memory_free_aligned(evaluator->images);
    free(evaluator->labels);
    free(evaluator->logits);
    *evaluator = (struct evaluator){0};
}

static enum status fetch_batch(struct evaluator *evaluator, const struct evaluation_range *range, size_t first,
                               size_t count)
{
    const struct dataset *set = range->set;
    enum status status = STATUS_OK;
#pragma omp parallel for num_threads(evaluator->threads) schedule(dynamic, 1) if (evaluator->threads > 1)
    for (size_t i = 0; i < count; i++) {
        size_t index = range->indices != NULL ? range->indices[first + i] : first + i;
        enum status made = set->ops->fetch(set, index, NULL, evaluator->images + i * evaluator->picture_size);
        evaluator->labels[i] = set->labels[index];
        if (made != STATUS_OK) {
#pragma omp atomic write
            status = made;
        }
    }
    return status;
}

/* The class that comes before all others, −1 where a logit is NaN. */
static int32_t first_class(const float *logits, size_t class_count)
{
    size_t best = 0;
    for (size_t c = 0; c < class_count; c++) {
        if (isnan(logits[c]))
            return -1;
        if (logits[c] > logits[best])
            best = c;
    }
    return (int32_t)best;
}

static double log_sum_exp(const float *logits, size_t class_count, double largest)
{
    double sum = 0;
    for (size_t c = 0; c < class_count; c++)
        sum += exp(logits[c] - largest);
    return largest + log(sum);
}

static struct prediction predict_by_cross_entropy(const float *logits, size_t class_count, int32_t label)
{
    struct prediction out = {
        .label = label, .predicted = first_class(logits, class_count), .probability = NAN, .loss = NAN};
    if (out.predicted < 0)
        return out;
    double log_sum = log_sum_exp(logits, class_count, logits[out.predicted]);
    out.probability = exp(logits[out.predicted] - log_sum);
    out.loss = log_sum - logits[label];
    return out;
}

static struct prediction predict_by_squares(const float *logits, size_t class_count, int32_t label, bool labelled)
{
    double sum = 0;
    for (size_t c = 0; c < class_count; c++) {
        double gap = logits[c] - (labelled && (int32_t)c == label ? 1.0 : 0.0);
        sum += gap * gap;
    }
    return (struct prediction){.label = label,
                               .predicted = labelled ? first_class(logits, class_count) : -1,
                               .probability = NAN,
                               .loss = 0.5 * sum};
}

static struct prediction predict(const struct evaluator *evaluator, size_t i)
{
    const float *logits = evaluator->logits + i * evaluator->class_count;
    if (evaluator->loss == NET_LOSS_CROSS_ENTROPY)
        return predict_by_cross_entropy(logits, evaluator->class_count, evaluator->labels[i]);
    return predict_by_squares(logits, evaluator->class_count, evaluator->labels[i],
                              evaluator->loss == NET_LOSS_SQUARED);
}

/* Of the last forward pass. What has gone wrong in a device's queue comes out of net_result. */
static enum status read_predictions(struct evaluator *evaluator, struct net *net, size_t count, struct prediction *out)
{
    struct net_result result;
    if (evaluator->logits == NULL)
        evaluator->logits = memory_zalloc(evaluator->batch * evaluator->class_count, sizeof evaluator->logits[0]);
    evaluator->ops->net_logits(net, evaluator->logits);
    TRY(evaluator->ops->net_result(net, 0, &result));
    for (size_t i = 0; i < count; i++)
        out[i] = predict(evaluator, i);
    return STATUS_OK;
}

enum status evaluator_run(struct evaluator *evaluator, struct net *net, const struct evaluation_range *range,
                          struct evaluation *out)
{
    struct evaluation sum = {.class_count = range->set->class_count};
    for (size_t first = range->first; first < range->last;) {
        size_t left = range->last - first, count = left < evaluator->batch ? left : evaluator->batch;
        TRY(fetch_batch(evaluator, range, first, count));
        struct net_batch batch = {.images = evaluator->images, .labels = evaluator->labels, .count = count};
        struct net_result result;
        TRY(evaluator->ops->net_forward(net, NET_EVALUATE, &batch, 0, &result));
        if (range->predictions != NULL)
            TRY(read_predictions(evaluator, net, count, range->predictions + (first - range->first)));
        sum.loss_sum += result.loss * (double)count;
        sum.correct += result.correct;
        sum.correct_top5 += result.correct_top5;
        sum.count += count;
        first += count;
    }
    *out = sum;
    return STATUS_OK;
}
