/* The models' descriptions: counts, names and shapes are torchvision's, the layout has no gaps, and what a model cannot
 * take is refused with what it can. What the networks compute is tests/parity's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "nn/model.h"

static struct net_spec *built(const char *name, int channels, int size, int class_count)
{
    struct model_params params = {
        .name = name,
        .channels = channels,
        .height = size,
        .width = size,
        .class_count = class_count,
    };
    struct net_spec *spec = NULL;
    assert_int_equal(model_build(&params, &spec), STATUS_OK);
    assert_non_null(spec);
    return spec;
}

/* Counted in torchvision 0.14 (conv1, maxpool and fc replaced for 32×32), resnet20, convnet and mlp in PyTorch
 * modules of the same structure (tests/parity/torch_parity.py). */
static void counts_are_torchvisions(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int channels, size, classes;
        size_t parameters, decayed, buffers;
        int tensors;
    } expected[] = {
        {"mlp", 3, 32, 10, 855050, 854528, 0, 6},
        {"mlp", 1, 28, 10, 269322, 268800, 0, 6},
        {"convnet", 3, 32, 10, 24346, 24112, 224, 11},
        {"resnet20", 3, 32, 10, 272474, 270896, 1568, 65},
        {"resnet18", 3, 32, 10, 11173962, 11164352, 9600, 62},
        {"resnet18", 3, 224, 1000, 11689512, 11678912, 9600, 62},
        {"resnet34", 3, 32, 10, 21282122, 21265088, 17024, 110},
        {"resnet34", 3, 224, 1000, 21797672, 21779648, 17024, 110},
        {"resnet50", 3, 32, 10, 23520842, 23467712, 53120, 161},
        {"resnet50", 3, 224, 1000, 25557032, 25502912, 53120, 161},
        {"vgg13", 3, 32, 10, 128997706, 128980672, 5888, 46},
        {"vgg13", 3, 224, 1000, 133053736, 133035712, 5888, 46},
        {"vgg19", 3, 32, 10, 139622218, 139597504, 11008, 70},
        {"vgg19", 3, 224, 1000, 143678248, 143652544, 11008, 70},
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct net_spec *spec = built(expected[i].name, expected[i].channels, expected[i].size, expected[i].classes);
        assert_string_equal(spec->name, expected[i].name);
        assert_int_equal(spec->parameter_size, expected[i].parameters);
        assert_int_equal(spec->decayed_size, expected[i].decayed);
        assert_int_equal(spec->buffer_size, expected[i].buffers);
        assert_int_equal(spec->parameter_count, expected[i].tensors);
        model_destroy(spec);
    }
}

static void expect_names(const struct net_tensor *tensors, const char *const *names)
{
    for (int i = 0; names[i] != NULL; i++)
        assert_string_equal(tensors[i].name, names[i]);
}

