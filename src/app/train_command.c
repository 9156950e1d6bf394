/* grapevine train CONFIG [key=value ...] [--dry-run]: one training run, one worker per rank.
 *
 * Order: configuration, MPI, plan, run directory, worker, run, results. What every rank must agree on before it goes on
 * is agreed on (job_agree), so that an error comes out once and all ranks leave together. */
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/checkpoint.h"
#include "app/command.h"
#include "app/plan.h"
#include "app/progress_line.h"
#include "app/record.h"
#include "app/run_directory.h"
#include "app/summary.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

enum { START_LIMIT_S = 120 }; /* until the configuration is read */

struct training {
    int argument_count;
    char **arguments; /* borrowed from main: the configuration file, then key=value */
    const char *config_path;
    struct text command; /* the command line, for the record */
    bool dry_run;
    struct config *config; /* owned */
    struct job job;
    struct plan *plan;     /* owned */
    char *directory;       /* owned; the run directory's name */
    bool directory_made;   /* by rank 0, on a file system that all ranks see */
    struct record *record; /* owned */
    struct worker *worker; /* owned */
};

static void write_config(const void *context, FILE *out)
{
    const struct training *training = context;
    config_write(training->config, out);
}

/* run.dir, or runs/<name of the configuration file>. */
static char *directory_name(const struct training *training)
{
    if (training->config->run.dir[0] != '\0')
        return memory_copy_text(training->config->run.dir);
    const char *slash = strrchr(training->config_path, '/');
    const char *base = slash != NULL ? slash + 1 : training->config_path;
    const char *dot = strrchr(base, '.');
    return text_format("runs/%.*s", dot != NULL ? (int)(dot - base) : (int)strlen(base), base);
}

static struct checkpoint_info checkpoint_info(const struct training *training, double epoch)
{
    return (struct checkpoint_info){
        .data = training->config->data.name,
        .batch_norm = "own",
        .epoch = epoch,
        .batches_tracked = (int64_t)(epoch * training->plan->gradients_per_epoch) / training->job.size,
    };
}

/* A copy of worker 0's replica in mid-run. A disk that refuses it is reported, and training goes on. */
static void save_checkpoint(void *context, bool best, double epoch, const float *parameters, const float *buffers)
{
    struct training *training = context;
    if (training->job.rank != 0 || (best && !training->config->run.keep_best))
        return;
    char *name = best ? memory_copy_text("best.safetensors") : text_format("checkpoint-%04.0f.safetensors", epoch);
    char *path = run_directory_file(training->directory, name);
    struct checkpoint_info info = checkpoint_info(training, epoch);
    checkpoint_write(path, training->plan->spec, parameters, buffers, &info);
    free(path);
    free(name);
}

static enum status save_final(struct training *training)
{
    struct checkpoint_info info = checkpoint_info(training, training->config->train.epochs);
    info.batch_norm = training->config->batch_norm.policy;
    char *path = run_directory_file(training->directory, "final.safetensors");
    enum status status = checkpoint_write(path, training->plan->spec, worker_parameters(training->worker),
                                          worker_buffers(training->worker), &info);
    free(path);
    return status;
}

static struct summary summarize(const struct training *training, const struct runtime_result *result)
{
    const struct plan *plan = training->plan;
    const struct config *config = training->config;
    bool pairs = plan->graph != NULL;
    return (struct summary){
        .version = GRAPEVINE_VERSION,
        .command = text_view(&training->command),
        .config = training->config_path,
        .algorithm = plan->algo->name,
        .graph = pairs ? plan->graph->name : "everyone",
        .model = plan->spec->name,
        .data = config->data.name,
        .partition = config->data.partition,
        .transport = result->transport,
        .device = plan->ops->name,
        .batch_norm = config->batch_norm.policy,
        .workers = training->job.size,
        .seed = config->seed,
        .batch = (size_t)config->train.batch,
        .epochs = config->train.epochs,
        .chi1 = pairs ? plan->spectrum.chi1 : NAN,
        .chi2 = pairs ? plan->spectrum.chi2 : NAN,
        .eta = pairs ? plan->constants.eta : NAN,
        .alpha = pairs ? plan->constants.alpha : NAN,
        .alpha_tilde = pairs ? plan->constants.alpha_tilde : NAN,
        .rate_wanted = pairs && training->job.size > 1 ? config->communication.rate : NAN,
        .gradients = result->gradients,
        .gradients_per_worker = result->gradients_per_worker,
        .exchanges = result->exchanges,
        .ticks = result->ticks,
        .ticks_unserved = result->ticks_unserved,
        .meetings_lost = result->meetings_lost,
        .injected = {.slow = config->inject.slow,
                     .pause = config->inject.pause,
                     .death = config->inject.death,
                     .links = config->inject.links,
                     .loss = config->inject.loss},
        .meetings = result->meetings,
        .idle = result->idle,
        .data_wait = result->data_wait,
        .samples_per_second = result->samples_per_second,
        .wall_seconds = result->wall_s,
        .test_accuracy = result->test_accuracy,
        .test_loss = result->test_loss,
        .test_accuracy_own_statistics = result->test_accuracy_own_statistics,
        .consensus_distance = result->consensus_distance,
    };
}

