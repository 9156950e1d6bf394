/* The files of a run that do not depend on which runtime ran it. */
#include "app/run_output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/checkpoint.h"
#include "app/class_counts.h"
#include "app/command.h"
#include "app/run_directory.h"
#include "app/summary.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "runtime/runtime.h"

static const char best_name[] = "best.safetensors";

void run_output_write_config(const void *context, FILE *out)
{
    config_write(context, out);
}

/* `*path`, owned, from the root on; "" stays. */
static void make_absolute(char **path)
{
    char *folder = getcwd(NULL, 0);
    if ((*path)[0] != '\0' && (*path)[0] != '/' && folder != NULL) {
        const char *rest = strncmp(*path, "./", 2) == 0 ? *path + 2 : *path;
        char *absolute = text_format("%s/%s", strcmp(folder, "/") == 0 ? "" : folder, rest);
        free(*path);
        *path = absolute;
    }
    free(folder);
}

void run_output_resolve_paths(struct config *config)
{
    const char *environment = getenv("GRAPEVINE_DATA");
    if (config->data.path[0] == '\0' && environment != NULL && dataset_has_files(config->data.name)) {
        free(config->data.path);
        config->data.path = memory_copy_text(environment);
    }
    make_absolute(&config->data.path);
    make_absolute(&config->graph.file);
    make_absolute(&config->model.init);
}

char *run_output_directory(const struct config *config, const char *config_path)
{
    if (config->run.dir[0] != '\0')
        return memory_copy_text(config->run.dir);
    const char *slash = strrchr(config_path, '/');
    const char *base = slash != NULL ? slash + 1 : config_path;
    const char *dot = strrchr(base, '.');
    return text_format("runs/%.*s", dot != NULL ? (int)(dot - base) : (int)strlen(base), base);
}

static struct checkpoint_info checkpoint_info(const struct run_output *output, double epoch)
{
    const struct dataset *set = output->plan->test;
    return (struct checkpoint_info){
        .data = output->config->data.name,
        .mean = set->mean,
        .deviation = set->deviation,
        .input_mean = set->input_mean,
        .input_deviation = set->input_deviation,
        .class_names = text_view(&output->plan->class_names),
        .batch_norm = "own",
        .epoch = epoch,
        .batches_tracked = (int64_t)(epoch * output->plan->gradients_per_epoch) / output->workers,
    };
}

/* Decimals that all multiples of a period can be told apart with. */
static int decimals_of(double period)
{
    enum { MOST = 6 };
    double scaled = period;
    for (int decimals = 0; decimals < MOST; decimals++, scaled *= 10)
        if (fabs(scaled - round(scaled)) <= 1e-9 * scaled)
            return decimals;
    return MOST;
}

char *run_output_checkpoint_name(double period, double epochs, double epoch)
{
    int decimals = decimals_of(period), digits = snprintf(NULL, 0, "%.0f", epochs);
    int width = (digits > 4 ? digits : 4) + (decimals > 0 ? 1 + decimals : 0);
    return text_format("checkpoint-%0*.*f.safetensors", width, decimals, runtime_periods_over(period, epoch) * period);
}

/* A copy of worker 0's replica in mid-run. */
void run_output_checkpoint(void *context, bool best, double epoch, const float *parameters, const float *buffers)
{
    const struct run_output *output = context;
    const struct plan *plan = output->plan;
    if (!output->writes || (best && !output->config->run.keep_best) || plan->ops->health(plan->device) != STATUS_OK)
        return;
    char *name = best ? memory_copy_text(best_name)
                      : run_output_checkpoint_name(output->config->run.checkpoint_every_epochs,
                                                   output->config->train.epochs, epoch);
    char *path = run_directory_file(output->directory, name);
    struct checkpoint_info info = checkpoint_info(output, epoch);
    info.level = LOG_WARNING;
    checkpoint_write(path, plan->spec, parameters, buffers, &info);
    free(path);
    free(name);
}

static enum status write_as(const struct run_output *output, const char *name, const float *parameters,
                            const float *buffers)
{
    struct checkpoint_info info = checkpoint_info(output, output->config->train.epochs);
    info.batch_norm = output->config->batch_norm.policy;
    char *path = run_directory_file(output->directory, name);
    enum status status = checkpoint_write(path, output->plan->spec, parameters, buffers, &info);
    free(path);
    return status;
}

static bool has_best(const struct run_output *output)
{
    char *path = run_directory_file(output->directory, best_name);
    bool has = access(path, F_OK) == 0;
    free(path);
    return has;
}

/* The final model; it is also the best where no other has been tested on held-out images. */
static enum status write_final(const struct run_output *output, const float *parameters, const float *buffers)
{
    TRY(write_as(output, "final.safetensors", parameters, buffers));
    if (!output->config->run.keep_best || has_best(output))
        return STATUS_OK;
    log_info("run.keep_best: no replica was tested on held-out images during the run (run.eval_every_epochs is %g, "
             "train.epochs %g): %s is the final model",
             output->config->run.eval_every_epochs, output->config->train.epochs, best_name);
    return write_as(output, best_name, parameters, buffers);
}

