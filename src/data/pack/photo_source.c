/* What a pack is made of. */
#include "data/pack/photo_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "data/photos/photo_folder.h"
#include "data/pack/photo_labels.h"

enum { SIZES_AT_ONCE = 8192, DIGEST_VERSION = 1 };

static const uint64_t shuffle_seed = 1;

static void report_foreign(void *context, const char *path, const char *reason)
{
    photo_report_add(context, path, reason);
}

static enum status find_photographs(const struct photo_source_params *params, struct photo_source *source)
{
    if (params->labels == NULL)
        return photo_folder_classes(params->folder, params->classes, report_foreign, &source->foreign, &source->list);
    TRY(photo_folder_flat(params->folder, report_foreign, &source->foreign, &source->list));
    return photo_labels_apply(params->labels, params->synsets, params->classes, &source->list);
}

/* A link that leads nowhere, or into a place that nobody may look at, has no size; it is left out later. */
static bool has_no_size(int reason)
{
    return reason == ENOENT || reason == ENOTDIR || reason == ELOOP || reason == EACCES || reason == ENAMETOOLONG;
}

/* errno of the failure, 0 if there was none. */
static int find_size(int folder, const struct photo_index *list, size_t i)
{
    struct stat about;
    if (fstatat(folder, photo_name(list, i), &about, 0) != 0)
        return has_no_size(errno) ? 0 : errno;
    if (S_ISREG(about.st_mode))
        list->photos[i].size = (uint64_t)about.st_size < UINT32_MAX ? (uint32_t)about.st_size : UINT32_MAX;
    return 0;
}

/* Of photographs first … last − 1. A network's file system answers many questions at once as fast as one. */
static enum status find_some_sizes(int folder, const struct photo_index *list, size_t first, size_t last, int threads)
{
    size_t failed = SIZE_MAX;
    int reason = 0;
    (void)threads;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 64)
    for (size_t i = first; i < last; i++) {
        int here = find_size(folder, list, i);
        if (here == 0)
            continue;
#pragma omp critical(photo_size_failed)
        if (i < failed) {
            failed = i;
            reason = here;
        }
    }
    if (failed == SIZE_MAX)
        return STATUS_OK;
    log_error("%s/%s: its size is not to be had: %s; look at the file system, and give the same command again",
              list->folder, photo_name(list, failed), strerror(reason));
    return STATUS_MACHINE;
}

static enum status find_sizes(const struct photo_source_params *params, struct photo_source *source)
{
    struct photo_index *list = &source->list;
    int folder = open(params->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum status status = STATUS_OK;
    if (folder < 0) {
        log_error("%s: %s", params->folder, strerror(errno));
        return STATUS_DATA;
    }
    for (size_t first = 0; first < list->count && status == STATUS_OK; first += SIZES_AT_ONCE) {
        size_t last = list->count - first < SIZES_AT_ONCE ? list->count : first + SIZES_AT_ONCE;
        status = find_some_sizes(folder, list, first, last, params->threads);
        if (params->progress != NULL)
            params->progress(params->context, last, list->count);
    }
    close(folder);
    for (size_t i = 0; i < list->count; i++)
        source->bytes += list->photos[i].size;
    return status;
}

static uint64_t digest_number(uint64_t before, uint64_t number)
{
    return digest_bytes(before, &number, sizeof number);
}

static uint64_t digest_list(const struct photo_index *list)
{
    uint64_t digest = digest_number(0, DIGEST_VERSION);
    for (int c = 0; c < list->class_count; c++)
        digest = digest_bytes(digest, list->class_names[c], strlen(list->class_names[c]) + 1);
    for (size_t i = 0; i < list->count; i++) {
        const char *name = photo_name(list, i);
        digest = digest_bytes(digest, name, strlen(name) + 1);
        digest = digest_number(digest, (uint64_t)list->photos[i].label << 32 | list->photos[i].size);
    }
    return digest;
}

static void shuffle(struct photo_source *source)
{
    size_t count = source->list.count;
    struct random_stream stream = random_stream(shuffle_seed, RANDOM_PACK, 0, 0);
    source->order = memory_zalloc(count, sizeof *source->order);
    for (size_t i = 0; i < count; i++)
        source->order[i] = (uint32_t)i;
    random_shuffle(&stream, source->order, count);
}

/* A shard ends before the photograph that would make it too large; one photograph always finds room. */
static void cut_into_shards(struct photo_source *source, uint64_t shard_bytes)
{
    size_t room = 0;
    uint64_t filled = 0;
    for (size_t k = 0; k < source->list.count; k++) {
        uint64_t size = source->list.photos[source->order[k]].size;
        if (k == 0 || (filled > 0 && filled + size > shard_bytes)) {
            if (source->shard_count + (size_t)2 > room) {
                room = 2 * room + 64;
                source->first = memory_realloc(source->first, room, sizeof *source->first);
            }
            source->first[source->shard_count++] = k;
            filled = 0;
        }
        filled += size;
    }
    source->first[source->shard_count] = source->list.count;
}

uint64_t photo_source_shard_bytes(const struct photo_source *source, uint32_t shard)
{
    uint64_t bytes = 0;
    for (size_t k = source->first[shard]; k < source->first[shard + 1]; k++)
        bytes += source->list.photos[source->order[k]].size;
    return bytes;
}

enum status photo_source_open(const struct photo_source_params *params, struct photo_source *out)
{
    struct photo_source source = {0};
    enum status status;
    TRY_GOTO(find_photographs(params, &source), release);
    if (source.list.count > UINT32_MAX) {
        log_error("%s: %zu photographs, a pack has at most %lu", params->folder, source.list.count,
                  (unsigned long)UINT32_MAX);
        status = STATUS_DATA;
        goto release;
    }
    TRY_GOTO(find_sizes(params, &source), release);
    source.origin = (struct photo_origin){.list = digest_list(&source.list),
                                          .shard_bytes = params->shard_bytes,
                                          .short_side = params->short_side,
                                          .quality = params->quality};
    shuffle(&source);
    cut_into_shards(&source, params->shard_bytes);
    *out = source;
    return STATUS_OK;
release:
    photo_source_release(&source);
    return status;
}

void photo_source_release(struct photo_source *source)
{
    photo_index_release(&source->list);
    photo_report_release(&source->foreign);
    free(source->order);
    free(source->first);
    *source = (struct photo_source){0};
}
