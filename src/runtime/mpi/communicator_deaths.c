/* A worker's neighbors may die, and it goes on: found out, buried, the graph mended, the constants set anew.
 *
 * Nobody tells anybody of a death: each worker's MPI does. So survivors learn of it at slightly different times, and
 * for that long have different graphs. That is harmless: a meeting between two of them needs no edge, only that both
 * can be reached, and everybody can. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "base/text.h"
#include "runtime/mpi/communicator_parts.h"

static const double look_every_s = 1e-3;

/* Among the neighbors that can be reached, by ascending id. */
static int place_of(const struct communicator *c, int worker)
{
    const struct graph_neighbor *neighbors = graph_neighbors(c->reach, c->id);
    int first = 0, end = c->degree;
    while (first < end) {
        int middle = first + (end - first) / 2;
        if (neighbors[middle].worker < worker)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

enum status communicator_open_reach(struct communicator *c)
{
    const struct graph *graph = c->params.run->graph;
    const struct graph_params all = {.name = "complete", .worker_count = graph->worker_count};
    enum status status = c->params.job->survives ? graph_create(&all, &c->everybody) : STATUS_OK;
    c->reach = c->everybody != NULL ? c->everybody : graph;
    c->degree = graph_degree(c->reach, c->id);
    c->run_place = memory_zalloc((size_t)c->degree, sizeof c->run_place[0]);
    c->near = memory_zalloc((size_t)c->degree, sizeof c->near[0]);
    c->tick_place = memory_zalloc((size_t)graph->worker_count, sizeof c->tick_place[0]);
    c->dead = memory_zalloc((size_t)graph->worker_count, sizeof c->dead[0]);
    for (int j = 0; j < c->degree; j++)
        c->run_place[j] = -1;
    for (int j = 0; j < graph_degree(graph, c->id); j++) {
        int place = place_of(c, graph_neighbors(graph, c->id)[j].worker);
        c->run_place[place] = j;
        c->tick_place[j] = place;
        c->near[place] = true;
    }
    edge_clock_init(&c->ticks, graph, c->id, c->params.run->seed);
    return status;
}

void communicator_close_reach(struct communicator *c)
{
    edge_clock_release(&c->ticks);
    survivors_release(&c->survivors);
    graph_destroy(c->everybody);
    free(c->run_place);
    free(c->near);
    free(c->tick_place);
    free(c->dead);
}

static void bury(struct communicator *c, int worker)
{
    int j = place_of(c, worker);
    exchange_forget(&c->exchange, worker);
    c->way.ops->bury(c->way.transport, j);
    pairing_bury(&c->pairing, j);
    progress_bury(&c->progress, worker);
    if (c->asked == j)
        c->asked = PAIRING_NOBODY;
    pthread_mutex_lock(&c->counts_mutex);
    c->dead[worker] = true;
    c->dead_count++;
    c->counts.unserved += c->due[j].ticks;
    pthread_mutex_unlock(&c->counts_mutex);
    c->due[j].ticks = 0;
    c->stale[j] = false;
}

/* The clocks and the constants of the graph that is left. */
static void take_graph(struct communicator *c)
{
    const struct survivors *survivors = &c->survivors;
    int vertex = survivors->vertex[c->id];
    const struct graph_neighbor *neighbors = graph_neighbors(survivors->graph, vertex);
    const struct dynamic dynamic = {.eta = survivors->constants.eta,
                                    .alpha = survivors->constants.alpha,
                                    .alpha_tilde = survivors->constants.alpha_tilde};
    double time = worker_clock_time(&c->clock, stopwatch_now());
    edge_clock_release(&c->ticks);
    edge_clock_init_at(&c->ticks, survivors->graph, vertex, c->params.run->seed + (uint64_t)c->dead_count, time);
    memset(c->near, 0, (size_t)c->degree * sizeof c->near[0]);
    for (int j = 0; j < c->ticks.degree; j++) {
        c->tick_place[j] = place_of(c, survivors->worker[neighbors[j].worker]);
        c->near[c->tick_place[j]] = true;
    }
    pthread_mutex_lock(&c->lock);
    worker_retune(c->params.worker, worker_clock_time(&c->clock, stopwatch_now()), &dynamic);
    pthread_mutex_unlock(&c->lock);
}

/* By the lowest of those that are left. */
static void tell(const struct communicator *c, const bool *news)
{
    const struct survivors *survivors = &c->survivors;
    struct text died = {0}, edges = {0};
    int count = 0;
    for (int i = 0; i < c->progress.worker_count; i++)
        count += news[i];
    for (int i = 0; i < c->progress.worker_count; i++)
        if (news[i])
            text_add(&died, "%s%d", died.length > 0 ? ", " : " ", i);
    for (int e = 0; e < survivors->graph->edge_count && survivors->graph->edge_count <= 16; e++)
        text_add(&edges, " %d-%d", survivors->worker[survivors->graph->edges[e].a],
                 survivors->worker[survivors->graph->edges[e].b]);
    log_on_this_rank(LOG_WARNING,
                     "worker%s%s %s died; %d go on: %d edge%s%s%s, chi1 %.4g, chi2 %.4g, eta %.4g, alpha_tilde %.4g",
                     count > 1 ? "s" : "", text_view(&died), count > 1 ? "have" : "has", survivors->graph->worker_count,
                     survivors->graph->edge_count, survivors->graph->edge_count == 1 ? "" : "s",
                     edges.length > 0 ? ":" : "", text_view(&edges), survivors->spectrum.chi1, survivors->spectrum.chi2,
                     survivors->constants.eta, survivors->constants.alpha_tilde);
    if (c->params.cut != NULL && c->dead_count == count)
        log_on_this_rank(LOG_WARNING, "no more states are kept at intervals: parts of the dead would be missing");
    text_release(&died);
    text_release(&edges);
}

bool communicator_look_for_deaths(struct communicator *c, double now_s)
{
    if (!c->params.job->survives || now_s - c->looked_s < look_every_s)
        return false;
    bool *news = memory_zalloc((size_t)c->progress.worker_count, sizeof news[0]), any = false;
    c->looked_s = now_s;
    job_look_for_dead(c->params.job, news);
    for (int i = 0; i < c->progress.worker_count; i++) {
        news[i] &= !c->dead[i] && i != c->id;
        if (news[i])
            bury(c, i);
        any |= news[i];
    }
    if (any) {
        enum status status = survivors_find(c->params.run, c->dead, &c->survivors);
        if (c->status == STATUS_OK)
            c->status = status;
        if (status == STATUS_OK)
            take_graph(c);
        if (status == STATUS_OK && c->survivors.vertex[c->id] == 0)
            tell(c, news);
        c->cut_open = false;
        for (int j = 0; j < c->degree; j++)
            c->stale[j] = true;
    }
    free(news);
    return any;
}

bool communicator_quiet(struct communicator *c)
{
    bool told = c->progress.quiet;
    progress_quieten(&c->progress); /* says so in the next round */
    for (int j = 0; j < c->degree; j++)
        told &= !c->stale[j];
    return told && progress_all_quiet(&c->progress);
}

/* --- the compute thread's side --- */

int communicator_deaths(struct communicator *communicator, bool *dead)
{
    pthread_mutex_lock(&communicator->counts_mutex);
    int count = communicator->dead_count;
    if (dead != NULL)
        memcpy(dead, communicator->dead, (size_t)communicator->progress.worker_count * sizeof dead[0]);
    pthread_mutex_unlock(&communicator->counts_mutex);
    return count;
}

enum status communicator_share_progress(struct communicator *communicator)
{
    const struct job *job = communicator->params.job;
    size_t n = (size_t)communicator->progress.worker_count, bytes = n * sizeof communicator->progress.words[0];
    uint64_t *all = memory_zalloc((size_t)job->size * n, sizeof all[0]);
    enum status status = job_gather_bytes(job, "gradients of all", communicator->progress.words, bytes, all);
    for (int rank = 0; rank < job->size && status == STATUS_OK; rank++)
        progress_merge(&communicator->progress, all + (size_t)rank * n);
    free(all);
    return status;
}

uint64_t communicator_gradients(const struct communicator *communicator, int worker)
{
    return progress_gradients(communicator->progress.words[worker]);
}
