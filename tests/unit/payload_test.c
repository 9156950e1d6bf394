/* runtime/mpi/payload.h: a chunk is believed when it is whole, of this writer and this attempt, and never otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "runtime/mpi/payload.h"

enum { CHUNK_BYTES = 128, CHUNK_FLOATS = CHUNK_BYTES / 4, WRITER = 3, ATTEMPT = 41 };

/* One float, a cache line less and more one, a chunk less and more one, several chunks. */
static const size_t counts[] = {1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100};
enum { COUNTS = sizeof counts / sizeof counts[0] };

/* A slot and a snapshot that a neighbor puts into it. */
struct fixture {
    struct payload_shape shape;
    float *snapshot;     /* owned (count) */
    unsigned char *slot; /* owned (slot_bytes) */
};

static void set_up(struct fixture *fixture, size_t count, size_t chunk_bytes)
{
    fixture->shape = payload_shape(count, chunk_bytes);
    fixture->snapshot = memory_alloc_aligned(count * sizeof(float));
    fixture->slot = memory_alloc_aligned(fixture->shape.slot_bytes);
    struct random_stream stream = random_stream(7, RANDOM_TEST, 0, count);
    for (size_t k = 0; k < count; k++)
        fixture->snapshot[k] = (float)random_normal(&stream);
}

static void tear_down(struct fixture *fixture)
{
    memory_free_aligned(fixture->snapshot);
    memory_free_aligned(fixture->slot);
}

static void put_data(struct fixture *fixture, int chunk)
{
    size_t offset = payload_chunk_offset(&fixture->shape, chunk);
    memcpy(fixture->slot + offset, (const char *)fixture->snapshot + offset,
           payload_chunk_length(&fixture->shape, chunk));
}

static void put_tag(struct fixture *fixture, int chunk, int writer, uint64_t attempt)
{
    struct payload_tag tag = payload_seal(&fixture->shape, fixture->snapshot, chunk, writer, attempt);
    memcpy(fixture->slot + fixture->shape.tags_offset + (size_t)chunk * sizeof tag, &tag, sizeof tag);
}

static void put_all(struct fixture *fixture, int writer, uint64_t attempt)
{
    for (int chunk = 0; chunk < fixture->shape.chunk_count; chunk++) {
        put_data(fixture, chunk);
        put_tag(fixture, chunk, writer, attempt);
    }
}

static bool valid(const struct fixture *fixture, int chunk)
{
    return payload_chunk_valid(&fixture->shape, fixture->slot, chunk, WRITER, ATTEMPT);
}

static int valid_chunks(const struct fixture *fixture)
{
    int sum = 0;
    for (int chunk = 0; chunk < fixture->shape.chunk_count; chunk++)
        sum += valid(fixture, chunk);
    return sum;
}

static void chunks_cover_the_snapshot_once(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct payload_tag), 64);
    for (size_t k = 0; k < COUNTS; k++)
        for (size_t chunk_bytes = 64; chunk_bytes <= 512; chunk_bytes += 64) {
            struct payload_shape shape = payload_shape(counts[k], chunk_bytes);
            size_t next = 0;
            for (int chunk = 0; chunk < shape.chunk_count; chunk++) {
                assert_int_equal(payload_chunk_offset(&shape, chunk), next);
                size_t length = payload_chunk_length(&shape, chunk);
                assert_true(length == chunk_bytes || (chunk == shape.chunk_count - 1 && length < chunk_bytes));
                assert_true(length > 0);
                next += length;
            }
            assert_int_equal(next, counts[k] * sizeof(float));
            assert_int_equal(shape.tags_offset % 64, 0);
            assert_true(shape.tags_offset >= next && shape.tags_offset < next + 64);
            assert_int_equal(shape.answers_offset, shape.tags_offset + 64 * (size_t)shape.chunk_count);
            assert_int_equal(shape.slot_bytes, shape.answers_offset + 64 * (size_t)PAYLOAD_ANSWER_COUNT);
        }
}

