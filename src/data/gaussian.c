/* `gaussian`: drawn samples and the labels of a linear teacher, for convex problems whose difficulty is chosen.
 *
 * Feature k of a sample is √v_k times a standard normal draw, the variances v_k falling geometrically from 1 to
 * 1/condition. The label is the class c whose score Σ_k t_ck ξ_k / √Σv plus noise is largest: the teacher's t_ck are
 * standard normal, so scores have variance 1 or so, and the noise has a variance of ¼. Sample i of a split is a
 * function of (seed, split, i) and of what is asked for alone: features first, then the noise of each class. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "data/memory_set.h"

enum { TRAIN_COUNT = 8192, TEST_COUNT = 2048, CLASSES = 10, TEACHER = 2 };

static const double noise_deviation = 0.5;
static const double bytes_max = 4294967296.0; /* of all samples and the teacher */

struct gaussian_set {
    struct dataset base; /* first, so that a dataset is a gaussian_set */
    float *samples;      /* owned, (count, dimension) */
    int32_t *labels;     /* owned, (count) */
};

static enum status gaussian_fetch(const struct dataset *base, size_t index, struct random_stream *augment, float *out)
{
    (void)augment; /* a sample has no other views */
    const struct gaussian_set *set = (const struct gaussian_set *)base;
    size_t dimension = (size_t)base->width;
    memcpy(out, set->samples + index * dimension, dimension * sizeof *out);
    return STATUS_OK;
}

static void gaussian_destroy(struct dataset *base)
{
    struct gaussian_set *set = (struct gaussian_set *)base;
    memory_free_aligned(set->samples);
    memory_free_aligned(set->labels);
    free(set);
}

static const struct dataset_ops gaussian_ops = {.fetch = gaussian_fetch, .destroy = gaussian_destroy};

/* deviations (dimension): √v_k. Returns √Σv, by which scores are divided. */
static double draw_deviations(size_t dimension, double condition, double *deviations)
{
    double sum = 0;
    for (size_t k = 0; k < dimension; k++) {
        deviations[k] = k == 0 ? 1 : pow(condition, -0.5 * (double)k / (double)(dimension - 1));
        sum += deviations[k] * deviations[k];
    }
    return sqrt(sum);
}

/* teacher (class_count, dimension), its scale included. */
static void draw_teacher(const struct dataset *base, uint64_t seed, double scale, float *teacher)
{
    size_t dimension = (size_t)base->width;
    for (size_t c = 0; c < (size_t)base->class_count; c++) {
        struct random_stream stream = random_stream(seed, RANDOM_GAUSSIAN, TEACHER, c);
        for (size_t k = 0; k < dimension; k++)
            teacher[c * dimension + k] = (float)(random_normal(&stream) / scale);
    }
}

static int32_t draw_label(const struct dataset *base, struct random_stream *stream, const float *teacher,
                          const float *sample)
{
    size_t dimension = (size_t)base->width;
    double largest = -INFINITY;
    int32_t label = 0;
    for (int c = 0; c < base->class_count; c++) {
        double score = noise_deviation * random_normal(stream);
        for (size_t k = 0; k < dimension; k++)
            score += (double)teacher[(size_t)c * dimension + k] * sample[k];
        if (score > largest) {
            largest = score;
            label = c;
        }
    }
    return label;
}

static void draw_samples(struct gaussian_set *set, const struct dataset_params *params)
{
    const struct dataset *base = &set->base;
    size_t dimension = (size_t)base->width;
    double *deviations = memory_zalloc(dimension, sizeof *deviations);
    float *teacher = memory_zalloc((size_t)base->class_count * dimension, sizeof *teacher);
    draw_teacher(base, params->seed, draw_deviations(dimension, params->condition, deviations), teacher);
    for (size_t i = 0; i < base->count; i++) {
        struct random_stream stream = random_stream(params->seed, RANDOM_GAUSSIAN, params->train ? 0 : 1, i);
        float *sample = set->samples + i * dimension;
        for (size_t k = 0; k < dimension; k++)
            sample[k] = (float)(deviations[k] * random_normal(&stream));
        set->labels[i] = draw_label(base, &stream, teacher, sample);
    }
    free(deviations);
    free(teacher);
}

static enum status check(const struct dataset_params *params, size_t count)
{
    if (params->dimension < 1 || params->class_count < 1 || !(params->condition >= 1 && isfinite(params->condition))) {
        log_error("data set gaussian: %d features, %d classes and a ratio %g of largest to smallest variance are asked "
                  "for; each is 1 or more (data.dimension, data.classes, data.condition)",
                  params->dimension, params->class_count, params->condition);
        return STATUS_USAGE;
    }
    double bytes = 4.0 * ((double)count + params->class_count) * params->dimension;
    if (bytes <= bytes_max)
        return STATUS_OK;
    log_error("data set gaussian: %zu %s pictures of %d features in %d classes take %.1f GiB, at most %.0f are held in "
              "memory; lower data.%s_count or data.dimension",
              count, params->train ? "training" : "test", params->dimension, params->class_count, bytes / (1 << 30),
              bytes_max / (1 << 30), params->train ? "train" : "test");
    return STATUS_USAGE;
}

enum status gaussian_open(const struct dataset_kind *kind, const struct dataset_params *asked, struct dataset **out)
{
    struct dataset_params usual = *asked;
    const struct dataset_params *params = &usual;
    if (asked->class_count == 0)
        usual.class_count = CLASSES;
    size_t count = params->count > 0 ? params->count : params->train ? TRAIN_COUNT : TEST_COUNT;
    TRY(check(params, count));
    struct gaussian_set *set = memory_zalloc(1, sizeof *set);
    set->samples = memory_alloc_aligned_for(count * (size_t)params->dimension * sizeof *set->samples,
                                            "%zu samples of data set gaussian", count);
    set->labels = memory_alloc_aligned(count * sizeof *set->labels);
    set->base = (struct dataset){
        .ops = &gaussian_ops,
        .count = count,
        .channels = kind->channels,
        .height = kind->height,
        .width = params->dimension,
        .class_count = params->class_count,
        .labels = set->labels,
    };
    draw_samples(set, params);
    *out = &set->base;
    return STATUS_OK;
}
