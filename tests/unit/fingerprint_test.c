/* data/fingerprint.h: the same data, the same words; other data, others. */
#include "data/fingerprint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"

/* A folder of photographs in two classes, each a few bytes that nobody decodes. */
static char folder[64];

static void write_photo(const char *name, const char *bytes)
{
    char *path = text_format("%s/photos/train/%s", folder, name), *command;
    *strrchr(path, '/') = '\0';
    command = text_format("mkdir -p %s && printf '%s' > %s/photos/train/%s", path, bytes, folder, name);
    assert_int_equal(system(command), 0);
    free(command);
    free(path);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/grapevine-print-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    write_photo("cat/1.jpg", "one");
    write_photo("cat/2.jpg", "two");
    write_photo("dog/1.jpg", "three");
    write_photo("../val/cat/1.jpg", "four");
    return 0;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* Owned by the caller. */
static char *print_of(const struct dataset_params *params)
{
    struct dataset *set;
    struct text text = {0};
    assert_int_equal(dataset_open(params, &set), STATUS_OK);
    fingerprint_add(set, &text);
    dataset_close(set);
    return text.data;
}

static void expect(const struct dataset_params *a, const struct dataset_params *b, bool same)
{
    char *first = print_of(a), *second = print_of(b);
    if (same)
        assert_string_equal(first, second);
    else
        assert_string_not_equal(first, second);
    free(first);
    free(second);
}

static void drawn_sets_differ_by_what_is_drawn(void **state)
{
    const struct dataset_params usual = {.name = "shapes", .path = "", .train = true, .count = 64, .seed = 1};
    struct dataset_params other = usual;
    char *print = print_of(&usual);
    (void)state;
    assert_memory_equal(print, "64 images, 10 classes, digest ", 30);
    free(print);
    expect(&usual, &other, true);
    other.augment = true;
    expect(&usual, &other, true);
    other.seed = 2;
    expect(&usual, &other, false);
    other = usual;
    other.count = 63;
    expect(&usual, &other, false);
    other = usual;
    other.train = false;
    expect(&usual, &other, false);
    other = (struct dataset_params){.name = "gaussian",
                                    .path = "",
                                    .train = true,
                                    .count = 64,
                                    .seed = 1,
                                    .dimension = 4,
                                    .class_count = 3,
                                    .condition = 1};
    struct dataset_params reseeded = other;
    reseeded.seed = 2;
    expect(&other, &other, true);
    expect(&other, &reseeded, false);
}

static struct dataset_params photographs(void)
{
    return (struct dataset_params){.name = "photos", .path = folder, .train = true, .size = 64};
}

/* After `change`, a shell command in the folder of the photographs, it is another set, or the same (`same`). */
static void after(const char *change, bool same)
{
    const struct dataset_params params = photographs();
    char *before = print_of(&params), *command = text_format("cd %s/photos/train && %s", folder, change), *now;
    assert_int_equal(system(command), 0);
    now = print_of(&params);
    if (same)
        assert_string_equal(before, now);
    else
        assert_string_not_equal(before, now);
    free(before);
    free(now);
    free(command);
}

static void photographs_differ_by_classes_and_bytes(void **state)
{
    (void)state;
    struct dataset_params small = photographs(), large = photographs();
    large.size = 128;
    expect(&small, &large, true);
    after("touch cat/1.jpg", true);
    after("printf ONE > cat/1.jpg", false);
    after("mv cat/2.jpg dog/2.jpg", false);
    after("mv dog wolf", false);
    after("cp wolf/1.jpg wolf/3.jpg", false);
    after("mkdir ape && mv wolf/3.jpg ape/", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drawn_sets_differ_by_what_is_drawn),
        cmocka_unit_test(photographs_differ_by_classes_and_bytes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
