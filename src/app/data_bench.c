/* Measuring the making of pictures: parts by turns, then the loader as training has it. */
#include "app/data_bench.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/stopwatch.h"
#include "base/thread.h"
#include "data/loader.h"

enum {
    ROUNDS = 7,
    PICTURES_MAX = 512,
    PARTS = DATASET_ALL + 1,
    OUTPUTS = 256,
    WARM_UP_BATCHES = 4, /* all slots have been touched */
    SLOTS = 3,
    BROUGHT_AT_ONCE = 8
};

/* Sums of one round, over its pictures. */
struct round {
    double part_s[PARTS], part_bytes[PARTS], copy_s, copy_bytes;
};

struct parts_bench {
    const struct data_bench_params *params;
    const struct dataset *set;
    uint32_t *pictures; /* owned (count): those that can be read */
    size_t count;
    float *outputs;      /* owned (OUTPUTS, one picture) */
    size_t picture_size; /* floats */
};

/* --- parts --- */

static double make_one(const struct parts_bench *bench, size_t i, enum dataset_part part, int round)
{
    const struct dataset *set = bench->set;
    struct random_stream augment = random_stream(1, RANDOM_TEST, 0, (uint64_t)round << 32 | bench->pictures[i]);
    float *out = bench->outputs + i % OUTPUTS * bench->picture_size;
    uint64_t bytes = 0;
    set->ops->fetch_part(set, bench->pictures[i], set->height, part, &augment, out, &bytes);
    return (double)bytes;
}

static void run_round(const struct parts_bench *bench, int number, struct round *out)
{
    size_t half = OUTPUTS / 2, picture_bytes = bench->picture_size * sizeof(float);
    *out = (struct round){0};
    for (int part = 0; part < PARTS; part++) {
        double begin_s = stopwatch_thread_cpu();
        for (size_t i = 0; i < bench->count; i++)
            out->part_bytes[part] += make_one(bench, i, (enum dataset_part)part, number);
        out->part_s[part] = stopwatch_thread_cpu() - begin_s;
    }
    double begin_s = stopwatch_thread_cpu();
    for (size_t i = 0; i < bench->count; i++) {
        memcpy(bench->outputs + (half + i % half) * bench->picture_size,
               bench->outputs + i % half * bench->picture_size, picture_bytes);
        out->copy_bytes += 2 * (double)picture_bytes;
    }
    out->copy_s = stopwatch_thread_cpu() - begin_s;
}

