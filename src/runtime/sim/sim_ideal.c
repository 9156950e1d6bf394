/* Ideal time: gradients and meetings are points in time, drawn from Poisson clocks, and happen at once. */
#include <math.h>

#include "base/random.h"
#include "runtime/sim/sim_jobs.h"

enum ideal_event { IDEAL_GRADIENT, IDEAL_TICK };

/* The two snapshots of the meeting under way. */
struct ideal {
    struct simulation *sim;
    float *snapshots[2]; /* owned (parameter_size), device memory */
};

static void schedule_gradient(struct simulation *sim, int worker)
{
    double gap = sim_duration(sim, worker, sim->workers[worker].steps + 1);
    heap_push(&sim->heap, sim->now + gap, IDEAL_GRADIENT, (uint32_t)worker);
}

static void schedule_tick(struct simulation *sim, int worker)
{
    double next = edge_clock_next(&sim->workers[worker].clock);
    if (next < INFINITY)
        heap_push(&sim->heap, next, IDEAL_TICK, (uint32_t)worker);
}

static enum status gradient(struct simulation *sim, int worker)
{
    double progress = sim_progress(sim);
    if (sim->jobs != NULL && !sim->again) {
        TRY(sim_jobs_finish(sim->jobs, worker));
        TRY(sim_jobs_begin(sim->jobs, worker, progress));
        sim_count_update(sim, worker, sim->now, progress);
    } else {
        sim_cast_at(sim, worker);
        TRY(sim_gradient(sim, worker));
        sim_update(sim, worker, sim->now, progress);
    }
    sim_span(sim, worker, LANE_COMPUTE, SPAN_UPDATE, sim->now, sim->now, -1);
    TRY(sim_after_step(sim, worker));
    schedule_gradient(sim, worker);
    return STATUS_OK;
}

/* Both ends of the edge take their snapshots, then apply the difference. */
static enum status meet(struct ideal *ideal, int worker, int neighbor)
{
    struct simulation *sim = ideal->sim;
    struct graph_neighbor other = graph_neighbors(sim->run->graph, worker)[neighbor];
    const int ends[2] = {worker, other.worker};
    uint64_t meeting = ++sim->edge_attempts[other.edge];
    for (int k = 0; k < 2 && sim->jobs != NULL; k++)
        TRY(sim_jobs_finish(sim->jobs, ends[k]));
    for (int k = 0; k < 2; k++)
        sim_snapshot(sim, ends[k], ends[1 - k], meeting, sim->now, ideal->snapshots[k]);
    for (int k = 0; k < 2; k++) {
        sim_apply(sim, ends[k], ends[1 - k], meeting, sim->now, ideal->snapshots[k], ideal->snapshots[1 - k]);
        sim_span(sim, ends[k], LANE_COMMUNICATION, SPAN_APPLY, sim->now, sim->now, ends[1 - k]);
    }
    sim_count_meeting(sim, other.edge);
    return STATUS_OK;
}

static enum status tick(struct ideal *ideal, int worker)
{
    struct simulation *sim = ideal->sim;
    int neighbor;
    if (edge_clock_tick(&sim->workers[worker].clock, sim->now, &neighbor)) {
        sim->workers[worker].ticks++;
        TRY(meet(ideal, worker, neighbor));
    }
    schedule_tick(sim, worker);
    return STATUS_OK;
}

static enum status run_events(struct ideal *ideal)
{
    struct simulation *sim = ideal->sim;
    for (int i = 0; i < sim->count; i++) {
        schedule_gradient(sim, i);
        if (sim->run->graph != NULL)
            schedule_tick(sim, i);
    }
    for (struct heap_event event; !sim_finished(sim) && heap_pop(&sim->heap, &event);) {
        sim->now = event.time;
        if (event.kind == IDEAL_GRADIENT)
            TRY(gradient(sim, (int)event.index));
        else
            TRY(tick(ideal, (int)event.index));
    }
    TRY(sim_results(sim));
    sim_end_training(sim);
    return STATUS_OK;
}

enum status sim_run_ideal(struct simulation *sim)
{
    const struct simulation_params *p = sim->params;
    struct ideal ideal = {.sim = sim};
    size_t count = worker_parameter_size(sim->workers[0].worker);
    enum status status;
    for (int k = 0; k < 2; k++)
        TRY_GOTO(p->ops->vector_alloc(p->device, count, &ideal.snapshots[k]), free_snapshots);
    TRY_GOTO(sim_jobs_create(sim, &sim->jobs), free_snapshots);
    status = run_events(&ideal);
    sim_jobs_destroy(sim->jobs);
    sim->jobs = NULL;
free_snapshots:
    for (int k = 0; k < 2; k++)
        p->ops->vector_free(p->device, ideal.snapshots[k]);
    return status;
}
