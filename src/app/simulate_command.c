/* grapevine simulate CONFIG [key=value ...] [--dry-run] [--resume auto|FILE]: one training run, train.workers workers
 * in this process, under a virtual clock. The run directory is that of `train`. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "app/idle_settings.h"
#include "app/metrics_merge.h"
#include "app/plan.h"
#include "app/plan_memory.h"
#include "app/progress_line.h"
#include "app/record.h"
#include "app/run_claim.h"
#include "app/run_directory.h"
#include "app/run_options.h"
#include "app/run_output.h"
#include "app/state_file.h"
#include "app/state_mean.h"
#include "app/worker_group.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "base/text.h"
#include "runtime/simulation.h"

struct simulating {
    const char *config_path;
    struct text command;   /* the command line, for the record */
    struct config *config; /* owned */
    struct plan *plan;     /* owned */
    struct worker_group group;
    struct optimum *optimum;     /* owned; NULL: not known */
    char *directory;             /* owned */
    struct run_lock *lock;       /* owned; NULL: the directory is not this run's yet */
    bool directory_made, merged; /* it is written; the parts of its metrics are */
    struct run_options options;
    bool is_longer;           /* the run in the directory had come to its end, and is given more epochs */
    bool goes_on;             /* the directory is that of a run that was interrupted */
    struct state_file *state; /* owned; NULL: the run starts at the beginning */
    struct state_mean mean;   /* what it starts from then, unless nobody's */
    struct record *record;    /* owned */
};

static struct run_output output_of(const struct simulating *s)
{
    return (struct run_output){
        .config = s->config,
        .config_path = s->config_path,
        .command = text_view(&s->command),
        .plan = s->plan,
        .directory = s->directory,
        .workers = s->plan->place.worker_count,
        .optimum = s->optimum,
        .writes = true,
    };
}

static enum status make_record(struct simulating *s)
{
    struct run_output output = output_of(s);
    struct event_log_header events = run_output_events(&output);
    struct record_params params = {
        .directory = s->directory,
        .worker_count = output.workers,
        .simulated = true,
        .trace = s->config->run.trace,
        .events = s->config->run.record ? &events : NULL,
        .tensorboard = s->config->run.tensorboard,
        .progress = stdout,
        .columns = progress_line_columns(),
        .later = s->state != NULL,
        .goes_on = s->state != NULL,
        .metrics_bytes = s->state != NULL ? state_file_info(s->state).metrics_bytes : 0,
        .steps_before = s->plan->gradients_before,
    };
    return record_create(&params, &s->record);
}

static void digest_trained(void *context)
{
    struct simulating *s = context;
    for (int i = 0; i < s->group.count; i++)
        record_trained(s->record, s->group.workers[i], i);
}

static enum status finish(struct simulating *s, const struct runtime_result *result, double real_s)
{
    struct run_output output = output_of(s);
    for (int i = 0; i < s->group.count; i++)
        record_final(s->record, s->group.workers[i], i);
    record_close(s->record);
    s->record = NULL;
    s->merged = record_merge(s->directory, 1, s->group.count, NULL, s->config->run.trace);
    return run_output_finish(&output, result, s->group.workers[result->first_living], real_s);
}

/* Of workers whose mean this run began with. */
static uint64_t gradients_before(const struct simulating *s)
{
    return s->state != NULL ? state_file_info(s->state).gradients_before : s->mean.gradients;
}

static enum status save_state(void *context, const struct run_state *state)
{
    struct simulating *s = context;
    enum log_level level = *interrupt_leave() != 0 ? LOG_ERROR : LOG_WARNING;
    struct state_file_place place = {.directory = s->directory};
    record_sync(s->record);
    struct state_origin origin = run_output_origin(s->plan, gradients_before(s));
    TRY(state_file_write(&place, s->plan->ops, s->plan->device, state, &origin, level));
    state_file_prune(&place, (int)s->config->run.keep_states);
    if (*interrupt_leave() != 0)
        log_warning(
            "asked to leave (signal %d) after %llu of %llu gradients: the state is kept in %s; the same command "
            "with --resume auto goes on",
            (int)*interrupt_leave(), (unsigned long long)state->gradients, (unsigned long long)s->plan->gradient_total,
            s->directory);
    return STATUS_OK;
}

static uint64_t recorded(void *context)
{
    return record_length(((const struct simulating *)context)->record);
}