/* A sample of the pictures that can be read, as many as make a round of about the wanted length. */
static void choose_pictures(struct parts_bench *bench)
{
    double begin_s = stopwatch_now();
    size_t wanted = bench->set->count < PICTURES_MAX ? bench->set->count : PICTURES_MAX;
    bench->pictures = memory_zalloc(wanted, sizeof bench->pictures[0]);
    for (size_t i = 0; i < wanted; i++) {
        bench->pictures[bench->count] = (uint32_t)(i * bench->set->count / wanted);
        bench->count += make_one(bench, bench->count, DATASET_ALL, 0) > 0;
        if (bench->count >= 16 && stopwatch_now() - begin_s > bench->params->seconds / (ROUNDS * 3))
            break;
    }
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* --- figures of a round --- */

typedef double figure_fn(const struct parts_bench *bench, const struct round *round);

static double pictures_per_s(const struct parts_bench *bench, double seconds)
{
    return (double)bench->count / seconds;
}

static double read_rate(const struct parts_bench *bench, const struct round *round)
{
    return pictures_per_s(bench, round->part_s[DATASET_READ]);
}

static double decode_rate(const struct parts_bench *bench, const struct round *round)
{
    return pictures_per_s(bench, round->part_s[DATASET_DECODE]);
}

static double whole_rate(const struct parts_bench *bench, const struct round *round)
{
    return pictures_per_s(bench, round->part_s[DATASET_WHOLE]);
}

static double all_rate(const struct parts_bench *bench, const struct round *round)
{
    return pictures_per_s(bench, round->part_s[DATASET_ALL]);
}

static double read_bytes(const struct parts_bench *bench, const struct round *round)
{
    (void)bench;
    return round->part_bytes[DATASET_READ] / round->part_s[DATASET_READ];
}

/* What comes after decoding reads the decoded pixels and writes the numbers. */
static double resize_bytes(const struct parts_bench *bench, const struct round *round)
{
    (void)bench;
    return (round->part_bytes[DATASET_DECODE] + round->part_bytes[DATASET_ALL]) /
           (round->part_s[DATASET_ALL] - round->part_s[DATASET_DECODE]);
}

static double resize_over_copy(const struct parts_bench *bench, const struct round *round)
{
    return resize_bytes(bench, round) / (round->copy_bytes / round->copy_s);
}

static double median(const struct parts_bench *bench, const struct round *rounds, figure_fn *figure)
{
    double values[ROUNDS];
    for (int r = 0; r < ROUNDS; r++)
        values[r] = figure(bench, &rounds[r]);
    qsort(values, ROUNDS, sizeof values[0], compare);
    return values[ROUNDS / 2];
}

static void run_rounds(const struct parts_bench *bench, struct data_bench_parts *out)
{
    struct round rounds[ROUNDS];
    run_round(bench, 0, &rounds[0]); /* to warm up */
    for (int r = 0; r < ROUNDS; r++)
        run_round(bench, r, &rounds[r]);
    *out = (struct data_bench_parts){.known = true,
                                     .read = median(bench, rounds, read_rate),
                                     .decode = median(bench, rounds, decode_rate),
                                     .all = median(bench, rounds, all_rate),
                                     .whole = median(bench, rounds, whole_rate),
                                     .read_bytes = median(bench, rounds, read_bytes),
                                     .resize_bytes = median(bench, rounds, resize_bytes),
                                     .resize_over_copy = median(bench, rounds, resize_over_copy)};
}

enum status data_bench_parts(const struct data_bench_params *params, struct data_bench_parts *out)
{
    const struct dataset *set = params->plan->train;
    *out = (struct data_bench_parts){0};
    if (set->ops->fetch_part == NULL)
        return STATUS_OK;
    struct parts_bench bench = {
        .params = params,
        .set = set,
        .picture_size = (size_t)set->channels * (size_t)set->height * (size_t)set->width,
    };
    bench.outputs = memory_alloc_aligned(OUTPUTS * bench.picture_size * sizeof bench.outputs[0]);
    memset(bench.outputs, 1, OUTPUTS * bench.picture_size * sizeof bench.outputs[0]); /* its pages are there */
    choose_pictures(&bench);
    if (bench.count > 0)
        run_rounds(&bench, out);
    else
        log_error("bench data: none of the pictures that were tried can be read; grapevine pack --verify names them");
    memory_free_aligned(bench.outputs);
    free(bench.pictures);
    return bench.count > 0 ? STATUS_OK : STATUS_DATA;
}

/* --- the loader --- */

static struct loader_params loader_params_of(const struct data_bench_params *params)
{
    const struct plan *plan = params->plan;
    return (struct loader_params){
        .set = plan->train,
        .partition = &plan->partition,
        .batch = (size_t)plan->config->train.batch,
        .seed = (uint64_t)plan->config->seed,
        .augment = plan->config->data.augment,
        .slots = SLOTS,
        .threads = plan->data_threads,
    };
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           1e-6 * ((double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec);
}

static enum status take_batch(struct loader *loader, double step_s, double *waited_s)
{
    struct batch batch;
    double begin_s = stopwatch_now();
    TRY(loader_next(loader, &batch));
    *waited_s += stopwatch_now() - begin_s;
    if (step_s > 0)
        stopwatch_sleep(step_s);
    loader_release(loader);
    return STATUS_OK;
}

static enum status take_batches(const struct data_bench_params *params, struct loader *loader,
                                struct data_bench_loader *out)
{
    double batch = (double)params->plan->config->train.batch, step_s = params->rate > 0 ? batch / params->rate : 0;
    double waited_s = 0, taken = 0;
    for (int k = 0; k < WARM_UP_BATCHES; k++)
        TRY(take_batch(loader, step_s, &waited_s));
    waited_s = 0;
    double begin_s = stopwatch_now(), begin_cpu_s = cpu_s(), elapsed_s = 0;
    while (elapsed_s < params->seconds) {
        TRY(take_batch(loader, step_s, &waited_s));
        taken += batch;
        elapsed_s = stopwatch_now() - begin_s;
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    *out = (struct data_bench_loader){.threads = params->plan->data_threads,
                                      .pictures_per_second = taken / elapsed_s,
                                      .waiting = waited_s / elapsed_s,
                                      .busy = (cpu_s() - begin_cpu_s) / (elapsed_s * params->plan->data_threads),
                                      .peak_bytes = 1024.0 * (double)usage.ru_maxrss};
    return STATUS_OK;
}

enum status data_bench_loader(const struct data_bench_params *params, struct data_bench_loader *out)
{
    struct loader_params loader_params = loader_params_of(params);
    struct loader *loader;
    TRY(loader_create(&loader_params, &loader));
    enum status status = take_batches(params, loader, out);
    loader_destroy(loader);
    return status;
}

/* --- reading --- */

/* As the loader does: one thread brings what is wanted soon, another reads picture after picture. */
struct reading {
    const struct dataset *set;
    const uint32_t *order; /* (count) */
    size_t count;
    atomic_size_t brought; /* pictures */
    double bytes;
};

static void *bring(void *context)
{
    struct reading *reading = context;
    for (size_t i = 0; i < reading->count;) {
        size_t some = reading->count - i < BROUGHT_AT_ONCE ? reading->count - i : BROUGHT_AT_ONCE;
        reading->set->ops->will_need(reading->set, reading->order + i, some);
        atomic_store(&reading->brought, i += some);
    }
    return NULL;
}

static void read_pictures(struct reading *reading)
{
    for (size_t i = 0; i < reading->count; i++) {
        uint64_t bytes = 0;
        while (atomic_load(&reading->brought) <= i)
            stopwatch_sleep(50e-6);
        reading->set->ops->fetch_part(reading->set, reading->order[i], reading->set->height, DATASET_READ, NULL, NULL,
                                      &bytes);
        reading->bytes += (double)bytes;
    }
}

enum status data_bench_read(const struct data_bench_params *params, double *bytes, double *seconds)
{
    const struct plan *plan = params->plan;
    const struct dataset *set = plan->train;
    const struct partition *partition = &plan->partition;
    *bytes = *seconds = 0;
    if (set->ops->fetch_part == NULL || set->ops->will_need == NULL)
        return STATUS_OK;
    uint32_t *order = memory_zalloc(partition->count, sizeof order[0]);
    struct reading reading = {.set = set, .order = order, .count = partition->count};
    partition_shuffle(partition, (uint64_t)plan->config->seed, 0, 0, order);
    struct thread thread = {0};
    double begin_s = stopwatch_now();
    enum status status = thread_start(&thread, "reader", bring, &reading);
    if (status == STATUS_OK)
        read_pictures(&reading);
    thread_join(&thread);
    *seconds = stopwatch_now() - begin_s;
    *bytes = reading.bytes;
    free(order);
    return status;
}
