/* Who meets whom: the pairing protocol of one worker, as a state machine without MPI, time or memory of its own.
 *
 * Each edge numbers its meeting attempts 1, 2, 3, …; each direction of an edge has one 64-bit word, written by one
 * worker, that says where the writer stands in the present attempt. Words are states, not events: a reader may miss
 * some.
 *
 *     word = attempt << 28 | kind << 24 | cut << 8 | slot
 *
 * ASK < CANCEL < COMMIT < REFUSE < GRANT, and a writer puts each at most once per attempt, so that words only grow.
 *
 * The asker decides (where two asks cross: the lower id); the other grants and is then bound. COMMIT, written by the
 * decider after it has read GRANT, is the only commit point: before it nobody has put a snapshot, after it both ends
 * apply, once, however late. A record is one payload slot and one snapshot buffer; it stays reserved until its
 * meeting is over, the own put is locally complete and the slot has been read. Giving up a wait only frees the worker
 * for others: the grant is parked, or the exchange becomes a debt. A neighbor that has died is buried: its edge is
 * closed for ever, whatever stood open on it. The rules are numbered as in the table in pairing.c.
 *
 * Cuts: what all workers are at one consistent moment, for a checkpoint, without stopping anybody. A worker's cut
 * number says how often it has recorded its own state; each of its words carries it. Who reads a word with a higher
 * number first takes its own cut, and then reacts. A meeting is before all cuts above the number that its COMMIT
 * carries, and after the others. What is before a cut but not yet applied when the cut is taken is outstanding: its
 * difference is to be added to the recorded state too, once it is known. So the two ends always agree whether a meeting
 * is in a cut, and a recorded state is complete when nothing is outstanding. Only the newest cut is open: the one
 * before, if it is still incomplete by then, never will be.
 *
 * tests/protocol has the state machine as a model, and what was checked of it.
 *
 * Not here: how words and payloads travel (transport.h), when a worker wants to meet (communicator.c). */
#ifndef GRAPEVINE_RUNTIME_MPI_PAIRING_H
#define GRAPEVINE_RUNTIME_MPI_PAIRING_H

#include <stdbool.h>
#include <stdint.h>

enum { PAIRING_NOBODY = -1, PAIRING_RECORDS_MAX = 16, PAIRING_CUT_MAX = 0xffff };

enum pairing_edge_state { EDGE_IDLE, EDGE_ASKED, EDGE_CANCELLED, EDGE_GRANTED, EDGE_EXCHANGING, EDGE_CLOSED };

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
    /* Apply the difference of the two snapshots. Called once per committed attempt. Where the edge is outstanding, to
     * the recorded state too. */
    void (*apply)(void *context, int neighbor, int record, uint64_t attempt);
    /* True once the put out of the record's snapshot buffer is locally complete and, after `apply`, nothing reads its
     * slot any more: both may be given to another meeting. */
    bool (*drained)(void *context, int record);
    /* True while a tick of this worker's for that neighbor waits to be served. */
    bool (*has_tick)(void *context, int neighbor);
    /* Record this worker's state for the cut of that number: nothing is done before. May be NULL. */
    void (*take_cut)(void *context, uint64_t cut);
};

struct pairing_edge {
    int peer; /* the neighbor's worker id */
    enum pairing_edge_state state;
    uint64_t attempt; /* number of the last attempt */
    uint64_t word;    /* largest word read from the peer */
    int record;       /* held, or PAIRING_NOBODY */
    bool served_mine; /* the last meeting served a tick of this worker's */
    bool owed;        /* this worker refused the peer and has not called it since */
    bool outstanding; /* the present meeting is, or may be, before the newest cut, and was not applied by then */
};

enum pairing_record_state { RECORD_FREE, RECORD_HELD, RECORD_DRAINING };

struct pairing {
    struct pairing_io io;
    int worker, degree, record_count;
    struct pairing_edge *edges; /* owned, (degree) */
    enum pairing_record_state records[PAIRING_RECORDS_MAX];
    uint64_t cut;           /* of the last state recorded, ≤ PAIRING_CUT_MAX; 0 at first */
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

/* The neighbor has died: nobody meets it any more. What was begun with it is dropped: a committed meeting is applied
 * by nobody who is alive, and its record is free once it is drained. The caller puts no more words to it. */
void pairing_bury(struct pairing *pairing, int neighbor);

/* This worker's next cut is due: take it, unless it has a higher number already. */
void pairing_cut(struct pairing *pairing, uint64_t cut);

/* Everything that is before the newest cut is in the recorded state. */
bool pairing_cut_complete(const struct pairing *pairing);

/* Every edge is idle or closed, and every record is free. */
bool pairing_quiet(const struct pairing *pairing);

#endif
