/* data/photos/photo_blocks.h: where blocks begin and end, which of them are read, and how often. */
#include "data/photos/photo_blocks.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "photo_fixture.h"

enum { PHOTOS = 500, SHARDS = 4 };

/* Photographs of 1 to 3000 bytes, one after the other, in shards of 125. */
struct blocks_fixture {
    struct photo_index index;
    struct photo photos[PHOTOS];
    uint32_t places[PHOTOS];
    size_t count; /* of places */
    uint64_t bytes;
};

/* Every `step`-th photograph is used. */
static void init(struct blocks_fixture *fixture, uint32_t step)
{
    struct random_stream stream = random_stream(1, RANDOM_TEST, 0, 0);
    *fixture = (struct blocks_fixture){
        .index = {.packed = true, .count = PHOTOS, .photos = fixture->photos, .shard_count = SHARDS}};
    uint64_t offset = 0;
    for (uint32_t i = 0; i < PHOTOS; i++) {
        struct photo *photo = &fixture->photos[i];
        photo->shard = i / (PHOTOS / SHARDS);
        offset = i % (PHOTOS / SHARDS) == 0 ? 0 : offset;
        photo->offset = offset;
        photo->size = 1 + random_below(&stream, 3000);
        offset += photo->size;
        fixture->bytes += photo->size;
        if (i % step == 0)
            fixture->places[fixture->count++] = i;
    }
}

static struct dataset_shuffle shuffle_of(enum dataset_shuffle_way way, uint64_t block, uint64_t pool)
{
    return (struct dataset_shuffle){.way = way, .block_bytes = block, .pool_bytes = pool};
}

/* Every picture that is used lies in its block, whole; a block has one shard, and no more bytes than said unless it is
 * one picture; none could have taken the next picture as well. */
static void expect_cut(const struct blocks_fixture *fixture, const struct photo_blocks *blocks, uint64_t most)
{
    size_t first = 0;
    for (size_t b = 0; b < blocks->count; b++) {
        const struct photo_block *block = &blocks->blocks[b];
        size_t end = blocks->ends[b];
        assert_true(end > first && end <= fixture->count);
        for (size_t i = first; i < end; i++) {
            const struct photo *photo = &fixture->photos[fixture->places[i]];
            assert_int_equal(photo->shard, block->shard);
            assert_true(photo->offset >= block->offset);
            assert_true(photo->offset + photo->size <= block->offset + block->size);
        }
        const struct photo *last = &fixture->photos[fixture->places[end - 1]];
        assert_int_equal(block->offset, fixture->photos[fixture->places[first]].offset);
        assert_int_equal(block->offset + block->size, last->offset + last->size);
        assert_true(block->size <= most || end == first + 1);
        if (end < fixture->count) {
            const struct photo *next = &fixture->photos[fixture->places[end]];
            assert_true(next->shard != block->shard || next->offset + next->size - block->offset > most);
        }
        first = end;
    }
    assert_int_equal(first, fixture->count);
}

static void blocks_are_whole_pictures(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 1000, 3000, 20000, 1 << 30};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (uint32_t step = 1; step < 8; step += 3) {
            struct blocks_fixture fixture;
            struct photo_blocks blocks;
            struct dataset_shuffle shuffle = shuffle_of(DATASET_SHUFFLE_BLOCKS, sizes[s], 3 * sizes[s]);
            init(&fixture, step);
            photo_blocks_init(&blocks, &fixture.index, fixture.places, fixture.count, &shuffle);
            expect_cut(&fixture, &blocks, sizes[s]);
            assert_int_equal(blocks.pool, 3);
            assert_true(blocks.shuffled);
            photo_blocks_release(&blocks);
        }
}

