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

static const double ROUNDING = 1e-9; /* periods */

double runtime_periods_over(double period, double epoch)
{
    return floor(epoch / period + ROUNDING);
}

double runtime_next_due(double period, double epoch)
{
    double due = (runtime_periods_over(period, epoch) + 1 - ROUNDING / 2) * period;
    return due > epoch ? due : nextafter(epoch, (double)INFINITY);
}

double runtime_first_due(const struct runtime_params *params, double period)
{
    return period > 0 ? runtime_next_due(period, (double)params->gradients_before / params->gradients_per_epoch) : 0;
}