static struct summary_injected injected(const struct config *config)
{
    return (struct summary_injected){
        .slow = config->inject.slow,
        .pause = config->inject.pause,
        .death = config->inject.death,
        .nan = config->inject.nan,
        .links = config->inject.links,
        .loss = config->inject.loss,
        .duplicate = config->inject.duplicate,
        .torn = config->inject.torn,
        .corrupt = config->inject.corrupt,
    };
}

static struct summary summarize(const struct run_output *output, const struct runtime_result *result)
{
    const struct plan *plan = output->plan;
    const struct config *config = output->config;
    bool pairs = plan->graph != NULL;
    return (struct summary){
        .version = GRAPEVINE_VERSION,
        .command = output->command,
        .config_file = output->config_path,
        .config = config,
        .train_data = text_view(&plan->train_data),
        .test_data = text_view(&plan->test_data),
        .learning_rate = plan->schedule.peak,
        .algorithm = plan->algo->name,
        .graph = pairs ? plan->graph->name : "everyone",
        .model = plan->spec->name,
        .data = config->data.name,
        .partition = config->data.partition,
        .mean = plan->test->mean,
        .deviation = plan->test->deviation,
        .channels = plan->test->channels,
        .test_images = plan->test->note,
        .transport = result->transport,
        .device = plan->ops->name,
        .batch_norm = config->batch_norm.policy,
        .workers = output->workers,
        .died = result->died,
        .seed = config->seed,
        .batch = (size_t)config->train.batch,
        .epochs = config->train.epochs,
        .chi1 = pairs ? plan->spectrum.chi1 : NAN,
        .chi2 = pairs ? plan->spectrum.chi2 : NAN,
        .eta = pairs ? plan->constants.eta : NAN,
        .alpha = pairs ? plan->constants.alpha : NAN,
        .alpha_tilde = pairs ? plan->constants.alpha_tilde : NAN,
        .rate_wanted = pairs && output->workers > 1 ? plan_rate_wanted(plan) : NAN,
        .gradients = result->gradients,
        .gradients_per_worker = result->gradients_per_worker,
        .exchanges = result->exchanges,
        .ticks = result->ticks,
        .ticks_unserved = result->ticks_unserved,
        .meetings_lost = result->meetings_lost,
        .payloads_damaged = result->payloads_damaged,
        .payloads_repeated = result->payloads_repeated,
        .injected = injected(config),
        .meetings = result->meetings,
        .idle = result->idle,
        .data_wait = result->data_wait,
        .samples_per_second = result->samples_per_second,
        .wall_seconds = result->wall_s,
        .finalisation_seconds = result->finalisation_s,
        .test_accuracy = evaluation_accuracy(&result->tested),
        .test_accuracy_top5 = evaluation_accuracy_top5(&result->tested),
        .test_loss = evaluation_loss(&result->tested),
        .test_accuracy_own_statistics = evaluation_accuracy(&result->tested_own_statistics),
        .test_accuracy_top5_own_statistics = evaluation_accuracy_top5(&result->tested_own_statistics),
        .consensus_distance = result->consensus_distance,
        .consensus_predicted = result->consensus_predicted,
        .chi1_realised = result->chi1_realised,
        .chi2_realised = result->chi2_realised,
        .optimum_distance = NAN,
        .optimum_gap = NAN,
    };
}

static enum status finish(const struct run_output *output, struct summary *summary, const float *parameters,
                          const float *buffers)
{
    TRY(write_final(output, parameters, buffers));
    if (output->optimum != NULL) {
        summary->optimum_distance = optimum_distance(output->optimum, parameters);
        summary->optimum_gap = optimum_gap(output->optimum, parameters);
    }
    TRY(summary_write(summary, output->directory));
    summary_print(summary, output->directory, stdout);
    return STATUS_OK;
}

enum status run_output_finish(const struct run_output *output, const struct runtime_result *result,
                              struct worker *worker, double real_s)
{
    const struct plan *plan = output->plan;
    struct summary summary = summarize(output, result);
    struct class_counts classes;
    TRY(class_counts_create(plan, &classes));
    summary.class_counts = classes.counts;
    summary.classes = classes.classes;
    size_t count = worker_parameter_size(worker), buffer_count = worker_buffer_size(worker);
    float *parameters = memory_alloc_aligned(count * sizeof parameters[0]);
    float *buffers = memory_zalloc(buffer_count + 1, sizeof buffers[0]);
    plan->ops->vector_read(plan->device, worker_parameters(worker), count, parameters);
    plan->ops->vector_read(plan->device, worker_buffers(worker), buffer_count, buffers);
    enum status status = plan->ops->health(plan->device);
    if (!isnan(real_s)) {
        summary.time = output->config->simulate.time;
        summary.virtual_time = result->wall_s;
        summary.wall_seconds = real_s - result->finalisation_s;
    }
    if (status == STATUS_OK)
        status = finish(output, &summary, parameters, buffers);
    class_counts_release(&classes);
    free(buffers);
    memory_free_aligned(parameters);
    return status;
}

