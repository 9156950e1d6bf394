/* The way of snapshots from worker to worker, chosen at the start by communication.transport and by trial.
 *
 *     ipc, cuda        from GPU to GPU (direct_slots.h); the transport carries words, counts and tags
 *     put, sendrecv    in the slots of that transport; from device memory through host memory
 *
 * "auto" is the first of ipc, put and sendrecv that works for all ranks; where deaths are survived, sendrecv: windows
 * hang once a rank of another host has died. */
#ifndef GRAPEVINE_RUNTIME_MPI_SNAPSHOT_WAY_H
#define GRAPEVINE_RUNTIME_MPI_SNAPSHOT_WAY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "runtime/job.h"
#include "runtime/mpi/direct_slots.h"
#include "runtime/mpi/payload.h"
#include "runtime/mpi/transport.h"
#include "runtime/runtime.h"
#include "worker/worker.h"

struct snapshot_way_params {
    const struct runtime_params *run; /* borrowed */
    struct job *job;                  /* borrowed */
    struct worker *worker;            /* borrowed */
    const struct graph *reach;        /* borrowed: whose neighbors may be met */
};

/* Start with {0}. */
struct snapshot_way {
    const struct job *job; /* borrowed */
    const struct transport_ops *ops;
    struct transport *transport; /* owned */
    struct direct_slots *direct; /* owned; NULL: snapshots travel in the transport's slots */
    struct payload_shape shape;  /* of the transport's slots */
    size_t payload_bytes;        /* of a snapshot on its way, for injected bandwidths: the same by all ways */
    bool damages;                /* snapshots are damaged on their way (injected): then not from GPU to GPU */
};

/* Collective. Says which way it is, in one line, where vectors lie in device memory. Errors are those of
 * direct_slots_open and transport_open; STATUS_USAGE: another way is asked for than one that survives deaths. */
enum status snapshot_way_open(const struct snapshot_way_params *params, struct snapshot_way *way);
void snapshot_way_close(struct snapshot_way *way); /* collective; after a failure too */
/* As written in the config; static text. */
const char *snapshot_way_name(const struct snapshot_way *way);

#endif
