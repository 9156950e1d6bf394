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

#include "base/text.h"

enum { CIFAR_PIXELS = 3072, DIGIT_PIXELS = 784, MESSAGE_BYTES = 2048 };

struct fixture {
    char folder[64];
    char message[MESSAGE_BYTES]; /* of the last open that was captured */
};

static int set_up(void **state)
{
    static struct fixture fixture;
    strcpy(fixture.folder, "/tmp/grapevine-dataset-XXXXXX");
    if (mkdtemp(fixture.folder) == NULL)
        return -1;
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    char *command = text_format("rm -r %s", fixture->folder);
    int result = system(command);
    free(command);
    return result;
}

/* Write bytes to FOLDER/NAME, gzipped where the name ends in .gz; folders of the name are made. */
static void write_file(const struct fixture *fixture, const char *name, const void *bytes, size_t size)
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

static void truncate_file(const struct fixture *fixture, const char *name, long by)
{
    char *path = text_format("%s/%s", fixture->folder, name);
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(truncate(path, about.st_size - by), 0);
    free(path);
}

static enum status open_set(const struct fixture *fixture, const char *name, bool train, size_t count,
                            struct dataset **set)
{
    struct dataset_params params = {.name = name, .path = fixture->folder, .train = train, .count = count, .seed = 1};
    return dataset_open(&params, set);
}

/* Open with standard error going to fixture->message; nothing may be set. */
static enum status open_captured(struct fixture *fixture, const struct dataset_params *params)
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
static void expect_message(struct fixture *fixture, const char *name, bool train, const char *const *texts,
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

static uint8_t pixel_of(size_t picture, size_t place)
{
    return (uint8_t)(picture * 37 + place * 11 + place / 97);
}

/* Two records per file; picture i (counted over the files) has label i % 10. */
static void write_cifar10_in(const struct fixture *fixture, const char *folder)
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

static void write_cifar10(const struct fixture *fixture)
{
    write_cifar10_in(fixture, "cifar-10-batches-bin");
}

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
    assert_non_null(strstr(fixture->message, "data.count: 11 pictures"));
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

/* Three pictures and labels 7, 0, 9. */
static void write_digit_files(const struct fixture *fixture, const char *pictures_name, const char *labels_name)
{
    uint8_t pictures[16 + 3 * DIGIT_PIXELS] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 28, 0, 0, 0, 28};
    static const uint8_t labels[8 + 3] = {0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9};
    for (size_t p = 0; p < 3 * DIGIT_PIXELS; p++)
        pictures[16 + p] = pixel_of(p / DIGIT_PIXELS, p % DIGIT_PIXELS);
    write_file(fixture, pictures_name, pictures, sizeof pictures);
    write_file(fixture, labels_name, labels, sizeof labels);
}

/* The same under the names of a split. */
static void write_digits(const struct fixture *fixture, const char *folder, const char *split, const char *suffix)
{
    char *pictures = text_format("%s/%s-images-idx3-ubyte%s", folder, split, suffix);
    char *labels = text_format("%s/%s-labels-idx1-ubyte%s", folder, split, suffix);
    write_digit_files(fixture, pictures, labels);
    free(pictures);
    free(labels);
}

static void check_digits(const struct fixture *fixture, const char *name, bool train, double mean, double deviation)
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

static void idx_is_read_gzipped_and_plain(void **state)
{
    write_digits(*state, "mnist", "train", ".gz");
    write_digits(*state, "mnist", "t10k", "");
    write_digits(*state, "fashion-mnist", "train", "");
    check_digits(*state, "mnist", true, .1307, .3081);
    check_digits(*state, "mnist", false, .1307, .3081);
    check_digits(*state, "fashion-mnist", true, .2860, .3530);
}

static void remove_all(const struct fixture *fixture)
{
    char *command = text_format("rm -rf %s/*", fixture->folder);
    assert_int_equal(system(command), 0);
    free(command);
}

/* As torchvision, Kaggle and their archives lay files out, from the folder itself to the one above. */
static void idx_is_found_under_usual_names(void **state)
{
    static const struct {
        const char *set, *folder, *images, *labels;
    } layouts[] = {
        {"mnist", "MNIST/raw", "train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
        {"mnist", "MNIST/raw", "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"},
        {"mnist", "raw", "train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"},
        {"mnist", ".", "train-images.idx3-ubyte", "train-labels.idx1-ubyte"},
        {"mnist", "mnist", "train-images.idx3-ubyte.gz", "train-labels.idx1-ubyte"},
        {"mnist", ".", "train-images-idx3-ubyte/train-images-idx3-ubyte",
         "train-labels-idx1-ubyte/train-labels-idx1-ubyte"},
        {"mnist", ".", "train-images.idx3-ubyte/train-images.idx3-ubyte",
         "train-labels.idx1-ubyte/train-labels.idx1-ubyte"},
        {"fashion-mnist", "FashionMNIST/raw", "train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
        {"fashion-mnist", "fashion_mnist", "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"},
        {"fashion-mnist", "a/b/fashion-mnist", "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"}};
    struct fixture *fixture = *state;
    for (size_t k = 0; k < sizeof layouts / sizeof layouts[0]; k++) {
        bool fashion = strcmp(layouts[k].set, "mnist") != 0;
        char *names[] = {text_format("%s/%s", layouts[k].folder, layouts[k].images),
                         text_format("%s/%s", layouts[k].folder, layouts[k].labels)};
        write_digit_files(fixture, names[0], names[1]);
        check_digits(fixture, layouts[k].set, true, fashion ? .2860 : .1307, fashion ? .3530 : .3081);
        remove_all(fixture);
        free(names[0]);
        free(names[1]);
    }
}

static void cifar_is_found_below(void **state)
{
    static const char *const folders[] = {".", "cifar10", "cifar-10-batches-bin", "x/y/cifar-10-batches-bin",
                                          "cifar10/cifar-10-batches-bin"};
    struct fixture *fixture = *state;
    for (size_t k = 0; k < sizeof folders / sizeof folders[0]; k++) {
        struct dataset *set;
        write_cifar10_in(fixture, folders[k]);
        assert_int_equal(open_set(fixture, "cifar10", true, 0, &set), STATUS_OK);
        assert_int_equal(set->count, 10);
        dataset_close(set);
        remove_all(fixture);
    }
    write_cifar10_in(fixture, "w/x/y/z/cifar-10-batches-bin"); /* too deep */
    EXPECT_MESSAGE(fixture, "cifar10", true, "cifar-10-batches-bin/data_batch_1.bin: No such file");
}

static void pickles_are_named(void **state)
{
    struct fixture *fixture = *state;
    write_file(fixture, "cifar-10-batches-py/data_batch_1", "\x80\2", 2);
    EXPECT_MESSAGE(fixture, "cifar10", true, "cifar-10-batches-py: this is the set's Python version",
                   "scripts/cifar_binary.py ", "scripts/get_data.sh cifar10");
    write_file(fixture, "cifar100/cifar-100-python/train", "\x80\2", 2);
    EXPECT_MESSAGE(fixture, "cifar100", false, "cifar-100-python: this is the set's Python version");
    write_cifar10(fixture);
    struct dataset *set;
    assert_int_equal(open_set(fixture, "cifar10", true, 0, &set), STATUS_OK); /* both are there */
    dataset_close(set);
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
        cmocka_unit_test_setup_teardown(idx_is_found_under_usual_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cifar_is_found_below, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pickles_are_named, set_up, tear_down),
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
