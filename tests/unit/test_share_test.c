/* data/test_share.h: every class gives its share, the two sides have all images between them, and which side an image
 * is on depends on the seed and its name alone. */
#include "data/test_share.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"
#include "capture.h"

enum { COUNT = 111 };

/* Images are numbers, which are their names. */
static uint64_t digest_number(const void *context, uint64_t seed, size_t i)
{
    const uint32_t *names = context;
    return digest_bytes(seed, &names[i], sizeof names[i]);
}

struct images {
    uint32_t names[COUNT];
    int32_t labels[COUNT];
    struct test_share share;
};

/* 80 of class 0, 30 of class 1, one of class 2. */
static void fill(struct images *images)
{
    for (size_t i = 0; i < COUNT; i++) {
        images->names[i] = (uint32_t)i;
        images->labels[i] = i < 80 ? 0 : i < 110 ? 1 : 2;
    }
    images->share = (struct test_share){.count = COUNT,
                                        .class_count = 3,
                                        .labels = images->labels,
                                        .digest = digest_number,
                                        .context = images->names,
                                        .where = "HERE"};
}

/* marks (COUNT): by name, 1 for tests. */
static size_t choose(const struct images *images, double share, uint64_t seed, char *marks)
{
    size_t counts[2];
    for (int train = 0; train < 2; train++) {
        struct dataset_params params = {.train = train, .test_share = share, .seed = seed};
        uint32_t *places;
        assert_int_equal(test_share_choose(&images->share, &params, &places, &counts[train]), STATUS_OK);
        for (size_t k = 0; k < counts[train]; k++) {
            assert_true(k == 0 || places[k] > places[k - 1]);
            marks[images->names[places[k]]] = train ? 0 : 1;
        }
        free(places);
    }
    assert_int_equal(counts[0] + counts[1], images->share.count);
    return counts[0];
}

static void every_class_gives_its_share(void **state)
{
    struct images images;
    char marks[COUNT];
    size_t counts[3] = {0};
    (void)state;
    fill(&images);
    assert_int_equal(choose(&images, 0.1, 1, marks), 8 + 3);
    for (size_t i = 0; i < COUNT; i++)
        counts[images.labels[i]] += (size_t)marks[i];
    assert_int_equal(counts[0], 8);
    assert_int_equal(counts[1], 3);
    assert_int_equal(counts[2], 0); /* trained on: there is no other */
    assert_int_equal(choose(&images, 0.001, 1, marks), 2);
    assert_int_equal(choose(&images, 0.999, 1, marks), 79 + 29);
}

static void the_order_does_not_count(void **state)
{
    struct images images;
    char marks[COUNT], again[COUNT], other[COUNT];
    size_t same = 0;
    (void)state;
    fill(&images);
    choose(&images, 0.3, 5, marks);
    choose(&images, 0.3, 6, other);
    for (size_t i = 0; i < 40; i++) { /* within class 0 */
        images.names[i] = (uint32_t)(79 - i);
        images.names[79 - i] = (uint32_t)i;
    }
    choose(&images, 0.3, 5, again);
    assert_memory_equal(marks, again, sizeof marks);
    for (size_t i = 0; i < COUNT; i++)
        same += marks[i] == other[i];
    assert_true(same < COUNT - 10);
}

static void what_cannot_be_shared_is_refused(void **state)
{
    struct images images;
    struct dataset_params params = {.test_share = 0};
    struct capture capture;
    uint32_t *places;
    size_t count;
    (void)state;
    fill(&images);
    capture_begin(&capture);
    enum status none = test_share_choose(&images.share, &params, &places, &count);
    const char *message = capture_end(&capture);
    assert_int_equal(none, STATUS_USAGE);
    assert_non_null(strstr(message, "HERE: no test images are there, and data.test_share is 0"));
    images.share.labels = (const int32_t[]){0, 1, 2};
    images.share.count = 3;
    params.test_share = 0.5;
    capture_begin(&capture);
    enum status alone = test_share_choose(&images.share, &params, &places, &count);
    message = capture_end(&capture);
    assert_int_equal(alone, STATUS_DATA);
    assert_non_null(strstr(message, "none of its classes has two images"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_class_gives_its_share),
        cmocka_unit_test(the_order_does_not_count),
        cmocka_unit_test(what_cannot_be_shared_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
