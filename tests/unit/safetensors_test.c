/* The safetensors format: bytes exactly as specified, and a reader that survives what it is given. */
#include "app/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/random.h"

static char path[64];

static int make_path(void **state)
{
    (void)state;
    strcpy(path, "/tmp/grapevine-test-XXXXXX");
    int file = mkstemp(path);
    return file < 0 || close(file) != 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

/* A file of the given header and so many zero bytes of data. */
static void put_file(const char *header, size_t header_bytes, size_t data_bytes)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    for (int i = 0; i < 8; i++)
        fputc((int)(header_bytes >> (8 * i) & 0xff), out);
    fwrite(header, 1, header_bytes, out);
    for (size_t i = 0; i < data_bytes; i++)
        fputc(0, out);
    assert_int_equal(fclose(out), 0);
}

/* safetensors_open with its message kept back. */
static enum status open_quietly(struct safetensors_file **file)
{
    log_hold(true);
    enum status status = safetensors_open(path, file);
    log_hold(false);
    return status;
}

static void writes_the_format(void **state)
{
    (void)state;
    const float values[3] = {1, 2, 3};
    const int64_t number = 7;
    const size_t shape[2] = {3, 1};
    const struct safetensors_entry entries[] = {{"w", SAFETENSORS_F32, 2, shape, values, NULL, NULL},
                                                {"n", SAFETENSORS_I64, 0, NULL, &number, NULL, NULL}};
    const struct safetensors_pair metadata[] = {{"model", "a \"b\"\n"}};
    static const char header[] = "{\"__metadata__\":{\"model\":\"a \\\"b\\\"\\n\"},"
                                 "\"n\":{\"shape\":[],\"dtype\":\"I64\",\"data_offsets\":[0,8]},"
                                 "\"w\":{\"shape\":[3,1],\"dtype\":\"F32\",\"data_offsets\":[8,20]}}";
    size_t padded = (sizeof header - 1 + 7) / 8 * 8;
    unsigned char bytes[512];
    assert_int_equal(safetensors_write(path, entries, 2, metadata, 1, LOG_ERROR), STATUS_OK);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    size_t count = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    assert_int_equal(count, 8 + padded + 20);
    assert_int_equal(bytes[0], padded);
    for (int i = 1; i < 8; i++)
        assert_int_equal(bytes[i], 0);
    assert_memory_equal(bytes + 8, header, sizeof header - 1);
    for (size_t i = sizeof header - 1; i < padded; i++)
        assert_int_equal(bytes[8 + i], ' ');
    assert_memory_equal(bytes + 8 + padded, &number, 8);
    assert_memory_equal(bytes + 8 + padded + 8, values, 12);
}

static void reads_what_it_wrote(void **state)
{
    (void)state;
    const float values[6] = {1, -2, 3.5f, 0, 1e-30f, 6};
    const int64_t number = -5;
    const size_t shape[4] = {1, 2, 3, 1}, empty[1] = {0};
    const struct safetensors_entry entries[] = {{"z.weight", SAFETENSORS_F32, 4, shape, values, NULL, NULL},
                                                {"count", SAFETENSORS_I64, 0, NULL, &number, NULL, NULL},
                                                {"empty", SAFETENSORS_F32, 1, empty, values, NULL, NULL}};
    const struct safetensors_pair metadata[] = {{"model", "mlp"}, {"epoch", "3"}};
    assert_int_equal(safetensors_write(path, entries, 3, metadata, 2, LOG_ERROR), STATUS_OK);
    struct safetensors_file *file;
    assert_int_equal(safetensors_open(path, &file), STATUS_OK);
    assert_int_equal(file->tensor_count, 3);
    assert_string_equal(safetensors_metadata(file, "epoch"), "3");
    assert_null(safetensors_metadata(file, "seed"));
    assert_null(safetensors_find(file, "z"));
    const struct safetensors_tensor *tensor = safetensors_find(file, "z.weight");
    assert_non_null(tensor);
    assert_int_equal(tensor->rank, 4);
    assert_int_equal(tensor->count, 6);
    float out[6];
    int64_t read_number;
    assert_int_equal(safetensors_read_floats(file, tensor, out), STATUS_OK);
    assert_memory_equal(out, values, sizeof values);
    assert_int_equal(safetensors_read_int64(file, safetensors_find(file, "count"), &read_number), STATUS_OK);
    assert_int_equal(read_number, -5);
    assert_int_equal(safetensors_find(file, "empty")->count, 0);
    log_hold(true);
    assert_int_equal(safetensors_read_int64(file, tensor, &read_number), STATUS_DATA);
    assert_int_equal(safetensors_read_floats(file, safetensors_find(file, "count"), out), STATUS_DATA);
    log_hold(false);
    safetensors_close(file);
}

