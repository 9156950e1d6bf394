/* worker/replica_copy.h: a copy is what the replica was, whatever happens to that afterwards, and a pair event that
 * belongs before it does to the copy what it would have done to the replica then. Also worker_adopt. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "nn/model.h"
#include "nn/store.h"
#include "worker/replica_copy.h"

enum { BATCH = 8 };

struct setup {
    const struct device_ops *ops;
    struct device *device;       /* owned */
    struct net_spec *spec;       /* owned */
    struct dataset *set;         /* owned */
    struct partition partition;  /* owned */
    float *parameters, *buffers; /* owned */
    struct worker *worker;       /* owned */
    size_t count, buffer_count;
};

/* In place: the worker borrows from it. */
static void set_up(struct setup *setup, const char *algorithm)
{
    *setup = (struct setup){.ops = device_choose("cpu")};
    struct device_params device = {.name = "cpu", .threads = 1, .precision = "auto"};
    struct dataset_params data = {.name = "shapes", .path = "", .train = true, .count = 64, .seed = 1};
    struct partition_params part = {.name = "shared", .worker_count = 1, .seed = 1};
    struct model_params model = {
        .name = "convnet", .channels = 3, .height = 32, .width = 32, .class_count = 10, .width_hidden = 16};
    assert_int_equal(setup->ops->create(&device, &setup->device), STATUS_OK);
    assert_int_equal(dataset_open(&data, &setup->set), STATUS_OK);
    assert_int_equal(partition_create(&part, setup->set, &setup->partition, NULL), STATUS_OK);
    assert_int_equal(model_build(&model, &setup->spec), STATUS_OK);
    setup->count = setup->spec->parameter_size;
    setup->buffer_count = setup->spec->buffer_size;
    setup->parameters = memory_zalloc(setup->count, sizeof(float));
    setup->buffers = memory_zalloc(setup->buffer_count, sizeof(float));
    store_init_parameters(setup->spec, 1, setup->parameters);
    store_init_buffers(setup->spec, setup->buffers);
    struct worker_params params = {.worker_count = 1,
                                   .seed = 1,
                                   .batch = BATCH,
                                   .ops = setup->ops,
                                   .device = setup->device,
                                   .spec = setup->spec,
                                   .algo = algo_find(algorithm),
                                   .eta = 0.5,
                                   .alpha = 0.5,
                                   .alpha_tilde = 1,
                                   .optimizer = {.momentum = 0.9},
                                   .train = setup->set,
                                   .partition = &setup->partition,
                                   .test = setup->set,
                                   .initial_parameters = setup->parameters,
                                   .initial_buffers = setup->buffers};
    struct schedule_params schedule = {
        .name = "constant", .base_rate = 0.05, .batch = BATCH, .worker_count = 1, .epochs = 10, .warmup_epochs = 0};
    assert_int_equal(schedule_init(&params.schedule, &schedule), STATUS_OK);
    assert_int_equal(worker_create(&params, &setup->worker), STATUS_OK);
}

static void tear_down(struct setup *setup)
{
    worker_destroy(setup->worker);
    free(setup->buffers);
    free(setup->parameters);
    partition_release(&setup->partition);
    model_destroy(setup->spec);
    dataset_close(setup->set);
    setup->ops->destroy(setup->device);
}

static void step(struct worker *worker, double t)
{
    struct gradient_result result;
    assert_int_equal(worker_load(worker), STATUS_OK);
    assert_int_equal(worker_gradient(worker, NULL, NULL, &result), STATUS_OK);
    worker_keep_statistics(worker);
    worker_update(worker, t, 0.5);
    worker_cast(worker);
}

/* x, x̃, momentum and statistics one after another; owned by the caller. */
static float *all_of_worker(const struct setup *setup)
{
    const float *x_tilde = worker_vector(setup->worker, "x_tilde");
    float *all = memory_zalloc(3 * setup->count + setup->buffer_count, sizeof all[0]);
    memcpy(all, worker_parameters(setup->worker), setup->count * sizeof all[0]);
    if (x_tilde != NULL)
        memcpy(all + setup->count, x_tilde, setup->count * sizeof all[0]);
    memcpy(all + 2 * setup->count, worker_vector(setup->worker, "momentum"), setup->count * sizeof all[0]);
    memcpy(all + 3 * setup->count, worker_kept_statistics(setup->worker), setup->buffer_count * sizeof all[0]);
    return all;
}

