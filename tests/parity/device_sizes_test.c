/* Workers whose training pictures have another size than their tests': gradients, results and tests are those of plain
 * networks of that size, to the bit, whoever owns the network and whenever the size changes. In fp32, on the device
 * that $GRAPEVINE_TEST_DEVICE names, else the CPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "nn/model.h"
#include "nn/store.h"
#include "worker/worker.h"

enum { CHANNELS = 3, CLASSES = 10, BATCH = 2, TRAIN_COUNT = 40, TEST_COUNT = 9, TEST_SIZE = 72, SEED = 1 };

/* Pictures that are drawn, of any size. */
static void draw(size_t index, int size, float *out)
{
    struct random_stream stream = random_stream((uint64_t)size, RANDOM_TEST, 0, index);
    for (int i = 0; i < CHANNELS * size * size; i++)
        out[i] = (float)random_normal(&stream);
}

static enum status fetch_at(const struct dataset *set, size_t index, int size, struct random_stream *augment,
                            float *out)
{
    (void)set;
    (void)augment;
    draw(index, size, out);
    return STATUS_OK;
}

static enum status fetch(const struct dataset *set, size_t index, struct random_stream *augment, float *out)
{
    return fetch_at(set, index, set->height, augment, out);
}

static const struct dataset_ops drawn_ops = {.fetch = fetch, .fetch_at = fetch_at};
static int32_t labels[TRAIN_COUNT];

static struct dataset drawn_set(size_t count, int size)
{
    for (int i = 0; i < TRAIN_COUNT; i++)
        labels[i] = i % CLASSES;
    return (struct dataset){.ops = &drawn_ops,
                            .count = count,
                            .channels = CHANNELS,
                            .height = size,
                            .width = size,
                            .class_count = CLASSES,
                            .labels = labels};
}

/* Three batches each of 8, 40 and 72 rows, the last the tests' size. */
static const struct picture_sizes growing = {.first = 8, .last = TEST_SIZE, .batches = 9};

static int built; /* networks of another size than the tests' */
static int refused_size;

static struct net_spec *build(int size)
{
    struct model_params params = {.name = "convnet",
                                  .channels = CHANNELS,
                                  .height = size,
                                  .width = size,
                                  .class_count = CLASSES,
                                  .width_hidden = 16};
    struct net_spec *spec;
    assert_int_equal(model_build(&params, &spec), STATUS_OK);
    return spec;
}

static enum status spec_of_size(const void *context, int size, struct net_spec **out)
{
    assert_null(context);
    if (size == refused_size)
        return STATUS_USAGE;
    *out = build(size);
    built++;
    return STATUS_OK;
}

struct setup {
    const struct device_ops *ops;
    struct device *device; /* owned */
    struct net_spec *spec; /* owned: of the tests */
    struct partition partition;
    struct dataset test;
    float *parameters, *buffers; /* owned */
};

static struct setup *setup_create(void)
{
    struct setup *setup = memory_zalloc(1, sizeof *setup);
    const char *name = getenv("GRAPEVINE_TEST_DEVICE");
    struct device_params device = {
        .name = name != NULL ? name : "cpu", .threads = 1, .precision = "fp32", .deterministic = true};
    struct partition_params partition = {.name = "shared", .worker_count = 1, .seed = SEED};
    setup->ops = device_choose(device.name);
    assert_non_null(setup->ops);
    assert_int_equal(setup->ops->create(&device, &setup->device), STATUS_OK);
    setup->spec = build(TEST_SIZE);
    setup->test = drawn_set(TEST_COUNT, TEST_SIZE);
    struct dataset train = drawn_set(TRAIN_COUNT, TEST_SIZE);
    assert_int_equal(partition_create(&partition, &train, &setup->partition, NULL), STATUS_OK);
    setup->parameters = memory_zalloc(setup->spec->parameter_size, sizeof(float));
    setup->buffers = memory_zalloc(setup->spec->buffer_size, sizeof(float));
    store_init_parameters(setup->spec, 1, setup->parameters);
    store_init_buffers(setup->spec, setup->buffers);
    built = refused_size = 0;
    return setup;
}

