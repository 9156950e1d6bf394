/* What computes gradients: a network compiled on a device, with its activations and working copy, the gradient vector,
 * the batch-norm statistics it works on, one batch in host memory and an evaluator.
 *
 * A worker has one of its own, or the workers of one process share one, one worker at a time: then a replica costs its
 * vectors only. Its owner outlives the workers that borrow it. One thread at a time. */
#ifndef GRAPEVINE_WORKER_ENGINE_H
#define GRAPEVINE_WORKER_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "device/device.h"

struct engine;

struct engine_params {
    const struct device_ops *ops;
    struct device *device;       /* borrowed */
    const struct net_spec *spec; /* borrowed */
    size_t batch;
    bool picks;  /* the workers' batches are picks out of a set on the device, not images */
    bool shared; /* by several workers: it then has what stands in for their own working copies and batches */
};

enum status engine_create(const struct engine_params *params, struct engine **out);
void engine_destroy(struct engine *engine); /* NULL is fine */
/* Bytes it holds: gradient, statistics, network, host batches; a shared one also a point (x of one worker). */
size_t engine_bytes(const struct engine *engine);

#endif
