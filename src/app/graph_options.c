/* The options and the JSON record that the subcommands about graphs share. */
#include "app/graph_options.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "base/log.h"
#include "base/text.h"

static bool is_file(const char *graph)
{
    return strchr(graph, '.') != NULL || strchr(graph, '/') != NULL;
}

void graph_options_list(struct option_list *list, struct graph_values *values)
{
    const struct option_rule shared[] = {
        {.name = "-n",
         .kind = OPTION_WHOLE,
         .least = 1,
         .most = GRAPH_WORKERS_MAX,
         .number = &values->workers,
         .meaning = "workers; of an edge list those that it names"},
        {.name = "--rate",
         .value = "R",
         .kind = OPTION_NUMBER,
         .least = 0,
         .most = 1e6,
         .number = &values->rate,
         .meaning = "meetings per gradient and worker, default 1; of an edge list with rates, what multiplies them"},
        {.name = "--degree",
         .value = "D",
         .kind = OPTION_WHOLE,
         .least = 1,
         .most = GRAPH_WORKERS_MAX,
         .number = &values->degree,
         .meaning = "neighbors of a worker of random-regular, default 4"},
        {.name = "--probability",
         .value = "P",
         .kind = OPTION_NUMBER,
         .least = 0,
         .most = 1,
         .number = &values->probability,
         .meaning = "probability of an edge of erdos-renyi, default 0.3"},
        {.name = "--seed",
         .value = "S",
         .kind = OPTION_WHOLE,
         .least = 0,
         .most = UINT_MAX,
         .number = &values->seed,
         .meaning = "of the random graphs, default 1"},
        {.name = "--json", .kind = OPTION_FLAG, .flag = &values->json, .meaning = "figures for programs"},
    };
    option_list_add(list, shared, sizeof shared / sizeof shared[0]);
}

enum status graph_options_parse(const struct option_list *list, const struct graph_values *values, int count,
                                char **arguments, struct graph_options *out)
{
    const char *name = NULL;
    for (int i = 0; i < count; i++) {
        if (arguments[i][0] != '-' && name == NULL)
            name = arguments[i];
        else
            TRY(option_list_take(list, count, arguments, &i));
    }
    if (name == NULL || (values->workers == 0 && !is_file(name))) {
        log_error("%s: a family or an edge-list file, and the number of workers: grapevine %s ring -n 16",
                  list->command, list->command);
        return STATUS_USAGE;
    }
    *out = (struct graph_options){
        .params = {.name = is_file(name) ? "file" : name,
                   .file = is_file(name) ? name : NULL,
                   .worker_count = (int)values->workers,
                   .rate = values->rate,
                   .degree = (int)values->degree,
                   .probability = values->probability,
                   .seed = (uint64_t)values->seed},
        .json = values->json,
    };
    return STATUS_OK;
}

void graph_json_number(cJSON *object, const char *name, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, name, value);
    else
        cJSON_AddNullToObject(object, name);
}

cJSON *graph_record_json(const struct graph_record *record)
{
    const struct graph *graph = record->graph;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "graph", graph->name);
    cJSON_AddNumberToObject(object, "workers", graph->worker_count);
    if (graph->edge_count > record->edges_shown) {
        cJSON_AddNullToObject(object, "edges");
    } else {
        cJSON *edges = cJSON_AddArrayToObject(object, "edges");
        for (int e = 0; e < graph->edge_count; e++) {
            double edge[3] = {graph->edges[e].a, graph->edges[e].b, graph->edges[e].rate};
            cJSON_AddItemToArray(edges, cJSON_CreateDoubleArray(edge, 3));
        }
    }
    cJSON_AddNumberToObject(object, "rate", record->rate);
    graph_json_number(object, "chi1", record->spectrum != NULL ? record->spectrum->chi1 : NAN);
    graph_json_number(object, "chi2", record->spectrum != NULL ? record->spectrum->chi2 : NAN);
    graph_json_number(object, "eta", record->constants.eta);
    graph_json_number(object, "alpha", record->constants.alpha);
    graph_json_number(object, "alpha_tilde", record->constants.alpha_tilde);
    return object;
}

void graph_json_print(cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object);
    printf("%s\n", text);
    cJSON_free(text);
    cJSON_Delete(object);
}
