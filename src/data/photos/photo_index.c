/* Photographs as a list: the split that lies in a folder. */
#include "data/photos/photo_index.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/photos/photo_folder.h"
#include "data/photos/photo_index_file.h"

void photo_index_release(struct photo_index *index)
{
    for (int c = 0; c < index->class_count; c++)
        free(index->class_names[c]);
    free(index->class_names);
    free(index->folder);
    free(index->photos);
    free(index->names);
    free(index->shard_bytes);
    *index = (struct photo_index){0};
}

const char *photo_name(const struct photo_index *index, size_t i)
{
    return index->names + index->photos[i].name;
}

char *photo_shard_path(const char *folder, uint32_t shard)
{
    return text_format("%s/shard-%05" PRIu32 ".bin", folder, shard);
}

static int compare_names(const void *key, const void *item)
{
    return strcmp(key, *(char *const *)item);
}

int photo_class(const struct photo_index *index, const char *name)
{
    char **found = index->class_count == 0 ? NULL
                                           : bsearch(name, index->class_names, (size_t)index->class_count,
                                                     sizeof *index->class_names, compare_names);
    return found != NULL ? (int)(found - index->class_names) : -1;
}

enum status photo_class_missing(const struct photo_index *classes, const char *name, const char *where)
{
    const char *nearest = text_nearest(name, (const char *const *)classes->class_names, (size_t)classes->class_count);
    log_error("%s: class \"%s\" is not among the %d classes of %s%s%s%s; a test split's classes are those of its "
              "training split: add it there, or take it out here",
              where, name, classes->class_count, classes->folder, nearest != NULL ? " (nearest: \"" : "",
              nearest != NULL ? nearest : "", nearest != NULL ? "\")" : "");
    return STATUS_DATA;
}

/* Number the photographs of a packed split as `classes` does. */
static enum status renumber(struct photo_index *index, const struct photo_index *classes)
{
    int *numbers = memory_zalloc((size_t)index->class_count, sizeof *numbers);
    for (int c = 0; c < index->class_count; c++) {
        numbers[c] = photo_class(classes, index->class_names[c]);
        if (numbers[c] < 0) {
            free(numbers);
            return photo_class_missing(classes, index->class_names[c], index->folder);
        }
    }
    for (size_t i = 0; i < index->count; i++)
        index->photos[i].label = numbers[index->photos[i].label];
    free(numbers);
    for (int c = 0; c < index->class_count; c++)
        free(index->class_names[c]);
    index->class_count = classes->class_count;
    index->class_names = memory_realloc(index->class_names, (size_t)classes->class_count, sizeof *index->class_names);
    for (int c = 0; c < classes->class_count; c++)
        index->class_names[c] = memory_copy_text(classes->class_names[c]);
    return STATUS_OK;
}

static enum status open_packed(const char *path, const struct photo_index *classes, struct photo_index *index)
{
    struct photo_origin origin;
    TRY(photo_index_read(path, index, &origin));
    if (index->count == 0) {
        log_error("%s: there is no photograph in it; pack a folder that has some", path);
        return STATUS_DATA;
    }
    TRY(photo_index_check_shards(index));
    return classes != NULL ? renumber(index, classes) : STATUS_OK;
}

static void count_foreign(void *context, const char *path, const char *reason)
{
    (void)path;
    (void)reason;
    ++*(size_t *)context;
}

/* Shards without an index are a pack that is not finished. */
static enum status expect_no_shards(const char *folder)
{
    char *shard = photo_shard_path(folder, 0);
    bool there = access(shard, F_OK) == 0;
    free(shard);
    if (!there)
        return STATUS_OK;
    log_error("%s: shards, but no index.bin: it is not packed to its end; give the same `grapevine pack` again",
              folder);
    return STATUS_DATA;
}

enum status photo_index_open(const char *folder, const struct photo_index *classes, size_t *foreign,
                             struct photo_index *out)
{
    struct photo_index index = {0};
    enum status status;
    size_t foreign_here = 0;
    char *path = text_format("%s/index.bin", folder);
    if (access(path, F_OK) == 0) {
        status = open_packed(path, classes, &index);
    } else {
        status = expect_no_shards(folder);
        if (status == STATUS_OK)
            status = photo_folder_classes(folder, classes, count_foreign, &foreign_here, &index);
    }
    free(path);
    if (status != STATUS_OK) {
        photo_index_release(&index);
        return status;
    }
    if (foreign != NULL)
        *foreign = foreign_here;
    *out = index;
    return STATUS_OK;
}