static void names_are_in_torchvisions_order(void **state)
{
    (void)state;
    struct net_spec *spec = built("resnet18", 3, 32, 10);
    expect_names(spec->parameters,
                 (const char *const[]){"conv1.weight", "bn1.weight", "bn1.bias", "layer1.0.conv1.weight",
                                       "layer1.0.bn1.weight", "layer1.0.bn1.bias", "layer1.0.conv2.weight",
                                       "layer1.0.bn2.weight", "layer1.0.bn2.bias", "layer1.1.conv1.weight", NULL});
    expect_names(spec->parameters + 15,
                 (const char *const[]){"layer2.0.conv1.weight", "layer2.0.bn1.weight", "layer2.0.bn1.bias",
                                       "layer2.0.conv2.weight", "layer2.0.bn2.weight", "layer2.0.bn2.bias",
                                       "layer2.0.downsample.0.weight", "layer2.0.downsample.1.weight",
                                       "layer2.0.downsample.1.bias", "layer2.1.conv1.weight", NULL});
    expect_names(spec->parameters + 60, (const char *const[]){"fc.weight", "fc.bias", NULL});
    expect_names(spec->buffers + 10,
                 (const char *const[]){"layer2.0.bn1.running_mean", "layer2.0.bn1.running_var",
                                       "layer2.0.bn2.running_mean", "layer2.0.bn2.running_var",
                                       "layer2.0.downsample.1.running_mean", "layer2.0.downsample.1.running_var",
                                       "layer2.1.bn1.running_mean", NULL});
    model_destroy(spec);

    spec = built("resnet50", 3, 32, 10);
    expect_names(spec->parameters + 9,
                 (const char *const[]){"layer1.0.conv3.weight", "layer1.0.bn3.weight", "layer1.0.bn3.bias",
                                       "layer1.0.downsample.0.weight", "layer1.0.downsample.1.weight",
                                       "layer1.0.downsample.1.bias", "layer1.1.conv1.weight", NULL});
    model_destroy(spec);

    spec = built("vgg13", 3, 32, 10);
    expect_names(spec->parameters,
                 (const char *const[]){"features.0.weight", "features.0.bias", "features.1.weight", "features.1.bias",
                                       "features.3.weight", "features.3.bias", "features.4.weight", "features.4.bias",
                                       "features.7.weight", NULL});
    expect_names(spec->parameters + 38,
                 (const char *const[]){"features.32.weight", "features.32.bias", "classifier.0.weight",
                                       "classifier.0.bias", "classifier.3.weight", "classifier.3.bias",
                                       "classifier.6.weight", "classifier.6.bias", NULL});
    model_destroy(spec);

    spec = built("convnet", 3, 32, 10);
    expect_names(spec->parameters, (const char *const[]){"conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight",
                                                         "bn2.weight", "bn2.bias", "conv3.weight", "bn3.weight",
                                                         "bn3.bias", "fc.weight", "fc.bias", NULL});
    model_destroy(spec);
}

/* Offsets tile the vector: every element belongs to one tensor, decayed ones first, each group in order. */
static void expect_tiling(const struct net_tensor *tensors, int count, size_t decayed_size, size_t size)
{
    size_t next[2] = {decayed_size, 0};
    for (int i = 0; i < count; i++) {
        size_t product = 1;
        for (int k = 0; k < tensors[i].rank; k++)
            product *= tensors[i].shape[k];
        assert_int_equal(tensors[i].count, product);
        assert_int_equal(tensors[i].offset, next[tensors[i].decayed]);
        next[tensors[i].decayed] += product;
    }
    assert_int_equal(next[true], decayed_size);
    assert_int_equal(next[false], size);
}

static void layout_has_no_gaps_and_decays_first(void **state)
{
    (void)state;
    for (const char *const *name = model_names(); *name != NULL; name++) {
        struct net_spec *spec = built(*name, 3, 32, 10);
        expect_tiling(spec->parameters, spec->parameter_count, spec->decayed_size, spec->parameter_size);
        expect_tiling(spec->buffers, spec->buffer_count, 0, spec->buffer_size);
        for (int i = 0; i < spec->parameter_count; i++)
            assert_int_equal(spec->parameters[i].decayed,
                             spec->parameters[i].rank > 1 || strcmp(*name, "quadratic") == 0);
        model_destroy(spec);
    }
}

/* Each node reads earlier values only, and each tensor belongs to exactly one node. */
static void nodes_use_every_tensor_once(void **state)
{
    (void)state;
    for (const char *const *name = model_names(); *name != NULL; name++) {
        struct net_spec *spec = built(*name, 3, 32, 10);
        int *uses = memory_zalloc((size_t)spec->parameter_count + (size_t)spec->buffer_count, sizeof uses[0]);
        for (int k = 0; k < spec->node_count; k++) {
            const struct net_node *node = &spec->nodes[k];
            assert_in_range(node->input, 0, k);
            if (node->residual != NET_NONE)
                assert_in_range(node->residual, 0, k);
            if (node->weight != NET_NONE)
                uses[node->weight]++;
            if (node->bias != NET_NONE)
                uses[node->bias]++;
            if (node->op == NET_NORM) {
                uses[spec->parameter_count + node->mean]++;
                uses[spec->parameter_count + node->variance]++;
                assert_true(node->epsilon == 1e-5 && node->momentum == 0.1);
            }
        }
        for (int i = 0; i < spec->parameter_count + spec->buffer_count; i++)
            assert_int_equal(uses[i], 1);
        free(uses);
        model_destroy(spec);
    }
}

