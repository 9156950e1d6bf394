/* The whole state of a run: kept, and taken up again.
 *
 * When events happen does not depend on what gradients are: a run that goes on goes through its events once more,
 * without gradients and vectors, and so finds the heap, the clocks, the streams of random numbers and all counts as
 * they were. What then is missing is kept: vectors, sums of losses and distances, and some numbers to be sure that it
 * is the same run. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/memory.h"
#include "runtime/sim/simulation_state.h"

/* The numbers that are kept: of the run, and of each worker. */
struct kept_run {
    uint64_t after_steps; /* the first: with it the run that goes on knows where to stop going through its events */
    uint64_t gradients, workers;
    double now, best_accuracy;
};

struct kept_worker {
    uint64_t steps, dead, correct;
    double time, loss, distance, distance_before;
};

static void walk_run(struct run_state_walk *walk, struct kept_run *kept)
{
    run_state_walk_whole(walk, &kept->after_steps);
    run_state_walk_whole(walk, &kept->gradients);
    run_state_walk_whole(walk, &kept->workers);
    run_state_walk_double(walk, &kept->now);
    run_state_walk_double(walk, &kept->best_accuracy);
}

static void walk_worker(struct run_state_walk *walk, struct kept_worker *kept)
{
    run_state_walk_whole(walk, &kept->steps);
    run_state_walk_whole(walk, &kept->dead);
    run_state_walk_double(walk, &kept->time);
    run_state_walk_whole(walk, &kept->correct);
    run_state_walk_double(walk, &kept->loss);
    run_state_walk_double(walk, &kept->distance);
    run_state_walk_double(walk, &kept->distance_before);
}

static struct kept_run run_as_it_is(const struct simulation *sim)
{
    return (struct kept_run){.after_steps = sim->after_steps,
                             .gradients = sim->gradients,
                             .workers = (uint64_t)sim->count,
                             .now = sim->now,
                             .best_accuracy = sim->best_accuracy};
}

static struct kept_worker worker_as_it_is(const struct sim_worker *w)
{
    const double *time = worker_time(w->worker);
    return (struct kept_worker){.steps = w->steps,
                                .dead = w->dead,
                                .correct = w->since.correct,
                                .time = time != NULL ? *time : 0,
                                .loss = w->since.loss,
                                .distance = w->distance_sum,
                                .distance_before = w->since.distance_sum};
}

void sim_state_snapshot(struct run_state *state, int meeting, int end, float *vector, size_t count)
{
    char name[40];
    snprintf(name, sizeof name, "meeting.%d.%d", meeting, end);
    run_state_add(state, name, vector, count);
}

static void add_vector(struct run_state *state, int worker, const char *which, float *vector, size_t count)
{
    char name[40];
    snprintf(name, sizeof name, "worker.%d.%s", worker, which);
    run_state_add(state, name, vector, count);
}

static void add_worker(const struct simulation *sim, int index, struct run_state *state)
{
    const struct sim_worker *w = &sim->workers[index];
    size_t count = worker_parameter_size(w->worker);
    add_vector(state, index, "x", worker_parameters(w->worker), count);
    add_vector(state, index, "x_tilde", worker_vector(w->worker, "x_tilde"), count);
    add_vector(state, index, "momentum", worker_vector(w->worker, "momentum"), count);
    add_vector(state, index, "point", worker_point(w->worker), count);
    add_vector(state, index, "buffers", worker_buffers(w->worker), worker_buffer_size(w->worker));
}

/* As it is now. */
static struct run_state gather(const struct simulation *sim)
{
    struct run_state state = {.gradients = sim->gradients};
    struct run_state_walk walk = {0};
    struct kept_run run = run_as_it_is(sim);
    walk_run(&walk, &run);
    for (int i = 0; i < sim->count; i++) {
        struct kept_worker worker = worker_as_it_is(&sim->workers[i]);
        walk_worker(&walk, &worker);
        add_worker(sim, i, &state);
    }
    state.numbers = walk.numbers;
    state.number_count = walk.count;
    if (sim->add_vectors != NULL)
        sim->add_vectors(sim->context, &state);
    return state;
}

