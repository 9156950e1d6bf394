/* grapevine compare A... -- B...: two sets of runs, as a simulation beside real runs, or two versions. In which keys
 * they differ, and whether their results differ by more than seeds make them differ.
 *
 * A difference is *outside* what seeds spread where Welch's t-test gives it a probability below --level (0.05: with
 * many seeds, two standard deviations); distances are tested by their logarithms. Where neither side has two runs
 * nobody knows what seeds spread. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "app/option_rules.h"
#include "app/run_curve.h"
#include "app/run_figures.h"
#include "app/run_groups.h"
#include "app/text_table.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

enum { SIDES = 2, EPOCHS_SHOWN = 8 };

struct side {
    char **paths; /* owned: of the arguments, borrowed */
    size_t path_count;
    struct ended_runs runs;
    struct run_curve *curves; /* owned (runs.count) */
};

enum verdict { VERDICT_SAME, VERDICT_WITHIN, VERDICT_OUTSIDE, VERDICT_UNKNOWN, VERDICT_MISSING };

static const char *const verdict_names[] = {"the same", "within", "outside", "unknown", "missing"};

/* One figure of both sides. */
struct finding {
    char *name;   /* owned: of the summary, or of the curve */
    double epoch; /* NAN: of the run's end */
    struct statistic of[SIDES];
    struct statistic judged[SIDES]; /* what is tested: the same, or of the logarithms */
    bool logarithmic;
    double p_value;
    enum verdict verdict;
};

struct comparison {
    bool strict, json;
    double level;
    struct side sides[SIDES];
    size_t *keys; /* owned (key_count): whose values differ between the sides, or within one */
    size_t key_count;
    struct finding *findings; /* owned */
    size_t finding_count;
};

/* --- what is compared --- */

static enum verdict judge(const struct comparison *c, const struct finding *finding)
{
    const struct statistic *a = &finding->of[0], *b = &finding->of[1];
    if (a->count == 0 || b->count == 0)
        return VERDICT_MISSING;
    if (a->mean == b->mean && (a->count == b->count || isnan(finding->p_value)))
        return VERDICT_SAME;
    if (isnan(finding->p_value))
        return VERDICT_UNKNOWN;
    return finding->p_value < c->level ? VERDICT_OUTSIDE : VERDICT_WITHIN;
}

static void add_finding(struct comparison *c, struct finding finding)
{
    for (int s = 0; s < SIDES && !finding.logarithmic; s++)
        finding.judged[s] = finding.of[s];
    finding.p_value = statistic_p_value(finding.judged[0], finding.judged[1]);
    finding.verdict = judge(c, &finding);
    c->findings = memory_realloc(c->findings, c->finding_count + 1, sizeof c->findings[0]);
    c->findings[c->finding_count++] = finding;
}

/* Distances shrink and grow by factors: their logarithms are compared, where all are positive. */
static bool is_distance(const char *name)
{
    return strstr(name, "_distance") != NULL;
}

static void compare_figure(struct comparison *c, const char *name)
{
    struct finding finding = {.name = memory_copy_text(name), .epoch = NAN, .logarithmic = is_distance(name)};
    for (int s = 0; s < SIDES; s++) {
        const struct ended_runs *runs = &c->sides[s].runs;
        double *values = memory_zalloc(2 * runs->count, sizeof values[0]), *logarithms = values + runs->count;
        for (size_t k = 0; k < runs->count; k++) {
            values[k] = ended_run_figure(&runs->runs[k], name);
            logarithms[k] = log(values[k]);
            finding.logarithmic = finding.logarithmic && !(values[k] <= 0);
        }
        finding.of[s] = statistic_of(values, runs->count);
        finding.judged[s] = statistic_of(logarithms, runs->count);
        free(values);
    }
    if (finding.of[0].count > 0 || finding.of[1].count > 0)
        add_finding(c, finding);
    else
        free(finding.name);
}

static double accuracy_of(const struct curve_point *point)
{
    return point->accuracy;
}

static double loss_of(const struct curve_point *point)
{
    return point->loss;
}

