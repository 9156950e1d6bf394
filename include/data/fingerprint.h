/* What a data set is, in a few words that are the same wherever the same data lie, and others for other data.
 *
 * "256 images, 10 classes, digest 0123456789abcdef": the digest is of the labels in their order, the names of the
 * classes, and of pixels as they are stored: of all where they are in memory, else of the bytes of some files, evenly
 * from the whole set. Packed photographs that kept their bytes and order are the same as loose ones. */
#ifndef GRAPEVINE_DATA_FINGERPRINT_H
#define GRAPEVINE_DATA_FINGERPRINT_H

#include "base/text.h"
#include "data/dataset.h"

void fingerprint_add(const struct dataset *set, struct text *out);

#endif
