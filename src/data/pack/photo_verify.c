/* A pack read from beginning to end, and compared with its checksums. */
#include "data/photo_pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/photos/photo_index_file.h"

enum { CHUNK_BYTES = 8 << 20 };

struct check {
    const struct photo_pack_observer *observer;
    const struct photo_index *index;
    struct photo_pack_progress progress;
    uint8_t *chunk; /* owned (CHUNK_BYTES) */
    size_t damages;
    /* the shard that is being read */
    char *path;       /* owned */
    size_t photo;     /* the next one that is not complete */
    uint32_t running; /* the checksum of what was read of it */
    uint64_t left;    /* bytes of it that are still to come */
};

static void __attribute__((format(printf, 2, 3))) tell_damage(struct check *check, const char *format, ...)
{
    char trouble[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(trouble, sizeof trouble, format, arguments);
    va_end(arguments);
    struct text text = {0};
    text_add(&text, "%s: %s", check->path, trouble);
    check->damages++;
    if (check->observer->damage != NULL)
        check->observer->damage(check->observer->context, text_view(&text));
    text_release(&text);
}

static void tell_progress(struct check *check)
{
    if (check->observer->progress != NULL)
        check->observer->progress(check->observer->context, &check->progress);
}

static bool of_shard(const struct check *check, uint32_t shard)
{
    return check->photo < check->index->count && check->index->photos[check->photo].shard == shard;
}

static void begin_photo(struct check *check, uint32_t shard)
{
    check->running = 0;
    check->left = of_shard(check, shard) ? check->index->photos[check->photo].size : 0;
}

static void end_photo(struct check *check, uint32_t shard)
{
    const struct photo *photo = &check->index->photos[check->photo];
    if (check->running != photo->checksum)
        tell_damage(check, "bytes %" PRIu64 " to %" PRIu64 " have another checksum: %s", photo->offset,
                    photo->offset + photo->size - 1, photo_name(check->index, check->photo));
    check->photo++;
    check->progress.done++;
    begin_photo(check, shard);
}

/* The next bytes of the shard: the end of one photograph, whole ones, the beginning of another. */
static void check_bytes(struct check *check, uint32_t shard, const uint8_t *bytes, size_t count)
{
    while (count > 0 && check->left > 0) {
        size_t here = count < check->left ? count : (size_t)check->left;
        check->running = (uint32_t)crc32_z(check->running, bytes, here);
        bytes += here;
        count -= here;
        check->left -= here;
        if (check->left == 0)
            end_photo(check, shard);
    }
}

/* What the file does not have: all photographs that are not complete. `why`: "ends at byte 17". */
static void tell_missing(struct check *check, uint32_t shard, const char *why)
{
    size_t first = check->photo;
    while (of_shard(check, shard))
        check->photo++;
    check->progress.done += check->photo - first;
    if (check->photo > first)
        tell_damage(check, "%s: %zu photographs are lost, the first is %s", why, check->photo - first,
                    photo_name(check->index, first));
}

static enum status read_shard(struct check *check, uint32_t shard, int file)
{
    char why[64];
    uint64_t end = 0, expected = check->index->shard_bytes[shard];
    posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL);
    begin_photo(check, shard);
    for (ssize_t got; (got = read(file, check->chunk, CHUNK_BYTES)) != 0;) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            log_error("%s: reading stopped at byte %" PRIu64 ": %s; look at the disk", check->path, end,
                      strerror(errno));
            return STATUS_MACHINE;
        }
        check_bytes(check, shard, check->chunk, (size_t)got);
        end += (uint64_t)got;
        check->progress.bytes_done += (uint64_t)got;
        tell_progress(check);
    }
    snprintf(why, sizeof why, "ends at byte %" PRIu64, end);
    tell_missing(check, shard, why);
    if (end > expected)
        tell_damage(check, "%" PRIu64 " bytes after the last photograph", end - expected);
    return STATUS_OK;
}

static enum status check_shard(struct check *check, uint32_t shard)
{
    enum status status = STATUS_OK;
    check->path = photo_shard_path(check->index->folder, shard);
    int file = open(check->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat about;
    if (file >= 0 && fstat(file, &about) == 0 && S_ISREG(about.st_mode)) {
        status = read_shard(check, shard, file);
    } else {
        tell_missing(check, shard, file < 0 ? strerror(errno) : "is no file");
    }
    if (file >= 0)
        close(file);
    free(check->path);
    return status;
}

/* `name`: as progress calls it. */
static enum status verify_split(const char *folder, const char *name, const struct photo_pack_observer *observer,
                                size_t *damages)
{
    struct photo_index index;
    struct photo_origin origin;
    char *path = text_format("%s/index.bin", folder);
    enum status status = photo_index_read(path, &index, &origin);
    free(path);
    TRY(status);
    struct check check = {
        .observer = observer,
        .index = &index,
        .progress = {.phase = PHOTO_PACK_VERIFYING, .split = name, .count = index.count},
        .chunk = memory_alloc_aligned(CHUNK_BYTES),
    };
    for (uint32_t s = 0; s < index.shard_count; s++)
        check.progress.bytes_count += index.shard_bytes[s];
    for (uint32_t s = 0; s < index.shard_count && status == STATUS_OK; s++)
        status = check_shard(&check, s);
    if (status == STATUS_OK && observer->split != NULL)
        observer->split(observer->context, &(struct photo_pack_split){.split = name,
                                                                      .folder = folder,
                                                                      .count = index.count,
                                                                      .left_out = check.damages,
                                                                      .class_count = index.class_count,
                                                                      .shard_count = index.shard_count,
                                                                      .bytes = check.progress.bytes_count});
    *damages += check.damages;
    memory_free_aligned(check.chunk);
    photo_index_release(&index);
    return status;
}

static bool is_packed(const char *folder)
{
    char *path = text_format("%s/index.bin", folder);
    bool packed = access(path, F_OK) == 0;
    free(path);
    return packed;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static enum status verify_all(const char *destination, const struct photo_pack_observer *observer, size_t *damages)
{
    if (is_packed(destination))
        return verify_split(destination, destination, observer, damages);
    struct dirent **entries = NULL;
    int count = scandir(destination, &entries, is_visible, alphasort);
    enum status status = STATUS_OK;
    bool found = false;
    for (int k = 0; k < count; k++) {
        char *folder = text_format("%s/%s", destination, entries[k]->d_name);
        if (status == STATUS_OK && is_packed(folder)) {
            found = true;
            status = verify_split(folder, entries[k]->d_name, observer, damages);
        }
        free(folder);
        free(entries[k]);
    }
    free(entries);
    if (status == STATUS_OK && !found) {
        log_error("%s: no index.bin in it or in its folders; name the DST of a pack that is complete", destination);
        status = STATUS_DATA;
    }
    return status;
}

enum status photo_verify(const char *destination, const struct photo_pack_observer *observer)
{
    size_t damages = 0;
    TRY(verify_all(destination, observer, &damages));
    if (damages == 0)
        return STATUS_OK;
    log_error("%s: %zu damages; remove the shards that are named, and give the `grapevine pack` that made them again: "
              "it makes these anew",
              destination, damages);
    return STATUS_DATA;
}
