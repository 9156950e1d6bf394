/* From a graph to its best rates: a bound that may prove the rates at hand, else the semidefinite program; then its
 * answer is cleaned, scaled to the budget, and judged by an evaluation that knows nothing of the solver. */
#include "graph/best_rates.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "graph/graph_build.h"
#include "graph/rate_program.h"

/* Relative to the objective. What the solver is asked for, and below what a gain is none. */
static const double solver_tolerance = 1e-9, gain_least = 1e-6;

enum rate_budget rate_budget_from(const char *word)
{
    return strcmp(word, "worker") == 0 ? RATE_BUDGET_WORKER : RATE_BUDGET_TOTAL;
}

double rate_budget_used(const struct graph *graph, enum rate_budget budget)
{
    double total = 0, largest = 0;
    for (int i = 0; i < graph->worker_count; i++) {
        const struct graph_neighbor *neighbors = graph_neighbors(graph, i);
        double sum = 0;
        for (int k = 0; k < graph_degree(graph, i); k++)
            sum += graph->edges[neighbors[k].edge].rate;
        total += sum;
        largest = fmax(largest, sum);
    }
    return budget == RATE_BUDGET_WORKER ? largest : total / graph->worker_count;
}

static void scale_to(struct graph *graph, enum rate_budget budget, double limit)
{
    double used = rate_budget_used(graph, budget);
    for (int e = 0; e < graph->edge_count && used > 0; e++)
        graph->edges[e].rate *= limit / used;
}

static double objective(const struct spectrum *spectrum)
{
    return sqrt(spectrum->chi1 * spectrum->chi2);
}

/* The same workers and edges, with rates of its own: edges are owned. */
static struct graph copy_of(const struct graph *graph)
{
    struct graph copy = *graph;
    copy.edges = memory_zalloc((size_t)graph->edge_count, sizeof *copy.edges);
    if (graph->edge_count > 0)
        memcpy(copy.edges, graph->edges, (size_t)graph->edge_count * sizeof *copy.edges);
    return copy;
}

static bool connects(const struct graph *graph)
{
    struct edge_list list = {0};
    int *part = memory_zalloc((size_t)graph->worker_count, sizeof *part);
    for (int e = 0; e < graph->edge_count; e++)
        if (graph->edges[e].rate > 0)
            edge_list_add(&list, graph->edges[e].a, graph->edges[e].b, 0);
    int parts = edge_list_parts(&list, graph->worker_count, part);
    free(part);
    edge_list_release(&list);
    return parts == 1;
}

/* Rates that are 0 but for the solver's rounding become 0: the highest threshold at which nothing is lost. */
static enum status clean(struct graph *graph, enum rate_budget budget, double limit, struct spectrum *spectrum)
{
    static const double thresholds[] = {1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8};
    double largest = 0, goal = objective(spectrum) * (1 + solver_tolerance);
    for (int e = 0; e < graph->edge_count; e++)
        largest = fmax(largest, graph->edges[e].rate);
    for (size_t k = 0; k < sizeof thresholds / sizeof thresholds[0]; k++) {
        struct graph trial = copy_of(graph);
        struct spectrum found = {INFINITY, INFINITY};
        enum status status = STATUS_OK;
        for (int e = 0; e < trial.edge_count; e++)
            if (trial.edges[e].rate < thresholds[k] * largest)
                trial.edges[e].rate = 0;
        scale_to(&trial, budget, limit);
        if (connects(&trial))
            status = rates_evaluate(&trial, &found, NULL);
        bool good = status == STATUS_OK && objective(&found) <= goal;
        if (good) {
            memcpy(graph->edges, trial.edges, (size_t)graph->edge_count * sizeof *graph->edges);
            *spectrum = found;
        }
        free(trial.edges);
        if (status != STATUS_OK || good)
            return status;
    }
    return STATUS_OK;
}

static enum status report_size(const struct graph *graph, size_t unknowns)
{
    log_error(
        "graph %s: %d workers and %d edges are too many for rates best: at most %d workers and %d unknowns can be "
        "solved, and it has %zu or more; use rates uniform, or a smaller graph",
        graph->name, graph->worker_count, graph->edge_count, BEST_RATES_WORKERS_MAX, BEST_RATES_UNKNOWNS_MAX, unknowns);
    return STATUS_USAGE;
}

