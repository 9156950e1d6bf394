/* From the configuration to everything that a run needs. */
#include "app/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/checkpoint.h"
#include "app/class_names.h"
#include "app/plan_data.h"
#include "app/plan_facts.h"
#include "app/plan_model.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/thread.h"
#include "graph/best_rates.h"
#include "nn/model.h"
#include "nn/store.h"

static enum status init_parameters(struct plan *plan)
{
    const char *path = plan->config->model.init;
    if (plan->place.dry)
        return path[0] == '\0' ? STATUS_OK : checkpoint_check(path, plan->spec, CHECKPOINT_INIT);
    plan->initial_parameters = memory_alloc_aligned_for(plan->spec->parameter_size * sizeof(float),
                                                        "the parameters of model %s", plan->spec->name);
    plan->initial_buffers = memory_zalloc(plan->spec->buffer_size + 1, sizeof(float));
    store_init_parameters(plan->spec, (uint64_t)plan->config->seed, plan->initial_parameters);
    store_init_buffers(plan->spec, plan->initial_buffers);
    if (path[0] == '\0')
        return STATUS_OK;
    const struct class_names classes = {.names = plan->train->class_names, .count = plan->train->class_count};
    return checkpoint_read(path, plan->spec, &classes, CHECKPOINT_INIT, plan->initial_parameters,
                           plan->initial_buffers);
}

/* Between a real worker's updates nobody waits for its gradient, unless all do. */
static bool may_break_off(const struct plan *plan)
{
    bool trains = plan->algo != NULL && !plan->place.simulated;
    return trains && (plan->algo->meets == ALGO_MEETS_ONE || plan->place.worker_count == 1);
}

enum status plan_device_create(const struct plan *plan, struct device **out)
{
    const struct config *config = plan->config;
    struct device_params params = {
        .name = config->device.name,
        .threads = (int)config->device.threads,
        .precision = config->device.precision,
        .deterministic = config->device.deterministic,
        .local_rank = plan->place.local_rank,
        .cancel = may_break_off(plan) ? interrupt_cancels : NULL,
    };
    return plan->ops->create(&params, out);
}

static enum status open_device(struct plan *plan)
{
    plan->ops = device_choose(plan->config->device.name);
    if (plan->ops == NULL)
        return STATUS_USAGE;
    TRY(plan_device_create(plan, &plan->device));
    if (plan->place.dry || plan->train == NULL || plan->train->bytes == NULL || plan->ops->pictures_create == NULL)
        return STATUS_OK;
    return plan->ops->pictures_create(plan->device, plan->train->bytes, &plan->pictures);
}

static enum status check_algorithm(const char *name)
{
    const char *const *names = algo_names();
    if (algo_find(name) != NULL)
        return STATUS_OK;
    struct text allowed = {0};
    size_t count = 0;
    while (names[count] != NULL)
        count++;
    const char *nearest = text_nearest(name, names, count);
    text_add_list(&allowed, names, count);
    if (nearest != NULL)
        log_error("algorithm.name: unknown algorithm \"%s\"; did you mean \"%s\"? (%s)", name, nearest,
                  text_view(&allowed));
    else
        log_error("algorithm.name: unknown algorithm \"%s\"; there are %s", name, text_view(&allowed));
    text_release(&allowed);
    return STATUS_USAGE;
}

/* The rates of the graph's edges, and the spectrum that follows. Every worker finds the same ones. */
static enum status choose_rates(struct plan *plan)
{
    const struct config *config = plan->config;
    if (strcmp(config->graph.rates, "best") != 0)
        return spectrum_compute(plan->graph, &plan->spectrum);
    struct best_rates_params params = {
        .budget = rate_budget_from(config->graph.budget),
        .worker_rate = config->communication.rate,
    };
    struct best_rates found;
    TRY(best_rates_find(plan->graph, &params, &found));
    plan->spectrum = found.best;
    return STATUS_OK;
}

/* Constants that do not follow from the graph: NAN where one does. */
static struct acid_constants given_constants(const struct plan *plan)
{
    const struct config *config = plan->config;
    bool momentum = plan->algo->has_momentum_vector;
    struct acid_constants given = {
        .eta = config->algorithm.eta, .alpha = config->algorithm.alpha, .alpha_tilde = config->algorithm.alpha_tilde};
    if (isnan(given.eta) && !momentum)
        given.eta = 0;
    if (isnan(given.alpha) && !momentum)
        given.alpha = 0.5;
    if (isnan(given.alpha_tilde) && !momentum)
        given.alpha_tilde = 0.5;
    return given;
}

