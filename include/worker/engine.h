/* What computes gradients: a network compiled on a device, with its activations and working copy, the gradient vector,
 * the batch-norm statistics it works on, one batch in host memory and an evaluator.
 *
 * A worker has one of its own, or the workers of one process share one, one worker at a time: then a replica costs its
 * vectors only. Its owner outlives the workers that borrow it. One thread at a time.
 *
 * Training pictures may be smaller than those of the tests, and their size may change during a run. Then there are two
 * networks, one for each, with the same parameters and statistics: that of training is compiled anew when the size
 * changes, that of the tests stays. Where the sizes are equal one network is both. */
#ifndef GRAPEVINE_WORKER_ENGINE_H
#define GRAPEVINE_WORKER_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "data/loader.h"
#include "device/device.h"

struct engine;

/* The same network for square pictures of `size` rows: of the same parameters and buffers, with the same offsets. The
 * caller frees it (model_destroy). Errors are logged. */
typedef enum status spec_of_size_fn(const void *context, int size, struct net_spec **out);

struct engine_params {
    const struct device_ops *ops;
    struct device *device;       /* borrowed */
    const struct net_spec *spec; /* borrowed: for the pictures of the tests */
    size_t batch;
    int data_threads; /* that make pictures for tests; 0 is 1 */
    bool picks;       /* the workers' batches are picks out of a set on the device, not images */
    bool shared;      /* by several workers: it then has what stands in for their own working copies and batches */
    spec_of_size_fn *spec_of_size; /* NULL: training pictures have the size of the tests' */
    const void *spec_context;      /* borrowed */
};

enum status engine_create(const struct engine_params *params, struct engine **out);
void engine_destroy(struct engine *engine); /* NULL is fine */

/* Bytes that something takes, planned: where vectors and networks live, and in host memory. */
struct memory_need {
    double device, host;
};

/* What engine_create makes and workers later add, with nothing of it allocated. `sizes`: of training pictures, zeros
 * for that of the tests. */
enum status engine_plan(const struct engine_params *params, const struct picture_sizes *sizes, struct memory_need *out);

#endif