static void expect_shape(const struct net_node *node, enum net_op op, int channels, int height, int width)
{
    assert_int_equal(node->op, op);
    assert_int_equal(node->channels, channels);
    assert_int_equal(node->height, height);
    assert_int_equal(node->width, width);
}

static void shapes_of_values(void **state)
{
    (void)state;
    struct model_params params = {.name = "resnet18", .channels = 3, .height = 96, .width = 80, .class_count = 7};
    struct net_spec *spec = NULL;
    assert_int_equal(model_build(&params, &spec), STATUS_OK);
    expect_shape(&spec->nodes[0], NET_CONV, 64, 48, 40);
    expect_shape(&spec->nodes[1], NET_NORM, 64, 48, 40);
    expect_shape(&spec->nodes[2], NET_MAX_POOL, 64, 24, 20);
    expect_shape(&spec->nodes[spec->node_count - 3], NET_NORM, 512, 3, 3);
    expect_shape(&spec->nodes[spec->node_count - 2], NET_ADAPTIVE_AVG_POOL, 512, 1, 1);
    expect_shape(&spec->nodes[spec->node_count - 1], NET_LINEAR, 7, 1, 1);
    model_destroy(spec);

    spec = built("resnet50", 3, 32, 10); /* no max pool; layer2.0: 1×1 at full size, then the stride */
    const struct net_node *second = &spec->nodes[2 + 8 + 6 + 6];
    expect_shape(&spec->nodes[2], NET_CONV, 64, 32, 32);
    expect_shape(&second[0], NET_CONV, 128, 32, 32);
    expect_shape(&second[2], NET_CONV, 128, 16, 16);
    expect_shape(&second[4], NET_CONV, 512, 16, 16);
    expect_shape(&second[5], NET_CONV, 512, 16, 16);
    assert_int_equal(second[5].kernel, 1);
    assert_int_equal(second[5].stride, 2);
    assert_false(second[6].relu); /* the shortcut's norm */
    assert_true(second[7].relu);
    assert_int_equal(second[7].residual, 2 + 8 + 6 + 6 + 7);
    model_destroy(spec);

    spec = built("vgg13", 3, 32, 10);
    int pool = 2 * 10 + 5;
    expect_shape(&spec->nodes[pool - 1], NET_MAX_POOL, 512, 1, 1);
    expect_shape(&spec->nodes[pool], NET_ADAPTIVE_AVG_POOL, 512, 7, 7);
    expect_shape(&spec->nodes[pool + 1], NET_LINEAR, 4096, 1, 1);
    assert_int_equal(spec->node_count, pool + 4);
    model_destroy(spec);

    spec = built("convnet", 1, 28, 10); /* 28 → 14 → 7 → 3 */
    expect_shape(&spec->nodes[8], NET_MAX_POOL, 64, 3, 3);
    model_destroy(spec);
}

static int count_ops(const struct net_spec *spec, enum net_op op)
{
    int count = 0;
    for (int k = 0; k < spec->node_count; k++)
        count += spec->nodes[k].op == op;
    return count;
}

static void dropout_and_width_are_options(void **state)
{
    (void)state;
    struct model_params params = {
        .name = "vgg19",
        .channels = 3,
        .height = 32,
        .width = 32,
        .class_count = 10,
        .dropout = 0.5,
    };
    struct net_spec *spec = NULL;
    assert_int_equal(model_build(&params, &spec), STATUS_OK);
    assert_int_equal(count_ops(spec, NET_DROPOUT), 2);
    assert_string_equal(spec->parameters[spec->parameter_count - 1].name, "classifier.6.bias");
    assert_true(spec->nodes[spec->node_count - 2].op == NET_DROPOUT && spec->nodes[spec->node_count - 2].rate == 0.5);
    model_destroy(spec);

    spec = built("vgg19", 3, 32, 10);
    assert_int_equal(count_ops(spec, NET_DROPOUT), 0);
    model_destroy(spec);

    params = (struct model_params){
        .name = "mlp",
        .channels = 1,
        .height = 2,
        .width = 3,
        .class_count = 4,
        .width_hidden = 5,
    };
    assert_int_equal(model_build(&params, &spec), STATUS_OK);
    assert_int_equal(spec->parameter_size, 6 * 5 + 5 + 5 * 5 + 5 + 5 * 4 + 4);
    model_destroy(spec);
}

