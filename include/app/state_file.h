/* The whole state of a run, in files of its run directory: state-<gradients>.safetensors of a simulation, and of a real
 * run one of each rank, state-<gradients>-rank-<i>-of-<n>.safetensors; where workers have died, of those that were
 * left, state-<gradients>-rank-<i>-of-<n>-left-of-<workers>.safetensors, whose mean alone a run can begin with.
 *
 * A file is there whole or not at all, and its content is checked against digests when it is read: a run that was
 * killed at any moment goes on from the newest state that is good. */
#ifndef GRAPEVINE_APP_STATE_FILE_H
#define GRAPEVINE_APP_STATE_FILE_H

#include <stdint.h>

#include "app/class_names.h"
#include "base/log.h"
#include "base/status.h"
#include "device/device.h"
#include "runtime/run_state.h"

struct state_file_place {
    const char *directory; /* borrowed */
    int rank, size;        /* of a real run; size 0: a simulation */
    int left_of;           /* workers that there were, where some have died; else 0 */
};

/* Beside the runtime's own. */
struct state_file_info {
    uint64_t gradients;        /* of all workers, so far */
    uint64_t metrics_bytes;    /* how long this process' metrics were: run_state.recorded */
    uint64_t gradients_before; /* runtime_params.gradients_before */
};

/* What a run must still be when it goes on from a state; kept with it. */
struct state_origin {
    uint64_t gradients_before;          /* runtime_params.gradients_before */
    const char *train_data, *test_data; /* data/fingerprint.h */
    struct class_names classes;         /* of the training data */
};

/* Write `state`. STATUS_MACHINE (logged, at `level`): nothing has changed. */
enum status state_file_write(const struct state_file_place *place, const struct device_ops *ops, struct device *device,
                             const struct run_state *state, const struct state_origin *origin, enum log_level level);
/* Remove this process' old files: all but its newest `kept`, and its parts of the newest `kept` states that are there
 * with the parts of all ranks. */
void state_file_prune(const struct state_file_place *place, int kept);
/* Remove this process' files of later states: the run goes on from `gradients`, and would mix its own with them. */
void state_file_forget_later(const struct state_file_place *place, uint64_t gradients);

enum { STATE_FILES_MOST = 64 };
/* The states that are there, of all ranks, the newest first: out (STATE_FILES_MOST) gradients. Returns how many. */
int state_file_list(const struct state_file_place *place, uint64_t out[STATE_FILES_MOST]);
/* Unfinished files that a killed process has left are removed. */
void state_file_remove_unfinished(const char *directory);

struct state_file;

/* This process' part of such a state. STATUS_DATA (logged): it is not whole. */
enum status state_file_open_at(const struct state_file_place *place, uint64_t gradients, struct state_file **out);
/* One file by its path. STATUS_DATA (logged): it is not there, or not whole. */
enum status state_file_open(const char *path, struct state_file **out);
void state_file_close(struct state_file *file); /* NULL is fine */

/* STATUS_DATA (logged, what was and what is): the state is of other classes or other data. What a file does not say
 * counts as the same. */
enum status state_file_check_origin(const struct state_file *file, const struct state_origin *origin);

const char *state_file_path(const struct state_file *file);
int64_t state_file_first_number(const struct state_file *file);
struct state_file_info state_file_info(const struct state_file *file);

/* Call `visit` with each vector, checked, until it returns something else than STATUS_OK. */
typedef enum status state_file_visit_fn(void *context, const char *name, const float *values, size_t count);
enum status state_file_visit(struct state_file *file, state_file_visit_fn *visit, void *context);

/* Set the vectors and numbers of `state`, whose names and counts are the caller's. STATUS_DATA (logged: file, name,
 * found, expected): the file has others. */
enum status state_file_read(struct state_file *file, const struct device_ops *ops, struct device *device,
                            struct run_state *state);

#endif
