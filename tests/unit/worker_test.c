/* A worker on the CPU device with small networks and drawn pictures: its verbs, and that its step is SGD. */
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
#include "worker/worker.h"

enum { BATCH = 16, TRAIN_COUNT = 320, TEST_COUNT = 70, HELD_OUT_COUNT = 21 };

/* A set that counts how often each picture of another one is fetched. */
struct counting_set {
    struct dataset set;          /* the face of `inner` */
    const struct dataset *inner; /* borrowed */
    unsigned fetched[TRAIN_COUNT];
};

static enum status fetch_counted(const struct dataset *set, size_t index, struct random_stream *augment, float *out)
{
    struct counting_set *counting = (struct counting_set *)(uintptr_t)set; /* the test reads the counts afterwards */
    counting->fetched[index]++;
    return counting->inner->ops->fetch(counting->inner, index, augment, out);
}

static const struct dataset_ops counting_ops = {.fetch = fetch_counted};

struct setup {
    const struct device_ops *ops;
    struct device *device;        /* owned */
    struct net_spec *spec;        /* owned */
    struct dataset *train, *test; /* owned */
    struct counting_set counted_test, counted_train;
    struct partition partition, held_out; /* owned */
    float *parameters, *buffers;          /* owned */
};

static struct dataset *open_shapes(bool train, size_t count)
{
    struct dataset_params params = {.name = "shapes", .path = "", .train = train, .count = count, .seed = 1};
    struct dataset *set = NULL;
    assert_int_equal(dataset_open(&params, &set), STATUS_OK);
    return set;
}

static struct setup *setup_create(const char *model, double dropout)
{
    struct setup *setup = memory_zalloc(1, sizeof *setup);
    struct device_params device = {.name = "cpu", .threads = 1, .precision = "auto"};
    setup->ops = device_choose("cpu");
    assert_non_null(setup->ops);
    assert_int_equal(setup->ops->create(&device, &setup->device), STATUS_OK);
    setup->train = open_shapes(true, TRAIN_COUNT);
    setup->test = open_shapes(false, TEST_COUNT);
    setup->counted_test = (struct counting_set){.set = *setup->test, .inner = setup->test};
    setup->counted_train = (struct counting_set){.set = *setup->train, .inner = setup->train};
    setup->counted_test.set.ops = setup->counted_train.set.ops = &counting_ops;
    struct model_params params = {.name = model,
                                  .channels = setup->train->channels,
                                  .height = setup->train->height,
                                  .width = setup->train->width,
                                  .class_count = setup->train->class_count,
                                  .dropout = dropout,
                                  .width_hidden = 16};
    assert_int_equal(model_build(&params, &setup->spec), STATUS_OK);
    struct partition_params partition = {
        .name = "shared", .worker_count = 1, .seed = 1, .validation = (double)HELD_OUT_COUNT / TRAIN_COUNT};
    assert_int_equal(partition_create(&partition, setup->train, &setup->partition, &setup->held_out), STATUS_OK);
    assert_int_equal(setup->held_out.count, HELD_OUT_COUNT);
    setup->parameters = memory_zalloc(setup->spec->parameter_size, sizeof(float));
    setup->buffers = memory_zalloc(setup->spec->buffer_size, sizeof(float));
    store_init_parameters(setup->spec, 1, setup->parameters);
    store_init_buffers(setup->spec, setup->buffers);
    return setup;
}

static void setup_destroy(struct setup *setup)
{
    free(setup->buffers);
    free(setup->parameters);
    partition_release(&setup->held_out);
    partition_release(&setup->partition);
    model_destroy(setup->spec);
    dataset_close(setup->test);
    dataset_close(setup->train);
    setup->ops->destroy(setup->device);
    free(setup);
}

