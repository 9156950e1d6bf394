/* data set npy: arrays of NumPy in every order and type that is read become the same bytes; mean and deviation are
 * those of the training images; what is not as it should be is refused, with a remedy. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/dataset.h"
#include "data/npy_file.h"
#include "photo_fixture.h"

enum { COUNT = 12, HEIGHT = 5, WIDTH = 4, PLANE = HEIGHT * WIDTH };

/* A file with this dictionary and these items; version 2 has four bytes of length. */
static void write_array(const struct photo_fixture *fixture, const char *name, int version, const char *dictionary,
                        const void *items, size_t size)
{
    char bytes[1 << 16];
    size_t length = strlen(dictionary), at = version == 1 ? 10 : 12;
    memcpy(bytes, "\x93NUMPY", 6);
    bytes[6] = (char)version;
    bytes[7] = 0;
    for (size_t k = 8; k < at; k++)
        bytes[k] = (char)(length >> 8 * (k - 8));
    memcpy(bytes + at, dictionary, length);
    memcpy(bytes + at + length, items, size);
    photo_write(fixture, name, bytes, at + length + size);
}

static uint8_t value_of(size_t image, size_t channel, size_t place)
{
    return (uint8_t)(37 * image + 91 * channel + 11 * place);
}

static void write_labels(const struct photo_fixture *fixture, const char *name)
{
    int64_t labels[COUNT];
    for (int i = 0; i < COUNT; i++)
        labels[i] = i % 3;
    write_array(fixture, name, 1, "{'descr': '<i8', 'fortran_order': False, 'shape': (12,), }\n", labels,
                sizeof labels);
}

/* Images as bytes; `last`: channels come last. */
static void write_images(const struct photo_fixture *fixture, const char *name, size_t channels, bool last, int version)
{
    uint8_t items[COUNT * 3 * PLANE];
    char *dictionary;
    for (size_t i = 0; i < COUNT; i++)
        for (size_t c = 0; c < channels; c++)
            for (size_t p = 0; p < PLANE; p++)
                items[i * channels * PLANE + (last ? p * channels + c : c * PLANE + p)] = value_of(i, c, p);
    if (last)
        dictionary = text_format("{\"shape\": (12, 5, 4, %zu), \"descr\": '|u1', 'fortran_order':False}", channels);
    else
        dictionary = text_format("{'descr': '|u1', 'fortran_order': False, 'shape': (12, %zu, 5, 4), }  \n", channels);
    write_array(fixture, name, version, dictionary, items, COUNT * channels * PLANE);
    free(dictionary);
}

static struct dataset_params params_of(const struct photo_fixture *fixture, bool train)
{
    return (struct dataset_params){
        .name = "npy", .path = fixture->folder, .train = train, .augment = train, .seed = 1, .test_share = 0.25};
}

static struct dataset *open_set(const struct dataset_params *params)
{
    struct dataset *set = NULL;
    assert_int_equal(dataset_open(params, &set), STATUS_OK);
    return set;
}

/* Image i of the set is number `image` of those that were written. */
static void expect_image(const struct dataset *set, size_t i, size_t image)
{
    const struct picture_bytes *bytes = set->bytes;
    for (int c = 0; c < set->channels; c++)
        for (size_t p = 0; p < PLANE; p++)
            assert_int_equal(bytes->pixels[(i * (size_t)set->channels + (size_t)c) * PLANE + p],
                             value_of(image, (size_t)c, p));
    assert_int_equal(set->labels[i], image % 3);
}

static void expect_set(const struct photo_fixture *fixture, bool train, int channels)
{
    struct dataset_params params = params_of(fixture, train);
    struct dataset *set = open_set(&params);
    assert_int_equal(set->count, COUNT);
    assert_int_equal(set->channels, channels);
    assert_int_equal(set->height, HEIGHT);
    assert_int_equal(set->width, WIDTH);
    assert_int_equal(set->class_count, 3);
    assert_null(set->note);
    for (size_t i = 0; i < COUNT; i++)
        expect_image(set, i, i);
    dataset_close(set);
}

