/* Which figures a table shows, and how. */
#include "app/run_figures.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

void run_figures_add(struct run_figures *figures, const char *name)
{
    figures->names[figures->count++] = memory_copy_text(name);
}

void run_figures_release(struct run_figures *figures)
{
    for (size_t k = 0; k < figures->count; k++)
        free(figures->names[k]);
    figures->count = 0;
}

/* How many runs have it. */
static size_t count_with(const struct ended_runs *runs, const char *name)
{
    size_t count = 0;
    for (size_t k = 0; k < runs->count; k++)
        count += ended_run_has(&runs->runs[k], name);
    return count;
}

static enum status refuse_figure(const char *command, const char *name, const struct ended_runs *runs)
{
    enum { NAMES_MAX = 128 };
    const char *names[NAMES_MAX];
    size_t count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, runs->runs[0].summary)
    {
        if (count < NAMES_MAX && ended_run_has(&runs->runs[0], item->string))
            names[count++] = item->string;
    }
    struct text known = {0};
    text_add_list(&known, names, count);
    const char *nearest = text_nearest(name, names, count);
    log_error("%s: no run has a number \"%s\" in its summary.json%s%s%s (%s)", command, name,
              nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "",
              text_view(&known));
    text_release(&known);
    return STATUS_USAGE;
}

static enum status take_name(const char *command, const char *name, const struct ended_runs *runs,
                             struct run_figures *out)
{
    if (count_with(runs, name) == 0)
        return refuse_figure(command, name, runs);
    if (out->count == RUN_FIGURES_MAX) {
        log_error("%s: more than %d columns; give fewer", command, RUN_FIGURES_MAX);
        return STATUS_USAGE;
    }
    run_figures_add(out, name);
    return STATUS_OK;
}

enum status run_figures_parse(const char *command, const char *list, const struct ended_runs *runs,
                              struct run_figures *out)
{
    out->count = 0;
    for (const char *at = list; at != NULL;) {
        size_t length = strcspn(at, ",");
        char *name = text_format("%.*s", (int)length, at);
        enum status status = take_name(command, name, runs, out);
        free(name);
        TRY(status);
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    return STATUS_OK;
}

static bool own_statistics_differ(const struct ended_runs *runs)
{
    bool differ = false;
    for (size_t k = 0; k < runs->count; k++)
        differ = differ || ended_run_figure(&runs->runs[k], "test_accuracy") !=
                               ended_run_figure(&runs->runs[k], "test_accuracy_own_statistics");
    return differ;
}

void run_figures_choose(const struct ended_runs *runs, struct run_figures *out)
{
    size_t simulated = count_with(runs, "virtual_time");
    out->count = 0;
    run_figures_add(out, "test_accuracy");
    if (own_statistics_differ(runs))
        run_figures_add(out, "test_accuracy_own_statistics");
    run_figures_add(out, "test_loss");
    run_figures_add(out, "consensus_distance");
    if (simulated < runs->count)
        run_figures_add(out, "wall_seconds");
    if (simulated > 0)
        run_figures_add(out, "virtual_time");
}

bool run_figure_is_percent(const char *name)
{
    return strncmp(name, "test_accuracy", strlen("test_accuracy")) == 0 || strcmp(name, "idle") == 0 ||
           strcmp(name, "data_wait") == 0;
}

char *run_figure_title(const char *name, bool plain)
{
    bool percent = run_figure_is_percent(name);
    char *title = text_format("%s%s", name, !percent ? "" : plain ? "_percent" : ", %");
    for (char *at = title; !plain && *at != '\0'; at++)
        *at = *at == '_' ? ' ' : *at;
    return title;
}

double run_figure_scale(const char *name)
{
    return run_figure_is_percent(name) ? 100 : 1;
}

int run_figure_decimals(const char *name)
{
    return run_figure_is_percent(name) ? 2 : -1;
}