/* Replicas' tests at an epoch that every run of both sides has been tested near. */
static void compare_point(struct comparison *c, const char *name, double (*value_of)(const struct curve_point *),
                          double epoch, double distance)
{
    struct finding finding = {.name = memory_copy_text(name), .epoch = epoch};
    bool everywhere = true;
    for (int s = 0; s < SIDES; s++) {
        const struct side *side = &c->sides[s];
        double *values = memory_zalloc(side->runs.count, sizeof values[0]);
        for (size_t k = 0; k < side->runs.count; k++) {
            const struct curve_point *point = run_curve_at(&side->curves[k], epoch, distance);
            values[k] = point != NULL ? value_of(point) : (double)NAN;
            everywhere = everywhere && point != NULL;
        }
        finding.of[s] = statistic_of(values, side->runs.count);
        free(values);
    }
    if (everywhere)
        add_finding(c, finding);
    else
        free(finding.name);
}

/* The epochs of the first run, of which the others may be a quarter of their distance away. */
static void compare_curves(struct comparison *c)
{
    const struct run_curve *first = &c->sides[0].curves[0];
    for (size_t k = 0; k < first->count; k++) {
        double before = k > 0 ? first->points[k - 1].epoch : 0, epoch = first->points[k].epoch;
        compare_point(c, "replica_accuracy", accuracy_of, epoch, (epoch - before) / 4);
        compare_point(c, "replica_loss", loss_of, epoch, (epoch - before) / 4);
    }
}

static void compare_all(struct comparison *c)
{
    static const char *const figures[] = {"test_accuracy",      "test_accuracy_own_statistics", "test_loss",
                                          "consensus_distance", "exchanges_per_gradient",       "optimum_distance"};
    for (size_t k = 0; k < sizeof figures / sizeof figures[0]; k++)
        compare_figure(c, figures[k]);
    compare_curves(c);
}

/* --- the configurations --- */

/* "4", or "4, 8" where runs of a side differ. Owned by the caller. */
static char *values_of(const struct ended_runs *runs, size_t key)
{
    struct text text = {0};
    for (size_t k = 0; k < runs->count; k++) {
        const char *value = runs->runs[k].values[key];
        bool seen = false;
        for (size_t j = 0; j < k; j++) {
            const char *other = runs->runs[j].values[key];
            seen = seen || value == other || (value != NULL && other != NULL && strcmp(value, other) == 0);
        }
        if (!seen)
            text_add(&text, "%s%s", k > 0 ? ", " : "", value != NULL ? value : "–");
    }
    char *list = memory_copy_text(text_view(&text));
    text_release(&text);
    return list;
}

/* Keys that differ among all runs of both sides. */
static void find_keys(struct comparison *c)
{
    const struct ended_runs *a = &c->sides[0].runs, *b = &c->sides[1].runs;
    struct ended_runs all = {.runs = memory_zalloc(a->count + b->count, sizeof all.runs[0]),
                             .count = a->count + b->count};
    for (size_t k = 0; k < all.count; k++)
        all.runs[k] = k < a->count ? a->runs[k] : b->runs[k - a->count];
    c->keys = memory_zalloc(run_key_count(), sizeof c->keys[0]);
    c->key_count = run_keys_differing(&all, c->keys);
    free(all.runs);
}

/* Seeds alone should differ within a side: else the spread is not that of seeds. */
static void warn_of_mixtures(const struct comparison *c)
{
    size_t *keys = memory_zalloc(run_key_count(), sizeof keys[0]);
    for (int s = 0; s < SIDES; s++) {
        size_t count = run_keys_differing(&c->sides[s].runs, keys);
        if (count > 0)
            log_warning("compare: the runs of side %c differ in %s%s: their spread is not that of seeds alone", 'A' + s,
                        run_key_name(keys[0]), count > 1 ? " and more" : "");
    }
    free(keys);
}

static const char *version_of(const struct side *side)
{
    const char *version = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(side->runs.runs[0].summary, "version"));
    return version != NULL ? version : "unknown";
}

/* --- Markdown --- */

static void print_sides(const struct comparison *c)
{
    for (int s = 0; s < SIDES; s++) {
        const struct ended_runs *runs = &c->sides[s].runs;
        char *seeds = values_of(runs, run_key_find("seed"));
        printf("%c: %zu run%s, seed%s %s, version %s:", 'A' + s, runs->count, runs->count > 1 ? "s" : "",
               strchr(seeds, ',') != NULL ? "s" : "", seeds, version_of(&c->sides[s]));
        for (size_t k = 0; k < runs->count; k++)
            printf(" %s", runs->runs[k].path);
        printf("\n");
        free(seeds);
    }
    printf("\n");
}

