/* What a plan does about data: parts of plan.c. Private to app/. */
#ifndef GRAPEVINE_SRC_APP_PLAN_DATA_H
#define GRAPEVINE_SRC_APP_PLAN_DATA_H

#include "app/plan.h"

/* data.size: "224", or "160-224" (also 160..224 and 160→224) for pictures that grow. STATUS_USAGE (logged). */
enum status plan_read_picture_sizes(struct plan *plan);
/* Errors as of dataset_open and partition_create. Sizes are known. */
enum status plan_open_test_data(struct plan *plan);
enum status plan_open_training_data(struct plan *plan);
/* How the pictures of one worker's batches grow over the gradients that are left of the run; zeros where they have the
 * tests' size all the time. Data and gradients are known. */
struct picture_sizes plan_picture_sizes(const struct plan *plan);
/* Pictures that are made at once: on the cores that do not compute, where they cost something. Data, and the
 * device if there is one, are known. */
int plan_data_threads(const struct plan *plan);

#endif