/* Names are checked where nothing looks at them, too: a mistyped one would come to light in another run. */
static enum status check_names(const struct config *config)
{
    TRY(check_algorithm(config->algorithm.name));
    TRY(model_check_name(config->model.name));
    return strcmp(config->graph.name, "file") == 0 ? STATUS_OK : graph_family_check(config->graph.name);
}

/* The graph and the constants: by the theorem for A²CiD², η = 0 and α = α̃ = ½ for others, unless the config says
 * otherwise. */
static enum status build_graph(struct plan *plan)
{
    const struct config *config = plan->config;
    plan->constants = (struct acid_constants){.eta = 0, .alpha = 0.5, .alpha_tilde = 0.5};
    if (plan->algo->meets == ALGO_MEETS_EVERYONE)
        return STATUS_OK;
    struct graph_params params = {
        .name = config->graph.file[0] != '\0' ? "file" : config->graph.name,
        .file = config->graph.file,
        .worker_count = plan->place.worker_count,
        .rate = config->communication.rate,
        .degree = (int)config->graph.degree,
        .probability = config->graph.probability,
        .seed = (uint64_t)config->graph.seed,
    };
    TRY(graph_create(&params, &plan->graph));
    plan_describe_edges(plan);
    TRY(choose_rates(plan));
    plan->given = given_constants(plan);
    plan->constants = acid_constants_given(&plan->spectrum, &plan->given);
    return STATUS_OK;
}

static enum on_nan on_nan_of(const struct config *config)
{
    if (strcmp(config->train.on_nan, "stop") == 0)
        return ON_NAN_STOP;
    return strcmp(config->train.on_nan, "skip") == 0 ? ON_NAN_SKIP : ON_NAN_REJOIN;
}

/* A replay averages: it does not know of models that were taken over. */
static enum status check_recorded(const struct plan *plan)
{
    const struct config *config = plan->config;
    if (!config->run.record || on_nan_of(config) != ON_NAN_REJOIN)
        return STATUS_OK;
    log_error("run.record: the events of a run with train.on_nan=rejoin cannot be replayed; set train.on_nan=skip, or "
              "run.record=false");
    return STATUS_USAGE;
}

/* What is injected acts here, or the user hears that it does not. */
static enum status check_injected(const struct plan *plan)
{
    const struct config *config = plan->config;
    const char *transport = config->communication.transport;
    bool simulated = plan->place.simulated, damages = scenario_damages(plan->scenario);
    if (simulated && strcmp(config->simulate.time, "ideal") == 0 && plan_injects(config))
        log_warning("inject.* acts in modelled time (simulate.time=modelled); in ideal time nothing goes wrong");
    else if (simulated && damages)
        log_warning("inject.duplicate, inject.torn and inject.corrupt damage real messages, of `train`: they are "
                    "ignored");
    if (plan->graph == NULL && !simulated && (config->inject.links[0] != '\0' || config->inject.loss > 0 || damages))
        log_warning("inject.links, loss, duplicate, torn and corrupt act on meetings of two workers; "
                    "algorithm.name=%s has none, and they are ignored",
                    plan->algo->name);
    if (simulated || !damages || (strcmp(transport, "ipc") != 0 && strcmp(transport, "cuda") != 0))
        return STATUS_OK;
    log_error("inject.duplicate, inject.torn and inject.corrupt damage snapshots in host memory, and "
              "communication.transport=%s brings them from GPU to GPU; set it to put or sendrecv",
              transport);
    return STATUS_USAGE;
}

