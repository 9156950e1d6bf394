/* MNIST and Fashion-MNIST: idx files of unsigned bytes, gzipped as they are published or unpacked, in the
 * folders and under the names that set_folder.h knows.
 *
 * An idx file is a magic number (0x0800 + dimensions), one big-endian 32-bit length per dimension, and the bytes.
 * Any number of pictures is valid, so that small folders serve for tests; files are read to their end, so that gzip's
 * own checksum is verified. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "data/known_sets.h"
#include "data/memory_set.h"
#include "data/set_folder.h"

/* A length above this is a damaged header, not a set of this family; the largest published file has 60,000. */
enum { IDX_COUNT_MAX = 1000000, IDX_DIMENSIONS_MAX = 3 };

struct idx_file {
    const struct dataset_kind *kind;
    const struct dataset_params *params;
    char *path;    /* owned */
    gzFile stream; /* owned; reads plain files too */
    size_t count;
};

static enum status report(const struct idx_file *file, const char *trouble)
{
    char *remedy = dataset_remedy(file->kind, file->params);
    log_error("%s: %s; %s", file->path, trouble, remedy);
    free(remedy);
    return STATUS_DATA;
}

/* Open the file of this name in any of its forms (set_folder.h). */
static enum status idx_file_open(struct idx_file *file, const char *name)
{
    char *folder = set_folder_find(file->kind, file->params, name);
    file->path = set_file_find(folder, name);
    free(folder);
    errno = 0;
    file->stream = gzopen(file->path, "rb");
    if (file->stream == NULL)
        return report(file, errno != 0 ? strerror(errno) : "zlib is out of memory");
    gzbuffer(file->stream, 1 << 17);
    return STATUS_OK;
}

static void idx_file_close(struct idx_file *file)
{
    if (file->stream != NULL)
        gzclose(file->stream);
    free(file->path);
}

static enum status read_bytes(struct idx_file *file, void *out, size_t bytes, const char *what)
{
    size_t done = 0;
    while (done < bytes) {
        size_t left = bytes - done;
        int got = gzread(file->stream, (char *)out + done, left < (1 << 30) ? (unsigned)left : 1u << 30);
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    if (done == bytes)
        return STATUS_OK;
    int code;
    const char *reason = gzerror(file->stream, &code);
    char trouble[512];
    snprintf(trouble, sizeof trouble, "short or corrupt: found %zu bytes of %s, expected %zu%s%s", done, what, bytes,
             code != Z_OK ? "; zlib says " : "", code != Z_OK ? reason : "");
    return report(file, trouble);
}

/* Read magic number and lengths; `lengths` (dimensions). */
static enum status read_header(struct idx_file *file, uint32_t dimensions, uint32_t *lengths)
{
    uint8_t bytes[4 + 4 * IDX_DIMENSIONS_MAX];
    char trouble[256];
    TRY(read_bytes(file, bytes, 4 + 4 * (size_t)dimensions, "header"));
    uint32_t words[1 + IDX_DIMENSIONS_MAX];
    for (uint32_t i = 0; i <= dimensions; i++)
        words[i] = (uint32_t)bytes[4 * i] << 24 | (uint32_t)bytes[4 * i + 1] << 16 | (uint32_t)bytes[4 * i + 2] << 8 |
                   bytes[4 * i + 3];
    if (words[0] != 0x0800 + dimensions) {
        snprintf(trouble, sizeof trouble,
                 "found magic number 0x%08x, expected 0x%08x (idx, unsigned bytes, %u dimensions)", words[0],
                 0x0800 + dimensions, dimensions);
        return report(file, trouble);
    }
    if (words[1] == 0 || words[1] > IDX_COUNT_MAX) {
        snprintf(trouble, sizeof trouble, "found a length of %u in the header, expected 1 to %d", words[1],
                 IDX_COUNT_MAX);
        return report(file, trouble);
    }
    file->count = words[1];
    memcpy(lengths, words + 1, dimensions * sizeof words[0]);
    return STATUS_OK;
}

/* Nothing may follow; asking also makes zlib compare its checksum. */
static enum status expect_end(struct idx_file *file)
{
    uint8_t extra;
    int got = gzread(file->stream, &extra, 1), code;
    const char *reason = gzerror(file->stream, &code);
    char trouble[512];
    if (got == 0 && code == Z_OK)
        return STATUS_OK;
    if (got > 0)
        snprintf(trouble, sizeof trouble, "longer than its header says (%zu items)", file->count);
    else
        snprintf(trouble, sizeof trouble, "corrupt at its end: zlib says %s", reason);
    return report(file, trouble);
}

static enum status read_pictures(struct idx_file *file, uint8_t *pixels)
{
    size_t picture_bytes = (size_t)file->kind->height * (size_t)file->kind->width;
    TRY(read_bytes(file, pixels, file->count * picture_bytes, "pixels"));
    return expect_end(file);
}

static enum status read_labels(struct idx_file *file, const char *name, uint8_t *bytes, int32_t *labels)
{
    TRY(read_bytes(file, bytes, file->count, "labels"));
    TRY(expect_end(file));
    for (size_t i = 0; i < file->count; i++) {
        if (bytes[i] >= file->kind->class_count) {
            char trouble[128];
            snprintf(trouble, sizeof trouble, "record %zu (the first is 0) has label %d, allowed are 0 to %d: corrupt",
                     i, bytes[i], file->kind->class_count - 1);
            return report(file, trouble);
        }
        labels[i] = bytes[i];
    }
    return known_file_expect(file->kind->name, name, file->path, labels, file->count);
}

static enum status read_both(struct idx_file *pictures, struct idx_file *labels, struct raw_pictures *raw)
{
    const struct dataset_kind *kind = pictures->kind;
    const char *split = pictures->params->train ? "train" : "t10k";
    char name[32], trouble[128];
    uint32_t lengths[IDX_DIMENSIONS_MAX], label_length;
    snprintf(name, sizeof name, "%s-images-idx3-ubyte", split);
    TRY(idx_file_open(pictures, name));
    TRY(read_header(pictures, 3, lengths));
    if (lengths[1] != (uint32_t)kind->height || lengths[2] != (uint32_t)kind->width) {
        snprintf(trouble, sizeof trouble, "found pictures of %u x %u, expected %d x %d", lengths[1], lengths[2],
                 kind->height, kind->width);
        return report(pictures, trouble);
    }
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte", split);
    TRY(idx_file_open(labels, name));
    TRY(read_header(labels, 1, &label_length));
    if (label_length != lengths[0]) {
        snprintf(trouble, sizeof trouble, "found %u labels, expected one for each of the %u pictures", label_length,
                 lengths[0]);
        return report(labels, trouble);
    }
    size_t count;
    TRY(memory_set_count(kind, pictures->params, pictures->count, &count));
    raw_pictures_init(raw, kind, pictures->count);
    TRY(read_pictures(pictures, raw->pixels));
    uint8_t *bytes = memory_zalloc(raw->count, 1);
    enum status status = read_labels(labels, name, bytes, raw->labels);
    free(bytes);
    raw->count = count;
    return status;
}

enum status idx_open(const struct dataset_kind *kind, const struct dataset_params *params, struct dataset **out)
{
    struct idx_file pictures = {.kind = kind, .params = params}, labels = {.kind = kind, .params = params};
    struct raw_pictures raw = {0};
    enum status status = read_both(&pictures, &labels, &raw);
    if (status == STATUS_OK)
        *out = memory_set_create(kind, params->augment, &raw);
    raw_pictures_release(&raw);
    idx_file_close(&labels);
    idx_file_close(&pictures);
    return status;
}