static void an_empty_slot_holds_nothing(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNTS; k++) {
        struct fixture fixture;
        set_up(&fixture, counts[k], CHUNK_BYTES);
        assert_int_equal(valid_chunks(&fixture), 0);
        assert_false(payload_begun(&fixture.shape, fixture.slot));
        put_all(&fixture, WRITER, ATTEMPT);
        assert_true(payload_begun(&fixture.shape, fixture.slot));
        assert_int_equal(valid_chunks(&fixture), fixture.shape.chunk_count);
        assert_memory_equal(fixture.slot, fixture.snapshot, counts[k] * sizeof(float));
        tear_down(&fixture);
    }
}

static void every_single_bit_of_data_counts(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNTS; k++) {
        struct fixture fixture;
        set_up(&fixture, counts[k], CHUNK_BYTES);
        put_all(&fixture, WRITER, ATTEMPT);
        for (size_t bit = 0; bit < counts[k] * 32; bit++) {
            int chunk = (int)(bit / 8 / CHUNK_BYTES);
            fixture.slot[bit / 8] ^= (unsigned char)(1 << bit % 8);
            assert_false(valid(&fixture, chunk));
            assert_int_equal(valid_chunks(&fixture), fixture.shape.chunk_count - 1); /* and of that chunk alone */
            fixture.slot[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
        assert_int_equal(valid_chunks(&fixture), fixture.shape.chunk_count);
        tear_down(&fixture);
    }
}

static void every_single_bit_of_a_tag_counts(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 2 * CHUNK_FLOATS + 1, CHUNK_BYTES);
    put_all(&fixture, WRITER, ATTEMPT);
    for (int chunk = 0; chunk < fixture.shape.chunk_count; chunk++) {
        unsigned char *tag = fixture.slot + fixture.shape.tags_offset + (size_t)chunk * sizeof(struct payload_tag);
        for (size_t bit = 0; bit < 8 * offsetof(struct payload_tag, unused); bit++) {
            tag[bit / 8] ^= (unsigned char)(1 << bit % 8);
            assert_false(valid(&fixture, chunk));
            tag[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
    }
    assert_int_equal(valid_chunks(&fixture), fixture.shape.chunk_count);
    tear_down(&fixture);
}

static void every_byte_has_to_arrive(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 2 * CHUNK_FLOATS + 17, CHUNK_BYTES);
    put_all(&fixture, WRITER, ATTEMPT);
    for (size_t byte = 0; byte < fixture.shape.count * sizeof(float); byte++) {
        unsigned char right = fixture.slot[byte];
        for (int wrong = 0; wrong < 256; wrong++) {
            fixture.slot[byte] = (unsigned char)wrong;
            assert_int_equal(valid(&fixture, (int)(byte / CHUNK_BYTES)), wrong == right);
        }
        fixture.slot[byte] = right;
    }
    tear_down(&fixture);
}

static void another_writer_or_attempt_is_not_believed(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 3 * CHUNK_FLOATS, CHUNK_BYTES);
    for (int writer = 0; writer < 8; writer++)
        for (uint64_t attempt = 1; attempt < 64; attempt++) {
            put_all(&fixture, writer, attempt);
            bool awaited = writer == WRITER && attempt == ATTEMPT;
            assert_int_equal(valid_chunks(&fixture), awaited ? 3 : 0);
        }
    put_all(&fixture, WRITER, ATTEMPT + (1ULL << 32)); /* attempts have 48 bits */
    assert_int_equal(valid_chunks(&fixture), 0);
    tear_down(&fixture);
}

/* The name is part of the checksum: a tag torn between two meetings with one snapshot does not pass. */
static void a_tag_of_two_halves_is_not_believed(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, CHUNK_FLOATS, CHUNK_BYTES);
    put_data(&fixture, 0);
    struct payload_tag now = payload_seal(&fixture.shape, fixture.snapshot, 0, WRITER, ATTEMPT);
    struct payload_tag others[] = {payload_seal(&fixture.shape, fixture.snapshot, 0, WRITER, ATTEMPT - 1),
                                   payload_seal(&fixture.shape, fixture.snapshot, 0, WRITER + 1, ATTEMPT),
                                   {0}};
    for (size_t k = 0; k < sizeof others / sizeof others[0]; k++)
        for (size_t arrived = 0; arrived <= offsetof(struct payload_tag, unused); arrived += sizeof(uint64_t)) {
            struct payload_tag torn = others[k];
            memcpy(&torn, &now, arrived);
            memcpy(fixture.slot + fixture.shape.tags_offset, &torn, sizeof torn);
            assert_int_equal(valid(&fixture, 0), memcmp(&torn, &now, sizeof torn) == 0);
        }
    tear_down(&fixture);
}