static void print_keys(const struct comparison *c)
{
    struct text_table table = {.column_count = 3, .label_count = 3};
    if (c->key_count == 0) {
        printf("The same configuration, but for bookkeeping (seed, run.*, places, threads).\n\n");
        return;
    }
    text_table_add(&table, "key");
    for (int s = 0; s < SIDES; s++)
        text_table_add(&table, "%c", 'A' + s);
    for (size_t k = 0; k < c->key_count; k++) {
        text_table_add(&table, "%s", run_key_name(c->keys[k]));
        for (int s = 0; s < SIDES; s++) {
            char *values = values_of(&c->sides[s].runs, c->keys[k]);
            text_table_add(&table, "%s", values);
            free(values);
        }
    }
    text_table_print(&table, TABLE_MARKDOWN, stdout);
    printf("\n");
    text_table_release(&table);
}

static bool is_percent(const char *name)
{
    return run_figure_is_percent(name) || strcmp(name, "replica_accuracy") == 0;
}

/* The difference, and twice its standard deviation; of logarithms, factors. */
static void add_difference(struct text_table *table, const struct finding *finding, double scale, int decimals)
{
    char cell[STATISTIC_BYTES];
    double difference = finding->judged[1].mean - finding->judged[0].mean;
    double both = 2 * statistic_difference_deviation(finding->judged[0], finding->judged[1]);
    if (!finding->logarithmic) {
        text_table_add(table, "%s", statistic_write_number(cell, scale * difference, decimals));
        text_table_add(table, "%s", statistic_write_number(cell, scale * both, decimals));
        return;
    }
    text_table_add(table, "× %s", statistic_write_number(cell, exp(difference), -1));
    text_table_add(table, "%s%s", isnan(both) ? "" : "× ", statistic_write_number(cell, exp(both), -1));
}

static void add_row(struct text_table *table, const struct finding *finding)
{
    char cell[STATISTIC_BYTES];
    bool percent = is_percent(finding->name);
    double scale = percent ? 100 : 1;
    int decimals = percent ? 2 : -1;
    char *title = run_figure_title(finding->name, false);
    text_table_add(table, "%s%s", title, percent && strchr(title, '%') == NULL ? ", %" : "");
    free(title);
    if (isnan(finding->epoch))
        text_table_add(table, "end");
    else
        text_table_add(table, "%.4g", finding->epoch);
    for (int s = 0; s < SIDES; s++)
        text_table_add(table, "%s", statistic_write(cell, statistic_scaled(finding->of[s], scale), decimals));
    add_difference(table, finding, scale, decimals);
    if (finding->verdict == VERDICT_WITHIN || finding->verdict == VERDICT_OUTSIDE)
        text_table_add(table, "%s (p = %.2g)", verdict_names[finding->verdict], finding->p_value);
    else
        text_table_add(table, "%s", verdict_names[finding->verdict]);
}

/* Of a long curve a few epochs, evenly, and the last. */
static bool is_shown(const struct comparison *c, size_t finding)
{
    size_t first = 0, place;
    while (first < c->finding_count && isnan(c->findings[first].epoch))
        first++;
    size_t epochs = (c->finding_count - first) / 2, every;
    if (finding < first || epochs <= EPOCHS_SHOWN)
        return true;
    every = (epochs + EPOCHS_SHOWN - 1) / EPOCHS_SHOWN;
    place = (finding - first) / 2;
    return (epochs - 1 - place) % every == 0;
}

static void print_findings(const struct comparison *c)
{
    struct text_table table = {.column_count = 7, .label_count = 1};
    static const char *const titles[] = {"figure", "epoch", "A", "B", "B − A", "2 std. dev.", "against seeds"};
    for (size_t k = 0; k < sizeof titles / sizeof titles[0]; k++)
        text_table_add(&table, "%s", titles[k]);
    for (size_t k = 0; k < c->finding_count; k++)
        if (is_shown(c, k))
            add_row(&table, &c->findings[k]);
    text_table_print(&table, TABLE_MARKDOWN, stdout);
    text_table_release(&table);
}

/* Figures of the end that count for --strict: curves follow from the same runs. */
static size_t count_findings(const struct comparison *c, enum verdict verdict)
{
    size_t count = 0;
    for (size_t k = 0; k < c->finding_count; k++)
        count += isnan(c->findings[k].epoch) && c->findings[k].verdict == verdict;
    return count;
}

