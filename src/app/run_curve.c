/* Learning curves from metrics.jsonl. */
#include "app/run_curve.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/run_directory.h"
#include "base/log.h"
#include "base/memory.h"

/* Sums over the replicas' tests of one number. */
struct together {
    size_t replicas;
    double images, epoch, accuracy, loss;
};

struct reading {
    struct together *tests; /* owned (test_count) */
    size_t test_count;
    size_t *made; /* owned (rank_count): tests of each replica so far */
    size_t rank_count;
};

static double number_of(const cJSON *report, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(report, key);
    return cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
}

static void add_test(struct reading *reading, const cJSON *report)
{
    enum { RANKS_MAX = 1 << 20 };
    double rank = number_of(report, "rank"), accuracy = number_of(report, "test_accuracy");
    double loss = number_of(report, "test_loss"), images = number_of(report, "pictures");
    if (!(rank >= 0 && rank < RANKS_MAX) || !isfinite(accuracy) || !(images > 0) ||
        cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(report, "averaged")))
        return;
    size_t replica = (size_t)rank;
    if (replica >= reading->rank_count) {
        reading->made = memory_realloc(reading->made, replica + 1, sizeof reading->made[0]);
        while (reading->rank_count <= replica)
            reading->made[reading->rank_count++] = 0;
    }
    size_t k = reading->made[replica]++;
    if (k == reading->test_count) {
        reading->tests = memory_realloc(reading->tests, k + 1, sizeof reading->tests[0]);
        reading->tests[reading->test_count++] = (struct together){0};
    }
    struct together *test = &reading->tests[k];
    test->replicas++;
    test->images += images;
    test->epoch += number_of(report, "epoch");
    test->accuracy += accuracy * images;
    test->loss += loss * images;
}

static void finish(const struct reading *reading, struct run_curve *out)
{
    out->points = memory_zalloc(reading->test_count + 1, sizeof out->points[0]);
    for (size_t k = 0; k < reading->test_count; k++) {
        const struct together *test = &reading->tests[k];
        if (test->replicas == reading->rank_count)
            out->points[out->count++] = (struct curve_point){.epoch = test->epoch / (double)test->replicas,
                                                             .accuracy = test->accuracy / test->images,
                                                             .loss = test->loss / test->images};
    }
}

enum status run_curve_read(const char *run, struct run_curve *out)
{
    struct reading reading = {0};
    char *path = run_directory_file(run, "metrics.jsonl"), *line = NULL;
    FILE *file = fopen(path, "re");
    size_t capacity = 0;
    *out = (struct run_curve){0};
    if (file == NULL)
        log_error("%s: %s; a run writes it, and what is not there cannot be compared", path, strerror(errno));
    free(path);
    if (file == NULL)
        return STATUS_DATA;
    while (getline(&line, &capacity, file) > 0) {
        if (strstr(line, "\"test_accuracy\"") == NULL)
            continue;
        cJSON *report = cJSON_Parse(line);
        add_test(&reading, report);
        cJSON_Delete(report);
    }
    fclose(file);
    free(line);
    finish(&reading, out);
    free(reading.tests);
    free(reading.made);
    return STATUS_OK;
}

void run_curve_release(struct run_curve *curve)
{
    free(curve->points);
    *curve = (struct run_curve){0};
}

const struct curve_point *run_curve_at(const struct run_curve *curve, double epoch, double distance)
{
    const struct curve_point *nearest = NULL;
    for (size_t k = 0; k < curve->count; k++) {
        double away = fabs(curve->points[k].epoch - epoch);
        if (away <= distance && (nearest == NULL || away < fabs(nearest->epoch - epoch)))
            nearest = &curve->points[k];
    }
    return nearest;
}