/* --- data elsewhere: the slot is a tag --- */

#define DIGEST UINT64_C(0x0123456789abcdef)

static bool valid_elsewhere(const struct payload_shape *shape, const void *slot)
{
    return payload_chunk_valid(shape, slot, 0, WRITER, ATTEMPT);
}

static void a_tag_alone_is_the_slot(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNTS; k++) {
        struct payload_shape shape = payload_shape_elsewhere(counts[k]);
        assert_int_equal(shape.slot_bytes, sizeof(struct payload_tag));
        assert_int_equal(shape.tags_offset, 0);
        assert_int_equal(shape.chunk_count, 1);
        assert_int_equal(payload_chunk_offset(&shape, 0), 0);
        assert_int_equal(payload_chunk_length(&shape, 0), counts[k] * sizeof(float));
    }
}

/* Every word of it must be there, and stay: before, in the middle of a put over any other tag, after one lost bit. */
static void a_tag_alone_proves_itself(void **state)
{
    (void)state;
    struct payload_shape shape = payload_shape_elsewhere(1000);
    struct payload_tag now = payload_seal_elsewhere(DIGEST, WRITER, ATTEMPT), slot[3] = {{0}};
    struct payload_tag others[] = {payload_seal_elsewhere(DIGEST, WRITER, ATTEMPT - 1),
                                   payload_seal_elsewhere(DIGEST, WRITER + 1, ATTEMPT),
                                   payload_seal_elsewhere(DIGEST, WRITER, ATTEMPT + (1ULL << 32)),
                                   {0}};
    assert_false(valid_elsewhere(&shape, slot));
    for (size_t k = 0; k < sizeof others / sizeof others[0]; k++)
        for (size_t arrived = 0; arrived <= offsetof(struct payload_tag, unused); arrived++) {
            slot[0] = others[k];
            memcpy(&slot[0], &now, arrived);
            assert_int_equal(valid_elsewhere(&shape, slot), memcmp(&slot[0], &now, sizeof now) == 0);
        }
    for (size_t bit = 0; bit < 8 * offsetof(struct payload_tag, unused); bit++) {
        slot[1] = now;
        ((unsigned char *)&slot[1])[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_false(valid_elsewhere(&shape, &slot[1]));
    }
    memset(slot, 0x5a, sizeof slot);
    slot[1] = now;
    assert_true(valid_elsewhere(&shape, &slot[1]));
    assert_true(payload_digest(&shape, (const unsigned char *)&slot[1]) == DIGEST);
    payload_spoil(&shape, (unsigned char *)&slot[1]);
    assert_false(valid_elsewhere(&shape, &slot[1]));
    assert_memory_equal(&slot[0], &slot[2], sizeof slot[0]); /* and nothing beside it */
    assert_int_equal(slot[0].writer, UINT64_C(0x5a5a5a5a5a5a5a5a));
}

/* A tag that says nothing of the data is not taken for one that does, whatever its checksum, nor the other way. */
static void the_two_kinds_of_tags_are_apart(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, CHUNK_FLOATS, CHUNK_BYTES);
    struct payload_shape elsewhere = payload_shape_elsewhere(CHUNK_FLOATS);
    struct payload_tag checked = payload_seal(&fixture.shape, fixture.snapshot, 0, WRITER, ATTEMPT);
    struct payload_tag alone = payload_seal_elsewhere(DIGEST, WRITER, ATTEMPT), wrong;
    put_data(&fixture, 0);
    for (int same_checksum = 0; same_checksum < 2; same_checksum++) {
        wrong = alone;
        if (same_checksum)
            wrong.checksum = checked.checksum;
        memcpy(fixture.slot + fixture.shape.tags_offset, &wrong, sizeof wrong);
        assert_false(valid(&fixture, 0));
        wrong = checked;
        if (same_checksum)
            wrong.checksum = alone.checksum;
        assert_false(valid_elsewhere(&elsewhere, &wrong));
    }
    put_tag(&fixture, 0, WRITER, ATTEMPT);
    assert_true(valid(&fixture, 0));
    assert_true(valid_elsewhere(&elsewhere, &alone));
    tear_down(&fixture);
}

