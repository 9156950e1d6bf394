/* One training step of a network, beside its ceiling (all its convolutions alone, in the layouts that oneDNN likes
 * best) and beside PyTorch, measured in alternation in one run.
 *
 *     step_bench [--model NAME] [--batch N] [--threads N] [--rounds N] [--torch COMMAND]
 *
 * COMMAND runs step_torch.py, for instance "python3 tests/bench/step_torch.py" (ResNet-18 only); without it the
 * PyTorch rows are left out. The step is forward, backward, update and cast; "A2CiD2" updates x and x̃, "SGD" x
 * alone. Correct: the gradient agrees with one thread's, and the loss falls. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/stopwatch.h"
#include "base/text.h"
#include "device/cpu/cpu_net.h"
#include "nn/model.h"
#include "nn/store.h"

enum { OPERATIONS = NET_QUADRATIC + 1, MOST_ROUNDS = 64, ACID_PAIRS = 40 };

static const char *const operation_names[OPERATIONS] = {"convolution",  "batch norm", "relu",    "max pool",
                                                        "average pool", "linear",     "dropout", "quadratic"};

struct options {
    const char *model, *torch; /* torch: NULL for none */
    size_t batch;
    int threads, rounds;
};

struct bench {
    struct options options;
    const struct device_ops *ops;
    struct device *device;
    struct net_spec *spec;
    struct net *net;
    float *x, *x_tilde, *m, *g, *buffers;
    struct net_batch batch;
    struct net_result result;
};

/* --- the ceiling: every convolution of the network, each gradient pass included, and nothing else --- */

enum { PASSES = 3 };

struct alone {
    dnnl_primitive_t primitives[PASSES];
    dnnl_exec_arg_t args[PASSES][3];
    double best[PASSES]; /* seconds */
};

static enum status alone_describe(struct bench *b, const struct net_node *node, dnnl_alg_kind_t algorithm,
                                  dnnl_primitive_desc_t out[PASSES])
{
    const struct cpu_value *in = &b->net->values[node->input], *to = &b->net->values[node - b->net->spec.nodes + 1];
    struct onednn_layout source = {0}, weights = {0}, destination = {0};
    dnnl_dims_t dims = {(dnnl_dim_t)to->shape.channels, (dnnl_dim_t)in->shape.channels, node->kernel, node->kernel};
    const struct onednn_window window = {
        .algorithm = algorithm, .strides = {node->stride, node->stride}, .pads = {node->pad, node->pad}};
    const struct onednn_operands operands = {.source = &source, .weights = &weights, .destination = &destination};
    TRY(cpu_layout_any(&in->shape, &source));
    TRY(cpu_layout_any(&to->shape, &destination));
    TRY_DNNL("bench", onednn_layout_tag(&weights, 4, dims, dnnl_format_tag_any));
    TRY_DNNL("bench", onednn_describe_conv_forward(&out[0], b->device->engine, &window, &operands, NULL));
    TRY_DNNL("bench",
             onednn_describe_conv_backward_weights(&out[1], b->device->engine, &window, &operands, NULL, out[0]));
    if (node->input > 0)
        TRY_DNNL("bench",
                 onednn_describe_conv_backward_data(&out[2], b->device->engine, &window, &operands, NULL, out[0]));
    onednn_layout_release(&source);
    onednn_layout_release(&weights);
    onednn_layout_release(&destination);
    return STATUS_OK;
}

