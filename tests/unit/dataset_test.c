/* data/dataset.h: tiny files of every format, exact fetched values, and the messages about files that are wrong.
 * Where $GRAPEVINE_DATA holds the published sets, known facts about them are checked too. */
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

#include "dataset_fixture.h"

static void cifar10_values_are_exact(void **state)
{
    static const double mean[3] = {.4914, .4822, .4465}, deviation[3] = {.2023, .1994, .2010};
    struct dataset *set;
    float out[CIFAR_PIXELS];
    write_cifar10(*state);
    assert_int_equal(open_set(*state, "cifar10", true, 0, &set), STATUS_OK);
    assert_int_equal(set->count, 10);
    assert_int_equal(set->channels, 3);
    assert_int_equal(set->height, 32);
    assert_int_equal(set->width, 32);
    assert_int_equal(set->class_count, 10);
    assert_string_equal(set->class_names[9], "truck");
    for (size_t i = 0; i < set->count; i++) {
        assert_int_equal(set->labels[i], i);
        assert_int_equal(set->ops->fetch(set, i, NULL, out), STATUS_OK);
        for (size_t p = 0; p < CIFAR_PIXELS; p++)
            assert_true(out[p] == (float)((pixel_of(i, p) / 255.0 - mean[p / 1024]) / deviation[p / 1024]));
    }
    dataset_close(set);
    assert_int_equal(open_set(*state, "cifar10", false, 0, &set), STATUS_OK);
    assert_int_equal(set->count, 2);
    assert_int_equal(set->labels[0], 0);
    assert_int_equal(set->labels[1], 1);
    dataset_close(set);
}

static void count_takes_the_first(void **state)
{
    struct dataset *set;
    struct fixture *fixture = *state;
    write_cifar10(fixture);
    assert_int_equal(open_set(fixture, "cifar10", true, 3, &set), STATUS_OK);
    assert_int_equal(set->count, 3);
    assert_int_equal(set->labels[2], 2);
    dataset_close(set);
    struct dataset_params params = {.name = "cifar10", .path = fixture->folder, .train = true, .count = 11};
    assert_int_equal(open_captured(fixture, &params), STATUS_USAGE);
    assert_non_null(strstr(fixture->message, "data.train_count: 11 pictures"));
    assert_non_null(strstr(fixture->message, "has 10"));
}

static void cifar100_uses_the_fine_label(void **state)
{
    uint8_t records[3][2 + CIFAR_PIXELS] = {{19, 49, 255}, {3, 0}, {0, 99}};
    struct dataset *set;
    float out[CIFAR_PIXELS];
    write_file(*state, "cifar-100-binary/train.bin", records, sizeof records);
    assert_int_equal(open_set(*state, "cifar100", true, 0, &set), STATUS_OK);
    assert_int_equal(set->count, 3);
    assert_int_equal(set->class_count, 100);
    assert_int_equal(set->labels[0], 49);
    assert_int_equal(set->labels[1], 0);
    assert_int_equal(set->labels[2], 99);
    assert_string_equal(set->class_names[49], "mountain");
    assert_string_equal(set->class_names[99], "worm");
    assert_int_equal(set->ops->fetch(set, 0, NULL, out), STATUS_OK);
    assert_true(out[0] == (float)((1 - .5071) / .2673));
    assert_true(out[1] == (float)((0 - .5071) / .2673));
    dataset_close(set);
}

static void idx_is_read_gzipped_and_plain(void **state)
{
    write_digits(*state, "mnist", "train", ".gz");
    write_digits(*state, "mnist", "t10k", "");
    write_digits(*state, "fashion-mnist", "train", "");
    check_digits(*state, "mnist", true, .1307, .3081);
    check_digits(*state, "mnist", false, .1307, .3081);
    check_digits(*state, "fashion-mnist", true, .2860, .3530);
}

static void names_are_checked(void **state)
{
    struct fixture *fixture = *state;
    struct dataset_params params = {.name = "cifar01", .path = fixture->folder};
    assert_int_equal(open_captured(fixture, &params), STATUS_USAGE);
    assert_non_null(strstr(fixture->message, "did you mean \"cifar10\"?"));
    assert_non_null(strstr(fixture->message, "shapes | gaussian | cifar10 | cifar100 | mnist | fashion-mnist"));
    params.name = "svhn-extra-large";
    assert_int_equal(open_captured(fixture, &params), STATUS_USAGE);
    assert_null(strstr(fixture->message, "did you mean"));
    params = (struct dataset_params){.name = "mnist", .path = ""};
    assert_int_equal(open_captured(fixture, &params), STATUS_DATA);
    assert_non_null(strstr(fixture->message, "set data.path or $GRAPEVINE_DATA"));
    assert_non_null(strstr(fixture->message, "scripts/get_data.sh mnist DIR"));
    for (const char *const *name = dataset_names(); *name != NULL; name++) { /* every listed name is known */
        params = (struct dataset_params){
            .name = *name, .path = "", .count = 1, .dimension = 1, .class_count = 1, .condition = 1};
        struct dataset *set = NULL;
        if (strcmp(*name, "shapes") == 0 || strcmp(*name, "gaussian") == 0)
            assert_int_equal(dataset_open(&params, &set), STATUS_OK);
        else
            assert_int_equal(open_captured(fixture, &params), STATUS_DATA);
        dataset_close(set);
    }
}

