/* The communication of an algorithm that meets everyone: averages the gradient over all workers, bucket by bucket,
 * while the backward pass still computes the next ones. A thread of its own does it through MPI, or the devices do it
 * among themselves (NCCL), where they can form a group: then nobody waits, and what follows is ordered behind it.
 *
 * A bucket is a fixed range of the flat gradient; it is handed over when its last element is final. Backward passes
 * run in the same order on every rank, so the buckets of all ranks queue in one order, which collectives need. */
#ifndef GRAPEVINE_RUNTIME_MPI_REDUCER_H
#define GRAPEVINE_RUNTIME_MPI_REDUCER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "device/device.h"
#include "runtime/job.h"
#include "runtime/observer.h"

struct reducer;

struct reducer_params {
    const struct job *job; /* borrowed */
    const struct device_ops *ops;
    struct device *device; /* borrowed */
    float *gradient;       /* borrowed (count), device memory */
    size_t count;
    size_t bucket_bytes;
    bool ordered; /* sums in the order of the ranks, so that a replay finds the same bits: through MPI */
    const struct observer *observer; /* borrowed */
    double origin_s;
};

enum status reducer_create(const struct reducer_params *params, struct reducer **out);
/* "nccl" or "allreduce": how. */
const char *reducer_name(const struct reducer *reducer);
/* Ends the thread. NULL is fine. */
void reducer_destroy(struct reducer *reducer);

/* A net_ready_fn for the backward pass; context: the reducer. */
void reducer_ready(void *context, size_t first, size_t count);
/* Wait until the whole gradient is the mean over all workers, as far as calls that follow can see; then the next
 * backward pass may start. */
enum status reducer_wait(struct reducer *reducer);
/* Wait until the means of all steps but the last `age` < NET_RESULTS are really there, for at most job->limit_s: before
 * whoever calls this waits for work of the device that depends on them, which has no limit of its own. */
enum status reducer_settle(const struct reducer *reducer, int age);

#endif
