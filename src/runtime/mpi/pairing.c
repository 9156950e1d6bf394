/* The pairing protocol of one worker. Rules, with the numbers that they have in the model:
 *
 *  #  edge state   condition (one word or one slot read)              action                        new edge state
 *  1  IDLE         free, free record, want j or owe j                 reserve record, ASK            ASKED, engaged
 *  2  IDLE         new ASK, free, free record, nobody owed or j owed  reserve record, GRANT          GRANTED, engaged
 *  3  IDLE         new ASK, engaged and j lower; or no free record    REFUSE, owe j                  IDLE
 *  4  IDLE         new ASK, engaged and j higher                      nothing: read again            IDLE
 *  5  IDLE         new CANCEL                                         REFUSE (acknowledges)          IDLE
 *  6  ASKED        same GRANT                                         COMMIT, snapshot, put          EXCHANGING
 *  7  ASKED        same ASK (crossing), i higher                      GRANT                          GRANTED
 *  8  ASKED        same ASK (crossing), i lower                       nothing: wait for its GRANT    ASKED
 *  9  ASKED        same REFUSE or CANCEL, or anything new             release record                 IDLE, free
 * 10  ASKED        time limit                                         CANCEL, release record         CANCELLED, free
 * 11  CANCELLED    anything same or new                               -                              IDLE
 * 12  GRANTED      same COMMIT                                        snapshot, put                  EXCHANGING
 * 13  GRANTED      same CANCEL, or anything new                       release record                 IDLE, free
 * 14  GRANTED      time limit                                         keep the record (parked)       GRANTED, free
 * 15  EXCHANGING   the slot holds the peer's payload                  apply once, release record     IDLE, free
 * 16  EXCHANGING   time limit                                         keep the record (debt)         EXCHANGING, free
 *
 *  -  any          the neighbor has died (pairing_bury)               release record                 closed, free
 *
 * "New" is the attempt after ours, "same" is ours; it is proved that a word is never further away. Rules 5, 11, 12,
 * 13 and 15 run whatever the worker is engaged with. In COMMIT the slot's top bit says whose tick the meeting serves,
 * in GRANT whether the granter has one for it too. Where both have, they take turns: else a worker that is asked
 * whenever it is free, as over slow links, serves the others' ticks for ever and never its own. */
#include "runtime/mpi/pairing.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"

enum word_kind { WORD_ASK = 1, WORD_CANCEL, WORD_COMMIT, WORD_REFUSE, WORD_GRANT };
enum { SLOT_MASK = 0x7f, DECIDERS_TICK = 0x80, GRANTERS_TICK = 0x80 };

static uint64_t word_make(uint64_t attempt, enum word_kind kind, uint64_t cut, int slot)
{
    return attempt << 28 | (uint64_t)kind << 24 | cut << 8 | (uint64_t)slot;
}

static uint64_t word_attempt(uint64_t word)
{
    return word >> 28;
}
static enum word_kind word_kind(uint64_t word)
{
    return (enum word_kind)(word >> 24 & 0xf);
}
static uint64_t word_cut(uint64_t word)
{
    return word >> 8 & PAIRING_CUT_MAX;
}
static int word_slot(uint64_t word)
{
    return (int)(word & SLOT_MASK);
}

void pairing_init(struct pairing *pairing, const struct pairing_io *io, int worker, int degree, const int *peers,
                  int record_count)
{
    assert(record_count >= 1 && record_count <= PAIRING_RECORDS_MAX);
    *pairing = (struct pairing){
        .io = *io, .worker = worker, .degree = degree, .record_count = record_count, .engaged = PAIRING_NOBODY};
    pairing->edges = memory_zalloc((size_t)degree, sizeof pairing->edges[0]);
    for (int j = 0; j < degree; j++) {
        pairing->edges[j].peer = peers[j];
        pairing->edges[j].record = PAIRING_NOBODY;
    }
}