static void cifar_troubles_are_named(void **state)
{
    struct fixture *fixture = *state;
    EXPECT_MESSAGE(fixture, "cifar10", true, fixture->folder, "cifar-10-batches-bin/data_batch_1.bin: No such file",
                   "10000 records, 30730000 bytes", "scripts/get_data.sh cifar10", "$GRAPEVINE_DATA");
    EXPECT_MESSAGE(fixture, "cifar100", false, "cifar-100-binary/test.bin: No such file",
                   "10000 records, 30740000 bytes");
    write_cifar10(fixture);
    truncate_file(fixture, "cifar-10-batches-bin/data_batch_4.bin", 1);
    EXPECT_MESSAGE(fixture, "cifar10", true, "data_batch_4.bin: found 6145 bytes", "records of 3073 bytes");
    truncate_file(fixture, "cifar-10-batches-bin/data_batch_4.bin", 6145);
    EXPECT_MESSAGE(fixture, "cifar10", true, "data_batch_4.bin: found 0 bytes");
    write_cifar10(fixture);
    uint8_t records[2][1 + CIFAR_PIXELS] = {{9}, {10}};
    write_file(fixture, "cifar-10-batches-bin/data_batch_3.bin", records, sizeof records);
    EXPECT_MESSAGE(fixture, "cifar10", true, "data_batch_3.bin: record 1 ", "label 10, allowed are 0 to 9",
                   "get_data.sh");
}

static void idx_troubles_are_named(void **state)
{
    struct fixture *fixture = *state;
    EXPECT_MESSAGE(fixture, "mnist", true, "mnist/train-images-idx3-ubyte.gz: No such file", "get_data.sh mnist");
    uint8_t header[16] = {0, 0, 8, 1, 0, 0, 0, 3, 0, 0, 0, 28, 0, 0, 0, 28};
    write_file(fixture, "mnist/train-images-idx3-ubyte", header, sizeof header);
    EXPECT_MESSAGE(fixture, "mnist", true, "found magic number 0x00000801, expected 0x00000803");
    header[3] = 3;
    header[15] = 27;
    write_file(fixture, "mnist/train-images-idx3-ubyte", header, sizeof header);
    EXPECT_MESSAGE(fixture, "mnist", true, "found pictures of 28 x 27, expected 28 x 28");
    header[4] = 200;
    write_file(fixture, "mnist/train-images-idx3-ubyte", header, sizeof header);
    EXPECT_MESSAGE(fixture, "mnist", true, "found a length of 3355443203 in the header");
    write_digits(fixture, "mnist", "train", "");
    truncate_file(fixture, "mnist/train-images-idx3-ubyte", 1);
    EXPECT_MESSAGE(fixture, "mnist", true, "found 2351 bytes of pixels, expected 2352");
    write_digits(fixture, "mnist", "train", ".gz");
    truncate_file(fixture, "mnist/train-images-idx3-ubyte.gz", 200);
    EXPECT_MESSAGE(fixture, "mnist", true, "train-images-idx3-ubyte.gz: short or corrupt", "zlib says");
    write_digits(fixture, "mnist", "train", ".gz");
    static const uint8_t few[10] = {0, 0, 8, 1, 0, 0, 0, 2, 1, 2}, wrong[11] = {0, 0, 8, 1, 0, 0, 0, 3, 1, 10, 2},
                         more[12] = {0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3, 4};
    write_file(fixture, "mnist/train-labels-idx1-ubyte.gz", few, sizeof few);
    EXPECT_MESSAGE(fixture, "mnist", true, "train-labels-idx1-ubyte.gz: found 2 labels", "each of the 3 pictures");
    write_file(fixture, "mnist/train-labels-idx1-ubyte.gz", wrong, sizeof wrong);
    EXPECT_MESSAGE(fixture, "mnist", true, "record 1 (the first is 0) has label 10, allowed are 0 to 9");
    write_file(fixture, "mnist/train-labels-idx1-ubyte.gz", more, sizeof more);
    EXPECT_MESSAGE(fixture, "mnist", true, "longer than its header says (3 items)");
}

/* Damage inside of the packed bytes is found by gzip's checksum at the latest. */
static void gzip_checksum_is_verified(void **state)
{
    struct fixture *fixture = *state;
    write_digits(fixture, "mnist", "train", ".gz");
    char *path = text_format("%s/mnist/train-images-idx3-ubyte.gz", fixture->folder);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, -8, SEEK_END), 0); /* CRC-32, then the length */
    int byte = fgetc(file);
    fseek(file, -8, SEEK_END);
    fputc(byte ^ 1, file);
    fclose(file);
    free(path);
    EXPECT_MESSAGE(fixture, "mnist", true, "train-images-idx3-ubyte.gz: ", "zlib says", "incorrect data check");
}

