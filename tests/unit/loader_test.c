/* data/loader.h: what the reading thread delivers is what a direct computation gives, batch by batch. */
#include "data/loader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/stopwatch.h"

enum { PIXELS = 3072, COUNT = 50 };

struct fixture {
    struct dataset *set;
    struct partition partition; /* of worker 1 of 2: 25 pictures */
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct dataset_params set_params = {.name = "shapes", .path = "", .train = true, .augment = true, .count = COUNT};
    struct partition_params params = {.name = "iid", .worker = 1, .worker_count = 2, .seed = 3};
    *state = fixture;
    if (dataset_open(&set_params, &fixture->set) != STATUS_OK)
        return -1;
    return partition_create(&params, fixture->set, &fixture->partition, NULL) == STATUS_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    partition_release(&fixture->partition);
    dataset_close(fixture->set);
    free(fixture);
    return 0;
}

static struct loader_params params_of(const struct fixture *fixture)
{
    return (struct loader_params){.set = fixture->set,
                                  .partition = &fixture->partition,
                                  .batch = 10,
                                  .worker = 1,
                                  .seed = 3,
                                  .augment = true,
                                  .slots = 3};
}

static struct loader *create(const struct loader_params *params)
{
    struct loader *loader = NULL;
    assert_int_equal(loader_create(params, &loader), STATUS_OK);
    return loader;
}

/* Batch k as loader.h defines it. */
static void expect_batch(const struct loader_params *params, const struct batch *batch, uint64_t k)
{
    size_t count = params->partition->count;
    uint32_t *order = calloc(count, sizeof *order);
    float out[PIXELS];
    assert_int_equal(batch->number, k);
    for (size_t i = 0; i < params->batch; i++) {
        uint64_t epoch = (k * params->batch + i) / count, position = (k * params->batch + i) % count;
        struct random_stream stream =
            random_stream(params->seed, RANDOM_AUGMENT, (uint32_t)params->worker, epoch << 32 | position);
        partition_shuffle(params->partition, params->seed, params->worker, epoch, order);
        assert_int_equal(params->set->ops->fetch(params->set, order[position], params->augment ? &stream : NULL, out),
                         STATUS_OK);
        assert_memory_equal(batch->images + i * PIXELS, out, sizeof out);
        assert_int_equal(batch->labels[i], params->set->labels[order[position]]);
    }
    free(order);
}

static void expect_batches(const struct loader_params *params, uint64_t first, uint64_t count)
{
    struct loader *loader = create(params);
    for (uint64_t k = first; k < first + count; k++) {
        struct batch batch;
        assert_int_equal(loader_next(loader, &batch), STATUS_OK);
        expect_batch(params, &batch, k);
        loader_release(loader);
    }
    loader_destroy(loader);
}

/* 25 pictures in batches of 10: every third batch spans two epochs. */
static void batches_equal_direct_computation(void **state)
{
    struct loader_params params = params_of(*state);
    expect_batches(&params, 0, 12);
    params.augment = false;
    expect_batches(&params, 0, 12);
    params.slots = 2;
    params.batch = 1;
    expect_batches(&params, 0, 60);
}

static void batch_may_exceed_the_share(void **state)
{
    struct loader_params params = params_of(*state);
    params.batch = 64;
    expect_batches(&params, 0, 5);
}

static void resumed_loader_goes_on(void **state)
{
    struct loader_params params = params_of(*state);
    params.first = 1000003;
    expect_batches(&params, 1000003, 6);
}

/* A taker that is slow, or that is fast, sees the same bytes; images are aligned for vector loads. */
static void pace_does_not_matter(void **state)
{
    struct loader_params params = params_of(*state);
    struct loader *slow = create(&params), *fast = create(&params);
    for (int k = 0; k < 8; k++) {
        struct batch left, right;
        stopwatch_sleep(2e-3);
        assert_int_equal(loader_next(slow, &left), STATUS_OK);
        assert_int_equal(loader_next(fast, &right), STATUS_OK);
        assert_memory_equal(left.images, right.images, params.batch * PIXELS * sizeof(float));
        assert_int_equal((uintptr_t)left.images % 64, 0);
        loader_release(slow);
        loader_release(fast);
    }
    loader_destroy(fast);
    loader_destroy(slow);
}

/* With all slots full the reading thread waits for one; destroying must wake it, also while a batch is out. */
static void destroy_wakes_the_thread(void **state)
{
    struct loader_params params = params_of(*state);
    struct batch batch;
    for (int i = 0; i < 50; i++)
        loader_destroy(create(&params)); /* in the middle of reading */
    struct loader *full = create(&params), *taken = create(&params);
    assert_int_equal(loader_next(taken, &batch), STATUS_OK);
    stopwatch_sleep(20e-3);
    loader_destroy(taken);
    loader_destroy(full);
    loader_destroy(NULL);
}

/* A set whose picture 13 cannot be read. */
static enum status fetch_or_fail(const struct dataset *set, size_t index, struct random_stream *augment, float *out)
{
    (void)set;
    (void)augment;
    out[0] = (float)index;
    return index == 13 ? STATUS_DATA : STATUS_OK;
}

/* Without slots the taker reads, into what it has lent: the same batches. */
static void without_slots_the_same_batches(void **state)
{
    const struct fixture *fixture = *state;
    struct loader_params params = params_of(fixture);
    float *images = malloc(params.batch * PIXELS * sizeof *images);
    int32_t labels[10];
    params.slots = 0;
    params.first = 2;
    params.lent_images = images;
    params.lent_labels = labels;
    struct loader *loader = create(&params);
    for (uint64_t k = 2; k < 7; k++) {
        struct batch batch;
        assert_int_equal(loader_next(loader, &batch), STATUS_OK);
        assert_ptr_equal(batch.images, images);
        expect_batch(&params, &batch, k);
        loader_release(loader);
    }
    loader_destroy(loader);
    free(images);
}

static void error_comes_out_in_its_place(void **state)
{
    (void)state;
    static const struct dataset_ops ops = {.fetch = fetch_or_fail};
    static const int32_t labels[20] = {0};
    static const struct dataset set = {
        .ops = &ops, .count = 20, .channels = 1, .height = 1, .width = 1, .class_count = 1, .labels = labels};
    uint32_t indices[20], order[20], place = 0;
    for (uint32_t i = 0; i < 20; i++)
        indices[i] = i;
    const struct partition partition = {.indices = indices, .count = 20};
    partition_shuffle(&partition, 3, 0, 0, order);
    while (order[place] != 13)
        place++;
    struct loader_params params = {.set = &set, .partition = &partition, .batch = 2, .seed = 3, .slots = 2};
    struct loader *loader = create(&params);
    for (uint32_t k = 0; k < place / 2; k++) {
        struct batch batch;
        assert_int_equal(loader_next(loader, &batch), STATUS_OK);
        assert_true(batch.images[0] == (float)order[2 * k] && batch.images[1] == (float)order[2 * k + 1]);
        loader_release(loader);
    }
    struct batch untouched = {.number = 99};
    for (int i = 0; i < 2; i++) /* and stays */
        assert_int_equal(loader_next(loader, &untouched), STATUS_DATA);
    assert_int_equal(untouched.number, 99);
    loader_destroy(loader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(batches_equal_direct_computation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(batch_may_exceed_the_share, set_up, tear_down),
        cmocka_unit_test_setup_teardown(resumed_loader_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pace_does_not_matter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(destroy_wakes_the_thread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_slots_the_same_batches, set_up, tear_down),
        cmocka_unit_test(error_comes_out_in_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