static void every_order_is_read(void **state)
{
    static const char *const names[][4] = {
        {"npy/train_images.npy", "npy/train_labels.npy", "npy/test_images.npy", "npy/test_labels.npy"},
        {"npy/x_train.npy", "npy/y_train.npy", "npy/x_test.npy", "npy/y_test.npy"},
        {"npy/X_train.npy", "npy/y_train.npy", "npy/X_val.npy", "npy/y_val.npy"},
        {"npy/images.npy", "npy/labels.npy", "npy/valid_x.npy", "npy/valid_y.npy"}};
    struct photo_fixture *fixture = *state;
    for (size_t k = 0; k < 4; k++)
        for (int channels = 1; channels <= 3; channels += 2) {
            write_images(fixture, names[k][0], (size_t)channels, k % 2 == 0, 1 + (int)k % 3);
            write_images(fixture, names[k][2], (size_t)channels, k % 2 == 1, 1);
            write_labels(fixture, names[k][1]);
            write_labels(fixture, names[k][3]);
            expect_set(fixture, true, channels);
            expect_set(fixture, false, channels);
            for (int file = 0; file < 4 && channels == 3; file++) {
                char *path = photo_path(fixture, names[k][file]);
                assert_int_equal(unlink(path), 0);
                free(path);
            }
        }
}

/* What ToTensor makes of bytes becomes these bytes; labels of any integer type. */
static void every_type_is_read(void **state)
{
    struct photo_fixture *fixture = *state;
    float items[COUNT * PLANE];
    double wide[COUNT * PLANE];
    for (size_t i = 0; i < COUNT * PLANE; i++) {
        items[i] = (float)value_of(i / PLANE, 0, i % PLANE) / 255;
        wide[i] = items[i];
        uint64_t bits;
        memcpy(&bits, &wide[i], sizeof bits);
        bits = __builtin_bswap64(bits);
        memcpy(&wide[i], &bits, sizeof bits);
    }
    for (int k = 0; k < 2; k++) {
        write_array(fixture, "npy/x_train.npy", 1,
                    k == 0 ? "{'descr': '<f4', 'fortran_order': False, 'shape': (12, 5, 4), }"
                           : "{'descr': '>f8', 'fortran_order': False, 'shape': (12, 5, 4), }",
                    k == 0 ? (void *)items : (void *)wide, k == 0 ? sizeof items : sizeof wide);
        write_images(fixture, "npy/x_test.npy", 1, false, 1);
        write_labels(fixture, "npy/y_test.npy");
        static const uint8_t narrow[COUNT] = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2};
        uint8_t pairs[2 * COUNT];
        for (int i = 0; i < COUNT; i++) {
            pairs[2 * i] = 0;
            pairs[2 * i + 1] = narrow[i];
        }
        write_array(fixture, "npy/y_train.npy", 1,
                    k == 0 ? "{'descr': '|u1', 'fortran_order': False, 'shape': (12, 1), }"
                           : "{'descr': '>i2', 'fortran_order': False, 'shape': (12,), }",
                    k == 0 ? narrow : pairs, k == 0 ? COUNT : 2 * COUNT);
        expect_set(fixture, true, 1);
    }
}

static void mean_and_deviation_are_the_training_images(void **state)
{
    struct photo_fixture *fixture = *state;
    struct dataset_params params = params_of(fixture, false);
    write_images(fixture, "npy/x_train.npy", 3, false, 1);
    write_labels(fixture, "npy/y_train.npy");
    write_images(fixture, "npy/x_test.npy", 3, true, 1);
    write_labels(fixture, "npy/y_test.npy");
    struct dataset *set = open_set(&params);
    float out[3 * PLANE];
    assert_int_equal(set->ops->fetch(set, 7, NULL, out), STATUS_OK);
    for (size_t c = 0; c < 3; c++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < COUNT * PLANE; i++) {
            double value = value_of(i / PLANE, c, i % PLANE) / 255.0;
            sum += value;
            squares += value * value;
        }
        double mean = sum / (COUNT * PLANE), deviation = sqrt(squares / (COUNT * PLANE) - mean * mean);
        assert_true(fabs(set->mean[c] - mean) < 1e-12 && fabs(set->deviation[c] - deviation) < 1e-12);
        for (size_t p = 0; p < PLANE; p++)
            assert_true(fabs(out[c * PLANE + p] - (value_of(7, c, p) / 255.0 - mean) / deviation) < 1e-5);
    }
    dataset_close(set);
}

