/* What `grapevine eval` tells of a test beyond its means: by class, as a confusion matrix, image by image. A class has
 * its name where the set knows one, else its number. */
#ifndef GRAPEVINE_APP_TEST_REPORT_H
#define GRAPEVINE_APP_TEST_REPORT_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "data/dataset.h"
#include "worker/evaluation.h"

struct test_report {
    const struct dataset *set;            /* borrowed */
    const struct prediction *predictions; /* borrowed, (set->count) */
    size_t *confusion; /* owned, (class_count, class_count): images of class `row` that the network calls `column` */
    size_t *images;    /* owned, (class_count): of the class; not all are in its row where a prediction is −1 */
};

void test_report_init(struct test_report *report, const struct dataset *set, const struct prediction *predictions);
void test_report_release(struct test_report *report);

/* Lines for the eyes: the classes, those with the smallest share of correct predictions first, at most 20. */
void test_report_print(const struct test_report *report, FILE *out);

/* CSV with a header, names quoted where they must be. Confusion: a row for each class, a column for each prediction.
 * Predictions: a row for each image; class names where the set knows them, a file where it has any; empty where there
 * is no value. */
void test_report_write_confusion(const struct test_report *report, FILE *out);
void test_report_write_predictions(const struct test_report *report, FILE *out);

/* Adds "classes", "confusion" (rows of counts) and "mean_class_accuracy" (of the classes that have images). */
void test_report_add_json(const struct test_report *report, cJSON *object);

#endif
