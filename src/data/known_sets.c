/* The published sets by their first labels. Twenty labels of ten classes are by chance those of another set once in
 * 10²⁰ times, ten of a hundred as often. */
#include "data/known_sets.h"

#include <stdbool.h>
#include <string.h>

#include "base/log.h"

enum { LABELS_MAX = 20 };

struct known_file {
    const char *set, *file;
    size_t count;
    size_t label_count; /* that are compared */
    int8_t labels[LABELS_MAX];
};

static const struct known_file known_files[] = {
    {"mnist", "train-labels-idx1-ubyte", 60000, 20, {5, 0, 4, 1, 9, 2, 1, 3, 1, 4, 3, 5, 3, 6, 1, 7, 2, 8, 6, 9}},
    {"mnist", "t10k-labels-idx1-ubyte", 10000, 20, {7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6, 9, 0, 1, 5, 9, 7, 3, 4}},
    {"fashion-mnist", "train-labels-idx1-ubyte", 60000, 20, {9, 0, 0, 3, 0, 2, 7, 2, 5, 5,
                                                             0, 9, 5, 5, 7, 9, 1, 0, 6, 4}},
    {"fashion-mnist", "t10k-labels-idx1-ubyte", 10000, 20, {9, 2, 1, 1, 6, 1, 4, 6, 5, 7,
                                                            4, 5, 7, 3, 4, 1, 2, 4, 8, 0}},
    {"cifar10", "data_batch_1.bin", 10000, 20, {6, 9, 9, 4, 1, 1, 2, 7, 8, 3, 4, 7, 7, 2, 9, 9, 9, 3, 2, 6}},
    {"cifar10", "data_batch_2.bin", 10000, 20, {1, 6, 6, 8, 8, 3, 4, 6, 0, 6, 0, 3, 6, 6, 5, 4, 8, 3, 2, 6}},
    {"cifar10", "data_batch_3.bin", 10000, 20, {8, 5, 0, 6, 9, 2, 8, 3, 6, 2, 7, 4, 6, 9, 0, 0, 7, 3, 7, 2}},
    {"cifar10", "data_batch_4.bin", 10000, 20, {0, 6, 0, 2, 7, 2, 1, 2, 4, 1, 5, 6, 6, 3, 1, 3, 5, 5, 8, 1}},
    {"cifar10", "data_batch_5.bin", 10000, 20, {1, 8, 5, 1, 5, 7, 4, 3, 8, 2, 7, 2, 0, 1, 5, 9, 6, 2, 0, 8}},
    {"cifar10", "test_batch.bin", 10000, 20, {3, 8, 8, 0, 6, 6, 1, 6, 3, 1, 0, 9, 5, 7, 9, 8, 5, 7, 8, 6}},
    {"cifar100", "train.bin", 50000, 10, {19, 29, 0, 11, 1, 86, 90, 28, 23, 31}},
    {"cifar100", "test.bin", 10000, 10, {49, 33, 72, 51, 71, 92, 15, 14, 23, 0}},
};

static bool begins_so(const struct known_file *known, const int32_t *labels, size_t count)
{
    if (count < known->label_count)
        return false;
    for (size_t i = 0; i < known->label_count; i++)
        if (labels[i] != known->labels[i])
            return false;
    return true;
}

const struct known_file *known_file_find(const int32_t *labels, size_t count)
{
    for (size_t k = 0; k < sizeof known_files / sizeof known_files[0]; k++)
        if (begins_so(&known_files[k], labels, count))
            return &known_files[k];
    return NULL;
}

size_t known_file_count(const struct known_file *known)
{
    return known->count;
}

enum status known_file_expect(const char *set, const char *file, const char *path, const int32_t *labels, size_t count)
{
    const struct known_file *known = known_file_find(labels, count);
    if (known == NULL || (strcmp(known->set, set) == 0 && strcmp(known->file, file) == 0))
        return STATUS_OK;
    if (strcmp(known->set, set) == 0)
        log_error("%s: holds what is %s's file %s, in the place of %s: put it under its own name, or get the set anew",
                  path, set, known->file, file);
    else
        log_error("%s: holds %s (its file %s), in the place of %s: train on it with data.name=%s, after it has been "
                  "moved to a folder of its own, or get %s",
                  path, known->set, known->file, set, known->set, set);
    return STATUS_DATA;
}
