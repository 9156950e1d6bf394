/* A way from device memory into a neighbor's device memory: what direct_slots.c, which chooses and tries it, needs of
 * one. Private to this folder.
 *
 * The main thread opens and closes; between, calls come from the communication thread, all for one memory at a time. */
#ifndef GRAPEVINE_RUNTIME_MPI_DIRECT_WAY_H
#define GRAPEVINE_RUNTIME_MPI_DIRECT_WAY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "runtime/mpi/direct_slots.h"

struct direct_memory; /* a way's own: the slots of this worker, and how to reach the neighbors' */

struct direct_way {
    const char *name;    /* as written in the config: communication.transport */
    const char *travel;  /* for the line at the start: how snapshots travel */
    const char *refused; /* why it was not taken, where its trial failed, on one line */
    const char *remedy;  /* of a trial that failed */
    double patience_s;   /* how long what has been sent may take to be seen by its owner */
    bool digests;        /* what has been sent may still be on its way: the owner compares digests */

    /* May this rank go this way? STATUS_USAGE, logged, where not; `reason` (static text) says it in short. */
    enum status (*look)(const struct direct_slots_params *params, const char **reason);
    /* The own slots. Destroyed also after a failure. */
    enum status (*create)(const struct direct_slots_params *params, struct direct_memory **out);
    /* Collective: tell all others of them. Failures are MPI's. */
    enum status (*share)(struct direct_memory *memory);
    /* Reach the neighbors' slots; NULL where nothing is left to do. */
    enum status (*reach)(struct direct_memory *memory);
    /* What share and reach did, undone. `together`: by all ranks, and then it may be collective. */
    void (*leave)(struct direct_memory *memory, bool together);
    /* `all_left`: all ranks have left. If not, what somebody may still reach stays, to the end of the process. */
    void (*destroy)(struct direct_memory *memory, bool all_left);

    float *(*own)(const struct direct_memory *memory, int slot); /* (count), device memory */
    /* Begin to put (count) of device memory into a neighbor's slot, from its element `first` on: what `from` is after
     * the device's operations called so far, or, where the way has digests, is already. One put of a record at a
     * time. */
    enum status (*put)(struct direct_memory *memory, int record, int neighbor, int slot, size_t first, size_t count,
                       const float *from);
    /* Is the put of this record done with its source, and, unless the way has digests, arrived? */
    enum status (*sent)(struct direct_memory *memory, int record, bool *done);
};

extern const struct direct_way direct_way_ipc;    /* CUDA IPC, between the GPUs of a node */
extern const struct direct_way direct_way_window; /* an MPI window in device memory: cuda */

#endif