/* Both threads of a rank on one core take turns instead of working together. */
static void warn_of_binding(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1 && sysconf(_SC_NPROCESSORS_ONLN) > 1)
        log_warning(
            "each rank is bound to a single core, which its two threads must share: use mpirun --bind-to none, or "
            "--map-by slot:PE=2");
}

static enum status make_directory(struct training *training)
{
    enum status status = STATUS_OK;
    if (training->job.rank == 0)
        status = run_directory_create(training->directory, write_config, training);
    return status;
}

static enum status open_record(struct training *training)
{
    struct record_params params = {
        .directory = training->directory,
        .rank = training->job.rank,
        .trace = training->config->run.trace,
        .tensorboard = training->config->run.tensorboard,
        .progress = training->job.rank == 0 ? stdout : NULL,
        .columns = progress_line_columns(),
    };
    return record_create(&params, &training->record);
}

/* One agreed step of the set-up: every rank runs it, and all go on only if all could. */
static enum status together(struct training *training, const char *step, enum status (*run)(struct training *))
{
    log_hold(true);
    enum status status = job_agree(&training->job, step, run(training));
    log_hold(false);
    return status;
}

/* Together too: a launcher ends all ranks when one has failed, maybe before rank 0 has spoken. */
static enum status read_config(struct training *training)
{
    TRY(command_read_config(training->argument_count, training->arguments, &training->config));
    training->config_path = training->arguments[0];
    training->job.limit_s = training->config->communication.limit_s;
    return STATUS_OK;
}

static enum status make_plan(struct training *training)
{
    struct plan_place place = {
        .worker = training->job.rank, .worker_count = training->job.size, .local_rank = training->job.local_rank};
    TRY(plan_create(training->config, &place, &training->plan));
    training->job.limit_s += scenario_longest_pause_s(training->plan->scenario);
    return STATUS_OK;
}

static enum status make_worker(struct training *training)
{
    struct worker_params params = plan_worker_params(training->plan);
    return worker_create(&params, &training->worker);
}

/* Every worker starts from worker 0's bits: the mathematical library may differ between hosts. */
static enum status share_start(struct training *training)
{
    struct plan *plan = training->plan;
    TRY(job_broadcast(&training->job, "initial parameters", plan->initial_parameters,
                      plan->spec->parameter_size * sizeof(float)));
    return job_broadcast(&training->job, "initial statistics", plan->initial_buffers,
                         plan->spec->buffer_size * sizeof(float));
}

static enum status finish_record(struct training *training, const struct runtime_result *result)
{
    record_close(training->record);
    training->record = NULL;
    TRY(job_barrier(&training->job, "end of the record"));
    if (training->job.rank != 0)
        return STATUS_OK;
    struct summary summary = summarize(training, result);
    record_merge(training->directory, training->job.size, training->job.size, training->config->run.trace);
    TRY(save_final(training));
    TRY(summary_write(&summary, training->directory));
    summary_print(&summary, training->directory, stdout);
    return STATUS_OK;
}

static enum status run(struct training *training)
{
    struct runtime_params params = plan_runtime_params(training->plan);
    struct runtime_result result;
    params.checkpoint = save_checkpoint;
    params.checkpoint_context = training;
    TRY(runtime_mpi_run(&params, &training->job, training->worker, record_observer(training->record), &result));
    enum status status = finish_record(training, &result);
    runtime_result_release(&result);
    return job_agree(&training->job, "results", status);
}

static enum status train(struct training *training)
{
    TRY(together(training, "configuration", read_config));
    TRY(together(training, "plan", make_plan));
    TRY(share_start(training));
    TRY(together(training, "worker", make_worker));
    if (training->dry_run) {
        if (training->job.rank == 0)
            plan_print(training->plan, worker_bytes(training->worker), stdout);
        return STATUS_OK;
    }
    training->directory = directory_name(training);
    TRY(together(training, "run directory", make_directory));
    training->directory_made = true;
    TRY(together(training, "record", open_record));
    if (training->job.rank == 0) {
        warn_of_binding();
        log_debug("run directory %s", training->directory);
    }
    return run(training);
}

static void release(struct training *training)
{
    record_close(training->record);
    worker_destroy(training->worker);
    plan_destroy(training->plan);
    config_destroy(training->config);
    text_release(&training->command);
    free(training->directory);
}

/* Takes "--dry-run" out of the arguments; returns how many are left. */
static int take_dry_run(int count, char **arguments, bool *dry_run)
{
    int left = 0;
    for (int i = 0; i < count; i++) {
        if (strcmp(arguments[i], "--dry-run") == 0)
            *dry_run = true;
        else
            arguments[left++] = arguments[i];
    }
    return left;
}

int command_train(int count, char **arguments)
{
    struct training training = {.arguments = arguments, .job = {.limit_s = START_LIMIT_S}};
    text_add(&training.command, "grapevine train");
    for (int i = 0; i < count; i++)
        text_add(&training.command, " %s", arguments[i]);
    training.argument_count = take_dry_run(count, arguments, &training.dry_run);
    enum status status = job_start(NULL, NULL, &training.job);
    if (status == STATUS_OK)
        status = train(&training);
    /* Rank 0 writes how the run ended; a rank that fails alone does, before it ends the others. */
    bool alone = status != STATUS_OK && !training.job.agreed;
    if (training.directory_made && (training.job.rank == 0 || alone))
        run_directory_finish(training.directory, status);
    struct job job = training.job;
    release(&training);
    return job_finish(&job, status);
}
