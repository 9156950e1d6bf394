/* Replay: the recorded events of a real run, executed again by N workers in one process. Each worker's events happen in
 * its own order, with its own times, and a difference is applied once both snapshots are there; what the workers hold
 * in the end are then the bits of the real run, if it computed with the same device and number of threads and made its
 * sums in worker order (struct job, ordered_sums).
 *
 * Nothing in a log is trusted: what no run could have done is refused with the place where it stands. */
#ifndef GRAPEVINE_RUNTIME_REPLAY_H
#define GRAPEVINE_RUNTIME_REPLAY_H

#include <stddef.h>

#include "base/status.h"
#include "runtime/observer.h"
#include "runtime/runtime.h"
#include "worker/worker.h"

/* The events of one worker, in its order: `t` and `step` never go back. */
struct replay_log {
    const char *path;                  /* borrowed: for messages */
    size_t first_line;                 /* of the file, where events[0] stands; each event has a line of its own */
    const struct event_report *events; /* borrowed (count) */
    size_t count;
};

struct replay_params {
    const struct runtime_params *run; /* borrowed; `trained` is called, nothing is reported and no checkpoint written */
    struct worker *const *workers;    /* borrowed (worker_count): new, with one engine, keeping their points */
    const struct replay_log *logs;    /* borrowed (worker_count) */
    int worker_count;
    const struct device_ops *ops;
    struct device *device; /* borrowed: where the workers' vectors are */
};

/* Execute the logs, then average and test as the runtimes do. On return every worker holds the averaged model. The
 * result has counts, meetings and the figures of the test; no times. STATUS_DATA (logged: file, line, what is wrong): a
 * log that cannot be executed. Else what the worker's verbs return. */
enum status runtime_replay(const struct replay_params *params, struct runtime_result *out);

#endif
