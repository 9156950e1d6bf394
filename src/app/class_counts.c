/* How many images of each class each worker trains on. */
#include "app/class_counts.h"

#include <stdlib.h>
#include <string.h>

#include "app/plan_data.h"
#include "base/memory.h"

enum { SHOWN_WORKERS = 16, SHOWN_CLASSES = 20 };

/* Each worker's share costs a pass over all images; and so many numbers nobody reads. */
static const double passes_most = 5e7, numbers_most = 1e6;

static uint64_t *row_of(const struct class_counts *counts, int worker)
{
    return counts->counts + (size_t)worker * (size_t)counts->classes;
}

static enum status count(const struct plan *plan, int worker, uint64_t *row)
{
    const struct partition_params params = plan_partition_params(plan, worker);
    struct partition partition;
    TRY(partition_create(&params, plan->train, &partition, NULL));
    for (size_t k = 0; k < partition.count; k++)
        row[plan->train->labels[partition.indices[k]]]++;
    partition_release(&partition);
    return STATUS_OK;
}

enum status class_counts_create(const struct plan *plan, struct class_counts *out)
{
    double workers = plan->place.worker_count;
    enum status status = STATUS_OK;
    *out = (struct class_counts){.workers = plan->place.worker_count, .classes = plan->train->class_count};
    if (strcmp(plan->config->data.partition, "shared") == 0 || workers * (double)plan->train->count > passes_most ||
        workers * out->classes > numbers_most)
        return STATUS_OK;
    out->counts = memory_zalloc((size_t)out->workers * (size_t)out->classes, sizeof out->counts[0]);
    for (int i = 0; i < out->workers && status == STATUS_OK; i++)
        status = count(plan, i, row_of(out, i));
    if (status != STATUS_OK)
        class_counts_release(out);
    return status;
}

void class_counts_release(struct class_counts *counts)
{
    free(counts->counts);
    *counts = (struct class_counts){0};
}

static uint64_t sum_of(const struct class_counts *counts, int worker)
{
    uint64_t sum = 0;
    for (int c = 0; c < counts->classes; c++)
        sum += row_of(counts, worker)[c];
    return sum;
}

static void print_table(const struct class_counts *counts, const char *const *names, FILE *out)
{
    fprintf(out, "classes          %-14s", "worker");
    for (int i = 0; i < counts->workers; i++)
        fprintf(out, " %6d", i);
    for (int c = 0; c < counts->classes; c++) {
        char number[24];
        snprintf(number, sizeof number, "class %d", c);
        fprintf(out, "\n                 %-14.14s", names != NULL ? names[c] : number);
        for (int i = 0; i < counts->workers; i++)
            fprintf(out, " %6llu", (unsigned long long)row_of(counts, i)[c]);
    }
    fprintf(out, "\n                 %-14s", "images");
    for (int i = 0; i < counts->workers; i++)
        fprintf(out, " %6llu", (unsigned long long)sum_of(counts, i));
    fprintf(out, "\n");
}

/* Least and largest of a figure over workers. */
struct range {
    double least, most;
};

static void widen(struct range *range, int worker, double value)
{
    range->least = worker == 0 || value < range->least ? value : range->least;
    range->most = worker == 0 || value > range->most ? value : range->most;
}

static void print_summary(const struct class_counts *counts, FILE *out)
{
    struct range images = {0}, present = {0}, largest = {0};
    for (int i = 0; i < counts->workers; i++) {
        double sum = (double)sum_of(counts, i), most = 0;
        int found = 0;
        for (int c = 0; c < counts->classes; c++) {
            double here = (double)row_of(counts, i)[c];
            found += here > 0;
            most = here > most ? here : most;
        }
        widen(&images, i, sum);
        widen(&present, i, found);
        widen(&largest, i, 100 * most / sum);
    }
    fprintf(
        out,
        "classes          a worker has %.0f to %.0f images, of %.0f to %.0f of the %d classes; its largest class is "
        "%.0f to %.0f %% of them\n",
        images.least, images.most, present.least, present.most, counts->classes, largest.least, largest.most);
}

void class_counts_print(const struct class_counts *counts, const char *const *names, FILE *out)
{
    if (counts->counts == NULL)
        return;
    if (counts->workers <= SHOWN_WORKERS && counts->classes <= SHOWN_CLASSES)
        print_table(counts, names, out);
    else
        print_summary(counts, out);
}
