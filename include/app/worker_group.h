/* All workers of a run in one process: they share the plan's data and device, and one engine. */
#ifndef GRAPEVINE_APP_WORKER_GROUP_H
#define GRAPEVINE_APP_WORKER_GROUP_H

#include <stdbool.h>
#include <stddef.h>

#include "app/plan.h"
#include "base/status.h"
#include "data/partition.h"
#include "worker/engine.h"
#include "worker/worker.h"

struct worker_group {
    const struct plan *plan; /* borrowed */
    int count;
    struct engine **engines; /* owned (engine_count): the first is everybody's, the others for gradients at once */
    struct device **devices; /* owned (engine_count), of the engines; the first is NULL: the plan's */
    int engine_count;
    struct partition *partitions; /* owned (count), of workers 1, 2, ...; empty where all share the plan's */
    struct worker **workers;      /* owned (count) */
};

/* The workers 0 … of a plan whose place is worker 0's; `keeps_point`: as in worker_params; without,
 * there are plan_jobs() engines. The plan outlives the group.
 * Errors as of partition_create, engine_create and worker_create. */
enum status worker_group_create(const struct plan *plan, bool keeps_point, struct worker_group *out);
void worker_group_release(struct worker_group *group);

#endif
