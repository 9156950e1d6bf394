/* The mean model of a kept state, for a run that goes on with another number of workers: all begin with it, the rest
 * begins anew. */
#ifndef GRAPEVINE_APP_STATE_MEAN_H
#define GRAPEVINE_APP_STATE_MEAN_H

#include <stdbool.h>
#include <stdint.h>

#include "app/state_file.h"
#include "base/status.h"
#include "device/net_spec.h"

struct state_mean {
    int workers;        /* whose state it is; 0: none is there */
    int left_of;        /* of so many, of whom the others have died; 0: none has */
    bool simulated;     /* in one file */
    uint64_t gradients; /* that they had done together */
};

/* The newest state in the directory that is there with all its parts, of whatever number of workers. */
struct state_mean state_mean_find(const char *directory);

/* Mean over its workers: parameters (parameter_size) and buffers (buffer_size), host memory. STATUS_DATA (logged): a
 * part is damaged, of another model, or of another origin. */
enum status state_mean_read(const char *directory, const struct state_mean *mean, const struct net_spec *spec,
                            const struct state_origin *origin, float *parameters, float *buffers);

/* Names of the metrics of what was before, so that they are not written over: before-<gradients>-<name>. */
enum status state_mean_keep_metrics(const char *directory, uint64_t gradients);

#endif