/* Chunks arrive in any order, the tag before or after its data; each is believed exactly when both have arrived. */
static void chunks_arrive_in_any_order(void **state)
{
    (void)state;
    enum { CHUNKS = 5 };
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct fixture fixture;
        set_up(&fixture, (CHUNKS - 1) * CHUNK_FLOATS + 3, CHUNK_BYTES);
        struct random_stream stream = random_stream(seed, RANDOM_TEST, 1, 0);
        uint32_t puts[2 * CHUNKS];
        bool data[CHUNKS] = {false}, tags[CHUNKS] = {false};
        for (uint32_t k = 0; k < 2 * CHUNKS; k++)
            puts[k] = k;
        random_shuffle(&stream, puts, 2 * CHUNKS);
        for (int k = 0; k < 2 * CHUNKS; k++) {
            int chunk = (int)puts[k] / 2;
            if (puts[k] % 2 == 0)
                put_data(&fixture, chunk);
            else
                put_tag(&fixture, chunk, WRITER, ATTEMPT);
            *(puts[k] % 2 == 0 ? &data[chunk] : &tags[chunk]) = true;
            for (int c = 0; c < CHUNKS; c++)
                assert_int_equal(valid(&fixture, c), data[c] && tags[c]);
        }
        tear_down(&fixture);
    }
}

/* Over an older payload of the same writer, the new data have landed up to some byte, from either end. */
static void a_torn_put_is_not_believed(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNTS; k++) {
        struct fixture fixture;
        set_up(&fixture, counts[k], CHUNK_BYTES);
        float *newer = memory_alloc_aligned(counts[k] * sizeof(float));
        for (size_t i = 0; i < counts[k]; i++)
            newer[i] = 1 + fixture.snapshot[i];
        for (int from_end = 0; from_end < 2; from_end++)
            for (size_t arrived = 0; arrived <= payload_chunk_length(&fixture.shape, 0); arrived++) {
                put_all(&fixture, WRITER, ATTEMPT - 1);
                struct payload_tag tag = payload_seal(&fixture.shape, newer, 0, WRITER, ATTEMPT);
                memcpy(fixture.slot + fixture.shape.tags_offset, &tag, sizeof tag);
                size_t length = payload_chunk_length(&fixture.shape, 0), first = from_end ? length - arrived : 0;
                memcpy(fixture.slot + first, (const char *)newer + first, arrived);
                assert_int_equal(valid(&fixture, 0), memcmp(fixture.slot, newer, length) == 0);
            }
        memory_free_aligned(newer);
        tear_down(&fixture);
    }
}

/* A spoilt slot is not believed by its own old name, nor when a later tag arrives before the unchanged data do. */
static void a_spoilt_slot_holds_nothing_until_all_arrives_again(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNTS; k++) {
        struct fixture fixture;
        set_up(&fixture, counts[k], CHUNK_BYTES);
        put_all(&fixture, WRITER, ATTEMPT);
        payload_spoil(&fixture.shape, fixture.slot);
        assert_int_equal(valid_chunks(&fixture), 0);
        for (int chunk = 0; chunk < fixture.shape.chunk_count; chunk++) {
            put_data(&fixture, chunk);
            assert_false(valid(&fixture, chunk)); /* the old tag is gone */
        }
        payload_spoil(&fixture.shape, fixture.slot);
        for (int chunk = 0; chunk < fixture.shape.chunk_count; chunk++) {
            put_tag(&fixture, chunk, WRITER, ATTEMPT);
            assert_false(valid(&fixture, chunk));
            put_data(&fixture, chunk);
            assert_int_equal(valid_chunks(&fixture), chunk + 1);
        }
        tear_down(&fixture);
    }
}

