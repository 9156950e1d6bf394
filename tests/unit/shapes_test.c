/* The drawn data set: the same bytes every time, balanced classes, and no class told by its colour or brightness. */
#include "data/dataset.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PIXELS = 3072, CLASSES = 10 };

static struct dataset *open_shapes(bool train, size_t count, uint64_t seed)
{
    struct dataset *set = NULL;
    struct dataset_params params = {.name = "shapes", .path = "", .train = train, .count = count, .seed = seed};
    assert_int_equal(dataset_open(&params, &set), STATUS_OK);
    return set;
}

static void fetch(const struct dataset *set, size_t index, float out[PIXELS])
{
    assert_int_equal(set->ops->fetch(set, index, NULL, out), STATUS_OK);
}

static bool same_pictures(const struct dataset *a, const struct dataset *b, size_t count)
{
    float left[PIXELS], right[PIXELS];
    for (size_t i = 0; i < count; i++) {
        fetch(a, i, left);
        fetch(b, i, right);
        if (memcmp(left, right, sizeof left) != 0)
            return false;
    }
    return true;
}

static void default_counts(void **state)
{
    (void)state;
    struct dataset *train = open_shapes(true, 0, 1), *test = open_shapes(false, 0, 1);
    assert_int_equal(train->count, 8192);
    assert_int_equal(test->count, 2048);
    assert_int_equal(train->channels, 3);
    assert_int_equal(train->height, 32);
    assert_int_equal(train->width, 32);
    assert_int_equal(train->class_count, CLASSES);
    assert_string_equal(train->class_names[9], "diamond");
    dataset_close(test);
    dataset_close(train);
}

static void seed_and_split_decide(void **state)
{
    (void)state;
    struct dataset *set = open_shapes(true, 50, 7), *again = open_shapes(true, 100, 7);
    struct dataset *other_seed = open_shapes(true, 1, 8), *other_split = open_shapes(false, 1, 7);
    assert_true(same_pictures(set, again, 50)); /* whatever the count */
    assert_memory_equal(set->labels, again->labels, 50 * sizeof(int32_t));
    assert_false(same_pictures(set, other_seed, 1));
    assert_false(same_pictures(set, other_split, 1));
    dataset_close(other_split);
    dataset_close(other_seed);
    dataset_close(again);
    dataset_close(set);
}

/* FNV-1a over pixel bytes and labels: the drawing is part of every golden result, on every machine. */
static void bytes_are_golden(void **state)
{
    (void)state;
    struct dataset *set = open_shapes(true, 200, 1);
    float out[PIXELS];
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < set->count; i++) {
        fetch(set, i, out);
        for (int p = 0; p < PIXELS; p++)
            hash = (hash ^ (uint8_t)lrint(((double)out[p] * 0.25 + 0.5) * 255)) * 0x100000001b3u;
        hash = (hash ^ (uint8_t)set->labels[i]) * 0x100000001b3u;
    }
    if (hash != 0x30582964c0c0627du)
        fail_msg("hash 0x%016llx", (unsigned long long)hash);
    dataset_close(set);
}

static void classes_are_balanced(void **state)
{
    (void)state;
    struct dataset *set = open_shapes(true, 1003, 3);
    int counts[CLASSES] = {0}, in_order = 0;
    for (size_t i = 0; i < set->count; i++) {
        assert_in_range(set->labels[i], 0, CLASSES - 1);
        counts[set->labels[i]]++;
        in_order += set->labels[i] == (int32_t)(i % CLASSES);
    }
    for (int c = 0; c < CLASSES; c++)
        assert_in_range(counts[c], 100, 101);
    assert_in_range(in_order, 50, 150); /* one in ten by chance */
    dataset_close(set);
}

/* Per class and channel, the mean over the pictures of their mean must be the common one within 4 standard errors. */
static void mean_color_tells_nothing(void **state)
{
    (void)state;
    enum { COUNT = 8000 };
    struct dataset *set = open_shapes(true, COUNT, 1);
    double sums[CLASSES][3] = {{0}}, total[3] = {0}, squares[3] = {0};
    float out[PIXELS];
    for (size_t i = 0; i < COUNT; i++) {
        fetch(set, i, out);
        for (int c = 0; c < 3; c++) {
            double mean = 0;
            for (int p = 0; p < 1024; p++)
                mean += (double)out[c * 1024 + p] / 1024;
            sums[set->labels[i]][c] += mean;
            total[c] += mean;
            squares[c] += mean * mean;
        }
    }
    const double per_class = (double)COUNT / CLASSES;
    for (int c = 0; c < 3; c++) {
        double mean = total[c] / COUNT, variance = squares[c] / COUNT - mean * mean;
        for (int k = 0; k < CLASSES; k++)
            assert_true(fabs(sums[k][c] / per_class - mean) < 4 * sqrt(variance / per_class));
    }
    dataset_close(set);
}

/* The constants of dataset.c are the data's: over the default training split mean 0 and deviation 1, to 1 %. */
static void normalisation_fits(void **state)
{
    (void)state;
    struct dataset *set = open_shapes(true, 0, 1);
    float out[PIXELS];
    for (int c = 0; c < 3; c++) {
        double sum = 0, square = 0, n = (double)set->count * 1024;
        for (size_t i = 0; i < set->count; i++) {
            fetch(set, i, out);
            for (int p = c * 1024; p < (c + 1) * 1024; p++) {
                sum += (double)out[p];
                square += (double)out[p] * (double)out[p];
            }
        }
        assert_true(fabs(sum / n) < 0.01);
        assert_true(fabs(sqrt(square / n) - 1) < 0.01);
    }
    dataset_close(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_counts),           cmocka_unit_test(seed_and_split_decide),
        cmocka_unit_test(bytes_are_golden),         cmocka_unit_test(classes_are_balanced),
        cmocka_unit_test(mean_color_tells_nothing), cmocka_unit_test(normalisation_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
