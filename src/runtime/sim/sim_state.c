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

/* Places of the numbers; doubles by their bits. */
enum { OF_AFTER_STEPS, OF_GRADIENTS, OF_WORKERS, OF_NOW, OF_BEST, NUMBERS };
enum { OF_STEPS, OF_DEAD, OF_TIME, OF_CORRECT, OF_LOSS, OF_DISTANCE, OF_DISTANCE_BEFORE, NUMBERS_OF_WORKER };

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
    int64_t *numbers = state->numbers + NUMBERS + (size_t)index * NUMBERS_OF_WORKER;
    const double *time = worker_time(w->worker);
    numbers[OF_STEPS] = (int64_t)w->steps;
    numbers[OF_DEAD] = w->dead;
    numbers[OF_TIME] = run_state_bits(time != NULL ? *time : 0);
    numbers[OF_CORRECT] = (int64_t)w->since.correct;
    numbers[OF_LOSS] = run_state_bits(w->since.loss);
    numbers[OF_DISTANCE] = run_state_bits(w->distance_sum);
    numbers[OF_DISTANCE_BEFORE] = run_state_bits(w->since.distance_sum);
}

/* As it is now. */
static struct run_state gather(const struct simulation *sim)
{
    struct run_state state = {.number_count = NUMBERS + (size_t)sim->count * NUMBERS_OF_WORKER,
                              .gradients = sim->gradients};
    state.numbers = memory_zalloc(state.number_count, sizeof state.numbers[0]);
    state.numbers[OF_AFTER_STEPS] = (int64_t)sim->after_steps;
    state.numbers[OF_GRADIENTS] = (int64_t)sim->gradients;
    state.numbers[OF_WORKERS] = sim->count;
    state.numbers[OF_NOW] = run_state_bits(sim->now);
    state.numbers[OF_BEST] = run_state_bits(sim->best_accuracy);
    for (int i = 0; i < sim->count; i++)
        add_worker(sim, i, &state);
    if (sim->add_vectors != NULL)
        sim->add_vectors(sim->add_context, &state);
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
static enum status compare(const struct simulation *sim, const struct run_state *now, const int64_t *kept)
{
    bool same = kept[OF_AFTER_STEPS] == now->numbers[OF_AFTER_STEPS] && kept[OF_WORKERS] == sim->count &&
                kept[OF_GRADIENTS] == now->numbers[OF_GRADIENTS] && kept[OF_NOW] == now->numbers[OF_NOW];
    for (int i = 0; i < sim->count && same; i++) {
        size_t at = NUMBERS + (size_t)i * NUMBERS_OF_WORKER;
        same = kept[at + OF_STEPS] == now->numbers[at + OF_STEPS] && kept[at + OF_DEAD] == now->numbers[at + OF_DEAD];
    }
    if (same)
        return STATUS_OK;
    log_error("the kept state is not of this run: its gradient %" PRId64 " came at %.9g, here gradient %" PRIu64
              " comes at %.9g; settings that decide when events happen have changed (seed, train, graph, "
              "communication, simulate, inject): set them back, or start anew",
              kept[OF_GRADIENTS], run_state_double(kept[OF_NOW]), sim->gradients, sim->now);
    return STATUS_DATA;
}

static void take_up_worker(struct simulation *sim, int index, const int64_t *numbers)
{
    struct sim_worker *w = &sim->workers[index];
    double *time = worker_time(w->worker);
    if (time != NULL)
        *time = run_state_double(numbers[OF_TIME]);
    w->since.correct = (size_t)numbers[OF_CORRECT];
    w->since.loss = run_state_double(numbers[OF_LOSS]);
    w->distance_sum = run_state_double(numbers[OF_DISTANCE]);
    w->since.distance_sum = run_state_double(numbers[OF_DISTANCE_BEFORE]);
    worker_resume(w->worker, w->steps);
}

static enum status take_up(struct simulation *sim)
{
    struct run_state now = gather(sim), kept = now;
    kept.numbers = memory_zalloc(now.number_count, sizeof kept.numbers[0]);
    enum status status = sim->params->restore(sim->params->state_context, &kept);
    if (status == STATUS_OK)
        status = compare(sim, &now, kept.numbers);
    if (status == STATUS_OK) {
        sim->again = false;
        sim->best_accuracy = run_state_double(kept.numbers[OF_BEST]);
        for (int i = 0; i < sim->count; i++)
            take_up_worker(sim, i, kept.numbers + NUMBERS + (size_t)i * NUMBERS_OF_WORKER);
    }
    free(kept.numbers);
    run_state_release(&now);
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
    if (interrupt_take_report())
        report_workers(sim);
    if (sim->again)
        return sim->after_steps == p->resume_after ? take_up(sim) : STATUS_OK;
    if (p->stop != NULL && *p->stop != 0 && !sim_finished(sim)) {
        TRY(keep(sim));
        return STATUS_REQUEUE;
    }
    if (due)
        (void)keep(sim);
    return STATUS_OK;
}
