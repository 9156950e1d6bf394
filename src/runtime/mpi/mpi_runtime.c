/* runtime_mpi_run: one worker's compute loop, beside its communication thread, from the first gradient to the result.
 *
 * One loop serves every algorithm: those that meet one peer have a communicator (pair meetings), those that meet
 * everyone a reducer (averaged gradients), a lone worker neither. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "base/thread.h"
#include "runtime/mpi/closing.h"
#include "runtime/mpi/trainer.h"

static double now(const struct trainer *trainer)
{
    return stopwatch_now() - trainer->origin_s;
}

static void span(const struct trainer *trainer, enum span_kind kind, double begin_s)
{
    if (trainer->observer->on_span != NULL)
        trainer->observer->on_span(trainer->observer->context, trainer->job->worker, LANE_COMPUTE, kind, begin_s,
                                   now(trainer), -1);
}

/* Under the worker's lock, where there is another thread that reports. */
static void event(const struct trainer *trainer, enum event_kind kind, uint64_t step, double progress)
{
    const struct observer *observer = trainer->observer;
    if (observer->on_event == NULL)
        return;
    struct event_report report = {
        .kind = kind,
        .worker = trainer->job->worker,
        .peer = -1,
        .step = step,
        .time_s = now(trainer),
        .t = (double)step,
        .progress = progress,
        .learning_rate = worker_learning_rate(trainer->worker, progress),
    };
    observer->on_event(observer->context, &report);
}

/* Gradients of all workers together, as far as this one knows. */
static uint64_t global_steps(const struct trainer *trainer)
{
    uint64_t before = trainer->params->gradients_before;
    if (trainer->communicator == NULL)
        return before + trainer->books.steps * (uint64_t)(trainer->reducer != NULL ? trainer->job->size : 1);
    uint64_t known = communicator_global_steps(trainer->communicator);
    return before + (known > trainer->books.steps ? known : trainer->books.steps);
}

static double progress_of(const struct trainer *trainer)
{
    double progress = (double)global_steps(trainer) / (double)trainer->params->gradient_total;
    return progress < 1 ? progress : 1;
}

static bool finished(const struct trainer *trainer)
{
    if (trainer->communicator != NULL)
        return communicator_stop(trainer->communicator);
    return global_steps(trainer) >= trainer->params->gradient_total;
}

/* Wait for meetings that are due (enforce_rate), then for data. */
static enum status prepare_step(struct trainer *trainer)
{
    injection_pause(&trainer->injection);
    double begin_s = now(trainer);
    if (trainer->communicator != NULL && trainer->params->enforce_rate) {
        communicator_wait_rate(trainer->communicator);
        double waited_s = now(trainer) - begin_s;
        trainer->books.idle_s += waited_s;
        trainer->books.since.idle_s += waited_s;
        if (waited_s > 1e-5)
            span(trainer, SPAN_WAIT, begin_s);
    }
    begin_s = now(trainer);
    TRY(worker_load(trainer->worker));
    double loaded_s = now(trainer) - begin_s;
    trainer->books.load_s += loaded_s;
    trainer->books.since.load_s += loaded_s;
    span(trainer, SPAN_LOAD, begin_s);
    return STATUS_OK;
}

/* Results of all gradients called for but the last `behind`. */
static enum status take_results(struct trainer *trainer, uint64_t called, uint64_t behind)
{
    while (trainer->resulted + behind < called) {
        struct gradient_result result;
        /* Gradient k was computed once the means of gradient k − 1 were there. */
        if (trainer->reducer != NULL && trainer->resulted > 0)
            TRY(reducer_settle(trainer->reducer, (int)(trainer->books.steps - trainer->resulted)));
        TRY(worker_result(trainer->worker, (int)(called - 1 - trainer->resulted), &result));
        trainer->resulted++;
        trainer->finite &= result.finite;
        if (!result.finite)
            continue;
        trainer->books.since.loss += result.loss;
        trainer->books.since.correct += result.correct;
        trainer->books.since.steps++;
    }
    /* What follows asks the device for values. */
    return behind == 0 && trainer->reducer != NULL ? reducer_settle(trainer->reducer, 0) : STATUS_OK;
}

