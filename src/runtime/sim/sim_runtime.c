/* runtime_sim_run: from the first event to the result. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "runtime/sim/sim_closing.h"
#include "runtime/sim/simulation_state.h"

/* Room for pieces of all x, where x moves between two events: as much as one x, if that is not very short. */
static enum status open_advanced(struct simulation *sim, struct worker *first)
{
    const size_t step = 1024;
    size_t size = worker_parameter_size(first) / (size_t)sim->count / step * step;
    if (worker_vector(first, "x_tilde") == NULL || sim->count == 1)
        return STATUS_OK;
    sim->advanced_size = size > step ? size : step;
    return sim->params->ops->vector_alloc(sim->params->device, (size_t)sim->count * sim->advanced_size, &sim->advanced);
}

static enum status init(struct simulation *sim, struct worker *const *workers)
{
    const struct simulation_params *params = sim->params;
    const struct runtime_params *run = sim->run;
    size_t n = (size_t)sim->count, edges = run->graph != NULL ? (size_t)run->graph->edge_count : 0;
    size_t count = worker_parameter_size(workers[0]);
    sim->workers = memory_zalloc(n, sizeof sim->workers[0]);
    sim->own_times = memory_zalloc(n, sizeof sim->own_times[0]);
    sim->edge_meetings = memory_zalloc(edges, sizeof sim->edge_meetings[0]);
    sim->edge_attempts = memory_zalloc(edges, sizeof sim->edge_attempts[0]);
    sim->copy = memory_alloc_aligned(count * sizeof sim->copy[0]);
    heap_reserve(&sim->heap, 4 * n);
    for (int i = 0; i < sim->count; i++) {
        sim->workers[i].worker = workers[i];
        if (run->graph != NULL)
            edge_clock_init(&sim->workers[i].clock, run->graph, i, run->seed);
    }
    if (run->graph != NULL) {
        struct mixing_params mixing = run->mixing;
        mixing.poisson = params->time == SIMULATED_IDEAL && params->poisson;
        sim->theory = theory_create(run->graph, &mixing);
    }
    TRY(open_advanced(sim, workers[0]));
    return params->optimum != NULL ? params->ops->vector_alloc(params->device, count, &sim->mean) : STATUS_OK;
}

static void release(struct simulation *sim)
{
    for (int i = 0; i < sim->count && sim->run->graph != NULL; i++)
        edge_clock_release(&sim->workers[i].clock);
    theory_destroy(sim->theory);
    heap_release(&sim->heap);
    memory_free_aligned(sim->copy);
    sim->params->ops->vector_free(sim->params->device, sim->mean);
    sim->params->ops->vector_free(sim->params->device, sim->advanced);
    free(sim->edge_attempts);
    free(sim->edge_meetings);
    free(sim->own_times);
    free(sim->workers);
}

static void fill_meetings(const struct simulation *sim, struct runtime_result *out)
{
    const struct graph *graph = sim->run->graph;
    size_t n = (size_t)sim->count;
    for (int e = 0; graph != NULL && out->meetings != NULL && e < graph->edge_count; e++) {
        size_t a = (size_t)graph->edges[e].a, b = (size_t)graph->edges[e].b;
        out->meetings[a * n + b] = out->meetings[b * n + a] = sim->edge_meetings[e];
    }
}

static void fill_result(const struct simulation *sim, struct runtime_result *out)
{
    bool in_seconds = sim->params->time != SIMULATED_IDEAL;
    out->wall_s = sim->end;
    out->gradients = sim->gradients - sim->run->gradients_before;
    out->exchanges = sim->exchanges;
    for (int i = 0; i < sim->count; i++) {
        const struct sim_worker *w = &sim->workers[i];
        out->gradients_per_worker[i] = w->steps;
        out->ticks += w->ticks;
        out->ticks_unserved += w->unserved;
        out->meetings_lost += w->lost;
        out->idle[i] = !sim_has_idle(sim) ? NAN : sim->end > 0 ? w->idle / sim->end : 0;
        out->data_wait[i] = in_seconds ? 0 : NAN;
        out->samples_per_second[i] = !in_seconds    ? NAN
                                     : sim->end > 0 ? (double)(w->steps * worker_batch(w->worker)) / sim->end
                                                    : 0;
    }
    fill_meetings(sim, out);
    if (sim->run->graph != NULL)
        out->transport = sim->params->time == SIMULATED_IDEAL ? "ideal" : "modelled";
    else
        out->transport = sim->count > 1 ? "allreduce" : "none";
}

static enum status run_events(struct simulation *sim)
{
    if (worker_meets(sim->workers[0].worker) == ALGO_MEETS_EVERYONE)
        return sim_run_rounds(sim);
    return sim->params->time == SIMULATED_IDEAL ? sim_run_ideal(sim) : sim_run_modelled(sim);
}

