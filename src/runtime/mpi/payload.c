/* Chunks of a snapshot that prove by themselves that they are whole. */
#include "runtime/mpi/payload.h"

#include <assert.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct payload_shape payload_shape(size_t count, size_t chunk_bytes)
{
    assert(chunk_bytes >= 64 && chunk_bytes % 64 == 0);
    struct payload_shape shape = {.count = count, .chunk_bytes = chunk_bytes};
    size_t bytes = count * sizeof(float);
    shape.chunk_count = (int)((bytes + chunk_bytes - 1) / chunk_bytes);
    shape.tags_offset = (bytes + 63) / 64 * 64;
    shape.slot_bytes = shape.tags_offset + (size_t)shape.chunk_count * sizeof(struct payload_tag);
    return shape;
}

struct payload_shape payload_shape_elsewhere(size_t count)
{
    return (struct payload_shape){.count = count,
                                  .chunk_bytes = count * sizeof(float),
                                  .slot_bytes = sizeof(struct payload_tag),
                                  .chunk_count = 1,
                                  .elsewhere = true};
}

size_t payload_chunk_offset(const struct payload_shape *shape, int chunk)
{
    return (size_t)chunk * shape->chunk_bytes;
}

size_t payload_chunk_length(const struct payload_shape *shape, int chunk)
{
    size_t left = shape->count * sizeof(float) - payload_chunk_offset(shape, chunk);
    return left < shape->chunk_bytes ? left : shape->chunk_bytes;
}

/* Of a chunk at `data`; elsewhere of nothing but the names, so that a tag proves at least itself. */
static uint64_t checksum(const struct payload_shape *shape, const unsigned char *data, int chunk, int writer,
                         uint64_t attempt)
{
    size_t bytes = shape->elsewhere ? 0 : payload_chunk_length(shape, chunk);
    return XXH3_64bits_withSeed(data, bytes, attempt << 24 ^ (uint64_t)writer);
}

static uint64_t place_of(const struct payload_shape *shape)
{
    return shape->elsewhere ? PAYLOAD_ELSEWHERE : PAYLOAD_IN_SLOT;
}

struct payload_tag payload_seal(const struct payload_shape *shape, const float *snapshot, int chunk, int writer,
                                uint64_t attempt)
{
    const unsigned char *data = (const unsigned char *)snapshot + payload_chunk_offset(shape, chunk);
    return (struct payload_tag){
        .writer = (uint64_t)writer,
        .attempt = attempt,
        .checksum = checksum(shape, data, chunk, writer, attempt),
        .place = place_of(shape),
    };
}

static struct payload_tag *tag_at(const struct payload_shape *shape, const unsigned char *slot, int chunk)
{
    return (struct payload_tag *)(void *)(uintptr_t)(slot + shape->tags_offset) + chunk;
}

bool payload_chunk_valid(const struct payload_shape *shape, const unsigned char *slot, int chunk, int writer,
                         uint64_t attempt)
{
    const struct payload_tag *tag = tag_at(shape, slot, chunk);
    if (__atomic_load_n(&tag->writer, __ATOMIC_ACQUIRE) != (uint64_t)writer ||
        __atomic_load_n(&tag->attempt, __ATOMIC_ACQUIRE) != attempt ||
        __atomic_load_n(&tag->place, __ATOMIC_ACQUIRE) != place_of(shape))
        return false;
    return checksum(shape, slot + payload_chunk_offset(shape, chunk), chunk, writer, attempt) ==
           __atomic_load_n(&tag->checksum, __ATOMIC_ACQUIRE);
}

void payload_spoil(const struct payload_shape *shape, unsigned char *slot)
{
    for (int chunk = 0; chunk < shape->chunk_count; chunk++) {
        *tag_at(shape, slot, chunk) = (struct payload_tag){0};
        if (shape->elsewhere)
            continue;
        unsigned char *last = slot + payload_chunk_offset(shape, chunk) + payload_chunk_length(shape, chunk) - 1;
        *last = (unsigned char)~*last;
    }
}
