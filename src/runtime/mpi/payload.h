/* A payload: one snapshot as it lies in a slot, in chunks that prove by themselves that they are whole.
 *
 *     slot = [data: count floats, rounded up to 64 B] [tags: one of 64 B per chunk] [answers: two tags]
 *
 * The tag of a chunk names the writer and the attempt and carries a 64-bit checksum (XXH3, seeded with both), so a
 * torn, late or stale put is never taken for the awaited one, and no flush is needed to know that a chunk is
 * complete. When a slot is given back, one word of every chunk is spoilt, so that an unchanged snapshot of a later
 * meeting is not believed before it arrived.
 *
 * What the peer answers to the own payload of the same meeting comes into the own slot as well: that it has it whole
 * (taken), or that it needs it again, and for which time. Answers name writer and attempt as other tags do.
 *
 * Data that lie elsewhere, in the receiver's device memory, cannot be checked so. Then the slot is one tag, which
 * carries a digest of the data (direct_slots.h says what it is for). The two kinds of tags are told apart by a field of
 * their own: neither is ever taken for the other. */
#ifndef GRAPEVINE_RUNTIME_MPI_PAYLOAD_H
#define GRAPEVINE_RUNTIME_MPI_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct payload_shape {
    size_t count;          /* floats */
    size_t chunk_bytes;    /* of data, a multiple of 64 */
    size_t tags_offset;    /* bytes from the slot's start */
    size_t answers_offset; /* likewise; no answers where data lie elsewhere */
    size_t slot_bytes;
    int chunk_count;
    bool elsewhere; /* the slot is one tag alone: tags_offset is 0, the only chunk is the whole snapshot */
};

struct payload_tag {
    uint64_t writer, attempt, checksum;
    uint64_t place;     /* of the data: PAYLOAD_IN_SLOT, or PAYLOAD_ELSEWHERE, which has a checksum of the tag alone;
                         * or which answer it is, likewise */
    uint64_t digest;    /* of data elsewhere; the number of an answer; else zero */
    uint64_t model;     /* what the snapshot is: PAYLOAD_SOUND or PAYLOAD_ASTRAY; zero in an answer */
    uint64_t unused[2]; /* zero: a tag fills a cache line */
};

/* None is 0: a spoilt tag is of no kind. */
#define PAYLOAD_IN_SLOT UINT64_C(0x696e2d736c6f7400)
#define PAYLOAD_ELSEWHERE UINT64_C(0x656c736577686572)
#define PAYLOAD_ANSWER UINT64_C(0x616e737765720000) /* + enum payload_answer */

/* An astray snapshot is not to be averaged with: its worker has lost its way, and takes over the peer's. */
#define PAYLOAD_SOUND UINT64_C(0x736f756e64000001)
#define PAYLOAD_ASTRAY UINT64_C(0x6173747261790002)

enum payload_answer { PAYLOAD_TAKEN, PAYLOAD_AGAIN, PAYLOAD_ANSWER_COUNT };

struct payload_shape payload_shape(size_t count, size_t chunk_bytes);
struct payload_shape payload_shape_elsewhere(size_t count);
size_t payload_chunk_offset(const struct payload_shape *shape, int chunk);
size_t payload_chunk_length(const struct payload_shape *shape, int chunk); /* bytes of data */

/* The tag of one chunk of a snapshot. */
struct payload_tag payload_seal(const struct payload_shape *shape, const float *snapshot, int chunk, int writer,
                                uint64_t attempt);
/* The tag of a snapshot elsewhere. */
struct payload_tag payload_seal_elsewhere(uint64_t digest, int writer, uint64_t attempt);
/* From now on the tag says so. */
void payload_mark_astray(struct payload_tag *tag);
/* Is the snapshot astray, of which a chunk is valid? */
bool payload_astray(const struct payload_shape *shape, const unsigned char *slot, int chunk);
/* The digest that the slot's tag carries, once payload_chunk_valid. */
uint64_t payload_digest(const struct payload_shape *shape, const unsigned char *slot);
/* Does the slot hold this chunk of (writer, attempt), whole? Elsewhere: is its tag there? */
bool payload_chunk_valid(const struct payload_shape *shape, const unsigned char *slot, int chunk, int writer,
                         uint64_t attempt);
/* Copy the chunk to its place in `to` (count): true where the copy is that of (writer, attempt), whole, whatever is put
 * into the slot meanwhile or later. Not elsewhere. */
bool payload_chunk_copy(const struct payload_shape *shape, const unsigned char *slot, int chunk, int writer,
                        uint64_t attempt, float *to);
/* Has the tag of any chunk come since the slot was spoilt, be it a wrong one? */
bool payload_begun(const struct payload_shape *shape, const unsigned char *slot);
/* Make sure that nothing in the slot is taken for a later payload. */
void payload_spoil(const struct payload_shape *shape, unsigned char *slot);

/* Answers. Where one lies in a slot, what it looks like, and whether it has come, with its number. */
size_t payload_answer_offset(const struct payload_shape *shape, enum payload_answer answer);
struct payload_tag payload_seal_answer(enum payload_answer answer, uint64_t number, int writer, uint64_t attempt);
bool payload_answered(const struct payload_shape *shape, const unsigned char *slot, enum payload_answer answer,
                      int writer, uint64_t attempt, uint64_t *number);

#endif
