/* An in-process network of workers that pair: for tests of runtime/mpi/pairing. Not a model of MPI's speed.
 *
 * Words and payloads travel as the transport promises and no better: the words of one direction arrive in order, at any
 * later time, and a reader may miss some; a payload arrives at any later time, unordered to everything else; a put is
 * locally complete at any later time. Workers are scheduled at random, time is an argument. A ghost record of every
 * attempt holds what both ends have done, and each thing that the protocol promises is tested where it would first be
 * broken. */
#ifndef GRAPEVINE_TESTS_PAIRING_NETWORK_H
#define GRAPEVINE_TESTS_PAIRING_NETWORK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "runtime/mpi/pairing.h"

enum { WORKERS_MAX = 6, ATTEMPTS_MAX = 4096, WORDS_MAX = 5 }; /* WORDS_MAX: proved by the model */

enum { CUTS_MAX = 256 };

/* Kinds of words, as numbered in the contract. */
enum { ASK = 1, CANCEL, COMMIT, REFUSE, GRANT };

static inline uint64_t word_make_of(uint64_t attempt, int kind, uint64_t cut, int slot)
{
    return attempt << 28 | (uint64_t)kind << 24 | cut << 8 | (uint64_t)slot;
}
static inline uint64_t word_attempt_of(uint64_t word)
{
    return word >> 28;
}
static inline int word_kind_of(uint64_t word)
{
    return (int)(word >> 24 & 0xf);
}
static inline uint64_t word_cut_of(uint64_t word)
{
    return word >> 8 & 0xffff;
}

/* What one end has done in one attempt. */
enum { ASKED = 1, COMMITTED = 2, BEGUN = 4, APPLIED = 8, TICK_SERVED = 16, TICK_OFFERED = 32 };

enum topology { TOPOLOGY_RING, TOPOLOGY_COMPLETE, TOPOLOGY_STAR };

/* What is on its way from one worker to another, and what has arrived. */
struct direction {
    uint64_t words[WORDS_MAX];
    int word_count;
    uint64_t seen;    /* the word in the reader's window */
    uint64_t written; /* the last word put */
    bool payload;     /* one is on its way */
    int payload_slot;
    uint64_t payload_attempt;
};

struct slot {
    int writer;
    uint64_t attempt; /* 0: never written */
};

struct member {
    struct network *network; /* borrowed */
    int id;
    struct pairing pairing;
    int place[WORKERS_MAX];      /* where a worker stands among this one's neighbors, or PAIRING_NOBODY */
    uint64_t ticks[WORKERS_MAX]; /* pending, by peer */
    bool served[WORKERS_MAX];    /* the last meeting with the peer served a tick of this one's */
    uint64_t meetings;
    uint64_t cut;            /* the last one that it was told to take */
    bool complete[CUTS_MAX]; /* the recorded state of a cut is */
    struct slot slots[PAIRING_RECORDS_MAX];
    bool sending[PAIRING_RECORDS_MAX]; /* the put out of the record's snapshot buffer is not locally complete */
    bool stopped;                      /* not scheduled */
    bool dead;
};

struct network_params {
    uint64_t seed;
    enum topology topology;
    int worker_count, records;
    double patience_s;
};

struct network {
    struct network_params params;
    struct random_stream chance;
    double now_s;
    long steps;
    uint64_t drawn, served; /* ticks */
    struct member members[WORKERS_MAX];
    struct direction directions[WORKERS_MAX][WORKERS_MAX]; /* from, to */
    unsigned char (*ghost)[WORKERS_MAX][ATTEMPTS_MAX];     /* owned: what `from` has done with `to` in an attempt */
    uint16_t (*first_cut)[WORKERS_MAX][ATTEMPTS_MAX]; /* owned: the first cut of `from` that an applied one is in */
    uint64_t cuts_compared;                           /* pairs of neighbors, cuts that both completed */
    uint32_t cuts_one_in; /* of the turns, how many are a cut by the worker's own decision; 0: none */
};

#define EXPECT(network, condition)                                                                            \
    do {                                                                                                      \
        if (!(condition))                                                                                     \
            fail_msg("%s (seed %lu, topology %d, %d workers, %d records, patience %g, step %ld)", #condition, \
                     (unsigned long)(network)->params.seed, (int)(network)->params.topology,                  \
                     (network)->params.worker_count, (network)->params.records, (network)->params.patience_s, \
                     (network)->steps);                                                                       \
    } while (0)

