/* runtime/mpi/pairing.h: every rule of the protocol by scripted words. Whole networks are in pairing_network_test.c. */
#include "pairing_desk.h"

static void asking_needs_freedom_a_record_and_an_idle_edge(void **state) /* rule 1 */
{
    (void)state;
    struct desk *desk = desk_open(1);
    assert_true(pairing_quiet(&desk->pairing));
    assert_false(desk_sweep(desk));
    desk_asked(desk, LOWER);
    assert_int_equal(desk->pairing.engaged, LOWER);
    assert_int_equal(free_records(desk), 0);
    assert_false(pairing_quiet(&desk->pairing));
    assert_false(pairing_ask(&desk->pairing, LOWER, 0));
    assert_false(pairing_ask(&desk->pairing, HIGHER, 0));
    assert_true(desk_time_out(desk));
    expect_put(desk, LOWER, 1, CANCEL, 0);
    assert_false(pairing_ask(&desk->pairing, LOWER, 0)); /* not before it has been heard */
    desk_ask(desk, HIGHER);
    expect_put(desk, HIGHER, 1, ASK, 0);
    assert_true(desk_time_out(desk));
    expect_put(desk, HIGHER, 1, CANCEL, 0);
    desk_grant(desk, OTHER);
    assert_true(desk_time_out(desk)); /* parked: free, but without a record */
    assert_false(tell(desk, HIGHER, 0, 0, 0));
    assert_int_equal(desk->pairing.engaged, PAIRING_NOBODY);
    assert_int_equal(free_records(desk), 0);
    tell(desk, LOWER, 1, REFUSE, 0);
    expect_edge(desk, LOWER, EDGE_IDLE, 1);
    assert_false(pairing_ask(&desk->pairing, LOWER, 0));
    desk_close(desk);
}

static void a_free_worker_grants(void **state) /* rule 2 */
{
    (void)state;
    struct desk *desk = desk_open(2);
    desk_grant(desk, HIGHER);
    assert_int_equal(desk->pairing.engaged, HIGHER);
    assert_int_equal(free_records(desk), 1);
    assert_false(desk_sweep(desk)); /* the same ASK is not a second one */
    desk_close(desk);
}

static void an_engaged_worker_refuses_lower_and_defers_higher(void **state) /* rules 3 and 4 */
{
    (void)state;
    struct desk *desk = desk_open(3);
    desk_asked(desk, OTHER);
    assert_false(tell(desk, HIGHER, 1, ASK, 0));
    expect_edge(desk, HIGHER, EDGE_IDLE, 0);
    assert_true(tell(desk, LOWER, 1, ASK, 0));
    expect_put(desk, LOWER, 1, REFUSE, 0);
    expect_edge(desk, LOWER, EDGE_IDLE, 1);
    assert_int_equal(pairing_owed(&desk->pairing), LOWER);
    tell(desk, OTHER, 1, REFUSE, 0);
    expect_edge(desk, OTHER, EDGE_IDLE, 1);
    assert_false(desk_sweep(desk)); /* LOWER is owed first */
    assert_false(pairing_ask(&desk->pairing, OTHER, 0));
    desk_ask(desk, LOWER);
    expect_put(desk, LOWER, 2, ASK, 0);
    assert_int_equal(pairing_owed(&desk->pairing), PAIRING_NOBODY);
    tell(desk, LOWER, 2, REFUSE, 0); /* the deferred one is still there, and comes next in the same sweep */
    expect_put(desk, HIGHER, 1, GRANT, desk->pairing.edges[HIGHER].record);
    desk_close(desk);
}

static void an_owed_neighbor_is_granted_and_debts_can_be_forgiven(void **state) /* rules 2 and 3 */
{
    (void)state;
    for (int forgive = 0; forgive < 2; forgive++) {
        struct desk *desk = desk_open(3);
        desk_asked(desk, HIGHER);
        tell(desk, LOWER, 1, ASK, 0);
        expect_put(desk, LOWER, 1, REFUSE, 0);
        tell(desk, HIGHER, 1, REFUSE, 0);
        assert_false(tell(desk, OTHER, 1, ASK, 0));
        if (forgive) {
            pairing_forgive(&desk->pairing);
            desk_grant(desk, OTHER);
        } else {
            assert_true(tell(desk, LOWER, 2, ASK, 0));
            expect_put(desk, LOWER, 2, GRANT, desk->pairing.edges[LOWER].record);
            expect_put(desk, OTHER, 1, REFUSE, 0);
        }
        assert_int_equal(pairing_owed(&desk->pairing), forgive ? PAIRING_NOBODY : OTHER);
        desk_close(desk);
    }
}

