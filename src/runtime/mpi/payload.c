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

static uint64_t checksum(const void *data, size_t bytes, int writer, uint64_t attempt)
{
    return XXH3_64bits_withSeed(data, bytes, attempt << 24 ^ (uint64_t)writer);
}

struct payload_tag payload_seal(const struct payload_shape *shape, const float *snapshot, int chunk, int writer,
                                uint64_t attempt)
{
    const unsigned char *data = (const unsigned char *)snapshot + payload_chunk_offset(shape, chunk);
    assert(!shape->elsewhere);
    return (struct payload_tag){
        .writer = (uint64_t)writer,
        .attempt = attempt,
        .checksum = checksum(data, payload_chunk_length(shape, chunk), writer, attempt),
        .place = PAYLOAD_IN_SLOT,
    };
}

struct payload_tag payload_seal_elsewhere(uint64_t digest, int writer, uint64_t attempt)
{
    return (struct payload_tag){
        .writer = (uint64_t)writer,
        .attempt = attempt,
        .checksum = checksum(&digest, sizeof digest, writer, attempt),
        .place = PAYLOAD_ELSEWHERE,
        .digest = digest,
    };
}

static struct payload_tag *tag_at(const struct payload_shape *shape, const unsigned char *slot, int chunk)
{
    return (struct payload_tag *)(void *)(uintptr_t)(slot + shape->tags_offset) + chunk;
}

uint64_t payload_digest(const struct payload_shape *shape, const unsigned char *slot)
{
    return __atomic_load_n(&tag_at(shape, slot, 0)->digest, __ATOMIC_ACQUIRE);
}

/* Of what the slot holds now: the chunk's data, or elsewhere the tag's digest, so that a tag proves at least itself. */
static uint64_t checksum_found(const struct payload_shape *shape, const unsigned char *slot, uint64_t digest, int chunk,
                               int writer, uint64_t attempt)
{
    if (shape->elsewhere)
        return checksum(&digest, sizeof digest, writer, attempt);
    return checksum(slot + payload_chunk_offset(shape, chunk), payload_chunk_length(shape, chunk), writer, attempt);
}

bool payload_chunk_valid(const struct payload_shape *shape, const unsigned char *slot, int chunk, int writer,
                         uint64_t attempt)
{
    const struct payload_tag *tag = tag_at(shape, slot, chunk);
    uint64_t place = shape->elsewhere ? PAYLOAD_ELSEWHERE : PAYLOAD_IN_SLOT;
    uint64_t digest = __atomic_load_n(&tag->digest, __ATOMIC_ACQUIRE);
    if (__atomic_load_n(&tag->writer, __ATOMIC_ACQUIRE) != (uint64_t)writer ||
        __atomic_load_n(&tag->attempt, __ATOMIC_ACQUIRE) != attempt ||
        __atomic_load_n(&tag->place, __ATOMIC_ACQUIRE) != place || (digest != 0 && !shape->elsewhere))
        return false;
    return checksum_found(shape, slot, digest, chunk, writer, attempt) ==
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
