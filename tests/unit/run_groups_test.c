/* Grouping of runs over seeds, statistics of few numbers, and tables of texts. */
#include "app/run_groups.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/run_figures.h"
#include "app/text_table.h"
#include "base/memory.h"

static void set(struct ended_run *run, const char *key, const char *value)
{
    size_t k = run_key_find(key);
    assert_true(k < run_key_count());
    free(run->values[k]);
    run->values[k] = memory_copy_text(value);
}

/* A run whose other keys are alike. */
static struct ended_run make_run(const char *algorithm, const char *graph, const char *workers, const char *seed,
                                 const char *summary)
{
    struct ended_run run = {.path = memory_copy_text(seed),
                            .values = memory_zalloc(run_key_count(), sizeof run.values[0]),
                            .summary = cJSON_Parse(summary)};
    for (size_t k = 0; k < run_key_count(); k++)
        run.values[k] = memory_copy_text("alike");
    set(&run, "algorithm.name", algorithm);
    set(&run, "graph.name", graph);
    set(&run, "train.workers", workers);
    set(&run, "seed", seed);
    set(&run, "run.dir", seed);
    assert_true(cJSON_IsObject(run.summary));
    return run;
}

static struct ended_runs make_runs(void)
{
    struct ended_runs runs = {.runs = memory_zalloc(6, sizeof runs.runs[0]), .count = 6};
    runs.runs[0] = make_run("gossip", "ring", "16", "1", "{\"test_accuracy\": 0.75, \"idle\": [0.25, 0.75]}");
    runs.runs[1] = make_run("gossip", "ring", "4", "1", "{\"test_accuracy\": 0.5}");
    runs.runs[2] = make_run("allreduce", NULL, "4", "1", "{\"test_accuracy\": 0.625}");
    runs.runs[3] = make_run("gossip", "ring", "16", "2", "{\"test_accuracy\": 0.25}");
    runs.runs[4] = make_run("gossip", "ring", "16", "3", "{\"test_accuracy\": null}");
    runs.runs[5] = make_run("allreduce", NULL, "4", "2", "{\"test_accuracy\": 0.625, \"wall_seconds\": 2}");
    return runs;
}

static void seeds_are_one_group(void **state)
{
    (void)state;
    struct ended_runs runs = make_runs();
    size_t *keys = memory_zalloc(run_key_count(), sizeof keys[0]);
    size_t count = run_keys_differing(&runs, keys);
    assert_int_equal(count, 2); /* not seed, not run.dir, and not the graph, which an all-reduce has none of */
    assert_string_equal(run_key_name(keys[0]), "algorithm.name");
    assert_string_equal(run_key_name(keys[1]), "train.workers");

    static const size_t wanted[3][3] = {
        {1}, {0, 3, 4}, {2, 5}}; /* 4 before 16, gossip, seen first, before all-reduce */
    static const size_t counts[3] = {1, 3, 2};
    struct run_groups groups;
    run_groups_make(&runs, keys, count, &groups);
    assert_int_equal(groups.count, 3);
    for (size_t g = 0; g < 3; g++) {
        assert_int_equal(groups.groups[g].count, counts[g]);
        assert_memory_equal(groups.groups[g].runs, wanted[g], counts[g] * sizeof wanted[g][0]);
    }
    struct statistic accuracy = run_group_statistic(&runs, &groups.groups[1], "test_accuracy");
    assert_int_equal(accuracy.count, 2); /* null is none */
    assert_true(accuracy.mean == 0.5 && accuracy.deviation == sqrt(0.125));
    assert_true(run_group_statistic(&runs, &groups.groups[2], "test_accuracy").deviation == 0);
    assert_true(run_group_statistic(&runs, &groups.groups[1], "idle").mean == 0.5); /* of a list its mean */
    assert_true(isnan(run_group_statistic(&runs, &groups.groups[0], "idle").mean));
    run_groups_release(&groups);
    run_groups_make(&runs, keys, 0, &groups);
    assert_true(groups.count == 1 && groups.groups[0].count == 6);
    run_groups_release(&groups);
    ended_runs_release(&runs);
    free(keys);
}