static void without_a_record_everybody_is_refused(void **state) /* rule 3 */
{
    (void)state;
    struct desk *desk = desk_open(1);
    desk_grant(desk, OTHER);
    assert_true(desk_time_out(desk));
    assert_true(pairing_silent(&desk->pairing, OTHER));
    assert_false(pairing_silent(&desk->pairing, HIGHER));
    tell(desk, HIGHER, 1, ASK, 0);
    expect_put(desk, HIGHER, 1, REFUSE, 0);
    tell(desk, LOWER, 1, ASK, 0);
    expect_put(desk, LOWER, 1, REFUSE, 0);
    desk_close(desk);
}

static void a_cancel_never_seen_as_ask_is_acknowledged(void **state) /* rule 5, in any state of the worker */
{
    (void)state;
    struct desk *desk = desk_open(1);
    tell(desk, HIGHER, 1, CANCEL, 0);
    expect_put(desk, HIGHER, 1, REFUSE, 0);
    expect_edge(desk, HIGHER, EDGE_IDLE, 1);
    assert_int_equal(pairing_owed(&desk->pairing), PAIRING_NOBODY);
    desk_asked(desk, OTHER);
    tell(desk, HIGHER, 2, CANCEL, 0);
    expect_put(desk, HIGHER, 2, REFUSE, 0);
    expect_edge(desk, HIGHER, EDGE_IDLE, 2);
    desk_close(desk);
}

static void the_asker_commits_on_a_grant(void **state) /* rules 6 and 15 */
{
    (void)state;
    for (int tick = 0; tick < 2; tick++) {
        struct desk *desk = desk_open(2);
        desk->tick[LOWER] = tick;
        desk->sending = true;
        desk_asked(desk, LOWER);
        assert_true(tell(desk, LOWER, 1, GRANT, 7));
        expect_put(desk, LOWER, 1, COMMIT, desk->pairing.edges[LOWER].record | (tick ? 0x80 : 0));
        expect_begin(desk, LOWER, 1, 7, tick);
        expect_edge(desk, LOWER, EDGE_EXCHANGING, 1);
        assert_false(desk_sweep(desk));
        desk->payload[LOWER] = true;
        assert_true(desk_sweep(desk));
        expect_apply(desk, LOWER, 1);
        expect_edge(desk, LOWER, EDGE_IDLE, 1);
        assert_int_equal(desk->pairing.engaged, PAIRING_NOBODY);
        assert_false(desk_sweep(desk)); /* applied once */
        assert_int_equal(free_records(desk), 1);
        assert_false(pairing_quiet(&desk->pairing));
        desk->sending = false;
        assert_true(desk_sweep(desk));
        assert_int_equal(free_records(desk), 2);
        assert_true(pairing_quiet(&desk->pairing));
        desk_close(desk);
    }
}

/* Meeting `attempt`, asked for and committed here, and over; both ends have ticks for it. Whose is served? */
static void desk_meet(struct desk *desk, uint64_t attempt, bool by_my_tick)
{
    desk_ask(desk, LOWER);
    expect_put(desk, LOWER, attempt, ASK, 0);
    desk->payload[LOWER] = false;
    tell(desk, LOWER, attempt, GRANT, 7 | 0x80);
    expect_put(desk, LOWER, attempt, COMMIT, desk->pairing.edges[LOWER].record | (by_my_tick ? 0x80 : 0));
    expect_begin(desk, LOWER, attempt, 7, by_my_tick);
    desk->payload[LOWER] = true;
    desk_sweep(desk);
    expect_apply(desk, LOWER, attempt);
    desk_sweep(desk);
}