static inline bool network_chance(struct network *network, uint32_t one_in)
{
    return random_below(&network->chance, one_in) == 0;
}

static inline bool network_edge(const struct network_params *params, int a, int b)
{
    if (a == b)
        return false;
    if (params->topology == TOPOLOGY_COMPLETE)
        return true;
    if (params->topology == TOPOLOGY_STAR)
        return a == 0 || b == 0;
    return (a + 1) % params->worker_count == b || (b + 1) % params->worker_count == a;
}

static inline int member_peer(const struct member *member, int neighbor)
{
    return member->pairing.edges[neighbor].peer;
}

static inline const struct pairing_edge *member_edge(const struct member *member, int peer)
{
    return &member->pairing.edges[member->place[peer]];
}

static inline unsigned char *ghost_at(struct network *network, int from, int to, uint64_t attempt)
{
    EXPECT(network, attempt >= 1 && attempt < ATTEMPTS_MAX);
    return &network->ghost[from][to][attempt];
}

/* --- the io of one member --- */

static inline uint64_t network_read_word(void *context, int neighbor)
{
    struct member *member = context;
    struct network *network = member->network;
    struct direction *in = &network->directions[member_peer(member, neighbor)][member->id];
    int arrive = (int)random_below(&network->chance, (uint32_t)in->word_count + 1);
    if (arrive > 0)
        in->seen = in->words[arrive - 1];
    for (int k = arrive; k < in->word_count; k++)
        in->words[k - arrive] = in->words[k];
    in->word_count -= arrive;
    return in->seen;
}

static inline void network_put_word(void *context, int neighbor, uint64_t word)
{
    struct member *member = context;
    struct network *network = member->network;
    const struct pairing_edge *edge = &member->pairing.edges[neighbor];
    struct direction *out = &network->directions[member->id][edge->peer];
    unsigned char *own = ghost_at(network, member->id, edge->peer, word_attempt_of(word));
    int kind = word_kind_of(word), slot = (int)(word & 0x7f);
    EXPECT(network, word > out->written);
    EXPECT(network, word_attempt_of(word) == edge->attempt && word_cut_of(word) == member->cut);
    if (kind == ASK)
        *own |= ASKED;
    if (kind == COMMIT) {
        EXPECT(network, (*own & ASKED) && !(*own & COMMITTED));
        EXPECT(network, !(*ghost_at(network, edge->peer, member->id, word_attempt_of(word)) & COMMITTED));
        *own |= COMMITTED;
    }
    if (kind == COMMIT || kind == GRANT)
        EXPECT(network, slot == edge->record && member->pairing.records[slot] == RECORD_HELD);
    if (kind == GRANT) {
        EXPECT(network, ((word & 0x80) != 0) == (member->ticks[edge->peer] > 0));
        *own |= (word & 0x80) != 0 ? TICK_OFFERED : 0;
    }
    EXPECT(network, out->word_count < WORDS_MAX);
    out->words[out->word_count++] = word;
    out->written = word;
}

/* The tick that a meeting serves: the decider's if it had one when it committed, else the granter's; where both had
 * one, that of whom the last meeting did not serve, the decider's at first. */
static inline void network_serve_tick(struct member *member, int peer, unsigned char *own, unsigned char theirs,
                                      bool by_my_tick)
{
    struct network *network = member->network;
    bool granters_turn = (theirs & TICK_OFFERED) && member->served[peer];
    bool deciders = member->ticks[peer] > 0 && !granters_turn;
    EXPECT(network, by_my_tick == ((*own & COMMITTED) ? deciders : !(theirs & TICK_SERVED)));
    member->served[peer] = by_my_tick;
    if (!by_my_tick)
        return;
    EXPECT(network, member->ticks[peer] > 0);
    member->ticks[peer]--;
    network->served++;
    *own |= TICK_SERVED;
}

