/* A list of photographs that grows. */
#include "data/photos/photo_builder.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { PHOTO_ROOM_FIRST = 1024, NAME_ROOM_FIRST = 65536 };

static char *grow_names(struct photo_builder *builder, size_t bytes)
{
    size_t need = builder->name_bytes + bytes;
    if (need > builder->name_room) {
        builder->name_room = need * 2 > NAME_ROOM_FIRST ? need * 2 : NAME_ROOM_FIRST;
        builder->index.names = memory_realloc(builder->index.names, builder->name_room, 1);
    }
    char *end = builder->index.names + builder->name_bytes;
    builder->name_bytes = need;
    return end;
}

struct photo *photo_builder_add(struct photo_builder *builder, const char *folder, const char *name)
{
    struct photo_index *index = &builder->index;
    if (index->count == builder->photo_room) {
        builder->photo_room = index->count > 0 ? 2 * index->count : PHOTO_ROOM_FIRST;
        index->photos = memory_realloc(index->photos, builder->photo_room, sizeof *index->photos);
    }
    struct photo *photo = &index->photos[index->count++];
    *photo = (struct photo){.name = builder->name_bytes};
    size_t folder_length = folder != NULL ? strlen(folder) + 1 : 0, length = strlen(name) + 1;
    char *place = grow_names(builder, folder_length + length);
    if (folder != NULL) {
        memcpy(place, folder, folder_length - 1);
        place[folder_length - 1] = '/';
    }
    memcpy(place + folder_length, name, length);
    return photo;
}

void photo_builder_copy_classes(struct photo_builder *builder, const struct photo_index *from)
{
    struct photo_index *index = &builder->index;
    index->class_count = from->class_count;
    index->class_names = memory_zalloc((size_t)from->class_count, sizeof *index->class_names);
    for (int c = 0; c < from->class_count; c++)
        index->class_names[c] = memory_copy_text(from->class_names[c]);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void photo_builder_set_classes(struct photo_builder *builder, const char **names, size_t count)
{
    struct photo_index *index = &builder->index;
    qsort(names, count, sizeof *names, by_text);
    index->class_names = memory_zalloc(count, sizeof *index->class_names);
    for (size_t k = 0; k < count; k++)
        if (k == 0 || strcmp(names[k], names[k - 1]) != 0)
            index->class_names[index->class_count++] = memory_copy_text(names[k]);
}
