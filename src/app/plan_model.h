/* The network of a plan, for the pictures of its tests and for those of its training. Private to this folder. */
#ifndef GRAPEVINE_APP_PLAN_MODEL_H
#define GRAPEVINE_APP_PLAN_MODEL_H

#include "app/plan.h"

/* plan->spec, for the pictures of plan->test. Errors as of model_build. */
enum status plan_model_build(struct plan *plan);

/* A spec_of_size_fn (worker/engine.h) whose context is a plan. STATUS_USAGE (logged): the model cannot take pictures of
 * that size, or has other parameters for them. */
enum status plan_model_of_size(const void *context, int size, struct net_spec **out);

/* Training pictures may be smaller than those of the tests, if the model has the same parameters for all:
 * STATUS_USAGE (logged) if not. Data and gradients are known. */
enum status plan_model_check_sizes(const struct plan *plan);

#endif