struct event_log_header run_output_events(const struct run_output *output)
{
    const struct plan *plan = output->plan;
    struct event_log_header header = {
        .version = GRAPEVINE_VERSION,
        .worker_count = output->workers,
        .eta = plan->constants.eta,
        .alpha = plan->constants.alpha,
        .alpha_tilde = plan->constants.alpha_tilde,
        .config = command_config_digest(output->config),
    };
    snprintf(header.algorithm, sizeof header.algorithm, "%s", plan->algo->name);
    snprintf(header.time, sizeof header.time, "%s", plan->place.simulated ? output->config->simulate.time : "real");
    return header;
}

struct state_origin run_output_origin(const struct plan *plan, uint64_t gradients_before)
{
    return (struct state_origin){
        .gradients_before = gradients_before,
        .train_data = text_view(&plan->train_data),
        .test_data = text_view(&plan->test_data),
        .classes = {.names = plan->train->class_names, .count = plan->train->class_count},
    };
}

/* The configuration that the run in the directory began with; NULL (logged) where it cannot be read. */
static struct config *read_before(const char *directory)
{
    struct config *before = config_create();
    char *path = run_directory_file(directory, "config.yaml");
    enum status status = config_load(before, path);
    free(path);
    if (status == STATUS_OK)
        return before;
    config_destroy(before);
    return NULL;
}

bool run_output_is_longer(const struct config *config, const char *directory)
{
    struct config *before = read_before(directory);
    bool longer = before != NULL && config->train.epochs > before->train.epochs;
    config_destroy(before);
    return longer;
}

void run_output_tell_done(const struct config *config, const char *directory)
{
    struct config *before = config_create();
    struct text list = {0};
    char *path = run_directory_file(directory, "config.yaml");
    if (config_load(before, path) == STATUS_OK && config_differences(before, config, &list) > 0)
        log_warning("the run in %s has come to its end with other settings (%s), and nothing is done; choose another "
                    "run.dir for these",
                    directory, text_view(&list));
    else
        log_info("the run in %s has come to its end", directory);
    free(path);
    text_release(&list);
    config_destroy(before);
}

enum status run_output_refuse_longer(const char *directory)
{
    log_error("the run in %s has come to its end and has kept no state, so it cannot be made longer: states are kept "
              "with run.state_every_epochs=…; a run of its own begins with its model where model.init=%s/"
              "final.safetensors and another run.dir are given",
              directory, directory);
    return STATUS_USAGE;
}

static void tell_workers(const struct schedule *was, const struct schedule *is)
{
    log_info("the run had %d workers and has %d now: the learning rate's peak is %.4g, and was %.4g (optimizer.lr · "
             "train.batch · workers / optimizer.lr_per_samples%s)",
             was->params.worker_count, is->params.worker_count, is->peak, was->peak,
             is->params.per_samples == 0 ? ", where 0 of the latter scale nothing" : "");
}

void run_output_tell_schedule(const struct plan *plan, const char *directory, uint64_t gradients)
{
    struct config *before = read_before(directory);
    const struct schedule *is = &plan->schedule;
    struct schedule was;
    double epochs = (double)gradients / plan->gradients_per_epoch;
    if (before != NULL && plan_schedule(before, (int)before->train.workers, &was) == STATUS_OK) {
        double rate_was = schedule_rate(&was, epochs / was.params.epochs);
        double rate_is = schedule_rate(is, epochs / is->params.epochs);
        if (was.params.worker_count != is->params.worker_count)
            tell_workers(&was, is);
        else if (fabs(rate_is - rate_was) > 1e-9 * rate_was || was.params.epochs != is->params.epochs)
            log_info("the schedule is now that of %g epochs (it was of %g): at epoch %g the learning rate goes on at "
                     "%.4g, where it was %.4g",
                     is->params.epochs, was.params.epochs, epochs, rate_is, rate_was);
    }
    config_destroy(before);
}

enum status run_output_compare_settings(const struct config *config, const char *directory, bool workers,
                                        bool *same_network)
{
    struct config *before = config_create();
    struct text list = {0};
    char *path = run_directory_file(directory, "config.yaml");
    enum status status = config_load(before, path);
    if (status == STATUS_OK && config_differences(before, config, &list) > 0)
        log_warning("this run goes on with other settings than it began with: %s", text_view(&list));
    *same_network = status == STATUS_OK && config_same_section(before, config, "graph") &&
                    config_same_section(before, config, "algorithm") &&
                    (!workers || before->train.workers == config->train.workers);
    free(path);
    text_release(&list);
    config_destroy(before);
    return status;
}
