/* Bandwidth of the fused vector passes, in bytes read and written, beside a memcpy on as many threads, measured in
 * alternation; each pass is checked against float64.
 *
 *     update_bench [ELEMENTS [THREADS [ROUNDS]]]      default 11173962 (ResNet-18 for CIFAR-10), 2, 30 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/stopwatch.h"
#include "device/device.h"

struct bench {
    const struct device_ops *ops;
    struct device *device;
    size_t count;
    int threads;
    float *x, *x_tilde, *m, *g; /* owned device vectors */
};

static const struct update_coefficients update = {
    .mix = 0.1, .learning_rate = 0.01, .momentum = 0.9, .weight_decay = 5e-4};
static const struct pair_coefficients pair = {.mix = 0.1, .alpha = 0.5, .alpha_tilde = 1.87};

static void fill(struct bench *b)
{
    float *all[4] = {b->x, b->x_tilde, b->m, b->g};
    for (uint32_t i = 0; i < 4; i++) {
        struct random_stream stream = random_stream(1, RANDOM_TEST, i, 0);
        for (size_t k = 0; k < b->count; k++)
            all[i][k] = (float)random_uniform(&stream) - 0.5f;
    }
}

static void run_memcpy(struct bench *b)
{
    size_t part = (b->count + (size_t)b->threads - 1) / (size_t)b->threads;
#pragma omp parallel for schedule(static) num_threads(b->threads)
    for (int i = 0; i < b->threads; i++) {
        size_t first = part * (size_t)i, last = first + part < b->count ? first + part : b->count;
        memcpy(b->m + first, b->g + first, (last - first) * sizeof *b->m);
    }
}

static void run_acid(struct bench *b)
{
    b->ops->update(b->device, true, &update, b->count, b->count, b->x, b->x_tilde, b->m, b->g, NULL);
}

static void run_sgd(struct bench *b)
{
    b->ops->update(b->device, true, &update, b->count, b->count, b->x, NULL, b->m, b->g, NULL);
}

static void run_pair(struct bench *b)
{
    b->ops->pair(b->device, true, &pair, b->count, b->x, b->x_tilde, b->m, b->g);
}

static void run_snapshot(struct bench *b)
{
    b->ops->snapshot(b->device, true, 0.1, b->count, b->x, b->x_tilde, b->m);
}

static void run_squares(struct bench *b)
{
    volatile double sum = b->ops->sum_squares(b->device, true, b->count, b->g);
    (void)sum;
}

struct row {
    const char *name;
    void (*run)(struct bench *b);
    int vectors; /* read or written per element */
    double best;
};

/* Elements that differ from the float64 formula by more than rounding, after one update with x̃ and one pair event. */
static size_t count_wrong(struct bench *b)
{
    size_t wrong = 0, step = 97;
    double *wanted = calloc(b->count / step + 1, sizeof *wanted);
    fill(b);
    for (size_t i = 0; wanted != NULL && i < b->count; i += step) {
        double delta = update.mix * ((double)b->x_tilde[i] - b->x[i]), x = b->x[i] + delta;
        double d = b->g[i] + update.weight_decay * x, m = update.momentum * b->m[i] + d;
        double tilde = b->x_tilde[i] - delta - update.learning_rate * m;
        x -= update.learning_rate * m;
        wanted[i / step] = x + pair.mix * (tilde - x) - pair.alpha * (m - b->g[i]);
    }
    run_acid(b);
    run_pair(b);
    for (size_t i = 0; i < b->count; i += step)
        wrong += wanted == NULL || !(fabs(b->x[i] - wanted[i / step]) < 1e-6);
    free(wanted);
    return wrong;
}

int main(int argc, char **argv)
{
    struct bench b = {.ops = device_choose("cpu"),
                      .count = argc > 1 ? strtoull(argv[1], NULL, 10) : 11173962,
                      .threads = argc > 2 ? atoi(argv[2]) : 2};
    int rounds = argc > 3 ? atoi(argv[3]) : 30;
    struct device_params params = {.name = "cpu", .threads = b.threads, .precision = "auto"};
    float **all[4] = {&b.x, &b.x_tilde, &b.m, &b.g};
    if (b.ops == NULL || b.ops->create(&params, &b.device) != STATUS_OK)
        return 1;
    for (int i = 0; i < 4; i++) {
        if (b.ops->vector_alloc(b.device, b.count, all[i]) != STATUS_OK)
            return 1;
    }
    struct row rows[] = {{"memcpy", run_memcpy, 2, INFINITY},     {"update, A2CiD2", run_acid, 7, INFINITY},
                         {"update, SGD", run_sgd, 5, INFINITY},   {"pair event", run_pair, 6, INFINITY},
                         {"snapshot", run_snapshot, 3, INFINITY}, {"sum of squares", run_squares, 1, INFINITY}};
    enum { ROWS = sizeof rows / sizeof *rows };
    size_t wrong = count_wrong(&b);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < ROWS; i++) {
            double start = stopwatch_now();
            rows[i].run(&b);
            double seconds = stopwatch_now() - start;
            rows[i].best = seconds < rows[i].best ? seconds : rows[i].best;
        }
    }
    double base = 2.0 * sizeof(float) * (double)b.count / rows[0].best;
    printf("%zu elements, %d threads, best of %d\n", b.count, b.threads, rounds);
    printf("%-16s %9s %8s %12s %7s\n", "pass", "ms", "GB/s", "over memcpy", "#wrong");
    for (int i = 0; i < ROWS; i++) {
        double rate = rows[i].vectors * (double)(sizeof(float) * b.count) / rows[i].best;
        printf("%-16s %9.2f %8.1f %12.2f %7zu\n", rows[i].name, rows[i].best * 1e3, rate * 1e-9, rate / base,
               i == 1 || i == 3 ? wrong : 0);
    }
    for (int i = 0; i < 4; i++)
        b.ops->vector_free(b.device, *all[i]);
    b.ops->destroy(b.device);
    return wrong > 0;
}
