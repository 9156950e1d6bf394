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

enum { RULES_MAX = 32 };

struct rule_list {
    const char *command; /* borrowed: for messages */
    const struct option_rule *rules[RULES_MAX];
    size_t count;
};

static enum status take_number(const char *command, const struct option_rule *rule, const char *word)
{
    bool whole = rule->kind == OPTION_WHOLE;
    double value;
    if (text_parse_double(word, &value) && value >= rule->least && value <= rule->most &&
        (!whole || value == floor(value))) {
        *rule->number = value;
        return STATUS_OK;
    }
    log_error("%s: %s %s: give a %snumber in [%.10g, %.10g]", command, rule->name, word, whole ? "whole " : "",
              rule->least, rule->most);
    return STATUS_USAGE;
}

static enum status take_word(const char *command, const struct option_rule *rule, const char *word)
{
    size_t known = 0;
    for (; rule->words[known] != NULL; known++)
        if (strcmp(rule->words[known], word) == 0) {
            *rule->word = rule->words[known];
            return STATUS_OK;
        }
    struct text allowed = {0};
    text_add_list(&allowed, rule->words, known);
    log_error("%s: %s %s: give one of %s", command, rule->name, word, text_view(&allowed));
    text_release(&allowed);
    return STATUS_USAGE;
}

static enum status take_argument(const struct rule_list *list, int count, char **arguments, int *index)
{
    const char *names[RULES_MAX];
    for (size_t k = 0; k < list->count; k++) {
        const struct option_rule *rule = list->rules[k];
        names[k] = rule->name;
        if (rule->kind == OPTION_FLAG) {
            if (strcmp(arguments[*index], rule->name) != 0)
                continue;
            *rule->flag = true;
            return STATUS_OK;
        }
        const char *word = command_option(rule->name, count, arguments, index);
        if (*index < 0)
            return STATUS_USAGE;
        if (word != NULL)
            return (rule->kind == OPTION_WORD ? take_word : take_number)(list->command, rule, word);
    }
    return command_unknown(list->command, arguments[*index], names, list->count);
}

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
    struct rule_list list = {.command = command};
    for (size_t k = 0; k < sizeof shared / sizeof shared[0]; k++)
        list.rules[list.count++] = &shared[k];
    for (size_t k = 0; k < own_count; k++)
        list.rules[list.count++] = &own[k];

    const char *name = NULL;
    for (int i = 0; i < count; i++) {
        if (arguments[i][0] != '-' && name == NULL)
            name = arguments[i];
        else
            TRY(take_argument(&list, count, arguments, &i));
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
