/* What a run leaves in its directory, common to `train` and `simulate`: configuration, checkpoints, final model,
 * summary. */
#ifndef GRAPEVINE_SRC_APP_RUN_OUTPUT_H
#define GRAPEVINE_SRC_APP_RUN_OUTPUT_H

#include <stdbool.h>

#include "app/event_log.h"
#include "app/plan.h"
#include "app/state_file.h"
#include "config/config.h"

struct run_output {
    const struct config *config; /* borrowed, as are all below */
    const char *config_path;
    const char *command; /* the command line */
    const struct plan *plan;
    const char *directory;
    int workers;
    const struct optimum *optimum; /* NULL: not known */
    bool writes;                   /* this process writes: the one rank that does, or the simulator */
};

/* run.dir, or runs/<name of the configuration file>; owned by the caller. */
char *run_output_directory(const struct config *config, const char *config_path);
/* Once the plan has read them: paths of data (also where $GRAPEVINE_DATA named them), edges and weights from the root
 * on, so that config.yaml means the same in every folder. */
void run_output_resolve_paths(struct config *config);
/* For run_directory_create; `context` is the struct config. */
void run_output_write_config(const void *context, FILE *out);
/* The file name of a checkpoint in mid-run, owned by the caller: "checkpoint-0025.safetensors" after the epochs of the
 * last whole period, with the decimals that the period needs ("checkpoint-0001.5.safetensors"). In the order of names
 * checkpoints of a run of `epochs` stand in the order of time. */
char *run_output_checkpoint_name(double period, double epochs, double epoch);
/* For runtime_params.checkpoint; `context` is the struct run_output. A disk that refuses is reported, and training goes
 * on. */
void run_output_checkpoint(void *context, bool best, double epoch, const float *parameters, const float *buffers);
/* Write final.safetensors, summary.json and the table at the end: `worker` holds the averaged model. `real_s`: real
 * time of a simulation up to its final test, whose result has virtual times; NAN for a training. STATUS_MACHINE
 * (logged). */
enum status run_output_finish(const struct run_output *output, const struct runtime_result *result,
                              struct worker *worker, double real_s);
/* Of a run that goes on: a warning names the settings that are not what it began with. Most leave its course alone.
 * STATUS_USAGE (logged): the directory's configuration cannot be read. *same_network: its workers would meet as those
 * of before: graph and algorithm (and `workers`, if asked) are the same; else their states do not fit. */
enum status run_output_compare_settings(const struct config *config, const char *directory, bool workers,
                                        bool *same_network);
/* For states of the plan's run. */
struct state_origin run_output_origin(const struct plan *plan, uint64_t gradients_before);
/* The run in the directory, which is done, had fewer epochs. */
bool run_output_is_longer(const struct config *config, const char *directory);
/* --resume of a run that is done: says so, and warns of settings that are not those it was done with. */
void run_output_tell_done(const struct config *config, const char *directory);
/* It is, and there is no state to go on from. Returns STATUS_USAGE. */
enum status run_output_refuse_longer(const char *directory);
/* One line if the learning rate of a run that goes on after so many gradients is another one than it would have been:
 * other workers, epochs, schedule. Its directory still has the configuration that it began with. */
void run_output_tell_schedule(const struct plan *plan, const char *directory, uint64_t gradients);
/* First lines of the event logs. */
struct event_log_header run_output_events(const struct run_output *output);

#endif