/* Without test arrays: the two splits have all images between them, and the same scale. */
static void a_share_is_kept_for_tests(void **state)
{
    struct photo_fixture *fixture = *state;
    write_images(fixture, "npy/data.npy", 1, false, 1);
    write_labels(fixture, "npy/targets.npy");
    struct dataset_params params = params_of(fixture, true), test = params_of(fixture, false);
    struct dataset *sets[] = {open_set(&params), open_set(&test)};
    unsigned seen = 0;
    assert_int_equal(sets[0]->count, 9);
    assert_int_equal(sets[1]->count, 3);
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < sets[s]->count; i++)
            for (size_t image = 0; image < COUNT; image++)
                if (sets[s]->bytes->pixels[i * PLANE] == value_of(image, 0, 0)) {
                    expect_image(sets[s], i, image);
                    seen |= 1u << image;
                }
    assert_int_equal(seen, (1u << COUNT) - 1);
    assert_non_null(sets[0]->note);
    assert_non_null(strstr(sets[1]->note, "0.25 of the images of each class in "));
    assert_true(sets[0]->mean[0] == sets[1]->mean[0] && sets[0]->deviation[0] == sets[1]->deviation[0]);
    dataset_close(sets[0]);
    dataset_close(sets[1]);
}

/* --- refused --- */

static void refuse(struct photo_fixture *fixture, const struct dataset_params *params, enum status expected,
                   const char *words)
{
    struct dataset *set;
    capture_begin(&fixture->capture);
    enum status status = dataset_open(params, &set);
    const char *message = capture_end(&fixture->capture);
    assert_int_equal(status, expected);
    photo_expect_message(message, words);
}

static void refuse_images(struct photo_fixture *fixture, const char *dictionary, const char *words)
{
    static const uint8_t items[COUNT * 3 * PLANE * 8];
    struct dataset_params params = params_of(fixture, true);
    struct npy_header header;
    char trouble[NPY_TROUBLE_BYTES];
    char bytes[512] = "\x93NUMPY\1";
    bytes[8] = (char)strlen(dictionary);
    strcpy(bytes + 10, dictionary);
    size_t size = COUNT * PLANE;
    if (npy_header_parse((const uint8_t *)bytes, sizeof bytes, 10 + strlen(dictionary) + sizeof items, &header,
                         trouble))
        size = sizeof items;
    else if (npy_header_parse((const uint8_t *)bytes, sizeof bytes, 10 + strlen(dictionary) + 3 * size, &header,
                              trouble))
        size *= 3;
    write_array(fixture, "npy/x_train.npy", 1, dictionary, items, size);
    refuse(fixture, &params, STATUS_DATA, words);
}

static void odd_images_are_refused(void **state)
{
    struct photo_fixture *fixture = *state;
    write_labels(fixture, "npy/y_train.npy");
    refuse_images(fixture, "{'descr': '|u1', 'fortran_order': True, 'shape': (12, 5, 4)}",
                  "x_train.npy: is in Fortran's order|np.ascontiguousarray");
    refuse_images(fixture, "{'descr': '|u1', 'fortran_order': False, 'shape': (12, 20)}",
                  "x_train.npy: found uint8 (12, 20), expected images|array.reshape");
    refuse_images(fixture, "{'descr': '|u1', 'fortran_order': False, 'shape': (12, 2, 5, 2)}",
                  "found uint8 (12, 2, 5, 2)");
    refuse_images(fixture, "{'descr': '|i1', 'fortran_order': False, 'shape': (12, 5, 4)}", "found int8 (12, 5, 4)");
    refuse_images(fixture, "{'descr': '|u1', 'fortran_order': False, 'shape': (12, 5, 5)}",
                  "its header says|cut short, or damaged");
    refuse_images(fixture, "{'descr': '|O', 'fortran_order': False, 'shape': (12, 5, 4)}",
                  "items are of type |O|astype");
    refuse_images(fixture, "{'descr': '<c8', 'fortran_order': False, 'shape': (12, 5, 4)}", "items are of type <c8");
    refuse_images(fixture, "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (12,)}", "records of several");
    refuse_images(fixture, "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2, 3, 4, 5)}", "more than 4 dim");
    refuse_images(fixture, "{'descr': '|u1', 'shape': (12, 5, 4)}", "lacks an entry");
    refuse_images(fixture, "{'descr': '|u1', 'fortran_order': False, 'shape': (12, 5, 4", "is damaged");
    refuse_images(fixture,
                  "{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999, 999999999999, 999999999999)}",
                  "more items than a file can hold");
    photo_write_text(fixture, "npy/x_train.npy", "not an array at all");
    struct dataset_params params = params_of(fixture, true);
    refuse(fixture, &params, STATUS_DATA, "x_train.npy: is not a .npy file");
}

