/* data/photo_index.h: index.bin written and read, every damage of it refused, and splits as they lie in folders. */
#include "data/photos/photo_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "data/photos/photo_builder.h"
#include "data/photos/photo_index_file.h"
#include "photo_fixture.h"

/* Where the parts of the index below lie in its file. */
enum { SHARDS_AT = 72, RECORDS_AT = SHARDS_AT + 2 * 8, RECORD = 40, NAMES_AT = RECORDS_AT + 3 * RECORD };
enum { NAME_BYTES = 6 + 8 + 6, CLASSES_AT = NAMES_AT + NAME_BYTES, CLASS_BYTES = 4 + 4, SIZE = CLASSES_AT + 8 + 4 };

static const struct photo_origin origin = {.list = 0x123456789abcdef0, .shard_bytes = 7, .short_side = 5, .quality = 3};

/* Three photographs of two classes: two in shard 0 (10 and 20 bytes), one in shard 1 (5 bytes). */
static struct photo_index make_index(void)
{
    static const struct photo photos[] = {
        {.offset = 0, .size = 10, .checksum = 0xfedcba98, .label = 1, .shard = 0, .width = 3, .height = 65500},
        {.offset = 10, .size = 20, .checksum = 1, .label = 0, .shard = 0, .width = 1, .height = 1},
        {.offset = 0, .size = 5, .checksum = 2, .label = 1, .shard = 1, .width = 7, .height = 9},
    };
    static const char *const names[] = {"dog/a", "cat/b c", "dog/a"};
    const char *classes[] = {"dog", "cat", "dog"};
    struct photo_builder builder = {0};
    photo_builder_set_classes(&builder, classes, 3);
    for (int i = 0; i < 3; i++) {
        struct photo photo = photos[i], *here = photo_builder_add(&builder, NULL, names[i]);
        photo.name = here->name;
        *here = photo;
    }
    builder.index.packed = true;
    builder.index.shard_count = 2;
    builder.index.shard_bytes = memory_zalloc(2, sizeof(uint64_t));
    builder.index.shard_bytes[0] = 30;
    builder.index.shard_bytes[1] = 5;
    return builder.index;
}

static uint8_t *encode(size_t *size)
{
    uint8_t *bytes;
    struct photo_index index = make_index();
    photo_index_encode(&index, &origin, &bytes, size);
    photo_index_release(&index);
    return bytes;
}

/* In memory of exactly `size` bytes, so that a sanitizer sees a step beyond. */
static enum status decode(struct photo_fixture *fixture, const uint8_t *bytes, size_t size, struct photo_index *out)
{
    struct photo_origin found;
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    capture_begin(&fixture->capture);
    enum status status = photo_index_decode("some/index.bin", copy, size, out, &found);
    capture_end(&fixture->capture);
    free(copy);
    if (status == STATUS_OK)
        assert_memory_equal(&found, &origin, sizeof found);
    return status;
}

static void test_round_trip(void **state)
{
    struct photo_index index = make_index(), found;
    size_t size;
    uint8_t *bytes = encode(&size);
    assert_int_equal(size, SIZE);
    assert_int_equal(decode(*state, bytes, size, &found), STATUS_OK);
    assert_string_equal(found.folder, "some");
    assert_true(found.packed);
    assert_int_equal(found.count, 3);
    assert_int_equal(found.class_count, 2);
    assert_string_equal(found.class_names[0], "cat");
    assert_string_equal(found.class_names[1], "dog");
    assert_int_equal(found.shard_count, 2);
    assert_memory_equal(found.shard_bytes, index.shard_bytes, 2 * sizeof(uint64_t));
    for (size_t i = 0; i < 3; i++) {
        const struct photo *a = &found.photos[i], *b = &index.photos[i];
        assert_string_equal(photo_name(&found, i), photo_name(&index, i));
        assert_true(a->offset == b->offset && a->size == b->size && a->checksum == b->checksum);
        assert_true(a->label == b->label && a->shard == b->shard && a->width == b->width && a->height == b->height);
    }
    photo_index_release(&found);
    photo_index_release(&index);
    free(bytes);
}

/* Bytes as they are on a disk: little-endian, at fixed places. */
static void test_layout(void **state)
{
    size_t size;
    uint8_t *bytes = encode(&size);
    (void)state;
    static const uint8_t head[] = {'G', 'V', 'P', 'H', 'O', 'T', 'O', '1', 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0};
    static const uint8_t record[] = {10, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0,
                                     1,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0,  0, 0, 0};
    assert_memory_equal(bytes, head, sizeof head);
    assert_memory_equal(bytes + RECORDS_AT + RECORD, record, sizeof record);
    assert_memory_equal(bytes + NAMES_AT, "dog/a\0cat/b c\0dog/a\0cat\0dog", NAME_BYTES + CLASS_BYTES);
    free(bytes);
}

