/* Photographs as a list: which there are, of which class, and where their bytes lie: in files of their own below class
 * folders, or one after the other in a few large shards. Private to data/. */
#ifndef GRAPEVINE_SRC_DATA_PHOTOS_PHOTO_INDEX_H
#define GRAPEVINE_SRC_DATA_PHOTOS_PHOTO_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* A larger file is no photograph: it is left out of packs, and not read from folders. */
enum { PHOTO_BYTES_MAX = 256 << 20 };

struct photo {
    uint64_t offset;        /* of its first byte in its shard; 0 in a folder */
    uint64_t name;          /* offset of its name in `names`: its path below the split's folder */
    uint32_t size;          /* bytes; 0 in a folder: not known before it is read */
    uint32_t checksum;      /* CRC-32 (zlib's) of the bytes; 0 in a folder */
    int32_t label;          /* in [0, class_count) */
    uint32_t shard;         /* in [0, shard_count); 0 in a folder */
    uint16_t width, height; /* pixels; 0 in a folder */
};

struct photo_index {
    char *folder;         /* owned: what names and shards lie in, the folder of one split */
    bool packed;          /* in shards, else each in a file of its own */
    size_t count;         /* photographs */
    struct photo *photos; /* owned (count); packed: by shard, then by offset */
    char *names;          /* owned: all names, each ended by a NUL */
    int class_count;      /* classes, sorted by name (strcmp) */
    char **class_names;   /* owned (class_count), each owned */
    uint32_t shard_count;
    uint64_t *shard_bytes; /* owned (shard_count); NULL in a folder */
};

/* A split as it is found in `folder`: packed where index.bin lies there, else class folders with images in them
 * (by the endings of their names, in capitals or not; others, hidden ones and folders are counted in *foreign, which
 * may be NULL). Photographs of a folder come in the order of their classes, then of their names. `classes`: the split
 * whose class numbers are to be used (a training split, for its test split; a class that it lacks is an error), NULL:
 * this split's own. STATUS_DATA (logged): nothing there, an index that is damaged or does not fit its shards' sizes. */
enum status photo_index_open(const char *folder, const struct photo_index *classes, size_t *foreign,
                             struct photo_index *out);
void photo_index_release(struct photo_index *index);

const char *photo_name(const struct photo_index *index, size_t i);
/* "FOLDER/shard-00003.bin", owned by the caller. */
char *photo_shard_path(const char *folder, uint32_t shard);

/* The number of the class of this name, −1 where there is none. */
int photo_class(const struct photo_index *index, const char *name);
/* An error that names what is of a class that `classes` lacks, and the nearest one. Returns STATUS_DATA. */
enum status photo_class_missing(const struct photo_index *classes, const char *name, const char *where);

#endif