/* What does not fit in half of the memory is shuffled as blocks, unless one way is asked for. */
static void the_way_is_chosen(void **state)
{
    (void)state;
    static const struct {
        enum dataset_shuffle_way way;
        uint32_t photo_bytes;
        bool shuffled;
    } rows[] = {{DATASET_SHUFFLE_AUTO, 1000, false},    {DATASET_SHUFFLE_AUTO, UINT32_MAX, true},
                {DATASET_SHUFFLE_UNIFORM, 1000, false}, {DATASET_SHUFFLE_UNIFORM, UINT32_MAX, false},
                {DATASET_SHUFFLE_BLOCKS, 1000, true},   {DATASET_SHUFFLE_BLOCKS, UINT32_MAX, true}};
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct blocks_fixture fixture;
        struct photo_blocks blocks;
        struct dataset_shuffle shuffle = shuffle_of(rows[r].way, 1 << 20, 1);
        init(&fixture, 1);
        uint64_t offset = 0;
        for (int i = 0; i < PHOTOS; i++) { /* up to 2 TiB in one shard */
            fixture.photos[i].shard = 0;
            fixture.photos[i].size = rows[r].photo_bytes;
            fixture.photos[i].offset = offset;
            offset += rows[r].photo_bytes;
        }
        photo_blocks_init(&blocks, &fixture.index, fixture.places, fixture.count, &shuffle);
        assert_int_equal(blocks.shuffled, rows[r].shuffled);
        assert_int_equal(blocks.pool, 1); /* at least */
        photo_blocks_release(&blocks);
    }
}

/* --- reading --- */

static void open_shards(const struct photo_fixture *folder, const struct blocks_fixture *fixture, int shards[SHARDS])
{
    uint8_t *bytes = calloc(fixture->bytes, 1);
    for (int s = 0; s < SHARDS; s++) {
        const struct photo *last = &fixture->photos[(s + 1) * (PHOTOS / SHARDS) - 1];
        char *name = text_format("shard-%d", s), *path = photo_path(folder, name);
        photo_write(folder, name, bytes, last->offset + last->size);
        shards[s] = open(path, O_RDONLY);
        assert_true(shards[s] >= 0);
        free(path);
        free(name);
    }
    free(bytes);
}

static void close_shards(const int shards[SHARDS])
{
    for (int s = 0; s < SHARDS; s++)
        close(shards[s]);
}

static size_t block_of(const struct photo_blocks *blocks, uint32_t index)
{
    size_t b = 0;
    while (blocks->ends[b] <= index)
        b++;
    return b;
}

/* Bytes that this process has got from files so far, whatever cache they came from. */
static uint64_t bytes_got(void)
{
    char line[256];
    unsigned long long bytes = 0;
    FILE *file = fopen("/proc/self/io", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "rchar: %llu", &bytes) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return bytes;
}

/* A set that fits in memory: each block once and for all, as soon as one of its pictures is wanted. */
static void each_block_once(void **state)
{
    struct blocks_fixture fixture;
    struct photo_blocks blocks;
    struct dataset_shuffle shuffle = shuffle_of(DATASET_SHUFFLE_UNIFORM, 20000, 40000);
    struct random_stream stream = random_stream(2, RANDOM_TEST, 0, 0);
    int shards[SHARDS];
    init(&fixture, 1);
    open_shards(*state, &fixture, shards);
    photo_blocks_init(&blocks, &fixture.index, fixture.places, fixture.count, &shuffle);
    bool *read = calloc(blocks.count, sizeof *read);
    uint64_t distinct = 0, bytes = 0, before = bytes_got();
    for (int i = 0; i < 3 * PHOTOS; i++) {
        uint32_t index = random_below(&stream, PHOTOS);
        size_t b = block_of(&blocks, index);
        photo_blocks_bring(&blocks, index, shards);
        distinct += !read[b];
        bytes += read[b] ? 0 : blocks.blocks[b].size;
        read[b] = true;
        assert_int_equal(blocks.reads, distinct);
    }
    assert_int_equal(distinct, blocks.count);
    assert_int_equal(bytes, fixture.bytes);
    if (before > 0) /* where the kernel counts: all of it, and little else */
        assert_in_range(bytes_got() - before, bytes, bytes + 1000);
    free(read);
    photo_blocks_release(&blocks);
    close_shards(shards);
}

