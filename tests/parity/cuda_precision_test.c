/* A whole network in each precision that the cuda device offers, against the cpu device: logits, loss, and the whole
 * gradient, at the same weights and pictures.
 *
 * Bounds, relative to the norm. Logits: what rounding each value to the format leaves after dozens of operations in a
 * row; bf16 has 8 bits, fp16 and tf32 11. Gradients: rounded activations, or activations of rounded factors (tf32),
 * choose other places of a maximum and other sides of a ReLU in a share of the elements as large as the rounding,
 * which moves the gradient by the root of that share (2⁻⁴ and 2⁻⁵·⁵), layer upon layer: `depth` of them, whose roots
 * add up like random steps. Which engine computes is measured: with tf32 it may as well be one that does not round. In
 * fp32 the share is 2⁻²⁰, what the CPU's Winograd transforms leave: one ReLU in a million on its other side moves the
 * gradient by more than all rounding (device_ops_test.c has the operations, one by one and far closer). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "device/device.h"
#include "nn/model.h"
#include "nn/store.h"

enum { BATCH = 16, SIZE = 16, CLASSES = 10 };

struct outcome {
    float *gradient, *logits; /* owned */
    double loss;
};

struct inputs {
    struct net_spec *spec;
    float *x, *buffers, *images;
    int32_t labels[BATCH];
};

static void inputs_init(struct inputs *in, const char *model)
{
    struct model_params params = {.name = model, .channels = 3, .height = SIZE, .width = SIZE, .class_count = CLASSES};
    struct random_stream stream = random_stream(11, RANDOM_TEST, 0, 0);
    size_t pixels = (size_t)BATCH * 3 * SIZE * SIZE;
    assert_int_equal(model_build(&params, &in->spec), STATUS_OK);
    in->x = memory_zalloc(in->spec->parameter_size, sizeof(float));
    in->buffers = memory_zalloc(in->spec->buffer_size + 1, sizeof(float));
    in->images = memory_zalloc(pixels, sizeof(float));
    store_init_parameters(in->spec, 3, in->x);
    store_init_buffers(in->spec, in->buffers);
    for (size_t i = 0; i < pixels; i++)
        in->images[i] = (float)random_normal(&stream);
    for (int i = 0; i < BATCH; i++)
        in->labels[i] = (int32_t)random_below(&stream, CLASSES);
}

static void inputs_release(struct inputs *in)
{
    model_destroy(in->spec);
    free(in->x);
    free(in->buffers);
    free(in->images);
}

/* One step on a device: the third, when it runs as a device repeats it. */
static struct outcome run(const struct inputs *in, const char *name, const char *precision)
{
    struct device_params params = {.name = name, .threads = 2, .precision = precision, .deterministic = true};
    const struct device_ops *ops = device_choose(name);
    struct device *device;
    struct net *net;
    float *x, *gradient, *buffers;
    size_t count = in->spec->parameter_size;
    struct outcome out = {.gradient = memory_zalloc(count, sizeof(float)),
                          .logits = memory_zalloc((size_t)BATCH * CLASSES, sizeof(float))};
    assert_non_null(ops);
    assert_int_equal(ops->create(&params, &device), STATUS_OK);
    assert_int_equal(ops->vector_alloc(device, count, &x), STATUS_OK);
    assert_int_equal(ops->vector_alloc(device, count, &gradient), STATUS_OK);
    assert_int_equal(ops->vector_alloc(device, in->spec->buffer_size + 1, &buffers), STATUS_OK);
    ops->vector_write(device, x, count, in->x);
    ops->vector_write(device, buffers, in->spec->buffer_size, in->buffers);
    assert_int_equal(ops->net_create(device, in->spec, BATCH, gradient, buffers, &net), STATUS_OK);
    ops->net_cast(net, x);
    struct net_batch batch = {.images = in->images, .labels = in->labels, .count = BATCH};
    struct net_result result;
    for (int step = 0; step < 3; step++) {
        assert_int_equal(ops->net_forward(net, NET_TRAIN, &batch, 1, NULL), STATUS_OK);
        assert_int_equal(ops->net_backward(net, NULL, NULL), STATUS_OK);
    }
    assert_int_equal(ops->net_result(net, 0, &result), STATUS_OK);
    out.loss = result.loss;
    ops->net_logits(net, out.logits);
    ops->vector_read(device, gradient, count, out.gradient);
    ops->net_destroy(net);
    ops->vector_free(device, x);
    ops->vector_free(device, gradient);
    ops->vector_free(device, buffers);
    ops->destroy(device);
    return out;
}

static void release(struct outcome *outcome)
{
    free(outcome->gradient);
    free(outcome->logits);
}

static double error_of(const float *found, const float *wanted, size_t count)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        difference += ((double)found[i] - (double)wanted[i]) * ((double)found[i] - (double)wanted[i]);
        norm += (double)wanted[i] * (double)wanted[i];
    }
    return sqrt(difference / norm);
}