static struct worker_params worker_params_of(const struct setup *setup, const char *algorithm)
{
    struct worker_params params = {.worker = 0,
                                   .worker_count = 2,
                                   .seed = 1,
                                   .batch = BATCH,
                                   .ops = setup->ops,
                                   .device = setup->device,
                                   .spec = setup->spec,
                                   .algo = algo_find(algorithm),
                                   .eta = 0.5,
                                   .alpha = 0.5,
                                   .alpha_tilde = 1,
                                   .optimizer = {.momentum = 0.9, .weight_decay = 5e-4},
                                   .train = setup->train,
                                   .partition = &setup->partition,
                                   .test = &setup->counted_test.set,
                                   .held_out_set = &setup->counted_train.set,
                                   .held_out = &setup->held_out,
                                   .initial_parameters = setup->parameters,
                                   .initial_buffers = setup->buffers};
    struct schedule_params schedule = {
        .name = "constant", .base_rate = 0.05, .batch = BATCH, .worker_count = 1, .epochs = 10, .warmup_epochs = 0};
    assert_int_equal(schedule_init(&params.schedule, &schedule), STATUS_OK);
    return params;
}

static struct worker *create(const struct worker_params *params)
{
    struct worker *worker = NULL;
    assert_int_equal(worker_create(params, &worker), STATUS_OK);
    return worker;
}

static double step_gradient(struct worker *worker)
{
    struct gradient_result result;
    assert_int_equal(worker_load(worker), STATUS_OK);
    assert_int_equal(worker_gradient(worker, NULL, NULL, &result), STATUS_OK);
    assert_true(result.finite && result.correct <= worker_batch(worker));
    return result.loss;
}

/* Steps [first, last), one gradient per unit of time; returns the mean loss of the last ten. */
static double train(struct worker *worker, int first, int last)
{
    double tail = 0;
    for (int step = first; step < last; step++) {
        double loss = step_gradient(worker);
        tail += step >= last - 10 ? loss / 10 : 0;
        worker_update(worker, step + 1, 0.5);
        worker_cast(worker);
    }
    return tail;
}

static float *read_vector(const struct setup *setup, const float *vector, size_t count)
{
    float *host = memory_zalloc(count, sizeof host[0]);
    setup->ops->vector_read(setup->device, vector, count, host);
    return host;
}

static double norm_of_difference(const float *a, const float *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum);
}

static double norm_of(const float *vector, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)vector[i] * (double)vector[i];
    return sqrt(sum);
}

/* A network that is only planned has the size of the one that is made. */
static void test_planned_network(void **state)
{
    static const char *const models[] = {"mlp", "convnet"};
    (void)state;
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        struct setup *setup = setup_create(models[m], 0);
        size_t planned = 0;
        struct net *net;
        float *gradient = memory_zalloc(setup->spec->parameter_size, sizeof *gradient);
        assert_int_equal(setup->ops->net_plan(setup->device, setup->spec, BATCH, &planned), STATUS_OK);
        assert_int_equal(setup->ops->net_create(setup->device, setup->spec, BATCH, gradient, setup->buffers, &net),
                         STATUS_OK);
        assert_int_equal(planned, setup->ops->net_bytes(net));
        setup->ops->net_destroy(net);
        free(gradient);
        setup_destroy(setup);
    }
}

static void test_initial_values(void **state)
{
    (void)state;
    struct setup *setup = setup_create("convnet", 0);
    struct worker_params params = worker_params_of(setup, "acid");
    struct worker *worker = create(&params);
    size_t size = worker_parameter_size(worker), buffer_size = worker_buffer_size(worker);
    float *x = read_vector(setup, worker_parameters(worker), size);
    float *buffers = read_vector(setup, worker_buffers(worker), buffer_size);
    assert_int_equal(size, setup->spec->parameter_size);
    assert_memory_equal(x, setup->parameters, size * sizeof(float));
    assert_memory_equal(buffers, setup->buffers, buffer_size * sizeof(float));
    assert_null(worker_vector(worker, "velocity"));
    free(x);
    free(buffers);
    worker_destroy(worker);
    setup_destroy(setup);
}

static void test_loss_goes_down(void **state)
{
    (void)state;
    struct setup *setup = setup_create("convnet", 0);
    struct worker_params params = worker_params_of(setup, "acid");
    struct worker *worker = create(&params);
    double early = train(worker, 0, 10), late = train(worker, 10, 100);
    print_message("loss %.3f over the first ten steps, %.3f over the last ten of a hundred\n", early, late);
    assert_true(late < 0.8 * early);
    worker_destroy(worker);
    setup_destroy(setup);
}