/* Other chunks, other tags and the bytes behind the slot stay as they are. */
static void spoiling_stays_inside_the_slot(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNTS; k++) {
        struct payload_shape shape = payload_shape(counts[k], CHUNK_BYTES);
        unsigned char *block = memory_alloc_aligned(64 + shape.slot_bytes + 64);
        memset(block, 0x5a, 64 + shape.slot_bytes + 64);
        payload_spoil(&shape, block + 64);
        size_t changed = 0;
        for (size_t byte = 0; byte < counts[k] * sizeof(float); byte++)
            changed += block[64 + byte] != 0x5a;
        assert_true(changed >= (size_t)shape.chunk_count);
        for (size_t byte = 0; byte < 64; byte++)
            assert_true(block[byte] == 0x5a && block[64 + shape.slot_bytes + byte] == 0x5a);
        memory_free_aligned(block);
    }
}

/* A copy is of the chunk alone, good while the slot is, and stays so whatever becomes of the slot. */
static void a_copy_is_checked_itself(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNTS; k++) {
        struct fixture fixture;
        set_up(&fixture, counts[k], CHUNK_BYTES);
        const struct payload_shape *shape = &fixture.shape;
        float *copy = memory_alloc_aligned(counts[k] * sizeof(float));
        for (int chunk = 0; chunk < shape->chunk_count; chunk++) {
            unsigned char *last =
                fixture.slot + payload_chunk_offset(shape, chunk) + payload_chunk_length(shape, chunk) - 1;
            put_data(&fixture, chunk);
            assert_false(payload_chunk_copy(shape, fixture.slot, chunk, WRITER, ATTEMPT, copy));
            put_tag(&fixture, chunk, WRITER, ATTEMPT);
            assert_false(payload_chunk_copy(shape, fixture.slot, chunk, WRITER, ATTEMPT + 1, copy));
            assert_false(payload_chunk_copy(shape, fixture.slot, chunk, WRITER + 1, ATTEMPT, copy));
            *last ^= 1;
            assert_false(payload_chunk_copy(shape, fixture.slot, chunk, WRITER, ATTEMPT, copy));
            *last ^= 1;
            assert_true(payload_chunk_copy(shape, fixture.slot, chunk, WRITER, ATTEMPT, copy));
        }
        payload_spoil(shape, fixture.slot);
        assert_false(payload_begun(shape, fixture.slot));
        assert_memory_equal(copy, fixture.snapshot, counts[k] * sizeof(float));
        memory_free_aligned(copy);
        tear_down(&fixture);
    }
}

/* Any bit of any tag says that something has come, one that is damaged too; nothing else does. */
static void a_payload_begins_with_a_tag(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 2 * CHUNK_FLOATS + 1, CHUNK_BYTES);
    size_t tags = fixture.shape.tags_offset, answers = fixture.shape.answers_offset;
    for (size_t byte = 0; byte < fixture.shape.slot_bytes; byte++) {
        fixture.slot[byte] = 0x10;
        assert_int_equal(payload_begun(&fixture.shape, fixture.slot), byte >= tags && byte < answers);
        fixture.slot[byte] = 0;
    }
    tear_down(&fixture);
}

