/* data/loader.h: what the threads deliver is what a direct computation gives, batch by batch, however many there are.
 * Reading ahead and pictures that grow: loader_ahead_test.c. */
#include "data/loader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/stopwatch.h"

enum { PIXELS = 3072, COUNT = 50, THREAD_COUNTS = 4 };

static const int thread_counts[THREAD_COUNTS] = {0, 1, 2, 5}; /* 0 is 1 */

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
    for (int t = 0; t < THREAD_COUNTS; t++) {
        struct loader_params params = params_of(*state);
        params.threads = thread_counts[t];
        expect_batches(&params, 0, 12);
        params.augment = false;
        expect_batches(&params, 0, 12);
        params.slots = 2;
        params.batch = 1;
        expect_batches(&params, 0, 60);
    }
}

static void batch_may_exceed_the_share(void **state)
{
    for (int t = 0; t < THREAD_COUNTS; t++) {
        struct loader_params params = params_of(*state);
        params.threads = thread_counts[t];
        params.batch = 64;
        expect_batches(&params, 0, 5);
    }
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

/* With all slots full the threads wait for one; destroying must wake them, also while a batch is out. */
static void destroy_wakes_the_threads(void **state)
{
    for (int t = 0; t < THREAD_COUNTS; t++) {
        struct loader_params params = params_of(*state);
        struct batch batch;
        params.threads = thread_counts[t];
        for (int i = 0; i < 50; i++)
            loader_destroy(create(&params)); /* in the middle of reading */
        struct loader *full = create(&params), *taken = create(&params);
        assert_int_equal(loader_next(taken, &batch), STATUS_OK);
        stopwatch_sleep(20e-3);
        loader_destroy(taken);
        loader_destroy(full);
    }
    loader_destroy(NULL);
}

/* Without slots the taker reads, into what it has lent: the same batches. */
static void expect_without_slots(void **state, int threads)
{
    struct loader_params params = params_of(*state);
    params.threads = threads;
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

static void without_slots_the_same_batches(void **state)
{
    for (int t = 0; t < THREAD_COUNTS; t++)
        expect_without_slots(state, thread_counts[t]);
}

/* In any order, as the simulator asks for them. */
static void batches_are_sought(void **state)
{
    static const uint64_t numbers[] = {5, 0, 1, 40, 3, 3};
    struct loader_params params = params_of(*state);
    float *images = malloc(params.batch * PIXELS * sizeof *images);
    int32_t labels[10];
    params.slots = 0;
    params.lent_images = images;
    params.lent_labels = labels;
    struct loader *loader = create(&params);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct batch batch;
        loader_seek(loader, numbers[i]);
        assert_int_equal(loader_next(loader, &batch), STATUS_OK);
        expect_batch(&params, &batch, numbers[i]);
        loader_release(loader);
    }
    loader_destroy(loader);
    free(images);
}

/* Picks instead of pictures: the same draws, whatever thread made them. */
static void picks_are_the_same(void **state)
{
    struct loader_params params = params_of(*state);
    params.picks = true;
    for (int t = 0; t < THREAD_COUNTS; t++) {
        params.threads = thread_counts[t];
        struct loader *loader = create(&params);
        for (uint64_t k = 0; k < 6; k++) {
            struct batch batch;
            uint32_t order[COUNT];
            assert_int_equal(loader_next(loader, &batch), STATUS_OK);
            assert_null(batch.images);
            for (size_t i = 0; i < params.batch; i++) {
                uint64_t epoch = (k * params.batch + i) / 25, position = (k * params.batch + i) % 25;
                struct random_stream stream = random_stream(3, RANDOM_AUGMENT, 1, epoch << 32 | position);
                struct picture_pick pick = {0};
                partition_shuffle(params.partition, 3, 1, epoch, order);
                params.set->ops->pick(params.set, order[position], &stream, &pick);
                assert_memory_equal(&batch.picks[i], &pick, sizeof pick);
            }
            loader_release(loader);
        }
        loader_destroy(loader);
    }
}

/* --- errors --- */

enum { FAKES = 24 };

/* A set of single numbers, some of which cannot be read. `waits` is not done before `awaited` has failed. */
struct fake {
    struct dataset base;
    bool fails[FAKES];
    size_t waits, awaited;
    atomic_bool failed; /* awaited has */
};

static enum status fetch_or_fail(const struct dataset *set, size_t index, struct random_stream *augment, float *out)
{
    struct fake *fake = (struct fake *)(uintptr_t)set;
    (void)augment;
    out[0] = (float)index;
    while (index == fake->waits && !atomic_load(&fake->failed))
        stopwatch_sleep(1e-3);
    if (index == fake->waits)
        stopwatch_sleep(20e-3); /* the other thread says so */
    if (index == fake->awaited)
        atomic_store(&fake->failed, true);
    return fake->fails[index] ? STATUS_DATA : STATUS_OK;
}

static const int32_t fake_labels[FAKES] = {0};
static const struct dataset_ops fake_ops = {.fetch = fetch_or_fail};

/* By their place in the order of the first epoch; FAKES for none. */
struct failing {
    struct fake fake;
    uint32_t indices[FAKES], order[FAKES];
    struct partition partition;
    struct loader_params params;
};

static void init_failing(struct failing *failing, int threads)
{
    *failing = (struct failing){.fake.base = {.ops = &fake_ops,
                                              .count = FAKES,
                                              .channels = 1,
                                              .height = 1,
                                              .width = 1,
                                              .class_count = 1,
                                              .labels = fake_labels}};
    failing->fake.waits = failing->fake.awaited = FAKES;
    for (uint32_t i = 0; i < FAKES; i++)
        failing->indices[i] = i;
    failing->partition = (struct partition){.indices = failing->indices, .count = FAKES};
    partition_shuffle(&failing->partition, 3, 0, 0, failing->order);
    failing->params = (struct loader_params){.set = &failing->fake.base,
                                             .partition = &failing->partition,
                                             .batch = 4,
                                             .seed = 3,
                                             .slots = 3,
                                             .threads = threads};
}

/* Batches up to number `bad` are as they should be, and that one is an error, now and ever. */
static void expect_failure(const struct failing *failing, uint64_t bad)
{
    struct loader *loader = create(&failing->params);
    size_t size = failing->params.batch;
    for (uint64_t k = 0; k < bad; k++) {
        struct batch batch;
        assert_int_equal(loader_next(loader, &batch), STATUS_OK);
        for (size_t i = 0; i < size; i++)
            assert_true(batch.images[i] == (float)failing->order[k * size + i]);
        loader_release(loader);
    }
    struct batch untouched = {.number = 99};
    for (int i = 0; i < 2; i++)
        assert_int_equal(loader_next(loader, &untouched), STATUS_DATA);
    assert_int_equal(untouched.number, 99);
    loader_destroy(loader);
}

static void error_comes_out_in_its_place(void **state)
{
    (void)state;
    struct failing failing;
    for (int t = 0; t < THREAD_COUNTS; t++)
        for (uint32_t place = 0; place < FAKES; place++) {
            init_failing(&failing, thread_counts[t]);
            failing.fake.fails[failing.order[place]] = true;
            expect_failure(&failing, place / failing.params.batch);
        }
}

/* A later batch fails first: the earlier one's error still comes out in its own place. */
static void earlier_error_comes_later(void **state)
{
    (void)state;
    struct failing failing;
    for (int threads = 2; threads <= 5; threads += 3)
        for (uint32_t place = 4; place < 8; place++) {
            init_failing(&failing, threads);
            failing.fake.waits = failing.order[place];
            failing.fake.awaited = failing.order[9];
            failing.fake.fails[failing.order[place]] = failing.fake.fails[failing.order[9]] = true;
            expect_failure(&failing, 1);
        }
}

static void errors_without_slots(void **state)
{
    (void)state;
    struct failing failing;
    for (int t = 0; t < THREAD_COUNTS; t++) {
        float images[4];
        int32_t labels[4];
        init_failing(&failing, thread_counts[t]);
        failing.params.slots = 0;
        failing.params.lent_images = images;
        failing.params.lent_labels = labels;
        failing.fake.fails[failing.order[10]] = true;
        expect_failure(&failing, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(batches_equal_direct_computation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(batch_may_exceed_the_share, set_up, tear_down),
        cmocka_unit_test_setup_teardown(resumed_loader_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pace_does_not_matter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(destroy_wakes_the_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_slots_the_same_batches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(batches_are_sought, set_up, tear_down),
        cmocka_unit_test_setup_teardown(picks_are_the_same, set_up, tear_down),
        cmocka_unit_test(error_comes_out_in_its_place),
        cmocka_unit_test(earlier_error_comes_later),
        cmocka_unit_test(errors_without_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
