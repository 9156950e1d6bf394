/* data/photos/image.h: the format is known by the first bytes, and what is none of them is named. */
#include "data/photos/image.h"

#include "image_fixture.h"

static void other_files_are_named(void **state)
{
    static const struct {
        const char *bytes, *trouble;
        size_t size;
    } files[] = {
        {"", "is empty", 0},
        {"bees\n", "is not a JPEG, PNG or WebP", 5},
        {"\xff", "is not a JPEG", 1},
        {"\xff\xd8", "is not a JPEG", 2},
        {"\0\0\0\0\0\0\0\0", "is not a JPEG", 8},
        {"GIF89a\1\0\1\0", "is a GIF, not a JPEG, PNG or WebP", 10},
        {"BM6\0\0\0", "is a BMP", 6},
        {"II*\0", "is a TIFF", 4},
        {"MM\0*", "is a TIFF", 4},
        {"<!DOCTYPE html>", "is a web page or XML", 15},
        {"\0\0\0\x1c"
         "ftypavif\0\0\0\0",
         "is an AVIF", 16},
        {"\0\0\0\x18"
         "ftypheic\0\0\0\0",
         "is a HEIC", 16},
        {"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS", 43},
        {"RIFF\4\0\0\0WAVE", "is not a JPEG", 12},
        {"RIFF\4\0\0\0WEBP", "the data are damaged", 12},
        {"\x89PNG\r\n\x1a\n", "the data end early", 8},
        {"\x89PNG", "the data end early", 4},
        {"\xff\xd8\xff\xff\xff\xff", "the data end early", 6},
    };
    struct image_about about;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const struct encoded whole = {(uint8_t *)(uintptr_t)files[i].bytes, files[i].size};
        struct encoded file = image_part(&whole, whole.size);
        assert_false(image_open(*state, file.bytes, file.size, &about));
        if (strstr(image_trouble(*state), files[i].trouble) == NULL)
            fail_msg("file %zu: %s", i, image_trouble(*state));
        assert_false(image_sound(*state, file.bytes, file.size, &about));
        free(file.bytes);
    }
}

/* The text for messages has each ending, and no other. */
static void endings_are_those_of_the_formats(void **state)
{
    char text[] = IMAGE_ENDINGS_TEXT, *rest = text;
    (void)state;
    for (char *ending; (ending = strsep(&rest, ", ")) != NULL;) {
        char name[32];
        if (*ending == '\0')
            continue;
        snprintf(name, sizeof name, "a.b%s", ending);
        assert_true(image_has_ending(name));
        name[strlen(name) - 1] -= 'a' - 'A';
        assert_true(image_has_ending(name));
    }
    assert_false(image_has_ending("a.gif"));
    assert_false(image_has_ending("png"));
    assert_false(image_has_ending("a.png.part"));
    image_decoder_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(other_files_are_named, image_set_up, image_tear_down),
        cmocka_unit_test(endings_are_those_of_the_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