static void converts_half_precision(void **state)
{
    (void)state;
    static const char header[] = "{\"h\":{\"dtype\":\"F16\",\"shape\":[6],\"data_offsets\":[0,12]},"
                                 "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[12,16]}} ";
    const uint16_t data[8] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000, 0x3555, 0x3f80, 0xc049};
    const float halves[6] = {1, -2, 0x1p-24f, 65504, -0.0f, 0x1.554p-2f}, brains[2] = {1, -0x1.92p+1f};
    put_file(header, sizeof header - 1, 0);
    FILE *out = fopen(path, "a");
    fwrite(data, 1, sizeof data, out);
    assert_int_equal(fclose(out), 0);
    struct safetensors_file *file;
    float read[6];
    assert_int_equal(safetensors_open(path, &file), STATUS_OK);
    assert_int_equal(safetensors_read_floats(file, safetensors_find(file, "h"), read), STATUS_OK);
    assert_memory_equal(read, halves, sizeof halves);
    assert_int_equal(safetensors_read_floats(file, safetensors_find(file, "b"), read), STATUS_OK);
    assert_memory_equal(read, brains, sizeof brains);
    safetensors_close(file);
}

struct bad_file {
    const char *header;
    size_t data_bytes;
};

#define F32_AT(name, shape, begin, end) \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end "]}"

static void refuses_broken_files(void **state)
{
    (void)state;
    static const struct bad_file files[] = {
        {"[]", 0},
        {"{", 0},
        {" {}", 0},
        {"{}x", 0},
        {"{}", 4},                               /* bytes that belong to nobody */
        {"{" F32_AT("a", "2", "0", "8") "}", 7}, /* cut off */
        {"{" F32_AT("a", "2", "0", "8") "}", 9}, /* too long */
        {"{" F32_AT("a", "3", "0", "8") "}", 8}, /* another size than the shape's */
        {"{" F32_AT("a", "2", "8", "0") "}", 8}, /* backward */
        {"{" F32_AT("a", "-2", "0", "8") "}", 8},
        {"{" F32_AT("a", "1.5", "0", "6") "}", 6},
        {"{" F32_AT("a", "4294967296,4294967296,4", "0", "0") "}", 0},            /* product wraps to 0 in 64 bits */
        {"{" F32_AT("a", "1,1,1,1,1,1,1,1,2", "0", "8") "}", 8},                  /* too many dimensions */
        {"{" F32_AT("a", "2", "0", "8") "," F32_AT("b", "1", "4", "8") "}", 8},   /* overlap */
        {"{" F32_AT("a", "1", "0", "4") "," F32_AT("b", "1", "8", "12") "}", 12}, /* hole */
        {"{" F32_AT("a", "1", "0", "4") "," F32_AT("a", "1", "4", "8") "}", 8},   /* a name twice */
        {"{" F32_AT("a", "1", "0", "1e300") "}", 4},
        {"{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4},
        {"{\"a\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}}", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4},
        {"{\"a\":4}", 4},
        {"{\"__metadata__\":3}", 0},
        {"{\"__metadata__\":{\"a\":3}}", 0},
    };
    struct safetensors_file *file = NULL;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        put_file(files[i].header, strlen(files[i].header), files[i].data_bytes);
        if (open_quietly(&file) != STATUS_DATA)
            fail_msg("taken: %s with %zu bytes", files[i].header, files[i].data_bytes);
    }
    put_file("{}", 2, 0);
    assert_int_equal(open_quietly(&file), STATUS_OK);
    safetensors_close(file);
    put_file("{" F32_AT("a", "2", "0", "8") "}", strlen("{" F32_AT("a", "2", "0", "8") "}"), 8);
    assert_int_equal(open_quietly(&file), STATUS_OK);
    safetensors_close(file);
}

static void refuses_what_is_no_file(void **state)
{
    (void)state;
    struct safetensors_file *file;
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(open_quietly(&file), STATUS_DATA);
    FILE *out = fopen(path, "w");
    fputs("PK\3\4 a PyTorch file as torch.save writes it", out);
    fclose(out);
    assert_int_equal(open_quietly(&file), STATUS_DATA);
    out = fopen(path, "w");
    fwrite("\xff\xff\xff\xff\xff\xff\xff\xff{}", 1, 10, out); /* a header of 2^64 − 1 bytes */
    fclose(out);
    assert_int_equal(open_quietly(&file), STATUS_DATA);
    log_hold(true);
    assert_int_equal(safetensors_open("/tmp", &file), STATUS_DATA);
    assert_int_equal(safetensors_open("/tmp/grapevine-there-is-no-such-file", &file), STATUS_DATA);
    log_hold(false);
}

