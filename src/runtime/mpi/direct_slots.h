/* Slots in device memory, which neighbors on the same node fill from their own device: communication.transport ipc.
 *
 * Each worker has as many slots as records, vectors that its neighbors have mapped (device.h: alloc_shared and what
 * follows it). A snapshot goes from device to device, the host sees none of it, and so nobody can check what has
 * arrived: the writer waits until its copy is done, and only then puts a tag into the slot's place in a transport
 * (payload.h: payload_shape_elsewhere). The owner lets the slot be filled again only once the device has read it: a
 * ticket of `mark`, asked by the host, since queues of two processes know of no order.
 *
 * The main thread opens and closes; between, calls come from the communication thread. */
#ifndef GRAPEVINE_RUNTIME_MPI_DIRECT_SLOTS_H
#define GRAPEVINE_RUNTIME_MPI_DIRECT_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "device/device.h"
#include "graph/graph.h"
#include "runtime/job.h"

struct direct_slots;

struct direct_slots_params {
    struct job *job;
    const struct graph *graph; /* borrowed for the slots' life */
    int worker;
    const struct device_ops *ops;
    struct device *device; /* borrowed */
    int slots;             /* K */
    size_t count;          /* floats of a slot */
    bool required;         /* nothing else will do */
};

/* Collective. Slots that a trial has shown to work: every worker copies into every slot of all its neighbors, which
 * look at what has arrived. Where they do not, on any rank: NULL and the reason (static text), or, if they are
 * required, one message from all ranks together, which agree on the status: STATUS_USAGE where the device is no GPU or
 * the ranks are on several nodes, STATUS_MACHINE where GPUs do not reach one another. Other failures (logged) are
 * MPI's, which no one agrees on. */
enum status direct_slots_open(const struct direct_slots_params *params, struct direct_slots **out, const char **reason);
void direct_slots_close(struct direct_slots *slots); /* collective, but for NULL */

/* Own slot, (count) of device memory, filled by neighbors. */
const float *direct_slots_own(const struct direct_slots *slots, int slot);
/* Begin to copy (count) of device memory into a neighbor's slot; a ticket for the device's copied(). */
uint64_t direct_slots_fill(struct direct_slots *slots, int neighbor, int slot, const float *from);

#endif
