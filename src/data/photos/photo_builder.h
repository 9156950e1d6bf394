/* A list of photographs that grows. Private to data/. */
#ifndef GRAPEVINE_SRC_DATA_PHOTOS_PHOTO_BUILDER_H
#define GRAPEVINE_SRC_DATA_PHOTOS_PHOTO_BUILDER_H

#include "data/photos/photo_index.h"

/* Start with {0}. `index` is what was built so far; once it is complete, it may be taken out. */
struct photo_builder {
    struct photo_index index;
    size_t photo_room, name_room, name_bytes;
};

/* Append a photograph named "FOLDER/NAME", or NAME where folder is NULL. All else is zero and the caller's to set,
 * until the next call. */
struct photo *photo_builder_add(struct photo_builder *builder, const char *folder, const char *name);
/* Classes as `from` has them. */
void photo_builder_copy_classes(struct photo_builder *builder, const struct photo_index *from);
/* Its own classes: sorted by strcmp, each once. `names` is the caller's, and sorted. */
void photo_builder_set_classes(struct photo_builder *builder, const char **names, size_t count);

#endif
