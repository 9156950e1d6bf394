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

enum status graph_options_parse(const char *command, const struct option_rule *own, size_t own_count, int count,
                                char **arguments, struct graph_options *out)
{
    double workers = 0, rate = 1, degree = 4, probability = 0.3, seed = 1;
    bool json = false;
    const struct option_rule shared[] = {
        {.name = "-n", .kind = OPTION_WHOLE, .least = 1, .most = GRAPH_WORKERS_MAX, .number = &workers},
        {.name = "--rate", .kind = OPTION_NUMBER, .least = 0, .most = 1e6, .number = &rate},
        {.name = "--degree", .kind = OPTION_WHOLE, .least = 1, .most = GRAPH_WORKERS_MAX, .number = &degree},
        {.name = "--probability", .kind = OPTION_NUMBER, .least = 0, .most = 1, .number = &probability},
        {.name = "--seed", .kind = OPTION_WHOLE, .least = 0, .most = UINT_MAX, .number = &seed},
        {.name = "--json", .kind = OPTION_FLAG, .flag = &json},
    };
    struct option_list list = {.command = command};
    option_list_add(&list, shared, sizeof shared / sizeof shared[0]);
    option_list_add(&list, own, own_count);

    const char *name = NULL;
    for (int i = 0; i < count; i++) {
        if (arguments[i][0] != '-' && name == NULL)
            name = arguments[i];
        else
            TRY(option_list_take(&list, count, arguments, &i));
    }
    if (name == NULL || (workers == 0 && !is_file(name))) {
        log_error("%s: a family or an edge-list file, and the number of workers: grapevine %s ring -n 16", command,
                  command);
        return STATUS_USAGE;
    }
    *out = (struct graph_options){
        .params = {.name = is_file(name) ? "file" : name,
                   .file = is_file(name) ? name : NULL,
                   .worker_count = (int)workers,
                   .rate = rate,
                   .degree = (int)degree,
                   .probability = probability,
                   .seed = (uint64_t)seed},
        .json = json,
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
