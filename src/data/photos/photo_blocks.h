/* Long stretches of shards that are read at once. Private to data/.
 *
 * A disk, and a network's file system still more, gives many times the bytes in long reads. So shards are cut into
 * blocks of whole pictures. A set that fits in memory is shuffled evenly, and each block is read once, as soon as one
 * of its pictures is due soon: from then on it stays in the page cache. Of a larger one the blocks are shuffled, and
 * the pictures of `pool` blocks among each other; each block is read once in each epoch. What is read is left in the
 * page cache, where all processes of a machine find it. */
#ifndef GRAPEVINE_SRC_DATA_PHOTOS_PHOTO_BLOCKS_H
#define GRAPEVINE_SRC_DATA_PHOTOS_PHOTO_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/dataset.h"
#include "data/photos/photo_index.h"

struct photo_block {
    uint32_t shard;
    uint64_t offset, size; /* bytes in the shard */
};

struct photo_blocks {
    size_t count;
    struct photo_block *blocks; /* owned (count) */
    uint32_t *ends;             /* owned (count): block b has pictures [ends[b − 1], ends[b]) */
    bool shuffled;              /* as blocks, since not all fit in memory */
    size_t pool;                /* blocks whose pictures are shuffled among each other */
    uint64_t reads;             /* blocks read so far */
    uint64_t *read_as;          /* owned (count): the how manieth read was this block's last; 0: none yet */
    uint8_t *bytes;             /* owned: what is read, on its way to the page cache */
};

/* places (count): the photographs that are used, ascending. */
void photo_blocks_init(struct photo_blocks *blocks, const struct photo_index *index, const uint32_t *places,
                       size_t count, const struct dataset_shuffle *shuffle);
void photo_blocks_release(struct photo_blocks *blocks);

/* Read the block of picture `index` unless it should still be there. shards: open files. By one thread at a time. What
 * cannot be read is left to whoever needs it. */
void photo_blocks_bring(struct photo_blocks *blocks, uint32_t index, const int *shards);

#endif