static void ticks_of_both_ends_take_turns(void **state)
{
    (void)state;
    struct desk *desk = desk_open(1);
    desk->tick[LOWER] = true;
    for (uint64_t attempt = 1; attempt <= 4; attempt++)
        desk_meet(desk, attempt, attempt % 2 == 1);
    desk->tick[LOWER] = false;
    desk_meet(desk, 5, false);
    desk->tick[LOWER] = true;
    desk_meet(desk, 6, true); /* the last one was the neighbor's */
    tell(desk, LOWER, 7, ASK, 0);
    expect_put(desk, LOWER, 7, GRANT, desk->pairing.edges[LOWER].record | 0x80);
    tell(desk, LOWER, 7, COMMIT, 3);
    expect_begin(desk, LOWER, 7, 3, true);
    desk_sweep(desk);
    expect_apply(desk, LOWER, 7);
    desk_sweep(desk);
    desk_meet(desk, 8, false); /* ours was served last, though the neighbor decided it */
    desk_close(desk);
}

static void where_asks_cross_the_lower_decides(void **state) /* rules 7 and 8 */
{
    (void)state;
    struct desk *desk = desk_open(1);
    desk->tick[LOWER] = desk->tick[HIGHER] = true;
    desk_asked(desk, HIGHER);
    assert_false(tell(desk, HIGHER, 1, ASK, 0));
    expect_edge(desk, HIGHER, EDGE_ASKED, 1);
    tell(desk, HIGHER, 1, REFUSE, 0);
    desk_asked(desk, LOWER);
    assert_true(tell(desk, LOWER, 1, ASK, 0));
    expect_put(desk, LOWER, 1, GRANT, desk->pairing.edges[LOWER].record | 0x80); /* we have a tick too */
    expect_edge(desk, LOWER, EDGE_GRANTED, 1);
    tell(desk, LOWER, 1, COMMIT, 2 | 0x80);
    expect_begin(desk, LOWER, 1, 2, false); /* the decider's tick is served, ours waits for the next meeting */
    desk_close(desk);
}

static void an_ask_ends_by_refusal_cancel_or_anything_newer(void **state) /* rule 9 */
{
    (void)state;
    static const struct {
        uint64_t attempt;
        int kind;
    } ends[] = {{1, REFUSE}, {1, CANCEL}, {2, ASK}, {2, CANCEL}};
    for (size_t k = 0; k < sizeof ends / sizeof ends[0]; k++)
        for (int neighbor = LOWER; neighbor <= HIGHER; neighbor++) {
            struct desk *desk = desk_open(1);
            desk_asked(desk, neighbor);
            assert_true(tell(desk, neighbor, ends[k].attempt, ends[k].kind, 0));
            expect_edge(desk, neighbor, EDGE_IDLE, 1);
            assert_int_equal(desk->pairing.engaged, PAIRING_NOBODY);
            assert_int_equal(free_records(desk), 1);
            assert_int_equal(desk->pairing.refused, 1);
            if (ends[k].attempt == 2) {
                assert_true(desk_sweep(desk)); /* and the newer word is answered next */
                expect_put(desk, neighbor, 2, ends[k].kind == ASK ? GRANT : REFUSE, 0);
            }
            desk_close(desk);
        }
}

static void after_a_cancel_the_attempt_is_over(void **state) /* rules 10 and 11: a late GRANT must not commit */
{
    (void)state;
    static const struct {
        uint64_t attempt;
        int kind;
    } answers[] = {{1, ASK}, {1, CANCEL}, {1, REFUSE}, {1, GRANT}, {2, ASK}, {2, CANCEL}};
    for (size_t k = 0; k < sizeof answers / sizeof answers[0]; k++) {
        struct desk *desk = desk_open(1);
        desk_asked(desk, HIGHER);
        assert_false(pairing_sweep(&desk->pairing, 1, 1)); /* the limit itself is not past it */
        assert_true(desk_time_out(desk));
        expect_put(desk, HIGHER, 1, CANCEL, 0);
        expect_edge(desk, HIGHER, EDGE_CANCELLED, 1);
        assert_int_equal(desk->pairing.engaged, PAIRING_NOBODY);
        assert_int_equal(desk->pairing.given_up, 1);
        assert_int_equal(free_records(desk), 1);
        assert_true(pairing_silent(&desk->pairing, HIGHER));
        assert_false(desk_time_out(desk)); /* given up once */
        assert_true(tell(desk, HIGHER, answers[k].attempt, answers[k].kind, 0));
        expect_edge(desk, HIGHER, EDGE_IDLE, 1);
        assert_int_equal(free_records(desk), 1);
        if (answers[k].attempt == 1) {
            assert_false(desk_sweep(desk));
            desk_ask(desk, HIGHER);
            expect_put(desk, HIGHER, 2, ASK, 0);
        } else {
            assert_true(desk_sweep(desk));
            expect_put(desk, HIGHER, 2, answers[k].kind == ASK ? GRANT : REFUSE, 0);
        }
        desk_close(desk);
    }
}

