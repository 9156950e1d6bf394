/* Scenarios: the grammar of their texts, its errors, and look-ups at the edges of intervals. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "capture.h"
#include "graph/graph.h"
#include "runtime/scenario.h"

static const struct scenario_params nothing = {.bytes_per_second = INFINITY, .worker_count = 8};

static struct scenario *create(struct scenario_params params)
{
    struct scenario *scenario = NULL;
    assert_int_equal(scenario_create(&params, &scenario), STATUS_OK);
    return scenario;
}

static void test_nothing(void **state)
{
    (void)state;
    struct scenario *empty = create(nothing);
    const struct scenario *const all[] = {NULL, empty};
    for (size_t k = 0; k < 2; k++) {
        assert_true(scenario_calm(all[k]));
        assert_true(scenario_slowdown(all[k], 3, 10) == 1);
        assert_true(scenario_pause_end_s(all[k], 3, 10) == 10);
        assert_true(scenario_next_pause_s(all[k], 3, 0) == INFINITY);
        assert_true(scenario_longest_pause_s(all[k]) == 0);
        assert_true(scenario_death_s(all[k], 3) == INFINITY);
        struct scenario_link link = scenario_link(all[k], 0, 1);
        assert_true(link.latency_s == 0 && link.bytes_per_second == INFINITY && link.loss == 0);
        assert_false(scenario_damages(all[k]));
        assert_true(scenario_link_delay_s(link, 1e12) == 0);
    }
    scenario_destroy(empty);
    scenario_destroy(NULL);
    struct scenario_params params = nothing;
    params.slow = params.pause = params.death = params.links = " \t";
    empty = create(params);
    assert_true(scenario_calm(empty));
    scenario_destroy(empty);
}

static void test_slow(void **state)
{
    (void)state;
    struct scenario_params params = nothing;
    params.slow = "0 x4, 5-7 x1.5 10..60,\n 6 x2 20.., all x8 100..100.5";
    struct scenario *scenario = create(params);
    assert_false(scenario_calm(scenario));
    assert_true(scenario_slowdown(scenario, 0, 0) == 4);
    assert_true(scenario_slowdown(scenario, 0, 1e9) == 4);
    assert_true(scenario_slowdown(scenario, 1, 5) == 1);
    assert_true(scenario_slowdown(scenario, 5, nextafter(10, 0)) == 1);
    assert_true(scenario_slowdown(scenario, 5, 10) == 1.5);
    assert_true(scenario_slowdown(scenario, 7, nextafter(60, 0)) == 1.5);
    assert_true(scenario_slowdown(scenario, 7, 60) == 1);
    assert_true(scenario_slowdown(scenario, 6, 20) == 3); /* factors multiply */
    assert_true(scenario_slowdown(scenario, 6, 60) == 2);
    assert_true(scenario_slowdown(scenario, 0, 100.25) == 32);
    assert_true(scenario_slowdown(scenario, 4, 100.25) == 8);
    scenario_destroy(scenario);
}

static void test_pause(void **state)
{
    (void)state;
    struct scenario_params params = nothing;
    params.pause = "3 25..40, 3 10..30, 3 40..50, 3 70..80, 4 0..0.5, 5 7..";
    struct scenario *scenario = create(params);
    assert_false(scenario_calm(scenario));
    assert_true(scenario_pause_end_s(scenario, 3, nextafter(10, 0)) == nextafter(10, 0));
    assert_true(scenario_pause_end_s(scenario, 3, 10) == 50); /* three that overlap or touch are one */
    assert_true(scenario_pause_end_s(scenario, 3, nextafter(50, 0)) == 50);
    assert_true(scenario_pause_end_s(scenario, 3, 50) == 50);
    assert_true(scenario_pause_end_s(scenario, 4, 0) == 0.5);
    assert_true(scenario_pause_end_s(scenario, 5, 7) == INFINITY);
    assert_true(scenario_pause_end_s(scenario, 5, 1e300) == INFINITY);
    assert_true(scenario_longest_pause_s(scenario) == 40);
    assert_true(scenario_next_pause_s(scenario, 3, 0) == 10);
    assert_true(scenario_next_pause_s(scenario, 3, nextafter(10, 0)) == 10);
    assert_true(scenario_next_pause_s(scenario, 3, 10) == 25);
    assert_true(scenario_next_pause_s(scenario, 3, 50) == 70);
    assert_true(scenario_next_pause_s(scenario, 3, 70) == INFINITY);
    assert_true(scenario_next_pause_s(scenario, 4, 0) == INFINITY);
    assert_true(scenario_next_pause_s(scenario, 0, 0) == INFINITY);
    scenario_destroy(scenario);
}