static inline void network_begin(void *context, int neighbor, int record, int peer_slot, uint64_t attempt,
                                 bool by_my_tick)
{
    struct member *member = context;
    struct network *network = member->network;
    int peer = member_peer(member, neighbor);
    unsigned char *own = ghost_at(network, member->id, peer, attempt);
    unsigned char theirs = *ghost_at(network, peer, member->id, attempt);
    EXPECT(network, ((*own ^ theirs) & COMMITTED) && !(*own & BEGUN));
    *own |= BEGUN;
    network_serve_tick(member, peer, own, theirs, by_my_tick);
    EXPECT(network, record == member->pairing.edges[neighbor].record && !member->sending[record]);
    member->sending[record] = true;
    const struct pairing_edge *other = member_edge(&network->members[peer], member->id);
    EXPECT(network, other->record == peer_slot && other->attempt == attempt);
    struct direction *out = &network->directions[member->id][peer];
    EXPECT(network, !out->payload);
    out->payload = true;
    out->payload_slot = peer_slot;
    out->payload_attempt = attempt;
}

/* The payload lands: its slot must still be kept for it. */
static inline void network_land(struct network *network, int from, int to)
{
    struct direction *flight = &network->directions[from][to];
    const struct pairing_edge *edge = member_edge(&network->members[to], from);
    EXPECT(network, edge->record == flight->payload_slot && edge->attempt == flight->payload_attempt);
    network->members[to].slots[flight->payload_slot] = (struct slot){from, flight->payload_attempt};
    flight->payload = false;
}

static inline bool network_arrived(void *context, int neighbor, int record, uint64_t attempt)
{
    struct member *member = context;
    int peer = member_peer(member, neighbor);
    if (member->network->directions[peer][member->id].payload && network_chance(member->network, 3))
        network_land(member->network, peer, member->id);
    return member->slots[record].writer == peer && member->slots[record].attempt == attempt;
}

static inline void network_apply(void *context, int neighbor, int record, uint64_t attempt)
{
    struct member *member = context;
    struct network *network = member->network;
    int peer = member_peer(member, neighbor);
    unsigned char *own = ghost_at(network, member->id, peer, attempt);
    unsigned char theirs = *ghost_at(network, peer, member->id, attempt);
    EXPECT(network, !(*own & APPLIED));
    EXPECT(network, (*own & BEGUN) && (theirs & BEGUN));
    EXPECT(network, (*own ^ theirs) & COMMITTED);
    EXPECT(network, (*own ^ theirs) & TICK_SERVED);
    EXPECT(network, member->slots[record].writer == peer && member->slots[record].attempt == attempt);
    *own |= APPLIED;
    member->meetings++;
    network->first_cut[member->id][peer][attempt] =
        (uint16_t)(member->pairing.edges[neighbor].outstanding ? member->cut : member->cut + 1);
}

static inline bool network_drained(void *context, int record)
{
    struct member *member = context;
    if (network_chance(member->network, 3))
        member->sending[record] = false;
    return !member->sending[record];
}

static inline bool network_has_tick(void *context, int neighbor)
{
    struct member *member = context;
    return member->ticks[member_peer(member, neighbor)] > 0;
}

static inline void network_take_cut(void *context, uint64_t cut)
{
    struct member *member = context;
    EXPECT(member->network, cut > member->cut && cut == member->pairing.cut && cut < CUTS_MAX);
    member->cut = cut;
}

/* --- life of a network --- */

static inline void member_init(struct network *network, int id)
{
    struct member *member = &network->members[id];
    int peers[WORKERS_MAX], degree = 0;
    member->network = network;
    member->id = id;
    for (int peer = 0; peer < WORKERS_MAX; peer++) {
        bool adjacent = peer < network->params.worker_count && network_edge(&network->params, id, peer);
        member->place[peer] = adjacent ? degree : PAIRING_NOBODY;
        if (adjacent)
            peers[degree++] = peer;
    }
    struct pairing_io io = {.context = member,
                            .read_word = network_read_word,
                            .put_word = network_put_word,
                            .begin = network_begin,
                            .arrived = network_arrived,
                            .apply = network_apply,
                            .drained = network_drained,
                            .has_tick = network_has_tick,
                            .take_cut = network_take_cut};
    pairing_init(&member->pairing, &io, id, degree, peers, network->params.records);
}

static inline struct network *network_create(const struct network_params *params)
{
    struct network *network = memory_zalloc(1, sizeof *network);
    network->params = *params;
    network->chance = random_stream(params->seed, RANDOM_TEST, 0, 0);
    network->ghost = memory_zalloc(WORKERS_MAX, sizeof network->ghost[0]);
    network->first_cut = memory_zalloc(WORKERS_MAX, sizeof network->first_cut[0]);
    for (int i = 0; i < params->worker_count; i++)
        member_init(network, i);
    return network;
}

