/* The state of a real worker's process, kept when all have been asked to leave, and taken up by the next one. */
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "runtime/mpi/trainer.h"

static void walk_counts(struct run_state_walk *walk, struct communicator_saved *saved)
{
    struct communicator_counts *counts = &saved->counts;
    run_state_walk_whole(walk, &counts->exchanges);
    run_state_walk_whole(walk, &counts->ticks);
    run_state_walk_whole(walk, &counts->unserved);
    run_state_walk_whole(walk, &counts->pending);
    run_state_walk_whole(walk, &counts->lost);
    run_state_walk_whole(walk, &counts->given_up);
    run_state_walk_whole(walk, &counts->damaged);
    run_state_walk_whole(walk, &counts->repeated);
    run_state_walk_double(walk, &counts->distance_sum);
    run_state_walk_double(walk, &saved->average_s);
    run_state_walk_double(walk, &saved->time);
    run_state_walk_whole(walk, &saved->steps);
    for (size_t j = 0; j < saved->degree; j++) {
        run_state_walk_whole(walk, &saved->due[j]);
        run_state_walk_whole(walk, &saved->met[j]);
    }
    for (size_t i = 0; i < saved->worker_count; i++) {
        run_state_walk_whole(walk, &saved->meetings[i]);
        run_state_walk_whole(walk, &saved->gradients[i]);
    }
}

/* `since.begin_s` is kept as the time that has passed since. */
static void walk_sums(struct run_state_walk *walk, struct trainer *trainer)
{
    struct since_report *since = &trainer->since;
    run_state_walk_double(walk, &trainer->idle_s);
    run_state_walk_double(walk, &trainer->load_s);
    run_state_walk_double(walk, &trainer->before_s);
    run_state_walk_double(walk, &trainer->update_progress);
    run_state_walk_double(walk, &trainer->next_evaluation);
    run_state_walk_double(walk, &trainer->next_checkpoint);
    run_state_walk_double(walk, &trainer->best_accuracy);
    run_state_walk_double(walk, &since->begin_s);
    run_state_walk_double(walk, &since->loss);
    run_state_walk_double(walk, &since->idle_s);
    run_state_walk_double(walk, &since->load_s);
    run_state_walk_double(walk, &since->distance_sum);
    run_state_walk_whole(walk, &since->steps);
    run_state_walk_whole(walk, &since->correct);
    run_state_walk_whole(walk, &since->exchanges);
}

static void walk_all(struct run_state_walk *walk, struct trainer *trainer)
{
    double *time = worker_time(trainer->worker), no_time = 0;
    run_state_walk_whole(walk, &trainer->steps); /* the first: run_state's reader makes the worker with it */
    run_state_walk_double(walk, time != NULL ? time : &no_time);
    walk_sums(walk, trainer);
    walk_counts(walk, &trainer->saved);
}

/* Vectors, and the numbers as they are. */
static struct run_state gather(struct trainer *trainer, uint64_t gradients)
{
    struct worker *worker = trainer->worker;
    struct run_state_walk walk = {0};
    struct run_state state = {.gradients = gradients};
    size_t count = worker_parameter_size(worker);
    run_state_add(&state, "x", worker_parameters(worker), count);
    run_state_add(&state, "x_tilde", worker_vector(worker, "x_tilde"), count);
    run_state_add(&state, "momentum", worker_vector(worker, "momentum"), count);
    run_state_add(&state, "buffers", worker_buffers(worker), worker_buffer_size(worker));
    walk_all(&walk, trainer);
    state.numbers = walk.numbers;
    state.number_count = walk.count;
    return state;
}

enum status trainer_take_up(struct trainer *trainer)
{
    const struct runtime_params *params = trainer->params;
    struct run_state state = gather(trainer, 0);
    enum status status = params->restore_state(params->state_context, &state);
    if (status == STATUS_OK) {
        struct run_state_walk walk = {.numbers = state.numbers, .count = state.number_count, .takes_up = true};
        walk_all(&walk, trainer);
        trainer->resulted = trainer->steps;
        trainer->origin_s = trainer->injection.origin_s = stopwatch_now() - trainer->before_s;
        trainer->since.begin_s = trainer->before_s - trainer->since.begin_s;
        worker_resume(trainer->worker, trainer->steps);
    }
    run_state_release(&state);
    return status;
}

enum status trainer_keep(struct trainer *trainer)
{
    const struct runtime_params *params = trainer->params;
    double gradients = (double)trainer->steps;
    if (trainer->communicator != NULL)
        communicator_save(trainer->communicator, &trainer->saved);
    trainer->since.begin_s = stopwatch_now() - trainer->origin_s - trainer->since.begin_s;
    TRY(job_sum_doubles(trainer->job, "gradients of all", &gradients, 1));
    struct run_state state = gather(trainer, params->gradients_before + (uint64_t)gradients);
    enum status status = params->save_state(params->state_context, &state);
    run_state_release(&state);
    TRY(status);
    return job_agree(trainer->job, "leaving", STATUS_REQUEUE);
}
