/* data/photo_labels.h: all forms of label lists, with and without known classes, and messages about wrong ones. */
#include "data/pack/photo_labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/photos/photo_builder.h"
#include "data/photos/photo_folder.h"
#include "photo_fixture.h"

enum { PHOTOS = 4 };

/* In the order of strcmp: a capital comes first. */
static const char *const photo_names[PHOTOS] = {"B 2.JPEG", "a.jpeg", "a.jpg", "v_003.JPEG"};

static struct photo_index make_classes(void)
{
    const char *names[] = {"n30", "n10", "n20", "7", "big cat"};
    struct photo_builder builder = {0};
    photo_builder_set_classes(&builder, names, sizeof names / sizeof names[0]);
    builder.index.folder = strdup("some/train");
    return builder.index;
}

static void tell_nobody(void *context, const char *path, const char *reason)
{
    (void)context;
    (void)path;
    (void)reason;
}

/* Read `list` (and `synsets`, unless NULL) for the four photographs; the classes are 7, big cat, n10, n20, n30. */
static enum status apply(struct photo_fixture *fixture, const char *list, const char *synsets, bool classes_known,
                         struct photo_index *flat)
{
    char *folder = photo_path(fixture, "val"), *path = photo_path(fixture, "list.txt");
    char *synsets_path = photo_path(fixture, "synsets.txt");
    struct photo_index classes = make_classes();
    for (int i = 0; i < PHOTOS; i++) {
        char *name = text_format("val/%s", photo_names[i]);
        photo_write(fixture, name, "x", 1);
        free(name);
    }
    photo_write_text(fixture, "list.txt", list);
    if (synsets != NULL)
        photo_write_text(fixture, "synsets.txt", synsets);
    assert_int_equal(photo_folder_flat(folder, tell_nobody, NULL, flat), STATUS_OK);
    assert_int_equal(flat->count, PHOTOS);
    capture_begin(&fixture->capture);
    enum status status =
        photo_labels_apply(path, synsets != NULL ? synsets_path : NULL, classes_known ? &classes : NULL, flat);
    capture_end(&fixture->capture);
    photo_index_release(&classes);
    free(folder);
    free(path);
    free(synsets_path);
    return status;
}

static void expect(struct photo_fixture *fixture, const char *list, const char *synsets, bool classes_known,
                   const char *const expected[PHOTOS])
{
    struct photo_index flat;
    if (apply(fixture, list, synsets, classes_known, &flat) != STATUS_OK)
        fail_msg("refused: %s: %s", list, fixture->capture.text);
    for (int i = 0; i < PHOTOS; i++)
        assert_string_equal(flat.class_names[flat.photos[i].label], expected[i]);
    if (classes_known)
        assert_int_equal(flat.class_count, 5);
    photo_index_release(&flat);
}

static void refuse(struct photo_fixture *fixture, const char *list, const char *synsets, bool classes_known,
                   const char *words)
{
    struct photo_index flat;
    if (apply(fixture, list, synsets, classes_known, &flat) != STATUS_DATA)
        fail_msg("not refused: %s", list);
    photo_expect_message(fixture->capture.text, words);
    assert_null(strchr(strchr(fixture->capture.text, '\n') + 1, '\n')); /* one message */
    photo_index_release(&flat);
}

static void test_one_class_a_line(void **state)
{
    static const char *const expected[] = {"n20", "n10", "n10", "n30"};
    for (int known = 0; known < 2; known++) {
        expect(*state, "n20\nn10\nn10\nn30\n", NULL, known, expected);
        expect(*state, "\xef\xbb\xbfn20\r\n\r\n  n10 \t\r\nn10\r\nn30", NULL, known, expected);
    }
    expect(*state, "big cat\nn10\n7\nbig cat\n", NULL, true, (const char *const[]){"big cat", "n10", "7", "big cat"});
    refuse(*state, "n20\nn10\nn10\n", NULL, true, "list.txt: 3 lines for the 4 photographs in |val");
    refuse(*state, "n20\nn10\nn10\nn30\nn30\n", NULL, false, "5 lines for the 4 photographs");
    refuse(*state, "n20\n\nn10\nn11\nn30\n", NULL, true, "list.txt:4: class \"n11\"|5 classes of some/train|nearest");
}

static void test_pairs(void **state)
{
    static const char *const expected[] = {"n20", "n10", "7", "n30"};
    expect(*state, "a.jpeg n10\na.jpg\t 7\nB 2.JPEG   n20\nv_003.JPEG n30\n", NULL, true, expected);
    expect(*state, "a.jpeg n10\na.jpg x7\nB 2.JPEG n20\nv_003.JPEG n30\n", NULL, false,
           (const char *const[]){"n20", "n10", "x7", "n30"});
    /* numbers count the sorted classes: 7, big cat, n10, n20, n30; but 7 is a class itself */
    expect(*state, "val/a.jpeg 2\n./val/a.jpg 0\nB 2.JPEG 3\nv_003.JPEG 7\n", NULL, true,
           (const char *const[]){"n20", "n10", "7", "7"});
    /* without an ending, where one file is meant alone */
    expect(*state, "v_003 4\nB 2 3\na.jpg 0\na.jpeg 2\n", NULL, true, expected);
    refuse(*state, "v_003 4\nB 2 3\na.jpg 0\na 2\n", NULL, true, "list.txt: no label for 1 of the 4|a.jpeg");
    refuse(*state, "v_003 4\nB 2 3\na.jpg 0\na.jpeg 5\n", NULL, true, "list.txt:4: label 5, allowed are 0 to 4");
    refuse(*state, "v_003 4\nB 2 3\na.jpg 0\na.jpeg 99999999999999999999\n", NULL, true, "list.txt:4: class \"999");
    refuse(*state, "v_003 4\nB 2 3\na.jpg 0\na.jpeg -1\n", NULL, true, "list.txt:4: class \"-1\"");
    refuse(*state, "a.jpeg 0\n", NULL, false, "list.txt:1: label 0 is a number|training split");
    refuse(*state, "a.jpeg n10\na.jpeg n20\n", NULL, true, "list.txt:2: a.jpeg has a label already");
    refuse(*state, "a.jpeg n10\na.jpg\n", NULL, true, "list.txt:2: found \"a.jpg\"");
    refuse(*state, "a.jpeg n10\n", NULL, true, "no label for 3 of the 4 photographs|the first is B 2.JPEG");
}

