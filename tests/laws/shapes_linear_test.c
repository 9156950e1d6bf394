/* `shapes` is beyond a linear classifier: softmax regression on the pixels stays under 60 % on unseen pictures.
 *
 * So that a failure to learn cannot pass for a hard set, the same classifier is first given pictures that carry a
 * faint linear sign of their class, and must find it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "data/dataset.h"

enum { PIXELS = 3072, CLASSES = 10, TRAIN = 10000, TEST = 2000, EPOCHS = 12, BATCH = 50 };

struct pictures {
    float *pixels;   /* owned, (count, PIXELS) */
    int32_t *labels; /* owned, (count) */
    size_t count;
};

struct classifier {
    float weights[CLASSES][PIXELS], bias[CLASSES];
};

static struct pictures read_pictures(bool train, size_t count, float sign)
{
    struct dataset *set = NULL;
    struct dataset_params params = {.name = "shapes", .path = "", .train = train, .count = count, .seed = 1};
    assert_int_equal(dataset_open(&params, &set), STATUS_OK);
    struct pictures pictures = {.pixels = memory_alloc_aligned(count * PIXELS * sizeof(float)),
                                .labels = memory_zalloc(count, sizeof(int32_t)),
                                .count = count};
    for (size_t i = 0; i < count; i++) {
        float *out = pictures.pixels + i * PIXELS;
        assert_int_equal(set->ops->fetch(set, i, NULL, out), STATUS_OK);
        pictures.labels[i] = set->labels[i];
        for (int p = set->labels[i]; p < PIXELS; p += CLASSES)
            out[p] += sign;
    }
    dataset_close(set);
    return pictures;
}

static void release_pictures(struct pictures *pictures)
{
    memory_free_aligned(pictures->pixels);
    free(pictures->labels);
}

static void scores_of(const struct classifier *classifier, const float *picture, float scores[CLASSES])
{
    for (int c = 0; c < CLASSES; c++) {
        float sum = classifier->bias[c];
#pragma omp simd reduction(+ : sum)
        for (int p = 0; p < PIXELS; p++)
            sum += classifier->weights[c][p] * picture[p];
        scores[c] = sum;
    }
}

/* d_scores = softmax(scores) - one hot of the label */
static void softmax_gradient(const float scores[CLASSES], int32_t label, float d_scores[CLASSES])
{
    float largest = scores[0], sum = 0;
    for (int c = 1; c < CLASSES; c++)
        largest = scores[c] > largest ? scores[c] : largest;
    for (int c = 0; c < CLASSES; c++)
        sum += d_scores[c] = expf(scores[c] - largest);
    for (int c = 0; c < CLASSES; c++)
        d_scores[c] = d_scores[c] / sum - (c == label ? 1.0f : 0.0f);
}

/* One step of SGD on a batch. */
static void step(struct classifier *classifier, const struct pictures *pictures, const uint32_t *batch, float rate)
{
    float d_scores[BATCH][CLASSES];
    for (int i = 0; i < BATCH; i++) {
        float scores[CLASSES];
        scores_of(classifier, pictures->pixels + (size_t)batch[i] * PIXELS, scores);
        softmax_gradient(scores, pictures->labels[batch[i]], d_scores[i]);
    }
    for (int i = 0; i < BATCH; i++) {
        const float *picture = pictures->pixels + (size_t)batch[i] * PIXELS;
        for (int c = 0; c < CLASSES; c++) {
            float scale = rate / BATCH * d_scores[i][c];
            classifier->bias[c] -= scale;
            for (int p = 0; p < PIXELS; p++)
                classifier->weights[c][p] -= scale * picture[p];
        }
    }
}

static double accuracy(const struct classifier *classifier, const struct pictures *pictures)
{
    size_t right = 0;
    for (size_t i = 0; i < pictures->count; i++) {
        float scores[CLASSES];
        int best = 0;
        scores_of(classifier, pictures->pixels + i * PIXELS, scores);
        for (int c = 1; c < CLASSES; c++)
            best = scores[c] > scores[best] ? c : best;
        right += best == pictures->labels[i];
    }
    return (double)right / (double)pictures->count;
}

struct outcome {
    double train, test; /* accuracy */
};

/* The rate falls linearly to 0, so that the last weights are settled ones. */
static struct outcome train_and_test(float sign)
{
    struct pictures train = read_pictures(true, TRAIN, sign), test = read_pictures(false, TEST, sign);
    struct classifier *classifier = memory_zalloc(1, sizeof *classifier);
    uint32_t *order = memory_zalloc(TRAIN, sizeof *order);
    for (uint32_t i = 0; i < TRAIN; i++)
        order[i] = i;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        struct random_stream stream = random_stream(1, RANDOM_TEST, 0, (uint64_t)epoch);
        random_shuffle(&stream, order, TRAIN);
        for (int k = 0; k < TRAIN; k += BATCH)
            step(classifier, &train, order + k, 0.01f * (1 - ((float)epoch + (float)k / TRAIN) / EPOCHS));
    }
    struct outcome outcome = {accuracy(classifier, &train), accuracy(classifier, &test)};
    free(order);
    free(classifier);
    release_pictures(&test);
    release_pictures(&train);
    return outcome;
}

static void classifier_learns_what_is_linear(void **state)
{
    (void)state;
    struct outcome outcome = train_and_test(0.15f);
    print_message("with a linear sign of the class: %.1f %% of the test pictures\n", 100 * outcome.test);
    assert_true(outcome.test > 0.9);
}

static void shapes_are_not_linear(void **state)
{
    (void)state;
    struct outcome outcome = train_and_test(0);
    print_message("shapes: %.1f %% of the training pictures, %.1f %% of the test pictures\n", 100 * outcome.train,
                  100 * outcome.test);
    assert_true(outcome.train > 0.2); /* trained beyond guessing */
    assert_true(outcome.test < 0.6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classifier_learns_what_is_linear),
        cmocka_unit_test(shapes_are_not_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