static inline void network_destroy(struct network *network)
{
    for (int i = 0; i < network->params.worker_count; i++)
        pairing_release(&network->members[i].pairing);
    free(network->ghost);
    free(network->first_cut);
    free(network);
}

/* What holds of a worker after every sweep. */
static inline void network_check(struct network *network, const struct member *member)
{
    int held = 0;
    for (int j = 0; j < member->pairing.degree; j++) {
        const struct pairing_edge *edge = &member->pairing.edges[j];
        uint64_t theirs = member_edge(&network->members[edge->peer], member->id)->attempt;
        EXPECT(network, edge->attempt <= theirs + 1 && theirs <= edge->attempt + 1);
        EXPECT(network, (edge->record == PAIRING_NOBODY) ==
                            (edge->state == EDGE_IDLE || edge->state == EDGE_CANCELLED || edge->state == EDGE_CLOSED));
        if (edge->record != PAIRING_NOBODY) {
            EXPECT(network, member->pairing.records[edge->record] == RECORD_HELD);
            held++;
        }
        if (j == member->pairing.engaged)
            EXPECT(network, edge->state != EDGE_IDLE && edge->state != EDGE_CANCELLED && edge->state != EDGE_CLOSED);
        EXPECT(network,
               pairing_silent(&member->pairing, j) == (edge->state != EDGE_IDLE && j != member->pairing.engaged));
    }
    for (int k = 0; k < member->pairing.record_count; k++)
        held -= member->pairing.records[k] == RECORD_HELD;
    EXPECT(network, held == 0);
}

/* Ask as the communication thread does: first whom this worker must call back, else somebody that a tick waits for. */
static inline void network_ask(struct network *network, struct member *member)
{
    int neighbor = pairing_owed(&member->pairing);
    if (neighbor == PAIRING_NOBODY) {
        neighbor = (int)random_below(&network->chance, (uint32_t)member->pairing.degree);
        if (member->ticks[member_peer(member, neighbor)] == 0)
            return;
    }
    struct pairing_edge *edge = &member->pairing.edges[neighbor];
    bool idle = edge->state == EDGE_IDLE && member->pairing.engaged == PAIRING_NOBODY;
    bool asked = pairing_ask(&member->pairing, neighbor, network->now_s);
    EXPECT(network, !asked || (idle && edge->state == EDGE_ASKED && member->pairing.engaged == neighbor));
}

/* One random worker takes one turn; some payload may land meanwhile. */
static inline void network_step(struct network *network)
{
    int worker_count = network->params.worker_count;
    int from = (int)random_below(&network->chance, (uint32_t)worker_count);
    int to = (int)random_below(&network->chance, (uint32_t)worker_count);
    if (network->directions[from][to].payload && network_chance(network, 4))
        network_land(network, from, to);
    struct member *member = &network->members[random_below(&network->chance, (uint32_t)worker_count)];
    network->steps++;
    network->now_s += random_exponential(&network->chance);
    if (member->stopped)
        return;
    if (network->cuts_one_in > 0 && member->cut + 1 < CUTS_MAX && network_chance(network, network->cuts_one_in))
        pairing_cut(&member->pairing, member->cut + 1);
    pairing_sweep(&member->pairing, network->now_s, network->params.patience_s);
    member->complete[member->cut] |= pairing_cut_complete(&member->pairing);
    network_check(network, member);
    if (network_chance(network, 2))
        network_ask(network, member);
}

static inline void network_draw_tick(struct network *network, int worker, int peer)
{
    if (network->members[worker].place[peer] == PAIRING_NOBODY)
        return;
    network->members[worker].ticks[peer]++;
    network->drawn++;
}

/* Steps with new ticks, about one in `one_in` steps. */
static inline void network_run(struct network *network, int steps, uint32_t one_in)
{
    for (int k = 0; k < steps; k++) {
        if (network_chance(network, one_in)) {
            int worker = (int)random_below(&network->chance, (uint32_t)network->params.worker_count);
            network_draw_tick(network, worker,
                              (int)random_below(&network->chance, (uint32_t)network->params.worker_count));
        }
        network_step(network);
    }
}

