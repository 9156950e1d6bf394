/* What a run will take of memory. */
#include "app/plan_memory.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "app/plan_data.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/memory.h"
#include "base/quantity.h"
#include "worker/engine.h"

static void __attribute__((format(printf, 4, 5)))
add(struct memory_estimate *estimate, bool on_gpu, double bytes, const char *what, ...)
{
    va_list arguments;
    if (bytes <= 0 || estimate->count == MEMORY_ITEMS_MAX)
        return;
    struct memory_item *item = &estimate->items[estimate->count++];
    *item = (struct memory_item){.bytes = bytes, .on_gpu = on_gpu};
    va_start(arguments, what);
    vsnprintf(item->what, sizeof item->what, what, arguments);
    va_end(arguments);
    *(on_gpu ? &estimate->gpu : &estimate->host) += bytes;
}

static double x_bytes(const struct plan *plan)
{
    return (double)memory_aligned_bytes(plan->spec->parameter_size * sizeof(float));
}

static bool on_gpu(const struct plan *plan)
{
    return !plan->ops->host_memory;
}

/* Batches are picks out of a set on the device (plan.h: pictures). */
static bool picks(const struct plan *plan)
{
    return plan->train->bytes != NULL && plan->ops->pictures_create != NULL;
}

static void begin(const struct plan *plan, struct memory_estimate *estimate)
{
    *estimate = (struct memory_estimate){.held = (double)machine_resident()};
    add(estimate, false, estimate->held, "held now: program, libraries, data set");
    if (plan->initial_parameters == NULL)
        add(estimate, false, x_bytes(plan), "the start parameters");
    if (picks(plan) && plan->pictures == NULL) {
        const struct picture_bytes *bytes = plan->train->bytes;
        add(estimate, true, (double)bytes->count * bytes->channels * bytes->height * bytes->width,
            "the training images");
    }
}

/* A gradient, networks, batches of tests; of a shared one also a point and a batch. `count` of them. */
static enum status add_engine(const struct plan *plan, bool shared, int count, struct memory_estimate *estimate)
{
    struct engine_params params = plan_engine_params(plan);
    const struct picture_sizes sizes = plan_picture_sizes(plan);
    struct memory_need need;
    params.shared = shared;
    params.picks = picks(plan);
    TRY(engine_plan(&params, &sizes, &need));
    add(estimate, on_gpu(plan), count * need.device,
        "network: activations, gradients, kernels' scratch, train.batch=%lld", (long long)plan->config->train.batch);
    add(estimate, false, count * need.host, "batches of %s", shared ? "training and tests" : "tests");
    return STATUS_OK;
}

/* Vectors that a training checkpoint copies: x, momentum, x̃. */
static double replica_bytes(const struct plan *plan)
{
    return (2 + plan->algo->has_momentum_vector) * x_bytes(plan);
}

/* Slots of the neighbors' that this worker puts into: of each as many as it can have in use, one an edge and one whose
 * last word is awaited. */
static double slots_of_others(const struct plan *plan, int local_size)
{
    int worker = plan->place.worker, degree = graph_degree(plan->graph, worker), count = 0;
    int records = (int)plan->config->communication.records;
    for (int j = 0; j < degree && j < local_size - 1; j++) {
        int in_use = graph_degree(plan->graph, graph_neighbors(plan->graph, worker)[j].worker) + 1;
        count += in_use < records ? in_use : records;
    }
    return count;
}

/* Snapshots of the own model, and slots that the neighbors' are put into, once for each pairwise average that may be
 * open at a time. Windows of one node are one memory: what is put into the neighbors' counts here too. */
static void add_exchange(const struct plan *plan, int local_size, struct memory_estimate *estimate)
{
    double records = (double)plan->config->communication.records;
    bool damages = scenario_damages(plan->scenario), staged = on_gpu(plan);
    if (plan->graph == NULL || plan->place.worker_count == 1)
        return;
    add(estimate, on_gpu(plan), (staged ? 2 : 1) * records * x_bytes(plan), "snapshots (communication.records)");
    add(estimate, false, (records + damages + (staged ? records : 0) + (damages ? records : 0)) * x_bytes(plan),
        "slots for the neighbors' snapshots");
    if (strcmp(plan->config->communication.transport, "sendrecv") != 0)
        add(estimate, false, slots_of_others(plan, local_size) * x_bytes(plan),
            "slots of neighbors on this node (shared memory)");
}

/* The final average: a vector and its mean, and a piece of it in MPI's hands. */
static void add_closing(const struct plan *plan, bool simulated, struct memory_estimate *estimate)
{
    const double piece = (double)((size_t)64 << 20); /* that MPI sums at a time, in memory of its own */
    add(estimate, false, (simulated ? 3 : 2) * x_bytes(plan), "the final average");
    if (!simulated && plan->place.worker_count > 1)
        add(estimate, false, fmin(x_bytes(plan), piece), "MPI, to sum it");
    if (!simulated && plan->config->run.state_every_epochs > 0)
        add(estimate, on_gpu(plan), replica_bytes(plan), "a training checkpoint (run.state_every_epochs)");
}

/* Where another phase before training needs more than what training adds to it. */
static void add_optimum(const struct plan *plan, double later, struct memory_estimate *estimate)
{
    if (!plan->config->run.optimum || !optimum_known(plan->spec) || plan->place.worker != 0)
        return;
    struct optimum_need need = optimum_plan(plan->spec, plan->train->count - plan->held_out.count);
    add(estimate, false, need.kept, "the minimiser (run.optimum)");
    if (need.solving > later)
        add(estimate, false, need.solving - later, "looking for the minimiser (run.optimum)");
}

