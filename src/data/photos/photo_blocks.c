/* Blocks of shards: where they begin and end, and bringing them into the page cache. */
#include "data/photos/photo_blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/machine.h"
#include "base/memory.h"

enum { READ_BYTES = 1 << 17 }; /* more at once is slower: this much stays in a cache, and the kernel reads ahead */

/* Does picture `place` begin a block, since it does not fit into the present one? */
static bool begins(const struct photo_index *index, uint32_t place, const struct photo_block *block, uint64_t most)
{
    const struct photo *photo = &index->photos[place];
    return photo->shard != block->shard || photo->offset + photo->size - block->offset > most;
}

static void cut(struct photo_blocks *blocks, const struct photo_index *index, const uint32_t *places, size_t count,
                uint64_t most)
{
    size_t room = 0;
    for (size_t i = 0; i < count; i++) {
        const struct photo *photo = &index->photos[places[i]];
        if (i == 0 || begins(index, places[i], &blocks->blocks[blocks->count - 1], most)) {
            if (blocks->count == room) {
                room = 2 * room + 64;
                blocks->blocks = memory_realloc(blocks->blocks, room, sizeof blocks->blocks[0]);
                blocks->ends = memory_realloc(blocks->ends, room, sizeof blocks->ends[0]);
            }
            blocks->blocks[blocks->count++] = (struct photo_block){.shard = photo->shard, .offset = photo->offset};
        }
        struct photo_block *block = &blocks->blocks[blocks->count - 1];
        block->size = photo->offset + photo->size - block->offset;
        blocks->ends[blocks->count - 1] = (uint32_t)i + 1;
    }
}

static bool fits_in_memory(const struct photo_blocks *blocks)
{
    uint64_t bytes = 0;
    for (size_t b = 0; b < blocks->count; b++)
        bytes += blocks->blocks[b].size;
    return bytes <= machine_memory() / 2;
}

void photo_blocks_init(struct photo_blocks *blocks, const struct photo_index *index, const uint32_t *places,
                       size_t count, const struct dataset_shuffle *shuffle)
{
    *blocks = (struct photo_blocks){0};
    cut(blocks, index, places, count, shuffle->block_bytes);
    blocks->shuffled =
        shuffle->way == DATASET_SHUFFLE_BLOCKS || (shuffle->way == DATASET_SHUFFLE_AUTO && !fits_in_memory(blocks));
    blocks->pool = (size_t)(shuffle->pool_bytes / shuffle->block_bytes);
    blocks->pool = blocks->pool > 0 ? blocks->pool : 1;
    blocks->read_as = memory_zalloc(blocks->count, sizeof blocks->read_as[0]);
    blocks->bytes = memory_zalloc(READ_BYTES, 1);
}

void photo_blocks_release(struct photo_blocks *blocks)
{
    free(blocks->blocks);
    free(blocks->ends);
    free(blocks->read_as);
    free(blocks->bytes);
    *blocks = (struct photo_blocks){0};
}

static uint32_t block_of(const struct photo_blocks *blocks, uint32_t index)
{
    size_t low = 0, high = blocks->count - 1; /* the first whose end is beyond index */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (blocks->ends[middle] > index)
            high = middle;
        else
            low = middle + 1;
    }
    return (uint32_t)low;
}

/* Of a set that is shuffled as blocks, two pools' worth is taken to stay in the page cache, else all of it. */
static bool is_there(const struct photo_blocks *blocks, uint32_t b)
{
    uint64_t last = blocks->read_as[b];
    return last > 0 && (!blocks->shuffled || blocks->reads - last < 2 * blocks->pool);
}

void photo_blocks_bring(struct photo_blocks *blocks, uint32_t index, const int *shards)
{
    uint32_t b = block_of(blocks, index);
    if (is_there(blocks, b))
        return;
    const struct photo_block *block = &blocks->blocks[b];
    blocks->read_as[b] = ++blocks->reads;
    for (uint64_t done = 0; done < block->size;) {
        size_t left = block->size - done < READ_BYTES ? (size_t)(block->size - done) : READ_BYTES;
        ssize_t got = pread(shards[block->shard], blocks->bytes, left, (off_t)(block->offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return;
        done += (uint64_t)got;
    }
}
