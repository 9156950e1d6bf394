/* Final average, statistics and test of workers that share an engine. */
#include "runtime/sim/sim_closing.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

typedef float *vector_of_fn(struct worker *worker);

/* mean (count) ← ((v_0 + v_1) + …)/n, in host memory. */
static void average(const struct sim_closing *c, vector_of_fn *vector_of, size_t count, float *mean)
{
    float *copy = memory_alloc_aligned(count * sizeof copy[0]);
    for (int i = 0; i < c->count; i++) {
        c->ops->vector_read(c->device, vector_of(c->workers[i]), count, i == 0 ? mean : copy);
        for (size_t k = 0; k < count && i > 0; k++)
            mean[k] += copy[k];
    }
    for (size_t k = 0; k < count; k++)
        mean[k] /= (float)c->count;
    memory_free_aligned(copy);
}

/* (1/n) Σ ‖x_i − mean‖². */
static double distance_to(const struct sim_closing *c, const float *mean, size_t count)
{
    float *copy = memory_alloc_aligned(count * sizeof copy[0]);
    double sum = 0;
    for (int i = 0; i < c->count; i++) {
        double of_worker = 0;
        c->ops->vector_read(c->device, worker_parameters(c->workers[i]), count, copy);
        for (size_t k = 0; k < count; k++)
            of_worker += ((double)copy[k] - (double)mean[k]) * ((double)copy[k] - (double)mean[k]);
        sum += of_worker;
    }
    memory_free_aligned(copy);
    return sum / c->count;
}

static void average_parameters(const struct sim_closing *c, struct runtime_result *result)
{
    size_t count = worker_parameter_size(c->workers[0]);
    float *mean = memory_alloc_aligned(count * sizeof mean[0]);
    average(c, worker_parameters, count, mean);
    result->consensus_distance = isnan(c->consensus_distance) ? distance_to(c, mean, count) : c->consensus_distance;
    for (int i = 0; i < c->count; i++) {
        c->ops->vector_write(c->device, worker_parameters(c->workers[i]), count, mean);
        worker_reset(c->workers[i], (double)result->gradients);
    }
    memory_free_aligned(mean);
}

/* All have the same model: the first one tests it, with its own statistics, on the whole set. */
static enum status test(const struct sim_closing *c, struct evaluation *out)
{
    return worker_evaluate(c->workers[0], false, 0, 1, out);
}

static enum status treat_statistics(const struct sim_closing *c)
{
    size_t count = worker_buffer_size(c->workers[0]);
    if (count == 0)
        return STATUS_OK;
    if (c->run->batch_norm == BATCH_NORM_RECOMPUTED)
        for (int i = 0; i < c->count; i++)
            TRY(worker_recompute_statistics(c->workers[i], runtime_statistics_batches(c->run, c->count)));
    float *statistics = memory_alloc_aligned(count * sizeof statistics[0]);
    if (c->run->batch_norm == BATCH_NORM_OWN)
        c->ops->vector_read(c->device, worker_buffers(c->workers[0]), count, statistics);
    else
        average(c, worker_buffers, count, statistics);
    for (int i = 0; i < c->count; i++)
        c->ops->vector_write(c->device, worker_buffers(c->workers[i]), count, statistics);
    memory_free_aligned(statistics);
    return STATUS_OK;
}

enum status sim_closing_average_and_test(const struct sim_closing *closing, struct runtime_result *result)
{
    average_parameters(closing, result);
    TRY(test(closing, &result->tested_own_statistics));
    TRY(treat_statistics(closing));
    return test(closing, &result->tested);
}
