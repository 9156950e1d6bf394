/* How control words, progress counts and payloads reach a neighbor: one table, several ways.
 *
 * Every worker keeps, for each neighbor, the last word and the last progress counts that the neighbor put, and
 * `slots` payload slots that all neighbors share by the pairing protocol. A put is started, not waited for. Words and
 * counts are copied; the source of a payload may be used again when it is locally complete (drained). Words to one
 * neighbor arrive in order and whole. Nothing tells that a payload has arrived but the payload itself (payload.h).
 * Where snapshots travel from device to device (direct_slots.h) a slot holds no more than the tag that says so.
 *
 * The main thread opens and closes a transport; between, all calls come from one thread: in training the communication
 * thread. */
#ifndef GRAPEVINE_RUNTIME_MPI_TRANSPORT_H
#define GRAPEVINE_RUNTIME_MPI_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "graph/graph.h"
#include "runtime/job.h"

struct transport; /* a way's own */

struct transport_params {
    struct job *job;
    const struct graph *graph; /* borrowed for the transport's life */
    int worker;
    int slots;         /* K */
    size_t slot_bytes; /* the same on every rank */
    int puts_per_slot; /* at most so many put_payload calls for one meeting */
};

struct transport_ops {
    const char *name; /* as written in the config: communication.transport */
    const char *description;
    enum status (*create)(const struct transport_params *params, struct transport **out); /* collective */
    void (*destroy)(struct transport *transport);                                         /* collective */
    /* Let MPI progress; what has arrived becomes visible to loads. */
    enum status (*poll)(struct transport *transport);
    uint64_t (*read_word)(struct transport *transport, int neighbor);
    /* Start to put a word. Only where more words are on their way than the pairing protocol can have, wait for the
     * oldest, for at most job->limit_s. */
    enum status (*put_word)(struct transport *transport, int neighbor, uint64_t word);
    /* The neighbor's counts (worker_count), each whole, from one or several puts. */
    const uint64_t *(*read_counts)(struct transport *transport, int neighbor);
    /* Put a copy of `counts` (worker_count); false while the previous put is on its way: try again later. */
    bool (*put_counts)(struct transport *transport, int neighbor, const uint64_t *counts);
    /* Own slot `slot` (slot_bytes), written by neighbors. */
    unsigned char *(*slot)(struct transport *transport, int slot);
    /* Start to put bytes into a neighbor's slot at an offset; `record` is the own record that the put is counted
     * under. */
    enum status (*put_payload)(struct transport *transport, int neighbor, int slot, size_t offset, const void *source,
                               size_t bytes, int record);
    /* All puts counted under the record are locally complete. */
    bool (*drained)(struct transport *transport, int record);
    /* The neighbor has died: what is put to it from now on is dropped, and what it has put may come, into slots whose
     * records are not drained, or not. NULL: the transport does not survive it. */
    void (*bury)(struct transport *transport, int neighbor);
    /* Small puts do not arrive by themselves with this MPI: see to it from now on. NULL where nothing can be done. */
    void (*push_small_puts)(struct transport *transport);
};

extern const struct transport_ops transport_put;      /* one-sided: MPI_Rput into a window */
extern const struct transport_ops transport_sendrecv; /* two-sided: for MPI libraries whose windows do not work here */

/* The way that `name` says; "auto": one-sided if a probe shows that the words and counts put by every rank arrive at
 * all its neighbors without a flush (after push_small_puts, where they do not at first), else two-sided, with a
 * warning. Collective. STATUS_MACHINE (logged, with flags to try) when the way that was asked for, or with "auto" the
 * last one, does not work. */
enum status transport_open(const char *name, const struct transport_params *params, const struct transport_ops **ops,
                           struct transport **out);

#endif