static enum status restore_state(void *context, struct run_state *state)
{
    struct simulating *s = context;
    TRY(state_file_read(s->state, s->plan->ops, s->plan->device, state));
    log_info("goes on from %s", state_file_path(s->state));
    return STATUS_OK;
}

static void arrange_state(struct simulating *s, struct simulation_params *params)
{
    params->save = save_state;
    params->stop = interrupt_leave();
    params->state_context = s;
    if (s->state == NULL)
        return;
    params->resume_after = (uint64_t)state_file_first_number(s->state);
    params->restore = restore_state;
}

static enum status write_directory(struct simulating *s)
{
    if (!s->goes_on)
        return run_directory_create(s->directory, run_output_write_config, s->config);
    state_file_remove_unfinished(s->directory);
    if (s->state == NULL)
        TRY(state_mean_keep_metrics(s->directory, s->mean.gradients));
    else if (s->is_longer)
        TRY(metrics_take_apart(s->directory, 0, state_file_info(s->state).gradients));
    return run_directory_reopen(s->directory, run_output_write_config, s->config);
}

/* All that could be refused has been looked at: from here on the run writes. */
static enum status begin(void *context)
{
    struct simulating *s = context;
    if (!s->goes_on) {
        TRY(run_directory_make(s->directory));
        TRY(run_claim(NULL, s->directory, &s->lock));
    }
    TRY(write_directory(s));
    s->directory_made = true;
    return s->record != NULL ? record_open(s->record) : make_record(s);
}

static enum status run(struct simulating *s)
{
    struct run_output output = output_of(s);
    struct runtime_params run_params = plan_runtime_params(s->plan);
    struct simulation_params params = plan_simulation_params(s->plan, &run_params);
    struct runtime_result result;
    params.optimum = s->optimum;
    params.engines = s->group.engines;
    params.engine_count = s->group.engine_count;
    arrange_state(s, &params);
    run_params.recorded = recorded;
    run_params.restored = begin;
    run_params.state_context = s;
    run_params.checkpoint = run_output_checkpoint;
    run_params.checkpoint_context = &output;
    run_params.trained = digest_trained;
    run_params.trained_context = s;
    double begin_s = stopwatch_now();
    TRY(runtime_sim_run(&params, s->group.workers, s->group.count, record_observer(s->record), &result));
    enum status status = finish(s, &result, stopwatch_now() - begin_s);
    runtime_result_release(&result);
    return status;
}

static enum status print_plan(const struct simulating *s)
{
    struct memory_estimate estimate;
    TRY(memory_estimate_simulation(s->plan, &estimate));
    plan_print(s->plan, stdout);
    memory_estimate_print(&estimate, 1, stdout);
    printf("simulation       %s time\n", s->config->simulate.time);
    return STATUS_OK;
}

static enum status check_memory(const struct simulating *s)
{
    struct memory_estimate estimate;
    TRY(memory_estimate_simulation(s->plan, &estimate));
    return memory_estimate_check(&estimate, 1);
}

static bool names_file(const struct simulating *s)
{
    return s->options.resume != NULL && strcmp(s->options.resume, "auto") != 0;
}

/* With --resume: the folder of a run, which becomes this one's. */
static enum status look_for_run(struct simulating *s, bool dry_run)
{
    s->goes_on = s->options.resume != NULL && run_directory_exists(s->directory);
    if (names_file(s) && !s->goes_on) {
        log_error("--resume %s: %s is no run's folder; set run.dir to the one that the state lies in",
                  s->options.resume, s->directory);
        return STATUS_USAGE;
    }
    return s->goes_on && !dry_run ? run_claim(NULL, s->directory, &s->lock) : STATUS_OK;
}

/* The newest state that is whole; a warning names each that is not. */
static void find_newest(struct simulating *s)
{
    struct state_file_place place = {.directory = s->directory};
    uint64_t found[STATE_FILES_MOST];
    int count = state_file_list(&place, found);
    for (int i = 0; i < count && s->state == NULL; i++) {
        log_hold(true);
        if (state_file_open_at(&place, found[i], &s->state) != STATUS_OK)
            log_warning("state-%012llu.safetensors is not whole; the one before it is looked for",
                        (unsigned long long)found[i]);
        log_hold(false);
    }
}

