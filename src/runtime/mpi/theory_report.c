/* One worker's reports beside theory. Peers' own times are their gradients as known here, a few behind at most. */
#include "runtime/mpi/theory_report.h"

#include <stdlib.h>

#include "base/memory.h"
#include "runtime/mpi/survivors.h"
#include "runtime/theory.h"

struct theory_report {
    const struct runtime_params *params; /* borrowed */
    const struct graph *graph;           /* borrowed: the run's */
    struct theory *theory;               /* owned: of the graph as it is now */
    struct survivors survivors;          /* all zero before the first death */
    bool *dead;                          /* owned (worker_count) */
    int dead_count, worker, degree;
    uint64_t *meetings;                      /* owned (edge_count): of its own edges; of all at the end */
    double *own_time;                        /* owned (worker_count): likewise */
    struct communicator_neighbor *neighbors; /* owned (degree) */
    struct neighbor_meetings *met;           /* owned (degree) */
};

/* A worker's own time counts its gradients. */
static struct theory *theory_of(const struct graph *graph, const struct mixing_params *params)
{
    struct mixing_params mixing = *params;
    mixing.poisson = false;
    return theory_create(graph, &mixing);
}

struct theory_report *theory_report_create(const struct runtime_params *params, int worker)
{
    struct theory_report *self = memory_zalloc(1, sizeof *self);
    const struct graph *graph = params->graph;
    self->params = params;
    self->graph = graph;
    self->theory = theory_of(graph, &params->mixing);
    self->dead = memory_zalloc((size_t)graph->worker_count, sizeof self->dead[0]);
    self->worker = worker;
    self->degree = graph_degree(graph, worker);
    self->meetings = memory_zalloc((size_t)graph->edge_count, sizeof self->meetings[0]);
    self->own_time = memory_zalloc((size_t)graph->worker_count, sizeof self->own_time[0]);
    self->neighbors = memory_zalloc((size_t)self->degree, sizeof self->neighbors[0]);
    self->met = memory_zalloc((size_t)self->degree, sizeof self->met[0]);
    return self;
}

void theory_report_destroy(struct theory_report *theory)
{
    if (theory == NULL)
        return;
    theory_destroy(theory->theory);
    survivors_release(&theory->survivors);
    free(theory->dead);
    free(theory->meetings);
    free(theory->own_time);
    free(theory->neighbors);
    free(theory->met);
    free(theory);
}

static void look_at_neighbors(struct theory_report *self, struct communicator *communicator)
{
    const struct graph_neighbor *edges = graph_neighbors(self->graph, self->worker);
    communicator_neighbors(communicator, self->neighbors);
    for (int j = 0; j < self->degree; j++) {
        const struct communicator_neighbor *neighbor = &self->neighbors[j];
        self->met[j] = (struct neighbor_meetings){.worker = edges[j].worker, .count = neighbor->meetings};
        self->meetings[edges[j].edge] = neighbor->meetings;
        self->own_time[edges[j].worker] = (double)neighbor->gradients;
    }
}

/* From the first death on the promises are those of the graph that is left, and of its constants. */
static void look_for_deaths(struct theory_report *self, struct communicator *communicator)
{
    int dead_count = communicator_deaths(communicator, self->dead);
    if (dead_count == self->dead_count)
        return;
    self->dead_count = dead_count;
    if (survivors_find(self->params, self->dead, &self->survivors) != STATUS_OK)
        return; /* the communicator ends the run */
    struct mixing_params mixing = self->params->mixing;
    mixing.eta = self->survivors.constants.eta;
    mixing.alpha = self->survivors.constants.alpha;
    mixing.alpha_tilde = self->survivors.constants.alpha_tilde;
    theory_destroy(self->theory);
    self->theory = theory_of(self->survivors.graph, &mixing);
}

void theory_report_fill(struct theory_report *theory, struct communicator *communicator, double update_square,
                        struct step_report *report)
{
    double t = (double)report->step;
    look_for_deaths(theory, communicator);
    look_at_neighbors(theory, communicator);
    theory->own_time[theory->worker] = t;
    report->consensus_estimated = theory_consensus_of_pairs(theory->theory, report->pair_distance);
    report->consensus_predicted = theory_consensus(theory->theory, update_square);
    report->met = theory->met;
    report->met_count = (size_t)theory->degree;
    if (theory->dead_count == 0) /* else edges have had other rates for a part of their time */
        theory_watch_edges(theory->theory, theory->worker, theory->meetings, theory->own_time);
    theory_watch_consensus(theory->theory, t, report->consensus_estimated, update_square);
}

double theory_report_predicted(const struct theory_report *theory, double update_square)
{
    return theory_consensus(theory->theory, update_square);
}

void theory_report_result(struct theory_report *theory, struct runtime_result *result)
{
    const struct graph *graph = theory->graph;
    if (result->meetings == NULL || result->died != NULL) /* the graph has changed: its rates hold for no whole run */
        return;
    for (int e = 0; e < graph->edge_count; e++) {
        size_t row = (size_t)graph->edges[e].a, n = (size_t)graph->worker_count;
        theory->meetings[e] = result->meetings[row * n + (size_t)graph->edges[e].b];
    }
    for (int i = 0; i < graph->worker_count; i++)
        theory->own_time[i] = (double)result->gradients_per_worker[i];
    struct spectrum realised = theory_realised(theory->theory, theory->meetings, theory->own_time);
    result->chi1_realised = realised.chi1;
    result->chi2_realised = realised.chi2;
}
