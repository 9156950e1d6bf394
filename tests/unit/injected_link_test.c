/* Links with injected latency, bandwidth and loss: what of a neighbor is seen when. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>

#include "runtime/mpi/injected_link.h"

static struct injected_link make_link(double latency_s, double bytes_per_second, double loss)
{
    struct scenario_params params = {
        .latency_s = latency_s, .bytes_per_second = bytes_per_second, .loss = loss, .worker_count = 2};
    struct scenario *scenario = NULL;
    struct injected_link link;
    assert_int_equal(scenario_create(&params, &scenario), STATUS_OK);
    injected_link_init(&link, scenario, 1, 0, 1);
    scenario_destroy(scenario);
    return link;
}

static void test_nothing_injected(void **state)
{
    (void)state;
    struct injected_link link;
    injected_link_init(&link, NULL, 1, 0, 1);
    for (uint64_t word = 0; word < 5; word++)
        assert_true(injected_link_word(&link, word, 0) == word);
    assert_true(injected_link_delay_s(&link, 1 << 30, true) == 0);
    assert_true(injected_link_delay_s(&link, 1 << 30, false) == 0);
    assert_true(injected_link_answer_s(&link) == 0);
    assert_false(injected_link_loses(&link));
}

/* A word is seen one latency after it came, not before, in order, also where several are on their way. */
static void test_words_come_late(void **state)
{
    (void)state;
    struct injected_link link = make_link(2, INFINITY, 0);
    assert_true(injected_link_word(&link, 0, 0) == 0);
    assert_true(injected_link_word(&link, 11, 1) == 0);
    assert_true(injected_link_word(&link, 12, 1.5) == 0);
    assert_true(injected_link_word(&link, 12, nextafter(3, 0)) == 0);
    assert_true(injected_link_word(&link, 13, 3) == 11);
    assert_true(injected_link_word(&link, 13, 3.5) == 12);
    assert_true(injected_link_word(&link, 13, 4.5) == 12);
    assert_true(injected_link_word(&link, 13, 5) == 13);
    assert_true(injected_link_word(&link, 13, 100) == 13);
}

/* The last of very many words is seen, one latency after it came, and those before never after it. */
static void test_too_many_words(void **state)
{
    (void)state;
    struct injected_link link = make_link(1, INFINITY, 0);
    enum { WORDS = 5 * INJECTED_LINK_WORDS };
    uint64_t last = 0;
    for (uint64_t word = 1; word <= WORDS; word++)
        assert_true(injected_link_word(&link, word, (double)word / 1024) == 0);
    for (int k = 0; k <= 2048; k++) {
        uint64_t word = injected_link_word(&link, WORDS, 1 + k / 1024.0);
        assert_true(word >= last);
        last = word;
        assert_true((word == WORDS) == (k >= WORDS));
    }
}

static void test_payloads_come_late(void **state)
{
    (void)state;
    struct injected_link link = make_link(0.5, 1024, 0);
    assert_true(injected_link_delay_s(&link, 256, true) == 0.75);
    assert_true(injected_link_delay_s(&link, 256, false) == 0.25);
    assert_true(injected_link_answer_s(&link) == 1);
}

/* 10,000 draws are within 5 standard deviations of their share, and the same when they are drawn again. */
static void test_losses(void **state)
{
    (void)state;
    enum { DRAWS = 10000 };
    struct injected_link link = make_link(0, INFINITY, 0.25), again = make_link(0, INFINITY, 0.25);
    int lost = 0;
    for (int k = 0; k < DRAWS; k++) {
        bool loses = injected_link_loses(&link);
        lost += loses;
        assert_true(loses == injected_link_loses(&again));
    }
    assert_true(fabs(lost - 0.25 * DRAWS) <= 5 * sqrt(DRAWS * 0.25 * 0.75));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_injected), cmocka_unit_test(test_words_come_late),
        cmocka_unit_test(test_too_many_words),   cmocka_unit_test(test_payloads_come_late),
        cmocka_unit_test(test_losses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