static void setup_destroy(struct setup *setup)
{
    free(setup->buffers);
    free(setup->parameters);
    partition_release(&setup->partition);
    model_destroy(setup->spec);
    setup->ops->destroy(setup->device);
    free(setup);
}

static struct worker_params params_of(struct setup *setup, const struct dataset *train)
{
    struct worker_params params = {.worker_count = 2,
                                   .seed = SEED,
                                   .batch = BATCH,
                                   .ops = setup->ops,
                                   .device = setup->device,
                                   .spec = setup->spec,
                                   .spec_of_size = spec_of_size,
                                   .algo = algo_find("acid"),
                                   .eta = 0.5,
                                   .alpha = 0.5,
                                   .alpha_tilde = 1,
                                   .optimizer = {.momentum = 0.9, .weight_decay = 5e-4},
                                   .train = train,
                                   .partition = &setup->partition,
                                   .test = &setup->test,
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

static struct engine *create_shared(const struct setup *setup)
{
    struct engine_params params = {.ops = setup->ops,
                                   .device = setup->device,
                                   .spec = setup->spec,
                                   .batch = BATCH,
                                   .shared = true,
                                   .spec_of_size = spec_of_size};
    struct engine *engine = NULL;
    assert_int_equal(engine_create(&params, &engine), STATUS_OK);
    return engine;
}

static float *read_vector(const struct setup *setup, const float *vector, size_t count)
{
    float *host = memory_zalloc(count, sizeof host[0]);
    setup->ops->vector_read(setup->device, vector, count, host);
    return host;
}

static void expect_same(const struct setup *setup, const float *one, const float *other, size_t count)
{
    float *a = read_vector(setup, one, count), *b = read_vector(setup, other, count);
    assert_memory_equal(a, b, count * sizeof a[0]);
    free(a);
    free(b);
}

static struct gradient_result gradient(struct worker *worker)
{
    struct gradient_result result;
    assert_int_equal(worker_load(worker), STATUS_OK);
    assert_int_equal(worker_gradient(worker, NULL, NULL, &result), STATUS_OK);
    assert_true(result.finite);
    return result;
}

static void apply(struct worker *worker, int step)
{
    worker_update(worker, step + 1, 0.5);
    worker_cast(worker);
}

static struct evaluation test_all(struct worker *worker)
{
    struct evaluation found;
    assert_int_equal(worker_evaluate(worker, false, 0, 1, &found), STATUS_OK);
    return found;
}

/* What a worker that trains on the tests' size finds at x and the statistics of another. */
static struct evaluation test_plainly(struct setup *setup, struct worker *of)
{
    struct dataset train = drawn_set(TRAIN_COUNT, TEST_SIZE);
    struct worker_params params = params_of(setup, &train);
    float *x = read_vector(setup, worker_parameters(of), worker_parameter_size(of));
    float *buffers = read_vector(setup, worker_buffers(of), worker_buffer_size(of));
    params.initial_parameters = x;
    params.initial_buffers = buffers;
    struct worker *plain = create(&params);
    struct evaluation found = test_all(plain);
    worker_destroy(plain);
    free(x);
    free(buffers);
    return found;
}

static void expect_tested(const struct evaluation *found, const struct evaluation *wanted)
{
    assert_true(found->loss_sum == wanted->loss_sum);
    assert_int_equal(found->correct, wanted->correct);
    assert_int_equal(found->correct_top5, wanted->correct_top5);
    assert_int_equal(found->count, TEST_COUNT);
}

/* All of a run on one other size is as if nobody knew of tests. */
static void check_one_size(int size)
{
    struct setup *setup = setup_create();
    struct net_spec *spec = build(size);
    struct dataset train = drawn_set(TRAIN_COUNT, size);
    struct worker_params params = params_of(setup, &train), alone = params;
    alone.spec = spec;
    struct worker *sized = create(&params), *plain = create(&alone);
    size_t count = worker_parameter_size(sized);
    for (int step = 0; step < 5; step++) {
        struct gradient_result found = gradient(sized), wanted = gradient(plain);
        assert_true(found.loss == wanted.loss && found.correct == wanted.correct);
        expect_same(setup, worker_gradient_vector(sized), worker_gradient_vector(plain), count);
        apply(sized, step);
        apply(plain, step);
        if (step == 2) { /* a test in between leaves no trace */
            worker_cast_test(sized);
            test_all(sized);
        }
    }
    expect_same(setup, worker_parameters(sized), worker_parameters(plain), count);
    expect_same(setup, worker_buffers(sized), worker_buffers(plain), worker_buffer_size(sized));
    assert_int_equal(worker_recompute_statistics(sized, 3), STATUS_OK);
    assert_int_equal(worker_recompute_statistics(plain, 3), STATUS_OK);
    expect_same(setup, worker_buffers(sized), worker_buffers(plain), worker_buffer_size(sized));
    assert_int_equal(built, 1);
    worker_destroy(sized);
    worker_destroy(plain);
    model_destroy(spec);
    setup_destroy(setup);
}

static void test_one_size(void **state)
{
    (void)state;
    check_one_size(8);
    check_one_size(13);
    check_one_size(71);
}

/* Tests are made at the tests' size, with x as worker_cast_test finds it. */
static void test_tests(void **state)
{
    (void)state;
    struct setup *setup = setup_create();
    struct dataset train = drawn_set(TRAIN_COUNT, 8);
    struct worker_params params = params_of(setup, &train);
    struct worker *worker = create(&params);
    size_t count = worker_parameter_size(worker);
    float *own = NULL, *zeros = NULL;
    assert_int_equal(setup->ops->vector_alloc(setup->device, count, &own), STATUS_OK);
    assert_int_equal(setup->ops->vector_alloc(setup->device, count, &zeros), STATUS_OK);
    for (int step = 0; step < 3; step++) {
        gradient(worker);
        apply(worker, step);
    }
    worker_cast_test(worker);
    struct evaluation before = test_all(worker), wanted = test_plainly(setup, worker);
    expect_tested(&before, &wanted);
    worker_snapshot(worker, 3, 0, count, own);
    worker_exchange(worker, 3, own, zeros);
    struct evaluation meanwhile = test_all(worker);
    expect_tested(&meanwhile, &before);
    worker_cast_test(worker);
    struct evaluation after = test_all(worker);
    wanted = test_plainly(setup, worker);
    expect_tested(&after, &wanted);
    assert_true(after.loss_sum != before.loss_sum);
    setup->ops->vector_free(setup->device, own);
    setup->ops->vector_free(setup->device, zeros);
    worker_destroy(worker);
    setup_destroy(setup);
}

/* The pictures and labels of worker 0's batch `number`. */
static void read_batch(const struct setup *setup, uint64_t number, int size, float *images, int32_t *of_images)
{
    uint32_t order[TRAIN_COUNT];
    for (uint64_t i = 0; i < BATCH; i++) {
        uint64_t sample = number * BATCH + i;
        partition_shuffle(&setup->partition, SEED, 0, sample / TRAIN_COUNT, order);
        draw(order[sample % TRAIN_COUNT], size, images + i * (size_t)(CHANNELS * size * size));
        of_images[i] = labels[order[sample % TRAIN_COUNT]];
    }
}

/* The gradient of a batch at x and the statistics of a worker, by a network that nobody has used before. */
static struct net_result compute_plainly(struct setup *setup, struct worker *worker, uint64_t number, int size,
                                         float *gradient_out)
{
    const struct device_ops *ops = setup->ops;
    struct net_spec *spec = build(size);
    static float images[BATCH * CHANNELS * TEST_SIZE * TEST_SIZE];
    int32_t of_images[BATCH];
    float *vector = NULL, *buffers = NULL, *statistics = read_vector(setup, worker_buffers(worker), spec->buffer_size);
    struct net_batch batch = {.images = images, .labels = of_images, .count = BATCH};
    struct net_result result;
    struct net *net;
    read_batch(setup, number, size, images, of_images);
    assert_int_equal(ops->vector_alloc(setup->device, spec->parameter_size, &vector), STATUS_OK);
    assert_int_equal(ops->vector_alloc(setup->device, spec->buffer_size, &buffers), STATUS_OK);
    ops->vector_write(setup->device, buffers, spec->buffer_size, statistics);
    assert_int_equal(ops->net_create(setup->device, spec, BATCH, vector, buffers, &net), STATUS_OK);
    ops->net_cast(net, worker_parameters(worker));
    assert_int_equal(ops->net_forward(net, NET_TRAIN, &batch, 0, &result), STATUS_OK);
    assert_int_equal(ops->net_backward(net, NULL, NULL), STATUS_OK);
    ops->vector_read(setup->device, vector, spec->parameter_size, gradient_out);
    ops->net_destroy(net);
    ops->vector_free(setup->device, vector);
    ops->vector_free(setup->device, buffers);
    free(statistics);
    model_destroy(spec);
    return result;
}

/* Gradients as of new networks, and results of earlier ones outlive the network that made them. */
static void test_growing(void **state)
{
    (void)state;
    enum { STEPS = 11 };
    struct setup *setup = setup_create();
    struct dataset train = drawn_set(TRAIN_COUNT, TEST_SIZE);
    struct worker_params params = params_of(setup, &train);
    params.sizes = growing;
    struct worker *worker = create(&params);
    size_t count = worker_parameter_size(worker);
    float *wanted = memory_zalloc(count, sizeof wanted[0]);
    struct net_result results[STEPS];
    for (int step = 0; step < STEPS; step++) {
        int size = picture_size_of(&growing, (uint64_t)step);
        results[step] = compute_plainly(setup, worker, (uint64_t)step, size, wanted);
        assert_int_equal(worker_load(worker), STATUS_OK);
        assert_int_equal(worker_gradient(worker, NULL, NULL, NULL), STATUS_OK);
        for (int age = 0; age <= step && age < NET_RESULTS; age++) {
            struct gradient_result found;
            assert_int_equal(worker_result(worker, age, &found), STATUS_OK);
            assert_true(found.loss == results[step - age].loss && found.correct == results[step - age].correct);
        }
        float *found = read_vector(setup, worker_gradient_vector(worker), count);
        assert_memory_equal(found, wanted, count * sizeof wanted[0]);
        free(found);
        apply(worker, step);
        if (step % 2 == 0)
            continue;
        worker_cast_test(worker);
        struct evaluation tested = test_all(worker), expected = test_plainly(setup, worker);
        expect_tested(&tested, &expected);
        if (size == TEST_SIZE) /* one network, whose last passes were the tests' */
            break;
    }
    assert_int_equal(built, 2);
    free(wanted);
    worker_destroy(worker);
    setup_destroy(setup);
}

/* A run that goes on begins with the size of its first batch. */
static void test_going_on(void **state)
{
    (void)state;
    struct setup *setup = setup_create();
    struct dataset train = drawn_set(TRAIN_COUNT, TEST_SIZE);
    struct worker_params params = params_of(setup, &train);
    params.sizes = growing;
    params.first_step = 4;
    struct worker *worker = create(&params);
    size_t count = worker_parameter_size(worker);
    float *wanted = memory_zalloc(count, sizeof wanted[0]);
    struct net_result result = compute_plainly(setup, worker, 4, 40, wanted);
    assert_true(gradient(worker).loss == result.loss);
    float *found = read_vector(setup, worker_gradient_vector(worker), count);
    assert_memory_equal(found, wanted, count * sizeof wanted[0]);
    assert_int_equal(built, 1);
    free(found);
    free(wanted);
    worker_destroy(worker);
    setup_destroy(setup);
}

/* Two workers step in turn, meet halfway, and are tested now and then; one is two gradients ahead, so that their sizes
 * differ at times. Worker 1's x, x̃ and statistics in one vector. */
static float *step_in_turn(struct setup *setup, bool share, bool keeps_point)
{
    struct worker *workers[2];
    struct dataset train = drawn_set(TRAIN_COUNT, TEST_SIZE);
    size_t size = setup->spec->parameter_size, buffer_size = setup->spec->buffer_size;
    float *snapshots[2] = {NULL, NULL};
    struct engine *engine = share ? create_shared(setup) : NULL;
    for (int i = 0; i < 2; i++) {
        struct worker_params params = params_of(setup, &train);
        params.worker = i;
        params.sizes = growing;
        params.engine = engine;
        params.keeps_point = share && keeps_point;
        workers[i] = create(&params);
        assert_int_equal(setup->ops->vector_alloc(setup->device, size, &snapshots[i]), STATUS_OK);
    }
    for (int step = 0; step < 2; step++) {
        gradient(workers[1]);
        apply(workers[1], step);
    }
    for (int step = 2; step < 9; step++) {
        for (int i = 0; i < 2 && keeps_point; i++)
            worker_snapshot(workers[i], step + 0.5, 0, size, snapshots[i]);
        for (int i = 0; i < 2 && keeps_point; i++)
            worker_exchange(workers[i], step + 0.5, snapshots[i], snapshots[1 - i]);
        for (int i = 0; i < 2; i++) {
            gradient(workers[i]);
            apply(workers[i], step);
        }
        if (step % 2 == 0) {
            worker_cast_test(workers[step / 2 % 2]);
            struct evaluation found = test_all(workers[step / 2 % 2]);
            struct evaluation wanted = test_plainly(setup, workers[step / 2 % 2]);
            expect_tested(&found, &wanted);
        }
    }
    assert_int_equal(worker_recompute_statistics(workers[1], 4), STATUS_OK);
    float *result = memory_zalloc(2 * size + buffer_size, sizeof result[0]);
    setup->ops->vector_read(setup->device, worker_parameters(workers[1]), size, result);
    setup->ops->vector_read(setup->device, worker_vector(workers[1], "x_tilde"), size, result + size);
    setup->ops->vector_read(setup->device, worker_buffers(workers[1]), buffer_size, result + 2 * size);
    for (int i = 0; i < 2; i++) {
        worker_destroy(workers[i]);
        setup->ops->vector_free(setup->device, snapshots[i]);
    }
    engine_destroy(engine);
    return result;
}

/* Who computes does not matter: workers that share an engine do what they would do with one each, to the bit. */
static void test_shared_engine(void **state)
{
    (void)state;
    struct setup *setup = setup_create();
    size_t bytes = (2 * setup->spec->parameter_size + setup->spec->buffer_size) * sizeof(float);
    for (int meets = 0; meets < 2; meets++) {
        float *own = step_in_turn(setup, false, meets), *shared = step_in_turn(setup, true, meets);
        assert_memory_equal(own, shared, bytes);
        free(own);
        free(shared);
    }
    setup_destroy(setup);
}

/* worker_cast_at holds for a network that is made after it. */
static void test_cast_at(void **state)
{
    (void)state;
    struct setup *setup = setup_create();
    struct engine *engine = create_shared(setup);
    struct dataset train = drawn_set(TRAIN_COUNT, 12);
    struct worker_params params = params_of(setup, &train);
    size_t count = setup->spec->parameter_size;
    float *own = NULL, *zeros = NULL, *advanced = NULL;
    float **const vectors[] = {&own, &zeros, &advanced};
    for (int i = 0; i < 3; i++)
        assert_int_equal(setup->ops->vector_alloc(setup->device, count, vectors[i]), STATUS_OK);
    params.engine = engine;
    struct worker *worker = create(&params);
    worker_snapshot(worker, 0, 0, count, own);
    worker_exchange(worker, 0, own, zeros); /* now x is not x̃ */
    worker_snapshot(worker, 2, 0, count, advanced);
    worker_cast_at(worker, 2);
    gradient(worker);
    float *x = read_vector(setup, advanced, count);
    struct worker_params direct_params = params_of(setup, &train);
    direct_params.initial_parameters = x;
    struct worker *direct = create(&direct_params);
    gradient(direct);
    expect_same(setup, worker_gradient_vector(worker), worker_gradient_vector(direct), count);
    for (int i = 0; i < 3; i++)
        setup->ops->vector_free(setup->device, *vectors[i]);
    free(x);
    worker_destroy(worker);
    worker_destroy(direct);
    engine_destroy(engine);
    setup_destroy(setup);
}

/* Workers that change size one after another do not make a network each time: those of 8 and 40 rows, and that of 40
 * once more, for which that of 8 was kept when one of them came to the tests'. */
static void test_spare(void **state)
{
    (void)state;
    struct setup *setup = setup_create();
    struct engine *engine = create_shared(setup);
    struct dataset train = drawn_set(TRAIN_COUNT, TEST_SIZE);
    struct worker_params params = params_of(setup, &train);
    struct worker *workers[2];
    params.sizes = growing;
    params.engine = engine;
    for (int i = 0; i < 2; i++)
        workers[i] = create(&params);
    for (int step = 0; step < 12; step++) /* worker 0 is three gradients ahead */
        for (int i = 0; i < 2; i++) {
            if (i == 1 ? step < 3 : step >= 9)
                continue;
            gradient(workers[i]);
            apply(workers[i], step - 3 * i);
        }
    assert_int_equal(built, 3);
    worker_destroy(workers[0]);
    worker_destroy(workers[1]);
    engine_destroy(engine);
    setup_destroy(setup);
}

/* Where all have one size no other network is made, whatever may be. */
static void test_equal_sizes(void **state)
{
    (void)state;
    struct setup *setup = setup_create();
    struct dataset train = drawn_set(TRAIN_COUNT, TEST_SIZE);
    struct worker_params params = params_of(setup, &train);
    struct worker *worker = create(&params);
    gradient(worker);
    apply(worker, 0);
    struct evaluation found = test_all(worker), wanted = test_plainly(setup, worker); /* without worker_cast_test */
    expect_tested(&found, &wanted);
    assert_int_equal(built, 0);
    worker_destroy(worker);
    setup_destroy(setup);
}

/* A network that cannot be made is an error of whoever first needs it. */
static void test_refusals(void **state)
{
    (void)state;
    struct setup *setup = setup_create();
    struct dataset train = drawn_set(TRAIN_COUNT, TEST_SIZE);
    struct worker_params params = params_of(setup, &train);
    struct worker *worker = NULL;
    params.sizes = growing;
    refused_size = 8;
    assert_int_equal(worker_create(&params, &worker), STATUS_USAGE);
    refused_size = 40;
    worker = create(&params);
    for (int step = 0; step < 2; step++) {
        gradient(worker);
        apply(worker, step);
    }
    assert_int_equal(worker_load(worker), STATUS_OK);
    assert_int_equal(worker_gradient(worker, NULL, NULL, NULL), STATUS_USAGE);
    worker_destroy(worker);
    setup_destroy(setup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_size), cmocka_unit_test(test_tests),         cmocka_unit_test(test_growing),
        cmocka_unit_test(test_going_on), cmocka_unit_test(test_shared_engine), cmocka_unit_test(test_cast_at),
        cmocka_unit_test(test_spare),    cmocka_unit_test(test_equal_sizes),   cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
