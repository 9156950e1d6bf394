/* Photographs that lie in a folder as files: in one folder for each class, or all together. Private to data/.
 *
 * A photograph is a file, or a link, whose name ends as an image's does (image.h), in capitals or not, and does not
 * begin with a dot: nobody looks inside. Whatever else there is, is told of and left out. */
#ifndef GRAPEVINE_SRC_DATA_PHOTOS_PHOTO_FOLDER_H
#define GRAPEVINE_SRC_DATA_PHOTOS_PHOTO_FOLDER_H

#include "data/photos/photo_index.h"

/* Told of what is no photograph: `path` below the folder, and why not ("is a folder"). Both borrowed. */
typedef void photo_foreign_fn(void *context, const char *path, const char *reason);

/* FOLDER/CLASS/PHOTOGRAPH, by class, then by name (strcmp). `classes`: whose numbers are to be used, NULL: the folders'
 * own. STATUS_DATA (logged): no class folder or no photograph, a folder that cannot be read, one of a class that
 * `classes` lacks, and, where that is NULL, one without photographs. */
enum status photo_folder_classes(const char *folder, const struct photo_index *classes, photo_foreign_fn *foreign,
                                 void *context, struct photo_index *out);

/* FOLDER/PHOTOGRAPH, by name (strcmp); no classes yet, all labels are −1. STATUS_DATA (logged): no photograph there. */
enum status photo_folder_flat(const char *folder, photo_foreign_fn *foreign, void *context, struct photo_index *out);

/* The name's ending is a photograph's. */
bool photo_folder_is_name(const char *name);

#endif
