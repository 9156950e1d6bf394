/* The state of a real worker's process, kept when all have been asked to leave, and taken up by the next one. */
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "runtime/mpi/trainer.h"

struct books trainer_books(const struct trainer *trainer)
{
    double now_s = stopwatch_now() - trainer->origin_s;
    struct books books = trainer->books;
    books.before_s = now_s;
    books.since.begin_s = now_s - books.since.begin_s;
    return books;
}

void trainer_publish(struct trainer *trainer)
{
    if (trainer->cut == NULL)
        return;
    struct books books = trainer_books(trainer);
    state_cut_publish(trainer->cut, &books);
}

void trainer_publish_locked(struct trainer *trainer)
{
    if (trainer->communicator != NULL)
        communicator_lock(trainer->communicator);
    trainer_publish(trainer);
    if (trainer->communicator != NULL)
        communicator_unlock(trainer->communicator);
}

enum status trainer_open_cut(struct trainer *trainer, uint64_t gradients)
{
    enum status status = state_cut_create(trainer->params, trainer->worker, &trainer->cut);
    TRY(job_agree(trainer->job, "memory for states", status));
    if (trainer->cut != NULL)
        trainer->cut_number = state_cut_due(trainer->cut, gradients);
    return STATUS_OK;
}

/* Vectors, and the numbers as they are. */
static struct run_state gather(struct trainer *trainer, struct books *books, uint64_t gradients)
{
    struct worker *worker = trainer->worker;
    struct run_state_walk walk = {0};
    struct run_state state = {.gradients = gradients};
    size_t count = worker_parameter_size(worker);
    run_state_add(&state, "x", worker_parameters(worker), count);
    run_state_add(&state, "x_tilde", worker_vector(worker, "x_tilde"), count);
    run_state_add(&state, "momentum", worker_vector(worker, "momentum"), count);
    run_state_add(&state, "buffers", worker_buffers(worker), worker_buffer_size(worker));
    books_walk(&walk, books, worker_time(worker), &trainer->saved);
    state.numbers = walk.numbers;
    state.number_count = walk.count;
    return state;
}

/* What each worker really had done by then is known to itself alone. */
static enum status share_gradients(struct trainer *trainer)
{
    double own = (double)trainer->books.steps;
    double *all = memory_zalloc((size_t)trainer->job->size, sizeof all[0]);
    enum status status = job_gather_doubles(trainer->job, "gradients of all", &own, 1, all);
    for (size_t i = 0; i < trainer->saved.worker_count && status == STATUS_OK; i++)
        trainer->saved.gradients[i] = (uint64_t)all[i];
    free(all);
    return status;
}

static enum status take_up_own(struct trainer *trainer)
{
    const struct runtime_params *params = trainer->params;
    struct books *books = &trainer->books;
    struct run_state state = gather(trainer, books, 0);
    enum status status = params->restore_state(params->state_context, &state);
    if (status == STATUS_OK) {
        struct run_state_walk walk = {.numbers = state.numbers, .count = state.number_count, .takes_up = true};
        books_walk(&walk, books, worker_time(trainer->worker), &trainer->saved);
        trainer->resulted = books->steps;
        trainer->origin_s = trainer->injection.origin_s = stopwatch_now() - books->before_s;
        books->since.begin_s = books->before_s - books->since.begin_s;
        worker_resume(trainer->worker, books->steps);
    }
    run_state_release(&state);
    return status;
}

/* The run's time stands still meanwhile. */
static enum status tell_restored(struct trainer *trainer)
{
    const struct runtime_params *params = trainer->params;
    double begin_s = stopwatch_now();
    if (params->restored != NULL)
        TRY(params->restored(params->state_context));
    double took_s = stopwatch_now() - begin_s;
    trainer->origin_s += took_s;
    trainer->injection.origin_s += took_s;
    return STATUS_OK;
}

enum status trainer_take_up(struct trainer *trainer)
{
    log_hold(true);
    enum status status = job_agree(trainer->job, "kept state", take_up_own(trainer));
    if (status != STATUS_OK && !trainer->job->agreed)
        log_release();
    log_hold(false);
    TRY(status);
    TRY(share_gradients(trainer));
    return tell_restored(trainer);
}

/* Of a run whose meetings are all ended. */
static enum status gather_at_end(struct trainer *trainer, struct run_state *state)
{
    const struct runtime_params *params = trainer->params;
    struct books books = trainer_books(trainer);
    double gradients = (double)books.steps;
    if (trainer->communicator != NULL)
        communicator_save(trainer->communicator, &trainer->saved);
    TRY(job_sum_doubles(trainer->job, "gradients of all", &gradients, 1));
    *state = gather(trainer, &books, params->gradients_before + (uint64_t)gradients);
    state->recorded = params->recorded != NULL ? params->recorded(params->state_context) : 0;
    state_cut_settle(trainer->cut);
    return STATUS_OK;
}

enum status trainer_keep(struct trainer *trainer)
{
    const struct runtime_params *params = trainer->params;
    struct run_state state;
    TRY(gather_at_end(trainer, &state));
    enum status status = params->save_state(params->state_context, &state);
    run_state_release(&state);
    TRY(status);
    return job_agree(trainer->job, "leaving", STATUS_REQUEUE);
}

enum status trainer_keep_last(struct trainer *trainer)
{
    const struct runtime_params *params = trainer->params;
    struct run_state state;
    if (params->state_every_epochs <= 0 || params->keep_state == NULL ||
        trainer->job->size < trainer->job->worker_count)
        return STATUS_OK;
    TRY(gather_at_end(trainer, &state));
    params->keep_state(params->state_context, &state);
    run_state_release(&state);
    return STATUS_OK;
}
