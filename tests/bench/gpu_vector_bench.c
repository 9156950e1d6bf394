/* Bandwidth of the GPU's passes over flat vectors, in bytes read and written, beside that of a copy within the device's
 * memory that moves as many bytes as the gradient event does; measured in turn, by the device's own clock. Each pass is
 * checked against float64, and the one that makes the working copy too against the one that does not, bit by bit.
 *
 *     gpu_vector_bench [--model NAME] [--rounds N] [--passes N] [--label NAME]
 *
 * The vectors are as long as the model's parameters (resnet18 for CIFAR). The gradient event reads x, x̃, m, g and
 * writes x, x̃, m; with the working copy it writes 2 bytes more per weight (bf16). A round times every row, `passes`
 * calls of each. Exit status 70 if a result is wrong. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "bench/gpu_figures.h"
#include "device/cuda/cuda_device.h"
#include "device/device.h"
#include "nn/model.h"
#include "nn/store.h"

enum { VECTORS = 4, BATCH = 8, ROUNDS_MOST = SERIES_MOST };

static const double bound = 2e-6; /* of one rounded update: values up to 2, a few roundings */

struct options {
    const char *model, *label;
    int rounds, passes;
};

struct bench {
    struct options options;
    const struct device_ops *ops;
    struct device *device;
    struct net_spec *spec;
    struct net *net;
    size_t count, decayed;
    size_t working_bytes; /* of the working copy */
    float *x, *x_tilde, *m, *g, *buffers;
    float *from, *to; /* (VECTORS · count) each, for copies */
    float *host;      /* (count) */
    cudaEvent_t begin, end;
};

static const struct update_coefficients plain = {
    .mix = 0.1, .learning_rate = 0.01, .momentum = 0.9, .weight_decay = 5e-4};
static const struct update_coefficients clipped = {
    .mix = 0.1, .learning_rate = 0.01, .momentum = 0.9, .weight_decay = 5e-4, .clip_norm = 1.0};
static const struct pair_coefficients pair = {.mix = 0.1, .alpha = 0.5, .alpha_tilde = 1.87};

/* --- the rows --- */

static void copy(struct bench *b, size_t bytes)
{
    cudaMemcpyAsync(b->to, b->from, bytes, cudaMemcpyDeviceToDevice, b->device->state);
}

static void copy_as_much(struct bench *b)
{
    copy(b, b->count * 7 / 2 * sizeof(float));
}

static void copy_vector(struct bench *b)
{
    copy(b, b->count * sizeof(float));
}

static void update(struct bench *b, const struct update_coefficients *c, float *x_tilde, struct net *net)
{
    b->ops->update(b->device, true, c, b->count, b->decayed, b->x, x_tilde, b->m, b->g, net);
}

static void update_acid(struct bench *b)
{
    update(b, &plain, b->x_tilde, NULL);
}

static void update_acid_working(struct bench *b)
{
    update(b, &plain, b->x_tilde, b->net);
}

static void update_acid_clipped(struct bench *b)
{
    update(b, &clipped, b->x_tilde, b->net);
}

static void update_sgd_working(struct bench *b)
{
    update(b, &plain, NULL, b->net);
}

static void pair_event(struct bench *b)
{
    b->ops->pair(b->device, false, &pair, b->count, b->x, b->x_tilde, b->m, b->g);
}

static void snapshot(struct bench *b)
{
    b->ops->snapshot(b->device, false, 0.1, b->count, b->x, b->x_tilde, b->m);
}

struct row {
    const char *name, *figure, *goal;
    void (*run)(struct bench *b);
    double vectors; /* of fp32, read or written */
    bool working;   /* writes the working copy too */
};

