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
    *evaluator =
        (struct evaluator){.ops = ops, .batch = batch, .picture_size = size, .threads = threads > 0 ? threads : 1};
    evaluator->images = memory_alloc_aligned(batch * size * sizeof evaluator->images[0]);
    evaluator->labels = memory_zalloc(batch, sizeof evaluator->labels[0]);
}

void evaluator_release(struct evaluator *evaluator)
{
    memory_free_aligned(evaluator->images);
    free(evaluator->labels);
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
        sum.loss_sum += result.loss * (double)count;
        sum.correct += result.correct;
        sum.correct_top5 += result.correct_top5;
        sum.count += count;
        first += count;
    }
    *out = sum;
    return STATUS_OK;
}