static enum status check_size(const struct graph *graph, const struct graph_pieces *pieces)
{
    size_t unknowns = rate_program_unknowns(graph, pieces);
    bool fits = graph->worker_count <= BEST_RATES_WORKERS_MAX && unknowns <= BEST_RATES_UNKNOWNS_MAX;
    return fits ? STATUS_OK : report_size(graph, unknowns);
}

/* `trial` has the uniform rates, and gets the best ones where these gain anything. */
static enum status improve(struct graph *trial, enum rate_budget budget, double limit, struct best_rates *out)
{
    enum status status;
    double *rates = memory_zalloc((size_t)trial->edge_count, sizeof *rates), bound = 0;
    struct graph solved = copy_of(trial);
    struct graph_pieces pieces;
    graph_pieces_find(trial, &pieces);
    TRY_GOTO(check_size(trial, &pieces), release);
    TRY_GOTO(rate_program_solve(trial, &pieces, &out->uniform, budget, rates, &bound), release);
    for (int e = 0; e < solved.edge_count; e++)
        solved.edges[e].rate = rates[e];
    scale_to(&solved, budget, limit);
    TRY_GOTO(rates_evaluate(&solved, &out->best, NULL), release);
    TRY_GOTO(clean(&solved, budget, limit, &out->best), release);
    out->bound = bound / limit;
    out->kept = !(objective(&out->best) < objective(&out->uniform) * (1 - gain_least));
    if (out->kept)
        out->best = out->uniform;
    else
        memcpy(trial->edges, solved.edges, (size_t)trial->edge_count * sizeof *trial->edges);
release:
    graph_pieces_release(&pieces);
    free(solved.edges);
    free(rates);
    return status;
}

/* One or two workers, or rates of 0: χ1 and χ2 are equal, and there is nothing to choose. */
static struct spectrum without_choice(const struct graph *graph)
{
    if (graph->worker_count == 1)
        return (struct spectrum){0};
    double chi = graph->edges[0].rate > 0 ? 0.5 / graph->edges[0].rate : INFINITY;
    return (struct spectrum){.chi1 = chi, .chi2 = chi};
}

static enum status find(struct graph *trial, enum rate_budget budget, double limit, struct best_rates *out)
{
    scale_to(trial, budget, limit);
    out->kept = true;
    if (trial->worker_count <= 2 || trial->edges[0].rate == 0) {
        out->uniform = out->best = without_choice(trial);
        out->bound = objective(&out->best);
        return STATUS_OK;
    }
    if (trial->worker_count > BOUND_WORKERS_MAX)
        return report_size(trial, (size_t)trial->edge_count);
    TRY(rates_evaluate(trial, &out->uniform, &out->bound));
    out->best = out->uniform;
    /* The bound is for their sum: within a budget by worker others may have more, up to half the limit a worker. */
    out->bound *= rate_budget_used(trial, RATE_BUDGET_TOTAL) / limit;
    if (objective(&out->uniform) * (1 - solver_tolerance) <= out->bound)
        return STATUS_OK;
    return improve(trial, budget, limit, out);
}

enum status best_rates_find(struct graph *graph, const struct best_rates_params *params, struct best_rates *out)
{
    assert(params->budget == RATE_BUDGET_TOTAL || params->worker_rate >= 0);
    struct best_rates found = {0};
    struct graph trial = copy_of(graph);
    double limit =
        params->budget == RATE_BUDGET_TOTAL ? rate_budget_used(graph, RATE_BUDGET_TOTAL) : params->worker_rate;
    enum status status = find(&trial, params->budget, limit, &found);
    if (status == STATUS_OK) {
        for (int e = 0; e < graph->edge_count; e++) {
            graph->edges[e] = trial.edges[e];
            found.silent += trial.edges[e].rate == 0;
        }
        *out = found;
    }
    free(trial.edges);
    return status;
}
