/* TensorBoard event files: records framed as TFRecord, each an Event message with scalars, written by hand.
 *
 * An Event is {double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; SessionLog
 * session_log = 7}, a Summary repeats {string tag = 1; float simple_value = 2}, a SessionLog is {status = 1}. A frame
 * is length, masked CRC-32C of the length, message, masked CRC-32C of it. */
#ifndef GRAPEVINE_APP_TENSORBOARD_H
#define GRAPEVINE_APP_TENSORBOARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { TENSORBOARD_SCALARS_MAX = 16 };

struct tensorboard_scalar {
    const char *tag; /* at most 63 bytes */
    double value;
};

struct tensorboard;

/* Make `folder`/events.out.tfevents.<time>.<host>, which sorts after those that are there; the folder is made, its
 * parent must be there. STATUS_MACHINE (logged): it cannot be made. `wall_time_s` (since 1970) is now, when it is
 * `time_s` since the run's start. */
enum status tensorboard_create(const char *folder, double wall_time_s, double time_s, struct tensorboard **out);

/* A session starts: readers drop what other files of the folder say of `step` and later. */
void tensorboard_begin_session(struct tensorboard *events, double time_s, uint64_t step);

/* One event: at most TENSORBOARD_SCALARS_MAX values at `time_s` since the start. The first failure is a warning, then
 * nothing is written any more. */
void tensorboard_add(struct tensorboard *events, double time_s, uint64_t step, const struct tensorboard_scalar *scalars,
                     size_t count);
void tensorboard_close(struct tensorboard *events); /* NULL is fine */

#endif
