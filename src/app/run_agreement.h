/* The two times at which all ranks of a training run compare what they are to do (app/agreement.h): before anything
 * collective depends on the settings, and once each has its plan. Private to app/. */
#ifndef GRAPEVINE_SRC_APP_RUN_AGREEMENT_H
#define GRAPEVINE_SRC_APP_RUN_AGREEMENT_H

#include "app/plan.h"
#include "app/run_options.h"
#include "config/config.h"
#include "runtime/job.h"

/* Collective. STATUS_USAGE (logged): the ranks do not agree. */
enum status run_agree_on_settings(struct job *job, const struct config *config, const struct run_options *options,
                                  const char *directory);
enum status run_agree_on_plan(struct job *job, const struct plan *plan);

#endif