/* A worker that meets nobody does plain SGD, whatever its algorithm: to the bit. */
static void test_alone_all_algorithms_agree(void **state)
{
    (void)state;
    struct setup *setup = setup_create("convnet", 0);
    size_t size = setup->spec->parameter_size;
    float *first = NULL;
    for (const char *const *name = algo_names(); *name != NULL; name++) {
        struct worker_params params = worker_params_of(setup, *name);
        struct worker *worker = create(&params);
        train(worker, 0, 10);
        float *x = read_vector(setup, worker_parameters(worker), size);
        if (first == NULL) {
            first = x;
        } else {
            assert_memory_equal(x, first, size * sizeof(float));
            free(x);
        }
        worker_destroy(worker);
    }
    free(first);
    setup_destroy(setup);
}

/* The same seed gives the same bits, dropout included; another worker's number other ones. */
static void test_same_seed_same_bits(void **state)
{
    (void)state;
    struct setup *setup = setup_create("mlp", 0.25);
    size_t size = setup->spec->parameter_size;
    float *results[3];
    for (int run = 0; run < 3; run++) {
        struct worker_params params = worker_params_of(setup, "acid");
        params.worker = run == 2;
        struct worker *worker = create(&params);
        train(worker, 0, 25);
        results[run] = read_vector(setup, worker_parameters(worker), size);
        worker_destroy(worker);
    }
    assert_memory_equal(results[0], results[1], size * sizeof(float));
    assert_memory_not_equal(results[0], results[2], size * sizeof(float));
    for (int run = 0; run < 3; run++)
        free(results[run]);
    setup_destroy(setup);
}

/* Two workers step in turn, meet halfway through each gradient, and are tested now and then; by engines of their own or
 * by one that they share. Returns worker 1's x, x̃ and statistics in one vector. */
static float *step_in_turn(const struct setup *setup, bool share, bool keeps_point)
{
    size_t size = setup->spec->parameter_size, buffer_size = setup->spec->buffer_size;
    struct engine_params engine_params = {
        .ops = setup->ops, .device = setup->device, .spec = setup->spec, .batch = BATCH, .shared = true};
    struct engine *engine = NULL;
    struct worker *workers[2];
    float *snapshots[2] = {memory_zalloc(size, sizeof(float)), memory_zalloc(size, sizeof(float))};
    struct evaluation tested;
    if (share)
        assert_int_equal(engine_create(&engine_params, &engine), STATUS_OK);
    for (int i = 0; i < 2; i++) {
        struct worker_params params = worker_params_of(setup, "acid");
        params.worker = i;
        params.engine = engine;
        params.keeps_point = share && keeps_point;
        workers[i] = create(&params);
    }
    for (int step = 0; step < 12; step++) {
        if (keeps_point) /* the gradient is taken at x as it was before the meeting */
            for (int i = 0; i < 2; i++)
                worker_snapshot(workers[i], step + 0.5, 0, size, snapshots[i]);
        for (int i = 0; i < 2 && keeps_point; i++)
            worker_exchange(workers[i], step + 0.5, snapshots[i], snapshots[1 - i]);
        for (int i = 0; i < 2; i++) {
            step_gradient(workers[i]);
            worker_update(workers[i], step + 1, 0.5);
            worker_cast(workers[i]);
        }
        if (step % 4 == 3)
            assert_int_equal(worker_evaluate(workers[step % 2], false, 0, 1, &tested), STATUS_OK);
    }
    assert_int_equal(worker_recompute_statistics(workers[1], 2), STATUS_OK);
    float *result = memory_zalloc(2 * size + buffer_size, sizeof result[0]);
    setup->ops->vector_read(setup->device, worker_parameters(workers[1]), size, result);
    setup->ops->vector_read(setup->device, worker_vector(workers[1], "x_tilde"), size, result + size);
    setup->ops->vector_read(setup->device, worker_buffers(workers[1]), buffer_size, result + 2 * size);
    for (int i = 0; i < 2; i++) {
        worker_destroy(workers[i]);
        free(snapshots[i]);
    }
    engine_destroy(engine);
    return result;
}

