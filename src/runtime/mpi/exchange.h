/* An exchange: two snapshots and a difference. What happens between COMMIT and the end of a meeting.
 *
 * Both ends take a snapshot of x, put it into the other's slot in chunks (payload.h), and apply ±(own − peer) once
 * the peer's has arrived, however late. Both compute the difference from the same two snapshots, so Σ(x + x̃) is kept
 * whatever lands in between. The worker's lock is held while the snapshot is taken and while the difference is
 * applied, never across a put.
 *
 * Three ways, by where snapshots lie. In host memory they are put from there. In device memory they pass through host
 * memory, chunk by chunk at both ends; or, with direct slots, they are copied from device to device and the transport
 * carries tags alone. Then nothing waits: exchange_begin starts the copy, exchange_poll finds it done and puts the tag.
 *
 * A snapshot that has been damaged on its way is never applied: its chunks do not prove to be whole (payload.h). Where
 * something of it has come and for some time nothing more, it is asked for again, and the peer puts it again into the
 * same slot. So the own snapshot, and the slot with it, are kept until the peer has answered that it has it whole. That
 * answer is the last thing that the peer puts into the slot for this meeting; a question that it overtakes is one about
 * a meeting that is over.
 *
 * What was put twice may arrive twice, the second time when the slot serves another meeting. There it is damage like
 * any other. But it could fall between a look and the use of what was seen: once a payload has been asked for again,
 * those of its slot are copied chunk by chunk, and the copies are checked and applied. Until then whatever is put into
 * a slot is put once, and what is whole has come altogether.
 *
 * A snapshot of a worker that has gone astray, or that is not finite, says so in its tags. Its peer applies nothing,
 * and it may take over the peer's model itself: so nothing that is not finite ever spreads.
 *
 * Direct slots have no such answers: a tag that does not prove itself leaves its meeting open.
 *
 * A record k is one snapshot buffer and the own slot k of the transport; pairing.h says which are in use. All calls
 * from the communication thread, but for init and release. */
#ifndef GRAPEVINE_RUNTIME_MPI_EXCHANGE_H
#define GRAPEVINE_RUNTIME_MPI_EXCHANGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "runtime/mpi/direct_slots.h"
#include "runtime/mpi/payload.h"
#include "runtime/mpi/state_cut.h"
#include "runtime/mpi/transport.h"
#include "runtime/mpi/worker_clock.h"
#include "runtime/observer.h"
#include "worker/worker.h"

struct exchange_record; /* its own */

struct exchange {
    const struct transport_ops *ops;
    struct transport *transport;     /* borrowed */
    struct direct_slots *direct;     /* borrowed; NULL: snapshots travel in the transport's slots */
    struct worker *worker;           /* borrowed */
    pthread_mutex_t *lock;           /* borrowed: guards the worker's vectors */
    struct worker_clock *clock;      /* borrowed */
    const struct observer *observer; /* borrowed */
    double origin_s;                 /* that spans are counted from */
    double limit_s;                  /* of the wait for a copy out of device memory; 0: none */
    bool *astray;                    /* borrowed, guarded by `lock`: its next snapshot is not to be averaged with */
    bool rejoins;                    /* then it takes over the peer's model (else it stays as it is) */
    int id;                          /* this worker */
    int record_count;
    bool doubts;                    /* from the start: anything may be put into a slot at any time (injected) */
    struct payload_shape shape;     /* as the transport's slots have it */
    void (*between)(void *context); /* called again and again during a put, which may take long */
    void *context;
    struct exchange_record *records; /* owned (record_count) */
    uint64_t damaged;                /* payloads that this worker has asked for again */
    uint64_t repeated;               /* times that it has put one again */
};

/* Allocates the snapshot buffers; all fields but the last three are set by the caller. After a failure too,
 * exchange_release is called, while the transport is open. */
enum status exchange_init(struct exchange *exchange);
void exchange_release(struct exchange *exchange);

/* Take the snapshot and start to bring it into the peer's slot. `delay_s`: how much later than it has really arrived
 * the peer's payload counts as arrived (injected). */
enum status exchange_begin(struct exchange *exchange, int neighbor, int peer, int record, int peer_slot,
                           uint64_t attempt, double delay_s);

/* Go on with what has begun, and answer: to be called in every round, before exchange_drained. `happened` is set if it
 * went on. */
enum status exchange_poll(struct exchange *exchange, bool *happened);

/* The meeting of this record needs neither its snapshot nor its slot any more: the own snapshot has left and is taken,
 * and, after exchange_apply, the device has read the peer's. */
bool exchange_drained(struct exchange *exchange, int record);

/* No answer will come from this peer any more: its records do not wait for one. */
void exchange_forget(struct exchange *exchange, int peer);

/* Has the peer's payload of this attempt arrived in the record's slot, whole, and been delayed? */
bool exchange_arrived(struct exchange *exchange, int peer, int record, uint64_t attempt);

/* Report that a wait of this attempt has run out; the attempt goes on or not as pairing.h says. */
void exchange_given_up(struct exchange *exchange, int peer, uint64_t attempt);

/* Report that a meeting with this peer was lost before it was asked for (injected). */
void exchange_lost(struct exchange *exchange, int peer);

/* Apply the difference of two snapshots that are sound, to a recorded state too where the meeting is before that (NULL:
 * it is not). Returns ‖own − peer‖²/2 (of a sample of a long vector, scaled). */
double exchange_apply(struct exchange *exchange, int peer, int record, struct state_cut *also_to);

/* Report that the communication thread has done something since then; peer −1: with nobody. */
void exchange_span(const struct exchange *exchange, enum span_kind kind, double begin_s, int peer);

#endif
