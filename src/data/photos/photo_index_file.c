/* index.bin, written and read. */
#include "data/photos/photo_index_file.h"

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

#include "base/atomic_file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

enum { HEADER_BYTES = 72, SHARD_BYTES = 8, RECORD_BYTES = 40, CHECKSUM_BYTES = 4, VERSION = 1, MAGIC_BYTES = 8 };

static const char magic[] = "GVPHOTO1";

/* --- numbers --- */

static void put(uint8_t **at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *(*at)++ = (uint8_t)(value >> (8 * i));
}

static uint64_t take(const uint8_t **at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)(*at)[i] << (8 * i);
    *at += bytes;
    return value;
}

static uint32_t take32(const uint8_t **at)
{
    return (uint32_t)take(at, 4);
}

/* --- header --- */

struct header {
    uint32_t version, class_count, shard_count;
    uint64_t count, name_bytes, class_bytes;
    struct photo_origin origin;
};

static void put_header(uint8_t **at, const struct header *header)
{
    memcpy(*at, magic, MAGIC_BYTES);
    *at += MAGIC_BYTES;
    put(at, VERSION, 4);
    put(at, header->class_count, 4);
    put(at, header->count, 8);
    put(at, header->name_bytes, 8);
    put(at, header->class_bytes, 8);
    put(at, header->shard_count, 4);
    put(at, header->origin.short_side, 4);
    put(at, header->origin.quality, 4);
    put(at, 0, 4);
    put(at, header->origin.shard_bytes, 8);
    put(at, header->origin.list, 8);
}

static struct header take_header(const uint8_t *bytes)
{
    struct header header;
    const uint8_t *at = bytes + MAGIC_BYTES;
    header.version = take32(&at);
    header.class_count = take32(&at);
    header.count = take(&at, 8);
    header.name_bytes = take(&at, 8);
    header.class_bytes = take(&at, 8);
    header.shard_count = take32(&at);
    header.origin.short_side = take32(&at);
    header.origin.quality = take32(&at);
    at += 4;
    header.origin.shard_bytes = take(&at, 8);
    header.origin.list = take(&at, 8);
    return header;
}

/* Bytes of the whole file. No sum overflows: each part is at most `limit`, a file's size. 0: a part is larger. */
static uint64_t whole_bytes(const struct header *header, uint64_t limit)
{
    if (header->count > limit / RECORD_BYTES || header->name_bytes > limit || header->class_bytes > limit)
        return 0;
    return HEADER_BYTES + (uint64_t)header->shard_count * SHARD_BYTES + header->count * RECORD_BYTES +
           header->name_bytes + header->class_bytes + CHECKSUM_BYTES;
}

/* --- writing --- */

static void put_record(uint8_t **at, const struct photo *photo, uint64_t name)
{
    put(at, photo->offset, 8);
    put(at, name, 8);
    put(at, photo->size, 4);
    put(at, photo->checksum, 4);
    put(at, (uint32_t)photo->label, 4);
    put(at, photo->shard, 4);
    put(at, photo->width, 2);
    put(at, photo->height, 2);
    put(at, 0, 4);
}

static void put_text(uint8_t **at, const char *text)
{
    size_t bytes = strlen(text) + 1;
    memcpy(*at, text, bytes);
    *at += bytes;
}

void photo_index_encode(const struct photo_index *index, const struct photo_origin *origin, uint8_t **out, size_t *size)
{
    struct header header = {.class_count = (uint32_t)index->class_count,
                            .shard_count = index->shard_count,
                            .count = index->count,
                            .origin = *origin};
    for (size_t i = 0; i < index->count; i++)
        header.name_bytes += strlen(photo_name(index, i)) + 1;
    for (int c = 0; c < index->class_count; c++)
        header.class_bytes += strlen(index->class_names[c]) + 1;
    size_t bytes = (size_t)whole_bytes(&header, UINT64_MAX / 8);
    uint8_t *start = memory_zalloc(bytes, 1), *at = start;
    put_header(&at, &header);
    for (uint32_t s = 0; s < index->shard_count; s++)
        put(&at, index->shard_bytes[s], SHARD_BYTES);
    uint64_t name = 0;
    for (size_t i = 0; i < index->count; i++) {
        put_record(&at, &index->photos[i], name);
        name += strlen(photo_name(index, i)) + 1;
    }
    for (size_t i = 0; i < index->count; i++)
        put_text(&at, photo_name(index, i));
    for (int c = 0; c < index->class_count; c++)
        put_text(&at, index->class_names[c]);
    put(&at, crc32_z(0, start, bytes - CHECKSUM_BYTES), CHECKSUM_BYTES);
    *out = start;
    *size = bytes;
}

enum status photo_index_write(const char *path, const struct photo_index *index, const struct photo_origin *origin,
                              const char *elsewhere)
{
    struct atomic_file file;
    TRY(atomic_file_open(&file, path, LOG_ERROR, elsewhere));
    uint8_t *bytes;
    size_t size;
    photo_index_encode(index, origin, &bytes, &size);
    fwrite(bytes, 1, size, file.stream);
    free(bytes);
    return atomic_file_commit(&file);
}

