/* data/loader.h, where pictures are read ahead (dataset_ops.will_need) and where they grow. */
#include "data/loader.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/stopwatch.h"

enum { COUNT = 100, BLOCK = 10, TOLD_MAX = 100000, PATIENCE_MS = 20000 };

/* A set that remembers what it was told, and makes pictures of their number and size. */
struct fake {
    struct dataset base;
    pthread_mutex_t mutex;
    uint32_t told[TOLD_MAX]; /* guarded by mutex */
    size_t told_count;       /* guarded by mutex */
    size_t made;             /* guarded by mutex */
    int inside;              /* calls of will_need that go on; guarded by mutex */
    bool crowded;            /* there were two at once; guarded by mutex */
};

static enum status fetch_at(const struct dataset *set, size_t index, int size, struct random_stream *augment,
                            float *out)
{
    struct fake *fake = (struct fake *)(uintptr_t)set;
    (void)augment;
    for (int i = 0; i < size * size; i++)
        out[i] = (float)index + (float)size / 1024;
    pthread_mutex_lock(&fake->mutex);
    fake->made++;
    pthread_mutex_unlock(&fake->mutex);
    return STATUS_OK;
}

static enum status fetch(const struct dataset *set, size_t index, struct random_stream *augment, float *out)
{
    return fetch_at(set, index, set->height, augment, out);
}

static void will_need(const struct dataset *set, const uint32_t *indices, size_t count)
{
    struct fake *fake = (struct fake *)(uintptr_t)set;
    pthread_mutex_lock(&fake->mutex);
    fake->crowded |= fake->inside++ > 0;
    pthread_mutex_unlock(&fake->mutex);
    stopwatch_sleep(1e-5);
    pthread_mutex_lock(&fake->mutex);
    assert_true(fake->told_count + count <= TOLD_MAX);
    memcpy(fake->told + fake->told_count, indices, count * sizeof *indices);
    fake->told_count += count;
    fake->inside--;
    pthread_mutex_unlock(&fake->mutex);
}

static const struct dataset_ops telling = {.fetch = fetch, .fetch_at = fetch_at, .will_need = will_need};
static const int32_t labels[COUNT] = {0};
static const uint32_t block_ends[] = {BLOCK,     2 * BLOCK, 3 * BLOCK, 4 * BLOCK, 5 * BLOCK,
                                      6 * BLOCK, 7 * BLOCK, 8 * BLOCK, 9 * BLOCK, COUNT};

static struct fake *create_fake(size_t pool)
{
    struct fake *fake = calloc(1, sizeof *fake);
    fake->base = (struct dataset){
        .ops = &telling, .count = COUNT, .channels = 1, .height = 8, .width = 8, .class_count = 1, .labels = labels};
    if (pool > 0) {
        fake->base.block_ends = block_ends;
        fake->base.block_count = COUNT / BLOCK;
        fake->base.pool = pool;
    }
    pthread_mutex_init(&fake->mutex, NULL);
    return fake;
}

static void destroy_fake(struct fake *fake)
{
    pthread_mutex_destroy(&fake->mutex);
    free(fake);
}

static size_t told(struct fake *fake)
{
    pthread_mutex_lock(&fake->mutex);
    size_t count = fake->told_count;
    pthread_mutex_unlock(&fake->mutex);
    return count;
}

/* --- reading ahead --- */

struct ahead {
    struct fake *fake;
    struct partition partition;
    struct loader_params params;
    struct loader *loader;
};

static struct ahead begin(size_t pool, uint64_t first, int threads)
{
    struct ahead ahead = {.fake = create_fake(pool)};
    const struct partition_params params = {.name = "shared", .worker_count = 1, .seed = 5};
    assert_int_equal(partition_create(&params, &ahead.fake->base, &ahead.partition, NULL), STATUS_OK);
    ahead.params = (struct loader_params){
        .set = &ahead.fake->base, .batch = 6, .worker = 2, .seed = 5, .slots = 2, .threads = threads, .first = first};
    return ahead;
}

/* Its partition lies in `ahead`, which has found its place by now. */
static void start(struct ahead *ahead)
{
    ahead->params.partition = &ahead->partition;
    assert_int_equal(loader_create(&ahead->params, &ahead->loader), STATUS_OK);
}

