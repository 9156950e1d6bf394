/* The run directory: the folder that keeps all that a run leaves behind. Made and finished by rank 0 alone.
 *
 *     lock                while a run writes here (app/run_lock.h)
 *     config.yaml         the resolved configuration
 *     status              "running", at the end the exit status and its name: "0 done", "3 data", ...
 *     metrics.jsonl       one JSON object per report of a worker (app/record.h)
 *     summary.json        (app/summary.h)
 *     trace.json          on request (app/trace.h)
 *     events-*.jsonl      on request: every event of every worker (app/event_log.h)
 *     tensorboard/        on request: worker-<rank>/, network/events.out.tfevents.* (app/tensorboard.h)
 *     *.safetensors       checkpoints; final.safetensors is the averaged model (app/checkpoint.h)
 */
#ifndef GRAPEVINE_APP_RUN_DIRECTORY_H
#define GRAPEVINE_APP_RUN_DIRECTORY_H

#include <stdbool.h>
#include <stdio.h>

#include "base/status.h"

/* How another place is chosen for what a run writes: for messages of base/atomic_file.h. */
#define RUN_ELSEWHERE "run.dir=…"

#define RUN_LOCK_NAME "lock"

/* Writes the resolved configuration to `out`; errors of the stream are found afterwards. */
typedef void run_config_fn(const void *context, FILE *out);

/* Make the folder, with its parents. A lock in it counts for nothing. Errors as below. */
enum status run_directory_make(const char *path);

/* Make the folder, with its parents, and put config.yaml and the status "running" into it. An empty folder that is
 * there already is taken, and one with what a process leaves that was killed while it did this. STATUS_USAGE (logged,
 * with a name that is free): the folder has something else in it, or the name is a file's. STATUS_MACHINE (logged): it
 * cannot be made or written. */
enum status run_directory_create(const char *path, run_config_fn *write_config, const void *context);

/* The folder of a run that goes on: config.yaml is written anew, and the status is "running" again. What else is there
 * stays. STATUS_MACHINE (logged). */
enum status run_directory_reopen(const char *path, run_config_fn *write_config, const void *context);

/* There is a run's folder: one with a file `status`. */
bool run_directory_exists(const char *path);
/* The run has come to its end: its status is that of STATUS_OK. */
bool run_directory_done(const char *path);

/* Replace the file `status` by number and name of `status`, at once. A failure is a warning: nothing depends on it. */
void run_directory_finish(const char *path, enum status status);

/* "<path>/<name>", owned by the caller. */
char *run_directory_file(const char *path, const char *name);

#endif
