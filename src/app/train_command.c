/* grapevine train CONFIG [key=value ...] [--dry-run] [--resume auto]: one training run, one worker per rank.
 *
 * Order: configuration, MPI, plan, worker, state, run directory, run, results. What every rank must agree on before it
 * goes on is agreed on (job_agree), so that an error comes out once and all ranks leave together. */
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/agreement.h"
#include "app/command.h"
#include "app/idle_settings.h"
#include "app/metrics_merge.h"
#include "app/plan.h"
#include "app/plan_memory.h"
#include "app/progress_line.h"
#include "app/record.h"
#include "app/run_agreement.h"
#include "app/run_claim.h"
#include "app/run_directory.h"
#include "app/run_options.h"
#include "app/run_output.h"
#include "app/scalar_events.h"
#include "app/state_file.h"
#include "app/state_mean.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "base/text.h"

enum { START_LIMIT_S = 120 /* until the configuration is read */, OPTIMUM_LIMIT_S = 3600 };

struct training {
    int argument_count;
    char **arguments; /* borrowed from main: the configuration file, then key=value */
    const char *config_path;
    struct text command; /* the command line, for the record */
    struct run_options options;
    struct config *config; /* owned */
    struct job job;
    struct plan *plan;        /* owned */
    char *directory;          /* owned; the run directory's name */
    struct run_lock *lock;    /* owned; NULL: the directory is not this run's yet */
    bool directory_made;      /* by rank 0, on a file system that all ranks see: from then on it is written */
    bool is_done;             /* the run in it has come to its end */
    bool is_longer;           /* it had, and is given more epochs */
    bool goes_on;             /* the directory is that of a run that was interrupted */
    struct state_file *state; /* owned; NULL: the run starts at the beginning */
    uint64_t done_before;     /* gradients of all after which that was kept */
    struct state_mean mean;   /* what it starts from then, unless nobody's */
    struct record *record;    /* owned */
    bool merged;              /* its parts have been, by this rank */
    struct worker *worker;    /* owned */
    struct optimum *optimum;  /* owned; NULL: not known, or another rank's */
};

