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
    params.engine = group->engine;
    params.keeps_point = keeps_point;
    if (worker > 0 && strcmp(plan->config->data.partition, "shared") != 0) {
        struct partition_params of_worker = plan_partition_params(plan, worker);
        TRY(partition_create(&of_worker, plan->train, &group->partitions[worker], NULL));
        params.partition = &group->partitions[worker];
    }
    return worker_create(&params, &group->workers[worker]);
}

enum status worker_group_create(const struct plan *plan, bool keeps_point, struct worker_group *out)
{
    assert(plan->place.worker == 0);
    struct worker_group group = {.count = plan->place.worker_count};
    group.partitions = memory_zalloc((size_t)group.count, sizeof group.partitions[0]);
    group.workers = memory_zalloc((size_t)group.count, sizeof(struct worker *));
    enum status status;
    const struct engine_params engine = plan_engine_params(plan);
    TRY_GOTO(engine_create(&engine, &group.engine), release_group);
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
    engine_destroy(group->engine);
    free(group->workers);
    free(group->partitions);
    *group = (struct worker_group){0};
}

size_t worker_group_bytes(const struct worker_group *group)
{
    size_t bytes = engine_bytes(group->engine);
    for (int i = 0; i < group->count; i++)
        bytes += worker_bytes(group->workers[i]);
    return bytes;
}