/* A net_ready_fn: a piece of the gradient is final, and goes into the mean. */
static void reduce_piece(void *context, size_t first, size_t count)
{
    struct trainer *trainer = context;
    if (first == 0)
        injection_spoil(&trainer->injection, trainer->worker);
    reducer_ready(trainer->reducer, first, count);
}

static enum status compute_gradient(struct trainer *trainer)
{
    double begin_s = now(trainer);
    enum status status =
        worker_gradient(trainer->worker, trainer->reducer != NULL ? reduce_piece : NULL, trainer, NULL);
    if (status == STATUS_REQUEUE)
        worker_take_statistics_back(trainer->worker); /* whoever goes on makes this gradient again */
    TRY(status);
    if (trainer->reducer == NULL)
        injection_spoil(&trainer->injection, trainer->worker);
    TRY(take_results(trainer, trainer->books.steps + 1, (uint64_t)trainer->run_ahead));
    trainer->paused_s = injection_slow_down(&trainer->injection, begin_s);
    span(trainer, SPAN_COMPUTE, begin_s);
    if (trainer->reducer == NULL)
        return STATUS_OK;
    begin_s = now(trainer);
    TRY(reducer_wait(trainer->reducer));
    double waited_s = now(trainer) - begin_s;
    trainer->books.idle_s += waited_s;
    trainer->books.since.idle_s += waited_s;
    span(trainer, SPAN_WAIT, begin_s);
    return STATUS_OK;
}

/* The gradient event: one fused pass, then the working copy, both under the lock. */
static void apply_gradient(struct trainer *trainer)
{
    double progress = progress_of(trainer), begin_s = now(trainer);
    if (trainer->communicator != NULL) {
        communicator_lock(trainer->communicator);
        communicator_end_step(trainer->communicator, stopwatch_now() - trainer->paused_s);
    }
    if (trainer->finite)
        worker_keep_statistics(trainer->worker);
    else
        worker_take_statistics_back(trainer->worker);
    worker_update(trainer->worker, (double)(trainer->books.steps + 1), progress);
    trainer->books.update_progress = progress;
    event(trainer, EVENT_UPDATE, trainer->books.steps + 1, progress);
    span(trainer, SPAN_UPDATE, begin_s);
    begin_s = now(trainer);
    worker_cast(trainer->worker);
    event(trainer, EVENT_BEGIN, trainer->books.steps + 1, progress);
    trainer->books.steps++;
    trainer_publish(trainer);
    if (trainer->communicator != NULL)
        communicator_unlock(trainer->communicator);
    span(trainer, SPAN_CAST, begin_s);
}

/* Was that gradient sound? */
static enum status judge_gradient(struct trainer *trainer)
{
    bool bad, finite = trainer->finite;
    trainer->finite = true;
    TRY(soundness_judge(&trainer->soundness, trainer->worker, trainer->books.steps, finite,
                        worker_learning_rate(trainer->worker, trainer->books.update_progress), &bad));
    if (bad && trainer->params->on_nan == ON_NAN_REJOIN && trainer->communicator != NULL)
        communicator_rejoin(trainer->communicator);
    return STATUS_OK;
}

static struct communicator_counts counts_of(const struct trainer *trainer)
{
    return trainer->communicator != NULL ? communicator_counts(trainer->communicator) : (struct communicator_counts){0};
}

static void report_step(struct trainer *trainer)
{
    struct since_report *since = &trainer->books.since;
    struct communicator_counts counts = counts_of(trainer);
    double time_s = now(trainer), span_s = time_s - since->begin_s;
    size_t batch = worker_batch(trainer->worker);
    uint64_t exchanges = counts.exchanges - since->exchanges, global = global_steps(trainer);
    struct step_report report = {
        .worker = trainer->job->worker,
        .time_s = time_s,
        .step = trainer->books.steps,
        .global_step = global,
        .samples = trainer->books.steps * batch,
        .progress = progress_of(trainer),
        .epoch = (double)global / trainer->params->gradients_per_epoch,
        .loss = since->loss / (double)since->steps,
        .accuracy = (double)since->correct / (double)(since->steps * batch),
        .learning_rate = worker_learning_rate(trainer->worker, progress_of(trainer)),
        .samples_per_second = (double)(since->steps * batch) / span_s,
        .exchanges = counts.exchanges,
        .pair_distance = exchanges > 0 ? (counts.distance_sum - since->distance_sum) / (double)exchanges : NAN,
        .consensus_estimated = NAN,
        .consensus_predicted = NAN,
        .idle = since->idle_s / span_s,
        .data_wait = since->load_s / span_s,
        .pending = counts.pending,
    };
    if (trainer->theory != NULL)
        theory_report_fill(trainer->theory, trainer->communicator,
                           worker_update_square(trainer->worker, trainer->books.update_progress), &report);
    trainer->observer->on_step(trainer->observer->context, &report);
    *since =
        (struct since_report){.begin_s = time_s, .distance_sum = counts.distance_sum, .exchanges = counts.exchanges};
}

