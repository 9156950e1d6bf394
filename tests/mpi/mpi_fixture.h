/* A real worker under real MPI, for the tests in this folder: a small network whose vectors the tests move. */
#ifndef GRAPEVINE_TESTS_MPI_FIXTURE_H
#define GRAPEVINE_TESTS_MPI_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/stopwatch.h"
#include "graph/graph.h"
#include "graph/spectrum.h"
#include "nn/model.h"
#include "nn/store.h"
#include "runtime/mpi/communicator.h"
#include "runtime/runtime.h"
#include "worker/worker.h"

struct mpi_fixture {
    struct job job;
    struct graph *graph;
    struct acid_constants constants;
    struct dataset *set;
    struct partition partition;
    struct net_spec *spec;
    const struct device_ops *ops;
    struct device *device;
    struct worker *worker;
    float *initial, *buffers;
    struct observer observer;
    struct runtime_params run;
};

static inline void must(enum status status, const char *what)
{
    if (status == STATUS_OK)
        return;
    fprintf(stderr, "%s: status %d\n", what, (int)status);
    exit(1);
}

static inline void ignore_step(void *context, const struct step_report *report)
{
    (void)context, (void)report;
}
static inline void ignore_evaluation(void *context, const struct evaluation_report *report)
{
    (void)context, (void)report;
}

static inline void mpi_fixture_open_data(struct mpi_fixture *f, const char *model_name, int width)
{
    struct dataset_params data = {.name = "shapes", .path = "", .train = true, .count = 256, .seed = 1};
    must(dataset_open(&data, &f->set), "dataset_open");
    struct partition_params part = {.name = "shared", .worker_count = 1, .seed = 1};
    must(partition_create(&part, f->set, &f->partition, NULL), "partition_create");
    struct model_params model = {
        .name = model_name, .channels = 3, .height = 32, .width = 32, .class_count = 10, .width_hidden = width};
    must(model_build(&model, &f->spec), "model_build");
    f->initial = memory_alloc_aligned(f->spec->parameter_size * sizeof(float));
    f->buffers = memory_zalloc(f->spec->buffer_size + 1, sizeof(float));
    store_init_parameters(f->spec, 1, f->initial);
    store_init_buffers(f->spec, f->buffers);
}

static inline void mpi_fixture_open_worker(struct mpi_fixture *f, const char *algorithm, size_t batch)
{
    struct device_params device = {.name = "cpu", .threads = 1, .precision = "auto"};
    f->ops = device_choose("cpu");
    must(f->ops->create(&device, &f->device), "device");
    struct worker_params worker = {
        .worker = f->job.rank,
        .worker_count = f->job.size,
        .seed = 1,
        .batch = batch,
        .ops = f->ops,
        .device = f->device,
        .spec = f->spec,
        .algo = algo_find(algorithm),
        .eta = f->constants.eta,
        .alpha = f->constants.alpha,
        .alpha_tilde = f->constants.alpha_tilde,
        .optimizer = {.momentum = 0.9},
        .train = f->set,
        .partition = &f->partition,
        .test = f->set,
        .initial_parameters = f->initial,
        .initial_buffers = f->buffers,
    };
    struct schedule_params schedule = {.name = "constant",
                                       .base_rate = 0.01,
                                       .batch = batch,
                                       .worker_count = f->job.size,
                                       .epochs = 1,
                                       .warmup_epochs = 0};
    must(schedule_init(&worker.schedule, &schedule), "schedule_init");
    must(worker_create(&worker, &f->worker), "worker_create");
}

/* `width`: hidden units of an mlp, which sets the length of the vectors; 0: the model's own. */
static inline void mpi_fixture_open_batch(struct mpi_fixture *f, int *argc, char ***argv, const char *graph_name,
                                          const char *model_name, const char *algorithm, const char *transport,
                                          double rate, int width, size_t batch)
{
    memset(f, 0, sizeof *f);
    f->job.limit_s = 60;
    must(job_start(argc, argv, &f->job), "job_start");
    struct graph_params graph_params = {
        .name = graph_name, .worker_count = f->job.size, .rate = rate, .degree = 3, .probability = 0.5, .seed = 1};
    must(graph_create(&graph_params, &f->graph), "graph_create");
    struct spectrum spectrum;
    must(spectrum_compute(f->graph, &spectrum), "spectrum_compute");
    f->constants = (struct acid_constants){.alpha = 0.5, .alpha_tilde = 0.5};
    if (strcmp(algorithm, "acid") == 0)
        f->constants = acid_constants_from(&spectrum);
    mpi_fixture_open_data(f, model_name, width);
    mpi_fixture_open_worker(f, algorithm, batch);
    f->observer = (struct observer){.on_step = ignore_step, .on_evaluation = ignore_evaluation};
    f->run = (struct runtime_params){
        .seed = 1,
        .graph = f->graph,
        .gradient_total = UINT64_MAX / 4,
        .gradients_per_epoch = 1e9,
        .log_every = 1u << 30,
        .enforce_rate = true,
        .pending_limit = 2,
        .transport = transport,
        .records = 3,
        .patience_s = 1,
        .chunk_bytes = 1 << 16,
        .bucket_bytes = 1 << 16,
    };
}

static inline void mpi_fixture_open(struct mpi_fixture *f, int *argc, char ***argv, const char *graph_name,
                                    const char *model_name, const char *algorithm, const char *transport, double rate,
                                    int width)
{
    mpi_fixture_open_batch(f, argc, argv, graph_name, model_name, algorithm, transport, rate, width, 2);
}

static inline struct communicator_params mpi_fixture_communicator(struct mpi_fixture *f)
{
    return (struct communicator_params){
        .run = &f->run, .job = &f->job, .worker = f->worker, .observer = &f->observer, .origin_s = stopwatch_now()};
}

static inline int mpi_fixture_close(struct mpi_fixture *f, int failed)
{
    worker_destroy(f->worker);
    f->ops->destroy(f->device);
    partition_release(&f->partition);
    dataset_close(f->set);
    model_destroy(f->spec);
    graph_destroy(f->graph);
    memory_free_aligned(f->initial);
    free(f->buffers);
    double any = failed;
    must(job_sum_doubles(&f->job, "failures", &any, 1), "job_sum_doubles");
    job_finish(&f->job, STATUS_OK);
    return any > 0;
}

#endif
