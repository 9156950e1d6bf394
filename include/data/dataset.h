/* Labelled pictures, as a table of functions: in memory, drawn, or read on demand.
 *
 * A data set is one file in src/data/ and one line in the list of dataset.c, which states mean and deviation of each.
 * Augmentation: a crop of the picture's size from a border of 4 black pixels, then, but for digits, a horizontal flip
 * (Fashion-MNIST and shapes are flipped too); none for gaussian. Photographs (imagenet, photos) are of any size: a crop
 * of random area and ratio is resized to the size that is asked for and flipped; without augmentation the middle 7/8 of
 * the shorter side is. Knows nothing of models or algorithms. */
#ifndef GRAPEVINE_DATA_DATASET_H
#define GRAPEVINE_DATA_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "base/status.h"
#include "device/device.h"

struct dataset;

/* How far a picture is made, for those who measure what each part costs. */
enum dataset_part {
    DATASET_READ,   /* its bytes are read */
    DATASET_DECODE, /* and decoded, as far as fetch_at needs them: no pixel is written to `out` */
    DATASET_WHOLE,  /* or decoded as a whole, at full size */
    DATASET_ALL     /* what fetch_at does */
};

struct dataset_ops {
    /* Write picture `index` as normalised fp32 (channels, height, width). `augment` is the sample's own stream, NULL
     * for none. Thread-safe. STATUS_DATA (logged) when the picture cannot be read. */
    enum status (*fetch)(const struct dataset *set, size_t index, struct random_stream *augment, float *out);
    /* The same in another size, (channels, size, size), of a set whose pictures are resized anyway. NULL for others. */
    enum status (*fetch_at)(const struct dataset *set, size_t index, int size, struct random_stream *augment,
                            float *out);
    /* A part of what fetch_at does; *bytes (may be NULL): read, decoded pixels, or written. STATUS_DATA: the picture
     * cannot be read (not logged; none takes its place). NULL where fetch_at is. */
    enum status (*fetch_part)(const struct dataset *set, size_t index, int size, enum dataset_part part,
                              struct random_stream *augment, float *out, uint64_t *bytes);
    /* These pictures (count) are wanted soon: bring what they are read from into memory, in long reads. Blocks; by one
     * thread at a time. NULL where nothing is to be gained. */
    void (*will_need)(const struct dataset *set, const uint32_t *indices, size_t count);
    /* The same picture of a set that has `bytes`, to be made on a device: the same draws. NULL for other sets. */
    void (*pick)(const struct dataset *set, size_t index, struct random_stream *augment, struct picture_pick *out);
    /* The file that a picture has come from, as its class folder or its pack names it. NULL for sets without files. */
    const char *(*file)(const struct dataset *set, size_t index);
    /* Digest of the picture's bytes as they are stored; 0 where they cannot be read. NULL for sets that are drawn, and
     * those with `bytes`. */
    uint64_t (*digest)(const struct dataset *set, size_t index);
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
    /* (channels): an input is (pixel/255 − mean)/deviation; NULL: they are no pixels. Owned by the set, or static. */
    const double *input_mean, *input_deviation;
    /* Where pictures lie in blocks of a disk that are best read as a whole, and do not fit in memory: block b has
     * pictures [block_ends[b − 1], block_ends[b]), and an epoch takes them in pools of so many blocks (partition.h).
     * Else NULL and 0: any order is as good. */
    const uint32_t *block_ends; /* (block_count), owned by the set */
    size_t block_count, pool;
    /* (channels), of pixels scaled to [0, 1], where they were measured or given; NULL where they are the set's usual
     * ones. Owned by the set. */
    const double *mean, *deviation;
    bool is_share;    /* it has no test images, and a share of the training images is tested on */
    const char *note; /* where its images come from, for the run's output and record; NULL: from where they usually do;
                       * owned by the set */
};

/* How the pictures of a packed set are shuffled, where it matters that a disk is fastest in long reads. */
struct dataset_shuffle {
    enum dataset_shuffle_way {
        DATASET_SHUFFLE_AUTO,    /* evenly if the set fits in half of the machine's memory, else in blocks */
        DATASET_SHUFFLE_UNIFORM, /* every order of all pictures is as likely as another */
        DATASET_SHUFFLE_BLOCKS   /* blocks are shuffled, then the pictures of a pool of blocks */
    } way;
    uint64_t block_bytes, pool_bytes; /* > 0 */
};

struct dataset_params {
    const char *name;  /* of dataset_names() */
    const char *path;  /* the folder that holds the sets' folders: data.path, else $GRAPEVINE_DATA; "" if neither */
    bool train;        /* the training split, else the test split */
    bool augment;      /* allow augmentation (training split) */
    size_t count;      /* shapes, gaussian: pictures to draw, 0 for 8192 (training) or 2048 (test);
                            * photographs: so many, evenly from all; others: the first `count` only; 0 for all */
    uint64_t seed;     /* shapes, gaussian, and the choice of: */
    double test_share; /* where a set has no test images: the share of each class's training images that are for tests;
                        * the training split lacks them */
    const double *mean, *deviation; /* npy: of each channel, in [0, 1]; none: measured on the training images */
    int mean_count, deviation_count;
    /* class_count is for npy, too: 0 is the largest label plus one */
    int dimension, class_count; /* gaussian: features of a sample, a picture of shape (1, 1, dimension); classes */
    double condition;           /* gaussian: largest over smallest variance of a feature, ≥ 1 */
    /* imagenet, photos: */
    const char *folder; /* of the set, below path; NULL or "": its usual name */
    int size;           /* rows and columns of what fetch writes; 0: 224 */
    bool stops_at_bad;  /* a picture that cannot be read is an error, else another of its class takes its place */
    struct dataset_shuffle shuffle;
};

/* Open a set. STATUS_USAGE: unknown name (nearest named), more pictures asked for than there are or
 * than memory should hold (gaussian). STATUS_DATA:
 * missing, short or corrupt file (names the file, what was expected and how to get it: scripts/get_data.sh). One logged
 * message. */
enum status dataset_open(const struct dataset_params *params, struct dataset **out);
void dataset_close(struct dataset *set);

/* The set is read from files below dataset_params.path, not drawn. */
bool dataset_has_files(const char *name);

/* NULL-terminated: shapes gaussian cifar10 cifar100 mnist fashion-mnist imagenet photos npy. */
const char *const *dataset_names(void);

#endif