static void report_evaluation(struct trainer *trainer, const char *set, const struct evaluation *result, bool averaged)
{
    struct evaluation_report report = {
        .worker = trainer->job->worker,
        .time_s = now(trainer),
        .step = trainer->books.steps,
        .global_step = global_steps(trainer),
        .epoch = (double)global_steps(trainer) / trainer->params->gradients_per_epoch,
        .set = set,
        .loss = evaluation_loss(result),
        .accuracy = evaluation_accuracy(result),
        .accuracy_top5 = evaluation_accuracy_top5(result),
        .count = result->count,
        .averaged = averaged,
    };
    trainer->observer->on_evaluation(trainer->observer->context, &report);
}

/* Hand a copy of the replica to the checkpoint function. */
static void save(struct trainer *trainer, bool best, double epoch)
{
    if (trainer->params->checkpoint == NULL)
        return;
    double begin_s = now(trainer);
    const struct device_ops *ops = worker_device_ops(trainer->worker);
    struct device *device = worker_device(trainer->worker);
    size_t count = worker_parameter_size(trainer->worker), buffer_count = worker_buffer_size(trainer->worker);
    float *copy = memory_alloc_aligned(count * sizeof copy[0]);
    float *buffers = memory_zalloc(buffer_count + 1, sizeof buffers[0]);
    if (trainer->communicator != NULL)
        communicator_lock(trainer->communicator);
    ops->vector_read(device, worker_parameters(trainer->worker), count, copy);
    if (trainer->communicator != NULL)
        communicator_unlock(trainer->communicator);
    ops->vector_read(device, worker_buffers(trainer->worker), buffer_count, buffers);
    trainer->params->checkpoint(trainer->params->checkpoint_context, best, epoch, copy, buffers);
    free(buffers);
    memory_free_aligned(copy);
    span(trainer, SPAN_CHECKPOINT, begin_s);
}

/* What is tested is x as it is now, where tests have a network of their own. */
static void cast_test(struct trainer *trainer)
{
    if (trainer->communicator != NULL)
        communicator_lock(trainer->communicator);
    worker_cast_test(trainer->worker);
    if (trainer->communicator != NULL)
        communicator_unlock(trainer->communicator);
}

/* Test this worker's own replica: its share of the test set, and all held-out pictures. */
static enum status evaluate(struct trainer *trainer, double epoch)
{
    double begin_s = now(trainer);
    struct evaluation result;
    TRY(take_results(trainer, trainer->books.steps, 0));
    cast_test(trainer);
    TRY(worker_evaluate(trainer->worker, false, trainer->job->worker, trainer->job->worker_count, &result));
    span(trainer, SPAN_EVALUATE, begin_s);
    report_evaluation(trainer, "test", &result, false);
    if (!trainer->params->validation)
        return STATUS_OK;
    begin_s = now(trainer);
    TRY(worker_evaluate(trainer->worker, true, 0, 1, &result));
    span(trainer, SPAN_EVALUATE, begin_s);
    report_evaluation(trainer, "validation", &result, false);
    double accuracy = evaluation_accuracy(&result);
    if (accuracy > trainer->books.best_accuracy) {
        trainer->books.best_accuracy = accuracy;
        save(trainer, true, epoch);
    }
    return STATUS_OK;
}