static void print_verdict(const struct comparison *c)
{
    size_t outside = count_findings(c, VERDICT_OUTSIDE), unknown = count_findings(c, VERDICT_UNKNOWN);
    if (outside > 0)
        printf("\n%zu of the figures at the end differ%s by more than seeds make them differ (p < %g).\n", outside,
               outside == 1 ? "s" : "", c->level);
    else if (unknown > 0)
        printf(
            "\nOne run a side: what seeds spread is not known. Give several, as grapevine compare A1 A2 -- B1 B2.\n");
    else
        printf("\nNo figure at the end differs by more than seeds make it differ (p < %g).\n", c->level);
}

/* --- JSON --- */

static cJSON *side_json(const struct side *side)
{
    cJSON *object = cJSON_CreateObject(), *runs = cJSON_AddArrayToObject(object, "runs");
    cJSON *seeds = cJSON_AddArrayToObject(object, "seeds");
    for (size_t k = 0; k < side->runs.count; k++) {
        cJSON_AddItemToArray(runs, cJSON_CreateString(side->runs.runs[k].path));
        cJSON_AddItemToArray(seeds, cJSON_CreateRaw(side->runs.runs[k].values[run_key_find("seed")]));
    }
    cJSON_AddStringToObject(object, "version", version_of(side));
    return object;
}

static cJSON *finding_json(const struct finding *finding)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "figure", finding->name);
    if (!isnan(finding->epoch))
        cJSON_AddNumberToObject(object, "epoch", finding->epoch);
    for (int s = 0; s < SIDES; s++) {
        cJSON *side = cJSON_AddObjectToObject(object, s == 0 ? "a" : "b");
        cJSON_AddNumberToObject(side, "mean", finding->of[s].mean);
        cJSON_AddNumberToObject(side, "deviation", finding->of[s].deviation);
        cJSON_AddNumberToObject(side, "n", (double)finding->of[s].count);
    }
    cJSON_AddNumberToObject(object, "difference", finding->of[1].mean - finding->of[0].mean);
    cJSON_AddBoolToObject(object, "of_logarithms", finding->logarithmic);
    cJSON_AddNumberToObject(object, "p", finding->p_value);
    cJSON_AddStringToObject(object, "verdict", verdict_names[finding->verdict]);
    return object;
}

static void print_json(const struct comparison *c)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddItemToObject(root, "a", side_json(&c->sides[0]));
    cJSON_AddItemToObject(root, "b", side_json(&c->sides[1]));
    cJSON *keys = cJSON_AddObjectToObject(root, "keys"), *findings = cJSON_AddArrayToObject(root, "figures");
    for (size_t k = 0; k < c->key_count; k++) {
        cJSON *pair = cJSON_AddArrayToObject(keys, run_key_name(c->keys[k]));
        for (int s = 0; s < SIDES; s++) {
            char *values = values_of(&c->sides[s].runs, c->keys[k]);
            cJSON_AddItemToArray(pair, cJSON_CreateString(values));
            free(values);
        }
    }
    for (size_t k = 0; k < c->finding_count; k++)
        cJSON_AddItemToArray(findings, finding_json(&c->findings[k]));
    cJSON_AddNumberToObject(root, "level", c->level);
    cJSON_AddNumberToObject(root, "outside", (double)count_findings(c, VERDICT_OUTSIDE));
    char *text = cJSON_Print(root);
    printf("%s\n", text);
    cJSON_free(text);
    cJSON_Delete(root);
}

/* --- the command --- */

static enum status parse_words(int count, char **arguments, const struct option_list *list, struct comparison *c,
                               bool *parted)
{
    struct side *side = &c->sides[0];
    for (int i = 0; i < count; i++) {
        if (strcmp(arguments[i], "--") == 0 && !*parted) {
            *parted = true;
            side = &c->sides[1];
        } else if (arguments[i][0] != '-') {
            side->paths[side->path_count++] = arguments[i];
        } else {
            TRY(option_list_take(list, count, arguments, &i));
        }
    }
    return STATUS_OK;
}