static void odd_labels_are_refused(void **state)
{
    static const int64_t labels[COUNT] = {0, 1, -1};
    static const char *const dictionaries[] = {"{'descr': '<i8', 'fortran_order': False, 'shape': (12,)}",
                                               "{'descr': '<f8', 'fortran_order': False, 'shape': (12,)}",
                                               "{'descr': '<i8', 'fortran_order': False, 'shape': (6, 2)}",
                                               "{'descr': '<i8', 'fortran_order': False, 'shape': (11,)}"};
    static const char *const words[] = {"y_train.npy: label 2 (the first is 0) is -1", "found float64 (12,)|argmax(1)",
                                        "found int64 (6, 2)",
                                        "found 11 labels, expected one for each of the 12 images"};
    struct photo_fixture *fixture = *state;
    struct dataset_params params = params_of(fixture, true);
    write_images(fixture, "npy/x_train.npy", 1, false, 1);
    for (int k = 0; k < 4; k++) {
        write_array(fixture, "npy/y_train.npy", 1, dictionaries[k], labels, k == 3 ? 88 : sizeof labels);
        refuse(fixture, &params, STATUS_DATA, words[k]);
    }
    params.class_count = 2;
    write_labels(fixture, "npy/y_train.npy");
    refuse(fixture, &params, STATUS_USAGE, "data.classes: 2, but labels|go up to 2");
}

static void tests_alone_want_a_scale(void **state)
{
    static const double mean[] = {0.5}, deviation[] = {0.25};
    struct photo_fixture *fixture = *state;
    struct dataset_params params = params_of(fixture, false);
    write_images(fixture, "x_test.npy", 1, false, 1); /* in data.path itself */
    write_labels(fixture, "y_test.npy");
    refuse(fixture, &params, STATUS_USAGE, "data.mean and data.deviation");
    params.mean = mean;
    params.deviation = deviation;
    params.mean_count = params.deviation_count = 1;
    struct dataset *set = open_set(&params);
    float out[PLANE];
    assert_int_equal(set->ops->fetch(set, 0, NULL, out), STATUS_OK);
    assert_true(fabs(out[3] - (value_of(0, 0, 3) / 255.0 - 0.5) / 0.25) < 1e-5);
    dataset_close(set);
    params.mean_count = 3;
    refuse(fixture, &params, STATUS_USAGE, "3 and 1 numbers, the images have 1 channel");
    params.train = true;
    refuse(fixture, &params, STATUS_DATA, "none to train on");
    char *path = photo_path(fixture, "x_test.npy");
    assert_int_equal(unlink(path), 0);
    free(path);
    refuse(fixture, &params, STATUS_DATA, "no pair of arrays|train_images.npy|.npz file is not read");
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, photo_fixture_set_up, photo_fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(every_order_is_read),
        IN_FOLDER(every_type_is_read),
        IN_FOLDER(mean_and_deviation_are_the_training_images),
        IN_FOLDER(a_share_is_kept_for_tests),
        IN_FOLDER(odd_images_are_refused),
        IN_FOLDER(odd_labels_are_refused),
        IN_FOLDER(tests_alone_want_a_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
