/* grapevine table RUN...: what runs have come to, side by side. Runs that differ in their seeds alone are one row: mean
 * ± standard deviation of each figure, and n, how many there are. Columns on the left are the keys that differ. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "app/option_rules.h"
#include "app/run_figures.h"
#include "app/run_groups.h"
#include "app/text_table.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

struct tabulation {
    const char *columns, *format, *pivot; /* as given; NULL: not */
    bool json;
    char **paths; /* owned: of the arguments, borrowed */
    size_t path_count;
    struct ended_runs runs;
    struct run_figures figures;
    size_t *keys; /* owned (key_count): that differ, without the pivot's */
    size_t key_count;
    size_t pivot_key; /* run_key_count(): none */
    struct run_groups groups;
    struct run_groups across; /* of all runs by the pivot's values; none without a pivot */
    struct text_table table;
};

static bool is_csv(const struct tabulation *t)
{
    return table_format_of(t->format) == TABLE_CSV;
}

static const char *value_of(const struct tabulation *t, const struct run_group *group, size_t key)
{
    const char *value = t->runs.runs[group->runs[0]].values[key];
    return value != NULL ? value : is_csv(t) ? "" : "–";
}

/* --- cells --- */

static void add_labels(struct tabulation *t, const struct run_group *group)
{
    for (size_t k = 0; k < t->key_count; k++)
        text_table_add(&t->table, "%s", value_of(t, group, t->keys[k]));
    if (t->key_count > 0)
        return;
    if (group->count == 1)
        text_table_add(&t->table, "%s", ended_run_name(&t->runs.runs[group->runs[0]]));
    else
        text_table_add(&t->table, "%zu runs", group->count);
}

static void add_label_titles(struct tabulation *t)
{
    for (size_t k = 0; k < t->key_count; k++) {
        char *title = run_key_title(t->keys[k], t->keys, t->key_count);
        text_table_add(&t->table, "%s", is_csv(t) ? run_key_name(t->keys[k]) : title);
        free(title);
    }
    if (t->key_count == 0)
        text_table_add(&t->table, "run");
    t->table.label_count = t->key_count > 0 ? t->key_count : 1;
}

/* One cell; of CSV two, mean and deviation, with all digits. */
static void add_figure(struct tabulation *t, const struct run_group *group, const char *figure)
{
    char cell[STATISTIC_BYTES];
    struct statistic statistic = {.mean = NAN, .deviation = NAN};
    if (group != NULL)
        statistic = statistic_scaled(run_group_statistic(&t->runs, group, figure), run_figure_scale(figure));
    if (!is_csv(t)) {
        text_table_add(&t->table, "%s", statistic_write(cell, statistic, run_figure_decimals(figure)));
        return;
    }
    for (int k = 0; k < 2; k++) {
        double value = k == 0 ? statistic.mean : statistic.deviation;
        text_table_add(&t->table, isnan(value) ? "" : "%.9g", value);
    }
}

static void add_title(struct tabulation *t, const char *title)
{
    text_table_add(&t->table, "%s", title);
    if (is_csv(t))
        text_table_add(&t->table, "%s_deviation", title);
}

/* --- a row for each group, a column for each figure --- */

static void fill_plain(struct tabulation *t)
{
    t->table.column_count = (t->key_count > 0 ? t->key_count : 1) + 1 + t->figures.count * (is_csv(t) ? 2 : 1);
    add_label_titles(t);
    text_table_add(&t->table, "n");
    for (size_t k = 0; k < t->figures.count; k++) {
        char *title = run_figure_title(t->figures.names[k], is_csv(t));
        add_title(t, title);
        free(title);
    }
    for (size_t g = 0; g < t->groups.count; g++) {
        const struct run_group *group = &t->groups.groups[g];
        add_labels(t, group);
        text_table_add(&t->table, "%zu", group->count);
        for (size_t k = 0; k < t->figures.count; k++)
            add_figure(t, group, t->figures.names[k]);
    }
}

/* --- a row for each group and figure, a column for each value of the pivot --- */

/* The runs of a group that are in another group too; owned by the caller. */
static struct run_group common(const struct run_group *a, const struct run_group *b)
{
    struct run_group both = {.runs = memory_zalloc(a->count + 1, sizeof both.runs[0])};
    for (size_t k = 0; k < a->count; k++)
        for (size_t j = 0; j < b->count; j++)
            if (a->runs[k] == b->runs[j])
                both.runs[both.count++] = a->runs[k];
    return both;
}

/* "3", or "3, 3, 2" where the numbers differ. */
static void add_counts(struct tabulation *t, const size_t *counts)
{
    struct text text = {0};
    bool equal = true;
    for (size_t k = 1; k < t->across.count; k++)
        equal = equal && counts[k] == counts[0];
    for (size_t k = 0; k < (equal ? 1 : t->across.count); k++)
        text_add(&text, "%s%zu", k > 0 ? ", " : "", counts[k]);
    text_table_add(&t->table, "%s", text_view(&text));
    text_release(&text);
}

