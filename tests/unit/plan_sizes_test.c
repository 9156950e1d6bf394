/* How pictures grow over a run: sizes of a plan, for any number of workers, and where a mean model goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/plan_data.h"

static enum status fetch_at(const struct dataset *set, size_t index, int size, struct random_stream *augment,
                            float *out)
{
    (void)set, (void)index, (void)size, (void)augment;
    *out = 0;
    return STATUS_OK;
}

static struct picture_sizes sizes_of(bool resizes, int first, int last, int workers, uint64_t total, uint64_t before)
{
    const struct dataset_ops ops = {.fetch_at = resizes ? fetch_at : NULL};
    struct dataset train = {.ops = &ops};
    struct plan plan = {.train = &train,
                        .place = {.worker_count = workers},
                        .first_picture_size = first,
                        .picture_size = last,
                        .gradient_total = total,
                        .gradients_before = before};
    return plan_picture_sizes(&plan);
}

static void pictures_grow_over_the_batches_of_a_worker(void **state)
{
    (void)state;
    struct picture_sizes sizes = sizes_of(true, 160, 224, 4, 1198, 0);
    assert_true(sizes.first == 160 && sizes.last == 224);
    assert_int_equal(sizes.batches, 300);
    assert_int_equal(picture_size_of(&sizes, 0), 160);
    assert_int_equal(picture_size_of(&sizes, 100), 192);
    assert_int_equal(picture_size_of(&sizes, 200), 224);
    assert_int_equal(picture_size_of(&sizes, 1000), 224); /* of a fast worker */
}

static void others_have_one_size(void **state)
{
    (void)state;
    struct picture_sizes fixed = sizes_of(true, 224, 224, 4, 1200, 0), small = sizes_of(false, 160, 224, 4, 1200, 0);
    assert_true(fixed.first == 0 && fixed.last == 0 && picture_size_of(&fixed, 7) == 0);
    assert_true(small.first == 0 && small.last == 0);
}

/* Workers of another number begin with batch 0, and with the size that the run had come to. */
static void a_mean_model_goes_on_at_its_size(void **state)
{
    (void)state;
    struct picture_sizes sizes = sizes_of(true, 160, 224, 3, 1200, 600);
    assert_int_equal(sizes.batches, 200);
    assert_int_equal(picture_size_of(&sizes, 0), 192);
    assert_int_equal(picture_size_of(&sizes, 199), 224);
    sizes = sizes_of(true, 160, 224, 3, 1200, 1000);
    assert_int_equal(picture_size_of(&sizes, 0), 224);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_grow_over_the_batches_of_a_worker),
        cmocka_unit_test(others_have_one_size),
        cmocka_unit_test(a_mean_model_goes_on_at_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
