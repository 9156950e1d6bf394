/* All workers of a run in one process. */
#include "app/worker_group.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static enum status create_worker(const struct plan *plan, struct worker_group *group, int worker, bool keeps_point)
{
    struct worker_params params = plan_worker_params(plan);
    params.worker = worker;
    params.engine = group->engines[0];
    params.keeps_point = keeps_point;
    if (worker > 0 && strcmp(plan->config->data.partition, "shared") != 0) {
        struct partition_params of_worker = plan_partition_params(plan, worker);
        TRY(partition_create(&of_worker, plan->train, &group->partitions[worker], NULL));
        params.partition = &group->partitions[worker];
    }
    return worker_create(&params, &group->workers[worker]);
}

static enum status create_engines(const struct plan *plan, struct worker_group *group)
{
    struct engine_params params = plan_engine_params(plan);
    for (int i = 0; i < group->engine_count; i++) {
        if (i > 0) {
            TRY(plan_device_create(plan, &group->devices[i]));
            params.device = group->devices[i];
        }
        TRY(engine_create(&params, &group->engines[i]));
    }
    return STATUS_OK;
}

enum status worker_group_create(const struct plan *plan, bool keeps_point, struct worker_group *out)
{
    assert(plan->place.worker == 0);
    struct worker_group group = {
        .plan = plan, .count = plan->place.worker_count, .engine_count = keeps_point ? 1 : plan_jobs(plan)};
    group.engines = memory_zalloc((size_t)group.engine_count, sizeof(struct engine *));
    group.devices = memory_zalloc((size_t)group.engine_count, sizeof(struct device *));
    group.partitions = memory_zalloc((size_t)group.count, sizeof group.partitions[0]);
    group.workers = memory_zalloc((size_t)group.count, sizeof(struct worker *));
    enum status status;
    TRY_GOTO(create_engines(plan, &group), release_group);
    for (int i = 0; i < group.count; i++)
        TRY_GOTO(create_worker(plan, &group, i, keeps_point), release_group);
    *out = group;
    return STATUS_OK;
release_group:
    worker_group_release(&group);
    return status;
}

void worker_group_release(struct worker_group *group)
{
    for (int i = 0; i < group->count; i++) {
        worker_destroy(group->workers[i]);
        partition_release(&group->partitions[i]);
    }
    for (int i = 0; i < group->engine_count; i++) {
        engine_destroy(group->engines[i]);
        if (group->devices[i] != NULL)
            group->plan->ops->destroy(group->devices[i]);
    }
    free(group->engines);
    free(group->devices);
    free(group->workers);
    free(group->partitions);
    *group = (struct worker_group){0};
}