/* What is injected. Under MPI the real network's links come first: no latency and no limit are added to them. */
static enum status create_scenario(struct plan *plan)
{
    const struct config *config = plan->config;
    bool simulated = plan->place.simulated;
    struct scenario_params params = {
        .slow = config->inject.slow,
        .pause = config->inject.pause,
        .death = config->inject.death,
        .nan = config->inject.nan,
        .links = config->inject.links,
        .loss = config->inject.loss,
        .damage = {.duplicate = config->inject.duplicate,
                   .torn = config->inject.torn,
                   .corrupt = config->inject.corrupt},
        .latency_s = simulated ? config->simulate.latency_s : 0,
        .bytes_per_second = simulated ? config->simulate.bytes_per_second : (double)INFINITY,
        .worker_count = plan->place.worker_count,
        .graph = plan->graph,
    };
    TRY(scenario_create(&params, &plan->scenario));
    return check_injected(plan);
}

double plan_rate_wanted(const struct plan *plan)
{
    double rate = plan->config->communication.rate, mean = graph_mean_rate(plan->graph);
    return fabs(mean - rate) <= 1e-9 * rate ? rate : mean; /* the sum over edges is rounded */
}

bool plan_injects(const struct config *config)
{
    const char *const texts[] = {config->inject.slow, config->inject.pause, config->inject.death, config->inject.nan,
                                 config->inject.links};
    for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++)
        if (texts[k][0] != '\0')
            return true;
    return config->inject.loss > 0 || config->inject.duplicate > 0 || config->inject.torn > 0 ||
           config->inject.corrupt > 0;
}

enum status plan_schedule(const struct config *config, int worker_count, struct schedule *out)
{
    struct schedule_params params = {
        .name = config->schedule.name,
        .base_rate = config->optimizer.lr,
        .per_samples = config->optimizer.lr_per_samples,
        .batch = (size_t)config->train.batch,
        .worker_count = worker_count,
        .epochs = config->train.epochs,
        .warmup_epochs = isnan(config->schedule.warmup_epochs) ? -1 : config->schedule.warmup_epochs,
        .milestone_count = config->schedule.milestones.count,
        .factor = config->schedule.factor,
    };
    memcpy(params.milestones, config->schedule.milestones.items, sizeof params.milestones);
    return schedule_init(out, &params);
}

/* Epochs are summed over workers: one is a pass over the training pictures, whoever makes it. */
static enum status count_gradients(struct plan *plan)
{
    size_t pictures = plan->train->count - plan->held_out.count;
    plan->gradients_per_epoch = (double)pictures / (double)plan->config->train.batch;
    double total = ceil(plan->gradients_per_epoch * plan->config->train.epochs);
    if (total < plan->place.worker_count) {
        log_error(
            "train.epochs: %g epochs of %zu pictures in batches of %lld are %g gradients, fewer than the %d workers; "
            "raise train.epochs or lower train.batch",
            plan->config->train.epochs, pictures, (long long)plan->config->train.batch, total,
            plan->place.worker_count);
        return STATUS_USAGE;
    }
    plan->gradient_total = (uint64_t)total;
    return STATUS_OK;
}

/* Where a GPU's gradients are averaged while they are computed there is no moment to spoil one. */
static enum status check_spoiling(const struct plan *plan)
{
    bool averaged = !plan->place.simulated && plan->algo->meets == ALGO_MEETS_EVERYONE;
    if (plan->config->inject.nan[0] == '\0' || !averaged || plan->ops->host_memory)
        return STATUS_OK;
    log_error(
        "inject.nan does not act on all-reduce on a GPU; set device.name=cpu, or algorithm.name to one that meets "
        "neighbors");
    return STATUS_USAGE;
}

static enum status choose_data_threads(struct plan *plan)
{
    plan->data_threads = plan_data_threads(plan);
    return thread_room(plan->data_threads - 1, "data.threads");
}

static enum status fill(struct plan *plan)
{
    TRY(plan_read_picture_sizes(plan));
    TRY(check_names(plan->config));
    plan->algo = algo_find(plan->config->algorithm.name);
    TRY(build_graph(plan));
    TRY(create_scenario(plan));
    TRY(check_recorded(plan));
    TRY(plan_open_test_data(plan));
    TRY(plan_open_training_data(plan));
    plan_describe_data(plan);
    TRY(plan_model_build(plan));
    TRY(plan_schedule(plan->config, plan->place.worker_count, &plan->schedule));
    TRY(count_gradients(plan));
    TRY(plan_model_check_sizes(plan));
    TRY(init_parameters(plan));
    TRY(open_device(plan));
    TRY(choose_data_threads(plan));
    return check_spoiling(plan);
}

