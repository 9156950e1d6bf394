/* The device: choice of a backend, vector operations, and what a network promises whatever it computes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/thread.h"
#include "capture.h"
#include "kernels/reduce.h"
#include "parity/reference_net.h"

enum { COUNT = 200003 };

static struct device *start(int threads)
{
    struct device *device = NULL;
    struct device_params params = {.name = "cpu", .threads = threads, .precision = "auto"};
    assert_int_equal(device_choose("cpu")->create(&params, &device), STATUS_OK);
    return device;
}

static void test_choice(void **state)
{
    (void)state;
    static struct capture capture;
    assert_non_null(device_choose("auto"));
    assert_string_equal(device_choose("cpu")->name, "cpu");
    if (device_find("cuda") == NULL) { /* a build without it says so */
        capture_begin(&capture);
        assert_null(device_choose("cuda"));
        assert_non_null(strstr(capture_end(&capture), "CUDA"));
    } else {
        assert_string_equal(device_choose("cuda")->name, "cuda");
    }
    assert_null(device_find("cpuu"));
    capture_begin(&capture);
    const struct device_ops *none = device_choose("cpuu");
    const char *message = capture_end(&capture);
    assert_null(none);
    assert_non_null(strstr(message, "\"cpuu\""));
    assert_non_null(strstr(message, "cpu"));
}

static void test_precision(void **state)
{
    (void)state;
    static struct capture capture;
    struct device *device = NULL;
    struct device_params params = {.name = "cpu", .threads = 1, .precision = "bf17"};
    capture_begin(&capture);
    enum status status = device_choose("cpu")->create(&params, &device);
    const char *message = capture_end(&capture);
    assert_int_equal(status, STATUS_USAGE);
    assert_null(device);
    assert_non_null(strstr(message, "bf17"));
}

struct vectors {
    float *x, *x_tilde, *m, *g;
};

static void vectors_alloc(const struct device_ops *ops, struct device *device, struct vectors *v)
{
    float **all[4] = {&v->x, &v->x_tilde, &v->m, &v->g};
    float *host = memory_zalloc(COUNT, sizeof *host);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ops->vector_alloc(device, COUNT, all[i]), STATUS_OK);
        ops->vector_read(device, *all[i], COUNT, host);
        for (size_t j = 0; j < COUNT; j++)
            assert_true(host[j] == 0.0f);
        struct random_stream stream = random_stream(3, RANDOM_TEST, (uint32_t)i, 0);
        for (size_t j = 0; j < COUNT; j++)
            host[j] = (float)random_normal(&stream);
        ops->vector_write(device, *all[i], COUNT, host);
    }
    free(host);
}

static void vectors_free(const struct device_ops *ops, struct device *device, struct vectors *v)
{
    ops->vector_free(device, v->x);
    ops->vector_free(device, v->x_tilde);
    ops->vector_free(device, v->m);
    ops->vector_free(device, v->g);
    ops->vector_free(device, NULL);
}

/* Every vector operation, with and without the device's threads, gives the bits of one thread. */
static void test_vectors(void **state)
{
    (void)state;
    const struct device_ops *ops = device_choose("cpu");
    const struct update_coefficients update = {
        .mix = 0.2, .learning_rate = 0.1, .momentum = 0.9, .weight_decay = 5e-4, .clip_norm = 0.5, .nesterov = true};
    const struct pair_coefficients pair = {.mix = 0.2, .alpha = 0.5, .alpha_tilde = 1.25};
    static float wanted[3][COUNT];
    double wanted_sum = 0.0;
    for (int threads = 1; threads <= 3; threads++) {
        for (int shared = 0; shared < 2; shared++) {
            struct device *device = start(threads);
            struct vectors v;
            vectors_alloc(ops, device, &v);
            double sum = ops->sum_squares(device, shared, COUNT, v.g);
            ops->update(device, shared, &update, COUNT, COUNT / 3, v.x, v.x_tilde, v.m, v.g, NULL);
            ops->pair(device, shared, &pair, COUNT, v.x, v.x_tilde, v.m, v.g);
            ops->snapshot(device, shared, 0.2, COUNT, v.x, v.x_tilde, v.m);
            if (threads == 1 && shared == 0) {
                memcpy(wanted[0], v.x, sizeof wanted[0]);
                memcpy(wanted[1], v.x_tilde, sizeof wanted[1]);
                memcpy(wanted[2], v.m, sizeof wanted[2]);
                wanted_sum = sum;
            }
            assert_memory_equal(wanted[0], v.x, sizeof wanted[0]);
            assert_memory_equal(wanted[1], v.x_tilde, sizeof wanted[1]);
            assert_memory_equal(wanted[2], v.m, sizeof wanted[2]);
            assert_true(sum == wanted_sum);
            vectors_free(ops, device, &v);
            ops->destroy(device);
        }
    }
    assert_true(fabs(wanted_sum - COUNT) < 5.0 * sqrt(2.0 * COUNT));
}