/* With --resume: the state in the run's folder, or the mean of one of other workers, or nothing. */
static enum status look_for_state(struct simulating *s)
{
    bool same_network;
    if (!s->goes_on)
        return STATUS_OK;
    if (names_file(s))
        TRY(state_file_open(s->options.resume, &s->state));
    else
        find_newest(s);
    TRY(run_output_compare_settings(s->config, s->directory, true, &same_network));
    const struct state_origin origin = run_output_origin(s->plan, 0);
    if (s->state != NULL && same_network)
        return state_file_check_origin(s->state, &origin);
    state_file_close(s->state);
    s->state = NULL;
    s->mean = state_mean_find(s->directory);
    if (s->mean.workers > 0 && s->plan->place.dry)
        return STATUS_OK;
    if (s->mean.workers > 0)
        return state_mean_read(s->directory, &s->mean, s->plan->spec, &origin, s->plan->initial_parameters,
                               s->plan->initial_buffers);
    if (s->is_longer)
        return run_output_refuse_longer(s->directory);
    log_info("no state is kept in %s: the run starts at the beginning", s->directory);
    return STATUS_OK;
}

/* A run that has come to its end has nothing to go on with. */
static bool is_done(struct simulating *s)
{
    bool done = s->options.resume != NULL && run_directory_done(s->directory);
    s->is_longer = done && run_output_is_longer(s->config, s->directory);
    done &= !s->is_longer;
    if (done)
        run_output_tell_done(s->config, s->directory);
    return done;
}

static enum status simulate(struct simulating *s, int count, char **arguments)
{
    TRY(command_read_config(count, arguments, &s->config));
    s->config_path = arguments[0];
    s->directory = run_output_directory(s->config, s->config_path);
    if (is_done(s))
        return STATUS_OK;
    TRY(look_for_run(s, s->options.dry_run));
    struct plan_place place = {
        .worker_count = (int)s->config->train.workers, .simulated = true, .dry = s->options.dry_run};
    TRY(plan_create(s->config, &place, &s->plan));
    run_output_resolve_paths(s->config);
    idle_settings_warn(s->plan, READER_SIMULATE);
    TRY(look_for_state(s));
    if (s->goes_on)
        run_output_tell_schedule(s->plan, s->directory,
                                 s->state != NULL ? state_file_info(s->state).gradients : s->mean.gradients);
    s->plan->gradients_before = gradients_before(s);
    bool modelled = strcmp(s->config->simulate.time, "modelled") == 0;
    if (s->options.dry_run)
        return print_plan(s);
    TRY(check_memory(s));
    TRY(worker_group_create(s->plan, modelled && s->plan->algo->meets == ALGO_MEETS_ONE, &s->group));
    TRY(plan_optimum(s->plan, &s->optimum));
    interrupt_listen();
    if (s->state != NULL)
        TRY(make_record(s));
    else
        TRY(begin(s));
    return run(s);
}

void command_simulate_help(FILE *out)
{
    static const struct option_manual manual = {
        .usage = "grapevine simulate CONFIG [key=value ...] [options]\n",
        .about =
            "One training run of train.workers virtual workers in this process, under a virtual clock "
            "(simulate.time):\n"
            "the same seed gives the same bytes. CONFIG is a YAML file, and every key of it can be given behind it\n"
            "(`grapevine config` lists them). The run directory is that of `train`.\n",
        .examples = "    grapevine simulate configs/quickstart.yaml train.workers=16 run.dir=runs/sixteen\n"
                    "    grapevine simulate configs/table_straggler.yaml inject.slow=\"0 x4\"\n",
    };
    struct run_options options = {0};
    struct option_list list = {.command = "simulate"};
    run_options_list(&list, &options);
    option_list_describe(&list, &manual, out);
}

int command_simulate(int count, char **arguments)
{
    struct simulating s = {0};
    text_add(&s.command, "grapevine simulate");
    for (int i = 0; i < count; i++) {
        text_add(&s.command, " ");
        text_add_shell_word(&s.command, arguments[i]);
    }
    enum status status = run_options_take("simulate", &count, arguments, &s.options);
    if (status == STATUS_OK)
        status = simulate(&s, count, arguments);
    record_close(s.record);
    if (s.directory_made)
        run_directory_finish(s.directory, status);
    if (s.merged && status == STATUS_OK)
        record_remove_parts(s.directory, 1);
    run_lock_end(s.lock, s.directory_made ? RUN_LOCK_USED : RUN_LOCK_UNUSED);
    state_file_close(s.state);
    optimum_destroy(s.optimum);
    worker_group_release(&s.group);
    plan_destroy(s.plan);
    config_destroy(s.config);
    text_release(&s.command);
    free(s.directory);
    return (int)status;
}