static void add_pivot_row(struct tabulation *t, const struct run_group *group, const char *figure)
{
    size_t *counts = memory_zalloc(t->across.count, sizeof counts[0]);
    char *title = run_figure_title(figure, is_csv(t));
    if (t->key_count > 0)
        add_labels(t, group);
    text_table_add(&t->table, "%s", title);
    for (size_t k = 0; k < t->across.count; k++) {
        struct run_group cell = common(group, &t->across.groups[k]);
        counts[k] = cell.count;
        add_figure(t, cell.count > 0 ? &cell : NULL, figure);
        free(cell.runs);
    }
    add_counts(t, counts);
    free(title);
    free(counts);
}

static void fill_pivot(struct tabulation *t)
{
    t->table.column_count = t->key_count + 2 + t->across.count * (is_csv(t) ? 2 : 1);
    if (t->key_count > 0)
        add_label_titles(t);
    char *title = run_key_title(t->pivot_key, NULL, 0);
    text_table_add(&t->table, "%s", title);
    free(title);
    t->table.label_count = t->key_count + 1;
    for (size_t k = 0; k < t->across.count; k++)
        add_title(t, value_of(t, &t->across.groups[k], t->pivot_key));
    text_table_add(&t->table, "n");
    for (size_t g = 0; g < t->groups.count; g++)
        for (size_t k = 0; k < t->figures.count; k++)
            add_pivot_row(t, &t->groups.groups[g], t->figures.names[k]);
}

/* --- JSON --- */

static cJSON *figure_json(const struct tabulation *t, const struct run_group *group, const char *figure)
{
    struct statistic statistic = run_group_statistic(&t->runs, group, figure);
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "mean", statistic.mean); /* NAN becomes null */
    cJSON_AddNumberToObject(object, "deviation", statistic.deviation);
    cJSON *values = cJSON_AddArrayToObject(object, "values");
    for (size_t k = 0; k < group->count; k++)
        cJSON_AddItemToArray(values, cJSON_CreateNumber(ended_run_figure(&t->runs.runs[group->runs[k]], figure)));
    return object;
}

static cJSON *group_json(const struct tabulation *t, const struct run_group *group)
{
    cJSON *object = cJSON_CreateObject(), *keys = cJSON_AddObjectToObject(object, "keys");
    for (size_t k = 0; k < t->key_count; k++) {
        const char *value = t->runs.runs[group->runs[0]].values[t->keys[k]];
        cJSON_AddItemToObject(keys, run_key_name(t->keys[k]),
                              value != NULL ? cJSON_CreateString(value) : cJSON_CreateNull());
    }
    cJSON_AddNumberToObject(object, "n", (double)group->count);
    cJSON *runs = cJSON_AddArrayToObject(object, "runs"), *seeds = cJSON_AddArrayToObject(object, "seeds");
    for (size_t k = 0; k < group->count; k++) {
        const struct ended_run *run = &t->runs.runs[group->runs[k]];
        cJSON_AddItemToArray(runs, cJSON_CreateString(run->path));
        cJSON_AddItemToArray(seeds, cJSON_CreateRaw(run->values[run_key_find("seed")]));
    }
    cJSON *figures = cJSON_AddObjectToObject(object, "figures");
    for (size_t k = 0; k < t->figures.count; k++)
        cJSON_AddItemToObject(figures, t->figures.names[k], figure_json(t, group, t->figures.names[k]));
    return object;
}

/* Figures as the summaries have them: accuracies are shares of 1. */
static void print_json(const struct tabulation *t)
{
    cJSON *root = cJSON_CreateObject(), *rows = cJSON_AddArrayToObject(root, "rows");
    for (size_t g = 0; g < t->groups.count; g++)
        cJSON_AddItemToArray(rows, group_json(t, &t->groups.groups[g]));
    char *text = cJSON_Print(root);
    printf("%s\n", text);
    cJSON_free(text);
    cJSON_Delete(root);
}

/* --- the command --- */

static void list_options(struct option_list *list, struct tabulation *t)
{
    const struct option_rule rules[] = {
        {.name = "--columns",
         .value = "LIST",
         .kind = OPTION_TEXT,
         .word = &t->columns,
         .meaning =
             "numbers of summary.json, as test_accuracy,consensus_distance; of a list its mean is meant. Default: "
             "accuracy (with worker 0's statistics too, where that differs), loss, consensus distance, time"},
        {.name = "--pivot",
         .value = "KEY",
         .kind = OPTION_TEXT,
         .word = &t->pivot,
         .meaning = "a key whose values are columns, as train.workers"},
        {.name = "--format",
         .value = "FORMAT",
         .kind = OPTION_WORD,
         .words = table_format_names,
         .word = &t->format,
         .meaning = "default markdown; latex needs the package booktabs"},
        {.name = "--json",
         .kind = OPTION_FLAG,
         .flag = &t->json,
         .meaning = "for programs: every value, with runs and seeds; accuracies are shares of 1"},
    };
    *list = (struct option_list){.command = "table"};
    option_list_add(list, rules, sizeof rules / sizeof rules[0]);
}