static void fix_checksum(uint8_t *bytes, size_t size)
{
    uint32_t checksum = (uint32_t)crc32_z(0, bytes, size - 4);
    for (int i = 0; i < 4; i++)
        bytes[size - 4 + (size_t)i] = (uint8_t)(checksum >> (8 * i));
}

/* What whoever writes indices of his own may put into one, with a checksum that fits. */
static void test_claims(void **state)
{
    static const struct {
        size_t at;
        int bytes;
        uint64_t value;
        const char *words;
    } claims[] = {
        {0, 1, 'X', "no index of photographs"},
        {8, 4, 2, "version 2|version 1"},
        {12, 4, 0, "0 classes"},
        {12, 4, 5, "5 classes|names of 8 bytes"},
        {12, 4, 1, "more names of classes than its 1"},
        {12, 4, 3, "class 2 has no name"},
        {12, 4, 0xffffffff, "4294967295 classes"},
        {16, 8, 4, "by its header it has"},
        {16, 8, UINT64_MAX, "more than"},
        {16, 8, UINT64_MAX / 40, "more than"},
        {24, 8, UINT64_MAX - 50, "more than"},
        {24, 8, 21, "by its header it has"},
        {32, 8, UINT64_MAX, "more than"},
        {40, 4, 0, "by its header it has"},
        {40, 4, 0xffffffff, "by its header it has"},
        {SHARDS_AT, 8, 31, "30 of the 31 bytes of shard 0"},
        {SHARDS_AT, 8, 29, "photograph 1|in shard 0|up to 29"},
        {SHARDS_AT + 8, 8, 0, "photograph 2|in shard 1"},
        {RECORDS_AT, 8, 1, "photograph 0|from 1 on"},
        {RECORDS_AT + RECORD, 8, 0, "photograph 1|from 0 on|expected from 10 on"},
        {RECORDS_AT + RECORD, 8, UINT64_MAX - 5, "photograph 1"},
        {RECORDS_AT + 8, 8, 20, "photograph 0 has no name at byte 20"},
        {RECORDS_AT + 8, 8, UINT64_MAX, "photograph 0 has no name"},
        {RECORDS_AT + 8, 8, 3, "photograph 0 has no name at byte 3"},
        {RECORDS_AT + 16, 4, 0, "photograph 0 is empty"},
        {RECORDS_AT + 16, 4, 0xffffffff, "photograph 0|in shard 0"},
        {RECORDS_AT + 24, 4, 2, "photograph 0 has label 2, allowed are 0 to 1"},
        {RECORDS_AT + 24, 4, 0xffffffff, "photograph 0 has label -1"},
        {RECORDS_AT + 28, 4, 1, "0 of the 30 bytes of shard 0"},
        {RECORDS_AT + 2 * RECORD + 28, 4, 2, "0 of the 5 bytes of shard 1"},
        {RECORDS_AT + 32, 2, 0, "photograph 0 is empty"},
        {RECORDS_AT + 34, 2, 0, "photograph 0 is empty"},
        {NAMES_AT, 1, 0, "photograph 0 has no name"},
        {CLASSES_AT - 1, 1, 'x', "names of the photographs do not end"},
        {CLASSES_AT + 7, 1, 'x', "names of the classes do not end"},
        {CLASSES_AT, 1, 'e', "class 1 has no name, or is out of order"},
        {CLASSES_AT, 1, 0, "class 0 has no name"},
    };
    struct photo_index index;
    size_t size;
    uint8_t *bytes = encode(&size);
    for (size_t k = 0; k < sizeof claims / sizeof claims[0]; k++) {
        uint8_t *copy = malloc(size);
        assert_non_null(copy);
        memcpy(copy, bytes, size);
        for (int i = 0; i < claims[k].bytes; i++)
            copy[claims[k].at + (size_t)i] = (uint8_t)(claims[k].value >> (8 * i));
        fix_checksum(copy, size);
        struct photo_fixture *fixture = *state;
        if (decode(fixture, copy, size, &index) != STATUS_DATA)
            fail_msg("claim %zu is not refused", k);
        photo_expect_message(fixture->capture.text, claims[k].words);
        photo_expect_message(fixture->capture.text, "error: some/index.bin: |grapevine pack --force");
        free(copy);
    }
    free(bytes);
}

static void test_damage(void **state)
{
    struct photo_index index;
    size_t size;
    uint8_t *bytes = encode(&size);
    for (size_t length = 0; length < size; length++)
        assert_int_equal(decode(*state, bytes, length, &index), STATUS_DATA);
    for (size_t at = 0; at < size; at++) {
        bytes[at] ^= 0x10;
        assert_int_equal(decode(*state, bytes, size, &index), STATUS_DATA);
        bytes[at] ^= 0x10;
    }
    assert_int_equal(decode(*state, bytes, size, &index), STATUS_OK);
    photo_index_release(&index);
    free(bytes);
}

