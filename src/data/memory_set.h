/* Pictures held in memory as bytes, and what the sets made of them share: crop, flip, normalisation.
 *
 * A reader (cifar.c, idx.c, shapes.c) fills the bytes and labels; memory_set.c serves them. Private to data/.
 * Augmentation is torchvision's RandomCrop(size, padding=4) followed by RandomHorizontalFlip: the border is pixel
 * value 0 before normalisation. Draws of a sample's stream, in this order: rows of the crop in [0, 8], columns of the
 * crop in [0, 8], and, for kinds that may be flipped, one word whose lowest bit flips. */
#ifndef GRAPEVINE_DATA_MEMORY_SET_H
#define GRAPEVINE_DATA_MEMORY_SET_H

#include "data/dataset.h"

enum { MEMORY_SET_PADDING = 4, MEMORY_SET_CHANNELS_MAX = 3 };

/* What is known of a data set before a file is read: one row per set in dataset.c. */
struct dataset_kind {
    const char *name;
    enum status (*open)(const struct dataset_kind *kind, const struct dataset_params *params, struct dataset **out);
    const char *folder;                        /* below dataset_params.path; NULL: drawn */
    int channels, height, width;               /* gaussian: a width of 0, the one that is asked for; so with classes */
    int class_count;                           /* photographs: 0, as many as there are folders */
    const char *const *class_names;            /* (class_count) or NULL */
    bool flip;                                 /* a picture and its mirror image belong to the same class */
    double mean[MEMORY_SET_CHANNELS_MAX];      /* (channels), of pixels scaled to [0, 1] */
    double deviation[MEMORY_SET_CHANNELS_MAX]; /* (channels), likewise */
    const char *const *folders;                /* other usual names of `folder`, NULL-terminated; or NULL */
    const char *python_folder;                 /* what a version of the set that is not read is called; or NULL */
};

/* Pictures as a reader leaves them. */
struct raw_pictures {
    uint8_t *pixels; /* (count, channels, height, width), from memory_alloc_aligned */
    int32_t *labels; /* (count), from memory_alloc_aligned, each in [0, class_count) */
    size_t count;
};

void raw_pictures_init(struct raw_pictures *raw, const struct dataset_kind *kind, size_t count);
void raw_pictures_release(struct raw_pictures *raw);

/* Take over `raw` (emptied) and make a data set of it. */
struct dataset *memory_set_create(const struct dataset_kind *kind, bool augment, struct raw_pictures *raw);

/* The set says which mean and deviation of `kind` it has, and `note` (taken over, or NULL). */
void memory_set_describe(struct dataset *set, const struct dataset_kind *kind, char *note);

/* STATUS_USAGE (logged) when more pictures are asked for than the files hold; else *count is what to read. */
enum status memory_set_count(const struct dataset_kind *kind, const struct dataset_params *params, size_t available,
                             size_t *count);

/* The last half of a message about a file: how to get the set, and where it is looked for. Owned by the caller. */
char *dataset_remedy(const struct dataset_kind *kind, const struct dataset_params *params);

enum status cifar10_open(const struct dataset_kind *kind, const struct dataset_params *params, struct dataset **out);
enum status cifar100_open(const struct dataset_kind *kind, const struct dataset_params *params, struct dataset **out);
enum status idx_open(const struct dataset_kind *kind, const struct dataset_params *params, struct dataset **out);
enum status gaussian_open(const struct dataset_kind *kind, const struct dataset_params *params, struct dataset **out);
enum status arrays_open(const struct dataset_kind *kind, const struct dataset_params *params, struct dataset **out);
enum status photos_open(const struct dataset_kind *kind, const struct dataset_params *params, struct dataset **out);
enum status shapes_open(const struct dataset_kind *kind, const struct dataset_params *params, struct dataset **out);

#endif
