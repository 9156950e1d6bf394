/* What has come of a run: each rank's figures of its own, made known to all, and those of the dead as they were known
 * last. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "runtime/mpi/trainer.h"

enum { STEPS, IDLE, LOAD, SPEED, EXCHANGES, TICKS, UNSERVED, LOST, DAMAGED, REPEATED, WALL, PREDICTED, FIGURES };

/* The level for updates as large as this worker's last. */
static double predicted_consensus(const struct trainer *trainer)
{
    if (trainer->theory == NULL)
        return NAN;
    return theory_report_predicted(trainer->theory,
                                   worker_update_square(trainer->worker, trainer->books.update_progress));
}

static void add_figures(struct runtime_result *out, int worker, const double *of)
{
    out->gradients_per_worker[worker] = (uint64_t)of[STEPS];
    out->gradients += (uint64_t)of[STEPS];
    out->idle[worker] = of[IDLE];
    out->data_wait[worker] = of[LOAD];
    out->samples_per_second[worker] = of[SPEED];
    out->ticks += (uint64_t)of[TICKS];
    out->ticks_unserved += (uint64_t)of[UNSERVED];
    out->meetings_lost += (uint64_t)of[LOST];
    out->payloads_damaged += (uint64_t)of[DAMAGED];
    out->payloads_repeated += (uint64_t)of[REPEATED];
    out->wall_s = of[WALL] > out->wall_s ? of[WALL] : out->wall_s;
    out->consensus_predicted += of[PREDICTED];
}

/* A meeting with a worker that has died is known to its other end alone. Returns how many such there are. */
static uint64_t add_the_dead(const struct trainer *trainer, struct runtime_result *out)
{
    size_t n = (size_t)trainer->job->worker_count;
    uint64_t meetings = 0;
    out->died = memory_zalloc(n, sizeof out->died[0]);
    for (size_t i = 0; i < n; i++)
        out->died[i] = true;
    for (int rank = 0; rank < trainer->job->size; rank++)
        out->died[job_worker(trainer->job, rank)] = false;
    out->first_living = job_worker(trainer->job, 0);
    for (size_t i = 0; i < n; i++) {
        if (!out->died[i])
            continue;
        if (trainer->communicator != NULL)
            out->gradients_per_worker[i] = communicator_gradients(trainer->communicator, (int)i);
        out->gradients += out->gradients_per_worker[i];
        for (size_t j = 0; out->meetings != NULL && j < n; j++) {
            out->meetings[i * n + j] = out->meetings[j * n + i];
            meetings += out->meetings[i * n + j];
        }
    }
    return meetings;
}

void trainer_copy_x(struct trainer *trainer)
{
    const struct worker *worker = trainer->worker;
    size_t count = worker_parameter_size(worker);
    trainer->last = memory_alloc_aligned(count * sizeof trainer->last[0]);
    worker_device_ops(worker)->vector_read(worker_device(worker), worker_parameters(trainer->worker), count,
                                           trainer->last);
}

static const char *transport_of(const struct trainer *trainer)
{
    if (trainer->communicator != NULL)
        return communicator_transport_name(trainer->communicator);
    return trainer->reducer != NULL ? reducer_name(trainer->reducer) : "none";
}

enum status trainer_gather(struct trainer *trainer, double training_s, struct runtime_result *out)
{
    const struct job *job = trainer->job;
    size_t n = (size_t)job->worker_count, size = (size_t)job->size;
    struct communicator_counts counts = {0};
    if (trainer->communicator != NULL)
        counts = communicator_counts(trainer->communicator);
    double mine[FIGURES] = {
        [STEPS] = (double)trainer->books.steps,
        [IDLE] = trainer->books.idle_s / training_s,
        [LOAD] = trainer->books.load_s / training_s,
        [SPEED] = (double)(trainer->books.steps * worker_batch(trainer->worker)) / training_s,
        [EXCHANGES] = (double)counts.exchanges,
        [TICKS] = (double)counts.ticks,
        [UNSERVED] = (double)counts.unserved,
        [LOST] = (double)counts.lost,
        [DAMAGED] = (double)counts.damaged,
        [REPEATED] = (double)counts.repeated,
        [WALL] = training_s,
        [PREDICTED] = predicted_consensus(trainer) / job->size,
    };
    double *all = memory_zalloc(size * FIGURES, sizeof all[0]);
    double *row = memory_zalloc(n, sizeof row[0]), *rows = memory_zalloc(size * n, sizeof row[0]);
    for (size_t j = 0; trainer->communicator != NULL && j < n; j++)
        row[j] = (double)communicator_meetings(trainer->communicator)[j];
    enum status status;
    TRY_GOTO(job_gather_doubles(job, "gather results", mine, FIGURES, all), free_all);
    TRY_GOTO(job_gather_doubles(job, "gather meetings", row, n, rows), free_all);
    double twice = 0;
    out->consensus_predicted = 0;
    for (size_t rank = 0; rank < size; rank++) {
        size_t worker = (size_t)job_worker(job, (int)rank);
        add_figures(out, (int)worker, all + rank * FIGURES);
        twice += all[rank * FIGURES + EXCHANGES];
        for (size_t j = 0; out->meetings != NULL && j < n; j++)
            out->meetings[worker * n + j] = (uint64_t)rows[rank * n + j];
    }
    if (size < n)
        twice += (double)add_the_dead(trainer, out);
    out->exchanges = (uint64_t)(twice / 2);
    out->transport = transport_of(trainer);
    if (trainer->theory != NULL)
        theory_report_result(trainer->theory, out);
free_all:
    free(rows);
    free(row);
    free(all);
    return status;
}
