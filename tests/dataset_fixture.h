/* What the tests of data sets share: tiny files of every format, and the messages about files that are wrong. */
#ifndef GRAPEVINE_TESTS_DATASET_FIXTURE_H
#define GRAPEVINE_TESTS_DATASET_FIXTURE_H

#include "data/dataset.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/text.h"

enum { CIFAR_PIXELS = 3072, DIGIT_PIXELS = 784, MESSAGE_BYTES = 2048 };

struct fixture {
    char folder[64];
    char message[MESSAGE_BYTES]; /* of the last open that was captured */
};

static inline int set_up(void **state)
{
    static struct fixture fixture;
    strcpy(fixture.folder, "/tmp/grapevine-dataset-XXXXXX");
    if (mkdtemp(fixture.folder) == NULL)
        return -1;
    *state = &fixture;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *fixture = *state;
    char *command = text_format("rm -r %s", fixture->folder);
    int result = system(command);
    free(command);
    return result;
}

/* Write bytes to FOLDER/NAME, gzipped where the name ends in .gz; folders of the name are made. */
static inline void write_file(const struct fixture *fixture, const char *name, const void *bytes, size_t size)
{
    char *path = text_format("%s/%s", fixture->folder, name);
    for (char *slash = path + strlen(fixture->folder); (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    gzFile file = gzopen(path, strstr(name, ".gz") != NULL ? "wb" : "wbT");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)size), size);
    assert_int_equal(gzclose(file), Z_OK);
    free(path);
}

static inline void truncate_file(const struct fixture *fixture, const char *name, long by)
{
    char *path = text_format("%s/%s", fixture->folder, name);
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(truncate(path, about.st_size - by), 0);
    free(path);
}

static inline enum status open_set(const struct fixture *fixture, const char *name, bool train, size_t count,
                                   struct dataset **set)
{
    struct dataset_params params = {.name = name, .path = fixture->folder, .train = train, .count = count, .seed = 1};
    return dataset_open(&params, set);
}

/* Open with standard error going to fixture->message; nothing may be set. */
static inline enum status open_captured(struct fixture *fixture, const struct dataset_params *params)
{
    struct dataset *set = NULL;
    FILE *capture = tmpfile();
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(capture), STDERR_FILENO);
    enum status status = dataset_open(params, &set);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(capture);
    size_t length = fread(fixture->message, 1, MESSAGE_BYTES - 1, capture);
    fixture->message[length] = '\0';
    fclose(capture);
    assert_null(set);
    return status;
}

/* One message, that contains each of the `count` texts. */
static inline void expect_message(struct fixture *fixture, const char *name, bool train, const char *const *texts,
                                  size_t count)
{
    struct dataset_params params = {.name = name, .path = fixture->folder, .train = train};
    assert_int_equal(open_captured(fixture, &params), STATUS_DATA);
    for (size_t i = 0; i < count; i++)
        if (strstr(fixture->message, texts[i]) == NULL)
            fail_msg("no \"%s\" in: %s", texts[i], fixture->message);
    assert_ptr_equal(strchr(fixture->message, '\n'), fixture->message + strlen(fixture->message) - 1);
}

#define EXPECT_MESSAGE(fixture, name, train, ...)                            \
    expect_message(fixture, name, train, (const char *const[]){__VA_ARGS__}, \
                   sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static inline uint8_t pixel_of(size_t picture, size_t place)
{
    return (uint8_t)(picture * 37 + place * 11 + place / 97);
}

/* Two records per file; picture i (counted over the files) has label i % 10. */
static inline void write_cifar10_in(const struct fixture *fixture, const char *folder)
{
    uint8_t records[2][1 + CIFAR_PIXELS];
    for (size_t file = 0; file < 6; file++) {
        for (size_t i = 0; i < 2; i++) {
            records[i][0] = (uint8_t)((2 * file + i) % 10);
            for (size_t p = 0; p < CIFAR_PIXELS; p++)
                records[i][1 + p] = pixel_of(2 * file + i, p);
        }
        char *name = file < 5 ? text_format("%s/data_batch_%zu.bin", folder, file + 1)
                              : text_format("%s/test_batch.bin", folder);
        write_file(fixture, name, records, sizeof records);
        free(name);
    }
}

static inline void write_cifar10(const struct fixture *fixture)
{
    write_cifar10_in(fixture, "cifar-10-batches-bin");
}

/* Three pictures and labels 7, 0, 9. */
static inline void write_digit_files(const struct fixture *fixture, const char *pictures_name, const char *labels_name)
{
    uint8_t pictures[16 + 3 * DIGIT_PIXELS] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 28, 0, 0, 0, 28};
    static const uint8_t labels[8 + 3] = {0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9};
    for (size_t p = 0; p < 3 * DIGIT_PIXELS; p++)
        pictures[16 + p] = pixel_of(p / DIGIT_PIXELS, p % DIGIT_PIXELS);
    write_file(fixture, pictures_name, pictures, sizeof pictures);
    write_file(fixture, labels_name, labels, sizeof labels);
}

/* The same under the names of a split. */
static inline void write_digits(const struct fixture *fixture, const char *folder, const char *split,
                                const char *suffix)
{
    char *pictures = text_format("%s/%s-images-idx3-ubyte%s", folder, split, suffix);
    char *labels = text_format("%s/%s-labels-idx1-ubyte%s", folder, split, suffix);
    write_digit_files(fixture, pictures, labels);
    free(pictures);
    free(labels);
}

static inline void check_digits(const struct fixture *fixture, const char *name, bool train, double mean,
                                double deviation)
{
    struct dataset *set;
    float out[DIGIT_PIXELS];
    assert_int_equal(open_set(fixture, name, train, 0, &set), STATUS_OK);
    assert_int_equal(set->count, 3);
    assert_int_equal(set->channels, 1);
    assert_int_equal(set->height, 28);
    assert_int_equal(set->labels[0], 7);
    assert_int_equal(set->labels[2], 9);
    assert_int_equal(set->ops->fetch(set, 2, NULL, out), STATUS_OK);
    for (size_t p = 0; p < DIGIT_PIXELS; p++)
        assert_true(out[p] == (float)((pixel_of(2, p) / 255.0 - mean) / deviation));
    dataset_close(set);
}

static inline void remove_all(const struct fixture *fixture)
{
    char *command = text_format("rm -rf %s/*", fixture->folder);
    assert_int_equal(system(command), 0);
    free(command);
}

#endif