/* Mean and deviation of every channel of what fetch gives, over the whole set. */
static void check_moments(const struct dataset *set, const double *mean, const double *deviation, double tolerance)
{
    size_t plane = (size_t)set->height * (size_t)set->width;
    float *out = calloc((size_t)set->channels * plane, sizeof *out);
    double sums[3] = {0}, squares[3] = {0};
    for (size_t i = 0; i < set->count; i++) {
        assert_int_equal(set->ops->fetch(set, i, NULL, out), STATUS_OK);
        for (size_t p = 0; p < (size_t)set->channels * plane; p++) {
            sums[p / plane] += (double)out[p];
            squares[p / plane] += (double)out[p] * (double)out[p];
        }
    }
    for (int c = 0; c < set->channels; c++) {
        double n = (double)(set->count * plane), m = sums[c] / n;
        assert_true(fabs(m - mean[c]) < tolerance);
        assert_true(fabs(sqrt(squares[c] / n - m * m) - deviation[c]) < tolerance);
    }
    free(out);
}

static bool open_real(const char *name, const char *file, bool train, struct dataset **set)
{
    const char *folder = getenv("GRAPEVINE_DATA");
    if (folder == NULL || *folder == '\0')
        return false;
    char *path = text_format("%s/%s", folder, file);
    bool there = access(path, R_OK) == 0;
    free(path);
    if (!there)
        return false;
    struct dataset_params params = {.name = name, .path = folder, .train = train};
    assert_int_equal(dataset_open(&params, set), STATUS_OK);
    return true;
}

/* Labels of the published files; means are 0 by construction, the deviation is not 1 because the constant in general
 * use is the mean deviation within a picture (.2023 where that of all pixels is .2470). */
static void published_cifar10(void **state)
{
    (void)state;
    static const int32_t train_labels[] = {6, 9, 9, 4, 1, 1, 2, 7, 8, 3}, test_labels[] = {3, 8, 8, 0, 6};
    struct dataset *set;
    if (!open_real("cifar10", "cifar-10-batches-bin/data_batch_1.bin", true, &set))
        skip();
    assert_int_equal(set->count, 50000);
    assert_memory_equal(set->labels, train_labels, sizeof train_labels);
    check_moments(set, (const double[]){0, 0, 0}, (const double[]){.24703 / .2023, .24349 / .1994, .26159 / .2010},
                  1e-3);
    dataset_close(set);
    assert_true(open_real("cifar10", "cifar-10-batches-bin/test_batch.bin", false, &set));
    assert_int_equal(set->count, 10000);
    assert_memory_equal(set->labels, test_labels, sizeof test_labels);
    dataset_close(set);
}

static void published_fashion_mnist(void **state)
{
    (void)state;
    static const int32_t train_labels[] = {9, 0, 0, 3, 0, 2, 7, 2, 5, 5}, test_labels[] = {9, 2, 1, 1, 6};
    struct dataset *set;
    if (!open_real("fashion-mnist", "fashion-mnist/train-images-idx3-ubyte.gz", true, &set))
        skip();
    assert_int_equal(set->count, 60000);
    assert_memory_equal(set->labels, train_labels, sizeof train_labels);
    check_moments(set, (const double[]){0}, (const double[]){1}, 1e-3);
    dataset_close(set);
    assert_true(open_real("fashion-mnist", "fashion-mnist/t10k-images-idx3-ubyte.gz", false, &set));
    assert_int_equal(set->count, 10000);
    assert_memory_equal(set->labels, test_labels, sizeof test_labels);
    dataset_close(set);
}

static void published_mnist(void **state)
{
    (void)state;
    struct dataset *set;
    if (!open_real("mnist", "mnist/train-images-idx3-ubyte.gz", true, &set))
        skip();
    assert_int_equal(set->count, 60000);
    check_moments(set, (const double[]){0}, (const double[]){1}, 1e-3);
    dataset_close(set);
}

static void published_cifar100(void **state)
{
    (void)state;
    struct dataset *set;
    if (!open_real("cifar100", "cifar-100-binary/train.bin", true, &set))
        skip();
    assert_int_equal(set->count, 50000);
    check_moments(set, (const double[]){0, 0, 0}, (const double[]){1, 1, 1}, 2e-3);
    dataset_close(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cifar10_values_are_exact, set_up, tear_down),
        cmocka_unit_test_setup_teardown(count_takes_the_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cifar100_uses_the_fine_label, set_up, tear_down),
        cmocka_unit_test_setup_teardown(idx_is_read_gzipped_and_plain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_are_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cifar_troubles_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(idx_troubles_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gzip_checksum_is_verified, set_up, tear_down),
        cmocka_unit_test(published_cifar10),
        cmocka_unit_test(published_fashion_mnist),
        cmocka_unit_test(published_mnist),
        cmocka_unit_test(published_cifar100),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
