/* CPU seconds of the semidefinite program behind the best rates, on one thread, beside what it found: √(χ1χ2) of the
 * uniform rates and of its own, judged by spectrum.h, and the gap to its own lower bound. The complete graph goes
 * through the solver here, though best_rates_find proves its uniform rates in closed form.
 *
 *     best_rates_bench */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/stopwatch.h"
#include "graph/rate_program.h"
#include "graph/spectrum.h"

static const double goal_s = 30, goal_gap = 1e-6;

struct row {
    struct graph_params params;
    enum rate_budget budget;
};

static double judge(const struct graph *graph, const double *rates)
{
    struct spectrum spectrum = {INFINITY, INFINITY};
    return spectrum_from_rates(graph, rates, &spectrum) == STATUS_OK ? sqrt(spectrum.chi1 * spectrum.chi2) : INFINITY;
}

static enum status measure(const struct graph *graph, enum rate_budget budget)
{
    enum status status;
    double *rates = calloc((size_t)graph->edge_count, sizeof *rates), bound = 0;
    double *uniform = calloc((size_t)graph->edge_count, sizeof *uniform);
    double used = rate_budget_used(graph, budget), begin = stopwatch_thread_cpu();
    struct graph_pieces pieces;
    struct spectrum spectrum;
    for (int e = 0; e < graph->edge_count; e++)
        uniform[e] = graph->edges[e].rate / used;
    graph_pieces_find(graph, &pieces);
    TRY_GOTO(rates_evaluate(graph, &spectrum, NULL), release);
    TRY_GOTO(rate_program_solve(graph, &pieces, &spectrum, budget, rates, &bound), release);
    double time_s = stopwatch_thread_cpu() - begin, best = judge(graph, rates), gap = 1 - bound / best;
    printf("%-12s %3d  %-6s %5d %8zu  %7.2f (at most %g)  %9.5f %9.5f  %8.1e (at most %g) %s\n", graph->name,
           graph->worker_count, budget == RATE_BUDGET_TOTAL ? "total" : "worker", graph->edge_count,
           rate_program_unknowns(graph, &pieces), time_s, goal_s, judge(graph, uniform), best, gap, goal_gap,
           fabs(gap) <= goal_gap ? "right" : "WRONG");
    fflush(stdout);
release:
    graph_pieces_release(&pieces);
    free(uniform);
    free(rates);
    return status;
}

int main(void)
{
    static const struct row rows[] = {
        {{.name = "complete", .worker_count = 32, .rate = 1}, RATE_BUDGET_TOTAL},
        {{.name = "complete", .worker_count = 32, .rate = 1}, RATE_BUDGET_WORKER},
        {{.name = "erdos-renyi", .worker_count = 32, .rate = 1, .probability = 0.9, .seed = 1}, RATE_BUDGET_TOTAL},
        {{.name = "erdos-renyi", .worker_count = 32, .rate = 1, .probability = 0.3, .seed = 1}, RATE_BUDGET_WORKER},
        {{.name = "barbell", .worker_count = 32, .rate = 1}, RATE_BUDGET_TOTAL},
        {{.name = "barbell", .worker_count = 32, .rate = 1}, RATE_BUDGET_WORKER},
        {{.name = "grid", .worker_count = 32, .rate = 1}, RATE_BUDGET_TOTAL},
        {{.name = "ring", .worker_count = 48, .rate = 1}, RATE_BUDGET_TOTAL},
        {{.name = "line", .worker_count = 128, .rate = 1}, RATE_BUDGET_TOTAL},
    };
    printf("graph          n  budget edges unknowns  CPU seconds, one core     uniform      best  gap\n");
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        struct graph *graph = NULL;
        TRY(graph_create(&rows[k].params, &graph));
        enum status status = measure(graph, rows[k].budget);
        graph_destroy(graph);
        TRY(status);
    }
    return 0;
}