static enum status keep(struct simulation *sim)
{
    TRY(sim_results(sim));
    struct run_state state = gather(sim);
    const struct runtime_params *run = sim->run;
    state.recorded = run->recorded != NULL ? run->recorded(run->state_context) : 0;
    enum status status = sim->params->save(sim->params->state_context, &state);
    run_state_release(&state);
    return status;
}

/* The course of the run up to here is the one that the state was kept of. */
static enum status compare(const struct simulation *sim, const struct kept_run *kept, const struct kept_worker *workers)
{
    struct kept_run now = run_as_it_is(sim);
    bool same = kept->after_steps == now.after_steps && kept->workers == now.workers &&
                kept->gradients == now.gradients && kept->now == now.now;
    for (int i = 0; i < sim->count && same; i++)
        same = workers[i].steps == sim->workers[i].steps && workers[i].dead == sim->workers[i].dead;
    if (same)
        return STATUS_OK;
    log_error("the kept state is not of this run: its gradient %" PRIu64 " came at %.9g, here gradient %" PRIu64
              " comes at %.9g; settings that decide when events happen have changed (seed, train, graph, "
              "communication, simulate, inject): set them back, or start anew",
              kept->gradients, kept->now, sim->gradients, sim->now);
    return STATUS_DATA;
}

static void take_up_worker(struct sim_worker *w, const struct kept_worker *kept)
{
    double *time = worker_time(w->worker);
    if (time != NULL)
        *time = kept->time;
    w->since.correct = kept->correct;
    w->since.loss = kept->loss;
    w->distance_sum = kept->distance;
    w->since.distance_sum = kept->distance_before;
    worker_resume(w->worker, w->steps);
}

static enum status take_up(struct simulation *sim)
{
    struct run_state state = gather(sim);
    struct kept_worker *workers = memory_zalloc((size_t)sim->count, sizeof workers[0]);
    struct kept_run run = {0};
    enum status status = sim->params->restore(sim->params->state_context, &state);
    if (status == STATUS_OK) {
        struct run_state_walk walk = {.numbers = state.numbers, .count = state.number_count, .takes_up = true};
        walk_run(&walk, &run);
        for (int i = 0; i < sim->count; i++)
            walk_worker(&walk, &workers[i]);
        status = compare(sim, &run, workers);
    }
    if (status == STATUS_OK && sim->run->restored != NULL)
        status = sim->run->restored(sim->run->state_context);
    if (status == STATUS_OK) {
        sim->again = false;
        sim->best_accuracy = run.best_accuracy;
        for (int i = 0; i < sim->count; i++)
            take_up_worker(&sim->workers[i], &workers[i]);
    }
    free(workers);
    run_state_release(&state);
    return status;
}

static void report_workers(const struct simulation *sim)
{
    for (int i = 0; i < sim->count; i++)
        log_info("worker %d: %" PRIu64 " gradients (%" PRIu64 " of %" PRIu64 " by all), %" PRIu64 " meetings, %" PRIu64
                 " due%s",
                 i, sim->workers[i].steps, sim->gradients, sim->run->gradient_total, sim->workers[i].exchanges,
                 sim->workers[i].pending, sim->workers[i].dead ? ", dead" : "");
}

enum status sim_state_after_step(struct simulation *sim)
{
    const struct simulation_params *p = sim->params;
    sim->after_steps++;
    bool due = sim_due(sim, sim->run->state_every_epochs, &sim->next_state);
    bool last = sim->run->state_every_epochs > 0 && sim_finished(sim) && !sim->kept_last;
    sim->kept_last |= last;
    if (interrupt_take_report())
        report_workers(sim);
    if (sim->again)
        return sim->after_steps == p->resume_after ? take_up(sim) : STATUS_OK;
    if (p->stop != NULL && *p->stop != 0 && !sim_finished(sim)) {
        TRY(keep(sim));
        return STATUS_REQUEUE;
    }
    if (due || last)
        (void)keep(sim);
    return STATUS_OK;
}