/* --- a packed split in a folder --- */

static enum status open_split(struct photo_fixture *fixture, const char *name, const struct photo_index *classes,
                              size_t *foreign, struct photo_index *out)
{
    char *path = photo_path(fixture, name);
    capture_begin(&fixture->capture);
    enum status status = photo_index_open(path, classes, foreign, out);
    capture_end(&fixture->capture);
    free(path);
    return status;
}

static void expect_refused(struct photo_fixture *fixture, const char *name, const struct photo_index *classes,
                           const char *words)
{
    struct photo_index index;
    assert_int_equal(open_split(fixture, name, classes, NULL, &index), STATUS_DATA);
    photo_expect_message(fixture->capture.text, words);
    assert_null(strchr(strchr(fixture->capture.text, '\n') + 1, '\n')); /* one message */
}

static void write_packed(const struct photo_fixture *fixture)
{
    static const uint8_t zeros[30];
    size_t size;
    uint8_t *bytes = encode(&size);
    photo_write(fixture, "packed/index.bin", bytes, size);
    photo_write(fixture, "packed/shard-00000.bin", zeros, 30);
    photo_write(fixture, "packed/shard-00001.bin", zeros, 5);
    free(bytes);
}

static void test_packed_split(void **state)
{
    struct photo_fixture *fixture = *state;
    struct photo_index index;
    size_t foreign = 9;
    write_packed(fixture);
    assert_int_equal(open_split(fixture, "packed", NULL, &foreign, &index), STATUS_OK);
    assert_int_equal(foreign, 0);
    assert_int_equal(index.count, 3);
    char *shard = photo_shard_path(index.folder, 1), *expected = photo_path(fixture, "packed/shard-00001.bin");
    assert_string_equal(shard, expected);
    free(shard);
    free(expected);
    photo_index_release(&index);

    photo_write(fixture, "packed/shard-00001.bin", "1234", 4);
    expect_refused(fixture, "packed", NULL, "packed/shard-00001.bin: 4 bytes|has 5|grapevine pack");
    photo_write(fixture, "packed/shard-00001.bin", "123456", 6);
    expect_refused(fixture, "packed", NULL, "packed/shard-00001.bin: 6 bytes");
    char *path = photo_path(fixture, "packed/shard-00001.bin");
    unlink(path);
    expect_refused(fixture, "packed", NULL, "packed/shard-00001.bin: No such file");
    mkdir(path, 0700);
    expect_refused(fixture, "packed", NULL, "packed/shard-00001.bin");
    rmdir(path);
    free(path);
}

/* A test split counts its classes as the training split does. */
static void test_packed_classes(void **state)
{
    struct photo_fixture *fixture = *state;
    struct photo_index index, classes;
    write_packed(fixture);
    photo_write(fixture, "more/ant/1.jpg", "", 0);
    photo_write(fixture, "more/cat/1.jpg", "", 0);
    photo_write(fixture, "more/dog/1.jpg", "", 0);
    photo_write(fixture, "fewer/ant/1.jpg", "", 0);
    photo_write(fixture, "fewer/cat/1.jpg", "", 0);
    assert_int_equal(open_split(fixture, "more", NULL, NULL, &classes), STATUS_OK);
    assert_int_equal(open_split(fixture, "packed", &classes, NULL, &index), STATUS_OK);
    assert_int_equal(index.class_count, 3);
    assert_string_equal(index.class_names[0], "ant");
    assert_int_equal(index.photos[0].label, 2);
    assert_int_equal(index.photos[1].label, 1);
    photo_index_release(&index);
    photo_index_release(&classes);
    assert_int_equal(open_split(fixture, "fewer", NULL, NULL, &classes), STATUS_OK);
    expect_refused(fixture, "packed", &classes, "\"dog\"|2 classes of |fewer");
    photo_index_release(&classes);
}

static void test_empty_index(void **state)
{
    struct photo_fixture *fixture = *state;
    struct photo_index empty = make_index();
    char *path = photo_path(fixture, "empty/index.bin");
    photo_write(fixture, "empty/shard-00000.bin", "", 0);
    expect_refused(fixture, "empty", NULL, "no index.bin|not packed to its end|grapevine pack");
    photo_write(fixture, "empty/shard-00001.bin", "", 0);
    empty.count = 0;
    empty.shard_bytes[0] = empty.shard_bytes[1] = 0;
    assert_int_equal(photo_index_write(path, &empty, &origin, "DST"), STATUS_OK);
    expect_refused(fixture, "empty", NULL, "empty/index.bin|no photograph");
    free(path);
    photo_index_release(&empty);
}