/* A worker that never comes back: each of its puts on the way arrives or vanishes, of words any tail. */
static inline void network_kill(struct network *network, int dead)
{
    network->members[dead].stopped = network->members[dead].dead = true;
    for (int peer = 0; peer < network->params.worker_count; peer++) {
        struct direction *out = &network->directions[dead][peer];
        out->word_count = (int)random_below(&network->chance, (uint32_t)out->word_count + 1);
        if (out->payload && network_chance(network, 2))
            out->payload = false;
    }
}

/* A living worker learns of a death: what was on its way from the dead does not come any more. */
static inline void network_bury(struct network *network, int living, int dead)
{
    struct member *member = &network->members[living];
    if (member->place[dead] == PAIRING_NOBODY)
        return;
    network->directions[dead][living].payload = false;
    member->ticks[dead] = 0;
    pairing_bury(&member->pairing, member->place[dead]);
    network_check(network, member);
}

/* Nothing is wanted, on its way or unfinished between the living. */
static inline bool network_quiet(const struct network *network)
{
    for (int i = 0; i < network->params.worker_count; i++)
        for (int j = 0; j < network->params.worker_count; j++) {
            const struct member *a = &network->members[i], *b = &network->members[j];
            if (a->dead || b->dead || a->place[j] == PAIRING_NOBODY)
                continue;
            const struct direction *out = &network->directions[i][j];
            const struct pairing_edge *edge = member_edge(a, j);
            if (a->ticks[j] > 0 || out->word_count > 0 || out->payload || edge->state != EDGE_IDLE || edge->owed)
                return false;
        }
    return true;
}

/* Serve all ticks that are left. */
static inline void network_finish(struct network *network, long steps_max)
{
    for (long k = 0; k < steps_max && !network_quiet(network); k++)
        network_step(network);
    EXPECT(network, network_quiet(network));
}

/* For each cut that two neighbors have completed: the same meetings of theirs are in what both have recorded. */
static inline void network_check_cuts(struct network *network)
{
    for (int i = 0; i < network->params.worker_count; i++)
        for (int j = i + 1; j < network->params.worker_count; j++) {
            const struct member *a = &network->members[i], *b = &network->members[j];
            if (a->dead || b->dead || a->place[j] == PAIRING_NOBODY)
                continue;
            for (uint64_t cut = 1; cut < CUTS_MAX; cut++) {
                if (!a->complete[cut] || !b->complete[cut])
                    continue;
                network->cuts_compared++;
                for (uint64_t attempt = 1; attempt <= member_edge(a, j)->attempt; attempt++)
                    if (*ghost_at(network, i, j, attempt) & APPLIED)
                        EXPECT(network, (network->first_cut[i][j][attempt] <= cut) ==
                                            (network->first_cut[j][i][attempt] <= cut));
            }
        }
}

/* The same attempts on both sides of every edge between the living, applied exactly where committed; if all live, every
 * tick served once. */
static inline void network_check_end(struct network *network)
{
    bool all_live = true;
    uint64_t committed = 0;
    for (int i = 0; i < network->params.worker_count; i++) {
        const struct member *a = &network->members[i];
        all_live &= !a->dead;
        for (int j = i + 1; j < network->params.worker_count; j++) {
            const struct member *b = &network->members[j];
            if (a->dead || b->dead || a->place[j] == PAIRING_NOBODY)
                continue;
            EXPECT(network, member_edge(a, j)->attempt == member_edge(b, i)->attempt);
            for (uint64_t attempt = 1; attempt <= member_edge(a, j)->attempt; attempt++) {
                unsigned char mine = *ghost_at(network, i, j, attempt), theirs = *ghost_at(network, j, i, attempt);
                bool commit = (mine | theirs) & COMMITTED;
                EXPECT(network, !!(mine & APPLIED) == commit && !!(theirs & APPLIED) == commit);
                committed += commit;
            }
        }
    }
    network_check_cuts(network);
    if (!all_live)
        return;
    EXPECT(network, network->served == network->drawn && committed == network->drawn);
    for (int i = 0; i < network->params.worker_count; i++) {
        for (int k = 0; k < 1000 && !pairing_quiet(&network->members[i].pairing); k++)
            pairing_sweep(&network->members[i].pairing, network->now_s, network->params.patience_s);
        EXPECT(network, pairing_quiet(&network->members[i].pairing));
        EXPECT(network, network->members[i].pairing.engaged == PAIRING_NOBODY);
    }
}

#endif