/* --- reading --- */

static enum status __attribute__((format(printf, 2, 3))) damaged(const char *path, const char *format, ...)
{
    char trouble[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(trouble, sizeof trouble, format, arguments);
    va_end(arguments);
    log_error("%s: %s; copy the pack anew from where it came, or make it anew with `grapevine pack --force`", path,
              trouble);
    return STATUS_DATA;
}

/* Magic, version, and whether the parts add up to the size. Allocates nothing. */
static enum status check_header(const char *path, const uint8_t *bytes, size_t head, uint64_t size,
                                struct header *header)
{
    if (head < HEADER_BYTES || memcmp(bytes, magic, MAGIC_BYTES) != 0)
        return damaged(path, "no index of photographs (\"%s\" and a header of %d bytes are missing)", magic,
                       HEADER_BYTES);
    *header = take_header(bytes);
    if (header->version != VERSION)
        return damaged(path, "version %" PRIu32 " of an index of photographs, this program reads version %d",
                       header->version, VERSION);
    uint64_t want = whole_bytes(header, size);
    if (want != size)
        return damaged(path, "%" PRIu64 " bytes, by its header it has %s%" PRIu64, size, want == 0 ? "more than " : "",
                       want == 0 ? size : want);
    if (header->class_count == 0 || header->class_count > PHOTO_CLASSES_MAX ||
        header->class_count > header->class_bytes / 2 || header->shard_count == 0)
        return damaged(path,
                       "%" PRIu32 " classes with names of %" PRIu64 " bytes, %" PRIu32 " shards; expected 1 to %d "
                       "classes, 1 shard or more",
                       header->class_count, header->class_bytes, header->shard_count, PHOTO_CLASSES_MAX);
    return STATUS_OK;
}

static void take_records(const uint8_t *at, struct photo_index *index)
{
    for (size_t i = 0; i < index->count; i++) {
        struct photo *photo = &index->photos[i];
        photo->offset = take(&at, 8);
        photo->name = take(&at, 8);
        photo->size = take32(&at);
        photo->checksum = take32(&at);
        photo->label = (int32_t)take32(&at);
        photo->shard = take32(&at);
        photo->width = (uint16_t)take(&at, 2);
        photo->height = (uint16_t)take(&at, 2);
        at += 4;
    }
}

static enum status check_record(const char *path, const struct photo_index *index, size_t i, uint64_t name_bytes)
{
    const struct photo *photo = &index->photos[i];
    if (photo->name >= name_bytes || (photo->name > 0 && index->names[photo->name - 1] != '\0') ||
        index->names[photo->name] == '\0')
        return damaged(path, "photograph %zu has no name at byte %" PRIu64 " of the names", i, photo->name);
    if (photo->label < 0 || photo->label >= index->class_count)
        return damaged(path, "photograph %zu has label %" PRId32 ", allowed are 0 to %d", i, photo->label,
                       index->class_count - 1);
    if (photo->size == 0 || photo->width == 0 || photo->height == 0)
        return damaged(path, "photograph %zu is empty: %" PRIu32 " bytes, %d x %d pixels", i, photo->size, photo->width,
                       photo->height);
    return STATUS_OK;
}

/* Photographs fill the shards from the first to the last one, without a gap. */
static enum status check_order(const char *path, const struct photo_index *index)
{
    size_t i = 0;
    for (uint32_t s = 0; s < index->shard_count; s++) {
        uint64_t end = 0;
        for (; i < index->count && index->photos[i].shard == s; i++) {
            const struct photo *photo = &index->photos[i];
            if (photo->offset != end || photo->size > index->shard_bytes[s] - end)
                return damaged(path,
                               "photograph %zu has %" PRIu32 " bytes from %" PRIu64 " on in shard %" PRIu32
                               ", expected from %" PRIu64 " on, up to %" PRIu64,
                               i, photo->size, photo->offset, s, end, index->shard_bytes[s]);
            end += photo->size;
        }
        if (end != index->shard_bytes[s])
            return damaged(path, "photographs fill %" PRIu64 " of the %" PRIu64 " bytes of shard %" PRIu32, end,
                           index->shard_bytes[s], s);
    }
    if (i < index->count)
        return damaged(path, "photograph %zu is in shard %" PRIu32 ", which is out of order or of %" PRIu32, i,
                       index->photos[i].shard, index->shard_count);
    return STATUS_OK;
}

static enum status take_classes(const char *path, const uint8_t *bytes, uint64_t size, struct photo_index *index,
                                uint32_t class_count)
{
    const char *at = (const char *)bytes, *end = at + size, *before = "";
    if (size > 0 && end[-1] != '\0')
        return damaged(path, "the names of the classes do not end");
    index->class_names = memory_zalloc(class_count, sizeof *index->class_names);
    for (uint32_t c = 0; c < class_count; c++) {
        if (at == end || strcmp(at, before) <= 0)
            return damaged(path, "class %" PRIu32 " has no name, or is out of order", c);
        index->class_names[index->class_count++] = memory_copy_text(at);
        before = at;
        at += strlen(at) + 1;
    }
    if (at != end)
        return damaged(path, "more names of classes than its %" PRIu32 " classes", class_count);
    return STATUS_OK;
}

/* The parts after the header, which fits `bytes`. */
static enum status take_parts(const char *path, const uint8_t *bytes, const struct header *header,
                              struct photo_index *index)
{
    const uint8_t *at = bytes + HEADER_BYTES;
    index->shard_bytes = memory_zalloc(header->shard_count, sizeof *index->shard_bytes);
    index->shard_count = header->shard_count;
    for (uint32_t s = 0; s < header->shard_count; s++)
        index->shard_bytes[s] = take(&at, SHARD_BYTES);
    index->photos = memory_zalloc(header->count, sizeof *index->photos);
    index->count = header->count;
    take_records(at, index);
    at += header->count * RECORD_BYTES;
    if (header->name_bytes > 0 && at[header->name_bytes - 1] != '\0')
        return damaged(path, "the names of the photographs do not end");
    index->names = memory_zalloc(header->name_bytes, 1);
    memcpy(index->names, at, header->name_bytes);
    at += header->name_bytes;
    TRY(take_classes(path, at, header->class_bytes, index, header->class_count));
    for (size_t i = 0; i < index->count; i++)
        TRY(check_record(path, index, i, header->name_bytes));
    return check_order(path, index);
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? memory_copy_text(".") : text_format("%.*s", (int)(slash - path), path);
}

enum status photo_index_decode(const char *path, const uint8_t *bytes, size_t size, struct photo_index *out,
                               struct photo_origin *origin)
{
    struct header header;
    TRY(check_header(path, bytes, size, size, &header));
    const uint8_t *at = bytes + size - CHECKSUM_BYTES;
    if (crc32_z(0, bytes, size - CHECKSUM_BYTES) != take32(&at))
        return damaged(path, "its checksum does not fit: it is damaged");
    struct photo_index index = {.packed = true};
    enum status status = take_parts(path, bytes, &header, &index);
    if (status != STATUS_OK) {
        photo_index_release(&index);
        return status;
    }
    index.folder = folder_of(path);
    *out = index;
    *origin = header.origin;
    return STATUS_OK;
}

static bool read_whole(FILE *stream, uint8_t *bytes, size_t size)
{
    return fread(bytes, 1, size, stream) == size;
}

/* From the beginning of the stream; `size` is the file's. What claims more than there is, is refused unread. */
static enum status read_stream(const char *path, FILE *stream, uint64_t size, struct photo_index *out,
                               struct photo_origin *origin)
{
    uint8_t head[HEADER_BYTES];
    struct header header;
    TRY(check_header(path, head, fread(head, 1, sizeof head, stream), size, &header));
    uint8_t *bytes = memory_zalloc(size, 1);
    memcpy(bytes, head, sizeof head);
    enum status status = STATUS_DATA;
    errno = 0;
    if (read_whole(stream, bytes + sizeof head, size - sizeof head))
        status = photo_index_decode(path, bytes, size, out, origin);
    else
        damaged(path, "reading stopped: %s", ferror(stream) ? strerror(errno) : "end of file");
    free(bytes);
    return status;
}

enum status photo_index_read(const char *path, struct photo_index *out, struct photo_origin *origin)
{
    struct stat about;
    /* not to wait for whoever would write into a pipe */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    FILE *stream = file >= 0 ? fdopen(file, "r") : NULL;
    if (stream == NULL) {
        log_error("%s: %s; name a folder that was packed, and may be read", path, strerror(errno));
        return STATUS_DATA;
    }
    enum status status = STATUS_DATA;
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode))
        damaged(path, "not a file");
    else
        status = read_stream(path, stream, (uint64_t)about.st_size, out, origin);
    fclose(stream);
    return status;
}

static enum status check_shard(const struct photo_index *index, uint32_t shard, const char *path)
{
    static const char remedy[] =
        "copy it anew from where the pack came, or give the `grapevine pack` that made it again";
    struct stat about;
    if (stat(path, &about) != 0) {
        log_error("%s: %s; %s", path, strerror(errno), remedy);
        return STATUS_DATA;
    }
    if (!S_ISREG(about.st_mode) || (uint64_t)about.st_size != index->shard_bytes[shard]) {
        log_error("%s: %" PRIu64 " bytes, by index.bin it has %" PRIu64 "; %s", path, (uint64_t)about.st_size,
                  index->shard_bytes[shard], remedy);
        return STATUS_DATA;
    }
    return STATUS_OK;
}

enum status photo_index_check_shards(const struct photo_index *index)
{
    enum status status = STATUS_OK;
    for (uint32_t s = 0; s < index->shard_count && status == STATUS_OK; s++) {
        char *path = photo_shard_path(index->folder, s);
        status = check_shard(index, s, path);
        free(path);
    }
    return status;
}
