/* runtime/mpi/pairing.h: what is before a cut and what is not, by scripted words. Whole networks are in
 * pairing_network_test.c. */
#include "pairing_desk.h"

static bool tell_cut(struct desk *desk, int neighbor, uint64_t attempt, int kind, uint64_t cut, int slot)
{
    desk->words[neighbor] = word_make_of(attempt, kind, cut, slot);
    return desk_sweep(desk);
}

static void expect_cut(struct desk *desk, uint64_t cut)
{
    assert_int_equal(next_event(desk, EVENT_CUT, 0)->word, cut);
}

static void a_higher_number_is_taken_before_the_word_is_answered(void **state)
{
    (void)state;
    struct desk *desk = desk_open(2);
    tell_cut(desk, LOWER, 1, ASK, 3, 0);
    expect_cut(desk, 3);
    expect_put(desk, LOWER, 1, GRANT, 0); /* with the number 3 */
    pairing_cut(&desk->pairing, 2);       /* it has a higher one */
    assert_true(pairing_cut_complete(&desk->pairing));
    desk_close(desk);
}

static void a_grant_that_is_committed_before_the_cut_is_in_it(void **state)
{
    (void)state;
    struct desk *desk = desk_open(2);
    tell(desk, LOWER, 1, ASK, 0);
    expect_put(desk, LOWER, 1, GRANT, 0);
    pairing_cut(&desk->pairing, 1);
    expect_cut(desk, 1);
    assert_false(pairing_cut_complete(&desk->pairing));
    tell_cut(desk, LOWER, 1, COMMIT, 0, 1);
    next_event(desk, EVENT_BEGIN, LOWER);
    assert_true(desk->pairing.edges[LOWER].outstanding && !pairing_cut_complete(&desk->pairing));
    desk->payload[LOWER] = true;
    desk_sweep(desk);
    next_event(desk, EVENT_APPLY, LOWER);
    assert_true(pairing_cut_complete(&desk->pairing));
    desk_close(desk);
}

static void a_grant_that_is_committed_after_the_cut_is_not_in_it(void **state)
{
    (void)state;
    struct desk *desk = desk_open(2);
    tell(desk, LOWER, 1, ASK, 0);
    expect_put(desk, LOWER, 1, GRANT, 0);
    pairing_cut(&desk->pairing, 1);
    expect_cut(desk, 1);
    tell_cut(desk, LOWER, 1, COMMIT, 1, 1);
    next_event(desk, EVENT_BEGIN, LOWER);
    assert_true(pairing_cut_complete(&desk->pairing));
    desk_close(desk);
}

static void a_grant_that_is_withdrawn_is_not_in_the_cut(void **state)
{
    (void)state;
    struct desk *desk = desk_open(2);
    tell(desk, LOWER, 1, ASK, 0);
    expect_put(desk, LOWER, 1, GRANT, 0);
    pairing_cut(&desk->pairing, 1);
    expect_cut(desk, 1);
    tell(desk, LOWER, 1, CANCEL, 0);
    assert_true(pairing_cut_complete(&desk->pairing));
    desk_close(desk);
}

static void an_ask_is_committed_after_the_cut(void **state)
{
    (void)state;
    struct desk *desk = desk_open(2);
    desk_ask(desk, HIGHER);
    expect_put(desk, HIGHER, 1, ASK, 0);
    pairing_cut(&desk->pairing, 1);
    expect_cut(desk, 1);
    assert_true(pairing_cut_complete(&desk->pairing));
    tell_cut(desk, HIGHER, 1, GRANT, 2, 1); /* the granter's newest cut is later still */
    expect_cut(desk, 2);
    expect_put(desk, HIGHER, 1, COMMIT, 0); /* with the number 2 */
    next_event(desk, EVENT_BEGIN, HIGHER);
    assert_true(pairing_cut_complete(&desk->pairing));
    pairing_cut(&desk->pairing, 3);
    expect_cut(desk, 3);
    assert_false(pairing_cut_complete(&desk->pairing)); /* committed, not applied */
    desk_close(desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_higher_number_is_taken_before_the_word_is_answered),
        cmocka_unit_test(a_grant_that_is_committed_before_the_cut_is_in_it),
        cmocka_unit_test(a_grant_that_is_committed_after_the_cut_is_not_in_it),
        cmocka_unit_test(a_grant_that_is_withdrawn_is_not_in_the_cut),
        cmocka_unit_test(an_ask_is_committed_after_the_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