static void list_options(struct option_list *list, struct comparison *c)
{
    const struct option_rule rules[] = {
        {.name = "--level",
         .value = "P",
         .kind = OPTION_NUMBER,
         .least = 1e-9,
         .most = 0.5,
         .number = &c->level,
         .meaning = "a difference is outside what seeds spread below this probability, default 0.05"},
        {.name = "--strict",
         .kind = OPTION_FLAG,
         .flag = &c->strict,
         .meaning = "end with status 1 when a figure of the end is outside, or, with one run a side, differs at all"},
        {.name = "--json",
         .kind = OPTION_FLAG,
         .flag = &c->json,
         .meaning = "for programs: every figure, at every epoch"},
    };
    *list = (struct option_list){.command = "compare"};
    option_list_add(list, rules, sizeof rules / sizeof rules[0]);
}

static struct comparison default_comparison(void)
{
    return (struct comparison){.level = 0.05};
}

void command_compare_help(FILE *out)
{
    static const struct option_manual manual = {
        .usage = "grapevine compare A B [options]\ngrapevine compare A1 A2 ... -- B1 B2 ... [options]\n",
        .about =
            "Two runs, or two sets of them, as a simulation beside real runs, or two versions: in which keys they\n"
            "differ, and of each result and of the learning curve whether the difference is within what seeds\n"
            "spread (Welch's t-test; of logarithms for distances). A folder stands for the runs in it.\n",
        .examples = "    grapevine compare runs/simulated runs/real\n"
                    "    grapevine compare runs/old-s1 runs/old-s2 runs/old-s3 -- runs/new-s1 runs/new-s2 runs/new-s3\n"
                    "    grapevine compare runs/sweeps/old runs/sweeps/new --strict --level 0.01\n",
    };
    struct comparison c = default_comparison();
    struct option_list list;
    list_options(&list, &c);
    option_list_describe(&list, &manual, out);
}

static enum status parse(int count, char **arguments, struct comparison *c)
{
    struct option_list list;
    bool parted = false;
    list_options(&list, c);
    for (int s = 0; s < SIDES; s++)
        c->sides[s].paths = memory_zalloc((size_t)count + 2, sizeof c->sides[s].paths[0]);
    TRY(parse_words(count, arguments, &list, c, &parted));
    if (!parted && c->sides[0].path_count == SIDES) {
        c->sides[1].paths[c->sides[1].path_count++] = c->sides[0].paths[1];
        c->sides[0].path_count = 1;
    }
    if (c->sides[0].path_count > 0 && c->sides[1].path_count > 0)
        return STATUS_OK;
    log_error(
        "compare: two run directories (or folders of runs), or two sets of them: grapevine compare A B, grapevine "
        "compare A1 A2 A3 -- B1 B2 B3");
    return STATUS_USAGE;
}

static enum status gather(struct comparison *c)
{
    for (int s = 0; s < SIDES; s++) {
        struct side *side = &c->sides[s];
        TRY(ended_runs_read("compare", side->paths, side->path_count, &side->runs));
        side->curves = memory_zalloc(side->runs.count, sizeof side->curves[0]);
        for (size_t k = 0; k < side->runs.count; k++)
            TRY(run_curve_read(side->runs.runs[k].path, &side->curves[k]));
    }
    find_keys(c);
    warn_of_mixtures(c);
    compare_all(c);
    return STATUS_OK;
}

static void release(struct comparison *c)
{
    for (int s = 0; s < SIDES; s++) {
        struct side *side = &c->sides[s];
        for (size_t k = 0; side->curves != NULL && k < side->runs.count; k++)
            run_curve_release(&side->curves[k]);
        free(side->curves);
        ended_runs_release(&side->runs);
        free(side->paths);
    }
    for (size_t k = 0; k < c->finding_count; k++)
        free(c->findings[k].name);
    free(c->findings);
    free(c->keys);
}

int command_compare(int count, char **arguments)
{
    struct comparison c = default_comparison();
    enum status status = parse(count, arguments, &c);
    if (status == STATUS_OK)
        status = gather(&c);
    if (status == STATUS_OK && c.json) {
        print_json(&c);
    } else if (status == STATUS_OK) {
        print_sides(&c);
        print_keys(&c);
        print_findings(&c);
        print_verdict(&c);
    }
    bool differ = count_findings(&c, VERDICT_OUTSIDE) + count_findings(&c, VERDICT_UNKNOWN) +
                      count_findings(&c, VERDICT_MISSING) >
                  0;
    release(&c);
    return status == STATUS_OK && c.strict && differ ? 1 : (int)status;
}