static enum status fill_evaluation(struct plan *plan)
{
    TRY(plan_read_picture_sizes(plan));
    TRY(check_names(plan->config));
    TRY(plan_open_test_data(plan));
    TRY(plan_model_build(plan));
    plan->initial_parameters = memory_alloc_aligned_for(plan->spec->parameter_size * sizeof(float),
                                                        "the parameters of model %s", plan->spec->name);
    plan->initial_buffers = memory_zalloc(plan->spec->buffer_size + 1, sizeof(float));
    TRY(open_device(plan));
    return choose_data_threads(plan);
}

static enum status fill_data(struct plan *plan)
{
    TRY(plan_read_picture_sizes(plan));
    TRY(check_names(plan->config));
    TRY(plan_open_training_data(plan));
    return choose_data_threads(plan);
}

static enum status create(const struct config *config, const struct plan_place *place,
                          enum status (*fill_plan)(struct plan *plan), struct plan **out)
{
    struct plan *plan = memory_zalloc(1, sizeof *plan);
    plan->config = config;
    plan->place = *place;
    enum status status = fill_plan(plan);
    if (status != STATUS_OK)
        plan_destroy(plan);
    else
        *out = plan;
    return status;
}

enum status plan_create(const struct config *config, const struct plan_place *place, struct plan **out)
{
    return create(config, place, fill, out);
}

enum status plan_create_evaluation(const struct config *config, struct plan **out)
{
    const struct plan_place alone = {.worker = 0, .worker_count = 1, .local_rank = 0};
    return create(config, &alone, fill_evaluation, out);
}

enum status plan_create_data(const struct config *config, struct plan **out)
{
    const struct plan_place alone = {.worker = 0, .worker_count = 1, .local_rank = 0};
    return create(config, &alone, fill_data, out);
}

void plan_destroy(struct plan *plan)
{
    if (plan == NULL)
        return;
    if (plan->pictures != NULL)
        plan->ops->pictures_destroy(plan->pictures);
    if (plan->device != NULL)
        plan->ops->destroy(plan->device);
    memory_free_aligned(plan->initial_parameters);
    free(plan->initial_buffers);
    partition_release(&plan->partition);
    partition_release(&plan->held_out);
    dataset_close(plan->held_out_set);
    dataset_close(plan->train);
    dataset_close(plan->test);
    model_destroy(plan->spec);
    scenario_destroy(plan->scenario);
    graph_destroy(plan->graph);
    text_release(&plan->edges);
    text_release(&plan->class_names);
    text_release(&plan->train_data);
    text_release(&plan->test_data);
    free(plan);
}

struct optimizer_params plan_optimizer_params(const struct config *config)
{
    return (struct optimizer_params){
        .momentum = config->optimizer.momentum,
        .weight_decay = config->optimizer.weight_decay,
        .clip_norm = config->optimizer.clip_norm,
        .nesterov = config->optimizer.nesterov,
        .decay_norm_and_bias = config->optimizer.decay_norm_and_bias,
    };
}

int plan_jobs(const struct plan *plan)
{
    const struct config *config = plan->config;
    const size_t short_gradient = (size_t)1 << 22; /* below, threads wait for one another longer than they compute */
    int jobs = (int)config->simulate.jobs, most = plan->place.worker_count;
    if (!plan->place.simulated || !plan->ops->host_memory || strcmp(config->simulate.time, "ideal") != 0 ||
        strcmp(config->train.on_nan, "stop") != 0 || plan->algo->meets == ALGO_MEETS_EVERYONE)
        return 1;
    if (jobs == 0 && plan->spec->parameter_size * (size_t)config->train.batch >= short_gradient)
        jobs = machine_cores() / (int)config->device.threads;
    return jobs < 1 ? 1 : jobs < most ? jobs : most;
}

struct engine_params plan_engine_params(const struct plan *plan)
{
    return (struct engine_params){
        .data_threads = plan->data_threads,
        .ops = plan->ops,
        .device = plan->device,
        .spec = plan->spec,
        .batch = (size_t)plan->config->train.batch,
        .picks = plan->pictures != NULL,
        .shared = true,
        .spec_of_size = plan_model_of_size,
        .spec_context = plan,
    };
}