/* Names that are no photographs are told of; the others count. */
static void test_names_too_many(void **state)
{
    struct photo_fixture *fixture = *state;
    struct photo_index flat;
    assert_int_equal(
        apply(fixture, "v_003.JPEG n30\nx.jpg n10\nB 2.JPEG n20\na.jpg 7\na.jpeg 7\ny.jpg n10\n", NULL, true, &flat),
        STATUS_OK);
    photo_expect_message(fixture->capture.text, "warning: |list.txt: 2 of its names|the first is x.jpg");
    photo_index_release(&flat);
}

static void test_kaggle(void **state)
{
    static const char *const expected[] = {"n20", "n10", "n10", "n30"};
    static const char list[] = "ImageId,PredictionString\nv_003,n30 1 2 3 4 \na.jpg,n10 0 0 1 1 n10 2 2 3 3\n"
                               "a.jpeg,n10\nB 2,n20 5 6 7 8\n";
    expect(*state, list, NULL, true, expected);
    expect(*state, list, NULL, false, expected);
    refuse(*state, "ImageId,PredictionString\nv_003 n30 1 2 3 4\n", NULL, true, "list.txt:2: found \"v_003 n30");
    refuse(*state, "ImageId,PredictionString\nv_003,\n", NULL, true, "list.txt:2: found \"v_003,\"");
    refuse(*state, "ImageId,PredictionString\n,n30\n", NULL, true, "list.txt:2: found \",n30\"");
    refuse(*state, "ImageId,PredictionString\nv_003,n31 1 2\nB 2,n20\na.jpg,n10\na.jpeg,n10\n", NULL, true,
           "list.txt:2: class \"n31\"");
}

static void test_numbers_of_synsets(void **state)
{
    static const char synsets[] = "n30 tench, Tinca tinca\nn20\tgold fish\nbig cat\nn10\n";
    expect(*state, "2\n4\n3\n1\n", synsets, true, (const char *const[]){"n20", "n10", "big cat", "n30"});
    expect(*state, "2\n4\n3\n1\n", synsets, false, (const char *const[]){"n20", "n10", "big", "n30"});
    expect(*state, "2\n2\n2\n2\n", synsets, false, (const char *const[]){"n20", "n20", "n20", "n20"});
    refuse(*state, "2\n4\n3\n1\n", NULL, false, "list.txt:1: found \"2\"|--synsets");
    refuse(*state, "2\n4\n3\n0\n", synsets, true, "list.txt:4: found \"0\"|from 1 to 4|synsets.txt");
    refuse(*state, "2\n4\n3\n5\n", synsets, true, "list.txt:4: found \"5\"|from 1 to 4");
    refuse(*state, "2\n4\n3x\n1\n", synsets, true, "list.txt:3: found \"3x\"");
    refuse(*state, "2\n4\n3\n", synsets, true, "3 lines for the 4");
    refuse(*state, "1\n2\n3\n1\n", "n30\nn31\nn10\n", true, "list.txt:2: class \"n31\"");
    refuse(*state, "a.jpeg n10\na.jpg n11\nB 2 n10\nv_003 n10\n", "n10\n", false,
           "list.txt:2: class \"n11\" is not in |synsets.txt");
}

static void test_files(void **state)
{
    struct photo_fixture *fixture = *state;
    struct photo_index flat = {0};
    refuse(fixture, "", NULL, true, "list.txt: is empty");
    refuse(fixture, " \n\t\n", NULL, true, "list.txt: is empty");
    refuse(fixture, "n10\nn10\nn10\nn10\n", "\n", true, "synsets.txt: is empty");
    photo_write(fixture, "nul.txt", "n10\0\nn20", 8);
    static const char *const names[] = {"nul.txt", "nowhere.txt", "val"};
    static const char *const words[] = {"nul.txt: has a NUL byte", "nowhere.txt: No such file", "val: not a file"};
    for (int k = 0; k < 3; k++) {
        char *path = photo_path(fixture, names[k]);
        capture_begin(&fixture->capture);
        assert_int_equal(photo_labels_apply(path, NULL, NULL, &flat), STATUS_DATA);
        capture_end(&fixture->capture);
        photo_expect_message(fixture->capture.text, words[k]);
        free(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_class_a_line),   cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_names_too_many),     cmocka_unit_test(test_kaggle),
        cmocka_unit_test(test_numbers_of_synsets), cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, photo_fixture_set_up, photo_fixture_tear_down);
}