static void end(struct ahead *ahead)
{
    loader_destroy(ahead->loader);
    assert_false(ahead->fake->crowded);
    partition_release(&ahead->partition);
    destroy_fake(ahead->fake);
}

/* Of sample `at`, counted from the first epoch's first. */
static uint32_t index_of(const struct ahead *ahead, uint64_t at)
{
    uint32_t order[COUNT];
    partition_shuffle(&ahead->partition, ahead->params.seed, ahead->params.worker, at / COUNT, order);
    return order[at % COUNT];
}

static void expect_told_in_order(const struct ahead *ahead)
{
    uint64_t first = ahead->params.first * ahead->params.batch;
    uint32_t order[COUNT];
    for (size_t i = 0; i < ahead->fake->told_count; i++) {
        if (i == 0 || (first + i) % COUNT == 0)
            partition_shuffle(&ahead->partition, ahead->params.seed, ahead->params.worker, (first + i) / COUNT, order);
        assert_int_equal(ahead->fake->told[i], order[(first + i) % COUNT]);
    }
}

/* Sooner or later more than `count` pictures are told of. */
static void expect_told(struct ahead *ahead, size_t count)
{
    for (int waited = 0; told(ahead->fake) <= count && waited < PATIENCE_MS; waited++)
        stopwatch_sleep(1e-3);
    assert_true(told(ahead->fake) > count);
}

/* While nobody takes a batch: as far ahead of what is opened as a pool of blocks has pictures, or four batches, and by
 * what is told at once. */
static void expect_rest(struct ahead *ahead, size_t taken, size_t lead)
{
    size_t opened = (taken + (size_t)ahead->params.slots) * ahead->params.batch;
    expect_told(ahead, opened + lead);
    stopwatch_sleep(20e-3);
    assert_in_range(told(ahead->fake), opened + lead + 1, opened + lead + 16);
}

static void take(struct ahead *ahead, uint64_t number)
{
    struct batch batch;
    assert_int_equal(loader_next(ahead->loader, &batch), STATUS_OK);
    assert_int_equal(batch.number, number);
    for (size_t i = 0; i < ahead->params.batch; i++) {
        uint32_t index = index_of(ahead, number * ahead->params.batch + i);
        assert_true(batch.images[i * 64] == (float)index + 8.0f / 1024);
    }
    loader_release(ahead->loader);
}

static void expect_ahead(size_t pool, uint64_t first, int threads, size_t lead)
{
    struct ahead ahead = begin(pool, first, threads);
    start(&ahead);
    expect_rest(&ahead, 0, lead);
    for (uint64_t k = 0; k < 60; k++) {
        take(&ahead, first + k);
        if (k % 20 == 3)
            expect_rest(&ahead, k + 1, lead);
    }
    end(&ahead);
}

static void told_ahead_but_not_too_far(void **state)
{
    (void)state;
    expect_ahead(0, 0, 1, 24); /* four batches of six */
    expect_ahead(0, 1234, 5, 24);
    expect_ahead(1, 0, 2, 24); /* a pool of one block is less */
    expect_ahead(4, 0, 1, 40); /* a pool of four blocks of ten */
    expect_ahead(4, 99, 2, 40);
}

static void told_every_index_in_order(void **state)
{
    (void)state;
    static const size_t pools[] = {0, 3};
    for (int p = 0; p < 2; p++)
        for (int threads = 1; threads <= 5; threads += 4) {
            struct ahead ahead = begin(pools[p], 17, threads);
            start(&ahead);
            for (uint64_t k = 0; k < 60; k++)
                take(&ahead, 17 + k);
            expect_told(&ahead, 360); /* more than three epochs */
            loader_destroy(ahead.loader);
            ahead.loader = NULL;
            expect_told_in_order(&ahead);
            end(&ahead);
        }
}

/* Nobody reads ahead of one who makes batches when they are asked for. */
static void not_told_without_slots(void **state)
{
    (void)state;
    struct ahead ahead = begin(0, 0, 1);
    float images[6 * 64];
    int32_t lent[6];
    ahead.params.slots = 0;
    ahead.params.lent_images = images;
    ahead.params.lent_labels = lent;
    start(&ahead);
    take(&ahead, 0);
    assert_int_equal(told(ahead.fake), 0);
    end(&ahead);
}