static void titles_are_short_and_apart(void **state)
{
    (void)state;
    static const struct {
        const char *keys[3], *titles[3];
    } cases[] = {
        {{"algorithm.name", "train.workers", "communication.rate"}, {"algorithm", "workers", "rate"}},
        {{"data.condition", "model.condition", "command"}, {"data.condition", "model.condition", "command"}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        size_t keys[3];
        for (int j = 0; j < 3; j++)
            keys[j] = run_key_find(cases[k].keys[j]);
        for (int j = 0; j < 3; j++) {
            char *title = run_key_title(keys[j], keys, 3);
            assert_string_equal(title, cases[k].titles[j]);
            free(title);
        }
    }
}

static void deviations_are_of_the_sample(void **state)
{
    (void)state;
    const double values[] = {1, NAN, 2, 3, 4};
    struct statistic some = statistic_of(values, 5), one = statistic_of(values, 1), none = statistic_of(values, 0);
    assert_true(some.count == 4 && some.mean == 2.5 && fabs(some.deviation - sqrt(5.0 / 3)) < 1e-15);
    assert_true(one.count == 1 && one.mean == 1 && isnan(one.deviation));
    assert_true(none.count == 0 && isnan(none.mean) && isnan(none.deviation));
}

/* Of R's pt and t.test. */
static void probabilities_are_students(void **state)
{
    (void)state;
    static const struct {
        double t, degrees, p;
    } known[] = {{0, 5, 1},           {12.706204736, 1, 0.05}, {2.228138852, 10, 0.05},
                 {-2, 10, 0.0733880}, {3.5, 3.25, 0.0347847},  {1.959963985, 1e8, 0.05}};
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
        assert_true(fabs(student_two_sided(known[k].t, known[k].degrees) - known[k].p) < 1e-6);

    /* Against the formula, with n = 2 and 2 of equal deviations: Student's own test with two degrees of freedom, whose
     * distribution is elementary: p = 1 − t/√(2 + t²). */
    struct statistic a = {.mean = 1, .deviation = 0.5, .count = 2}, b = {.mean = 3, .deviation = 0.5, .count = 2};
    assert_true(fabs(statistic_p_value(a, b) - (1 - 4 / sqrt(18))) < 1e-12);
    /* One run beside three: t = 2/(0.5 √(1 + 1/3)) with two degrees. */
    struct statistic one = {.mean = 1, .deviation = NAN, .count = 1}, three = {.mean = 3, .deviation = 0.5, .count = 3};
    double t = 2 / (0.5 * sqrt(4.0 / 3));
    assert_true(fabs(statistic_p_value(one, three) - (1 - t / sqrt(2 + t * t))) < 1e-12);
    assert_true(isnan(statistic_p_value(one, one)));
    a.deviation = b.deviation = 0;
    assert_true(statistic_p_value(a, b) == 0 && statistic_p_value(a, a) == 1);
}

static void numbers_read_well(void **state)
{
    (void)state;
    static const struct {
        struct statistic of;
        int decimals;
        const char *wanted;
    } cases[] = {
        {{86.731, 0.114, 3}, 2, "86.73 ± 0.11"},
        {{86.731, NAN, 1}, 2, "86.73"},
        {{0.41234, 0.0123, 3}, -1, "0.412 ± 0.012"},
        {{3.2e-5, 1.4e-6, 3}, -1, "3.20e-05 ± 1.4e-06"},
        {{NAN, NAN, 0}, 2, "–"},
        {{0, 0, 3}, -1, "0"},
        {{1234.5, 12, 3}, -1, "1234 ± 12"},
        {{0.4, 0, 3}, -1, "0.4000 ± 0.0000"},
        {{0, NAN, 1}, 2, "0.00"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        char text[STATISTIC_BYTES];
        assert_string_equal(statistic_write(text, cases[k].of, cases[k].decimals), cases[k].wanted);
    }
}

static char *printed(const struct text_table *table, enum table_format format)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    text_table_print(table, format, stream);
    fclose(stream);
    return text;
}

static void tables_have_their_forms(void **state)
{
    (void)state;
    struct text_table table = {.column_count = 2, .label_count = 1};
    const char *cells[] = {"graph_name", "loss, %", "a|\"b\"", "1 ± 2", "x,y", "–"};
    for (size_t k = 0; k < 6; k++)
        text_table_add(&table, "%s", cells[k]);
    static const char *const wanted[] = {
        [TABLE_MARKDOWN] = "| graph_name | loss, % |\n|------------|--------:|\n| a\\|\"b\"     |   1 ± 2 |\n"
                           "| x,y        |       – |\n",
        [TABLE_CSV] = "graph_name,\"loss, %\"\n\"a|\"\"b\"\"\",1 ± 2\n\"x,y\",–\n",
        [TABLE_LATEX] = "% \\usepackage{booktabs}\n\\begin{tabular}{lr}\n\\toprule\ngraph\\_name & loss, \\% \\\\\n"
                        "\\midrule\na|\"b\" & 1 $\\pm$ 2 \\\\\nx,y & -- \\\\\n\\bottomrule\n\\end{tabular}\n",
    };
    for (int format = TABLE_MARKDOWN; format <= TABLE_LATEX; format++) {
        char *text = printed(&table, (enum table_format)format);
        assert_string_equal(text, wanted[format]);
        free(text);
        assert_int_equal(table_format_of(table_format_names[format]), format);
    }
    text_table_release(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_are_one_group),
        cmocka_unit_test(titles_are_short_and_apart),
        cmocka_unit_test(deviations_are_of_the_sample),
        cmocka_unit_test(probabilities_are_students),
        cmocka_unit_test(numbers_read_well),
        cmocka_unit_test(tables_have_their_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
