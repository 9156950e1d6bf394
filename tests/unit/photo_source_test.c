/* data/photo_source.h: sizes, the order and the shards of a pack are functions of the list alone. */
#include "data/pack/photo_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "photo_fixture.h"

enum { CLASSES = 4, EACH = 30, COUNT = CLASSES * EACH, SHARD_BYTES = 1000 };

/* Four classes of thirty files, of 1 to 120 bytes. */
static void write_classes(const struct photo_fixture *fixture, const char *folder)
{
    static const uint8_t zeros[COUNT];
    for (int i = 0; i < COUNT; i++) {
        char *name = text_format("%s/%c/%03d.jpg", folder, 'a' + i / EACH, i);
        photo_write(fixture, name, zeros, (size_t)i + 1);
        free(name);
    }
}

static struct photo_source open_source(const struct photo_fixture *fixture, const char *folder, int threads)
{
    struct photo_source source;
    char *path = photo_path(fixture, folder);
    struct photo_source_params params = {.folder = path, .shard_bytes = SHARD_BYTES, .threads = threads};
    assert_int_equal(photo_source_open(&params, &source), STATUS_OK);
    free(path);
    return source;
}

static void test_shards(void **state)
{
    bool seen[COUNT] = {false};
    write_classes(*state, "shards");
    struct photo_source source = open_source(*state, "shards", 2);
    assert_int_equal(source.list.count, COUNT);
    assert_int_equal(source.bytes, COUNT * (COUNT + 1) / 2);
    for (size_t k = 0; k < COUNT; k++) {
        assert_int_equal(source.list.photos[k].size, k + 1);
        assert_false(seen[source.order[k]]);
        seen[source.order[k]] = true;
    }
    assert_int_equal(source.first[0], 0);
    assert_int_equal(source.first[source.shard_count], COUNT);
    uint64_t all = 0;
    for (uint32_t s = 0; s < source.shard_count; s++) {
        uint64_t bytes = photo_source_shard_bytes(&source, s);
        assert_true(bytes <= SHARD_BYTES && source.first[s] < source.first[s + 1]);
        if (s + 1 < source.shard_count) /* full: the next photograph would not have found room */
            assert_true(bytes + source.list.photos[source.order[source.first[s + 1]]].size > SHARD_BYTES);
        all += bytes;
    }
    assert_int_equal(all, source.bytes);
    photo_source_release(&source);
}

/* Neighbours are of different classes as often as chance has it: of 119 pairs 89.5 are expected, deviation 4.7. */
static void test_classes_mix(void **state)
{
    write_classes(*state, "mix");
    struct photo_source source = open_source(*state, "mix", 1);
    int changes = 0;
    for (size_t k = 1; k < COUNT; k++)
        changes += source.list.photos[source.order[k]].label != source.list.photos[source.order[k - 1]].label;
    assert_true(changes > 70 && changes < 109);
    photo_source_release(&source);
}

/* The order is part of what packs are: another one would make every pack that was begun useless. */
static void test_order_stays(void **state)
{
    static const uint32_t expected[] = {17, 59, 14, 73, 43, 109};
    write_classes(*state, "order");
    struct photo_source source = open_source(*state, "order", 1), again = open_source(*state, "order", 3);
    assert_memory_equal(source.order, again.order, COUNT * sizeof source.order[0]);
    assert_memory_equal(&source.origin, &again.origin, sizeof source.origin);
    assert_memory_equal(source.order, expected, sizeof expected);
    photo_source_release(&source);
    photo_source_release(&again);
}

/* Whatever makes another pack of it makes another digest. */
static void test_digest(void **state)
{
    struct photo_fixture *fixture = *state;
    write_classes(fixture, "digest");
    struct photo_source before = open_source(fixture, "digest", 1), after;
    photo_write(fixture, "digest/a/000.jpg", "xx", 2);
    after = open_source(fixture, "digest", 1);
    assert_true(before.origin.list != after.origin.list);
    photo_source_release(&after);
    photo_write(fixture, "digest/a/000.jpg", "x", 1);
    after = open_source(fixture, "digest", 1);
    assert_true(before.origin.list == after.origin.list);
    photo_source_release(&after);
    char *from = photo_path(fixture, "digest/a"), *to = photo_path(fixture, "digest/aa");
    assert_int_equal(rename(from, to), 0);
    after = open_source(fixture, "digest", 1);
    assert_true(before.origin.list != after.origin.list);
    photo_source_release(&after);
    photo_source_release(&before);
    free(from);
    free(to);
}

/* What has no size, or a size beyond a shard's, has its place all the same. */
static void test_odd_sizes(void **state)
{
    struct photo_fixture *fixture = *state;
    photo_write(fixture, "odd/a/1.jpg", "", 0);
    photo_write(fixture, "odd/a/2.jpg", "", 0);
    char *path = photo_path(fixture, "odd/a/2.jpg"), *link = photo_path(fixture, "odd/a/3.jpg");
    assert_int_equal(truncate(path, (off_t)1 << 33), 0);
    assert_int_equal(symlink("nowhere", link), 0);
    struct photo_source source = open_source(fixture, "odd", 1);
    assert_int_equal(source.list.count, 3);
    assert_int_equal(source.list.photos[0].size, 0);
    assert_int_equal(source.list.photos[1].size, UINT32_MAX);
    assert_int_equal(source.list.photos[2].size, 0);
    assert_int_equal(source.first[source.shard_count], 3);
    for (uint32_t s = 0; s < source.shard_count; s++)
        assert_true(source.first[s] < source.first[s + 1]);
    photo_source_release(&source);
    free(path);
    free(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shards), cmocka_unit_test(test_classes_mix), cmocka_unit_test(test_order_stays),
        cmocka_unit_test(test_digest), cmocka_unit_test(test_odd_sizes),
    };
    return cmocka_run_group_tests(tests, photo_fixture_set_up, photo_fixture_tear_down);
}
