/* Where the splits of a set of photographs lie. Private to data/.
 *
 *     ROOT/train/ and ROOT/val/       or valid/, validation/, test/: the first that is there is tested on (others
 *                                 than val/ where they have class folders or are packed)
 *     ROOT/train/                     alone: a part of each class is kept from training, for tests (photo_split.h)
 *     ROOT/CLASS/IMAGE                likewise; or ROOT is one packed split
 *     ROOT/val/ (or the others)       alone: can be tested on, not trained on
 *
 * ROOT is data.path/data.folder; without a folder data.path/NAME, or data.path itself where that is not there. */
#ifndef GRAPEVINE_SRC_DATA_PHOTOS_PHOTO_LAYOUT_H
#define GRAPEVINE_SRC_DATA_PHOTOS_PHOTO_LAYOUT_H

#include "data/memory_set.h"

struct photo_layout {
    char *root;           /* owned */
    char *training;       /* owned: a split's folder; NULL: none is there */
    char *test;           /* owned, likewise; NULL: a part of the training images */
    const char *not_used; /* the name of another folder for tests beside `test`, or NULL */
};

/* STATUS_DATA (logged): nothing of the kind is there. */
enum status photo_layout_find(const struct dataset_kind *kind, const struct dataset_params *params,
                              struct photo_layout *out);
void photo_layout_release(struct photo_layout *layout);

/* The names of a folder for tests, the first that is there counts; and for messages. */
enum { PHOTO_TEST_FOLDERS = 4 };
extern const char *const photo_test_folders[PHOTO_TEST_FOLDERS];
#define PHOTO_TEST_FOLDERS_TEXT "val, valid, validation or test"

#endif
