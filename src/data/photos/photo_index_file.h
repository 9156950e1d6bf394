/* The list of a packed split as a file, index.bin, and that of one of its shards while the pack is not finished.
 *
 * All numbers are little-endian:
 *
 *     "GVPHOTO1"                                                          8 bytes
 *     version (1), classes                                                4 bytes each
 *     photographs, bytes of all names, bytes of all class names           8 bytes each
 *     shards, shorter side, quality, 0                                    4 bytes each
 *     bytes of pictures to a shard, digest of the pictures' list          8 bytes each
 *     size of each shard                                                  8 bytes each
 *     photographs: the fields of struct photo in their order, 4 bytes 0   40 bytes each
 *     names, then class names (sorted), each ended by a NUL
 *     CRC-32 (zlib's) of all before it                                    4 bytes
 *
 * In each shard photographs lie without a gap from its first byte to its last. Private to data/. */
#ifndef GRAPEVINE_SRC_DATA_PHOTOS_PHOTO_INDEX_FILE_H
#define GRAPEVINE_SRC_DATA_PHOTOS_PHOTO_INDEX_FILE_H

#include "data/photos/photo_index.h"

enum { PHOTO_CLASSES_MAX = 1000000 };

/* What a pack was made of, so that it goes on with the same alone. */
struct photo_origin {
    uint64_t list;        /* digest of names, sizes and classes of the pictures that are packed */
    uint64_t shard_bytes; /* of these pictures, in one shard */
    uint32_t short_side;  /* 0: the files' bytes as they are */
    uint32_t quality;     /* 0 likewise */
};

/* *out is owned by the caller. */
void photo_index_encode(const struct photo_index *index, const struct photo_origin *origin, uint8_t **out,
                        size_t *size);
/* Everything is checked: sizes, checksum, bounds, names, labels, order. `path` is named in messages, and its folder
 * becomes the list's. A list may be empty. STATUS_DATA (logged). Takes memory of a few times `size` at most. */
enum status photo_index_decode(const char *path, const uint8_t *bytes, size_t size, struct photo_index *out,
                               struct photo_origin *origin);

/* STATUS_MACHINE (logged). */
enum status photo_index_write(const char *path, const struct photo_index *index, const struct photo_origin *origin,
                              const char *elsewhere);
/* STATUS_DATA (logged). */
enum status photo_index_read(const char *path, struct photo_index *out, struct photo_origin *origin);

/* Is every shard a file of its size? STATUS_DATA (logged): names the first that is not. */
enum status photo_index_check_shards(const struct photo_index *index);

#endif