/* Build with what must be refused; the message, as it went to standard error. */
static void expect_refusal(struct model_params params, const char *const *phrases)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    struct net_spec *spec = NULL;
    enum status status = model_build(&params, &spec);
    dup2(saved, STDERR_FILENO);
    close(saved);
    char message[2048] = {0};
    rewind(file);
    size_t length = fread(message, 1, sizeof message - 1, file);
    fclose(file);
    assert_int_equal(status, STATUS_USAGE);
    assert_null(spec);
    for (; *phrases != NULL; phrases++)
        if (strstr(message, *phrases) == NULL)
            fail_msg("\"%s\" is not in: %s", *phrases, message);
    assert_ptr_equal(strchr(message, '\n'), message + length - 1); /* one line */
}

/* One node each, and a fixed point to start from. */
static void convex_models(void **state)
{
    (void)state;
    struct net_spec *spec = built("linear", 1, 28, 10);
    expect_shape(&spec->nodes[0], NET_LINEAR, 10, 1, 1);
    assert_int_equal(spec->loss, NET_LOSS_SQUARED);
    assert_int_equal(spec->decayed_size, 7840);
    assert_int_equal(spec->parameter_size, 7850);
    expect_names(spec->parameters, (const char *const[]){"fc.weight", "fc.bias", NULL});
    model_destroy(spec);

    spec = built("logistic", 1, 28, 10);
    expect_shape(&spec->nodes[0], NET_LINEAR, 10, 1, 1);
    assert_int_equal(spec->loss, NET_LOSS_CROSS_ENTROPY);
    assert_true(spec->parameters[0].init == NET_INIT_ZERO && spec->parameters[1].init == NET_INIT_ZERO);
    model_destroy(spec);

    struct model_params params = {
        .name = "quadratic", .channels = 1, .height = 1, .width = 32, .class_count = 10, .condition = 1000};
    assert_int_equal(model_build(&params, &spec), STATUS_OK);
    expect_shape(&spec->nodes[0], NET_QUADRATIC, 32, 1, 1);
    assert_true(spec->nodes[0].condition == 1000 && spec->parameters[0].init == NET_INIT_ONE);
    assert_int_equal(spec->loss, NET_LOSS_SQUARED_NORM);
    assert_int_equal(spec->class_count, 32);
    expect_names(spec->parameters, (const char *const[]){"quadratic.weight", NULL});
    model_destroy(spec);
    params.condition = 0;
    assert_int_equal(model_build(&params, &spec), STATUS_OK);
    assert_true(spec->nodes[0].condition == 10);
    model_destroy(spec);
}

/* At `size` the model has the vectors that it has at 224. */
static bool fits_any_size(const char *name, int size)
{
    struct net_spec *usual = built(name, 3, 224, 10), *other = built(name, 3, size, 10);
    bool same = model_same_parameters(usual, other);
    assert_true(model_same_parameters(usual, usual) && same == model_same_parameters(other, usual));
    model_destroy(usual);
    model_destroy(other);
    return same;
}

static void models_that_end_in_an_average_take_any_size(void **state)
{
    (void)state;
    assert_true(fits_any_size("resnet50", 160) && fits_any_size("resnet18", 65));
    assert_false(fits_any_size("resnet18", 64)); /* with the stem of small pictures */
    assert_true(fits_any_size("vgg13", 128) && fits_any_size("convnet", 32) && fits_any_size("resnet20", 32));
    assert_false(fits_any_size("mlp", 160));
    struct net_spec *spec = built("resnet18", 3, 224, 10), *other = built("resnet18", 3, 224, 11);
    struct net_spec *deeper = built("resnet34", 3, 224, 10);
    assert_false(model_same_parameters(spec, other));
    assert_false(model_same_parameters(spec, deeper));
    model_destroy(spec);
    model_destroy(other);
    model_destroy(deeper);
}

