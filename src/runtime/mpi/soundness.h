/* Gradients that are not finite: found, named, and dealt with as train.on_nan says. The device never applies one
 * (device.h), so that it changes neither this worker's model nor, through meetings, another's.
 *
 *     stop     the run ends with a message
 *     skip     that gradient is left out, and training goes on with the next batch
 *     rejoin   the same; and instead of averaging at its next meeting the worker takes over the peer's model, which
 *              does not move
 *
 * A worker whose gradients are all bad for a while has no use of going on: that ends the run in any case. */
#ifndef GRAPEVINE_RUNTIME_MPI_SOUNDNESS_H
#define GRAPEVINE_RUNTIME_MPI_SOUNDNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "runtime/runtime.h"
#include "worker/worker.h"

/* Start with {.run = …, .rank = …, .shared = …}. */
struct soundness {
    const struct runtime_params *run; /* borrowed */
    int rank;
    bool shared;       /* gradients are means over all workers: all see what one has done */
    uint64_t left_out; /* as the device has said */
    uint64_t bad, in_a_row;
};

/* After a gradient event, the `gradient`-th. `finite`: its loss was; the device knows of the gradient itself. *bad: it
 * was not sound. STATUS_USAGE (logged): the run ends. */
enum status soundness_judge(struct soundness *soundness, struct worker *worker, uint64_t gradient, bool finite,
                            double learning_rate, bool *bad);

#endif