static enum status alone_bind(struct bench *b, struct alone *alone, int pass, dnnl_primitive_desc_t description)
{
    static const int args[PASSES][3] = {{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                                        {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
                                        {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST}};
    alone->best[pass] = INFINITY;
    if (description == NULL)
        return STATUS_OK;
    TRY_DNNL("bench", dnnl_primitive_create(&alone->primitives[pass], description));
    for (int i = 0; i < 3; i++) {
        alone->args[pass][i].arg = args[pass][i];
        TRY_DNNL("bench",
                 dnnl_memory_create(&alone->args[pass][i].memory,
                                    dnnl_primitive_desc_query_md(description, dnnl_query_exec_arg_md, args[pass][i]),
                                    b->device->engine, DNNL_MEMORY_ALLOCATE));
    }
    return STATUS_OK;
}

static enum status alone_run(struct bench *b, struct alone *alone, int pass)
{
    if (alone->primitives[pass] == NULL)
        return STATUS_OK;
    double start = stopwatch_now();
    TRY_DNNL("bench", dnnl_primitive_execute(alone->primitives[pass], b->device->stream, 3, alone->args[pass]));
    double seconds = stopwatch_now() - start;
    alone->best[pass] = seconds < alone->best[pass] ? seconds : alone->best[pass];
    return STATUS_OK;
}

static void alone_release(struct alone *alone)
{
    for (int pass = 0; pass < PASSES; pass++) {
        for (int i = 0; i < 3 && alone->primitives[pass] != NULL; i++)
            dnnl_memory_destroy(alone->args[pass][i].memory);
        if (alone->primitives[pass] != NULL)
            dnnl_primitive_destroy(alone->primitives[pass]);
    }
}

/* Best seconds of all convolutions, each pass by the faster of the library's two algorithms. Memory of one at a
 * time. */
static enum status time_alone(struct bench *b, double *out)
{
    static const dnnl_alg_kind_t algorithms[] = {dnnl_convolution_auto, dnnl_convolution_direct};
    double total = 0.0;
    for (int k = 0; k < b->spec->node_count; k++) {
        double best[PASSES] = {INFINITY, INFINITY, INFINITY};
        const struct net_node *node = &b->net->spec.nodes[k];
        for (int a = 0; node->op == NET_CONV && a < 2; a++) {
            struct alone alone = {0};
            dnnl_primitive_desc_t descriptions[PASSES] = {0};
            TRY(alone_describe(b, node, algorithms[a], descriptions));
            for (int pass = 0; pass < PASSES; pass++) {
                TRY(alone_bind(b, &alone, pass, descriptions[pass]));
                for (int repeat = 0; repeat < 4; repeat++)
                    TRY(alone_run(b, &alone, pass));
                best[pass] = alone.best[pass] < best[pass] ? alone.best[pass] : best[pass];
                if (descriptions[pass] != NULL)
                    dnnl_primitive_desc_destroy(descriptions[pass]);
            }
            alone_release(&alone);
        }
        for (int pass = 0; node->op == NET_CONV && pass < PASSES; pass++)
            total += isfinite(best[pass]) ? best[pass] : 0.0;
    }
    *out = total;
    return STATUS_OK;
}

/* --- the step --- */

static enum status bench_init(struct bench *b)
{
    struct device_params params = {.name = "cpu", .threads = b->options.threads, .precision = "fp32"};
    struct model_params model = {.name = b->options.model, .channels = 3, .height = 32, .width = 32, .class_count = 10};
    size_t batch = b->options.batch;
    b->ops = device_choose("cpu");
    TRY(b->ops->create(&params, &b->device));
    TRY(model_build(&model, &b->spec));
    float **vectors[3] = {&b->x, &b->m, &b->g};
    for (int i = 0; i < 3; i++)
        TRY(b->ops->vector_alloc(b->device, b->spec->parameter_size, vectors[i]));
    TRY(b->ops->vector_alloc(b->device, b->spec->buffer_size, &b->buffers));
    float *images = memory_zalloc(batch * 3 * 32 * 32, sizeof *images);
    int32_t *labels = memory_zalloc(batch, sizeof *labels);
    struct random_stream stream = random_stream(1, RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < batch * 3 * 32 * 32; i++)
        images[i] = (float)random_normal(&stream);
    for (size_t i = 0; i < batch; i++)
        labels[i] = (int32_t)random_below(&stream, 10);
    b->batch = (struct net_batch){.images = images, .labels = labels, .count = batch};
    store_init_parameters(b->spec, 1, b->x);
    store_init_buffers(b->spec, b->buffers);
    TRY(b->ops->net_create(b->device, b->spec, batch, b->g, b->buffers, &b->net));
    b->ops->net_cast(b->net, b->x);
    return STATUS_OK;
}

static enum status step(struct bench *b, float *x_tilde, double *seconds)
{
    const struct update_coefficients update = {
        .mix = x_tilde != NULL ? 0.05 : 0.0, .learning_rate = 0.01, .momentum = 0.9, .weight_decay = 5e-4};
    double start = stopwatch_now();
    TRY(b->ops->net_forward(b->net, NET_TRAIN, &b->batch, 0, &b->result));
    TRY(b->ops->net_backward(b->net, NULL, NULL));
    b->ops->update(b->device, true, &update, b->spec->parameter_size, b->spec->decayed_size, b->x, x_tilde, b->m, b->g,
                   NULL);
    b->ops->net_cast(b->net, b->x);
    *seconds = stopwatch_now() - start;
    return STATUS_OK;
}

/* Seconds of each kind of operation in one step, forward and backward. */
static enum status time_operations(struct bench *b, double seconds[2][OPERATIONS])
{
    memset(seconds, 0, 2 * sizeof seconds[0]);
    TRY(b->ops->net_forward(b->net, NET_TRAIN, &b->batch, 0, &b->result));
    for (int k = 0; k < b->spec->node_count; k++) {
        double start = stopwatch_now();
        TRY(b->net->ops[k].class->forward(b->net, &b->net->ops[k], NET_TRAIN));
        seconds[0][b->spec->nodes[k].op] += stopwatch_now() - start;
    }
    cpu_loss(b->net, NET_TRAIN, &b->batch, &b->result);
    for (int k = b->spec->node_count - 1; k >= 0; k--) {
        double start = stopwatch_now();
        TRY(cpu_net_backward_node(b->net, k));
        seconds[1][b->spec->nodes[k].op] += stopwatch_now() - start;
    }
    return STATUS_OK;
}

/* ‖g − g₁‖/‖g₁‖ with g₁ computed by one thread at the same x. */
static enum status gradient_error(struct bench *b, double *out)
{
    struct device_params params = {.name = "cpu", .threads = 1, .precision = "fp32"};
    struct device *device;
    struct net *net;
    float *g;
    double difference = 0.0, norm = 0.0;
    TRY(b->ops->net_forward(b->net, NET_TRAIN, &b->batch, 0, &b->result));
    TRY(b->ops->net_backward(b->net, NULL, NULL));
    TRY(b->ops->create(&params, &device));
    TRY(b->ops->vector_alloc(device, b->spec->parameter_size, &g));
    TRY(b->ops->net_create(device, b->spec, b->options.batch, g, b->buffers, &net));
    b->ops->net_cast(net, b->x);
    TRY(b->ops->net_forward(net, NET_TRAIN, &b->batch, 0, &b->result));
    TRY(b->ops->net_backward(net, NULL, NULL));
    for (size_t i = 0; i < b->spec->parameter_size; i++) {
        difference += pow((double)b->g[i] - g[i], 2);
        norm += (double)g[i] * g[i];
    }
    *out = sqrt(difference / norm);
    b->ops->net_destroy(net);
    b->ops->vector_free(device, g);
    b->ops->destroy(device);
    return STATUS_OK;
}

/* --- PyTorch, and the table --- */

/* Images per second and peak bytes of `format`; false where it could not be run. */
static bool run_torch(const struct options *options, const char *format, double *rate, double *peak)
{
    char *command = text_format("%s %s %zu %d 4", options->torch, format, options->batch, options->threads);
    FILE *pipe = popen(command, "r");
    double this_rate = 0.0, this_peak = 0.0;
    bool read = pipe != NULL && fscanf(pipe, "%lf %lf", &this_rate, &this_peak) == 2;
    if (pipe != NULL)
        pclose(pipe);
    free(command);
    if (read && this_rate > *rate)
        *rate = this_rate;
    if (read && (*peak == 0.0 || this_peak < *peak))
        *peak = this_peak;
    return read;
}

static int compare_doubles(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2.0;
}

struct figures {
    double sgd, acid, ceiling; /* seconds, the best of the rounds */
    double acid_over_sgd;      /* median of ACID_PAIRS ratios of neighbouring steps */
    double peak;               /* bytes */
    double torch_rate[2], torch_peak[2];
};

/* What x̃ costs is far below what a step's duration varies by: many steps of either kind in turn, in changing order. */
static enum status compare_acid(struct bench *b, struct figures *f)
{
    double ratio[ACID_PAIRS], seconds[2];
    for (int pair = 0; pair < ACID_PAIRS; pair++) {
        for (int turn = 0; turn < 2; turn++) {
            bool acid = (pair + turn) % 2 == 1;
            TRY(step(b, acid ? b->x_tilde : NULL, &seconds[acid]));
        }
        ratio[pair] = seconds[1] / seconds[0];
        f->sgd = fmin(f->sgd, seconds[0]);
        f->acid = fmin(f->acid, seconds[1]);
    }
    f->acid_over_sgd = median(ratio, ACID_PAIRS);
    return STATUS_OK;
}

static enum status measure(struct bench *b, struct figures *f)
{
    static const char *const formats[] = {"channels_last", "contiguous_format"};
    double seconds;
    struct rusage usage;
    TRY(step(b, NULL, &seconds));
    TRY(step(b, NULL, &seconds));
    getrusage(RUSAGE_SELF, &usage);
    f->peak = (double)usage.ru_maxrss * 1024.0;
    TRY(b->ops->vector_alloc(b->device, b->spec->parameter_size, &b->x_tilde));
    memcpy(b->x_tilde, b->x, b->spec->parameter_size * sizeof *b->x);
    f->ceiling = f->sgd = f->acid = INFINITY;
    for (int round = 0; round < b->options.rounds; round++) {
        for (int repeat = 0; repeat < 4; repeat++) {
            TRY(step(b, NULL, &seconds));
            f->sgd = fmin(f->sgd, seconds);
        }
        TRY(time_alone(b, &seconds));
        f->ceiling = fmin(f->ceiling, seconds);
        for (int i = 0; b->options.torch != NULL && i < 2; i++)
            run_torch(&b->options, formats[i], &f->torch_rate[i], &f->torch_peak[i]);
    }
    return compare_acid(b, f);
}

static void print_figures(const struct bench *b, const struct figures *f)
{
    double batch = (double)b->options.batch, rate = batch / f->sgd;
    double torch = fmax(f->torch_rate[0], f->torch_rate[1]);
    printf("%s, batch %zu, %d threads, fp32, best of %d rounds\n", b->options.model, b->options.batch,
           b->options.threads, b->options.rounds);
    printf("%-34s %10s %10s\n", "", "images/s", "peak MB");
    printf("%-34s %10.1f %10.0f\n", "step, SGD", rate, f->peak * 1e-6);
    printf("%-34s %10.1f\n", "step, A2CiD2", batch / f->acid);
    printf("%-34s %10.1f\n", "its convolutions alone", batch / f->ceiling);
    if (torch > 0.0) {
        printf("%-34s %10.1f %10.0f\n", "PyTorch, channels_last", f->torch_rate[0], f->torch_peak[0] * 1e-6);
        printf("%-34s %10.1f %10.0f\n", "PyTorch, contiguous", f->torch_rate[1], f->torch_peak[1] * 1e-6);
    }
    printf("step over convolutions alone       %10.2f   (to reach: 0.75)\n", rate * f->ceiling / batch);
    printf("A2CiD2 step over SGD step          %10.3f   (to stay under: 1.01)\n", f->acid_over_sgd);
    if (torch > 0.0) {
        double least = fmin(f->torch_peak[0], f->torch_peak[1]);
        printf("step over PyTorch                  %10.2f   (to reach: 2.0)\n", rate / torch);
        printf("peak memory over PyTorch           %10.2f   (to stay under: 0.7)\n", f->peak / least);
    }
}

static bool parse(int argc, char **argv, struct options *options)
{
    *options = (struct options){.model = "resnet18", .batch = 128, .threads = 2, .rounds = 3};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--model") == 0)
            options->model = argv[i + 1];
        else if (strcmp(argv[i], "--batch") == 0)
            options->batch = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--threads") == 0)
            options->threads = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--rounds") == 0)
            options->rounds = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--torch") == 0)
            options->torch = argv[i + 1];
        else
            return false;
    }
    return argc % 2 == 1 && options->batch > 0 && options->threads > 0 && options->rounds > 0 &&
           options->rounds <= MOST_ROUNDS;
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    struct figures figures = {0};
    double seconds[2][OPERATIONS], error, first_loss;
    if (!parse(argc, argv, &b.options)) {
        fprintf(stderr,
                "usage: step_bench [--model NAME] [--batch N] [--threads N] [--rounds 1..%d] "
                "[--torch COMMAND]\n",
                MOST_ROUNDS);
        return STATUS_USAGE;
    }
    TRY(bench_init(&b));
    TRY(b.ops->net_forward(b.net, NET_TRAIN, &b.batch, 0, &b.result));
    first_loss = b.result.loss;
    TRY(measure(&b, &figures));
    double last_loss = b.result.loss;
    print_figures(&b, &figures);
    TRY(time_operations(&b, seconds));
    printf("%-14s %12s %12s\n", "operation", "forward ms", "backward ms");
    for (int i = 0; i < OPERATIONS; i++) {
        if (seconds[0][i] + seconds[1][i] > 0.0)
            printf("%-14s %12.1f %12.1f\n", operation_names[i], seconds[0][i] * 1e3, seconds[1][i] * 1e3);
    }
    TRY(gradient_error(&b, &error));
    bool correct = error < 1e-3 && last_loss < first_loss;
    printf("gradient, %d threads against one: %.1e; loss %.4f -> %.4f; net %.0f MB: %s\n", b.options.threads, error,
           first_loss, last_loss, (double)b.ops->net_bytes(b.net) * 1e-6, correct ? "correct" : "WRONG");
    return correct ? STATUS_OK : STATUS_BUG;
}