/* Who computes does not matter: workers that share an engine do what they would do with one each, to the bit. */
static void test_shared_engine(void **state)
{
    (void)state;
    struct setup *setup = setup_create("convnet", 0);
    size_t bytes = (2 * setup->spec->parameter_size + setup->spec->buffer_size) * sizeof(float);
    for (int meets = 0; meets < 2; meets++) {
        float *own = step_in_turn(setup, false, meets), *shared = step_in_turn(setup, true, meets);
        assert_memory_equal(own, shared, bytes);
        free(own);
        free(shared);
    }
    setup_destroy(setup);
}

/* worker_cast_at takes the gradient at x advanced to t, and leaves x alone. */
static void test_cast_at(void **state)
{
    (void)state;
    struct setup *setup = setup_create("mlp", 0);
    size_t size = setup->spec->parameter_size;
    struct engine_params engine_params = {
        .ops = setup->ops, .device = setup->device, .spec = setup->spec, .batch = BATCH, .shared = true};
    struct engine *engine = NULL;
    assert_int_equal(engine_create(&engine_params, &engine), STATUS_OK);
    struct worker_params params = worker_params_of(setup, "acid");
    params.engine = engine;
    struct worker *worker = create(&params), *direct;
    float *zeros = memory_zalloc(size, sizeof(float)), *advanced = memory_zalloc(size, sizeof(float));
    worker_exchange(worker, 0, setup->parameters, zeros); /* now x is not x̃ */
    float *before = read_vector(setup, worker_parameters(worker), size);
    worker_snapshot(worker, 2, 0, size, advanced);
    assert_memory_not_equal(before, advanced, size * sizeof(float));
    worker_cast_at(worker, 2);
    step_gradient(worker);
    float *gradient = read_vector(setup, worker_gradient_vector(worker), size);
    float *after = read_vector(setup, worker_parameters(worker), size);
    assert_memory_equal(before, after, size * sizeof(float));
    params.engine = NULL;
    params.initial_parameters = advanced;
    direct = create(&params);
    step_gradient(direct);
    float *wanted = read_vector(setup, worker_gradient_vector(direct), size);
    assert_memory_equal(gradient, wanted, size * sizeof(float));
    float *const all[] = {zeros, advanced, before, gradient, after, wanted};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
    worker_destroy(worker);
    worker_destroy(direct);
    engine_destroy(engine);
    setup_destroy(setup);
}

static void check_parts(struct worker *worker, struct counting_set *set, bool held_out, size_t total)
{
    struct evaluation whole, part, sum;
    assert_int_equal(worker_evaluate(worker, held_out, 0, 1, &whole), STATUS_OK);
    assert_int_equal(whole.count, total);
    assert_true(whole.correct <= total && isfinite(whole.loss_sum));
    for (int part_count = 1; part_count <= 100; part_count = part_count * 3 + 1) { /* 1, 4, 13, 40 */
        memset(set->fetched, 0, sizeof set->fetched);
        sum = (struct evaluation){0};
        for (int k = 0; k < part_count; k++) {
            assert_int_equal(worker_evaluate(worker, held_out, k, part_count, &part), STATUS_OK);
            assert_in_range(part.count, total / (size_t)part_count, total / (size_t)part_count + 1);
            sum.loss_sum += part.loss_sum;
            sum.correct += part.correct;
            sum.count += part.count;
        }
        assert_int_equal(sum.count, total);
        assert_int_equal(sum.correct, whole.correct);
        assert_true(fabs(sum.loss_sum - whole.loss_sum) <= 1e-5 * whole.loss_sum); /* batches are cut elsewhere */
        size_t fetched = 0;
        for (size_t i = 0; i < TRAIN_COUNT; i++) {
            assert_true(set->fetched[i] <= 1);
            fetched += set->fetched[i];
        }
        assert_int_equal(fetched, total);
    }
}

static void test_evaluate_counts_each_picture_once(void **state)
{
    (void)state;
    struct setup *setup = setup_create("convnet", 0);
    struct worker_params params = worker_params_of(setup, "acid");
    struct worker *worker = create(&params);
    train(worker, 0, 20);
    check_parts(worker, &setup->counted_test, false, TEST_COUNT);
    check_parts(worker, &setup->counted_train, true, HELD_OUT_COUNT);
    for (size_t i = 0; i < setup->held_out.count; i++)
        setup->counted_train.fetched[setup->held_out.indices[i]] = 0;
    for (size_t i = 0; i < TRAIN_COUNT; i++)
        assert_int_equal(setup->counted_train.fetched[i], 0); /* nothing but held-out pictures */
    worker_destroy(worker);
    setup_destroy(setup);
}

