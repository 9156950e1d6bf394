/* Initial values: their distributions, and that they depend on the seed and the parameter's index alone. Bounds on
 * sample statistics are five standard errors; the seed is fixed, so they hold always or never. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "nn/model.h"
#include "nn/store.h"

enum { SEED = 7 };

/* A model and its initial values. */
struct start {
    struct net_spec *spec; /* owned */
    float *x;              /* owned, (parameter_size) */
};

static struct start start_of(const char *name, int width_hidden, uint64_t seed)
{
    struct model_params params = {
        .name = name,
        .channels = 3,
        .height = 32,
        .width = 32,
        .class_count = 10,
        .width_hidden = width_hidden,
    };
    struct start start = {0};
    assert_int_equal(model_build(&params, &start.spec), STATUS_OK);
    start.x = memory_alloc_aligned(start.spec->parameter_size * sizeof(float));
    memset(start.x, 0xff, start.spec->parameter_size * sizeof(float)); /* NaN where nothing is written */
    store_init_parameters(start.spec, seed, start.x);
    return start;
}

static void release(struct start *start)
{
    memory_free_aligned(start->x);
    model_destroy(start->spec);
}

struct moments {
    double mean, variance, kurtosis; /* kurtosis: 3 for a normal distribution, 9/5 for a uniform one */
    double largest;                  /* of |value| */
};

static struct moments moments_of(const float *values, size_t count)
{
    struct moments m = {0};
    double fourth = 0;
    for (size_t i = 0; i < count; i++)
        m.mean += values[i] / (double)count;
    for (size_t i = 0; i < count; i++) {
        double d = values[i] - m.mean;
        m.variance += d * d / (double)count;
        fourth += d * d * d * d / (double)count;
        m.largest = fmax(m.largest, fabs((double)values[i]));
    }
    m.kurtosis = fourth / (m.variance * m.variance);
    return m;
}

static const struct net_tensor *tensor_named(const struct net_spec *spec, const char *name)
{
    for (int i = 0; i < spec->parameter_count; i++)
        if (strcmp(spec->parameters[i].name, name) == 0)
            return &spec->parameters[i];
    fail_msg("no parameter %s", name);
    return NULL;
}

static void expect_normal(const struct start *start, const char *name, double variance)
{
    const struct net_tensor *tensor = tensor_named(start->spec, name);
    struct moments m = moments_of(start->x + tensor->offset, tensor->count);
    double n = (double)tensor->count;
    assert_true(fabs(m.mean) < 5 * sqrt(variance / n));
    assert_true(fabs(m.variance / variance - 1) < 5 * sqrt(2 / n));
    assert_true(fabs(m.kurtosis - 3) < 5 * sqrt(24 / n));
}

static void expect_uniform(const struct start *start, const char *name, double bound)
{
    const struct net_tensor *tensor = tensor_named(start->spec, name);
    struct moments m = moments_of(start->x + tensor->offset, tensor->count);
    double n = (double)tensor->count, variance = bound * bound / 3;
    assert_true(m.largest <= (double)(float)bound);
    assert_true(m.largest > bound * (1 - 10 / n));
    assert_true(fabs(m.mean) < 5 * sqrt(variance / n));
    assert_true(fabs(m.variance / variance - 1) < 5 * sqrt(0.8 / n));
}

static void expect_constant(const struct start *start, const char *name, float value)
{
    const struct net_tensor *tensor = tensor_named(start->spec, name);
    for (size_t i = 0; i < tensor->count; i++)
        assert_true(start->x[tensor->offset + i] == value);
}

static void convolutions_are_kaiming_normal_by_fan_out(void **state)
{
    (void)state;
    struct start start = start_of("resnet20", 0, SEED);
    expect_normal(&start, "conv1.weight", 2.0 / (16 * 9));
    expect_normal(&start, "layer2.0.conv1.weight", 2.0 / (32 * 9)); /* 16 → 32 channels: fan in differs */
    expect_normal(&start, "layer3.0.downsample.0.weight", 2.0 / 64);
    expect_constant(&start, "layer1.0.bn1.weight", 1);
    expect_constant(&start, "layer1.0.bn1.bias", 0);
    expect_uniform(&start, "fc.weight", 1 / sqrt(64));
    release(&start);
}

static void linear_layers_are_uniform_by_fan_in(void **state)
{
    (void)state;
    struct start start = start_of("mlp", 0, SEED);
    expect_uniform(&start, "fc1.weight", 1 / sqrt(3072));
    expect_uniform(&start, "fc1.bias", 1 / sqrt(3072));
    expect_uniform(&start, "fc3.weight", 1 / sqrt(256));
    release(&start);
}

