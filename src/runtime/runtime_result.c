/* What a runtime returns: memory only. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "runtime/runtime.h"

void runtime_result_init(struct runtime_result *result, size_t worker_count)
{
    *result = (struct runtime_result){.consensus_predicted = NAN, .chi1_realised = NAN, .chi2_realised = NAN};
    result->gradients_per_worker = memory_zalloc(worker_count, sizeof result->gradients_per_worker[0]);
    if (worker_count <= RUNTIME_MEETINGS_WORKERS_MAX)
        result->meetings = memory_zalloc(worker_count * worker_count, sizeof result->meetings[0]);
    result->idle = memory_zalloc(worker_count, sizeof(double));
    result->data_wait = memory_zalloc(worker_count, sizeof(double));
    result->samples_per_second = memory_zalloc(worker_count, sizeof(double));
}

void runtime_result_release(struct runtime_result *result)
{
    free(result->gradients_per_worker);
    free(result->meetings);
    free(result->idle);
    free(result->data_wait);
    free(result->samples_per_second);
    free(result->died);
    *result = (struct runtime_result){0};
}

int runtime_statistics_batches(const struct runtime_params *params, int workers)
{
    int each = params->batch_norm_batches / workers;
    return each + (params->batch_norm_batches % workers > 0);
}

double runtime_next_due(double due, double period, double epoch)
{
    const double periods_most = 1e6;
    if (epoch + period == epoch || (epoch - due) / period > periods_most)
        return nextafter(epoch, (double)INFINITY);
    while (due <= epoch)
        due += period;
    return due;
}

double runtime_first_due(const struct runtime_params *params, double period)
{
    double before = (double)params->gradients_before / params->gradients_per_epoch;
    return period > 0 ? (floor(before / period) + 1) * period : 0;
}