static void the_granter_begins_on_commit_in_every_state(void **state) /* rules 12, 14 and 15 */
{
    (void)state;
    enum { ACTIVE, PARKED, ENGAGED_ELSEWHERE, CASES };
    for (int k = 0; k < CASES; k++)
        for (int decider_has_tick = 0; decider_has_tick < 2; decider_has_tick++) {
            struct desk *desk = desk_open(2);
            desk_grant(desk, HIGHER);
            if (k != ACTIVE) {
                assert_true(desk_time_out(desk));
                expect_edge(desk, HIGHER, EDGE_GRANTED, 1);
                assert_int_equal(free_records(desk), 1); /* parked, never revoked */
                assert_int_equal(desk->pairing.engaged, PAIRING_NOBODY);
            }
            if (k == ENGAGED_ELSEWHERE)
                desk_asked(desk, LOWER);
            assert_true(tell(desk, HIGHER, 1, COMMIT, 9 | (decider_has_tick ? 0x80 : 0)));
            expect_begin(desk, HIGHER, 1, 9, !decider_has_tick);
            expect_edge(desk, HIGHER, EDGE_EXCHANGING, 1);
            desk->payload[HIGHER] = true;
            assert_true(desk_sweep(desk));
            expect_apply(desk, HIGHER, 1);
            expect_edge(desk, HIGHER, EDGE_IDLE, 1);
            assert_int_equal(desk->pairing.engaged, k == ENGAGED_ELSEWHERE ? LOWER : PAIRING_NOBODY);
            desk_close(desk);
        }
}

static void a_grant_ends_by_cancel_or_anything_newer(void **state) /* rule 13, active and parked */
{
    (void)state;
    static const struct {
        uint64_t attempt;
        int kind;
    } ends[] = {{1, CANCEL}, {2, ASK}, {2, CANCEL}};
    for (size_t k = 0; k < sizeof ends / sizeof ends[0]; k++)
        for (int parked = 0; parked < 2; parked++) {
            struct desk *desk = desk_open(1);
            desk_grant(desk, HIGHER);
            if (parked)
                assert_true(desk_time_out(desk));
            assert_true(tell(desk, HIGHER, ends[k].attempt, ends[k].kind, 0));
            expect_edge(desk, HIGHER, EDGE_IDLE, 1);
            assert_int_equal(desk->pairing.engaged, PAIRING_NOBODY);
            assert_int_equal(free_records(desk), 1);
            if (ends[k].attempt == 2) {
                assert_true(desk_sweep(desk));
                expect_put(desk, HIGHER, 2, ends[k].kind == ASK ? GRANT : REFUSE, 0);
            }
            desk_close(desk);
        }
}

static void an_exchange_given_up_is_a_debt(void **state) /* rule 16, and 15 while engaged elsewhere */
{
    (void)state;
    struct desk *desk = desk_open(2);
    desk_asked(desk, HIGHER);
    desk->now_s = 1;
    tell(desk, HIGHER, 1, GRANT, 0);
    expect_put(desk, HIGHER, 1, COMMIT, desk->pairing.edges[HIGHER].record);
    expect_begin(desk, HIGHER, 1, 0, false);
    assert_false(pairing_sweep(&desk->pairing, 2, 1)); /* the exchange is a wait of its own */
    assert_true(desk_time_out(desk));
    expect_edge(desk, HIGHER, EDGE_EXCHANGING, 1);
    assert_int_equal(desk->pairing.engaged, PAIRING_NOBODY);
    assert_int_equal(free_records(desk), 1);
    assert_true(pairing_silent(&desk->pairing, HIGHER));
    desk_asked(desk, LOWER);
    assert_int_equal(free_records(desk), 0);
    desk->payload[HIGHER] = true;
    assert_true(tell(desk, HIGHER, 2, ASK, 0)); /* the peer has applied already and asks again */
    expect_apply(desk, HIGHER, 1);
    assert_int_equal(desk->pairing.engaged, LOWER);
    desk->sending = false;
    desk_sweep(desk);
    tell(desk, LOWER, 1, REFUSE, 0);
    desk_sweep(desk);
    expect_put(desk, HIGHER, 2, GRANT, desk->pairing.edges[HIGHER].record);
    desk_close(desk);
}

