/* What the subcommands about graphs share: their options, and the record of a graph in JSON.
 *
 *     grapevine COMMAND GRAPH -n N [--rate R] [--degree D] [--probability P] [--seed S] [--json] [its own options]
 *
 * A word with a dot or a slash is an edge-list file, any other a family. */
#ifndef GRAPEVINE_APP_GRAPH_OPTIONS_H
#define GRAPEVINE_APP_GRAPH_OPTIONS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/option_rules.h"
#include "base/status.h"
#include "graph/graph.h"
#include "graph/spectrum.h"

struct graph_options {
    struct graph_params params; /* name and file borrowed from the arguments */
    bool json;
};

/* What is read before it is checked: numbers as the command line gives them. Start with GRAPH_VALUES. */
struct graph_values {
    double workers, rate, degree, probability, seed;
    bool json;
};
#define GRAPH_VALUES                                          \
    {                                                         \
        .rate = 1, .degree = 4, .probability = 0.3, .seed = 1 \
    }

/* Add the shared options to a list. */
void graph_options_list(struct option_list *list, struct graph_values *values);

/* Read a subcommand's arguments by its list, which has the shared options with these values among its own: the graph
 * and the options. STATUS_USAGE (logged with the command's name): no graph, no number of workers for a family, an
 * unknown option, a value out of bounds. */
enum status graph_options_parse(const struct option_list *list, const struct graph_values *values, int count,
                                char **arguments, struct graph_options *out);

struct graph_record {
    const struct graph *graph;
    double rate;                     /* as asked for */
    const struct spectrum *spectrum; /* NULL: not computed, written as null */
    struct acid_constants constants; /* NAN: null */
    int edges_shown;                 /* with more edges than that, "edges" is null */
};

/* {graph, workers, edges: [[a, b, rate], ...], rate, chi1, chi2, eta, alpha, alpha_tilde}; owned by the caller. */
cJSON *graph_record_json(const struct graph_record *record);

/* JSON has neither infinity nor NaN: null stands for them. */
void graph_json_number(cJSON *object, const char *name, double value);

/* One line on standard output; deletes the object. */
void graph_json_print(cJSON *object);

#endif