static void destroy_wakes_who_reads_ahead(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct ahead ahead = begin(i % 3, 0, 1 + i % 4);
        start(&ahead);
        if (i % 5 == 0)
            stopwatch_sleep(5e-3);
        end(&ahead);
    }
}

/* --- pictures that grow --- */

/* Each size has its share of the batches, to within one, in order; afterwards it is the last. */
static void expect_sizes(int first, int last, uint64_t batches, int distinct)
{
    const struct picture_sizes sizes = {.first = first, .last = last, .batches = batches};
    int size = first, seen = 1;
    uint64_t since = 0;
    assert_int_equal(picture_size_of(&sizes, 0), first);
    for (uint64_t number = 0; number < batches; number++) {
        int now = picture_size_of(&sizes, number);
        if (now == size)
            continue;
        assert_int_equal(now, size + PICTURE_SIZE_STEP < last ? size + PICTURE_SIZE_STEP : last);
        assert_in_range((number - since) * (uint64_t)distinct + (uint64_t)distinct, batches,
                        batches + 2 * (uint64_t)distinct);
        size = now;
        since = number;
        seen++;
    }
    assert_int_equal(seen, distinct);
    assert_int_equal(picture_size_of(&sizes, batches - 1), last);
    assert_int_equal(picture_size_of(&sizes, batches), last);
    assert_int_equal(picture_size_of(&sizes, UINT64_MAX), last);
}

static void sizes_have_equal_shares(void **state)
{
    (void)state;
    expect_sizes(128, 224, 4, 4);
    expect_sizes(128, 224, 1000, 4);
    expect_sizes(96, 224, 1001, 5);
    expect_sizes(32, 32 * 49, 49 * 7, 49);
    expect_sizes(224, 224, 10, 1);
    expect_sizes(100, 224, 100, 5); /* 100, 132, 164, 196, 224 */
    expect_sizes(160, 161, 9, 2);
    expect_sizes(128, 288, 1000003, 6);
    const struct picture_sizes own = {0}, at_once = {.first = 128, .last = 224};
    assert_int_equal(picture_size_of(&own, 0), 0);
    assert_int_equal(picture_size_of(&own, 77), 0);
    assert_int_equal(picture_size_of(&at_once, 0), 224); /* no batches to grow in */
}

static void expect_grown(const struct ahead *ahead, const struct batch *batch, uint64_t number)
{
    int size = picture_size_of(&ahead->params.sizes, number);
    size_t floats = (size_t)size * (size_t)size;
    assert_int_equal(batch->number, number);
    assert_int_equal(batch->size, size);
    for (size_t i = 0; i < ahead->params.batch; i++) {
        float expected = (float)index_of(ahead, number * ahead->params.batch + i) + (float)size / 1024;
        for (size_t k = 0; k < floats; k++)
            assert_true(batch->images[i * floats + k] == expected);
    }
}

static void batches_grow(void **state)
{
    (void)state;
    for (int slots = 0; slots <= 3; slots += 3)
        for (int threads = 1; threads <= 5; threads += 2) {
            struct ahead ahead = begin(0, 3, threads);
            float *images = malloc(6 * 96 * 96 * sizeof *images);
            int32_t lent[6];
            ahead.params.slots = slots;
            ahead.params.sizes = (struct picture_sizes){.first = 32, .last = 96, .batches = 20};
            ahead.params.lent_images = images;
            ahead.params.lent_labels = lent;
            start(&ahead);
            for (uint64_t number = 3; number < 24; number++) {
                struct batch batch;
                assert_int_equal(loader_next(ahead.loader, &batch), STATUS_OK);
                expect_grown(&ahead, &batch, number);
                loader_release(ahead.loader);
            }
            end(&ahead);
            free(images);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_ahead_but_not_too_far), cmocka_unit_test(told_every_index_in_order),
        cmocka_unit_test(not_told_without_slots),     cmocka_unit_test(destroy_wakes_who_reads_ahead),
        cmocka_unit_test(sizes_have_equal_shares),    cmocka_unit_test(batches_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
