/* Meetings per second of pure gossip on one core, the best of a few rounds, with the drift of Σ(x + x̃), which the
 * dynamic conserves, over the largest number. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/stopwatch.h"
#include "graph/graph.h"
#include "graph/spectrum.h"
#include "runtime/gossip.h"

enum { ROUNDS = 5 };

struct row {
    const char *name;
    int worker_count;
    size_t dimension;
    double time;
    const char *goal;
};

static const struct row rows[] = {{"ring", 1000, 8, 4000, "at least 5 M/s"}, {"torus", 10000, 1, 100, "at most 0.3 s"}};

/* The largest |component| of Σ_i (x_i + x̃_i). */
static double sum_of(const struct gossip *gossip, const struct row *row)
{
    double *x = calloc(3 * row->dimension, sizeof *x), *x_tilde = x + row->dimension, *sum = x_tilde + row->dimension;
    double largest = 0;
    for (int i = 0; i < row->worker_count; i++) {
        gossip_vectors(gossip, i, x, x_tilde);
        for (size_t k = 0; k < row->dimension; k++)
            sum[k] += x[k] + x_tilde[k];
    }
    for (size_t k = 0; k < row->dimension; k++)
        largest = fmax(largest, fabs(sum[k]));
    free(x);
    return largest;
}

static void measure(const struct row *row, const struct graph *graph, const struct gossip_params *params)
{
    double best = INFINITY, drift = 0, meetings = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct gossip *gossip = gossip_create(graph, params, round);
        double start = stopwatch_now();
        gossip_advance(gossip, row->time);
        best = fmin(best, stopwatch_now() - start);
        meetings = (double)gossip_meetings(gossip);
        drift = fmax(drift, sum_of(gossip, row));
        gossip_destroy(gossip);
    }
    printf("%-6s %6d workers, dimension %zu, %-8s %8.3g meetings in %.3f s: %5.1f M/s (goal: %s), drift of the sum "
           "%.1e (at most 1e-9)\n",
           row->name, row->worker_count, row->dimension, params->momentum ? "A2CiD2" : "baseline", meetings, best,
           meetings / best / 1e6, row->goal, drift);
}

int main(void)
{
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        struct graph_params params = {.name = rows[k].name, .worker_count = rows[k].worker_count, .rate = 1};
        struct graph *graph;
        struct spectrum spectrum;
        if (graph_create(&params, &graph) != STATUS_OK || spectrum_compute(graph, &spectrum) != STATUS_OK)
            return 1;
        struct acid_constants constants = acid_constants_from(&spectrum);
        struct gossip_params plain = {.alpha = 0.5, .dimension = rows[k].dimension, .seed = 1};
        struct gossip_params acid = {.momentum = true,
                                     .eta = constants.eta,
                                     .alpha = constants.alpha,
                                     .alpha_tilde = constants.alpha_tilde,
                                     .dimension = rows[k].dimension,
                                     .seed = 1};
        measure(&rows[k], graph, &plain);
        measure(&rows[k], graph, &acid);
        graph_destroy(graph);
    }
    return 0;
}
