/* Data sets in the folders and under the names that people have them; one in the place of another, or cut short. */
#include "data/dataset.h"

#include "dataset_fixture.h"

/* As torchvision, Kaggle and their archives lay files out, from the folder itself to the one above. */
static void idx_is_found_under_usual_names(void **state)
{
    static const struct {
        const char *set, *folder, *images, *labels;
    } layouts[] = {{"mnist", "MNIST/raw", "train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
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

static const uint8_t fashion_labels[20] = {9, 0, 0, 3, 0, 2, 7, 2, 5, 5, 0, 9, 5, 5, 7, 9, 1, 0, 6, 4};
static const uint8_t mnist_labels[20] = {5, 0, 4, 1, 9, 2, 1, 3, 1, 4, 3, 5, 3, 6, 1, 7, 2, 8, 6, 9};

/* Twenty black pictures with these labels. */
static void write_labelled_digits(const struct fixture *fixture, const char *folder, const char *split,
                                  const uint8_t *labels)
{
    static uint8_t pictures[16 + 20 * DIGIT_PIXELS] = {0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0, 28, 0, 0, 0, 28};
    uint8_t bytes[8 + 20] = {0, 0, 8, 1, 0, 0, 0, 20};
    memcpy(bytes + 8, labels, 20);
    char *name = text_format("%s/%s-images-idx3-ubyte", folder, split);
    write_file(fixture, name, pictures, sizeof pictures);
    free(name);
    name = text_format("%s/%s-labels-idx1-ubyte", folder, split);
    write_file(fixture, name, bytes, sizeof bytes);
    free(name);
}

static void sets_in_the_place_of_others_are_named(void **state)
{
    struct fixture *fixture = *state;
    struct dataset *set;
    uint8_t nobody[20];
    write_labelled_digits(fixture, "mnist", "train", fashion_labels);
    EXPECT_MESSAGE(fixture, "mnist", true, "mnist/train-labels-idx1-ubyte: holds fashion-mnist",
                   "in the place of mnist", "data.name=fashion-mnist");
    write_labelled_digits(fixture, "mnist", "t10k", mnist_labels);
    EXPECT_MESSAGE(fixture, "mnist", false,
                   "mnist/t10k-labels-idx1-ubyte: holds what is mnist's file train-labels-idx1",
                   "in the place of t10k-labels-idx1-ubyte");
    write_labelled_digits(fixture, "fashion-mnist", "train", mnist_labels);
    EXPECT_MESSAGE(fixture, "fashion-mnist", true, "holds mnist", "in the place of fashion-mnist");
    write_labelled_digits(fixture, "mnist", "train", mnist_labels);
    assert_int_equal(open_set(fixture, "mnist", true, 0, &set), STATUS_OK);
    dataset_close(set);
    memcpy(nobody, fashion_labels, sizeof nobody);
    nobody[19] = 5;
    write_labelled_digits(fixture, "mnist", "train", nobody);
    assert_int_equal(open_set(fixture, "mnist", true, 0, &set), STATUS_OK);
    dataset_close(set);
}

/* Twenty-one records that begin as the published file does. */
static void write_cifar10_batch(const struct fixture *fixture, const char *name, const uint8_t *labels)
{
    static uint8_t records[21][1 + CIFAR_PIXELS];
    for (int i = 0; i < 20; i++)
        records[i][0] = labels[i];
    write_file(fixture, name, records, sizeof records);
}

static void cifar_files_that_were_cut_are_named(void **state)
{
    static const uint8_t test_labels[20] = {3, 8, 8, 0, 6, 6, 1, 6, 3, 1, 0, 9, 5, 7, 9, 8, 5, 7, 8, 6};
    static const uint8_t first_labels[20] = {6, 9, 9, 4, 1, 1, 2, 7, 8, 3, 4, 7, 7, 2, 9, 9, 9, 3, 2, 6};
    struct fixture *fixture = *state;
    struct dataset *set;
    write_cifar10(fixture);
    truncate_file(fixture, "cifar-10-batches-bin/data_batch_4.bin", 3073);
    EXPECT_MESSAGE(fixture, "cifar10", true, "data_batch_4.bin: found 1 records, where another file of the set has 2",
                   "cut short", "data.train_count");
    assert_int_equal(open_set(fixture, "cifar10", true, 9, &set), STATUS_OK);
    assert_int_equal(set->count, 9);
    dataset_close(set);
    write_cifar10_batch(fixture, "cifar-10-batches-bin/test_batch.bin", test_labels);
    EXPECT_MESSAGE(fixture, "cifar10", false, "test_batch.bin: found the first 21 of the 10000 records", "cut short",
                   "data.test_count", "get_data.sh");
    assert_int_equal(open_set(fixture, "cifar10", false, 21, &set), STATUS_OK);
    dataset_close(set);
    write_cifar10_batch(fixture, "cifar-10-batches-bin/test_batch.bin", first_labels);
    EXPECT_MESSAGE(fixture, "cifar10", false, "holds what is cifar10's file data_batch_1.bin");
    uint8_t records[3][2 + CIFAR_PIXELS] = {{1, 1}};
    write_file(fixture, "cifar-10-batches-bin/test_batch.bin", records, sizeof records);
    EXPECT_MESSAGE(fixture, "cifar10", false, "test_batch.bin: found 9222 bytes, which fit the records of cifar100");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(idx_is_found_under_usual_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cifar_is_found_below, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pickles_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sets_in_the_place_of_others_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cifar_files_that_were_cut_are_named, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
