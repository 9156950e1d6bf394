/* The end of a run: final average, batch-norm statistics, test. */
#include "runtime/mpi/closing.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static void read_vector(const struct worker *worker, const float *vector, size_t count, float *host)
{
    worker_device_ops(worker)->vector_read(worker_device(worker), vector, count, host);
}

static void write_vector(const struct worker *worker, float *vector, size_t count, const float *host)
{
    worker_device_ops(worker)->vector_write(worker_device(worker), vector, count, host);
}

/* mean (count) ← the mean of all workers' x. */
static enum status average_vector(const struct job *job, const char *what, const float *x, size_t count, float *mean)
{
    memcpy(mean, x, count * sizeof mean[0]);
    TRY(job_sum_floats(job, what, mean, count));
    for (size_t k = 0; k < count; k++)
        mean[k] /= (float)job->size;
    return STATUS_OK;
}

/* (1/n) Σ ‖x_i − mean‖². */
static enum status distance_to(const struct job *job, const float *x, size_t count, const float *mean, double *distance)
{
    double sum = 0;
    for (size_t k = 0; k < count; k++) {
        double difference = (double)x[k] - (double)mean[k];
        sum += difference * difference;
    }
    TRY(job_sum_doubles(job, "consensus distance", &sum, 1));
    *distance = sum / job->size;
    return STATUS_OK;
}

/* x ← mean over all workers; the distance is that of `last`, or of x where that is NULL. */
static enum status average_parameters(const struct job *job, struct worker *worker, const float *last, double *distance)
{
    size_t count = worker_parameter_size(worker);
    float *x = memory_alloc_aligned(count * sizeof x[0]), *mean = memory_alloc_aligned(count * sizeof mean[0]);
    enum status status;
    if (last != NULL) {
        TRY_GOTO(average_vector(job, "mean when training ended", last, count, mean), free_mean);
        TRY_GOTO(distance_to(job, last, count, mean, distance), free_mean);
    }
    read_vector(worker, worker_parameters(worker), count, x);
    TRY_GOTO(average_vector(job, "final average", x, count, mean), free_mean);
    if (last == NULL)
        TRY_GOTO(distance_to(job, x, count, mean, distance), free_mean);
    write_vector(worker, worker_parameters(worker), count, mean);
free_mean:
    memory_free_aligned(mean);
    memory_free_aligned(x);
    return status;
}

/* Test the working copy, each worker on its share of the pictures; the same figures on every rank. */
static enum status test_together(const struct job *job, struct worker *worker, struct evaluation *out)
{
    struct evaluation share = {0};
    worker_cast_test(worker); /* the communication thread has ended: nobody else touches x */
    TRY(worker_evaluate(worker, false, job->rank, job->size, &share));
    double sums[] = {share.loss_sum, (double)share.correct, (double)share.correct_top5, (double)share.count};
    TRY(job_sum_doubles(job, "final test", sums, sizeof sums / sizeof sums[0]));
    *out = (struct evaluation){.loss_sum = sums[0],
                               .correct = (size_t)sums[1],
                               .correct_top5 = (size_t)sums[2],
                               .count = (size_t)sums[3],
                               .class_count = share.class_count};
    return STATUS_OK;
}

static enum status average_buffers(const struct job *job, struct worker *worker)
{
    size_t count = worker_buffer_size(worker);
    if (count == 0)
        return STATUS_OK;
    float *buffers = memory_alloc_aligned(count * sizeof buffers[0]);
    read_vector(worker, worker_buffers(worker), count, buffers);
    enum status status = job_sum_floats(job, "average of batch-norm statistics", buffers, count);
    for (size_t k = 0; k < count; k++)
        buffers[k] /= (float)job->size;
    if (status == STATUS_OK)
        write_vector(worker, worker_buffers(worker), count, buffers);
    memory_free_aligned(buffers);
    return status;
}

static enum status treat_statistics(const struct runtime_params *params, const struct job *job, struct worker *worker)
{
    if (params->batch_norm == BATCH_NORM_OWN || worker_buffer_size(worker) == 0)
        return STATUS_OK;
    if (params->batch_norm == BATCH_NORM_RECOMPUTED)
        TRY(worker_recompute_statistics(worker, runtime_statistics_batches(params, job->size)));
    return average_buffers(job, worker);
}

enum status closing_average_and_test(const struct runtime_params *params, const struct job *job, struct worker *worker,
                                     const float *last, struct runtime_result *result)
{
    size_t count = worker_buffer_size(worker), bytes = count * sizeof(float);
    float *own = memory_zalloc(count + 1, sizeof own[0]), *of_first = memory_zalloc(count + 1, sizeof own[0]);
    enum status status;
    read_vector(worker, worker_buffers(worker), count, own);
    memcpy(of_first, own, bytes);
    TRY_GOTO(average_parameters(job, worker, last, &result->consensus_distance), free_own);
    worker_reset(worker, (double)result->gradients);
    TRY_GOTO(job_broadcast(job, "batch-norm statistics of worker 0", of_first, bytes), free_own);
    write_vector(worker, worker_buffers(worker), count, of_first);
    TRY_GOTO(test_together(job, worker, &result->tested_own_statistics), free_own);
    if (params->batch_norm != BATCH_NORM_OWN)
        write_vector(worker, worker_buffers(worker), count, own);
    TRY_GOTO(treat_statistics(params, job, worker), free_own);
    TRY_GOTO(test_together(job, worker, &result->tested), free_own);
free_own:
    free(of_first);
    free(own);
    return status;
}
