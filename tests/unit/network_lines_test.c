/* Lines about the network, made of the workers' own reports: when one comes, and the figures in it. */
#include "app/network_lines.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/record.h"
#include "app/run_directory.h"
#include "base/text.h"
#include "graph/spectrum.h"

enum { WORKERS = 4 };

struct setup {
    struct graph *graph;         /* owned */
    struct network_lines *lines; /* owned */
};

static struct setup set_up(const char *graph, double rate)
{
    struct setup setup;
    const struct graph_params params = {.name = graph, .worker_count = WORKERS, .rate = rate};
    assert_int_equal(graph_create(&params, &setup.graph), STATUS_OK);
    setup.lines = network_lines_create(setup.graph);
    return setup;
}

static void tear_down(struct setup *setup)
{
    network_lines_destroy(setup->lines);
    graph_destroy(setup->graph);
}

/* A step report of a worker, whose meetings are text. What it has written is in *written, or NULL for nothing. */
static void add(struct setup *setup, const char *line, cJSON **written)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    network_lines_add(setup->lines, line, out);
    fclose(out);
    *written = NULL;
    if (length > 0) {
        assert_int_equal(text[length - 1], '\n');
        assert_null(memchr(text, '\n', length - 1));
        *written = cJSON_ParseWithOpts(text, NULL, 0);
        assert_non_null(*written);
    }
    free(text);
}

/* The worker has done so many steps and met its two neighbors on the ring so often. */
static char *ring_report(int worker, int steps, int met_before, int met_after, const char *estimated)
{
    int before = (worker + WORKERS - 1) % WORKERS, after = (worker + 1) % WORKERS;
    return text_format("{\"rank\": %d, \"time\": %d.5, \"step\": %d, \"global_step\": %d, \"epoch\": %d.25, "
                       "\"consensus_estimated\": %s, \"consensus_predicted\": %d, \"pending\": 0, "
                       "\"meetings\": {\"%d\": %d, \"%d\": %d}}\n",
                       worker, 10 + worker, steps, 4 * steps, worker, estimated, worker, before, met_before, after,
                       met_after);
}

static cJSON *add_ring(struct setup *setup, int worker, int steps, int met, const char *estimated)
{
    cJSON *written;
    char *line = ring_report(worker, steps, met, met, estimated);
    add(setup, line, &written);
    free(line);
    return written;
}

static double number(const cJSON *line, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, key);
    if (!cJSON_IsNumber(item))
        fail_msg("%s is no number", key);
    return item->valuedouble;
}

static void assert_near(const cJSON *line, const char *key, double wanted)
{
    double value = number(line, key);
    if (fabs(value - wanted) > 1e-8 * fabs(wanted)) /* nine digits are written */
        fail_msg("%s is %.17g, not %.17g", key, value, wanted);
}

static void assert_null_item(const cJSON *line, const char *key)
{
    if (!cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(line, key)))
        fail_msg("%s is not null", key);
}

/* All have met at the ring's own rates: its own χ1, χ2, which are 1 and ¾ (README). */
static void uniform_counts_give_the_graphs_spectrum(void **state)
{
    (void)state;
    struct setup setup = set_up("ring", 1);
    struct spectrum spectrum;
    assert_int_equal(spectrum_compute(setup.graph, &spectrum), STATUS_OK);
    for (int worker = 0; worker < WORKERS - 1; worker++)
        assert_null(add_ring(&setup, worker, 200, 100, "0.5"));
    cJSON *line = add_ring(&setup, 3, 200, 100, "2.5");
    assert_non_null(line);
    assert_int_equal(cJSON_GetArraySize(line), 9);
    assert_near(line, "exchanges_per_gradient", 1);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "network")));
    assert_near(line, "time", 13.5); /* of the report that completes the round */
    assert_near(line, "global_step", 800);
    assert_near(line, "epoch", 3.25);
    assert_near(line, "consensus_estimated", (3 * 0.5 + 2.5) / WORKERS);
    assert_near(line, "consensus_predicted", (0 + 1 + 2 + 3.0) / WORKERS);
    assert_near(line, "chi1", spectrum.chi1);
    assert_near(line, "chi2", spectrum.chi2);
    assert_near(line, "chi1", 1);
    assert_near(line, "chi2", 0.75);
    cJSON_Delete(line);
    tear_down(&setup);
}

/* Twice the meetings in the same time: half the χ; the same meetings in half the time likewise. */
static void counts_are_over_time(void **state)
{
    (void)state;
    struct setup setup = set_up("ring", 1);
    for (int worker = 0; worker < WORKERS - 1; worker++)
        assert_null(add_ring(&setup, worker, 50, 50, "1"));
    cJSON *line = add_ring(&setup, 3, 50, 50, "1");
    assert_near(line, "chi1", 0.5);
    assert_near(line, "chi2", 0.375);
    cJSON_Delete(line);
    tear_down(&setup);
}

