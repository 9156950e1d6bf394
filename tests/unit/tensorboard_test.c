/* TensorBoard event files, read back by a reader of the test's own: frames, checksums, messages. */
#include "app/tensorboard.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/run_directory.h"

static char parent[64];
static unsigned char bytes[1 << 16];
static size_t byte_count;

static int make_folder(void **state)
{
    (void)state;
    strcpy(parent, "/tmp/grapevine-test-XXXXXX");
    return mkdtemp(parent) == NULL;
}

/* Read the only file of `folder` into `bytes`, then remove both and the parent. */
static void take_file(const char *folder)
{
    DIR *stream = opendir(folder);
    assert_non_null(stream);
    for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        if (entry->d_name[0] == '.')
            continue;
        assert_memory_equal(entry->d_name, "events.out.tfevents.1700000000.", 31);
        char *path = run_directory_file(folder, entry->d_name);
        FILE *in = fopen(path, "r");
        assert_non_null(in);
        byte_count = fread(bytes, 1, sizeof bytes, in);
        fclose(in);
        unlink(path);
        free(path);
    }
    closedir(stream);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(rmdir(parent), 0);
}

/* CRC-32C by long division over the reflected polynomial, a byte at a time from a table made here. */
static uint32_t masked_crc(const unsigned char *data, size_t count)
{
    uint32_t crc = 0xffffffffu, table[256];
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = (table[i] & 1) != 0 ? table[i] >> 1 ^ 0x82f63b78u : table[i] >> 1;
    }
    for (size_t i = 0; i < count; i++)
        crc = table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
    crc ^= 0xffffffffu;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static uint32_t get_u32(const unsigned char *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

/* The message of the frame at `*at`, which moves on; NULL at the end of the file. */
static const unsigned char *next_frame(size_t *at, size_t *count)
{
    if (*at == byte_count)
        return NULL;
    assert_true(byte_count - *at >= 16);
    const unsigned char *frame = bytes + *at;
    *count = get_u32(frame);
    assert_int_equal(get_u32(frame + 4), 0);
    assert_int_equal(get_u32(frame + 8), masked_crc(frame, 8));
    assert_true(*count + 16 <= byte_count - *at);
    assert_int_equal(get_u32(frame + 12 + *count), masked_crc(frame + 12, *count));
    *at += *count + 16;
    return frame + 12;
}

static double get_double(const unsigned char *from)
{
    double value;
    memcpy(&value, from, sizeof value);
    return value;
}

static void the_checksum_is_crc32c(void **state)
{
    (void)state;
    uint32_t masked = masked_crc((const unsigned char *)"123456789", 9) - 0xa282ead8u;
    assert_int_equal(masked >> 17 | masked << 15, 0xe3069283u); /* the published check value */
}

static void writes_frames_and_messages(void **state)
{
    (void)state;
    char *folder = run_directory_file(parent, "worker-0");
    struct tensorboard *events;
    assert_int_equal(tensorboard_create(folder, 1700000000.75, 0.5, &events), STATUS_OK);
    const struct tensorboard_scalar scalars[] = {{"loss", 1.5}, {"test/accuracy", 0.25}};
    tensorboard_begin_session(events, 0.25, 300);
    tensorboard_add(events, 0.5, 300, scalars, 2);
    tensorboard_close(events);
    take_file(folder);
    free(folder);
    static const unsigned char version[] = "\x1a\x0d"
                                           "brain.Event:2";
    static const unsigned char step[] = {0x10, 0xac, 0x02};    /* field 2, 300 */
    static const unsigned char session[] = "\x3a\x02\x08\x01"; /* field 7: 2 bytes, status START */
    static const unsigned char summary[] = "\x2a\x23"          /* field 5, 35 bytes */
                                           "\x0a\x0b"
                                           "\x0a\x04"
                                           "loss"
                                           "\x15\0\0\xc0\x3f"
                                           "\x0a\x14"
                                           "\x0a\x0d"
                                           "test/accuracy"
                                           "\x15\0\0\x80\x3e";
    size_t at = 0, count;
    const unsigned char *message = next_frame(&at, &count);
    assert_non_null(message);
    assert_int_equal(count, 9 + sizeof version - 1);
    assert_int_equal(message[0], 0x09);
    assert_true(get_double(message + 1) == 1700000000.75);
    assert_memory_equal(message + 9, version, sizeof version - 1);
    message = next_frame(&at, &count);
    assert_non_null(message);
    assert_int_equal(count, 9 + sizeof step + sizeof session - 1);
    assert_true(get_double(message + 1) == 1700000000.5);
    assert_memory_equal(message + 9, step, sizeof step);
    assert_memory_equal(message + 9 + sizeof step, session, sizeof session - 1);
    message = next_frame(&at, &count);
    assert_non_null(message);
    assert_int_equal(count, 9 + sizeof step + sizeof summary - 1);
    assert_true(get_double(message + 1) == 1700000000.75);
    assert_memory_equal(message + 9, step, sizeof step);
    assert_memory_equal(message + 9 + sizeof step, summary, sizeof summary - 1);
    assert_null(next_frame(&at, &count));
}

/* Names of the files of `folder`, sorted, which are removed with it. */
static int take_names(const char *folder, char names[8][256])
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort), kept = 0;
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            snprintf(names[kept++], 256, "%s", entries[i]->d_name);
            char *path = run_directory_file(folder, entries[i]->d_name);
            unlink(path);
            free(path);
        }
        free(entries[i]);
    }
    free(entries);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(rmdir(parent), 0);
    return kept;
}

/* Sessions of the same second: nobody's file is taken, and the order of names is that of time. */
static void each_session_has_a_file(void **state)
{
    (void)state;
    char *folder = run_directory_file(parent, "worker-0"), names[8][256];
    for (int i = 0; i < 3; i++) {
        struct tensorboard *events;
        assert_int_equal(tensorboard_create(folder, 1700000000.75, 1e6 * i, &events), STATUS_OK);
        tensorboard_close(events);
    }
    assert_int_equal(take_names(folder, names), 3);
    for (int i = 0; i < 3; i++) {
        char begin[64];
        snprintf(begin, sizeof begin, "events.out.tfevents.170000000%d.", i);
        assert_memory_equal(names[i], begin, strlen(begin));
    }
    free(folder);
}

static void takes_as_many_values_as_it_says(void **state)
{
    (void)state;
    char *folder = run_directory_file(parent, "worker-0"), tag[64];
    memset(tag, 'x', 63);
    tag[63] = '\0';
    struct tensorboard_scalar scalars[TENSORBOARD_SCALARS_MAX];
    for (int i = 0; i < TENSORBOARD_SCALARS_MAX; i++)
        scalars[i] = (struct tensorboard_scalar){tag, i};
    struct tensorboard *events;
    assert_int_equal(tensorboard_create(folder, 1700000000, 0, &events), STATUS_OK);
    for (int i = 0; i < 3; i++)
        tensorboard_add(events, i, UINT64_MAX, scalars, TENSORBOARD_SCALARS_MAX);
    tensorboard_close(events);
    take_file(folder);
    free(folder);
    size_t at = 0, count, frames = 0;
    while (next_frame(&at, &count) != NULL)
        frames++;
    assert_int_equal(frames, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_is_crc32c),
        cmocka_unit_test_setup(writes_frames_and_messages, make_folder),
        cmocka_unit_test_setup(each_session_has_a_file, make_folder),
        cmocka_unit_test_setup(takes_as_many_values_as_it_says, make_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