/* Worker `index`, which sees pictures [index·batch, (index + 1)·batch): every batch is the worker's whole share. */
static struct worker *create_on_share(const struct setup *setup, int index, size_t batch, uint32_t *indices,
                                      struct partition *share)
{
    for (size_t i = 0; i < batch; i++)
        indices[i] = (uint32_t)((size_t)index * batch + i);
    *share = (struct partition){.indices = indices, .count = batch};
    struct worker_params params = worker_params_of(setup, "allreduce");
    params.worker = index;
    params.batch = batch;
    params.partition = share;
    return create(&params);
}

/* out ← ½(a + b), in the place of both. */
static void average(const struct setup *setup, float *a, float *b, size_t count)
{
    float *host_a = read_vector(setup, a, count), *host_b = read_vector(setup, b, count);
    for (size_t i = 0; i < count; i++)
        host_a[i] = (host_a[i] + host_b[i]) / 2;
    setup->ops->vector_write(setup->device, a, count, host_a);
    setup->ops->vector_write(setup->device, b, count, host_a);
    free(host_a);
    free(host_b);
}

/* Two workers with batch b that average their gradients equal one with batch 2b, without batch norm. Sums of 2b
 * products are taken in another order, an error of about 2⁻²⁴·√(2b) relative to the gradient's norm; 16 times that is
 * allowed for the first gradient, and 10 times more for x's change over ten steps, through which errors feed back. */
static void test_all_reduce_is_one_large_batch(void **state)
{
    (void)state;
    enum { STEPS = 10 };
    const double bound = 16 * 0x1p-24 * sqrt(2 * BATCH);
    struct setup *setup = setup_create("mlp", 0);
    size_t size = setup->spec->parameter_size;
    uint32_t indices[3][2 * BATCH];
    struct partition shares[3];
    struct worker *one = create_on_share(setup, 0, BATCH, indices[0], &shares[0]);
    struct worker *two = create_on_share(setup, 1, BATCH, indices[1], &shares[1]);
    struct worker *large = create_on_share(setup, 0, 2 * BATCH, indices[2], &shares[2]);
    for (int step = 0; step < STEPS; step++) {
        struct worker *all[] = {one, two, large};
        for (int i = 0; i < 3; i++)
            step_gradient(all[i]);
        average(setup, worker_gradient_vector(one), worker_gradient_vector(two), size);
        if (step == 0) {
            float *mean = read_vector(setup, worker_gradient_vector(one), size);
            float *whole = read_vector(setup, worker_gradient_vector(large), size);
            double error = norm_of_difference(mean, whole, size) / norm_of(whole, size);
            print_message("gradient of 2 × %d against 1 × %d: relative error %.2g\n", BATCH, 2 * BATCH, error);
            assert_true(error <= bound);
            free(mean);
            free(whole);
        }
        for (int i = 0; i < 3; i++) {
            worker_update(all[i], step + 1, 0.5);
            worker_cast(all[i]);
        }
    }
    float *x_one = read_vector(setup, worker_parameters(one), size);
    float *x_two = read_vector(setup, worker_parameters(two), size);
    float *x_large = read_vector(setup, worker_parameters(large), size);
    assert_memory_equal(x_one, x_two, size * sizeof(float));
    double moved = norm_of_difference(x_large, setup->parameters, size);
    assert_true(moved > 0.01);
    assert_true(norm_of_difference(x_one, x_large, size) <= 10 * bound * moved);
    free(x_one);
    free(x_two);
    free(x_large);
    worker_destroy(one);
    worker_destroy(two);
    worker_destroy(large);
    setup_destroy(setup);
}

static float *recomputed(const struct setup *setup, int skip, int batches)
{
    struct worker_params params = worker_params_of(setup, "acid");
    struct worker *worker = create(&params);
    if (skip > 0)
        assert_int_equal(worker_recompute_statistics(worker, skip), STATUS_OK);
    assert_int_equal(worker_recompute_statistics(worker, batches), STATUS_OK);
    float *buffers = read_vector(setup, worker_buffers(worker), worker_buffer_size(worker));
    worker_destroy(worker);
    return buffers;
}

