/* Promises of the mathematics, kept beside what a run does. */
#include "runtime/theory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

enum { EDGES_NAMED = 3, REPORTS_IN_A_ROW = 5 };
static const double share_least = 0.5, deviations = 4, distance_factor = 4;

struct theory {
    const struct graph *graph; /* borrowed */
    struct mixing_level level;
    double *rates; /* owned (edge_count): scratch of theory_realised */
    bool warned_of_edges, warned_of_consensus;
    int reports_above; /* in a row */
    double envelope;   /* level that distances are compared with, as of envelope_t */
    double envelope_t;
};

struct theory *theory_create(const struct graph *graph, const struct mixing_params *params)
{
    struct theory *theory = memory_zalloc(1, sizeof *theory);
    theory->graph = graph;
    theory->level = mixing_compute(graph, params);
    theory->rates = memory_zalloc((size_t)graph->edge_count + 1, sizeof theory->rates[0]);
    return theory;
}

void theory_destroy(struct theory *theory)
{
    if (theory == NULL)
        return;
    free(theory->rates);
    free(theory);
}

double theory_consensus(const struct theory *theory, double update_mean_square)
{
    return theory->level.consensus * update_mean_square;
}

double theory_consensus_of_pairs(const struct theory *theory, double pair_distance)
{
    double factor = theory->level.consensus / theory->level.pair;
    return isfinite(factor) ? factor * pair_distance : pair_distance;
}

/* Units of time that an edge has had: the mean of its ends'. */
static double edge_time(const struct graph_edge *edge, const double *own_time)
{
    return (own_time[edge->a] + own_time[edge->b]) / 2;
}

struct spectrum theory_realised(struct theory *theory, const uint64_t *meetings, const double *own_time)
{
    const struct graph *graph = theory->graph;
    struct spectrum spectrum = {.chi1 = NAN, .chi2 = NAN};
    for (int e = 0; e < graph->edge_count; e++) {
        double time = edge_time(&graph->edges[e], own_time);
        if (!(time > 0))
            return spectrum;
        theory->rates[e] = (double)meetings[e] / time;
    }
    if (spectrum_from_rates(graph, theory->rates, &spectrum) != STATUS_OK)
        spectrum = (struct spectrum){.chi1 = NAN, .chi2 = NAN};
    return spectrum;
}

/* An edge that lags, and how much of what was promised it has met. */
struct laggard {
    int edge;
    double share;
};

static bool lags(double met, double wanted)
{
    return met < share_least * wanted && met < wanted - deviations * sqrt(wanted);
}

/* Keep the slowest edges, in ascending order of their shares. */
static void insert_laggard(struct laggard *slowest, int *count, struct laggard laggard)
{
    int place = *count < EDGES_NAMED ? (*count)++ : EDGES_NAMED;
    while (place > 0 && slowest[place - 1].share > laggard.share) {
        if (place < EDGES_NAMED)
            slowest[place] = slowest[place - 1];
        place--;
    }
    if (place < EDGES_NAMED)
        slowest[place] = laggard;
}

static void warn_of_edges(const struct graph *graph, const struct laggard *slowest, int named, int lagging)
{
    struct text text = {0};
    for (int k = 0; k < named; k++) {
        const struct graph_edge *edge = &graph->edges[slowest[k].edge];
        text_add(&text, "%s%d-%d at %.0f %%", k > 0 ? ", " : "", edge->a, edge->b, 100 * slowest[k].share);
    }
    if (lagging > named)
        text_add(&text, " and %d more", lagging - named);
    log_on_this_rank(LOG_WARNING,
                     "edges meet less than half as often as their rates promise: %s; a worker or the network is too "
                     "slow for them: look after it, lower communication.rate, or set communication.enforce_rate",
                     text_view(&text));
    text_release(&text);
}

bool theory_watch_edges(struct theory *theory, int worker, const uint64_t *meetings, const double *own_time)
{
    const struct graph *graph = theory->graph;
    struct laggard slowest[EDGES_NAMED];
    int named = 0, lagging = 0;
    if (theory->warned_of_edges)
        return false;
    for (int e = 0; e < graph->edge_count; e++) {
        const struct graph_edge *edge = &graph->edges[e];
        if (worker >= 0 && edge->a != worker && edge->b != worker)
            continue;
        double met = (double)meetings[e], wanted = edge->rate * edge_time(edge, own_time);
        if (!lags(met, wanted))
            continue;
        lagging++;
        insert_laggard(slowest, &named, (struct laggard){.edge = e, .share = met / wanted});
    }
    if (lagging == 0)
        return false;
    theory->warned_of_edges = true;
    warn_of_edges(graph, slowest, named, lagging);
    return true;
}

bool theory_watch_consensus(struct theory *theory, double t, double consensus_distance, double update_mean_square)
{
    double level = theory_consensus(theory, update_mean_square);
    if (theory->warned_of_consensus || !isfinite(level) || !isfinite(consensus_distance))
        return false;
    double remains = theory->envelope * exp(-theory->level.rate * (t - theory->envelope_t));
    theory->envelope = fmax(level, remains);
    theory->envelope_t = t;
    theory->reports_above = consensus_distance > distance_factor * theory->envelope ? theory->reports_above + 1 : 0;
    if (theory->reports_above < REPORTS_IN_A_ROW)
        return false;
    theory->warned_of_consensus = true;
    log_on_this_rank(LOG_WARNING,
                     "workers are farther apart than their updates explain: consensus distance %.3g, %.0f times the "
                     "%.3g of theory; meetings are late or missing, or the workers' data are unlike: raise "
                     "communication.rate or lower optimizer.lr",
                     consensus_distance, consensus_distance / theory->envelope, theory->envelope);
    return true;
}