/* What is due at certain epochs: time stands still for the algorithm meanwhile. */
static enum status look_at_epoch(struct trainer *trainer)
{
    const struct runtime_params *params = trainer->params;
    double epoch = (double)global_steps(trainer) / params->gradients_per_epoch;
    if (params->eval_every_epochs > 0 && epoch >= trainer->books.next_evaluation && !finished(trainer)) {
        TRY(evaluate(trainer, epoch)); /* one that is broken off comes again */
        trainer->books.next_evaluation = runtime_next_due(params->eval_every_epochs, epoch);
    }
    if (params->checkpoint_every_epochs > 0 && epoch >= trainer->books.next_checkpoint && !finished(trainer)) {
        trainer->books.next_checkpoint = runtime_next_due(params->checkpoint_every_epochs, epoch);
        save(trainer, false, epoch);
    }
    return STATUS_OK;
}

/* Without a communicator, whose thread else does it: all ranks are between the same two gradients. */
static enum status look_whether_cut_is_due(struct trainer *trainer)
{
    if (trainer->cut == NULL || trainer->communicator != NULL || finished(trainer))
        return STATUS_OK;
    uint64_t due = state_cut_due(trainer->cut, global_steps(trainer));
    if (due <= trainer->cut_number)
        return STATUS_OK;
    double begin_s = now(trainer);
    trainer->cut_number = due;
    TRY(take_results(trainer, trainer->books.steps, 0));
    trainer_publish_locked(trainer);
    if (state_cut_take(trainer->cut, due))
        state_cut_complete(trainer->cut, &trainer->saved);
    span(trainer, SPAN_CHECKPOINT, begin_s);
    return STATUS_OK;
}

/* Asked to leave: with a communicator its thread finds out, and all-reduces agree on it. */
static enum status look_whether_leaving(struct trainer *trainer, bool *leaves)
{
    const atomic_int *asked = trainer->params->leave;
    *leaves = asked != NULL && *asked != 0 && trainer->communicator == NULL;
    if (asked == NULL || trainer->reducer == NULL)
        return STATUS_OK;
    /* A device that runs ahead would wait for the host at each: every few steps will do. */
    uint64_t every = trainer->run_ahead > 0 ? 8 : 1;
    double sum = *leaves;
    *leaves = false;
    if (trainer->books.steps % every != 0)
        return STATUS_OK;
    TRY(job_sum_doubles(trainer->job, "leaving", &sum, 1)); /* the reducer's thread is idle */
    *leaves = sum > 0;
    return STATUS_OK;
}

static void report_state(const struct trainer *trainer)
{
    struct communicator_counts counts = counts_of(trainer);
    log_on_this_rank(
        LOG_INFO, "worker %d: %llu gradients (%llu of %llu by all), %llu meetings, %llu due, %.1f s waited for others",
        trainer->job->worker, (unsigned long long)trainer->books.steps, (unsigned long long)global_steps(trainer),
        (unsigned long long)trainer->params->gradient_total, (unsigned long long)counts.exchanges,
        (unsigned long long)counts.pending, trainer->books.idle_s);
}

static enum status train(struct trainer *trainer)
{
    while (!finished(trainer)) {
        bool leaves;
        if (interrupt_take_report())
            report_state(trainer);
        TRY(look_whether_leaving(trainer, &leaves));
        if (leaves)
            return STATUS_REQUEUE;
        TRY(prepare_step(trainer));
        if (trainer->communicator != NULL)
            communicator_begin_step(trainer->communicator, stopwatch_now());
        TRY(compute_gradient(trainer));
        apply_gradient(trainer);
        TRY(judge_gradient(trainer));
        if (trainer->params->log_every > 0 && trainer->books.steps % trainer->params->log_every == 0) {
            TRY(take_results(trainer, trainer->books.steps, 0));
            report_step(trainer);
        }
        TRY(look_at_epoch(trainer));
        trainer_publish_locked(trainer);
        TRY(look_whether_cut_is_due(trainer));
    }
    TRY(take_results(trainer, trainer->books.steps, 0));
    return judge_gradient(trainer);
}

/* No more gradients here. x stands at this worker's own time, to which also what is applied between two is advanced. */
static void end_gradients(struct trainer *trainer)
{
    communicator_lock(trainer->communicator);
    trainer_copy_x(trainer);
    event(trainer, EVENT_DONE, trainer->books.steps, progress_of(trainer));
    communicator_unlock(trainer->communicator);
}

