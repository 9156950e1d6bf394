/* Slots in device memory, which neighbors fill from their own device: communication.transport ipc and cuda.
 *
 * Each worker has as many slots as records. A snapshot goes from device to device, the host sees none of it; that it
 * has come is told by a tag, which the writer puts into the slot's place in a transport (payload.h:
 * payload_shape_elsewhere). By ipc the writer knows when its copy is done, and puts the tag only then. By MPI (cuda)
 * nobody knows, short of a flush, which waits for the other: the tag carries a digest of the snapshot, and the owner of
 * the slot believes it once the device finds the same one in its own memory.
 *
 * The owner lets the slot be filled again only once the device has read it: a ticket of `mark`, asked by the host,
 * since queues of two processes know of no order.
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
    int slots;             /* K: as many as records */
    size_t count;          /* floats of a slot */
    bool required;         /* nothing else will do */
};

/* Is `transport` the name of such a way? */
bool direct_slots_way(const char *transport);

/* Collective. Slots that a trial of the way (ipc, cuda) has shown to work: every worker puts into every slot of all its
 * neighbors, which look at what has arrived. Where they do not, on any rank: NULL and the reason (static text), or, if
 * they are required, one message from all ranks together, which agree on the status: STATUS_USAGE where the device is
 * no GPU, the ranks are on several nodes (ipc) or this MPI knows nothing of GPUs (cuda), STATUS_MACHINE where GPUs do
 * not reach one another. Other failures (logged) are MPI's, which no one agrees on. */
enum status direct_slots_open(const char *way, const struct direct_slots_params *params, struct direct_slots **out,
                              const char **reason);
void direct_slots_close(struct direct_slots *slots); /* collective, but for NULL */
/* As written in the config, and how snapshots travel; static text. */
const char *direct_slots_name(const struct direct_slots *slots);
const char *direct_slots_travel(const struct direct_slots *slots);

/* Own slot, (count) of device memory, filled by neighbors. */
const float *direct_slots_own(const struct direct_slots *slots, int slot);
/* Begin to bring a snapshot, (count) of device memory, into a neighbor's slot. *digest is what its tag has to carry. */
enum status direct_slots_put(struct direct_slots *slots, int record, int neighbor, int slot, const float *from,
                             uint64_t *digest);
/* May the tag be put now, and the snapshot's memory be used again? */
enum status direct_slots_sent(struct direct_slots *slots, int record, bool *done);
/* The tag with this digest has come: has the snapshot? Not asked of the device at every call where that takes long. */
bool direct_slots_whole(struct direct_slots *slots, int slot, uint64_t digest);

#endif
