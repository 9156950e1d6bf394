/* No convolution or linear layer of a model is left to the reference loops of oneDNN, hundreds of times slower than its
 * other code: every model, convnet and mlp at widths of 1 to 33, at each level of instructions that the library knows
 * (each in a process of its own, because the level is chosen once). The batches are small: implementations are chosen
 * by channels, kernels and images. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "device/cpu/cpu_product.h"
#include "nn/model.h"

enum { BATCH = 2, WIDTH_MOST = 33, SIZE_LEAST = 8, SIZE_LARGE = 32 };

static int report(const struct net *net, const struct net_node *node, const char *pass, const struct cpu_primitive *p)
{
    if (!cpu_primitive_is_reference(p))
        return 0;
    const struct net_node *input = node->input > 0 ? &net->spec.nodes[node->input - 1] : NULL;
    fprintf(stderr, "%s: reference loops for %s: %d to %d channels, kernel %d, stride %d, to %d × %d pixels\n",
            net->spec.name, pass, input == NULL ? net->spec.channels : input->channels, node->out_channels,
            node->kernel, node->stride, node->height, node->width);
    return 1;
}

static int count_references(const struct net *net)
{
    int count = 0;
    for (int k = 0; k < net->spec.node_count; k++) {
        const struct net_node *node = &net->spec.nodes[k];
        if (node->op != NET_CONV && node->op != NET_LINEAR)
            continue;
        const struct cpu_product *product = net->ops[k].state;
        count += report(net, node, "the output", &product->forward) +
                 report(net, node, "the input's gradient", &product->backward_data) +
                 report(net, node, "the weights' gradient", &product->backward_weights);
    }
    return count;
}

static int check_model(const char *name, int channels, int size, int width)
{
    const struct device_params device_params = {.name = "cpu", .threads = 1, .precision = "fp32"};
    const struct model_params params = {
        .name = name, .channels = channels, .height = size, .width = size, .class_count = 10, .width_hidden = width};
    const struct device_ops *ops = device_choose("cpu");
    struct device *device;
    struct net_spec *spec;
    struct net *net;
    if (ops->create(&device_params, &device) != STATUS_OK || model_build(&params, &spec) != STATUS_OK)
        return 1;
    float *gradient = memory_zalloc(spec->parameter_size, sizeof *gradient);
    float *buffers = memory_zalloc(spec->buffer_size + 1, sizeof *buffers);
    int count = ops->net_create(device, spec, BATCH, gradient, buffers, &net) == STATUS_OK ? count_references(net) : 1;
    if (count > 0)
        fprintf(stderr, "that was %s of width %d, %d × %d × %d images\n", name, width, channels, size, size);
    ops->net_destroy(net);
    free(gradient);
    free(buffers);
    model_destroy(spec);
    ops->destroy(device);
    return count;
}

static int check_widths(void)
{
    int count = 0;
    for (int width = 1; width <= WIDTH_MOST; width++)
        for (int channels = 1; channels <= 3; channels += 2) {
            count += check_model("convnet", channels, SIZE_LEAST, width) +
                     check_model("convnet", channels, SIZE_LARGE, width);
            if (channels == 1)
                count += check_model("mlp", channels, SIZE_LEAST, width);
        }
    return count;
}

static int check_models(void)
{
    static const char *const fixed[] = {"resnet20", "resnet18", "resnet34", "resnet50", "vgg13", "vgg19"};
    int count = 0;
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        for (int channels = 1; channels <= 3; channels += 2)
            count += check_model(fixed[i], channels, SIZE_LARGE, 0);
    return count;
}

#if DNNL_VERSION_MAJOR >= 3
#define ALL_INSTRUCTIONS dnnl_cpu_isa_default
#else
#define ALL_INSTRUCTIONS dnnl_cpu_isa_all
#endif

static void check_level(dnnl_cpu_isa_t level)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(dnnl_set_max_cpu_isa(level) == dnnl_success && check_widths() + check_models() == 0 ? 0 : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void with_all_instructions(void **state)
{
    (void)state;
    check_level(ALL_INSTRUCTIONS);
}

static void with_avx2(void **state)
{
    (void)state;
    check_level(dnnl_cpu_isa_avx2);
}

static void with_avx(void **state)
{
    (void)state;
    check_level(dnnl_cpu_isa_avx);
}

static void with_sse41(void **state)
{
    (void)state;
    check_level(dnnl_cpu_isa_sse41);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_all_instructions),
        cmocka_unit_test(with_avx2),
        cmocka_unit_test(with_avx),
        cmocka_unit_test(with_sse41),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
