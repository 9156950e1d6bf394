/* grapevine graph GRAPH -n N: what a communication graph promises. */
#include <limits.h>
#include <math.h>
#include <stdio.h>

#include "app/command.h"
#include "app/graph_options.h"
#include "graph/graph.h"
#include "graph/spectrum.h"

static void print_json(const struct graph *graph, double rate, const struct spectrum *spectrum,
                       const struct acid_constants *constants)
{
    graph_json_print(graph_record_json(&(struct graph_record){
        .graph = graph, .rate = rate, .spectrum = spectrum, .constants = *constants, .edges_shown = INT_MAX}));
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
    struct graph_options options;
    struct graph *graph = NULL;
    struct spectrum spectrum;
    enum status status;
    TRY_GOTO(graph_options_parse("graph", NULL, 0, count, arguments, &options), destroy_graph);
    TRY_GOTO(graph_create(&options.params, &graph), destroy_graph);
    TRY_GOTO(spectrum_compute(graph, &spectrum), destroy_graph);
    struct acid_constants constants = acid_constants_from(&spectrum);
    (options.json ? print_json : print_text)(graph, options.params.rate, &spectrum, &constants);
destroy_graph:
    graph_destroy(graph);
    return (int)status;
}
