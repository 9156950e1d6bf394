/* The whole state of a simulated run, in files of its run directory: state-<gradients>.safetensors.
 *
 * A file is there whole or not at all, and its content is checked against digests when it is read: a run that was
 * killed at any moment goes on from the newest file that is good. */
#ifndef GRAPEVINE_APP_STATE_FILE_H
#define GRAPEVINE_APP_STATE_FILE_H

#include <stdint.h>

#include "base/status.h"
#include "device/device.h"
#include "runtime/simulation.h"

/* Beside the simulator's own. */
struct state_file_info {
    uint64_t metrics_bytes; /* how long the metrics were */
};

/* Write `state`, and remove all but the newest `kept` files. STATUS_MACHINE (logged): nothing has changed. */
enum status state_file_write(const char *directory, int kept, const struct device_ops *ops, struct device *device,
                             const struct simulation_state *state, const struct state_file_info *info);

struct state_file;

/* The newest file of the directory that is whole, opened; a warning names each that is not. Unfinished files that a
 * killed process has left are removed. *out is NULL where there is none. */
enum status state_file_newest(const char *directory, struct state_file **out);
/* One file by its path. STATUS_DATA (logged): it is not there, or not whole. */
enum status state_file_open(const char *path, struct state_file **out);
void state_file_close(struct state_file *file); /* NULL is fine */

const char *state_file_path(const struct state_file *file);
uint64_t state_file_resume_after(const struct state_file *file);
struct state_file_info state_file_info(const struct state_file *file);

/* Set the vectors and numbers of `state`, whose names and counts are the caller's. STATUS_DATA (logged: file, name,
 * found, expected): the file has others. */
enum status state_file_read(struct state_file *file, const struct device_ops *ops, struct device *device,
                            struct simulation_state *state);

#endif