/* A net without products: batch norm, residual, ReLU, pooling, loss. Its sums are ours, so its bits are known to
 * be the same on any number of threads. */
struct outcome {
    struct net_result result;
    float logits[6 * 4], gradient[64], buffers[64];
};

static void build(struct net_spec *spec)
{
    spec_start(spec, "sums", 4, 6, 4);
    int v = spec_add(spec, (struct net_node){.op = NET_NORM, .input = 0, .residual = NET_NONE, .relu = true}, false);
    v = spec_add(spec, (struct net_node){.op = NET_NORM, .input = v, .residual = 0}, false);
    v = spec_add(spec, (struct net_node){.op = NET_MAX_POOL, .input = v, .kernel = 3, .stride = 2, .pad = 1}, false);
    spec_add(spec, (struct net_node){.op = NET_ADAPTIVE_AVG_POOL, .input = v, .out_size = 1}, false);
}

struct run {
    const struct net_spec *spec;
    struct device *device;
    struct net *net;
    struct outcome outcome;
};

static void *run_step(void *context)
{
    struct run *run = context;
    const struct device_ops *ops = device_choose("cpu");
    float images[6 * 4 * 36], x[64];
    int32_t labels[6] = {0, 1, 2, 3, 0, 1};
    struct random_stream stream = random_stream(1, RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < sizeof images / sizeof *images; i++)
        images[i] = (float)random_normal(&stream);
    for (size_t i = 0; i < run->spec->parameter_size; i++)
        x[i] = (float)random_normal(&stream);
    struct net_batch batch = {.images = images, .labels = labels, .count = 6};
    ops->net_cast(run->net, x);
    assert_int_equal(ops->net_forward(run->net, NET_TRAIN, &batch, 0, &run->outcome.result), STATUS_OK);
    ops->net_logits(run->net, run->outcome.logits);
    assert_int_equal(ops->net_backward(run->net, NULL, NULL), STATUS_OK);
    return NULL;
}

/* Made by this thread, run by another, as the runtime does. */
static void test_net_threads(void **state)
{
    (void)state;
    const struct device_ops *ops = device_choose("cpu");
    struct net_spec spec;
    static struct outcome wanted;
    build(&spec);
    for (int threads = 1; threads <= 3; threads++) {
        static struct run run;
        struct thread thread = {0};
        run = (struct run){.spec = &spec, .device = start(threads)};
        assert_int_equal(ops->net_create(run.device, &spec, 6, run.outcome.gradient, run.outcome.buffers, &run.net),
                         STATUS_OK);
        assert_true(ops->net_bytes(run.net) > 6 * 4 * 36 * sizeof(float));
        assert_int_equal(thread_start(&thread, "compute", run_step, &run), STATUS_OK);
        thread_join(&thread);
        if (threads == 1)
            wanted = run.outcome;
        assert_memory_equal(&wanted, &run.outcome, sizeof wanted);
        ops->net_destroy(run.net);
        ops->destroy(run.device);
    }
    assert_true(wanted.result.finite && wanted.result.loss > 0.0);
    spec_release(&spec);
}

/* Equal logits: the first class counts as the answer. Every image counts once. */
static void test_correct(void **state)
{
    (void)state;
    const struct device_ops *ops = device_choose("cpu");
    struct device *device = start(2);
    struct net_spec spec;
    struct net *net;
    struct net_result result;
    float gradient[1], buffers[1], images[3 * 2] = {1.0f, 1.0f, 0.0f, 2.0f, 5.0f, -1.0f};
    int32_t labels[3] = {0, 1, 1};
    struct net_batch batch = {.images = images, .labels = labels, .count = 3};
    spec_start(&spec, "identity", 2, 1, 2);
    spec_add(&spec, (struct net_node){.op = NET_DROPOUT, .input = 0, .rate = 0.5}, false);
    assert_int_equal(ops->net_create(device, &spec, 3, gradient, buffers, &net), STATUS_OK);
    assert_int_equal(ops->net_forward(net, NET_EVALUATE, &batch, 0, &result), STATUS_OK);
    assert_int_equal(result.correct, 2);
    double wanted = (log(2.0) + log1p(exp(-2.0)) + 6.0 + log1p(exp(-6.0))) / 3.0;
    assert_float_equal(result.loss, wanted, 1e-12);
    batch.count = 2;
    assert_int_equal(ops->net_forward(net, NET_EVALUATE, &batch, 0, &result), STATUS_OK);
    assert_int_equal(result.correct, 2);
    assert_float_equal(result.loss, (log(2.0) + log1p(exp(-2.0))) / 2.0, 1e-12);
    ops->net_destroy(net);
    ops->net_destroy(NULL);
    ops->destroy(device);
    spec_release(&spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),      cmocka_unit_test(test_precision), cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_net_threads), cmocka_unit_test(test_correct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
