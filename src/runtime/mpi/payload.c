/* Chunks of a snapshot that prove by themselves that they are whole. */
#include "runtime/mpi/payload.h"

#include <assert.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct payload_shape payload_shape(size_t count, size_t chunk_bytes)
{
    assert(chunk_bytes >= 64 && chunk_bytes % 64 == 0);
    struct payload_shape shape = {.count = count, .chunk_bytes = chunk_bytes};
    size_t bytes = count * sizeof(float);
    shape.chunk_count = (int)((bytes + chunk_bytes - 1) / chunk_bytes);
    shape.tags_offset = (bytes + 63) / 64 * 64;
    shape.answers_offset = shape.tags_offset + (size_t)shape.chunk_count * sizeof(struct payload_tag);
    shape.slot_bytes = shape.answers_offset + PAYLOAD_ANSWER_COUNT * sizeof(struct payload_tag);
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
        .model = PAYLOAD_SOUND,
    };
}

/* A tag that speaks of no data in the slot. */
static struct payload_tag seal_alone(uint64_t place, uint64_t digest, int writer, uint64_t attempt)
{
    return (struct payload_tag){
        .writer = (uint64_t)writer,
        .attempt = attempt,
        .checksum = checksum(&digest, sizeof digest, writer, attempt),
        .place = place,
        .digest = digest,
    };
}

struct payload_tag payload_seal_elsewhere(uint64_t digest, int writer, uint64_t attempt)
{
    struct payload_tag tag = seal_alone(PAYLOAD_ELSEWHERE, digest, writer, attempt);
    tag.model = PAYLOAD_SOUND;
    return tag;
}

struct payload_tag payload_seal_answer(enum payload_answer answer, uint64_t number, int writer, uint64_t attempt)
{
    return seal_alone(PAYLOAD_ANSWER + answer, number, writer, attempt);
}

static struct payload_tag *tag_at(const struct payload_shape *shape, const unsigned char *slot, int chunk)
{
    return (struct payload_tag *)(void *)(uintptr_t)(slot + shape->tags_offset) + chunk;
}

void payload_mark_astray(struct payload_tag *tag)
{
    tag->model = PAYLOAD_ASTRAY;
}

static uint64_t model_at(const struct payload_shape *shape, const unsigned char *slot, int chunk)
{
    return __atomic_load_n(&tag_at(shape, slot, chunk)->model, __ATOMIC_ACQUIRE);
}

bool payload_astray(const struct payload_shape *shape, const unsigned char *slot, int chunk)
{
    return model_at(shape, slot, chunk) == PAYLOAD_ASTRAY;
}

/* A tag that has come altogether says one or the other. */
static bool says_model(const struct payload_shape *shape, const unsigned char *slot, int chunk)
{
    uint64_t model = model_at(shape, slot, chunk);
    return model == PAYLOAD_SOUND || model == PAYLOAD_ASTRAY;
}

uint64_t payload_digest(const struct payload_shape *shape, const unsigned char *slot)
{
    return __atomic_load_n(&tag_at(shape, slot, 0)->digest, __ATOMIC_ACQUIRE);
}

/* Is this the tag of (writer, attempt), of that kind? What else it says: `found`. */
static bool is_named(const struct payload_tag *tag, uint64_t place, int writer, uint64_t attempt,
                     struct payload_tag *found)
{
    found->digest = __atomic_load_n(&tag->digest, __ATOMIC_ACQUIRE);
    found->checksum = __atomic_load_n(&tag->checksum, __ATOMIC_ACQUIRE);
    return __atomic_load_n(&tag->writer, __ATOMIC_ACQUIRE) == (uint64_t)writer &&
           __atomic_load_n(&tag->attempt, __ATOMIC_ACQUIRE) == attempt &&
           __atomic_load_n(&tag->place, __ATOMIC_ACQUIRE) == place && (found->digest == 0 || place != PAYLOAD_IN_SLOT);
}

/* A tag that proves no more than itself. */
static bool proves_itself(const struct payload_tag *found, int writer, uint64_t attempt)
{
    return checksum(&found->digest, sizeof found->digest, writer, attempt) == found->checksum;
}

bool payload_chunk_valid(const struct payload_shape *shape, const unsigned char *slot, int chunk, int writer,
                         uint64_t attempt)
{
    struct payload_tag found;
    uint64_t place = shape->elsewhere ? PAYLOAD_ELSEWHERE : PAYLOAD_IN_SLOT;
    if (!is_named(tag_at(shape, slot, chunk), place, writer, attempt, &found) || !says_model(shape, slot, chunk))
        return false;
    if (shape->elsewhere)
        return proves_itself(&found, writer, attempt);
    return checksum(slot + payload_chunk_offset(shape, chunk), payload_chunk_length(shape, chunk), writer, attempt) ==
           found.checksum;
}

bool payload_chunk_copy(const struct payload_shape *shape, const unsigned char *slot, int chunk, int writer,
                        uint64_t attempt, float *to)
{
    struct payload_tag found;
    size_t offset = payload_chunk_offset(shape, chunk), length = payload_chunk_length(shape, chunk);
    unsigned char *copy = (unsigned char *)to + offset;
    if (!is_named(tag_at(shape, slot, chunk), PAYLOAD_IN_SLOT, writer, attempt, &found) ||
        !says_model(shape, slot, chunk))
        return false;
    memcpy(copy, slot + offset, length);
    return checksum(copy, length, writer, attempt) == found.checksum;
}

bool payload_begun(const struct payload_shape *shape, const unsigned char *slot)
{
    static const struct payload_tag none;
    for (int chunk = 0; chunk < shape->chunk_count; chunk++)
        if (memcmp(tag_at(shape, slot, chunk), &none, sizeof none) != 0)
            return true;
    return false;
}

size_t payload_answer_offset(const struct payload_shape *shape, enum payload_answer answer)
{
    assert(!shape->elsewhere);
    return shape->answers_offset + (size_t)answer * sizeof(struct payload_tag);
}

bool payload_answered(const struct payload_shape *shape, const unsigned char *slot, enum payload_answer answer,
                      int writer, uint64_t attempt, uint64_t *number)
{
    struct payload_tag found;
    const void *tag = slot + payload_answer_offset(shape, answer);
    if (!is_named(tag, PAYLOAD_ANSWER + answer, writer, attempt, &found) || !proves_itself(&found, writer, attempt))
        return false;
    *number = found.digest;
    return true;
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