enum status memory_estimate_rank(const struct plan *plan, int local_size, struct memory_estimate *out)
{
    struct worker_params params = plan_worker_params(plan);
    struct memory_estimate estimate;
    begin(plan, &estimate);
    struct memory_need need = worker_plan(&params, false, picks(plan));
    TRY(add_engine(plan, false, 1, &estimate));
    add(&estimate, on_gpu(plan), need.device, "vectors of the worker");
    add(&estimate, false, need.host, "batches that are made ahead");
    double before = estimate.host;
    add_exchange(plan, local_size, &estimate);
    add_closing(plan, false, &estimate);
    add_optimum(plan, estimate.host - before, &estimate);
    *out = estimate;
    return STATUS_OK;
}

static void add_workers(const struct plan *plan, bool keeps_point, struct memory_estimate *estimate)
{
    struct worker_params params = plan_worker_params(plan);
    double workers = plan->place.worker_count, images = (double)(plan->train->count - plan->held_out.count);
    bool shared = strcmp(plan->config->data.partition, "shared") == 0;
    params.keeps_point = keeps_point;
    struct memory_need need = worker_plan(&params, true, picks(plan));
    double order = (double)plan->partition.count * sizeof(uint32_t); /* of worker 0, in `need` */
    double orders = shared ? workers * order : 2 * images * sizeof(uint32_t);
    add(estimate, on_gpu(plan), workers * need.device, "vectors of %d workers", plan->place.worker_count);
    add(estimate, false, workers * (need.host - order) + orders, "their statistics and orders of images");
}

enum status memory_estimate_simulation(const struct plan *plan, struct memory_estimate *out)
{
    struct runtime_params run = plan_runtime_params(plan);
    struct simulation_params params = plan_simulation_params(plan, &run);
    bool keeps_point = params.time == SIMULATED_MODELLED && plan->algo->meets == ALGO_MEETS_ONE;
    struct memory_estimate estimate;
    begin(plan, &estimate);
    TRY(add_engine(plan, true, keeps_point ? 1 : plan_jobs(plan), &estimate));
    add_workers(plan, keeps_point, &estimate);
    double before = estimate.host;
    size_t snapshots = simulation_snapshots_likely(&params, plan->place.worker_count, plan->spec->parameter_size);
    add(&estimate, on_gpu(plan), (double)snapshots * x_bytes(plan), "snapshots in flight");
    if (plan->graph == NULL)
        add(&estimate, on_gpu(plan), x_bytes(plan), "the sum of an all-reduce");
    add_closing(plan, true, &estimate);
    add_optimum(plan, estimate.host - before, &estimate);
    *out = estimate;
    return STATUS_OK;
}

static void print_item(const struct memory_item *item, FILE *out)
{
    char bytes[32];
    fprintf(out, "                 %10s  %s%s\n", quantity_bytes(bytes, item->bytes), item->what,
            item->on_gpu ? " (GPU)" : "");
}

/* What the machine, or the control group, lets all processes have. */
static double most_memory(void)
{
    struct sysinfo info;
    double swap = sysinfo(&info) == 0 ? (double)info.totalswap * info.mem_unit : 0;
    return (double)machine_memory() + swap;
}

void memory_estimate_print(const struct memory_estimate *estimate, int processes, FILE *out)
{
    char host[32], gpu[32], most[32];
    fprintf(out, "memory           %s", quantity_bytes(host, estimate->host));
    if (estimate->gpu > 0)
        fprintf(out, ", and %s of the GPU", quantity_bytes(gpu, estimate->gpu));
    fprintf(out, "%s at the peak%s\n", processes > 1 ? " a rank" : "",
            estimate->host * processes > most_memory() ? "" : ":");
    if (estimate->host * processes > most_memory())
        fprintf(out, "                 more than this machine has for it (%s):\n", quantity_bytes(most, most_memory()));
    for (int k = 0; k < estimate->count; k++)
        print_item(&estimate->items[k], out);
}

static const struct memory_item *largest(const struct memory_estimate *estimate)
{
    const struct memory_item *found = &estimate->items[0];
    for (int k = 0; k < estimate->count; k++)
        if (!estimate->items[k].on_gpu && estimate->items[k].bytes > found->bytes)
            found = &estimate->items[k];
    return found;
}

enum status memory_estimate_check(const struct memory_estimate *estimate, int processes)
{
    char part[32], what[192], most[32];
    double planned = estimate->host - estimate->held;
    const struct memory_item *item = largest(estimate);
    snprintf(what, sizeof what, "this run (%s for %s)", quantity_bytes(part, item->bytes), item->what);
    if (!memory_has_room((size_t)planned)) {
        memory_report((size_t)planned, what);
        return STATUS_MACHINE;
    }
    if (estimate->host * processes <= most_memory())
        return STATUS_OK;
    log_error(
        "out of memory: this machine has %s, and %d process%s with %s; lower train.batch, choose a smaller model, "
        "or fewer workers or ranks on this machine (--dry-run shows what a run takes)",
        quantity_bytes(most, most_memory()), processes, processes == 1 ? "" : "es of the kind", what);
    return STATUS_MACHINE;
}