static void check_model(const char *model, int depth)
{
    const double share11 = ldexp(1, -11), share_bf16 = ldexp(1, -8), share_fp32 = ldexp(1, -20), room = 2;
    const struct {
        const char *precision;
        double logits, gradient;
    } bounds[] = {{"fp32", 1e-5, room * sqrt(share_fp32 * depth)},
                  {"tf32", 5e-3, room * sqrt(share11 * depth)},
                  {"fp16", 5e-3, room * sqrt(share11 * depth)},
                  {"bf16", 4e-2, room * sqrt(share_bf16 * depth)}};
    struct inputs in;
    inputs_init(&in, model);
    struct outcome wanted = run(&in, "cpu", "fp32");
    for (size_t k = 0; k < sizeof bounds / sizeof bounds[0]; k++) {
        struct outcome found = run(&in, "cuda", bounds[k].precision);
        double logits = error_of(found.logits, wanted.logits, (size_t)BATCH * CLASSES);
        double gradient = error_of(found.gradient, wanted.gradient, in.spec->parameter_size);
        printf("%s, %s: logits off by %.2g (at most %.2g), gradient by %.2g (at most %.2g)\n", model,
               bounds[k].precision, logits, bounds[k].logits, gradient, bounds[k].gradient);
        assert_true(logits <= bounds[k].logits);
        assert_true(gradient <= bounds[k].gradient);
        assert_true(fabs(found.loss - wanted.loss) <= bounds[k].logits * wanted.loss);
        release(&found);
    }
    release(&wanted);
    inputs_release(&in);
}

/* Weights so large that the first gradients overflow fp16. */
struct overflowing {
    const struct device_ops *ops;
    struct device *device;
    struct inputs in;
    float *x, *m, *gradient; /* device memory */
};

static void overflowing_init(struct overflowing *o)
{
    struct device_params params = {.name = "cuda", .threads = 1, .precision = "fp16", .deterministic = true};
    *o = (struct overflowing){.ops = device_choose("cuda")};
    inputs_init(&o->in, "mlp");
    size_t count = o->in.spec->parameter_size;
    for (size_t i = 0; i < count; i++)
        o->in.x[i] *= 100;
    assert_int_equal(o->ops->create(&params, &o->device), STATUS_OK);
    assert_int_equal(o->ops->vector_alloc(o->device, count, &o->x), STATUS_OK);
    assert_int_equal(o->ops->vector_alloc(o->device, count, &o->m), STATUS_OK);
    assert_int_equal(o->ops->vector_alloc(o->device, count, &o->gradient), STATUS_OK);
}

static void overflowing_release(struct overflowing *o)
{
    o->ops->vector_free(o->device, o->x);
    o->ops->vector_free(o->device, o->m);
    o->ops->vector_free(o->device, o->gradient);
    o->ops->destroy(o->device);
    inputs_release(&o->in);
}

static struct net *net_of(struct overflowing *o)
{
    struct net *net;
    assert_int_equal(o->ops->net_create(o->device, o->in.spec, BATCH, o->gradient, NULL, &net), STATUS_OK);
    return net;
}

/* From the same x on: how many gradients it takes until one is applied. */
static int steps_until_moved(struct overflowing *o, struct net *net, bool names_net)
{
    enum { STEPS_MOST = 24 };
    const struct update_coefficients update = {.learning_rate = 1e-6};
    const struct device_ops *ops = o->ops;
    size_t count = o->in.spec->parameter_size;
    struct net_batch batch = {.images = o->in.images, .labels = o->in.labels, .count = BATCH};
    float *now = memory_zalloc(count, sizeof now[0]);
    int step = 0;
    ops->vector_write(o->device, o->x, count, o->in.x);
    for (bool moved = false; step < STEPS_MOST && !moved; step++) {
        ops->net_cast(net, o->x);
        assert_int_equal(ops->net_forward(net, NET_TRAIN, &batch, 1, NULL), STATUS_OK);
        assert_int_equal(ops->net_backward(net, NULL, NULL), STATUS_OK);
        ops->update(o->device, true, &update, count, 0, o->x, NULL, o->m, o->gradient, names_net ? net : NULL);
        ops->vector_read(o->device, o->x, count, now);
        moved = memcmp(now, o->in.x, count * sizeof now[0]) != 0;
    }
    assert_true(step < STEPS_MOST);
    for (size_t i = 0; i < count; i++)
        assert_true(isfinite(now[i]));
    free(now);
    return step;
}

/* Gradients that overflow fp16 leave x as it was and lower the loss scale, until one fits: also where the update does
 * not name the network, as that of a worker that shares it. */
static void test_loss_scale(void **state)
{
    (void)state;
    for (int names_net = 0; names_net < 2; names_net++) {
        struct overflowing o;
        overflowing_init(&o);
        struct net *net = net_of(&o);
        int steps = steps_until_moved(&o, net, names_net);
        printf("%d gradients overflowed\n", steps - 1);
        assert_true(steps > 1);
        o.ops->net_destroy(net);
        overflowing_release(&o);
    }
}

/* The scale is that of the network that computes, not of one for tests that writes to the same gradient; and one that
 * takes its place goes on with it. */
static void test_loss_scale_of_two(void **state)
{
    (void)state;
    struct overflowing o;
    overflowing_init(&o);
    struct net_batch batch = {.images = o.in.images, .labels = o.in.labels, .count = BATCH};
    struct net *tests = net_of(&o), *net = net_of(&o);
    o.ops->net_cast(tests, o.x);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(o.ops->net_forward(tests, NET_EVALUATE, &batch, 1, NULL), STATUS_OK);
        int steps = steps_until_moved(&o, net, true);
        assert_true(i == 0 ? steps > 1 : steps == 1);
        o.ops->net_destroy(net);
        net = net_of(&o);
    }
    o.ops->net_destroy(tests);
    o.ops->net_destroy(net);
    overflowing_release(&o);
}

static void test_convnet(void **state)
{
    (void)state;
    check_model("convnet", 4);
}

static void test_resnet(void **state)
{
    (void)state;
    check_model("resnet20", 19);
}

static void test_mlp(void **state)
{
    (void)state;
    check_model("mlp", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convnet),
        cmocka_unit_test(test_resnet),
        cmocka_unit_test(test_mlp),
        cmocka_unit_test(test_loss_scale),
        cmocka_unit_test(test_loss_scale_of_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