static struct run_output output_of(const struct training *training)
{
    return (struct run_output){
        .config = training->config,
        .config_path = training->config_path,
        .command = text_view(&training->command),
        .plan = training->plan,
        .directory = training->directory,
        .workers = training->job.worker_count,
        .optimum = training->optimum,
        .writes = training->job.rank == 0,
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

/* --- states --- */

static struct state_file_place place_of(const struct training *training)
{
    const struct job *job = &training->job;
    return (struct state_file_place){.directory = training->directory,
                                     .rank = job->rank,
                                     .size = job->size,
                                     .left_of = job->size < job->worker_count ? job->worker_count : 0};
}

/* Of workers whose mean this run began with. */
static uint64_t gradients_before(const struct training *training)
{
    return training->state != NULL ? state_file_info(training->state).gradients_before : training->mean.gradients;
}

/* The last: every rank writes its part, and all know whether all could. */
static enum status save_state(void *context, const struct run_state *state)
{
    struct training *training = context;
    struct state_file_place place = place_of(training);
    const struct plan *plan = training->plan;
    struct state_origin origin = run_output_origin(plan, gradients_before(training));
    double begin_s = stopwatch_now();
    record_sync(training->record);
    log_hold(true);
    enum status status = job_agree(&training->job, "state",
                                   state_file_write(&place, plan->ops, plan->device, state, &origin, LOG_ERROR));
    log_hold(false);
    TRY(status);
    state_file_prune(&place, (int)training->config->run.keep_states);
    if (training->job.rank == 0)
        log_warning("asked to leave after %llu of %llu gradients: the state is kept in %s (in %.2f s); the same "
                    "command with --resume auto goes on",
                    (unsigned long long)state->gradients, (unsigned long long)plan->gradient_total, training->directory,
                    stopwatch_now() - begin_s);
    return STATUS_OK;
}

/* At intervals, by a thread of its own: the run's newest state once the parts of all ranks are there. */
static void keep_state(void *context, const struct run_state *state)
{
    const struct training *training = context;
    struct state_file_place place = place_of(training);
    const struct plan *plan = training->plan;
    struct state_origin origin = run_output_origin(plan, gradients_before(training));
    double begin_s = stopwatch_now();
    record_sync(training->record);
    if (state_file_write(&place, plan->ops, plan->device, state, &origin, LOG_WARNING) != STATUS_OK)
        return; /* it has said so */
    state_file_prune(&place, (int)training->config->run.keep_states);
    log_debug("the part of worker %d in the state after %llu gradients is written (in %.2f s)", training->job.rank,
              (unsigned long long)state->gradients, stopwatch_now() - begin_s);
}

static uint64_t recorded(void *context)
{
    return record_length(((const struct training *)context)->record);
}

static enum status restore_state(void *context, struct run_state *state)
{
    struct training *training = context;
    TRY(state_file_read(training->state, training->plan->ops, training->plan->device, state));
    if (training->job.rank == 0)
        log_info("goes on from %s and those of the other ranks", state_file_path(training->state));
    return STATUS_OK;
}

/* What rank 0 finds in the directory, for all. */
struct found_run {
    bool is_done, is_longer, goes_on;
};

static enum status look_for_run(struct training *training)
{
    struct found_run found = {0};
    if (training->job.rank == 0 && run_directory_exists(training->directory))
        found = (struct found_run){.is_done = run_directory_done(training->directory), .goes_on = true};
    found.is_longer = found.is_done && run_output_is_longer(training->config, training->directory);
    found.is_done &= !found.is_longer;
    TRY(job_broadcast(&training->job, "run in the directory", &found, sizeof found));
    training->is_done = found.is_done;
    training->is_longer = found.is_longer;
    training->goes_on = found.goes_on;
    return STATUS_OK;
}

struct found_states {
    double count;
    uint64_t gradients[STATE_FILES_MOST];
    struct state_mean mean;
};

/* By rank 0. */
static enum status look(struct training *training, struct found_states *found)
{
    struct state_file_place place = place_of(training);
    bool same_network = true;
    TRY(run_output_compare_settings(training->config, training->directory, false, &same_network));
    found->count = same_network ? state_file_list(&place, found->gradients) : 0;
    found->mean = state_mean_find(training->directory);
    bool of_survivors = found->mean.left_of > 0; /* nobody can go on where they were */
    if (of_survivors && found->count > 0 && found->mean.gradients > found->gradients[0])
        found->count = 0;
    if (found->count > 0)
        found->mean = (struct state_mean){0};
    return STATUS_OK;
}

static enum status look_for_states(struct training *training)
{
    struct found_states found = {0};
    struct state_file_place place = place_of(training);
    log_hold(true);
    enum status status = training->job.rank == 0 ? look(training, &found) : STATUS_OK;
    status = job_agree(&training->job, "settings of the run that goes on", status);
    log_hold(false);
    TRY(status);
    TRY(job_broadcast(&training->job, "states in the run directory", &found, sizeof found));
    training->mean = found.mean;
    for (int i = 0; i < (int)found.count && training->state == NULL; i++) {
        log_hold(true);
        double bad = state_file_open_at(&place, found.gradients[i], &training->state) != STATUS_OK;
        log_hold(false);
        TRY(job_sum_doubles(&training->job, "states of all ranks", &bad, 1));
        training->done_before = found.gradients[i];
        if (bad == 0)
            continue;
        state_file_close(training->state);
        training->state = NULL;
        log_warning("the state after %llu gradients is not whole; the one before it is looked for",
                    (unsigned long long)found.gradients[i]);
    }
    return STATUS_OK;
}

static enum status check_resume(struct training *training)
{
    if (training->options.resume == NULL)
        return STATUS_OK;
    if (strcmp(training->options.resume, "auto") != 0) {
        log_error("--resume %s: a training run goes on from its newest state alone; give --resume auto",
                  training->options.resume);
        return STATUS_USAGE;
    }
    if (training->config->run.record) {
        log_error(
            "run.record: the events of a run that goes on are not known to its replay; leave --resume out, or set "
            "run.record=false");
        return STATUS_USAGE;
    }
    return STATUS_OK;
}

/* Gradients of all, of which the run goes on. */
static uint64_t done_before(const struct training *training)
{
    return training->state != NULL ? training->done_before : training->mean.gradients;
}

static enum status check_state(struct training *training)
{
    struct state_origin origin = run_output_origin(training->plan, 0);
    return training->state != NULL ? state_file_check_origin(training->state, &origin) : STATUS_OK;
}

/* Nobody's state fits: the mean of other workers', which rank 0 makes known to all, or the beginning. */
static enum status read_mean(struct training *training)
{
    struct plan *plan = training->plan;
    if (training->job.rank != 0 || !training->goes_on || training->state != NULL)
        return STATUS_OK;
    const struct state_origin origin = run_output_origin(plan, 0);
    if (training->mean.workers > 0)
        return state_mean_read(training->directory, &training->mean, plan->spec, &origin, plan->initial_parameters,
                               plan->initial_buffers);
    if (training->is_longer)
        return run_output_refuse_longer(training->directory);
    log_info("no state is kept in %s: the run starts at the beginning", training->directory);
    return STATUS_OK;
}

/* The folder of a run that begins. */
static enum status make_folder(struct training *training)
{
    return training->job.rank == 0 ? run_directory_make(training->directory) : STATUS_OK;
}

static enum status write_directory(struct training *training)
{
    if (training->goes_on) { /* what was kept after that is another run's: its parts are not to be mixed with ours */
        struct state_file_place place = place_of(training);
        state_file_forget_later(&place, done_before(training));
    }
    if (training->job.rank != 0)
        return STATUS_OK;
    if (!training->goes_on)
        return run_directory_create(training->directory, run_output_write_config, training->config);
    state_file_remove_unfinished(training->directory);
    if (training->state == NULL)
        TRY(state_mean_keep_metrics(training->directory, training->mean.gradients));
    else if (training->is_longer)
        TRY(metrics_take_apart(training->directory, training->job.size, training->done_before));
    return run_directory_reopen(training->directory, run_output_write_config, training->config);
}

static enum status make_record(struct training *training)
{
    struct run_output output = output_of(training);
    struct event_log_header events = run_output_events(&output);
    struct record_params params = {
        .directory = training->directory,
        .rank = training->job.rank,
        .events = training->config->run.record ? &events : NULL,
        .trace = training->config->run.trace,
        .tensorboard = training->config->run.tensorboard,
        .progress = training->job.rank == 0 ? stdout : NULL,
        .columns = progress_line_columns(),
        .later = training->state != NULL,
        .goes_on = training->state != NULL,
        .metrics_bytes = training->state != NULL ? state_file_info(training->state).metrics_bytes : 0,
        .steps_before = training->plan->gradients_before,
    };
    return record_create(&params, &training->record);
}

static enum status open_record(struct training *training)
{
    return training->record != NULL ? record_open(training->record) : make_record(training);
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
    training->config->train.workers = training->job.size;
    training->job.limit_s = training->config->communication.limit_s;
    training->job.ordered_sums = training->config->run.record; /* a replay is one process */
    return STATUS_OK;
}

static enum status make_plan(struct training *training)
{
    struct plan_place place = {.worker = training->job.rank,
                               .worker_count = training->job.size,
                               .local_rank = training->job.local_rank,
                               .dry = training->options.dry_run,
                               .cores = training->job.cores};
    TRY(plan_create(training->config, &place, &training->plan));
    run_output_resolve_paths(training->config);
    training->job.limit_s += scenario_longest_pause_s(training->plan->scenario);
    idle_settings_warn(training->plan, READER_TRAIN);
    return STATUS_OK;
}

/* Rank 0 alone looks at the averaged model. */
static enum status find_optimum(struct training *training)
{
    return training->job.rank == 0 ? plan_optimum(training->plan, &training->optimum) : STATUS_OK;
}

/* The others wait for it longer than for anything else: on a large set it takes minutes. */
static enum status wait_for_optimum(struct training *training)
{
    double limit_s = training->job.limit_s;
    training->job.limit_s = fmax(limit_s, OPTIMUM_LIMIT_S);
    enum status status = together(training, "optimum", find_optimum);
    training->job.limit_s = limit_s;
    return status;
}

static enum status make_worker(struct training *training)
{
    training->plan->gradients_before = gradients_before(training);
    struct worker_params params = plan_worker_params(training->plan);
    params.first_step = training->state != NULL ? (uint64_t)state_file_first_number(training->state) : 0;
    return worker_create(&params, &training->worker);
}

/* A plan is printed, a run must fit. */
static enum status plan_memory(struct training *training)
{
    struct memory_estimate estimate;
    TRY(memory_estimate_rank(training->plan, training->job.local_size, &estimate));
    if (!training->options.dry_run)
        return memory_estimate_check(&estimate, training->job.local_size);
    if (training->job.rank != 0)
        return STATUS_OK;
    plan_print(training->plan, stdout);
    memory_estimate_print(&estimate, training->job.local_size, stdout);
    printf("transport        %s\n", training->config->communication.transport);
    return STATUS_OK;
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

/* All that could be refused has been looked at: from here on the run writes. */
static enum status begin(void *context)
{
    struct training *training = context;
    if (!training->goes_on) {
        TRY(together(training, "run directory", make_folder));
        TRY(run_claim(&training->job, training->directory, &training->lock));
    }
    TRY(together(training, "run directory", write_directory));
    training->directory_made = true;
    TRY(together(training, "record", open_record));
    if (training->job.rank == 0)
        log_debug("run directory %s", training->directory);
    return STATUS_OK;
}

static void digest_trained(void *context)
{
    struct training *training = context;
    record_trained(training->record, training->worker, training->job.worker);
}

/* What all that are left do together once training is over: a step of job_survive. */
struct results {
    struct training *training;
    const struct runtime_result *result;
};

static enum status write_results(void *context)
{
    const struct results *results = context;
    struct training *training = results->training;
    enum status status = STATUS_OK;
    TRY(job_barrier(&training->job, "end of the record"));
    if (training->job.rank == 0) {
        int workers = training->job.worker_count;
        struct run_output output = output_of(training);
        training->merged =
            record_merge(training->directory, workers, workers, training->plan->graph, training->config->run.trace);
        if (training->merged && training->config->run.tensorboard)
            scalar_events_of_metrics(training->directory);
        status = run_output_finish(&output, results->result, training->worker, NAN);
    }
    return job_agree(&training->job, "results", status);
}

static enum status finish_record(struct training *training, const struct runtime_result *result)
{
    struct results results = {.training = training, .result = result};
    record_final(training->record, training->worker, training->job.worker);
    record_close(training->record);
    training->record = NULL;
    return job_survive(&training->job, write_results, &results);
}

static enum status run(struct training *training)
{
    struct runtime_params params = plan_runtime_params(training->plan);
    struct runtime_result result;
    struct run_output output = output_of(training);
    params.checkpoint = run_output_checkpoint;
    params.checkpoint_context = &output;
    params.trained = digest_trained;
    params.trained_context = training;
    params.leave = interrupt_leave();
    params.save_state = save_state;
    params.keep_state = keep_state;
    params.recorded = recorded;
    params.restore_state = training->state != NULL ? restore_state : NULL;
    params.restored = begin;
    params.state_context = training;
    TRY(runtime_mpi_run(&params, &training->job, training->worker, record_observer(training->record), &result));
    enum status status = finish_record(training, &result);
    runtime_result_release(&result);
    return status;
}

static enum status train(struct training *training)
{
    TRY(together(training, "configuration", read_config));
    training->directory = run_output_directory(training->config, training->config_path);
    TRY(run_agree_on_settings(&training->job, training->config, &training->options, training->directory));
    TRY(together(training, "resume", check_resume));
    if (training->options.resume != NULL && !training->options.dry_run)
        TRY(look_for_run(training));
    if (training->is_done) {
        run_output_tell_done(training->config, training->directory);
        return STATUS_OK;
    }
    if (training->goes_on)
        TRY(run_claim(&training->job, training->directory, &training->lock));
    TRY(together(training, "plan", make_plan));
    TRY(run_agree_on_plan(&training->job, training->plan));
    if (training->goes_on)
        TRY(look_for_states(training));
    TRY(together(training, "origin of a kept state", check_state));
    TRY(together(training, "mean of a kept state", read_mean));
    if (training->goes_on && training->job.rank == 0)
        run_output_tell_schedule(training->plan, training->directory, done_before(training));
    if (training->options.dry_run)
        return together(training, "plan of memory", plan_memory);
    TRY(share_start(training));
    TRY(together(training, "plan of memory", plan_memory));
    TRY(together(training, "worker", make_worker));
    TRY(wait_for_optimum(training));
    interrupt_listen();
    if (training->state != NULL)
        TRY(together(training, "record", make_record));
    else
        TRY(begin(training));
    if (training->job.rank == 0)
        warn_of_binding();
    return run(training);
}

static void release(struct training *training)
{
    record_close(training->record);
    state_file_close(training->state);
    optimum_destroy(training->optimum);
    worker_destroy(training->worker);
    plan_destroy(training->plan);
    config_destroy(training->config);
    text_release(&training->command);
    free(training->directory);
}

static enum status take_options(struct training *training)
{
    return run_options_take("train", &training->argument_count, training->arguments, &training->options);
}

void command_train_help(FILE *out)
{
    static const struct option_manual manual = {
        .usage = "mpirun -n N grapevine train CONFIG [key=value ...] [options]\n",
        .about =
            "One training run: one worker for each rank of mpirun or srun; without a launcher, one worker. CONFIG is\n"
            "a YAML file, and every key of it can be given behind it (`grapevine config` lists them). The results\n"
            "lie in run.dir.\n",
        .examples =
            "    mpirun -n 4 grapevine train configs/quickstart.yaml\n"
            "    mpirun -n 4 grapevine train configs/quickstart.yaml algorithm.name=gossip run.dir=runs/gossip\n"
            "    srun --mpi=pmix -n 16 grapevine train configs/cifar10_resnet18_acid_ring.yaml --resume auto\n",
    };
    struct run_options options = {0};
    struct option_list list = {.command = "train"};
    run_options_list(&list, &options);
    option_list_describe(&list, &manual, out);
}

int command_train(int count, char **arguments)
{
    struct training training = {.arguments = arguments, .job = {.limit_s = START_LIMIT_S}};
    text_add(&training.command, "grapevine train");
    for (int i = 0; i < count; i++) {
        text_add(&training.command, " ");
        text_add_shell_word(&training.command, arguments[i]);
    }
    training.argument_count = count;
    enum status status = job_start(NULL, NULL, &training.job);
    if (status == STATUS_OK) {
        log_hold(true);
        status = agreement_greet(&training.job, take_options(&training));
        log_hold(false);
    }
    if (status == STATUS_OK)
        status = train(&training);
    /* Rank 0 writes how the run ended; a rank that fails alone does, before it ends the others. */
    bool alone = status != STATUS_OK && !training.job.agreed;
    if (training.directory_made && (training.job.rank == 0 || alone))
        run_directory_finish(training.directory, status);
    if (training.merged && status == STATUS_OK) /* not before it is known that nobody needs to go on with them */
        record_remove_parts(training.directory, training.job.worker_count);
    struct job job = training.job;
    if (alone || job.rank != 0) /* others may still write */
        run_lock_end(training.lock, RUN_LOCK_LEFT);
    else
        run_lock_end(training.lock, training.directory_made ? RUN_LOCK_USED : RUN_LOCK_UNUSED);
    release(&training);
    return job_finish(&job, status);
}