/* Of a larger set each block is read once in each epoch, if epochs are longer than what should still be there. */
static void each_block_once_in_an_epoch(void **state)
{
    enum { POOL = 3 };
    struct blocks_fixture fixture;
    struct photo_blocks blocks;
    struct dataset_shuffle shuffle = shuffle_of(DATASET_SHUFFLE_BLOCKS, 20000, POOL * 20000);
    int shards[SHARDS];
    init(&fixture, 1);
    open_shards(*state, &fixture, shards);
    photo_blocks_init(&blocks, &fixture.index, fixture.places, fixture.count, &shuffle);
    assert_true(blocks.count > 4 * POOL);
    for (uint64_t epoch = 0; epoch < 4; epoch++)
        for (size_t first = 0; first < blocks.count; first += POOL)
            for (uint32_t turn = 0; turn < 30; turn++) { /* pictures of a pool among each other */
                size_t b = first + turn % POOL < blocks.count ? first + turn % POOL : blocks.count - 1;
                size_t end = first + POOL < blocks.count ? first + POOL : blocks.count;
                uint32_t index = blocks.ends[b] - 1 - turn / POOL % (blocks.ends[b] - (b > 0 ? blocks.ends[b - 1] : 0));
                photo_blocks_bring(&blocks, index, shards);
                if (turn >= POOL)
                    assert_int_equal(blocks.reads, epoch * blocks.count + end);
            }
    photo_blocks_release(&blocks);
    close_shards(shards);
}

/* What was read two pools ago is taken to be there, and what was read before that is not. */
static void two_pools_stay(void **state)
{
    struct blocks_fixture fixture;
    struct photo_blocks blocks;
    struct dataset_shuffle shuffle = shuffle_of(DATASET_SHUFFLE_BLOCKS, 20000, 40000);
    int shards[SHARDS];
    init(&fixture, 1);
    open_shards(*state, &fixture, shards);
    photo_blocks_init(&blocks, &fixture.index, fixture.places, fixture.count, &shuffle);
    for (size_t b = 0; b < 4; b++)
        photo_blocks_bring(&blocks, blocks.ends[b] - 1, shards);
    photo_blocks_bring(&blocks, 0, shards);
    assert_int_equal(blocks.reads, 4);
    photo_blocks_bring(&blocks, blocks.ends[4] - 1, shards);
    photo_blocks_bring(&blocks, 0, shards);
    assert_int_equal(blocks.reads, 6);
    photo_blocks_release(&blocks);
    close_shards(shards);
}

/* Shorter shards, or none: left to whoever needs what is gone. */
static void what_cannot_be_read_is_left(void **state)
{
    struct blocks_fixture fixture;
    struct photo_blocks blocks;
    struct dataset_shuffle shuffle = shuffle_of(DATASET_SHUFFLE_UNIFORM, 20000, 40000);
    int shards[SHARDS];
    init(&fixture, 1);
    open_shards(*state, &fixture, shards);
    char *path = photo_path(*state, "shard-1");
    assert_int_equal(truncate(path, 30000), 0);
    free(path);
    close(shards[2]);
    photo_blocks_init(&blocks, &fixture.index, fixture.places, fixture.count, &shuffle);
    for (uint32_t i = 0; i < PHOTOS; i++)
        photo_blocks_bring(&blocks, i, shards);
    assert_int_equal(blocks.reads, blocks.count);
    photo_blocks_release(&blocks);
    close(shards[0]);
    close(shards[1]);
    close(shards[3]);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, photo_fixture_set_up, photo_fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_whole_pictures),
        cmocka_unit_test(the_way_is_chosen),
        IN_FOLDER(each_block_once),
        IN_FOLDER(each_block_once_in_an_epoch),
        IN_FOLDER(two_pools_stay),
        IN_FOLDER(what_cannot_be_read_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