static void test_nan(void **state)
{
    (void)state;
    struct scenario_params params = nothing;
    params.nan = "3 10..30, 1-2 5..";
    struct scenario *scenario = create(params);
    assert_false(scenario_calm(scenario));
    assert_true(scenario_nan(scenario, 3, 10) && !scenario_nan(scenario, 3, 30));
    assert_true(!scenario_nan(scenario, 3, nextafter(10, 0)) && !scenario_nan(scenario, 0, 20));
    assert_true(scenario_nan(scenario, 2, 1e9) && scenario_pause_end_s(scenario, 3, 20) == 20);
    scenario_destroy(scenario);
    assert_false(scenario_nan(NULL, 3, 20));
}

static void test_death(void **state)
{
    (void)state;
    struct scenario_params params = nothing;
    params.death = "3 at 60, 2-4 at 70.5, 7 at 0";
    struct scenario *scenario = create(params);
    assert_false(scenario_calm(scenario));
    assert_true(scenario_death_s(scenario, 3) == 60);
    assert_true(scenario_death_s(scenario, 2) == 70.5);
    assert_true(scenario_death_s(scenario, 7) == 0);
    assert_true(scenario_death_s(scenario, 1) == INFINITY);
    scenario_destroy(scenario);
}

static void assert_link(const struct scenario *scenario, int a, int b, struct scenario_link wanted)
{
    struct scenario_link one = scenario_link(scenario, a, b), other = scenario_link(scenario, b, a);
    assert_memory_equal(&one, &wanted, sizeof wanted);
    assert_memory_equal(&other, &wanted, sizeof wanted);
}

static void test_links(void **state)
{
    (void)state;
    struct scenario_params params = nothing;
    params.latency_s = 0.5;
    params.bytes_per_second = 1024;
    params.loss = 0.25;
    params.damage.torn = 0.125;
    params.links = "1-0 latency_s=0.125, all loss=0.5, 0-1 bytes_per_second=1e6 latency_s=0, 2-3 loss=0";
    struct scenario *scenario = create(params);
    assert_true(scenario_calm(scenario));
    assert_true(scenario_damages(scenario) && scenario_damage(scenario).torn == 0.125);
    assert_link(scenario, 0, 1, (struct scenario_link){.bytes_per_second = 1e6, .loss = 0.5});
    assert_link(scenario, 2, 3, (struct scenario_link){0.5, 1024, 0});
    assert_link(scenario, 6, 7, (struct scenario_link){0.5, 1024, 0.5});
    assert_true(scenario_link_delay_s(scenario_link(scenario, 6, 7), 512) == 1);
    scenario_destroy(scenario);
}

static void test_links_of_a_graph(void **state)
{
    (void)state;
    struct graph *ring = NULL;
    struct graph_params graph_params = {.name = "ring", .worker_count = 8, .rate = 1};
    assert_int_equal(graph_create(&graph_params, &ring), STATUS_OK);
    struct scenario_params params = nothing;
    params.graph = ring;
    params.links = "7-0 loss=0.5, 3-4 loss=0.5";
    scenario_destroy(create(params));
    params.links = "0-1 loss=0.5, 0-2 loss=0.5";
    struct capture capture;
    struct scenario *scenario = NULL;
    capture_begin(&capture);
    enum status status = scenario_create(&params, &scenario);
    const char *said = capture_end(&capture);
    assert_int_equal(status, STATUS_USAGE);
    assert_null(scenario);
    assert_non_null(strstr(said, "inject.links: \"0-2 loss=0.5\": workers 0 and 2 are no neighbors in graph ring"));
    graph_destroy(ring);
}

