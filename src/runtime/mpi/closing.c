/* The end of a run: final average, batch-norm statistics, test. */
#include "runtime/mpi/closing.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* x ← mean over all workers, and the mean square distance to it: (1/n) Σ ‖x_i − x̄‖². */
static enum status average_parameters(const struct job *job, struct worker *worker, double *distance)
{
    size_t count = worker_parameter_size(worker);
    float *x = worker_parameters(worker), *mean = memory_alloc_aligned(count * sizeof mean[0]);
    memcpy(mean, x, count * sizeof mean[0]);
    enum status status;
    TRY_GOTO(job_sum_floats(job, "final average", mean, count), free_mean);
    double sum = 0;
    for (size_t k = 0; k < count; k++) {
        mean[k] /= (float)job->size;
        double difference = (double)x[k] - (double)mean[k];
        sum += difference * difference;
    }
    TRY_GOTO(job_sum_doubles(job, "consensus distance", &sum, 1), free_mean);
    *distance = sum / job->size;
    memcpy(x, mean, count * sizeof mean[0]);
free_mean:
    memory_free_aligned(mean);
    return status;
}

/* Test the working copy, each worker on its share of the pictures; the same figures on every rank. */
static enum status test_together(const struct job *job, struct worker *worker, double *loss, double *accuracy,
                                 size_t *count)
{
    struct evaluation share = {0};
    TRY(worker_evaluate(worker, false, job->rank, job->size, &share));
    double sums[3] = {share.loss_sum, (double)share.correct, (double)share.count};
    TRY(job_sum_doubles(job, "final test", sums, 3));
    *loss = sums[0] / sums[2];
    *accuracy = sums[1] / sums[2];
    *count = (size_t)sums[2];
    return STATUS_OK;
}

static enum status average_buffers(const struct job *job, struct worker *worker)
{
    size_t count = worker_buffer_size(worker);
    float *buffers = worker_buffers(worker);
    if (count == 0)
        return STATUS_OK;
    TRY(job_sum_floats(job, "average of batch-norm statistics", buffers, count));
    for (size_t k = 0; k < count; k++)
        buffers[k] /= (float)job->size;
    return STATUS_OK;
}

static enum status treat_statistics(const struct runtime_params *params, const struct job *job, struct worker *worker)
{
    if (params->batch_norm == BATCH_NORM_OWN || worker_buffer_size(worker) == 0)
        return STATUS_OK;
    if (params->batch_norm == BATCH_NORM_RECOMPUTED)
        TRY(worker_recompute_statistics(worker, params->batch_norm_batches));
    return average_buffers(job, worker);
}

enum status closing_average_and_test(const struct runtime_params *params, const struct job *job, struct worker *worker,
                                     struct runtime_result *result)
{
    size_t buffer_bytes = worker_buffer_size(worker) * sizeof(float);
    float *own = memory_zalloc(worker_buffer_size(worker) + 1, sizeof own[0]);
    enum status status;
    memcpy(own, worker_buffers(worker), buffer_bytes);
    TRY_GOTO(average_parameters(job, worker, &result->consensus_distance), free_own);
    worker_reset(worker, (double)result->gradients);
    TRY_GOTO(job_broadcast(job, "batch-norm statistics of worker 0", worker_buffers(worker), buffer_bytes), free_own);
    double loss;
    TRY_GOTO(test_together(job, worker, &loss, &result->test_accuracy_own_statistics, &result->test_count), free_own);
    if (params->batch_norm != BATCH_NORM_OWN)
        memcpy(worker_buffers(worker), own, buffer_bytes);
    TRY_GOTO(treat_statistics(params, job, worker), free_own);
    TRY_GOTO(test_together(job, worker, &result->test_loss, &result->test_accuracy, &result->test_count), free_own);
free_own:
    free(own);
    return status;
}