/* Both ends tell of an edge, at different times: the larger count is the later one. Rates are per the mean of the ends'
 * times: edges 0-1, 1-2, 2-3, 0-3 met 40, 30, 20, 10 times in 100, 150, 150, 100 units. */
static void the_larger_count_of_an_edge_counts(void **state)
{
    (void)state;
    struct setup setup = set_up("ring", 1);
    static const int steps[WORKERS] = {100, 100, 200, 100}, before[WORKERS] = {9, 40, 30, 20},
                     after[WORKERS] = {39, 29, 19, 10};
    const double rates[WORKERS] = {40 / 100.0, 10 / 100.0, 30 / 150.0, 20 / 150.0}; /* 0-1, 0-3, 1-2, 2-3 */
    struct spectrum wanted;
    cJSON *line = NULL;
    assert_int_equal(spectrum_from_rates(setup.graph, rates, &wanted), STATUS_OK);
    for (int worker = 0; worker < WORKERS; worker++) {
        char *text = ring_report(worker, steps[worker], before[worker], after[worker], "1");
        assert_null(line);
        add(&setup, text, &line);
        free(text);
    }
    assert_near(line, "chi1", wanted.chi1);
    assert_near(line, "chi2", wanted.chi2);
    cJSON_Delete(line);
    tear_down(&setup);
}

/* One line per round: whoever reports often waits for the slowest, and its latest report is what counts. */
static void a_line_comes_when_all_have_reported(void **state)
{
    (void)state;
    struct setup setup = set_up("ring", 1);
    for (int round = 1; round <= 3; round++) {
        for (int k = 1; k <= 5; k++)
            assert_null(add_ring(&setup, 2, 100 * round, 50 * round, k < 5 ? "1000" : "4"));
        assert_null(add_ring(&setup, 0, 100 * round, 50 * round, "4"));
        assert_null(add_ring(&setup, 3, 100 * round, 50 * round, "4"));
        assert_null(add_ring(&setup, 3, 100 * round, 50 * round, "4"));
        cJSON *line = add_ring(&setup, 1, 100 * round, 50 * round, "8");
        assert_near(line, "time", 11.5);
        assert_near(line, "consensus_estimated", 5);
        assert_near(line, "chi1", 1);
        cJSON_Delete(line);
    }
    tear_down(&setup);
}

/* What one worker does not know the mean cannot know either. */
static void what_is_not_known_is_null(void **state)
{
    (void)state;
    struct setup setup = set_up("ring", 1);
    for (int worker = 0; worker < WORKERS - 1; worker++)
        assert_null(add_ring(&setup, worker, 100, 50, worker == 1 ? "null" : "1"));
    cJSON *line = add_ring(&setup, 3, 100, 50, "1");
    assert_null_item(line, "consensus_estimated");
    assert_near(line, "consensus_predicted", 1.5);
    assert_near(line, "chi1", 1);
    cJSON_Delete(line);
    for (int worker = 0; worker < WORKERS - 1; worker++)
        assert_null(add_ring(&setup, worker, 200, 100, "1"));
    line = add_ring(&setup, 3, 200, 100, "1"); /* known again */
    assert_near(line, "consensus_estimated", 1);
    cJSON_Delete(line);
    tear_down(&setup);
}

/* Before all edges of a line have met, or before anybody has lived, χ says nothing. */
static void chi_is_null_before_all_have_met(void **state)
{
    (void)state;
    struct setup setup = set_up("line", 1);
    static const char *const met[2][WORKERS] = {
        {"{\"1\": 5}", "{\"0\": 5, \"2\": 0}", "{\"1\": 0, \"3\": 5}", "{\"2\": 5}"},
        {"{\"1\": 5}", "{\"0\": 5, \"2\": 5}", "{}", "{\"2\": 5}"}};
    for (int round = 0; round < 4; round++) {
        cJSON *line = NULL;
        for (int worker = 0; worker < WORKERS; worker++) {
            char *text =
                text_format("{\"rank\": %d, \"time\": 1, \"step\": %d, \"global_step\": 9, \"meetings\": %s}\n", worker,
                            round == 1 && worker < 2 ? 0 : 10, met[round > 0][worker]);
            assert_null(line);
            add(&setup, text, &line);
            free(text);
        }
        assert_non_null(line);
        assert_null_item(line, "consensus_predicted");
        if (round < 2) { /* 1-2 has not met; 0-1 has a time of 0 */
            assert_null_item(line, "chi1");
            assert_null_item(line, "chi2");
        } else {
            const double rates[] = {0.5, 0.5, 0.5};
            struct spectrum wanted;
            assert_int_equal(spectrum_from_rates(setup.graph, rates, &wanted), STATUS_OK);
            assert_near(line, "chi1", wanted.chi1);
            assert_near(line, "chi2", wanted.chi2);
        }
        cJSON_Delete(line);
    }
    tear_down(&setup);
}

