/* grapevine graph GRAPH -n N: what a communication graph promises. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "base/log.h"
#include "base/text.h"
#include "graph/graph.h"
#include "graph/spectrum.h"

static const char *const options[] = {"-n", "--rate", "--degree", "--probability", "--seed", "--json"};
enum { OPTION_COUNT = sizeof options / sizeof options[0], WORKERS_MOST = 20000 };

struct request {
    struct graph_params params;
    bool json;
};

/* What an option's number may be, in the order of `options`; --json has none. */
static const struct number_rule {
    double least, most;
    bool whole;
} rules[] = {{1, WORKERS_MOST, true}, {0, 1e6, false}, {1, WORKERS_MOST, true}, {0, 1, false}, {0, 4294967295.0, true}};

static enum status parse_number(const char *name, const char *word, const struct number_rule *rule, double *value)
{
    if (text_parse_double(word, value) && *value >= rule->least && *value <= rule->most &&
        (!rule->whole || *value == floor(*value)))
        return STATUS_OK;
    log_error("graph: %s %s: give a %snumber in [%.10g, %.10g]", name, word, rule->whole ? "whole " : "", rule->least,
              rule->most);
    return STATUS_USAGE;
}

static enum status parse_option(struct request *request, int count, char **arguments, int *index)
{
    if (strcmp(arguments[*index], "--json") == 0) {
        request->json = true;
        return STATUS_OK;
    }
    for (int k = 0; k < OPTION_COUNT - 1; k++) {
        const char *word = command_option(options[k], count, arguments, index);
        double value;
        if (*index < 0)
            return STATUS_USAGE;
        if (word == NULL)
            continue;
        TRY(parse_number(options[k], word, &rules[k], &value));
        switch (k) {
        case 0:
            request->params.worker_count = (int)value;
            break;
        case 1:
            request->params.rate = value;
            break;
        case 2:
            request->params.degree = (int)value;
            break;
        case 3:
            request->params.probability = value;
            break;
        default:
            request->params.seed = (uint64_t)value;
            break;
        }
        return STATUS_OK;
    }
    return command_unknown("graph", arguments[*index], options, OPTION_COUNT);
}

static enum status parse(struct request *request, int count, char **arguments)
{
    *request = (struct request){.params = {.rate = 1, .degree = 4, .probability = 0.3, .seed = 1}};
    for (int i = 0; i < count; i++) {
        if (arguments[i][0] != '-' && request->params.name == NULL)
            request->params.name = arguments[i];
        else
            TRY(parse_option(request, count, arguments, &i));
    }
    const char *name = request->params.name;
    if (name == NULL || (request->params.worker_count == 0 && strchr(name, '.') == NULL && strchr(name, '/') == NULL)) {
        log_error("graph: a family or an edge-list file, and the number of workers: grapevine graph ring -n 16");
        return STATUS_USAGE;
    }
    if (strchr(name, '.') != NULL || strchr(name, '/') != NULL) {
        request->params.file = name;
        request->params.name = "file";
    }
    return STATUS_OK;
}

/* JSON has no infinity: a graph without communication has null. */
static void add_number(cJSON *object, const char *name, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, name, value);
    else
        cJSON_AddNullToObject(object, name);
}

static void print_json(const struct graph *graph, double rate, const struct spectrum *spectrum,
                       const struct acid_constants *constants)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "graph", graph->name);
    cJSON_AddNumberToObject(object, "workers", graph->worker_count);
    cJSON *edges = cJSON_AddArrayToObject(object, "edges");
    for (int e = 0; e < graph->edge_count; e++) {
        double edge[3] = {graph->edges[e].a, graph->edges[e].b, graph->edges[e].rate};
        cJSON_AddItemToArray(edges, cJSON_CreateDoubleArray(edge, 3));
    }
    cJSON_AddNumberToObject(object, "rate", rate);
    add_number(object, "chi1", spectrum->chi1);
    add_number(object, "chi2", spectrum->chi2);
    cJSON_AddNumberToObject(object, "eta", constants->eta);
    cJSON_AddNumberToObject(object, "alpha", constants->alpha);
    add_number(object, "alpha_tilde", constants->alpha_tilde);
    char *text = cJSON_PrintUnformatted(object);
    printf("%s\n", text);
    cJSON_free(text);
    cJSON_Delete(object);
}

static void print_text(const struct graph *graph, double rate, const struct spectrum *spectrum,
                       const struct acid_constants *constants)
{
    printf("graph        %s, %d workers, %d edges, rate %g per gradient and worker\n", graph->name, graph->worker_count,
           graph->edge_count, rate);
    printf("chi1         %-12.6g (1/chi1: how fast plain gossip contracts)\n", spectrum->chi1);
    printf("chi2         %-12.6g (largest effective resistance of an edge, halved)\n", spectrum->chi2);
    printf("sqrt(chi1*chi2) %-9.6g (A2CiD2 contracts at the inverse of this)\n", sqrt(spectrum->chi1 * spectrum->chi2));
    printf("eta          %.6g\nalpha        %.6g\nalpha_tilde  %.6g\n", constants->eta, constants->alpha,
           constants->alpha_tilde);
}

int command_graph(int count, char **arguments)
{
    struct request request;
    struct graph *graph = NULL;
    struct spectrum spectrum;
    enum status status;
    TRY_GOTO(parse(&request, count, arguments), destroy_graph);
    TRY_GOTO(graph_create(&request.params, &graph), destroy_graph);
    TRY_GOTO(spectrum_compute(graph, &spectrum), destroy_graph);
    struct acid_constants constants = acid_constants_from(&spectrum);
    (request.json ? print_json : print_text)(graph, request.params.rate, &spectrum, &constants);
destroy_graph:
    graph_destroy(graph);
    return (int)status;
}