/* VGG's own initial values, on a spec as vgg.c writes it but with the two tensors that matter. */
static void vgg_classifiers_are_narrow_normals(void **state)
{
    (void)state;
    struct model_params params = {.name = "vgg13", .channels = 3, .height = 32, .width = 32, .class_count = 10};
    struct net_spec *spec = NULL;
    assert_int_equal(model_build(&params, &spec), STATUS_OK);
    assert_int_equal(tensor_named(spec, "classifier.0.weight")->init, NET_INIT_NORMAL_001);
    assert_int_equal(tensor_named(spec, "classifier.6.bias")->init, NET_INIT_ZERO);
    assert_int_equal(tensor_named(spec, "features.0.bias")->init, NET_INIT_ZERO);
    assert_int_equal(tensor_named(spec, "features.0.weight")->init, NET_INIT_KAIMING_NORMAL_FAN_OUT);
    model_destroy(spec);

    struct net_tensor tensors[] = {
        {.name = "weight", .rank = 2, .shape = {100, 200}, .count = 20000, .init = NET_INIT_NORMAL_001},
        {.name = "bias", .rank = 1, .shape = {100}, .count = 100, .offset = 20000, .init = NET_INIT_ZERO},
    };
    struct net_spec pair = {.parameter_count = 2, .parameters = tensors, .parameter_size = 20100};
    struct start start = {.spec = &pair, .x = memory_alloc_aligned(pair.parameter_size * sizeof(float))};
    memset(start.x, 0xff, pair.parameter_size * sizeof(float));
    store_init_parameters(&pair, SEED, start.x);
    expect_normal(&start, "weight", 1e-4);
    expect_constant(&start, "bias", 0);
    memory_free_aligned(start.x);
}

static void the_seed_decides(void **state)
{
    (void)state;
    struct start a = start_of("convnet", 0, SEED), b = start_of("convnet", 0, SEED);
    struct start c = start_of("convnet", 0, SEED + 1);
    size_t bytes = a.spec->parameter_size * sizeof(float);
    assert_memory_equal(a.x, b.x, bytes);
    const struct net_tensor *tensor = tensor_named(a.spec, "conv2.weight");
    size_t equal = 0;
    for (size_t i = 0; i < tensor->count; i++)
        equal += a.x[tensor->offset + i] == c.x[tensor->offset + i];
    assert_true(equal < tensor->count / 100);
    release(&a);
    release(&b);
    release(&c);
}

/* Parameters of the same shape start differently, and what one starts with does not hang on the size of the others. */
static void each_parameter_has_its_own_stream(void **state)
{
    (void)state;
    struct start start = start_of("resnet20", 0, SEED);
    const struct net_tensor *a = tensor_named(start.spec, "layer1.0.conv1.weight");
    const struct net_tensor *b = tensor_named(start.spec, "layer1.0.conv2.weight");
    assert_int_equal(a->count, b->count);
    double product = 0, norm_a = 0, norm_b = 0;
    for (size_t i = 0; i < a->count; i++) {
        double u = start.x[a->offset + i], v = start.x[b->offset + i];
        product += u * v;
        norm_a += u * u;
        norm_b += v * v;
    }
    assert_true(fabs(product) / sqrt(norm_a * norm_b) < 5 / sqrt((double)a->count));
    release(&start);

    struct start narrow = start_of("mlp", 64, SEED), wide = start_of("mlp", 128, SEED);
    const float *bias_narrow = narrow.x + tensor_named(narrow.spec, "fc1.bias")->offset;
    const float *bias_wide = wide.x + tensor_named(wide.spec, "fc1.bias")->offset;
    assert_memory_equal(bias_narrow, bias_wide, 64 * sizeof(float));
    release(&narrow);
    release(&wide);
}

static void buffers_start_at_zero_and_one(void **state)
{
    (void)state;
    struct model_params params = {.name = "resnet20", .channels = 3, .height = 32, .width = 32, .class_count = 10};
    struct net_spec *spec = NULL;
    assert_int_equal(model_build(&params, &spec), STATUS_OK);
    float *buffers = memory_alloc_aligned(spec->buffer_size * sizeof(float));
    memset(buffers, 0xff, spec->buffer_size * sizeof(float));
    store_init_buffers(spec, buffers);
    for (int i = 0; i < spec->buffer_count; i++) {
        float value = strstr(spec->buffers[i].name, "running_var") != NULL ? 1 : 0;
        for (size_t k = 0; k < spec->buffers[i].count; k++)
            assert_true(buffers[spec->buffers[i].offset + k] == value);
    }
    memory_free_aligned(buffers);
    model_destroy(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_are_kaiming_normal_by_fan_out),
        cmocka_unit_test(linear_layers_are_uniform_by_fan_in),
        cmocka_unit_test(vgg_classifiers_are_narrow_normals),
        cmocka_unit_test(the_seed_decides),
        cmocka_unit_test(each_parameter_has_its_own_stream),
        cmocka_unit_test(buffers_start_at_zero_and_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