static void labels_are_smoothed(void **state)
{
    (void)state;
    struct model_params params = {.name = "resnet18", .channels = 3, .height = 32, .width = 32, .class_count = 10};
    struct net_spec *spec;
    for (int smoothed = 0; smoothed < 2; smoothed++) {
        params.label_smoothing = smoothed * 0.125;
        assert_int_equal(model_build(&params, &spec), STATUS_OK);
        assert_true(spec->label_smoothing == smoothed * 0.125);
        model_destroy(spec);
    }
}

static void what_a_model_cannot_take_is_refused(void **state)
{
    (void)state;
    struct model_params good = {.name = "vgg13", .channels = 3, .height = 32, .width = 32, .class_count = 10}, params;
    params = good;
    params.name = "resnet81";
    expect_refusal(params, (const char *const[]){"resnet81", "did you mean \"resnet18\"", "mlp | convnet", NULL});
    params.name = "transformer";
    expect_refusal(params, (const char *const[]){"transformer", "mlp | convnet | resnet20", NULL});
    params = good;
    params.height = 28;
    expect_refusal(params, (const char *const[]){"vgg13", "at least 32 × 32", "28 × 32", "resnet50 | quadratic",
                                                 "linear\n", NULL});
    params = good;
    params.name = "convnet";
    params.width = 7;
    expect_refusal(params, (const char *const[]){"convnet", "at least 8 × 8", "mlp | resnet20", NULL});
    params = good;
    params.name = "resnet18";
    params.dropout = 0.5;
    expect_refusal(params, (const char *const[]){"model.dropout", "resnet18", "mlp | vgg13 | vgg19", NULL});
    params = good;
    params.dropout = 1;
    expect_refusal(params, (const char *const[]){"model.dropout", "[0, 1)", NULL});
    params = good;
    params.width_hidden = 32;
    expect_refusal(params, (const char *const[]){"model.width", "vgg13", "mlp | convnet", NULL});
    params.name = "mlp";
    params.condition = 0.5;
    params.width_hidden = 0;
    expect_refusal(params, (const char *const[]){"model.condition", "0.5", "1 or more", NULL});
    params.condition = 0;
    params.label_smoothing = 1;
    expect_refusal(params, (const char *const[]){"train.label_smoothing", "[0, 1)", NULL});
    params.label_smoothing = 0.125;
    params.name = "linear";
    expect_refusal(params, (const char *const[]){"train.label_smoothing", "linear", "squared error", "0.125", NULL});
    params.name = "quadratic";
    expect_refusal(params, (const char *const[]){"train.label_smoothing", "quadratic", "leave it at 0", NULL});
    params.label_smoothing = 0;
    params.name = "mlp";
    params.width_hidden = -1;
    expect_refusal(params, (const char *const[]){"model.width", "-1", NULL});
}

static void names_are_listed(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "mlp",   "convnet", "resnet20",  "resnet18", "resnet34", "resnet50",
        "vgg13", "vgg19",   "quadratic", "logistic", "linear",
    };
    const char *const *names = model_names();
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_string_equal(names[i], expected[i]);
    assert_null(names[sizeof expected / sizeof expected[0]]);
    model_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_torchvisions),
        cmocka_unit_test(names_are_in_torchvisions_order),
        cmocka_unit_test(layout_has_no_gaps_and_decays_first),
        cmocka_unit_test(nodes_use_every_tensor_once),
        cmocka_unit_test(shapes_of_values),
        cmocka_unit_test(dropout_and_width_are_options),
        cmocka_unit_test(convex_models),
        cmocka_unit_test(models_that_end_in_an_average_take_any_size),
        cmocka_unit_test(labels_are_smoothed),
        cmocka_unit_test(what_a_model_cannot_take_is_refused),
        cmocka_unit_test(names_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