void pairing_release(struct pairing *pairing)
{
    free(pairing->edges);
    pairing->edges = NULL;
}

static int find_free_record(const struct pairing *pairing)
{
    for (int k = 0; k < pairing->record_count; k++)
        if (pairing->records[k] == RECORD_FREE)
            return k;
    return PAIRING_NOBODY;
}

static bool owes_anybody(const struct pairing *pairing)
{
    for (int j = 0; j < pairing->degree; j++)
        if (pairing->edges[j].owed)
            return true;
    return false;
}

static void put(struct pairing *pairing, int j, enum word_kind kind, int slot)
{
    pairing->io.put_word(pairing->io.context, j, word_make(pairing->edges[j].attempt, kind, pairing->cut, slot));
}

static void reserve(struct pairing *pairing, int j)
{
    int record = find_free_record(pairing);
    assert(record != PAIRING_NOBODY && pairing->edges[j].record == PAIRING_NOBODY);
    pairing->records[record] = RECORD_HELD;
    pairing->edges[j].record = record;
}

/* The meeting is over. */
static void release(struct pairing *pairing, int j, enum pairing_record_state next)
{
    pairing->records[pairing->edges[j].record] = next;
    pairing->edges[j].record = PAIRING_NOBODY;
    pairing->edges[j].outstanding = false;
}

static void engage(struct pairing *pairing, int j, double now_s)
{
    pairing->engaged = j;
    pairing->engaged_since_s = now_s;
}

static void leave(struct pairing *pairing, int j)
{
    if (pairing->engaged == j)
        pairing->engaged = PAIRING_NOBODY;
}

static void grant(struct pairing *pairing, int j)
{
    bool my_tick = pairing->io.has_tick(pairing->io.context, j);
    put(pairing, j, WORD_GRANT, pairing->edges[j].record | (my_tick ? GRANTERS_TICK : 0));
}

static bool react_idle(struct pairing *pairing, int j, double now_s)
{
    struct pairing_edge *edge = &pairing->edges[j];
    if (word_attempt(edge->word) != edge->attempt + 1)
        return false;
    if (word_kind(edge->word) == WORD_CANCEL) { /* rule 5 */
        edge->attempt++;
        put(pairing, j, WORD_REFUSE, 0);
        return true;
    }
    if (word_kind(edge->word) != WORD_ASK)
        return false;
    bool free_now = pairing->engaged == PAIRING_NOBODY;
    bool has_record = find_free_record(pairing) != PAIRING_NOBODY;
    if (free_now && has_record && (edge->owed || !owes_anybody(pairing))) { /* rule 2 */
        edge->owed = false;
        edge->attempt++;
        reserve(pairing, j);
        edge->state = EDGE_GRANTED;
        engage(pairing, j, now_s);
        grant(pairing, j);
        return true;
    }
    if ((!free_now && edge->peer < pairing->worker) || (free_now && !has_record)) { /* rule 3 */
        edge->attempt++;
        edge->owed = true;
        put(pairing, j, WORD_REFUSE, 0);
        return true;
    }
    return false; /* rule 4, or somebody else is owed first */
}

static void commit(struct pairing *pairing, int j, double now_s) /* rule 6 */
{
    struct pairing_edge *edge = &pairing->edges[j];
    bool granters_turn = (edge->word & GRANTERS_TICK) != 0 && edge->served_mine;
    bool my_tick = pairing->io.has_tick(pairing->io.context, j) && !granters_turn;
    edge->state = EDGE_EXCHANGING;
    edge->served_mine = my_tick;
    engage(pairing, j, now_s);
    put(pairing, j, WORD_COMMIT, edge->record | (my_tick ? DECIDERS_TICK : 0));
    pairing->io.begin(pairing->io.context, j, edge->record, word_slot(edge->word), edge->attempt, my_tick);
}

