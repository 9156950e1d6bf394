/* grapevine simulate CONFIG [key=value ...] [--dry-run]: one training run, train.workers workers in this process, under
 * a virtual clock. The run directory is that of `train`. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "app/plan.h"
#include "app/progress_line.h"
#include "app/record.h"
#include "app/run_directory.h"
#include "app/run_output.h"
#include "app/worker_group.h"
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
    struct optimum *optimum; /* owned; NULL: not known */
    char *directory;         /* owned */
    bool directory_made;
    struct record *record; /* owned */
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

static enum status open_record(struct simulating *s)
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
    record_merge(s->directory, 1, s->group.count, NULL, s->config->run.trace);
    return run_output_finish(&output, result, s->group.workers[result->first_living], real_s);
}

static enum status run(struct simulating *s)
{
    struct run_output output = output_of(s);
    struct runtime_params run_params = plan_runtime_params(s->plan);
    struct simulation_params params = plan_simulation_params(s->plan, &run_params);
    struct runtime_result result;
    params.optimum = s->optimum;
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

static void print_plan(const struct simulating *s)
{
    char all[32], flight[32];
    struct runtime_params run_params = plan_runtime_params(s->plan);
    struct simulation_params params = plan_simulation_params(s->plan, &run_params);
    size_t x_bytes = s->plan->spec->parameter_size * sizeof(float);
    plan_print(s->plan, stdout);
    printf("memory           %s for all workers and what they share, and up to %s of snapshots in flight\n",
           text_bytes(all, (double)worker_group_bytes(&s->group)),
           text_bytes(flight, (double)(x_bytes * simulation_snapshots_most(&params, s->group.count))));
    printf("simulation       %s time\n", s->config->simulate.time);
}

static enum status simulate(struct simulating *s, int count, char **arguments, bool dry_run)
{
    TRY(command_read_config(count, arguments, &s->config));
    s->config_path = arguments[0];
    struct plan_place place = {.worker_count = (int)s->config->train.workers, .simulated = true};
    TRY(plan_create(s->config, &place, &s->plan));
    bool modelled = strcmp(s->config->simulate.time, "modelled") == 0;
    TRY(worker_group_create(s->plan, modelled && s->plan->algo->meets == ALGO_MEETS_ONE, &s->group));
    if (dry_run) {
        print_plan(s);
        return STATUS_OK;
    }
    TRY(plan_optimum(s->plan, &s->optimum));
    s->directory = run_output_directory(s->config, s->config_path);
    TRY(run_directory_create(s->directory, run_output_write_config, s->config));
    s->directory_made = true;
    TRY(open_record(s));
    return run(s);
}

int command_simulate(int count, char **arguments)
{
    struct simulating s = {0};
    bool dry_run = false;
    text_add(&s.command, "grapevine simulate");
    for (int i = 0; i < count; i++)
        text_add(&s.command, " %s", arguments[i]);
    count = command_take_flag("--dry-run", count, arguments, &dry_run);
    enum status status = simulate(&s, count, arguments, dry_run);
    record_close(s.record);
    if (s.directory_made)
        run_directory_finish(s.directory, status);
    optimum_destroy(s.optimum);
    worker_group_release(&s.group);
    plan_destroy(s.plan);
    config_destroy(s.config);
    text_release(&s.command);
    free(s.directory);
    return (int)status;
}