/* Until the run's gradients are done, or it is left; *left: the latter, on all ranks. */
static enum status train_and_close(struct trainer *trainer, bool *left)
{
    interrupt_arm(trainer->params->leave != NULL);
    enum status status = train(trainer);
    interrupt_arm(false);
    *left = status == STATUS_REQUEUE;
    if (*left)
        status = take_results(trainer, trainer->books.steps, 0);
    else if (status == STATUS_OK && trainer->communicator != NULL)
        end_gradients(trainer);
    if (trainer->communicator != NULL && status == STATUS_OK) {
        status = communicator_finish(trainer->communicator);
        *left = communicator_left(trainer->communicator);
    }
    if (status == STATUS_OK && !*left && trainer->books.since.steps > 0)
        report_step(trainer);
    return status;
}

static enum status open_communication(struct trainer *trainer)
{
    enum algo_meeting meets = worker_meets(trainer->worker);
    if (trainer->job->size == 1)
        return STATUS_OK;
    if (meets == ALGO_MEETS_EVERYONE) {
        struct reducer_params params = {
            .job = trainer->job,
            .ops = worker_device_ops(trainer->worker),
            .device = worker_device(trainer->worker),
            .gradient = worker_gradient_vector(trainer->worker),
            .count = worker_parameter_size(trainer->worker),
            .bucket_bytes = trainer->params->bucket_bytes,
            .ordered = trainer->observer->on_event != NULL,
            .observer = trainer->observer,
            .origin_s = trainer->origin_s,
        };
        return reducer_create(&params, &trainer->reducer);
    }
    assert(meets == ALGO_MEETS_ONE);
    struct communicator_params params = {
        .run = trainer->params,
        .job = trainer->job,
        .worker = trainer->worker,
        .observer = trainer->observer,
        .cut = trainer->cut,
        .origin_s = trainer->origin_s,
    };
    TRY(communicator_create(&params, &trainer->communicator));
    if (trainer->params->restore_state != NULL)
        communicator_resume(trainer->communicator, &trainer->saved);
    trainer->theory = theory_report_create(trainer->params, trainer->job->worker);
    return communicator_start(trainer->communicator);
}

/* Where both threads of all ranks do not have a core each, the communication thread must not queue behind gradients: a
 * meeting that waits for a time slice holds up two workers. The compute thread steps back a little. */
static void make_way(const struct trainer *trainer)
{
    const int nice_of_compute = 10;
    if (2L * trainer->job->local_size > sysconf(_SC_NPROCESSORS_ONLN))
        thread_set_nice(nice_of_compute);
}

/* The end of a run, of all that are left. */
struct ending {
    struct trainer *trainer;
    struct runtime_result *out;
    double training_s;
    bool left;
    float *x, *buffers; /* owned, host memory: the replica as training has left it; NULL where no rank may die */
};

static void keep_replica(struct ending *ending)
{
    struct worker *worker = ending->trainer->worker;
    const struct device_ops *ops = worker_device_ops(worker);
    size_t count = worker_parameter_size(worker), buffer_count = worker_buffer_size(worker);
    ending->x = memory_alloc_aligned(count * sizeof ending->x[0]);
    ending->buffers = memory_zalloc(buffer_count + 1, sizeof ending->buffers[0]);
    ops->vector_read(worker_device(worker), worker_parameters(worker), count, ending->x);
    ops->vector_read(worker_device(worker), worker_buffers(worker), buffer_count, ending->buffers);
}

static void take_replica_back(const struct ending *ending)
{
    struct worker *worker = ending->trainer->worker;
    const struct device_ops *ops = worker_device_ops(worker);
    ops->vector_write(worker_device(worker), worker_parameters(worker), worker_parameter_size(worker), ending->x);
    ops->vector_write(worker_device(worker), worker_buffers(worker), worker_buffer_size(worker), ending->buffers);
}