/* Other lines of metrics.jsonl, and what no report is, change nothing. */
static void other_lines_are_left_alone(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "\n",
        "{\"rank\": 3, \"time\": 1, \"step\": 7, \"test_loss\": 1, \"averaged\": false}\n",
        "{\"network\": true, \"time\": 1, \"chi1\": 3}\n",
        "{\"rank\": 4, \"time\": 1, \"step\": 7, \"meetings\": {\"0\": 1}}\n",
        "{\"rank\": -1, \"time\": 1, \"step\": 7, \"meetings\": {\"0\": 1}}\n",
        "{\"time\": 1, \"step\": 7, \"meetings\": {\"0\": 1}}\n",
        "{\"rank\": 3, \"time\": 1, \"step\": 7, \"meetings\": 5}\n",
        "{\"rank\": 3, \"time\": 1, \"note\": \"meetings\"}\n",
        "{\"rank\": 3, \"time\": 1, \"step\": 7, \"meetings\": {\"0\": 1}\n",
        "\"meetings\"\n",
    };
    struct setup setup = set_up("ring", 1);
    cJSON *line;
    for (int worker = 0; worker < WORKERS - 1; worker++)
        assert_null(add_ring(&setup, worker, 100, 50, "1"));
    for (size_t k = 0; k < sizeof lines / sizeof lines[0]; k++) {
        add(&setup, lines[k], &line);
        assert_null(line);
    }
    line = add_ring(&setup, 3, 100, 50, "1");
    assert_near(line, "chi1", 1);
    assert_near(line, "chi2", 0.75);
    cJSON_Delete(line);
    network_lines_destroy(NULL);
    tear_down(&setup);
}

/* --- in the merged record --- */

static void report(const char *folder, int rank, double time_s)
{
    const struct record_params params = {.directory = folder, .rank = rank};
    const struct neighbor_meetings met[] = {{.worker = (rank + 1) % WORKERS, .count = 50},
                                            {.worker = (rank + 3) % WORKERS, .count = 50}};
    struct step_report step = {.worker = rank,
                               .time_s = time_s,
                               .step = 100,
                               .consensus_estimated = rank,
                               .consensus_predicted = (double)NAN,
                               .met = met,
                               .met_count = 2};
    struct record *record;
    assert_int_equal(record_create(&params, &record), STATUS_OK);
    const struct observer *observer = record_observer(record);
    observer->on_step(observer->context, &step);
    step.time_s += 10;
    step.met = NULL; /* not told: no part of a line about the network */
    observer->on_step(observer->context, &step);
    record_close(record);
}

/* The merge adds the line where it belongs in time, and none without a graph. */
static void the_merge_adds_them(void **state)
{
    (void)state;
    struct setup setup = set_up("ring", 1);
    for (int with_graph = 0; with_graph < 2; with_graph++) {
        char folder[] = "/tmp/grapevine-test-XXXXXX", text[4096];
        int lines = 0, network = -1;
        assert_non_null(mkdtemp(folder));
        for (int rank = 0; rank < WORKERS; rank++)
            report(folder, rank, 1 + rank);
        assert_true(record_merge(folder, WORKERS, WORKERS, with_graph ? setup.graph : NULL, false));
        record_remove_parts(folder, WORKERS);
        char *path = run_directory_file(folder, "metrics.jsonl");
        FILE *in = fopen(path, "r");
        assert_non_null(in);
        for (; fgets(text, sizeof text, in) != NULL; lines++)
            if (strstr(text, "\"network\": true") != NULL) {
                assert_int_equal(network, -1);
                network = lines;
                cJSON *line = cJSON_ParseWithOpts(text, NULL, 0);
                assert_near(line, "time", 4);
                assert_near(line, "consensus_estimated", 1.5);
                assert_null_item(line, "consensus_predicted");
                assert_near(line, "chi2", 0.75);
                cJSON_Delete(line);
            }
        fclose(in);
        assert_int_equal(network, with_graph ? WORKERS : -1);
        assert_int_equal(lines, 2 * WORKERS + with_graph);
        unlink(path);
        assert_int_equal(rmdir(folder), 0);
        free(path);
    }
    tear_down(&setup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uniform_counts_give_the_graphs_spectrum),
        cmocka_unit_test(counts_are_over_time),
        cmocka_unit_test(the_larger_count_of_an_edge_counts),
        cmocka_unit_test(a_line_comes_when_all_have_reported),
        cmocka_unit_test(what_is_not_known_is_null),
        cmocka_unit_test(chi_is_null_before_all_have_met),
        cmocka_unit_test(other_lines_are_left_alone),
        cmocka_unit_test(the_merge_adds_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
