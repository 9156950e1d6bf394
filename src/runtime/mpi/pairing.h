/* Who meets whom: the pairing protocol of one worker, as a state machine without MPI, time or memory of its own.
 *
 * Each edge numbers its meeting attempts 1, 2, 3, …; each direction of an edge has one 64-bit word, written by one
 * worker, that says where the writer stands in the present attempt. Words are states, not events: a reader may miss
 * some.
 *
 *     word = attempt << 16 | kind << 8 | slot       ASK < CANCEL < COMMIT < REFUSE < GRANT, so that words only grow
 *
 * The asker decides (where two asks cross: the lower id); the other grants and is then bound. COMMIT, written by the
 * decider after it has read GRANT, is the only commit point: before it nobody has put a snapshot, after it both ends
 * apply, once, however late. A record is one payload slot and one snapshot buffer; it stays reserved until its
 * meeting is over, the own put is locally complete and the slot has been read. Giving up a wait only frees the worker
 * for others: the grant is parked, or the exchange becomes a debt. The rules are numbered as in the table in pairing.c.
 * The state machine was model-checked (Spin) for safety with time-outs, stops and deaths of 2 to 4 workers, and for
 * freedom from starvation for 3.
 *
 * Not here: how words and payloads travel (transport.h), when a worker wants to meet (communicator.c). */
#ifndef GRAPEVINE_RUNTIME_MPI_PAIRING_H
#define GRAPEVINE_RUNTIME_MPI_PAIRING_H

#include <stdbool.h>
#include <stdint.h>

enum { PAIRING_NOBODY = -1, PAIRING_RECORDS_MAX = 16 };

enum pairing_edge_state { EDGE_IDLE, EDGE_ASKED, EDGE_CANCELLED, EDGE_GRANTED, EDGE_EXCHANGING };

/* What the state machine asks of the world. `neighbor` is an index into the worker's neighbors. */
struct pairing_io {
    void *context;
    uint64_t (*read_word)(void *context, int neighbor);
    void (*put_word)(void *context, int neighbor, uint64_t word);
    /* The meeting is committed: take the snapshot into the record's buffer and put it into the peer's slot.
     * `by_my_tick`: the tick that this meeting serves is this worker's, else the peer's. */
    void (*begin)(void *context, int neighbor, int record, int peer_slot, uint64_t attempt, bool by_my_tick);
    /* True once the peer's whole, valid payload of this attempt lies in the record's slot. */
    bool (*arrived)(void *context, int neighbor, int record, uint64_t attempt);
    /* Apply the difference of the two snapshots. Called once per committed attempt. */
    void (*apply)(void *context, int neighbor, int record, uint64_t attempt);
    /* True once the put out of the record's snapshot buffer is locally complete and, after `apply`, nothing reads its
     * slot any more: both may be given to another meeting. */
    bool (*drained)(void *context, int record);
    /* True while a tick of this worker's for that neighbor waits to be served. */
    bool (*has_tick)(void *context, int neighbor);
};

struct pairing_edge {
    int peer; /* the neighbor's worker id */
    enum pairing_edge_state state;
    uint64_t attempt; /* number of the last attempt */
    uint64_t word;    /* largest word read from the peer */
    int record;       /* held, or PAIRING_NOBODY */
    bool served_mine; /* the last meeting served a tick of this worker's */
    bool owed;        /* this worker refused the peer and has not called it since */
};

enum pairing_record_state { RECORD_FREE, RECORD_HELD, RECORD_DRAINING };

struct pairing {
    struct pairing_io io;
    int worker, degree, record_count;
    struct pairing_edge *edges; /* owned, (degree) */
    enum pairing_record_state records[PAIRING_RECORDS_MAX];
    int engaged;            /* the neighbor that this worker is busy with, or PAIRING_NOBODY */
    double engaged_since_s; /* when the present wait began */
    uint64_t refused;       /* asks of ours that were refused or cancelled */
    uint64_t given_up;      /* waits that ran out */
    int given_up_last;      /* the neighbor of the last of them */
};

void pairing_init(struct pairing *pairing, const struct pairing_io *io, int worker, int degree, const int *peers,
                  int record_count);
void pairing_release(struct pairing *pairing);

/* One sweep: read every neighbor's word and react, test every held slot, free drained records, give up a wait that
 * has lasted longer than patience_s. True if anything happened. */
bool pairing_sweep(struct pairing *pairing, double now_s, double patience_s);

/* Ask a neighbor for a meeting (rule 1): call it after a sweep. False when this worker is engaged, has no free
 * record, must call somebody else back first (pairing_owed), or the edge is not idle. */
bool pairing_ask(struct pairing *pairing, int neighbor, double now_s);

/* While a meeting begins (io.begin): this worker has decided it (COMMIT is its own), not the neighbor. */
bool pairing_decided_here(const struct pairing *pairing, int neighbor);

/* A neighbor that must be called back before anybody else is asked and can be asked now, or PAIRING_NOBODY. */
int pairing_owed(const struct pairing *pairing);

/* Forget what is owed: nobody will be asked any more. */
void pairing_forgive(struct pairing *pairing);

/* The peer has left a wait of ours unanswered: a cancelled ask, a parked grant or a debt. */
bool pairing_silent(const struct pairing *pairing, int neighbor);

/* No edge is in a meeting and every record is free. */
bool pairing_quiet(const struct pairing *pairing);

#endif
