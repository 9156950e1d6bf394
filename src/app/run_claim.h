/* The run directory becomes this run's, for all its ranks: the steps of app/run_lock.h in their order. Private to
 * app/. */
#ifndef GRAPEVINE_SRC_APP_RUN_CLAIM_H
#define GRAPEVINE_SRC_APP_RUN_CLAIM_H

#include "app/run_lock.h"
#include "base/status.h"
#include "runtime/job.h"

/* The folder is there. Collective; `job` NULL: of a run in one process. Waits, within bounds, for processes that an
 * earlier run has left. Errors as of run_lock_judge, run_lock_take and run_lock_keep, agreed on. */
enum status run_claim(struct job *job, const char *directory, struct run_lock **out);

#endif
