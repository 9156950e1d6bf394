/* Labelled pictures, as a table of functions: in memory, drawn, or read on demand.
 *
 * A data set is one file in src/data/ and one line in the list of dataset.c, which states mean and deviation of each.
 * Augmentation: a crop of the picture's size from a border of 4 black pixels, then, but for digits, a horizontal flip
 * (Fashion-MNIST and shapes are flipped too); none for gaussian. Knows nothing of models or algorithms. */
#ifndef GRAPEVINE_DATA_DATASET_H
#define GRAPEVINE_DATA_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "base/status.h"
#include "device/device.h"

struct dataset;

struct dataset_ops {
    /* Write picture `index` as normalised fp32 (channels, height, width). `augment` is the sample's own stream, NULL
     * for none. Thread-safe. STATUS_DATA (logged) when the picture cannot be read. */
    enum status (*fetch)(const struct dataset *set, size_t index, struct random_stream *augment, float *out);
    /* The same picture of a set that has `bytes`, to be made on a device: the same draws. NULL for other sets. */
    void (*pick)(const struct dataset *set, size_t index, struct random_stream *augment, struct picture_pick *out);
    void (*destroy)(struct dataset *set);
};

struct dataset {
    const struct dataset_ops *ops;
    size_t count;                /* pictures */
    int channels, height, width; /* of what fetch writes */
    int class_count;
    const int32_t *labels; /* (count), owned by the set */
    const struct picture_bytes
        *bytes;                     /* all its pictures, where they are bytes in memory, else NULL; owned by the set */
    const char *const *class_names; /* (class_count) or NULL */
};

struct dataset_params {
    const char *name; /* of dataset_names() */
    const char *path; /* the folder that holds the sets' folders: data.path, else $GRAPEVINE_DATA; "" if neither */
    bool train;       /* the training split, else the test split */
    bool augment;     /* allow augmentation (training split) */
    size_t count;     /* shapes, gaussian: pictures to draw, 0 for 8192 (training) or 2048 (test);
                            * others: use the first `count` only, 0 for all */
    uint64_t seed;    /* shapes, gaussian */
    int dimension, class_count; /* gaussian: features of a sample, a picture of shape (1, 1, dimension); classes */
    double condition;           /* gaussian: largest over smallest variance of a feature, ≥ 1 */
};

/* Open a set. STATUS_USAGE: unknown name (nearest named), more pictures asked for than there are or
 * than memory should hold (gaussian). STATUS_DATA:
 * missing, short or corrupt file (names the file, what was expected and how to get it: scripts/get_data.sh). One logged
 * message. */
enum status dataset_open(const struct dataset_params *params, struct dataset **out);
void dataset_close(struct dataset *set);

/* NULL-terminated: shapes gaussian cifar10 cifar100 mnist fashion-mnist. */
const char *const *dataset_names(void);

#endif