static struct tabulation default_tabulation(void)
{
    return (struct tabulation){.format = table_format_names[TABLE_MARKDOWN]};
}

void command_table_help(FILE *out)
{
    static const struct option_manual manual = {
        .usage = "grapevine table RUN... [options]\n",
        .about =
            "What runs have come to, side by side. A RUN is a run directory, or a folder of them. The keys in which\n"
            "the runs differ are columns; runs that differ in their seeds alone are one row, mean and standard\n"
            "deviation of each figure. Runs that have not ended are named and left out.\n",
        .examples = "    grapevine table runs/sweeps/quickstart\n"
                    "    grapevine table runs/a runs/b --columns test_accuracy,idle --format latex\n"
                    "    grapevine table runs/sweeps/quickstart --pivot train.workers\n",
    };
    struct tabulation t = default_tabulation();
    struct option_list list;
    list_options(&list, &t);
    option_list_describe(&list, &manual, out);
}

static enum status parse(int count, char **arguments, struct tabulation *t)
{
    struct option_list list;
    list_options(&list, t);
    t->paths = memory_zalloc((size_t)count + 1, sizeof t->paths[0]);
    for (int i = 0; i < count; i++) {
        if (arguments[i][0] != '-')
            t->paths[t->path_count++] = arguments[i];
        else
            TRY(option_list_take(&list, count, arguments, &i));
    }
    if (t->path_count > 0)
        return STATUS_OK;
    log_error("table: which runs? grapevine table RUN... (run directories, or folders of them)");
    return STATUS_USAGE;
}

static enum status find_pivot(struct tabulation *t)
{
    size_t count = run_key_count();
    t->pivot_key = t->pivot != NULL ? run_key_find(t->pivot) : count;
    if (t->pivot == NULL || (t->pivot_key < count && !run_key_is_bookkeeping(t->pivot_key)))
        return STATUS_OK;
    if (t->pivot_key < count) {
        log_error("table: --pivot %s: runs are put together whatever that is; choose a key of the experiment, as "
                  "train.workers",
                  t->pivot);
        return STATUS_USAGE;
    }
    const char **names = memory_zalloc(count, sizeof names[0]);
    for (size_t k = 0; k < count; k++)
        names[k] = run_key_name(k);
    const char *nearest = text_nearest(t->pivot, names, count);
    log_error("table: --pivot: there is no key \"%s\"%s%s%s; `grapevine config` lists all", t->pivot,
              nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
    free((void *)names);
    return STATUS_USAGE;
}

static enum status gather(struct tabulation *t)
{
    TRY(find_pivot(t));
    TRY(ended_runs_read("table", t->paths, t->path_count, &t->runs));
    if (t->columns != NULL)
        TRY(run_figures_parse("table", t->columns, &t->runs, &t->figures));
    else
        run_figures_choose(&t->runs, &t->figures);
    t->keys = memory_zalloc(run_key_count(), sizeof t->keys[0]);
    size_t all = run_keys_differing(&t->runs, t->keys);
    struct run_groups whole;
    run_groups_make(&t->runs, t->keys, all, &whole);
    run_groups_warn_of_twins("table", &t->runs, &whole);
    run_groups_release(&whole);
    for (size_t k = 0; k < all; k++)
        if (t->keys[k] != t->pivot_key)
            t->keys[t->key_count++] = t->keys[k];
    run_groups_make(&t->runs, t->keys, t->key_count, &t->groups);
    if (t->pivot != NULL)
        run_groups_make(&t->runs, &t->pivot_key, 1, &t->across);
    return STATUS_OK;
}

static void print_table(struct tabulation *t)
{
    if (t->pivot != NULL)
        fill_pivot(t);
    else
        fill_plain(t);
    text_table_print(&t->table, table_format_of(t->format), stdout);
}

int command_table(int count, char **arguments)
{
    struct tabulation t = default_tabulation();
    enum status status = parse(count, arguments, &t);
    if (status == STATUS_OK && t.json && t.pivot != NULL) {
        log_error("table: --json has every row with its keys: leave --pivot out");
        status = STATUS_USAGE;
    }
    if (status == STATUS_OK)
        status = gather(&t);
    if (status == STATUS_OK && t.json)
        print_json(&t);
    else if (status == STATUS_OK)
        print_table(&t);
    text_table_release(&t.table);
    run_groups_release(&t.across);
    run_groups_release(&t.groups);
    run_figures_release(&t.figures);
    ended_runs_release(&t.runs);
    free(t.keys);
    free(t.paths);
    return (int)status;
}