struct worker_params plan_worker_params(const struct plan *plan)
{
    return (struct worker_params){
        .worker = plan->place.worker,
        .worker_count = plan->place.worker_count,
        .seed = (uint64_t)plan->config->seed,
        .batch = (size_t)plan->config->train.batch,
        .ops = plan->ops,
        .device = plan->device,
        .spec = plan->spec,
        .spec_of_size = plan_model_of_size,
        .spec_context = plan,
        .sizes = plan_picture_sizes(plan),
        .algo = plan->algo,
        .eta = plan->constants.eta,
        .alpha = plan->constants.alpha,
        .alpha_tilde = plan->constants.alpha_tilde,
        .optimizer = plan_optimizer_params(plan->config),
        .schedule = plan->schedule,
        .train = plan->train,
        .partition = &plan->partition,
        .test = plan->test,
        .held_out_set = plan->held_out_set,
        .held_out = plan->held_out_set != NULL ? &plan->held_out : NULL,
        .pictures = plan->pictures,
        .augment = plan->config->data.augment,
        .data_threads = plan->data_threads,
        .initial_parameters = plan->initial_parameters,
        .initial_buffers = plan->initial_buffers,
    };
}

static enum batch_norm_policy batch_norm_policy_of(const struct config *config)
{
    if (strcmp(config->batch_norm.policy, "own") == 0)
        return BATCH_NORM_OWN;
    return strcmp(config->batch_norm.policy, "averaged") == 0 ? BATCH_NORM_AVERAGED : BATCH_NORM_RECOMPUTED;
}

struct runtime_params plan_runtime_params(const struct plan *plan)
{
    const struct config *config = plan->config;
    return (struct runtime_params){
        .seed = (uint64_t)config->seed,
        .graph = plan->graph,
        .mixing = {.eta = plan->constants.eta,
                   .alpha = plan->constants.alpha,
                   .alpha_tilde = plan->constants.alpha_tilde,
                   .momentum = config->optimizer.momentum},
        .given = plan->given,
        .scenario = plan->scenario,
        .gradient_total = plan->gradient_total,
        .gradients_before = plan->gradients_before,
        .gradients_per_epoch = plan->gradients_per_epoch,
        .log_every = (uint64_t)config->run.log_every,
        .eval_every_epochs = config->run.eval_every_epochs,
        .checkpoint_every_epochs = config->run.checkpoint_every_epochs,
        .state_every_epochs = config->run.state_every_epochs,
        .validation = plan->held_out_set != NULL,
        .enforce_rate = config->communication.enforce_rate,
        .pending_limit = (size_t)config->communication.pending,
        .transport = config->communication.transport,
        .records = (int)config->communication.records,
        .patience_s = config->communication.patience_s,
        .chunk_bytes = (size_t)config->communication.chunk_bytes / 64 * 64,
        .bucket_bytes = (size_t)config->communication.bucket_bytes,
        .on_nan = on_nan_of(config),
        .batch_norm = batch_norm_policy_of(config),
        .batch_norm_batches = (int)config->batch_norm.batches,
    };
}

static enum duration_law duration_law_of(const char *name)
{
    static const char *const names[] = {[DURATION_CONSTANT] = "constant",
                                        [DURATION_NORMAL] = "normal",
                                        [DURATION_LOGNORMAL] = "lognormal",
                                        [DURATION_EXPONENTIAL] = "exponential"};
    enum duration_law law = DURATION_CONSTANT;
    while (strcmp(names[law], name) != 0)
        law++; /* the schema lets no other word pass */
    return law;
}

struct simulation_params plan_simulation_params(const struct plan *plan, const struct runtime_params *run)
{
    const struct config *config = plan->config;
    return (struct simulation_params){
        .run = run,
        .time = strcmp(config->simulate.time, "modelled") == 0 ? SIMULATED_MODELLED : SIMULATED_IDEAL,
        .poisson = strcmp(config->simulate.gradients, "poisson") == 0,
        .law = duration_law_of(config->simulate.distribution),
        .step_s = config->simulate.step_s,
        .jitter = config->simulate.jitter,
        .speed_spread = config->simulate.speed_spread,
        .overlap = config->simulate.overlap,
        .scenario = plan->scenario,
        .ops = plan->ops,
        .device = plan->device,
    };
}
