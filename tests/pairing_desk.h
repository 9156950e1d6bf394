/* One worker whose neighbors are played by the test: for tests of runtime/mpi/pairing by scripted words. */
#ifndef GRAPEVINE_TESTS_PAIRING_DESK_H
#define GRAPEVINE_TESTS_PAIRING_DESK_H

#include "pairing_network.h"

enum { WORKER = 5, NEIGHBORS = 3, LOGGED_MAX = 64 };
enum { LOWER, HIGHER, OTHER }; /* neighbors of worker 5: workers 2, 8 and 3 */
static const int peers_of_desk[NEIGHBORS] = {2, 8, 3};
static const double forever_s = 1e9;

struct event {
    enum { EVENT_PUT, EVENT_BEGIN, EVENT_APPLY, EVENT_CUT } kind;
    int neighbor;
    uint64_t word; /* of a put; the number of a cut */
    int record, peer_slot;
    uint64_t attempt;
    bool by_my_tick;
};

struct desk {
    struct pairing pairing;
    uint64_t words[NEIGHBORS];
    bool payload[NEIGHBORS], tick[NEIGHBORS], sending;
    struct event events[LOGGED_MAX];
    int event_count, event_seen;
    double now_s;
};

static inline uint64_t word(uint64_t attempt, int kind, int slot)
{
    return word_make_of(attempt, kind, 0, slot);
}

static inline void desk_log(struct desk *desk, struct event event)
{
    assert_true(desk->event_count < LOGGED_MAX);
    desk->events[desk->event_count++] = event;
}

static inline uint64_t desk_read_word(void *context, int neighbor)
{
    return ((struct desk *)context)->words[neighbor];
}

static inline void desk_put_word(void *context, int neighbor, uint64_t put)
{
    desk_log(context, (struct event){.kind = EVENT_PUT, .neighbor = neighbor, .word = put});
}

static inline void desk_begin(void *context, int neighbor, int record, int peer_slot, uint64_t attempt, bool by_my_tick)
{
    desk_log(context, (struct event){EVENT_BEGIN, neighbor, 0, record, peer_slot, attempt, by_my_tick});
}

static inline bool desk_arrived(void *context, int neighbor, int record, uint64_t attempt)
{
    const struct desk *desk = context;
    assert_int_equal(record, desk->pairing.edges[neighbor].record);
    assert_int_equal(attempt, desk->pairing.edges[neighbor].attempt);
    return desk->payload[neighbor];
}

static inline void desk_apply(void *context, int neighbor, int record, uint64_t attempt)
{
    desk_log(context, (struct event){.kind = EVENT_APPLY, .neighbor = neighbor, .record = record, .attempt = attempt});
}

static inline bool desk_drained(void *context, int record)
{
    (void)record;
    return !((struct desk *)context)->sending;
}

static inline bool desk_has_tick(void *context, int neighbor)
{
    return ((struct desk *)context)->tick[neighbor];
}

static inline void desk_take_cut(void *context, uint64_t cut)
{
    desk_log(context, (struct event){.kind = EVENT_CUT, .word = cut});
}

static inline struct desk *desk_open(int records)
{
    struct desk *desk = memory_zalloc(1, sizeof *desk);
    struct pairing_io io = {desk,       desk_read_word, desk_put_word, desk_begin,   desk_arrived,
                            desk_apply, desk_drained,   desk_has_tick, desk_take_cut};
    pairing_init(&desk->pairing, &io, WORKER, NEIGHBORS, peers_of_desk, records);
    return desk;
}

/* Nothing happened but what the test has named. */
static inline void desk_close(struct desk *desk)
{
    assert_int_equal(desk->event_seen, desk->event_count);
    pairing_release(&desk->pairing);
    free(desk);
}

static inline bool desk_sweep(struct desk *desk)
{
    return pairing_sweep(&desk->pairing, desk->now_s, forever_s);
}

/* The neighbor's word is read once. */
static inline bool tell(struct desk *desk, int neighbor, uint64_t attempt, int kind, int slot)
{
    desk->words[neighbor] = word(attempt, kind, slot);
    return desk_sweep(desk);
}

static inline void desk_ask(struct desk *desk, int neighbor)
{
    assert_true(pairing_ask(&desk->pairing, neighbor, desk->now_s));
}

static inline bool desk_time_out(struct desk *desk)
{
    desk->now_s += 2;
    return pairing_sweep(&desk->pairing, desk->now_s, 1);
}

static const struct event *next_event(struct desk *desk, int kind, int neighbor)
{
    assert_true(desk->event_seen < desk->event_count);
    const struct event *event = &desk->events[desk->event_seen++];
    assert_int_equal(event->kind, kind);
    assert_int_equal(event->neighbor, neighbor);
    return event;
}

static inline void expect_put(struct desk *desk, int neighbor, uint64_t attempt, int kind, int slot)
{
    uint64_t put = next_event(desk, EVENT_PUT, neighbor)->word;
    assert_int_equal(word_attempt_of(put), attempt);
    assert_int_equal(word_kind_of(put), kind);
    assert_int_equal(word_cut_of(put), desk->pairing.cut);
    assert_int_equal(put & 0xff, slot);
}

static inline void expect_begin(struct desk *desk, int neighbor, uint64_t attempt, int peer_slot, bool by_my_tick)
{
    const struct event *event = next_event(desk, EVENT_BEGIN, neighbor);
    assert_int_equal(event->record, desk->pairing.edges[neighbor].record);
    assert_int_equal(event->attempt, attempt);
    assert_int_equal(event->peer_slot, peer_slot);
    assert_int_equal(event->by_my_tick, by_my_tick);
}

static inline void expect_apply(struct desk *desk, int neighbor, uint64_t attempt)
{
    assert_int_equal(next_event(desk, EVENT_APPLY, neighbor)->attempt, attempt);
}

static inline void expect_edge(const struct desk *desk, int neighbor, enum pairing_edge_state state, uint64_t attempt)
{
    assert_int_equal(desk->pairing.edges[neighbor].state, state);
    assert_int_equal(desk->pairing.edges[neighbor].attempt, attempt);
}

static inline int free_records(const struct desk *desk)
{
    int count = 0;
    for (int k = 0; k < desk->pairing.record_count; k++)
        count += desk->pairing.records[k] == RECORD_FREE;
    return count;
}

/* This worker has granted attempt 1 to the neighbor. */
static inline void desk_grant(struct desk *desk, int neighbor)
{
    tell(desk, neighbor, 1, ASK, 0);
    expect_put(desk, neighbor, 1, GRANT, desk->pairing.edges[neighbor].record);
    expect_edge(desk, neighbor, EDGE_GRANTED, 1);
}

/* This worker has asked for attempt 1. */
static inline void desk_asked(struct desk *desk, int neighbor)
{
    desk_ask(desk, neighbor);
    expect_put(desk, neighbor, 1, ASK, 0);
    expect_edge(desk, neighbor, EDGE_ASKED, 1);
}

/* --- rules --- */

#endif