/* Each answer has a place of its own; it is believed by its kind, writer and attempt, whole, and tells its number. */
static void answers_prove_themselves(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, CHUNK_FLOATS, CHUNK_BYTES);
    const struct payload_shape *shape = &fixture.shape;
    for (int answer = 0; answer < PAYLOAD_ANSWER_COUNT; answer++) {
        uint64_t number = 0, other = (uint64_t)answer;
        unsigned char *at = fixture.slot + payload_answer_offset(shape, answer);
        struct payload_tag tag = payload_seal_answer(answer, 7 + other, WRITER, ATTEMPT);
        assert_false(payload_answered(shape, fixture.slot, answer, WRITER, ATTEMPT, &number));
        memcpy(at, &tag, sizeof tag);
        assert_true(payload_answered(shape, fixture.slot, answer, WRITER, ATTEMPT, &number));
        assert_int_equal(number, 7 + other);
        assert_false(payload_answered(shape, fixture.slot, answer, WRITER + 1, ATTEMPT, &number));
        assert_false(payload_answered(shape, fixture.slot, answer, WRITER, ATTEMPT + 1, &number));
        for (size_t bit = 0; bit < 8 * offsetof(struct payload_tag, model); bit++) {
            at[bit / 8] ^= (unsigned char)(1 << bit % 8);
            assert_false(payload_answered(shape, fixture.slot, answer, WRITER, ATTEMPT, &number));
            at[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
        tag = payload_seal_answer(1 - answer, 0, WRITER, ATTEMPT);
        memcpy(at, &tag, sizeof tag);
        assert_false(payload_answered(shape, fixture.slot, answer, WRITER, ATTEMPT, &number));
    }
    assert_int_equal(valid_chunks(&fixture), 0);
    tear_down(&fixture);
}

/* A tag says what the snapshot is, and one that says neither has not come altogether. */
static void a_tag_says_whether_its_snapshot_is_sound(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, CHUNK_FLOATS, CHUNK_BYTES);
    const struct payload_shape shapes[] = {fixture.shape, payload_shape_elsewhere(CHUNK_FLOATS)};
    for (int kind = 0; kind < 2; kind++) {
        const struct payload_shape *shape = &shapes[kind];
        unsigned char *slot = memory_zalloc(1, shape->slot_bytes);
        if (kind == 0)
            memcpy(slot, fixture.snapshot, CHUNK_FLOATS * sizeof(float));
        for (int astray = 0; astray < 2; astray++) {
            struct payload_tag tag = kind == 0 ? payload_seal(shape, fixture.snapshot, 0, WRITER, ATTEMPT)
                                               : payload_seal_elsewhere(7, WRITER, ATTEMPT);
            if (astray)
                payload_mark_astray(&tag);
            struct payload_tag *at = (struct payload_tag *)(void *)(slot + shape->tags_offset);
            *at = tag;
            assert_true(payload_chunk_valid(shape, slot, 0, WRITER, ATTEMPT));
            assert_true(payload_astray(shape, slot, 0) == (astray == 1));
            for (int bit = 0; bit < 64; bit++) {
                at->model = tag.model ^ UINT64_C(1) << bit;
                assert_false(payload_chunk_valid(shape, slot, 0, WRITER, ATTEMPT));
            }
            at->model = 0;
            assert_false(payload_chunk_valid(shape, slot, 0, WRITER, ATTEMPT));
        }
        free(slot);
    }
    tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_cover_the_snapshot_once),
        cmocka_unit_test(an_empty_slot_holds_nothing),
        cmocka_unit_test(every_single_bit_of_data_counts),
        cmocka_unit_test(every_single_bit_of_a_tag_counts),
        cmocka_unit_test(every_byte_has_to_arrive),
        cmocka_unit_test(another_writer_or_attempt_is_not_believed),
        cmocka_unit_test(a_tag_of_two_halves_is_not_believed),
        cmocka_unit_test(a_tag_alone_is_the_slot),
        cmocka_unit_test(a_tag_alone_proves_itself),
        cmocka_unit_test(the_two_kinds_of_tags_are_apart),
        cmocka_unit_test(chunks_arrive_in_any_order),
        cmocka_unit_test(a_torn_put_is_not_believed),
        cmocka_unit_test(a_spoilt_slot_holds_nothing_until_all_arrives_again),
        cmocka_unit_test(spoiling_stays_inside_the_slot),
        cmocka_unit_test(a_copy_is_checked_itself),
        cmocka_unit_test(a_payload_begins_with_a_tag),
        cmocka_unit_test(answers_prove_themselves),
        cmocka_unit_test(a_tag_says_whether_its_snapshot_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