static bool react_asked(struct pairing *pairing, int j, double now_s)
{
    struct pairing_edge *edge = &pairing->edges[j];
    uint64_t attempt = word_attempt(edge->word);
    enum word_kind kind = word_kind(edge->word);
    if (attempt == edge->attempt && kind == WORD_GRANT) {
        commit(pairing, j, now_s);
        return true;
    }
    if (attempt == edge->attempt && kind == WORD_ASK) {
        if (pairing->worker < edge->peer) /* rule 8 */
            return false;
        edge->state = EDGE_GRANTED; /* rule 7 */
        engage(pairing, j, now_s);
        grant(pairing, j);
        return true;
    }
    if ((attempt == edge->attempt && (kind == WORD_REFUSE || kind == WORD_CANCEL)) || attempt == edge->attempt + 1) {
        release(pairing, j, RECORD_FREE); /* rule 9 */
        edge->state = EDGE_IDLE;
        leave(pairing, j);
        pairing->refused++;
        return true;
    }
    return false;
}

static bool react_granted(struct pairing *pairing, int j, double now_s)
{
    struct pairing_edge *edge = &pairing->edges[j];
    uint64_t attempt = word_attempt(edge->word);
    enum word_kind kind = word_kind(edge->word);
    if (attempt == edge->attempt && kind == WORD_COMMIT) { /* rule 12 */
        edge->state = EDGE_EXCHANGING;
        edge->outstanding &= word_cut(edge->word) < pairing->cut;
        edge->served_mine = (edge->word & DECIDERS_TICK) == 0;
        if (pairing->engaged == j)
            pairing->engaged_since_s = now_s;
        pairing->io.begin(pairing->io.context, j, edge->record, word_slot(edge->word), edge->attempt,
                          (edge->word & DECIDERS_TICK) == 0);
        return true;
    }
    if ((attempt == edge->attempt && kind == WORD_CANCEL) || attempt == edge->attempt + 1) { /* rule 13 */
        release(pairing, j, RECORD_FREE);
        edge->state = EDGE_IDLE;
        leave(pairing, j);
        return true;
    }
    return false;
}

static bool react_cancelled(struct pairing *pairing, int j)
{
    struct pairing_edge *edge = &pairing->edges[j];
    if (word_attempt(edge->word) != edge->attempt && word_attempt(edge->word) != edge->attempt + 1)
        return false;
    edge->state = EDGE_IDLE; /* rule 11 */
    return true;
}

static bool react_exchanging(struct pairing *pairing, int j)
{
    struct pairing_edge *edge = &pairing->edges[j];
    if (!pairing->io.arrived(pairing->io.context, j, edge->record, edge->attempt))
        return false;
    pairing->io.apply(pairing->io.context, j, edge->record, edge->attempt); /* rule 15 */
    release(pairing, j, RECORD_DRAINING);
    edge->state = EDGE_IDLE;
    leave(pairing, j);
    return true;
}

static bool react(struct pairing *pairing, int j, double now_s)
{
    struct pairing_edge *edge = &pairing->edges[j];
    if (edge->state == EDGE_CLOSED)
        return false;
    uint64_t word = pairing->io.read_word(pairing->io.context, j);
    if (word > edge->word)
        edge->word = word;
    pairing_cut(pairing, word_cut(edge->word));
    switch (edge->state) {
    case EDGE_IDLE:
        return react_idle(pairing, j, now_s);
    case EDGE_ASKED:
        return react_asked(pairing, j, now_s);
    case EDGE_CANCELLED:
        return react_cancelled(pairing, j);
    case EDGE_GRANTED:
        return react_granted(pairing, j, now_s);
    case EDGE_EXCHANGING:
        return react_exchanging(pairing, j);
    case EDGE_CLOSED:
        break;
    }
    return false;
}