/* Statistics of two batches are the mean of those of each, and one batch's are what a training pass mixes into the
 * running ones: running = 0.9·initial + 0.1·batch. */
static void test_recomputed_statistics(void **state)
{
    (void)state;
    struct setup *setup = setup_create("convnet", 0);
    size_t size = setup->spec->buffer_size;
    float *first = recomputed(setup, 0, 1), *second = recomputed(setup, 1, 1), *both = recomputed(setup, 0, 2);
    struct worker_params params = worker_params_of(setup, "acid");
    struct worker *worker = create(&params);
    step_gradient(worker);
    float *running = read_vector(setup, worker_buffers(worker), size);
    assert_true(size > 0);
    assert_memory_not_equal(first, second, size * sizeof(float));
    for (size_t i = 0; i < size; i++) {
        double a = (double)first[i], b = (double)second[i];
        assert_true(fabs((double)both[i] - (a + b) / 2) <= 1e-6 * (fabs(a) + fabs(b)));
        double mixed = 0.9 * (double)setup->buffers[i] + 0.1 * a;
        assert_true(fabs((double)running[i] - mixed) <= 1e-6 * (fabs(a) + 1));
    }
    free(first);
    free(second);
    free(both);
    free(running);
    worker_destroy(worker);
    setup_destroy(setup);
}

/* A meeting moves x at once, and what the network reads at the next cast only. */
static void test_exchange_reaches_the_network_by_cast(void **state)
{
    (void)state;
    struct setup *setup = setup_create("mlp", 0);
    size_t size = setup->spec->parameter_size;
    struct worker_params params = worker_params_of(setup, "gossip");
    struct worker *one = create(&params);
    params.worker = 1;
    struct worker *two = create(&params);
    train(two, 0, 20);
    float *own = NULL, *peer = NULL;
    assert_int_equal(setup->ops->vector_alloc(setup->device, size, &own), STATUS_OK);
    assert_int_equal(setup->ops->vector_alloc(setup->device, size, &peer), STATUS_OK);
    worker_snapshot(one, 0, 0, size, own);
    worker_snapshot(two, 20, 0, size / 3, peer);
    worker_snapshot(two, 20, size / 3, size - size / 3, peer + size / 3); /* in two parts */
    struct evaluation before, meanwhile, after;
    assert_int_equal(worker_evaluate(one, false, 0, 1, &before), STATUS_OK);
    worker_exchange(one, 0, own, peer);
    worker_exchange(two, 20, peer, own);
    float *x_one = read_vector(setup, worker_parameters(one), size);
    float *x_two = read_vector(setup, worker_parameters(two), size);
    assert_true(norm_of_difference(x_one, x_two, size) <= 0x1p-22 * norm_of(x_one, size));
    assert_int_equal(worker_evaluate(one, false, 0, 1, &meanwhile), STATUS_OK);
    assert_true(meanwhile.loss_sum == before.loss_sum);
    worker_cast(one);
    assert_int_equal(worker_evaluate(one, false, 0, 1, &after), STATUS_OK);
    assert_true(after.loss_sum != before.loss_sum);
    free(x_one);
    free(x_two);
    setup->ops->vector_free(setup->device, own);
    setup->ops->vector_free(setup->device, peer);
    worker_destroy(one);
    worker_destroy(two);
    setup_destroy(setup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_planned_network),
        cmocka_unit_test(test_initial_values),
        cmocka_unit_test(test_loss_goes_down),
        cmocka_unit_test(test_alone_all_algorithms_agree),
        cmocka_unit_test(test_same_seed_same_bits),
        cmocka_unit_test(test_shared_engine),
        cmocka_unit_test(test_cast_at),
        cmocka_unit_test(test_evaluate_counts_each_picture_once),
        cmocka_unit_test(test_all_reduce_is_one_large_batch),
        cmocka_unit_test(test_recomputed_statistics),
        cmocka_unit_test(test_exchange_reaches_the_network_by_cast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