static const struct row rows[] = {
    {"copy of as many bytes", "copy", "-", copy_as_much, 7, false},
    {"copy of one vector", "copy_of_one_vector_over_copy", "-", copy_vector, 2, false},
    {"gradient event", "update_over_copy", ">=0.9", update_acid, 7, false},
    {"with the working copy", "update_working_over_copy", ">=0.9", update_acid_working, 7, true},
    {"clipped, working copy", "update_clipped_over_copy", "-", update_acid_clipped, 8, true},
    {"plain SGD, working copy", "update_sgd_over_copy", "-", update_sgd_working, 5, true},
    {"pair event", "pair_over_copy", "-", pair_event, 6, false},
    {"snapshot", "snapshot_over_copy", "-", snapshot, 3, false},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static double row_bytes(const struct bench *b, const struct row *row)
{
    return row->vectors * sizeof(float) * (double)b->count + (row->working ? (double)b->working_bytes : 0);
}

/* Bytes per second of `passes` calls, on the stream that works on vectors. */
static enum status time_row(struct bench *b, const struct row *row, double *rate)
{
    float elapsed_ms = 0;
    TRY_CUDA("timing", cudaEventRecord(b->begin, b->device->state));
    for (int k = 0; k < b->options.passes; k++)
        row->run(b);
    TRY_CUDA("timing", cudaEventRecord(b->end, b->device->state));
    TRY_CUDA("timing", cudaEventSynchronize(b->end));
    TRY_CUDA("timing", cudaEventElapsedTime(&elapsed_ms, b->begin, b->end));
    *rate = row_bytes(b, row) * b->options.passes / fmax(elapsed_ms * 1e-3, 1e-9);
    return b->device->failed;
}

/* --- results --- */

/* x, x̃, m, g drawn anew, the same every time, uniform in [−0.5, 0.5). */
static void fill(struct bench *b)
{
    float *all[VECTORS] = {b->x, b->x_tilde, b->m, b->g};
    for (uint32_t i = 0; i < VECTORS; i++) {
        struct random_stream stream = random_stream(1, RANDOM_TEST, i, 0);
        for (size_t k = 0; k < b->count; k++)
            b->host[k] = (float)random_uniform(&stream) - 0.5f;
        b->ops->vector_write(b->device, all[i], b->count, b->host);
    }
}

/* One element of each vector. */
struct element {
    double x, x_tilde, m, g;
};

static void read_all(struct bench *b, float *out[VECTORS])
{
    float *all[VECTORS] = {b->x, b->x_tilde, b->m, b->g};
    for (int i = 0; i < VECTORS; i++)
        b->ops->vector_read(b->device, all[i], b->count, out[i]);
}

/* What the gradient event, then the pair event make of one element. */
static struct element expected(const struct bench *b, struct element v, size_t i)
{
    double delta = plain.mix * (v.x_tilde - v.x), x = v.x + delta;
    double d = v.g + (i < b->decayed ? plain.weight_decay * x : 0), m = plain.momentum * v.m + d;
    double x_tilde = v.x_tilde - delta - plain.learning_rate * m;
    x -= plain.learning_rate * m;
    delta = pair.mix * (x_tilde - x);
    x += delta;
    x_tilde -= delta;
    return (struct element){
        .x = x - pair.alpha * (m - v.g), .x_tilde = x_tilde - pair.alpha_tilde * (m - v.g), .m = m, .g = v.g};
}

static size_t count_wrong(struct bench *b)
{
    float *before[VECTORS], *after[VECTORS];
    size_t wrong = 0;
    for (int k = 0; k < VECTORS; k++) {
        before[k] = memory_alloc_aligned(b->count * sizeof(float));
        after[k] = memory_alloc_aligned(b->count * sizeof(float));
    }
    fill(b);
    read_all(b, before);
    update_acid(b);
    pair_event(b);
    read_all(b, after);
    for (size_t i = 0; i < b->count; i++) {
        struct element v = {before[0][i], before[1][i], before[2][i], before[3][i]}, want = expected(b, v, i);
        wrong += !(fabs(after[0][i] - want.x) < bound && fabs(after[1][i] - want.x_tilde) < bound &&
                   fabs(after[2][i] - want.m) < bound && after[3][i] == before[3][i]);
    }
    for (int k = 0; k < VECTORS; k++) {
        memory_free_aligned(before[k]);
        memory_free_aligned(after[k]);
    }
    return wrong;
}

/* Elements of x that differ between the two forms of the gradient event. */
static size_t count_unlike(struct bench *b)
{
    float *with = memory_alloc_aligned(b->count * sizeof(float));
    size_t unlike = 0;
    fill(b);
    update_acid_working(b);
    b->ops->vector_read(b->device, b->x, b->count, with);
    fill(b);
    update_acid(b);
    b->ops->vector_read(b->device, b->x, b->count, b->host);
    for (size_t i = 0; i < b->count; i++)
        unlike += memcmp(&with[i], &b->host[i], sizeof with[i]) != 0;
    memory_free_aligned(with);
    return unlike;
}

/* --- the run --- */

static enum status open_bench(struct bench *b)
{
    struct device_params params = {.name = "cuda", .threads = 1, .precision = "bf16"};
    struct model_params model = {.name = b->options.model, .channels = 3, .height = 32, .width = 32, .class_count = 10};
    float **all[VECTORS] = {&b->x, &b->x_tilde, &b->m, &b->g};
    b->ops = device_choose("cuda");
    if (b->ops == NULL)
        return STATUS_USAGE;
    TRY(b->ops->create(&params, &b->device));
    TRY(model_build(&model, &b->spec));
    b->count = b->spec->parameter_size;
    b->decayed = b->spec->decayed_size;
    for (int k = 0; k < b->spec->parameter_count; k++)
        b->working_bytes += b->spec->parameters[k].count * (b->spec->parameters[k].rank > 1 ? 2 : 4);
    for (int k = 0; k < VECTORS; k++)
        TRY(b->ops->vector_alloc(b->device, b->count, all[k]));
    TRY(b->ops->vector_alloc(b->device, b->spec->buffer_size + 1, &b->buffers));
    TRY(b->ops->vector_alloc(b->device, VECTORS * b->count, &b->from));
    TRY(b->ops->vector_alloc(b->device, VECTORS * b->count, &b->to));
    TRY(b->ops->net_create(b->device, b->spec, BATCH, b->g, b->buffers, &b->net));
    TRY_CUDA("events", cudaEventCreate(&b->begin));
    TRY_CUDA("events", cudaEventCreate(&b->end));
    b->host = memory_alloc_aligned(b->count * sizeof(float));
    fill(b);
    for (size_t k = 0; k < VECTORS; k++) /* memory of zeros may be faster than memory of numbers */
        b->ops->vector_write(b->device, b->from + k * b->count, b->count, b->host);
    return b->device->failed;
}

static void close_bench(struct bench *b)
{
    float *all[] = {b->x, b->x_tilde, b->m, b->g, b->buffers, b->from, b->to};
    if (b->device == NULL)
        return;
    if (b->net != NULL)
        b->ops->net_destroy(b->net);
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
        b->ops->vector_free(b->device, all[k]);
    if (b->end != NULL) {
        cudaEventDestroy(b->begin);
        cudaEventDestroy(b->end);
    }
    b->ops->destroy(b->device);
    memory_free_aligned(b->host);
    model_destroy(b->spec);
}

static enum status measure(struct bench *b, struct series rates[ROWS], struct series shares[ROWS])
{
    double rate[ROWS];
    fill(b);
    for (int round = -1; round < b->options.rounds; round++) {
        for (int k = 0; k < ROWS; k++)
            TRY(time_row(b, &rows[k], &rate[k]));
        for (int k = 0; k < ROWS && round >= 0; k++) { /* the first round warms up */
            series_add(&rates[k], rate[k] * 1e-9);
            series_add(&shares[k], rate[k] / rate[0]);
        }
    }
    return STATUS_OK;
}

static void print_table(const struct bench *b, const struct series *rates, const struct series *shares, size_t wrong,
                        size_t unlike)
{
    const char *verdict[] = {"", "", wrong == 0 ? "yes" : "NO", unlike == 0 ? "yes" : "NO",
                             "", "", wrong == 0 ? "yes" : "NO"};
    char rate[96], share[96];
    printf("%s on %s: vectors of %zu elements, %d rounds of %d passes\n", b->options.model, b->device->gpu, b->count,
           b->options.rounds, b->options.passes);
    printf("%-24s %9s %26s %30s %8s\n", "pass", "MB", "GB/s", "over the first", "correct");
    for (int k = 0; k < ROWS; k++)
        printf("%-24s %9.1f %26s %30s %8s\n", rows[k].name, row_bytes(b, &rows[k]) * 1e-6, series_text(&rates[k], rate),
               series_text(&shares[k], share), k < (int)(sizeof verdict / sizeof verdict[0]) ? verdict[k] : "");
    figure_print(b->options.label, "copy_gb_per_second", &rates[0], "-");
    for (int k = 1; k < ROWS; k++)
        figure_print(b->options.label, rows[k].figure, &shares[k], rows[k].goal);
    printf("%zu elements wrong, %zu unlike with the working copy: %s\n", wrong, unlike,
           wrong + unlike == 0 ? "correct" : "WRONG");
}

static bool parse(int argc, char **argv, struct options *options)
{
    *options = (struct options){.model = "resnet18", .label = "vectors", .rounds = 30, .passes = 20};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--model") == 0)
            options->model = argv[i + 1];
        else if (strcmp(argv[i], "--label") == 0)
            options->label = argv[i + 1];
        else if (strcmp(argv[i], "--rounds") == 0)
            options->rounds = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--passes") == 0)
            options->passes = atoi(argv[i + 1]);
        else
            return false;
    }
    return argc % 2 == 1 && options->rounds > 0 && options->rounds <= ROUNDS_MOST && options->passes > 0;
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    static struct series rates[ROWS], shares[ROWS];
    size_t wrong = 0, unlike = 0;
    enum status status;
    if (!parse(argc, argv, &b.options)) {
        fprintf(stderr, "usage: gpu_vector_bench [--model NAME] [--rounds 1..%d] [--passes N] [--label NAME]\n",
                ROUNDS_MOST);
        return STATUS_USAGE;
    }
    TRY_GOTO(open_bench(&b), close);
    wrong = count_wrong(&b);
    unlike = count_unlike(&b);
    TRY_GOTO(measure(&b, rates, shares), close);
    print_table(&b, rates, shares, wrong, unlike);
    if (wrong + unlike > 0)
        status = STATUS_BUG;
close:
    close_bench(&b);
    return (int)status;
}