/* A step of job_survive: whoever dies in it is missing in the next one. */
static enum status close_run(void *context)
{
    struct ending *ending = context;
    struct trainer *trainer = ending->trainer;
    struct runtime_result *out = ending->out;
    if (ending->x != NULL)
        take_replica_back(ending);
    if (trainer->communicator != NULL && trainer->job->size < trainer->job->worker_count) {
        TRY(communicator_share_progress(trainer->communicator));
        ending->left = communicator_left(trainer->communicator);
    }
    if (ending->left)
        return trainer_keep(trainer);
    TRY(trainer_keep_last(trainer));
    runtime_result_release(out);
    runtime_result_init(out, (size_t)trainer->job->worker_count);
    TRY(trainer_gather(trainer, ending->training_s, out));
    double begin_s = stopwatch_now();
    TRY(closing_average_and_test(trainer->params, trainer->job, trainer->worker, trainer->last, out));
    out->finalisation_s = stopwatch_now() - begin_s;
    return STATUS_OK;
}

static enum status end_run(struct trainer *trainer, double training_s, bool left, struct runtime_result *out)
{
    struct ending ending = {.trainer = trainer, .out = out, .training_s = training_s, .left = left};
    if (trainer->job->survives)
        keep_replica(&ending);
    enum status status = job_survive(trainer->job, close_run, &ending);
    memory_free_aligned(ending.x);
    free(ending.buffers);
    return status;
}

static enum status run_all(struct trainer *trainer, struct runtime_result *out)
{
    TRY(job_barrier(trainer->job, "start of training"));
    if (trainer->params->restore_state != NULL)
        TRY(trainer_take_up(trainer));
    event(trainer, EVENT_BEGIN, 0, 0); /* the worker was made with its working copy */
    TRY(trainer_open_cut(trainer, global_steps(trainer)));
    TRY(open_communication(trainer));
    make_way(trainer);
    /* Where others meet this worker, its updates happen when its gradients are really done: what is due between two of
     * them must not queue behind gradients that have been called for. And whoever goes on after a gradient that is not
     * finite has its statistics to take back before the next. */
    bool ahead = trainer->communicator == NULL && trainer->params->on_nan == ON_NAN_STOP;
    trainer->run_ahead = ahead ? worker_run_ahead(trainer->worker) : 0;
    trainer->begin_s = now(trainer) - trainer->books.before_s;
    bool left;
    if (trainer->params->restore_state == NULL)
        trainer->books.since.begin_s = trainer->begin_s;
    trainer_publish_locked(trainer);
    enum status status = train_and_close(trainer, &left);
    double training_s = now(trainer) - trainer->begin_s;
    TRY(status);
    state_cut_settle(trainer->cut);
    if (!left && trainer->params->trained != NULL)
        trainer->params->trained(trainer->params->trained_context);
    TRY(end_run(trainer, training_s, left, out));
    if (trainer->job->rank == 0)
        report_evaluation(trainer, "test", &out->tested, true);
    return STATUS_OK;
}

enum status runtime_mpi_run(const struct runtime_params *params, struct job *job, struct worker *worker,
                            const struct observer *observer, struct runtime_result *out)
{
    struct trainer trainer = {
        .params = params,
        .job = job,
        .worker = worker,
        .observer = observer,
        .origin_s = stopwatch_now(),
        .soundness = {.run = params,
                      .rank = job->worker,
                      .shared = worker_meets(worker) == ALGO_MEETS_EVERYONE && job->size > 1},
        .finite = true,
        .books = {.next_evaluation = runtime_first_due(params, params->eval_every_epochs),
                  .next_checkpoint = runtime_first_due(params, params->checkpoint_every_epochs),
                  .best_accuracy = -1},
    };
    struct injection_death death;
    trainer.injection = (struct injection){
        .scenario = params->scenario, .worker = job->worker, .origin_s = trainer.origin_s, .tells = true};
    TRY(injection_death_start(&death, &trainer.injection));
    runtime_result_init(out, (size_t)job->size);
    if (params->graph != NULL)
        communicator_saved_init(&trainer.saved, params->graph, job->worker);
    enum status status = run_all(&trainer, out);
    communicator_saved_release(&trainer.saved);
    memory_free_aligned(trainer.last);
    injection_death_stop(&death);
    reducer_destroy(trainer.reducer);
    theory_report_destroy(trainer.theory);
    if (status == STATUS_OK || status == STATUS_REQUEUE)
        communicator_destroy(trainer.communicator);
    else if (trainer.communicator != NULL)
        communicator_halt(trainer.communicator);
    state_cut_destroy(trainer.cut);
    if (status != STATUS_OK)
        runtime_result_release(out);
    return status;
}
