/* The drawn Gaussian set: the same samples every time, variances as asked for, labels that a linear teacher gives, and
 * one sample for each worker where there are as many as workers. */
#include "data/dataset.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture.h"
#include "data/partition.h"

enum { DIMENSION = 5, CLASSES = 4 };

static struct dataset_params params_of(bool train, size_t count, uint64_t seed)
{
    return (struct dataset_params){.name = "gaussian",
                                   .path = "",
                                   .train = train,
                                   .augment = true,
                                   .count = count,
                                   .seed = seed,
                                   .dimension = DIMENSION,
                                   .class_count = CLASSES,
                                   .condition = 16};
}

static struct dataset *open_gaussian(bool train, size_t count, uint64_t seed)
{
    struct dataset *set = NULL;
    struct dataset_params params = params_of(train, count, seed);
    assert_int_equal(dataset_open(&params, &set), STATUS_OK);
    return set;
}

static bool same_samples(const struct dataset *a, const struct dataset *b, size_t count)
{
    float left[DIMENSION], right[DIMENSION];
    bool same = true;
    for (size_t i = 0; i < count; i++) {
        struct random_stream augment = random_stream(1, RANDOM_TEST, 0, i);
        assert_int_equal(a->ops->fetch(a, i, NULL, left), STATUS_OK);
        assert_int_equal(b->ops->fetch(b, i, &augment, right), STATUS_OK); /* nothing is augmented */
        same = same && memcmp(left, right, sizeof left) == 0 && a->labels[i] == b->labels[i];
    }
    return same;
}

static void seed_and_split_decide(void **state)
{
    (void)state;
    struct dataset *set = open_gaussian(true, 50, 7), *again = open_gaussian(true, 100, 7);
    struct dataset *other_seed = open_gaussian(true, 50, 8), *other_split = open_gaussian(false, 50, 7);
    assert_true(same_samples(set, again, 50)); /* whatever the count */
    assert_false(same_samples(set, other_seed, 1));
    assert_false(same_samples(set, other_split, 1));
    dataset_close(set);
    dataset_close(again);
    dataset_close(other_seed);
    dataset_close(other_split);
}

static void shape_and_default_counts(void **state)
{
    (void)state;
    struct dataset *train = open_gaussian(true, 0, 1), *test = open_gaussian(false, 0, 1);
    assert_int_equal(train->count, 8192);
    assert_int_equal(test->count, 2048);
    assert_int_equal(train->channels * train->height, 1);
    assert_int_equal(train->width, DIMENSION);
    assert_int_equal(train->class_count, CLASSES);
    dataset_close(train);
    dataset_close(test);
}

/* Means within 4 deviations of 0, variances 1, ½, ¼, ⅛, 1/16 within 4 of theirs. */
static void moments_are_as_asked_for(void **state)
{
    (void)state;
    enum { COUNT = 8192 };
    struct dataset *set = open_gaussian(true, COUNT, 3);
    double sum[DIMENSION] = {0}, squares[DIMENSION] = {0};
    float sample[DIMENSION];
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(set->ops->fetch(set, i, NULL, sample), STATUS_OK);
        for (int k = 0; k < DIMENSION; k++) {
            sum[k] += sample[k] / COUNT;
            squares[k] += (double)sample[k] * sample[k] / COUNT;
        }
    }
    for (int k = 0; k < DIMENSION; k++) {
        double variance = pow(2, -k);
        assert_true(fabs(sum[k]) < 4 * sqrt(variance / COUNT));
        assert_true(fabs(squares[k] - variance) < 4 * variance * sqrt(2.0 / COUNT));
    }
    dataset_close(set);
}

/* Class means differ along the teacher: the nearest class mean by inner product beats guessing by far, and is not
 * always right, because of the noise. */
static void labels_follow_the_samples(void **state)
{
    (void)state;
    enum { COUNT = 4096 };
    struct dataset *set = open_gaussian(true, COUNT, 3), *test = open_gaussian(false, COUNT, 3);
    double mean[CLASSES][DIMENSION] = {{0}};
    float sample[DIMENSION];
    size_t correct = 0;
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(set->ops->fetch(set, i, NULL, sample), STATUS_OK);
        assert_in_range(set->labels[i], 0, CLASSES - 1);
        for (int k = 0; k < DIMENSION; k++)
            mean[set->labels[i]][k] += sample[k] / pow(2, -k) / COUNT;
    }
    for (size_t i = 0; i < COUNT; i++) {
        double best = -INFINITY;
        int32_t guess = 0;
        assert_int_equal(test->ops->fetch(test, i, NULL, sample), STATUS_OK);
        for (int32_t c = 0; c < CLASSES; c++) {
            double score = 0;
            for (int k = 0; k < DIMENSION; k++)
                score += mean[c][k] * sample[k];
            guess = score > best ? c : guess;
            best = fmax(best, score);
        }
        correct += guess == test->labels[i];
    }
    assert_true(correct > COUNT / 2 && correct < COUNT);
    dataset_close(set);
    dataset_close(test);
}

static void one_sample_for_each_worker(void **state)
{
    (void)state;
    enum { WORKERS = 8 };
    struct dataset *set = open_gaussian(true, WORKERS, 3);
    bool seen[WORKERS] = {false};
    for (int w = 0; w < WORKERS; w++) {
        struct partition_params params = {.name = "iid", .worker = w, .worker_count = WORKERS, .seed = 3};
        struct partition partition;
        assert_int_equal(partition_create(&params, set, &partition, NULL), STATUS_OK);
        assert_int_equal(partition.count, 1);
        assert_false(seen[partition.indices[0]]);
        seen[partition.indices[0]] = true;
        partition_release(&partition);
    }
    dataset_close(set);
}

static void expect_refusal(struct dataset_params params, const char *words)
{
    static struct capture capture;
    struct dataset *set = NULL;
    capture_begin(&capture);
    enum status status = dataset_open(&params, &set);
    const char *message = capture_end(&capture);
    assert_int_equal(status, STATUS_USAGE);
    assert_null(set);
    assert_non_null(strstr(message, words));
}

static void what_cannot_be_drawn_is_refused(void **state)
{
    (void)state;
    struct dataset_params params = params_of(true, 1, 1);
    params.condition = 0.5;
    expect_refusal(params, "data.condition");
    params = params_of(true, 1, 1);
    params.dimension = 0;
    expect_refusal(params, "data.dimension");
    params = params_of(false, 100000, 1);
    params.dimension = 1000000;
    expect_refusal(params, "lower data.test_count or data.dimension");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seed_and_split_decide),      cmocka_unit_test(shape_and_default_counts),
        cmocka_unit_test(moments_are_as_asked_for),   cmocka_unit_test(labels_follow_the_samples),
        cmocka_unit_test(one_sample_for_each_worker), cmocka_unit_test(what_cannot_be_drawn_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
