/* The job goes on without ranks that have died: steps that are run again with those that are left. */
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "base/text.h"
#include "runtime/mpi/mpi_call.h"

/* How long the others leave the word to the lowest living rank before they end the job. */
static const double silence_s = 1;

/* How long a rank that has seen a step fail waits for the news of a death that explains it. */
static const double news_s = 1, look_every_s = 1e-3;

void job_look_for_dead(const struct job *job, bool *dead)
{
    survival_look(&job->mpi->survival, dead);
}

int job_worker(const struct job *job, int rank)
{
    return job->mpi->workers[rank];
}

/* Nobody goes on from here: one rank says why. */
static void tell_of_deaths(const struct job *job, const char *step)
{
    bool *dead = memory_zalloc((size_t)job->worker_count, sizeof dead[0]);
    struct text text = {0};
    int lowest = job->worker_count;
    job_look_for_dead(job, dead);
    for (int i = job->worker_count - 1; i >= 0; i--)
        lowest = dead[i] ? lowest : i;
    for (int i = 0; i < job->worker_count; i++)
        if (dead[i])
            text_add(&text, " %d", i);
    if (job->worker == lowest)
        log_on_this_rank(LOG_ERROR,
                         "worker%s has died, and the step \"%s\" needs all: the run ends. Training alone, with "
                         "algorithms that meet one neighbor at a time, goes on without workers that have died",
                         text_view(&text), step);
    else
        stopwatch_sleep(silence_s);
    log_release(); /* nobody will agree on it */
    text_release(&text);
    free(dead);
}

/* Collective operations that a death has caught in their middle may fail with whatever code. */
static bool has_lost_somebody(const struct job *job)
{
    bool *dead = memory_zalloc((size_t)job->worker_count, sizeof dead[0]), any = false;
    double begin_s = stopwatch_now();
    while (job->survives && !any && stopwatch_now() - begin_s < news_s) {
        job_look_for_dead(job, dead);
        for (int rank = 0; rank < job->size; rank++) /* others have died before */
            any |= dead[job_worker(job, rank)];
        stopwatch_sleep(look_every_s);
    }
    free(dead);
    return any;
}

enum status mpi_call_step_failed(const struct job *job, const char *step, const char *call, int code)
{
    if (!survival_is_death(&job->mpi->survival, code) && !has_lost_somebody(job))
        return mpi_call_failed(call, code);
    if (!job->mpi->repeats)
        tell_of_deaths(job, step);
    else if (!job->mpi->bereaved)
        (void)job->mpi->survival.revoke(job->mpi->comm); /* whoever waits in another step is to come out of it */
    job->mpi->bereaved = true;
    return STATUS_MACHINE;
}

/* Everybody who is left, and nobody else, is in the job from now on. What has been of a communicator with the dead is
 * not freed: that is collective. */
static enum status shrink(struct job *job)
{
    struct job_mpi *mpi = job->mpi;
    MPI_Comm living;
    MPI_Group group, all;
    survival_acknowledge(&mpi->survival, mpi->comm);
    TRY_MPI(mpi->survival.shrink(mpi->comm, &living));
    mpi->comm = living;
    TRY_MPI(MPI_Comm_set_errhandler(living, MPI_ERRORS_RETURN));
    TRY_MPI(MPI_Comm_rank(living, &job->rank));
    TRY_MPI(MPI_Comm_size(living, &job->size));
    TRY_MPI(MPI_Comm_group(living, &group));
    TRY_MPI(MPI_Comm_group(MPI_COMM_WORLD, &all));
    for (int rank = 0; rank < job->size; rank++)
        TRY_MPI(MPI_Group_translate_ranks(group, 1, &rank, all, &mpi->workers[rank]));
    MPI_Group_free(&group);
    MPI_Group_free(&all);
    log_set_rank(job->rank, job->size);
    if (job->size < job->worker_count)
        log_info("the run is brought to its end by %d of %d workers", job->size, job->worker_count);
    return STATUS_OK;
}

enum status job_survive(struct job *job, enum status (*step)(void *context), void *context)
{
    struct job_mpi *mpi = job->mpi;
    if (!job->survives)
        return step(context);
    for (;;) {
        TRY(shrink(job));
        mpi->repeats = true;
        mpi->bereaved = false;
        enum status status = step(context);
        mpi->repeats = false;
        if (status != STATUS_OK && !mpi->bereaved && !job->agreed)
            return status; /* this rank's own: it ends the job */
        int well = !mpi->bereaved;
        survival_acknowledge(&mpi->survival, mpi->comm);
        (void)mpi->survival.agree(mpi->comm, &well); /* an error says that somebody has died since: no matter */
        if (well)
            return status;
    }
}
