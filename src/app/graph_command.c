/* grapevine graph GRAPH -n N [--rates uniform|best [--budget total|worker]]: what a communication graph promises. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "app/graph_options.h"
#include "base/log.h"
#include "base/memory.h"
#include "graph/best_rates.h"
#include "graph/graph.h"
#include "graph/spectrum.h"

enum { EDGES_SHOWN = 12 };

struct request {
    struct graph_options options;
    const char *rates, *budget; /* borrowed; budget NULL: not given */
};

/* What is printed. Where no best rates are asked for, what stands below `best` is not looked at. */
struct findings {
    const struct request *request;
    const struct graph *graph;
    struct spectrum spectrum;
    struct acid_constants constants;
    bool best;
    struct best_rates best_rates; /* its `uniform` is of the edge list's rates where there are such */
    struct spectrum uniform;      /* of uniform rates in the same budget */
};

static double root(const struct spectrum *spectrum)
{
    return sqrt(spectrum->chi1 * spectrum->chi2);
}

static void add_spectrum(cJSON *object, const char *name, const struct spectrum *spectrum)
{
    cJSON *part = cJSON_AddObjectToObject(object, name);
    graph_json_number(part, "chi1", spectrum->chi1);
    graph_json_number(part, "chi2", spectrum->chi2);
    graph_json_number(part, "sqrt_chi1_chi2", root(spectrum));
}

static void add_best_rates(cJSON *object, const struct findings *found)
{
    const struct best_rates *best = &found->best_rates;
    cJSON_AddStringToObject(object, "rates", "best");
    cJSON_AddStringToObject(object, "budget", found->request->budget);
    graph_json_number(object, "sqrt_chi1_chi2", root(&best->best));
    graph_json_number(object, "sqrt_chi1_chi2_bound", best->bound);
    cJSON_AddNumberToObject(object, "silent_edges", best->silent);
    add_spectrum(object, "uniform", &found->uniform);
    if (found->graph->rates_given)
        add_spectrum(object, "given", &best->uniform);
}

static void print_json(const struct findings *found)
{
    cJSON *object = graph_record_json(&(struct graph_record){.graph = found->graph,
                                                             .rate = found->request->options.params.rate,
                                                             .spectrum = &found->spectrum,
                                                             .constants = found->constants,
                                                             .edges_shown = INT_MAX});
    if (found->best)
        add_best_rates(object, found);
    graph_json_print(object);
}

static void print_constants(const struct findings *found)
{
    const struct spectrum *spectrum = &found->spectrum;
    const struct acid_constants *constants = &found->constants;
    printf("chi1         %-12.6g (1/chi1: how fast plain gossip contracts)\n", spectrum->chi1);
    printf("chi2         %-12.6g (largest effective resistance of an edge, halved)\n", spectrum->chi2);
    printf("sqrt(chi1*chi2) %-9.6g (A2CiD2 contracts at the inverse of this)\n", root(spectrum));
    printf("eta          %.6g\nalpha        %.6g\nalpha_tilde  %.6g\n", constants->eta, constants->alpha,
           constants->alpha_tilde);
}

static void print_baseline(const char *name, const struct spectrum *spectrum, const char *rates, const char *budget)
{
    printf("%-12s %-12.6g sqrt(chi1*chi2) of %s, %s, with chi1 %.6g, chi2 %.6g\n", name, root(spectrum), rates, budget,
           spectrum->chi1, spectrum->chi2);
}

static void print_best_rates(const struct findings *found)
{
    const struct best_rates *best = &found->best_rates;
    bool total = strcmp(found->request->budget, "total") == 0, given = found->graph->rates_given;
    const char *budget = total ? "the same total" : "the busiest worker has the same";
    printf("rates        best, budget %s%s\n", found->request->budget,
           !best->kept ? ""
           : given     ? ": the given ones, which nothing improves"
                       : ": the uniform ones, which nothing improves");
    if (given)
        print_baseline("given", &best->uniform, "the edge list's rates", budget);
    print_baseline("uniform", &found->uniform, "uniform rates", budget);
    printf("bound        %-12.6g (no rates in this budget have a smaller sqrt(chi1*chi2))\n", best->bound);
    if (best->silent > 0)
        printf("silent       %d edges have rate 0\n", best->silent);
}

static void print_edges(const struct graph *graph)
{
    for (int e = 0; e < graph->edge_count && e < EDGES_SHOWN; e++)
        printf("%-12s %d-%d  %.6g\n", e == 0 ? "edges" : "", graph->edges[e].a, graph->edges[e].b,
               graph->edges[e].rate);
    if (graph->edge_count > EDGES_SHOWN)
        printf("             and %d more (all of them: --json)\n", graph->edge_count - EDGES_SHOWN);
}

static void print_text(const struct findings *found)
{
    printf("graph        %s, %d workers, %d edges, rate %g per gradient and worker\n", found->graph->name,
           found->graph->worker_count, found->graph->edge_count, graph_mean_rate(found->graph));
    if (found->graph->rates_given)
        printf("             on average, of the edge list's rates times --rate %g\n",
               found->request->options.params.rate);
    print_constants(found);
    if (found->best)
        print_best_rates(found);
    print_edges(found->graph);
}