static void report_rest(struct simulation *sim)
{
    for (int i = 0; i < sim->count; i++)
        if (sim->workers[i].since.steps > 0)
            sim_report_step(sim, i);
    sim_report_network(sim);
}

static enum status close_run(struct simulation *sim, struct runtime_result *out)
{
    struct worker **living = memory_zalloc((size_t)sim->count, sizeof living[0]);
    struct sim_closing closing = {.run = sim->run,
                                  .ops = sim->params->ops,
                                  .device = sim->params->device,
                                  .workers = living,
                                  .consensus_distance = sim->end_distance};
    for (int i = 0; i < sim->count; i++)
        if (!sim->workers[i].dead)
            living[closing.count++] = sim->workers[i].worker;
    while (sim->workers[out->first_living].dead)
        out->first_living++;
    double begin_s = stopwatch_now();
    enum status status = sim_closing_average_and_test(&closing, out);
    out->finalisation_s = stopwatch_now() - begin_s;
    free(living);
    TRY(status);
    struct evaluation_report report = {
        .time_s = sim->end,
        .worker = out->first_living,
        .step = sim->workers[out->first_living].steps,
        .global_step = sim->gradients,
        .epoch = (double)sim->gradients / sim->run->gradients_per_epoch,
        .set = "test",
        .loss = evaluation_loss(&out->tested),
        .accuracy = evaluation_accuracy(&out->tested),
        .accuracy_top5 = evaluation_accuracy_top5(&out->tested),
        .count = out->tested.count,
        .averaged = true,
    };
    sim->observer->on_evaluation(sim->observer->context, &report);
    return STATUS_OK;
}

static enum status run_all(struct simulation *sim, struct runtime_result *out)
{
    for (int i = 0; i < sim->count; i++)
        sim_begin(sim, i);
    TRY(run_events(sim));
    if (sim->again) {
        log_error(
            "the kept state is not of this run, which ends before it, after %llu gradients: set the settings back "
            "that have changed (train.epochs), or start anew",
            (unsigned long long)sim->gradients);
        return STATUS_DATA;
    }
    sim->now = sim->end;
    sim->own_time = NULL; /* what it looks at is gone */
    TRY(sim_results(sim));
    report_rest(sim);
    fill_result(sim, out);
    out->consensus_predicted = sim->last.consensus_predicted;
    out->chi1_realised = sim->last.chi1;
    out->chi2_realised = sim->last.chi2;
    if (sim->run->trained != NULL)
        sim->run->trained(sim->run->trained_context);
    return close_run(sim, out);
}

enum status runtime_sim_run(const struct simulation_params *params, struct worker *const *workers, int worker_count,
                            const struct observer *observer, struct runtime_result *out)
{
    assert(worker_count >= 1 && params->scenario != NULL);
    struct simulation sim = {
        .params = params,
        .run = params->run,
        .observer = observer,
        .count = worker_count,
        .next_network = params->run->gradients_before + params->run->log_every * (uint64_t)worker_count,
        .next_evaluation = runtime_first_due(params->run, params->run->eval_every_epochs),
        .next_checkpoint = runtime_first_due(params->run, params->run->checkpoint_every_epochs),
        .next_state = runtime_first_due(params->run, params->run->state_every_epochs),
        .again = params->resume_after > 0,
        .gradients = params->run->gradients_before,
        .best_accuracy = -1,
        .end_distance = NAN,
    };
    enum status status = init(&sim, workers);
    runtime_result_init(out, (size_t)worker_count);
    if (status == STATUS_OK)
        status = run_all(&sim, out);
    release(&sim);
    if (status != STATUS_OK)
        runtime_result_release(out);
    return status;
}

size_t simulation_snapshots_most(const struct simulation_params *params, int worker_count)
{
    if (params->run->graph == NULL || worker_count == 1)
        return 0;
    if (params->time == SIMULATED_IDEAL)
        return 3;
    /* A meeting is open while one of its ends is: a worker holds so many, and an edge one. */
    size_t open = (size_t)worker_count * (size_t)params->run->records, edges = (size_t)params->run->graph->edge_count;
    return 2 * (open < edges ? open : edges) + 1;
}

size_t simulation_snapshots_likely(const struct simulation_params *params, int worker_count, size_t count)
{
    size_t most = simulation_snapshots_most(params, worker_count);
    const struct graph *graph = params->run->graph;
    double mean = 0;
    if (most == 0 || params->time == SIMULATED_IDEAL)
        return most;
    for (int e = 0; e < graph->edge_count; e++) {
        const struct graph_edge *edge = &graph->edges[e];
        struct scenario_link link = scenario_link(params->scenario, edge->a, edge->b);
        double transfer_s = link.latency_s + (double)count * sizeof(float) / link.bytes_per_second;
        mean += edge->rate * (3 * link.latency_s + transfer_s) / params->step_s;
    }
    double peak = 2 * ceil(mean + 4 * sqrt(mean));
    return peak < (double)most ? (size_t)peak : most;
}