static void says_printable_names(void **state)
{
    (void)state;
    char name[64], shape[128];
    char longest[200];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const uint64_t extents[SAFETENSORS_RANK_MAX] = {1ull << 53, 1ull << 53, 1ull << 53, 1ull << 53,
                                                    1ull << 53, 1ull << 53, 1ull << 53, 1ull << 53};
    assert_string_equal(safetensors_printable(name, "a\nb\033[2J"), "a?b?[2J");
    assert_int_equal(strlen(safetensors_printable(name, longest)), 63);
    assert_string_equal(safetensors_shape(shape, 0, extents), "()");
    assert_true(strlen(safetensors_shape(shape, SAFETENSORS_RANK_MAX, extents)) < 128);
}

/* Change, insert or remove a few bytes, as often as not to bytes that mean something to the format. */
static size_t mutate(struct random_stream *stream, unsigned char *bytes, size_t count, size_t capacity)
{
    static const char telling[] = "{}[]\":,0123456789-.eE\\u \0\377n";
    for (uint32_t n = 1 + random_below(stream, 4); n > 0; n--) {
        size_t at = random_below(stream, (uint32_t)count);
        unsigned char value = (unsigned char)random_u32(stream);
        if (random_below(stream, 2) != 0)
            value = (unsigned char)telling[random_below(stream, sizeof telling)];
        switch (random_below(stream, 4)) {
        case 0:
            if (count < capacity) {
                memmove(bytes + at + 1, bytes + at, count - at);
                bytes[at] = value;
                count++;
            }
            break;
        case 1:
            if (count > 1) {
                memmove(bytes + at, bytes + at + 1, count - at - 1);
                count--;
            }
            break;
        default:
            bytes[at] = value;
        }
    }
    return count;
}

/* Whatever is opened can also be read: no crash and, under valgrind or a sanitizer, no read outside. */
static void survives_mutated_files(void **state)
{
    (void)state;
    static const char header[] =
        "{\"__metadata__\":{\"model\":\"mlp\",\"k\":\"\\u00e9\\n\"}," F32_AT("a.b", "2,2", "0", "16") "," F32_AT(
            "c", "", "16", "20") ",\"n\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[20,28]},"
                                 "\"h\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[28,30]}}  ";
    enum { ROUNDS = 20000, DATA_BYTES = 30 };
    size_t taken = 0;
    int memory = memfd_create("mutated", MFD_CLOEXEC); /* a file that no disk slows down */
    assert_true(memory >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct random_stream stream = random_stream(11, RANDOM_TEST, 0, round);
        unsigned char bytes[1024] = {0};
        size_t count = 8 + sizeof header - 1 + DATA_BYTES;
        bytes[0] = (unsigned char)(sizeof header - 1);
        bytes[1] = (unsigned char)((sizeof header - 1) >> 8);
        memcpy(bytes + 8, header, sizeof header - 1);
        count = mutate(&stream, bytes, count, sizeof bytes);
        assert_int_equal(ftruncate(memory, 0), 0);
        assert_int_equal(pwrite(memory, bytes, count, 0), count);
        log_hold(true); /* drops the messages so far */
        struct safetensors_file *file;
        if (safetensors_open(path, &file) != STATUS_OK)
            continue;
        taken++;
        for (size_t i = 0; i < file->tensor_count; i++) {
            float values[8];
            int64_t number;
            assert_true(file->tensors[i].count <= 8 || file->tensors[i].type == SAFETENSORS_OTHER);
            if (file->tensors[i].type == SAFETENSORS_I64 && file->tensors[i].count == 1)
                assert_int_equal(safetensors_read_int64(file, &file->tensors[i], &number), STATUS_OK);
            else if (file->tensors[i].type != SAFETENSORS_OTHER && file->tensors[i].type != SAFETENSORS_I64)
                assert_int_equal(safetensors_read_floats(file, &file->tensors[i], values), STATUS_OK);
        }
        safetensors_close(file);
    }
    log_hold(false);
    close(memory);
    assert_true(taken > ROUNDS / 100 && taken < ROUNDS / 2); /* both outcomes were met */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_the_format, make_path, remove_path),
        cmocka_unit_test_setup_teardown(reads_what_it_wrote, make_path, remove_path),
        cmocka_unit_test_setup_teardown(converts_half_precision, make_path, remove_path),
        cmocka_unit_test_setup_teardown(refuses_broken_files, make_path, remove_path),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_file, make_path, remove_path),
        cmocka_unit_test(says_printable_names),
        cmocka_unit_test(survives_mutated_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