static void list_options(struct option_list *list, struct graph_values *values, struct request *request)
{
    static const char *const kinds[] = {"uniform", "best", NULL}, *const budgets[] = {"total", "worker", NULL};
    const struct option_rule own[] = {
        {.name = "--rates",
         .value = "KIND",
         .kind = OPTION_WORD,
         .words = kinds,
         .word = &request->rates,
         .meaning = "best: the rates that make A2CiD2 fastest on this graph, beside uniform ones"},
        {.name = "--budget",
         .value = "KIND",
         .kind = OPTION_WORD,
         .words = budgets,
         .word = &request->budget,
         .meaning = "of best rates. total: the meetings of all edges together stay what they are; worker: no worker "
                    "meets more than --rate"},
    };
    *list = (struct option_list){.command = "graph"};
    graph_options_list(list, values);
    option_list_add(list, own, sizeof own / sizeof own[0]);
}

void command_graph_help(FILE *out)
{
    static const struct option_manual manual = {
        .usage = "grapevine graph GRAPH -n N [options]\n",
        .about =
            "What a communication graph promises: chi1, chi2, and the constants of A2CiD2 that follow. GRAPH is a\n"
            "family (`grapevine config graph.name`) or, with a dot or a slash in its name, the file of an edge list.\n",
        .examples = "    grapevine graph ring -n 16\n"
                    "    grapevine graph random-regular -n 32 --degree 3 --seed 2\n"
                    "    grapevine graph ./edges.txt --rates best --budget worker\n",
    };
    struct graph_values values = GRAPH_VALUES;
    struct request request = {0};
    struct option_list list;
    list_options(&list, &values, &request);
    option_list_describe(&list, &manual, out);
}

static enum status parse(int count, char **arguments, struct request *request)
{
    struct graph_values values = GRAPH_VALUES;
    struct option_list list;
    *request = (struct request){.rates = "uniform"};
    list_options(&list, &values, request);
    TRY(graph_options_parse(&list, &values, count, arguments, &request->options));
    if (strcmp(request->rates, "best") == 0) {
        request->budget = request->budget != NULL ? request->budget : "total";
        return STATUS_OK;
    }
    if (request->budget == NULL)
        return STATUS_OK;
    log_error("graph: --budget %s is for best rates: give --rates best with it", request->budget);
    return STATUS_USAGE;
}

/* Uniform rates in the budget that the best ones of `graph` will have to keep to. */
static enum status examine_uniform(const struct graph *graph, const struct best_rates_params *params,
                                   struct spectrum *out)
{
    bool *nobody = memory_zalloc((size_t)graph->worker_count, sizeof nobody[0]);
    struct graph *uniform = graph_survivors(graph, nobody);
    double *met = memory_zalloc((size_t)graph->worker_count, sizeof met[0]), most = 0;
    for (int e = 0; e < uniform->edge_count; e++) {
        met[uniform->edges[e].a] += uniform->edges[e].rate;
        met[uniform->edges[e].b] += uniform->edges[e].rate;
    }
    for (int i = 0; i < graph->worker_count; i++)
        most = fmax(most, met[i]);
    for (int e = 0; e < uniform->edge_count && params->budget == RATE_BUDGET_WORKER; e++)
        uniform->edges[e].rate *= params->worker_rate / most;
    enum status status = spectrum_compute(uniform, out);
    free(met);
    free(nobody);
    graph_destroy(uniform);
    return status;
}

static enum status examine_best(const struct request *request, struct graph *graph, struct findings *found)
{
    struct best_rates_params params = {
        .budget = rate_budget_from(request->budget),
        .worker_rate = request->options.params.rate,
    };
    if (graph->rates_given)
        TRY(examine_uniform(graph, &params, &found->uniform));
    TRY(best_rates_find(graph, &params, &found->best_rates));
    found->spectrum = found->best_rates.best;
    if (!graph->rates_given)
        found->uniform = found->best_rates.uniform;
    return STATUS_OK;
}

static enum status examine(const struct request *request, struct graph *graph, struct findings *found)
{
    *found = (struct findings){.request = request, .graph = graph, .best = strcmp(request->rates, "best") == 0};
    if (found->best)
        TRY(examine_best(request, graph, found));
    else
        TRY(spectrum_compute(graph, &found->spectrum));
    found->constants = acid_constants_from(&found->spectrum);
    return STATUS_OK;
}

int command_graph(int count, char **arguments)
{
    struct request request;
    struct graph *graph = NULL;
    struct findings found;
    enum status status;
    TRY_GOTO(parse(count, arguments, &request), destroy_graph);
    TRY_GOTO(graph_create(&request.options.params, &graph), destroy_graph);
    TRY_GOTO(examine(&request, graph, &found), destroy_graph);
    (request.options.json ? print_json : print_text)(&found);
destroy_graph:
    graph_destroy(graph);
    return (int)status;
}