static void give_up(struct pairing *pairing)
{
    int j = pairing->engaged;
    if (pairing->edges[j].state == EDGE_ASKED) { /* rule 10 */
        put(pairing, j, WORD_CANCEL, 0);
        release(pairing, j, RECORD_FREE);
        pairing->edges[j].state = EDGE_CANCELLED;
    } /* rules 14 and 16 keep the record */
    pairing->engaged = PAIRING_NOBODY;
    pairing->given_up++;
    pairing->given_up_last = j;
}

bool pairing_sweep(struct pairing *pairing, double now_s, double patience_s)
{
    bool happened = false;
    for (int k = 0; k < pairing->record_count; k++)
        if (pairing->records[k] == RECORD_DRAINING && pairing->io.drained(pairing->io.context, k)) {
            pairing->records[k] = RECORD_FREE;
            happened = true;
        }
    for (int j = 0; j < pairing->degree; j++)
        happened |= react(pairing, j, now_s);
    if (pairing->engaged != PAIRING_NOBODY && now_s - pairing->engaged_since_s > patience_s) {
        give_up(pairing);
        happened = true;
    }
    return happened;
}

bool pairing_ask(struct pairing *pairing, int neighbor, double now_s)
{
    struct pairing_edge *edge = &pairing->edges[neighbor];
    if (pairing->engaged != PAIRING_NOBODY || edge->state != EDGE_IDLE || find_free_record(pairing) == PAIRING_NOBODY ||
        (!edge->owed && owes_anybody(pairing)))
        return false;
    edge->owed = false;
    edge->attempt++;
    reserve(pairing, neighbor);
    edge->state = EDGE_ASKED;
    engage(pairing, neighbor, now_s);
    put(pairing, neighbor, WORD_ASK, 0);
    return true;
}

bool pairing_decided_here(const struct pairing *pairing, int neighbor)
{
    return word_kind(pairing->edges[neighbor].word) == WORD_GRANT;
}

int pairing_owed(const struct pairing *pairing)
{
    for (int j = 0; j < pairing->degree; j++)
        if (pairing->edges[j].owed && pairing->edges[j].state == EDGE_IDLE)
            return j;
    return PAIRING_NOBODY;
}

void pairing_forgive(struct pairing *pairing)
{
    for (int j = 0; j < pairing->degree; j++)
        pairing->edges[j].owed = false;
}

bool pairing_silent(const struct pairing *pairing, int neighbor)
{
    return pairing->edges[neighbor].state != EDGE_IDLE && pairing->engaged != neighbor;
}

void pairing_bury(struct pairing *pairing, int neighbor)
{
    struct pairing_edge *edge = &pairing->edges[neighbor];
    if (edge->record != PAIRING_NOBODY) /* only an exchange has put anything out of it */
        release(pairing, neighbor, edge->state == EDGE_EXCHANGING ? RECORD_DRAINING : RECORD_FREE);
    leave(pairing, neighbor);
    edge->state = EDGE_CLOSED;
    edge->owed = false;
}

void pairing_cut(struct pairing *pairing, uint64_t cut)
{
    assert(cut <= PAIRING_CUT_MAX);
    if (cut <= pairing->cut)
        return;
    pairing->cut = cut;
    for (int j = 0; j < pairing->degree; j++) {
        enum pairing_edge_state state = pairing->edges[j].state;
        pairing->edges[j].outstanding = state == EDGE_GRANTED || state == EDGE_EXCHANGING;
    }
    if (pairing->io.take_cut != NULL)
        pairing->io.take_cut(pairing->io.context, cut);
}

bool pairing_cut_complete(const struct pairing *pairing)
{
    for (int j = 0; j < pairing->degree; j++)
        if (pairing->edges[j].outstanding)
            return false;
    return true;
}

bool pairing_quiet(const struct pairing *pairing)
{
    for (int j = 0; j < pairing->degree; j++)
        if (pairing->edges[j].state != EDGE_IDLE && pairing->edges[j].state != EDGE_CLOSED)
            return false;
    for (int k = 0; k < pairing->record_count; k++)
        if (pairing->records[k] != RECORD_FREE)
            return false;
    return true;
}