/* Exactly one line, which names the key, the entry, what is wrong with it and how an entry looks. */
static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *key, *text, *entry, *wrong;
    } cases[] = {
        {"slow", "0", "0", "1 word"},
        {"slow", "1 x2, 0 x4 1..2 3", "0 x4 1..2 3", "4 words"},
        {"slow", "0 x2 1..2 3 4 5", "0 x2 1..2 3 4 5", "'5' is too much"},
        {"slow", "8 x2", "8 x2", "worker 8 does not exist: this run has 8"},
        {"slow", "-1 x2", "-1 x2", "'' is not a worker's number"},
        {"slow", "5-3 x2", "5-3 x2", "the smaller number comes first"},
        {"slow", "5-9 x2", "5-9 x2", "worker 9 does not exist"},
        {"slow", "some x2", "some x2", "'some' is not a worker's number"},
        {"slow", "0 4", "0 4", "'4' is not a factor"},
        {"slow", "0 xtwo", "0 xtwo", "'two' is not a factor"},
        {"slow", "0 xinf", "0 xinf", "'inf' is not a factor"},
        {"slow", "0 x0.5", "0 x0.5", "factor 0.5 is not in [1, 1e+06]"},
        {"slow", "0 x2 10", "0 x2 10", "'10' is not FROM..TO"},
        {"slow", "0 x2, , 1 x2", "", "nothing stands between two commas"},
        {"slow", "0 x2,", "", "nothing stands between two commas"},
        {"pause", "3", "3", "1 word"},
        {"pause", "3 30..10", "3 30..10", "30..10 ends before it has begun"},
        {"pause", "3 10..10", "3 10..10", "10..10 ends before it has begun"},
        {"pause", "3 ..10", "3 ..10", "'' is not a time in seconds"},
        {"pause", "3 -1..10", "3 -1..10", "time -1 is not in [0, 1e+09] seconds"},
        {"pause", "3 1..nan", "3 1..nan", "'nan' is not a time"},
        {"death", "3 60", "3 60", "'at' is not its second word"},
        {"death", "3 on 60", "3 on 60", "'at' is not its second word"},
        {"death", "3 at noon", "3 at noon", "'noon' is not a time"},
        {"links", "0-1", "0-1", "nothing is said about the link"},
        {"links", "0 loss=0.1", "0 loss=0.1", "'0' is not a link"},
        {"links", "0-0 loss=0.1", "0-0 loss=0.1", "two different workers"},
        {"links", "0-8 loss=0.1", "0-8 loss=0.1", "worker 8 does not exist"},
        {"links", "0-1 latency=0.1", "0-1 latency=0.1", "did you mean latency_s="},
        {"links", "0-1 colour=red", "0-1 colour=red", "'colour' is no property of a link;"},
        {"links", "0-1 loss", "0-1 loss", "loss has no value"},
        {"links", "0-1 loss=1", "0-1 loss=1", "loss=1 is not a share in [0, 1)"},
        {"links", "0-1 loss=0 loss=0", "0-1 loss=0 loss=0", "loss stands twice"},
        {"links", "0-1 latency_s=-1", "0-1 latency_s=-1", "latency_s=-1 is not in [0, 1e+06]"},
        {"links", "0-1 bytes_per_second=0", "0-1 bytes_per_second=0", "bytes_per_second=0 is not above 0"},
        {"links", "all loss=x", "all loss=x", "'x' is not a number"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct scenario_params params = nothing;
        const char **const texts[] = {&params.slow, &params.pause, &params.death, &params.links};
        static const char *const keys[] = {"slow", "pause", "death", "links"};
        for (size_t t = 0; t < 4; t++)
            if (strcmp(keys[t], cases[k].key) == 0)
                *texts[t] = cases[k].text;
        struct capture capture;
        struct scenario *scenario = NULL;
        char begin[120];
        snprintf(begin, sizeof begin, "inject.%s: \"%s\": ", cases[k].key, cases[k].entry);
        capture_begin(&capture);
        enum status status = scenario_create(&params, &scenario);
        const char *said = capture_end(&capture);
        const char *newline = strchr(said, '\n');
        if (status != STATUS_USAGE || scenario != NULL || strstr(said, begin) == NULL ||
            strstr(said, cases[k].wrong) == NULL || strstr(said, "; an entry is ") == NULL || newline == NULL ||
            newline[1] != '\0')
            fail_msg("inject.%s \"%s\": status %d, said: %s", cases[k].key, cases[k].text, status, said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_death),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_links_of_a_graph),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
