/* How many images of each class each worker trains on, where workers have different ones (data.partition: dirichlet,
 * iid). */
#ifndef GRAPEVINE_APP_CLASS_COUNTS_H
#define GRAPEVINE_APP_CLASS_COUNTS_H

#include <stdint.h>
#include <stdio.h>

#include "app/plan.h"

struct class_counts {
    int workers, classes;
    uint64_t *counts; /* owned (workers, classes); NULL: all have the same images, or there are too many workers */
};

/* Of all workers of the plan. STATUS_USAGE as of partition_create. */
enum status class_counts_create(const struct plan *plan, struct class_counts *out);
void class_counts_release(struct class_counts *counts);

/* A table of classes and workers; of many a summary. Nothing where there are no counts. `names` (classes) or NULL. */
void class_counts_print(const struct class_counts *counts, const char *const *names, FILE *out);

#endif
