/* What the workers' reports say together of the network. */
#include "app/network_lines.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "graph/spectrum.h"

/* A worker's latest report. */
struct reported {
    bool fresh; /* since the last line about the network */
    double own_time, estimated, predicted;
};

struct network_lines {
    const struct graph *graph; /* borrowed */
    struct reported *workers;  /* owned (worker_count) */
    double *meetings;          /* owned (edge_count): the larger of what its two ends have told */
    double *rates;             /* owned (edge_count) */
    int fresh_count;
};

struct network_lines *network_lines_create(const struct graph *graph)
{
    struct network_lines *lines = memory_zalloc(1, sizeof *lines);
    lines->graph = graph;
    lines->workers = memory_zalloc((size_t)graph->worker_count, sizeof lines->workers[0]);
    lines->meetings = memory_zalloc((size_t)graph->edge_count + 1, sizeof lines->meetings[0]);
    lines->rates = memory_zalloc((size_t)graph->edge_count + 1, sizeof lines->rates[0]);
    return lines;
}

void network_lines_destroy(struct network_lines *lines)
{
    if (lines == NULL)
        return;
    free(lines->workers);
    free(lines->meetings);
    free(lines->rates);
    free(lines);
}

static double number_of(const cJSON *report, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(report, key);
    return cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
}

static void take_meetings(struct network_lines *lines, int worker, const cJSON *met)
{
    const struct graph_neighbor *neighbors = graph_neighbors(lines->graph, worker);
    for (int j = 0; j < graph_degree(lines->graph, worker); j++) {
        char name[16];
        snprintf(name, sizeof name, "%d", neighbors[j].worker);
        double count = number_of(met, name), *of_edge = &lines->meetings[neighbors[j].edge];
        *of_edge = fmax(*of_edge, count);
    }
}

/* χ1, χ2 of the meetings so far; NAN where they say nothing yet. */
static struct spectrum realised(struct network_lines *lines)
{
    const struct graph *graph = lines->graph;
    struct spectrum spectrum = {.chi1 = NAN, .chi2 = NAN};
    for (int e = 0; e < graph->edge_count; e++) {
        double time = (lines->workers[graph->edges[e].a].own_time + lines->workers[graph->edges[e].b].own_time) / 2;
        if (!(time > 0))
            return spectrum;
        lines->rates[e] = lines->meetings[e] / time;
    }
    if (spectrum_from_rates(graph, lines->rates, &spectrum) != STATUS_OK)
        spectrum = (struct spectrum){.chi1 = NAN, .chi2 = NAN};
    return spectrum;
}

static void print_number(FILE *out, const char *key, double value)
{
    if (isfinite(value))
        fprintf(out, ", \"%s\": %.9g", key, value);
    else
        fprintf(out, ", \"%s\": null", key);
}

/* Of a worker, over all: each meeting has two. */
static double exchanges_per_gradient(const struct network_lines *lines)
{
    double exchanges = 0, gradients = 0;
    for (int e = 0; e < lines->graph->edge_count; e++)
        exchanges += 2 * lines->meetings[e];
    for (int i = 0; i < lines->graph->worker_count; i++)
        gradients += lines->workers[i].own_time;
    return exchanges / gradients;
}

static void write_line(struct network_lines *lines, const cJSON *report, FILE *out)
{
    int n = lines->graph->worker_count;
    double estimated = 0, predicted = 0;
    for (int i = 0; i < n; i++) {
        estimated += lines->workers[i].estimated / n;
        predicted += lines->workers[i].predicted / n;
        lines->workers[i].fresh = false;
    }
    lines->fresh_count = 0;
    struct spectrum spectrum = realised(lines);
    fprintf(out, "{\"network\": true, \"time\": %.6f, \"global_step\": %.0f", number_of(report, "time"),
            number_of(report, "global_step"));
    print_number(out, "epoch", number_of(report, "epoch"));
    print_number(out, "consensus_estimated", estimated);
    print_number(out, "consensus_predicted", predicted);
    print_number(out, "chi1", spectrum.chi1);
    print_number(out, "chi2", spectrum.chi2);
    print_number(out, "exchanges_per_gradient", exchanges_per_gradient(lines));
    fputs("}\n", out);
}

void network_lines_add(struct network_lines *lines, const char *text, FILE *out)
{
    if (strstr(text, "\"meetings\"") == NULL)
        return;
    cJSON *report = cJSON_Parse(text);
    const cJSON *met = cJSON_GetObjectItemCaseSensitive(report, "meetings");
    double rank = number_of(report, "rank");
    if (cJSON_IsObject(met) && rank >= 0 && rank < lines->graph->worker_count) {
        struct reported *worker = &lines->workers[(int)rank];
        take_meetings(lines, (int)rank, met);
        lines->fresh_count += !worker->fresh;
        *worker = (struct reported){.fresh = true,
                                    .own_time = number_of(report, "step"),
                                    .estimated = number_of(report, "consensus_estimated"),
                                    .predicted = number_of(report, "consensus_predicted")};
        if (lines->fresh_count == lines->graph->worker_count)
            write_line(lines, report, out);
    }
    cJSON_Delete(report);
}