static float *all_of_copy(const struct setup *setup, struct replica_copy *copy)
{
    const float *x_tilde = replica_copy_vector(copy, "x_tilde");
    float *all = memory_zalloc(3 * setup->count + setup->buffer_count, sizeof all[0]);
    memcpy(all, replica_copy_vector(copy, "x"), setup->count * sizeof all[0]);
    if (x_tilde != NULL)
        memcpy(all + setup->count, x_tilde, setup->count * sizeof all[0]);
    memcpy(all + 2 * setup->count, replica_copy_vector(copy, "momentum"), setup->count * sizeof all[0]);
    memcpy(all + 3 * setup->count, replica_copy_vector(copy, "buffers"), setup->buffer_count * sizeof all[0]);
    return all;
}

static void expect_same(const struct setup *setup, const float *a, const float *b)
{
    assert_memory_equal(a, b, (3 * setup->count + setup->buffer_count) * sizeof a[0]);
}

static void a_copy_stays_and_takes_late_meetings(void **state)
{
    (void)state;
    const char *const algorithms[] = {"acid", "gossip"};
    for (int k = 0; k < 2; k++) {
        struct setup setup;
        set_up(&setup, algorithms[k]);
        struct replica_copy *copy = NULL;
        float *own = NULL, *peer = NULL;
        assert_int_equal(setup.ops->vector_alloc(setup.device, setup.count, &own), STATUS_OK);
        assert_int_equal(setup.ops->vector_alloc(setup.device, setup.count, &peer), STATUS_OK);
        assert_int_equal(replica_copy_create(setup.worker, &copy), STATUS_OK);
        step(setup.worker, 1);
        worker_snapshot(setup.worker, 1.5, 0, setup.count, own);
        for (size_t i = 0; i < setup.count; i++)
            peer[i] = own[i] + 0.01f * (float)(i % 7);
        step(setup.worker, 2);
        replica_copy_take(copy);
        float *before = all_of_worker(&setup), *taken = all_of_copy(&setup, copy);
        expect_same(&setup, before, taken);
        worker_exchange(setup.worker, 2, own, peer); /* at the time of the last event, as the copy has it */
        float *after = all_of_worker(&setup);
        step(setup.worker, 3);
        free(taken);
        taken = all_of_copy(&setup, copy);
        expect_same(&setup, before, taken);
        replica_copy_exchange(copy, own, peer);
        free(taken);
        taken = all_of_copy(&setup, copy);
        expect_same(&setup, after, taken);
        free(after);
        free(taken);
        free(before);
        replica_copy_destroy(copy);
        setup.ops->vector_free(setup.device, peer);
        setup.ops->vector_free(setup.device, own);
        tear_down(&setup);
    }
}

/* Whatever it was, not a number included. */
static void who_adopts_is_the_peer_at_rest(void **state)
{
    (void)state;
    const char *const algorithms[] = {"acid", "gossip"};
    for (int k = 0; k < 2; k++) {
        struct setup setup;
        set_up(&setup, algorithms[k]);
        float *peer = NULL;
        assert_int_equal(setup.ops->vector_alloc(setup.device, setup.count, &peer), STATUS_OK);
        step(setup.worker, 1);
        for (size_t i = 0; i < setup.count; i++)
            peer[i] = (float)(i % 11);
        worker_parameters(setup.worker)[3] = NAN;
        worker_vector(setup.worker, "momentum")[5] = NAN;
        worker_adopt(setup.worker, 1.5, peer);
        const float *x_tilde = worker_vector(setup.worker, "x_tilde");
        assert_memory_equal(worker_parameters(setup.worker), peer, setup.count * sizeof peer[0]);
        if (x_tilde != NULL)
            assert_memory_equal(x_tilde, peer, setup.count * sizeof peer[0]);
        for (size_t i = 0; i < setup.count; i++)
            assert_true(worker_vector(setup.worker, "momentum")[i] == 0);
        setup.ops->vector_free(setup.device, peer);
        tear_down(&setup);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_stays_and_takes_late_meetings),
        cmocka_unit_test(who_adopts_is_the_peer_at_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
