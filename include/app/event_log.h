/* The event log of a worker: events-<worker>.jsonl in the run directory, every event of both its threads in its own
 * order, so that `grapevine replay` can execute them again.
 *
 *     {"grapevine": "0.1.0", "worker": 0, "workers": 4, "algorithm": "acid", "time": "real", "eta": 0.25,
 *      "alpha": 0.5, "alpha_tilde": 0.7, "config": "9f0c…"}
 *     {"n": 1, "event": "begin", "t": 0, "step": 0, "time": 0.000021}
 *     {"n": 2, "event": "snapshot", "t": 0.25, "step": 0, "time": 0.0041, "peer": 1, "meeting": 1}
 *     {"n": 3, "event": "apply", "t": 0.5, "step": 0, "time": 0.0052, "peer": 1, "meeting": 1}
 *     {"n": 4, "event": "update", "t": 1, "step": 1, "time": 0.0093, "progress": 0.01, "lr": 0.05}
 *     {"end": 4, "checksum": "41d2…", "trained": {"x": "77ab…", "x_tilde": …, "momentum": …, "buffers": …},
 *      "final": {…}}
 *
 * Numbers have 17 digits where they need them: they read back to the same bits. `config` is the digest of config.yaml;
 * `checksum` that of all lines before it, each chained to the one before; `trained` are those of the worker's vectors
 * when training was over, `final` those of the averaged model. One file per worker, one line per event. */
#ifndef GRAPEVINE_APP_EVENT_LOG_H
#define GRAPEVINE_APP_EVENT_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "app/replica_digest.h"
#include "base/status.h"
#include "runtime/observer.h"

enum { EVENT_LOG_NAME_BYTES = 32, EVENT_LOG_FIRST_LINE = 2 /* of the first event */ };

struct event_log_header {
    char version[EVENT_LOG_NAME_BYTES]; /* of the program that wrote it */
    char algorithm[EVENT_LOG_NAME_BYTES];
    char time[EVENT_LOG_NAME_BYTES]; /* "real"; of the simulator "ideal", "modelled" */
    int worker, worker_count;
    double eta, alpha, alpha_tilde;
    uint64_t config; /* digest of config.yaml */
};

/* "begin", "update", "snapshot", "apply", "give_up", "lost", "done". */
const char *event_log_kind_name(enum event_kind kind);
/* events-<worker>.jsonl in the directory; owned by the caller. */
char *event_log_path(const char *directory, int worker);

/* --- writing: one thread at a time, the worker's lock sees to it --- */

struct event_log;

/* STATUS_MACHINE (logged): the file cannot be made. */
enum status event_log_create(const char *directory, const struct event_log_header *header, bool aside,
                             struct event_log **out);
/* A log that was created aside gets its name, in place of an older one. STATUS_MACHINE (logged). One that was not
 * settled is removed when it is closed. */
enum status event_log_settle(struct event_log *log);
/* Into a buffer that is written now and then, never waited for. When the disk refuses it, one warning says so, and the
 * run goes on without the log. */
void event_log_add(struct event_log *log, const struct event_report *report);
/* Write the closing line (without `trained` or `final` none: the run did not end) and close. NULL is fine. */
void event_log_close(struct event_log *log, const struct replica_digest *trained, const struct replica_digest *final);

/* --- reading --- */

struct event_log_content {
    char *path; /* owned */
    struct event_log_header header;
    struct event_report *events; /* owned (count); event k is in line k + EVENT_LOG_FIRST_LINE */
    size_t count;
    struct replica_digest trained, final;
};

/* Read and check a log. STATUS_DATA (logged: file, line, what is wrong): no such file, a line that is torn, missing or
 * no event, no closing line, or lines that are not those that were written. */
enum status event_log_read(const char *directory, int worker, struct event_log_content *out);
void event_log_content_release(struct event_log_content *content);

#endif
