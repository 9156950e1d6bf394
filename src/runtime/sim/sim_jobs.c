/* Gradients of several workers at once: a thread per engine, one gradient at a time each. */
#include "runtime/sim/sim_jobs.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/thread.h"

struct sim_job {
    struct thread thread;
    struct wakeup begun, ended; /* the other fields are the thread's between the two */
    struct engine *engine;      /* borrowed */
    bool stops;                 /* the thread is to end */
    struct worker *worker;      /* borrowed; NULL: none under way */
    int index;
    double t, progress;
    uint64_t serial; /* the order in which they were begun */
    enum status status;
    struct gradient_result result;
};

struct sim_jobs {
    struct simulation *sim; /* borrowed */
    struct sim_job *jobs;   /* owned (count) */
    int count;
    uint64_t begun;
};

static enum status compute(struct sim_job *job)
{
    worker_cast_at(job->worker, job->t);
    TRY(worker_load(job->worker));
    return worker_gradient(job->worker, NULL, NULL, &job->result);
}

static void wait_for(struct wakeup *wakeup)
{
    const double long_s = 3600;
    while (!wakeup_wait(wakeup, long_s))
        ;
}

static void *run_jobs(void *context)
{
    struct sim_job *job = context;
    for (;;) {
        wait_for(&job->begun);
        if (job->stops)
            return NULL;
        job->status = compute(job);
        wakeup_set(&job->ended);
    }
}

/* A gradient that is not finite may undo what its worker has seen since: then each is judged before the next. */
static bool wanted(const struct simulation *sim)
{
    return sim->params->engine_count > 1 && sim->params->time == SIMULATED_IDEAL && sim->run->on_nan == ON_NAN_STOP &&
           worker_meets(sim->workers[0].worker) != ALGO_MEETS_EVERYONE;
}

enum status sim_jobs_create(struct simulation *sim, struct sim_jobs **out)
{
    *out = NULL;
    if (!wanted(sim))
        return STATUS_OK;
    struct sim_jobs *jobs = memory_zalloc(1, sizeof *jobs);
    jobs->sim = sim;
    jobs->count = sim->params->engine_count;
    jobs->jobs = memory_zalloc((size_t)jobs->count, sizeof jobs->jobs[0]);
    enum status status = STATUS_OK;
    for (int i = 0; i < jobs->count; i++) {
        struct sim_job *job = &jobs->jobs[i];
        job->engine = sim->params->engines[i];
        wakeup_init(&job->begun);
        wakeup_init(&job->ended);
        if (status == STATUS_OK)
            status = thread_start(&job->thread, "gradient", run_jobs, job);
    }
    if (status == STATUS_OK)
        *out = jobs;
    else
        sim_jobs_destroy(jobs);
    return status;
}

void sim_jobs_destroy(struct sim_jobs *jobs)
{
    if (jobs == NULL)
        return;
    for (int i = 0; i < jobs->count; i++) {
        struct sim_job *job = &jobs->jobs[i];
        if (job->worker != NULL)
            wait_for(&job->ended);
        job->stops = true;
        wakeup_set(&job->begun);
        thread_join(&job->thread);
        wakeup_release(&job->begun);
        wakeup_release(&job->ended);
    }
    free(jobs->jobs);
    free(jobs);
}

/* As one at a time does it: what earlier updates have brought to light, the result, the update. */
static enum status finish(struct sim_jobs *jobs, struct sim_job *job)
{
    struct simulation *sim = jobs->sim;
    struct worker *worker = job->worker;
    wait_for(&job->ended);
    job->worker = NULL;
    TRY(job->status);
    TRY(sim_look_at_left_out(sim));
    TRY(sim_take_result(sim, job->index, &job->result));
    worker_update(worker, job->t, job->progress);
    worker_cast(worker);
    sim->updated = job->index;
    return STATUS_OK;
}

/* The one that was begun first; NULL: none is under way. */
static struct sim_job *oldest(const struct sim_jobs *jobs)
{
    struct sim_job *found = NULL;
    for (int i = 0; i < jobs->count; i++) {
        struct sim_job *job = &jobs->jobs[i];
        if (job->worker != NULL && (found == NULL || job->serial < found->serial))
            found = job;
    }
    return found;
}

static struct sim_job *idle(const struct sim_jobs *jobs)
{
    for (int i = 0; i < jobs->count; i++)
        if (jobs->jobs[i].worker == NULL)
            return &jobs->jobs[i];
    return NULL;
}

enum status sim_jobs_begin(struct sim_jobs *jobs, int worker, double progress)
{
    struct simulation *sim = jobs->sim;
    struct sim_job *job = idle(jobs);
    if (job == NULL) {
        job = oldest(jobs);
        TRY(finish(jobs, job));
    }
    job->worker = sim->workers[worker].worker;
    job->index = worker;
    job->t = sim->now;
    job->progress = progress;
    job->serial = jobs->begun++;
    worker_move(job->worker, job->engine);
    wakeup_set(&job->begun);
    return STATUS_OK;
}

enum status sim_jobs_finish(struct sim_jobs *jobs, int worker)
{
    for (int i = 0; i < jobs->count; i++)
        if (jobs->jobs[i].worker != NULL && jobs->jobs[i].index == worker)
            return finish(jobs, &jobs->jobs[i]);
    return STATUS_OK;
}

enum status sim_jobs_finish_all(struct sim_jobs *jobs)
{
    for (struct sim_job *job; (job = oldest(jobs)) != NULL;)
        TRY(finish(jobs, job));
    return STATUS_OK;
}
