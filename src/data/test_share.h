/* A part of the training images for tests, of a set that has no others: so many of each class, chosen by a digest of
 * seed and name. The choice does not depend on the order of the images, and hardly on which others there are.
 * Private to data/. */
#ifndef GRAPEVINE_SRC_DATA_TEST_SHARE_H
#define GRAPEVINE_SRC_DATA_TEST_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "data/dataset.h"

struct test_share {
    size_t count;
    int class_count;
    const int32_t *labels; /* (count) */
    /* Digest of seed and name of image i. */
    uint64_t (*digest)(const void *context, uint64_t seed, size_t i);
    const void *context;
    const char *where; /* of messages: the folder, or the file */
};

/* The places of the images that the split of `params` has (train, seed, test_share), ascending: *places (*count), owned
 * by the caller. Of n images of a class round(n · share) are for tests, at least 1 and at most n − 1. STATUS_USAGE
 * (logged): the share is 0; STATUS_DATA (logged): no class has two images. */
enum status test_share_choose(const struct test_share *share, const struct dataset_params *params, uint32_t **places,
                              size_t *count);

/* "0.1 of the images of each class in WHERE, kept from training by seed 1", owned by the caller. */
char *test_share_note(const struct dataset_params *params, const char *where);

#endif