static void test_no_file(void **state)
{
    struct photo_fixture *fixture = *state;
    char *path = photo_path(fixture, "strange/index.bin");
    photo_write(fixture, "strange/other", "", 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused(fixture, "strange", NULL, "strange/index.bin: not a file");
    unlink(path);
    mkdir(path, 0700);
    expect_refused(fixture, "strange", NULL, "strange/index.bin: not a file");
    rmdir(path);
    /* 1 TB that is nothing */
    photo_write(fixture, "strange/index.bin", "GVPHOTO1", 8);
    assert_int_equal(truncate(path, (off_t)1 << 40), 0);
    expect_refused(fixture, "strange", NULL, "strange/index.bin|version 0");
    free(path);
}

/* --- class folders --- */

static void test_class_folders(void **state)
{
    static const char *const files[] = {"b/z.JPEG",  "b/a.jpg",     "b/.hidden.jpg",    "b/readme.txt",   "b/jpg",
                                        "a b/x.JPG", "a b/y.PNG",   "a b/Y.jpeg",       "b/d.jpg/in.jpg", "a/1.Jpg",
                                        "top.jpg",   ".git/in.jpg", "b/no\nbreak.jpeg", "b/..jpg",        "a b/z.webp",
                                        "a b/y.gif"};
    static const char *const names[] = {"a/1.Jpg", "a b/Y.jpeg", "a b/x.JPG",        "a b/y.PNG", "a b/z.webp",
                                        "b/a.jpg", "b/link.jpg", "b/no\nbreak.jpeg", "b/z.JPEG"};
    static const int labels[] = {0, 1, 1, 1, 1, 2, 2, 2, 2};
    struct photo_fixture *fixture = *state;
    struct photo_index index;
    size_t foreign;
    for (size_t k = 0; k < sizeof files / sizeof files[0]; k++) {
        char *name = text_format("classes/%s", files[k]);
        photo_write(fixture, name, "x", 1);
        free(name);
    }
    char *link = photo_path(fixture, "classes/b/link.jpg");
    assert_int_equal(symlink("nowhere", link), 0);
    free(link);
    assert_int_equal(open_split(fixture, "classes", NULL, &foreign, &index), STATUS_OK);
    assert_false(index.packed);
    assert_null(index.shard_bytes);
    assert_int_equal(index.class_count, 3);
    assert_string_equal(index.class_names[1], "a b");
    assert_int_equal(index.count, 9);
    for (size_t i = 0; i < 9; i++) {
        assert_string_equal(photo_name(&index, i), names[i]);
        assert_int_equal(index.photos[i].label, labels[i]);
        assert_int_equal(index.photos[i].size, 0);
    }
    /* hidden ones (3), readme.txt, jpg, y.gif, d.jpg, which is a folder, top.jpg */
    assert_int_equal(foreign, 8);
    photo_index_release(&index);
}

static void test_bad_folders(void **state)
{
    struct photo_fixture *fixture = *state;
    struct photo_index index, classes;
    expect_refused(fixture, "nowhere", NULL, "nowhere: No such file");
    photo_write(fixture, "flat/1.jpg", "x", 1);
    expect_refused(fixture, "flat", NULL, "flat: no class folders|flat/CLASS/NAME.jpg");
    photo_write(fixture, "half/cat/1.jpg", "x", 1);
    photo_write(fixture, "half/dog/1.gif", "x", 1);
    expect_refused(fixture, "half", NULL, "half/dog: |no photograph");
    photo_write(fixture, "whole/cat/1.jpg", "x", 1);
    photo_write(fixture, "whole/dog/1.jpg", "x", 1);
    photo_write(fixture, "whole/eel/1.jpg", "x", 1);
    assert_int_equal(open_split(fixture, "whole", NULL, NULL, &classes), STATUS_OK);
    assert_int_equal(open_split(fixture, "half", &classes, NULL, &index), STATUS_OK);
    assert_int_equal(index.class_count, 3);
    assert_int_equal(index.count, 1);
    photo_index_release(&index);
    photo_write(fixture, "half/dot/1.jpg", "x", 1);
    expect_refused(fixture, "half", &classes, "half: class \"dot\"|3 classes of |whole|nearest: \"dog\"");
    photo_index_release(&classes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_layout),       cmocka_unit_test(test_claims),
        cmocka_unit_test(test_damage),      cmocka_unit_test(test_packed_split), cmocka_unit_test(test_packed_classes),
        cmocka_unit_test(test_empty_index), cmocka_unit_test(test_no_file),      cmocka_unit_test(test_class_folders),
        cmocka_unit_test(test_bad_folders),
    };
    return cmocka_run_group_tests(tests, photo_fixture_set_up, photo_fixture_tear_down);
}