static void an_older_word_is_not_believed(void **state)
{
    (void)state;
    struct desk *desk = desk_open(1);
    tell(desk, HIGHER, 1, CANCEL, 0);
    expect_put(desk, HIGHER, 1, REFUSE, 0);
    assert_false(tell(desk, HIGHER, 1, ASK, 0));
    desk->pairing.edges[HIGHER].attempt = 0; /* as if its CANCEL had been read but not yet acted upon */
    assert_true(desk_sweep(desk));
    expect_put(desk, HIGHER, 1, REFUSE, 0);
    assert_false(tell(desk, OTHER, 0, 0, 1)); /* attempt 0 is none, whatever stands beside it */
    desk_close(desk);
}

/* In every state of its edge: the record comes back, the worker is free, and nothing is said to the dead. */
static void a_neighbor_that_has_died_is_buried(void **state)
{
    (void)state;
    for (int stage = 0; stage < 5; stage++) {
        struct desk *desk = desk_open(1);
        bool exchanging = stage == 3;
        if (stage == 1)
            desk_asked(desk, HIGHER);
        if (stage == 2 || exchanging)
            desk_grant(desk, HIGHER);
        if (exchanging) {
            tell(desk, HIGHER, 1, COMMIT, 0);
            expect_begin(desk, HIGHER, 1, 0, true);
            desk->sending = true;
        }
        if (stage == 4) { /* it has been refused, and is owed a call */
            desk_asked(desk, OTHER);
            tell(desk, LOWER, 1, ASK, 0);
            expect_put(desk, LOWER, 1, REFUSE, 0);
        }
        int dead = stage == 4 ? LOWER : HIGHER;
        pairing_cut(&desk->pairing, 1);
        assert_int_equal(next_event(desk, EVENT_CUT, 0)->word, 1);
        pairing_bury(&desk->pairing, dead);
        expect_edge(desk, dead, EDGE_CLOSED, stage == 0 ? 0 : 1);
        assert_true(pairing_silent(&desk->pairing, dead) && pairing_cut_complete(&desk->pairing));
        assert_int_equal(pairing_owed(&desk->pairing), PAIRING_NOBODY);
        assert_int_equal(desk->pairing.engaged, stage == 4 ? OTHER : PAIRING_NOBODY);
        desk->payload[dead] = true; /* too late: nobody applies it */
        tell(desk, dead, 2, ASK, 0);
        assert_int_equal(free_records(desk), exchanging || stage == 4 ? 0 : 1);
        desk->sending = false;
        desk_sweep(desk);
        assert_int_equal(free_records(desk), stage == 4 ? 0 : 1);
        assert_int_equal(pairing_quiet(&desk->pairing), stage != 4);
        assert_false(pairing_ask(&desk->pairing, dead, desk->now_s));
        desk_close(desk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asking_needs_freedom_a_record_and_an_idle_edge),
        cmocka_unit_test(a_free_worker_grants),
        cmocka_unit_test(an_engaged_worker_refuses_lower_and_defers_higher),
        cmocka_unit_test(an_owed_neighbor_is_granted_and_debts_can_be_forgiven),
        cmocka_unit_test(without_a_record_everybody_is_refused),
        cmocka_unit_test(a_cancel_never_seen_as_ask_is_acknowledged),
        cmocka_unit_test(the_asker_commits_on_a_grant),
        cmocka_unit_test(ticks_of_both_ends_take_turns),
        cmocka_unit_test(where_asks_cross_the_lower_decides),
        cmocka_unit_test(an_ask_ends_by_refusal_cancel_or_anything_newer),
        cmocka_unit_test(after_a_cancel_the_attempt_is_over),
        cmocka_unit_test(the_granter_begins_on_commit_in_every_state),
        cmocka_unit_test(a_grant_ends_by_cancel_or_anything_newer),
        cmocka_unit_test(an_exchange_given_up_is_a_debt),
        cmocka_unit_test(an_older_word_is_not_believed),
        cmocka_unit_test(a_neighbor_that_has_died_is_buried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
