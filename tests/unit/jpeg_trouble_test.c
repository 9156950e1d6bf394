/* data/photos/jpeg.h, where pictures are not as they should be: whatever is wrong is found and named, nothing crashes,
 * and the decoder reads the next picture as ever. */
#include "data/photos/jpeg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/random.h"
#include "jpeg_fixture.h"

/* All that jpeg_open, jpeg_begin and jpeg_row do with a picture, at one scale. */
static bool decodes(struct jpeg_decoder *decoder, const struct drawn *drawn, int eighths)
{
    struct image_about about;
    if (!jpeg_open(decoder, drawn->bytes, drawn->size, &about))
        return false;
    struct image_region all = {.width = scaled(about.width, eighths), .height = scaled(about.height, eighths)};
    if (!jpeg_begin(decoder, eighths, &all))
        return false;
    uint8_t *row = malloc((size_t)all.width * 3);
    bool good = true;
    for (int y = 0; good && y < all.height; y++)
        good = jpeg_row(decoder, row);
    free(row);
    return good;
}

/* Both ways of looking find it, in the words of `trouble`, or in whatever words if that is NULL. */
static void expect_trouble(struct jpeg_decoder *decoder, const struct drawn *drawn, const char *trouble)
{
    struct image_about about;
    for (int sound = 0; sound < 2; sound++) {
        bool good = sound == 1 ? jpeg_sound(decoder, drawn->bytes, drawn->size, &about) : decodes(decoder, drawn, 8);
        const char *words = jpeg_trouble(decoder);
        if (good)
            fail_msg("a picture of %zu bytes is taken for a sound one", drawn->size);
        assert_true(words[0] != '\0');
        if (trouble != NULL && strstr(words, trouble) == NULL)
            fail_msg("\"%s\", should have been: %s", words, trouble);
    }
    expect_usable(decoder);
}

static void expect_bytes_trouble(struct jpeg_decoder *decoder, const void *bytes, size_t size, const char *trouble)
{
    struct drawn drawn = {.bytes = malloc(size + 1), .size = size}; /* of its own, so that ASan sees its end */
    drawn.bytes = realloc(drawn.bytes, size > 0 ? size : 1);
    memcpy(drawn.bytes, bytes, size);
    expect_trouble(decoder, &drawn, trouble);
    free(drawn.bytes);
}

/* Encode, change something, look, free. */
static void expect_drawing_trouble(struct jpeg_decoder *decoder, const struct drawing *drawing, const char *trouble)
{
    struct drawn drawn = drawing_encode(drawing);
    expect_trouble(decoder, &drawn, trouble);
    free(drawn.bytes);
}

static void other_files_are_refused(void **state)
{
    static const struct {
        const char *bytes, *trouble;
        size_t size;
    } files[] = {
        {"", "is not a JPEG", 0},
        {"bees\n", "is not a JPEG", 5},
        {"\xff", "is not a JPEG", 1},
        {"\xff\xd8", "", 2},
        {"\0\0\0\0\0\0\0\0", "is not a JPEG", 8},
        {"GIF89a\1\0\1\0", "is not a JPEG", 10},
        {"\x89PNG\r\n\x1a\n", "is not a JPEG", 8},
        {"BM6\0\0\0", "is not a JPEG", 6},
        {"RIFF\4\0\0\0WEBP", "is not a JPEG", 12},
        {"II*\0", "is not a JPEG", 4},
        {"MM\0*", "is not a JPEG", 4},
        {"<!DOCTYPE html>", "is not a JPEG", 15},
        {"\xff\xd8\xff\xd9", "", 4},
        {"\xff\xd8\xff\xff\xff\xff", "the data end early", 6},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        expect_bytes_trouble(*state, files[i].bytes, files[i].size, files[i].trouble);
}

static void colors_that_are_not_read(void **state)
{
    struct drawing drawing = {.width = 40, .height = 30, .components = 4};
    expect_drawing_trouble(*state, &drawing, "is CMYK");
    drawing.kept_as = JCS_YCCK;
    expect_drawing_trouble(*state, &drawing, "is CMYK");
    drawing = (struct drawing){.width = 40, .height = 30, .components = 2};
    expect_drawing_trouble(*state, &drawing, "has 2 color components; 1 and 3 are read");
}

/* --- truncated --- */

static struct drawn copy(const struct drawn *drawn, size_t size)
{
    struct drawn shorter = {.bytes = malloc(size > 0 ? size : 1), .size = size};
    memcpy(shorter.bytes, drawn->bytes, size);
    return shorter;
}

/* At every byte, the header's included, but for the marker of the end. */
static void truncated_anywhere(void **state)
{
    static const struct drawing kinds[] = {{.width = 60, .height = 50, .quality = 50},
                                           {.width = 60, .height = 50, .quality = 50, .progressive = true},
                                           {.width = 60, .height = 50, .quality = 50, .restart_rows = 1},
                                           {.width = 60, .height = 50, .quality = 50, .components = 1}};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct drawn whole = drawing_encode(&kinds[k]);
        for (size_t size = 3; size + 2 < whole.size; size++) {
            struct drawn part = copy(&whole, size);
            expect_trouble(*state, &part, "the data end early");
            free(part.bytes);
        }
        free(whole.bytes);
    }
}

/* Nothing but the marker of the end is missing: no row had to be made up, but it is not the whole picture. */
static void without_its_end(void **state)
{
    for (int progressive = 0; progressive < 2; progressive++) {
        struct drawing drawing = {.width = 60, .height = 50, .progressive = progressive == 1};
        struct drawn whole = drawing_encode(&drawing);
        struct image_about about;
        for (size_t missing = 1; missing <= 2; missing++) {
            struct drawn part = copy(&whole, whole.size - missing);
            assert_false(jpeg_sound(*state, part.bytes, part.size, &about));
            assert_string_equal(jpeg_trouble(*state), "the data end early");
            free(part.bytes);
        }
        free(whole.bytes);
    }
}

/* Bits that are no code: a row of ones never is. (0xff in the data is written 0xff 0.) */
static void bits_that_are_no_code(void **state)
{
    for (int progressive = 0; progressive < 2; progressive++) {
        struct drawing drawing = {.width = 60, .height = 50, .progressive = progressive == 1};
        struct drawn drawn = drawing_encode(&drawing);
        for (size_t i = 0; i < 40; i++)
            drawn.bytes[drawn.size - 300 + i] = i % 2 == 0 ? 0xff : 0;
        expect_trouble(*state, &drawn, "the data are damaged");
        free(drawn.bytes);
    }
}

/* Rows before the end of the data are good, and nobody minds what comes after those that are asked for. */
static void what_is_not_asked_for_may_be_missing(void **state)
{
    struct drawing drawing = {.seed = 3, .width = 200, .height = 300};
    struct drawn whole = drawing_encode(&drawing), half = copy(&whole, whole.size / 2);
    struct image_region region = {.width = 200, .height = 300}, top = {.top = 20, .width = 200, .height = 60};
    struct pixels all = decode_whole(*state, &whole, 8), part;
    int rows = decode(*state, &half, 8, &region, &part);
    assert_in_range(rows, 80, 200);
    assert_memory_equal(part.rgb, all.rgb, (size_t)rows * 200 * 3);
    assert_non_null(strstr(jpeg_trouble(*state), "the data end early"));
    free(part.rgb);
    assert_int_equal(decode(*state, &half, 8, &top, &part), 60);
    assert_memory_equal(part.rgb, pixel(&all, 0, 20), 60 * 200 * 3);
    free(part.rgb);
    free(all.rgb);
    free(half.bytes);
    free(whole.bytes);
}

static void restart_markers_that_are_missing(void **state)
{
    struct drawing drawing = {.width = 100, .height = 100, .restart_rows = 1};
    struct drawn drawn = drawing_encode(&drawing);
    size_t at = 0;
    for (size_t i = drawn.size / 3; at == 0; i++)
        if (drawn.bytes[i] == 0xff && (drawn.bytes[i + 1] & 0xf8) == 0xd0)
            at = i;
    drawn.bytes[at + 1] = 0xd7; /* another one than the next in order */
    expect_trouble(*state, &drawn, "the data ");
    free(drawn.bytes);
}

/* --- headers that lie --- */

static void precisions_that_are_not_read(void **state)
{
    static const uint8_t bits[] = {0, 1, 12, 16};
    for (size_t i = 0; i < sizeof bits; i++) {
        struct drawing drawing = {.width = 40, .height = 30};
        struct drawn drawn = drawing_encode(&drawing);
        drawn.bytes[drawing_frame(&drawn) + 4] = bits[i];
        expect_trouble(*state, &drawn, "precision");
        free(drawn.bytes);
    }
}

static void kinds_of_coding_that_are_not_read(void **state)
{
    static const uint8_t kinds[] = {0xc3, 0xc5, 0xc6, 0xc7, 0xcb, 0xcd, 0xce, 0xcf}; /* lossless, hierarchical */
    for (size_t i = 0; i < sizeof kinds; i++) {
        struct drawing drawing = {.width = 40, .height = 30};
        struct drawn drawn = drawing_encode(&drawing);
        drawn.bytes[drawing_frame(&drawn) + 1] = kinds[i];
        expect_trouble(*state, &drawn, NULL);
        free(drawn.bytes);
    }
}

/* What a header says, for a picture of 64 x 64 pixels. */
struct lie {
    struct drawing drawing;
    int width, height;
    const char *trouble;
};

static void expect_lie(struct jpeg_decoder *decoder, const struct lie *lie)
{
    struct drawing drawing = lie->drawing;
    drawing.width = drawing.height = 64;
    struct drawn drawn = drawing_encode(&drawing);
    drawing_lie(&drawn, lie->width, lie->height);
    expect_trouble(decoder, &drawn, lie->trouble);
    free(drawn.bytes);
}

static void sizes_that_are_not(void **state)
{
    static const struct lie lies[] = {
        {{0}, 0, 64, "mpty"},
        {{0}, 64, 0, "mpty"},
        {{0}, 65535, 64, "image dimension"},
        {{0}, 65500, 65500, "has 65500 x 65500 pixels, more than 178956970"},
        {{0}, 13378, 13378, "has 13378 x 13378 pixels"},
        {{0}, 13377, 13377, "the data end early"},
        {{0}, 65500, 2732, "the data end early"},
        {{.progressive = true}, 65500, 65500, "has 65500 x 65500 pixels"},
        {{.progressive = true, .across = 1, .down = 1}, 13377, 13377, "takes more than 1024 MiB to decode"},
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++)
        expect_lie(*state, &lies[i]);
}

/* A small file that says it is large and progressive: it is found out before the memory that it asks for is used. */
static void bombs_have_bounds(void **state)
{
    static const struct lie lies[] = {
        {{.progressive = true}, 10000, 10000, "the data "},
        {{.progressive = true, .components = 1}, 10000, 10000, "the data "},
        {{.progressive = true, .across = 1, .down = 1}, 10000, 10000, "the data "},
    };
    struct rusage used;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++)
        expect_lie(*state, &lies[i]);
    getrusage(RUSAGE_SELF, &used);
    assert_true(used.ru_maxrss < 256 << 10);
}

/* Entropy-coded data, then sixty-three scans of one coefficient each for every component: valid, but too many. */
static void scans_have_a_limit(void **state)
{
    jpeg_scan_info scans[JPEG_SCANS_MAX + 1] = {{.comps_in_scan = 3, .component_index = {0, 1, 2}}};
    for (int i = 1; i <= JPEG_SCANS_MAX; i++) {
        int coefficient = (i - 1) % 63 + 1;
        scans[i] = (jpeg_scan_info){
            .comps_in_scan = 1, .component_index = {(i - 1) / 63}, .Ss = coefficient, .Se = coefficient};
    }
    struct drawing drawing = {.width = 40, .height = 30, .scans = scans, .scan_count = JPEG_SCANS_MAX};
    struct drawn most = drawing_encode(&drawing);
    struct image_about about;
    assert_true(decodes(*state, &most, 8));
    assert_true(jpeg_sound(*state, most.bytes, most.size, &about));
    assert_true(about.progressive);
    free(most.bytes);
    drawing.scan_count = JPEG_SCANS_MAX + 1;
    expect_drawing_trouble(*state, &drawing, "has more than 100 scans");
}

/* A picture without tables of its own, as cameras' films have them, has the usual ones; one that lacks what nobody
 * knows is in trouble. Whatever was decoded before: its tables are no part of this. */
static void tables_are_the_pictures_own(void **state)
{
    struct drawing drawing = {.seed = 7, .width = 60, .height = 50};
    uint8_t *other_pixels = drawing_pixels(8, 90, 40, 3);
    struct drawn whole = drawing_encode(&drawing), bare = drawing_encode(&drawing), before;
    jpeg_encode(other_pixels, 90, 40, 3, 30, &before.bytes, &before.size); /* with unusual Huffman tables */
    drawing_remove(&bare, 0xc4);
    for (int times = 0; times < 2; times++) {
        struct pixels expected = decode_whole(*state, &whole, 8), pixels;
        assert_true(decodes(*state, &before, 8));
        pixels = decode_whole(*state, &bare, 8);
        assert_memory_equal(pixels.rgb, expected.rgb, 60 * 50 * 3);
        free(pixels.rgb);
        free(expected.rgb);
    }
    drawing_remove(&bare, 0xdb);
    assert_true(decodes(*state, &before, 8));
    expect_trouble(*state, &bare, "uantization table");
    free(before.bytes);
    free(bare.bytes);
    free(whole.bytes);
    free(other_pixels);
}

/* --- anything at all --- */

static const struct drawing small_drawings[] = {
    {.seed = 1, .width = 40, .height = 40, .quality = 40},
    {.seed = 2, .width = 33, .height = 21, .quality = 30, .progressive = true},
    {.seed = 3, .width = 21, .height = 33, .quality = 30, .components = 1, .restart_rows = 1},
    {.seed = 4, .width = 24, .height = 24, .quality = 30, .across = 4, .down = 2}};

enum { SMALL_DRAWINGS = sizeof small_drawings / sizeof small_drawings[0] };

/* Whether it is found good or bad is another matter: nothing crashes. Large ones are left to the tests above. */
static void look_at(struct jpeg_decoder *decoder, const struct drawn *drawn)
{
    struct image_about about;
    if (!jpeg_open(decoder, drawn->bytes, drawn->size, &about)) {
        assert_true(jpeg_trouble(decoder)[0] != '\0');
        return;
    }
    assert_true(about.width > 0 && about.height > 0 && (about.components == 1 || about.components == 3));
    if ((int64_t)about.width * about.height > 1000000)
        return;
    jpeg_sound(decoder, drawn->bytes, drawn->size, &about);
    decodes(decoder, drawn, 8);
    if (!jpeg_open(decoder, drawn->bytes, drawn->size, &about))
        return;
    struct image_region part = {.left = scaled(about.width, 4) / 2, .top = scaled(about.height, 4) / 2};
    part.width = (scaled(about.width, 4) - part.left + 1) / 2;
    part.height = (scaled(about.height, 4) - part.top + 1) / 2;
    uint8_t *row = malloc((size_t)scaled(about.width, 4) * 3);
    if (jpeg_begin(decoder, 4, &part))
        for (int y = 0; y < part.height && jpeg_row(decoder, row); y++)
            ;
    free(row);
}

static void every_byte_changed(void **state)
{
    static const uint8_t changes[] = {0xff, 0x01, 0x80};
    for (int k = 0; k < SMALL_DRAWINGS; k++) {
        struct drawn drawn = drawing_encode(&small_drawings[k]);
        for (size_t i = 0; i < drawn.size; i++)
            for (size_t change = 0; change < sizeof changes; change++) {
                drawn.bytes[i] ^= changes[change];
                look_at(*state, &drawn);
                drawn.bytes[i] ^= changes[change];
                if (i % 64 == 0)
                    expect_usable(*state);
            }
        free(drawn.bytes);
    }
    expect_usable(*state);
}

static void random_damage(void **state)
{
    struct random_stream stream = random_stream(6, RANDOM_TEST, 0, 0);
    for (int trial = 0; trial < 6000; trial++) {
        struct drawn whole = drawing_encode(&small_drawings[trial % SMALL_DRAWINGS]);
        struct drawn drawn = copy(&whole, whole.size - random_below(&stream, 2) * random_below(&stream, 200));
        for (uint32_t count = 1 + random_below(&stream, 6); count > 0; count--) {
            uint32_t from = random_below(&stream, (uint32_t)drawn.size),
                     at = random_below(&stream, (uint32_t)drawn.size);
            bool moved = random_below(&stream, 2) == 0;
            drawn.bytes[at] = moved ? drawn.bytes[from] : (uint8_t)random_below(&stream, 256);
        }
        look_at(*state, &drawn);
        if (trial % 50 == 0)
            expect_usable(*state);
        free(drawn.bytes);
        free(whole.bytes);
    }
    expect_usable(*state);
}

/* Given up in the middle: in the header, before the first row, after some. */
static void pictures_may_be_left_unread(void **state)
{
    struct drawing drawing = {.seed = 9, .width = 70, .height = 80, .progressive = true};
    struct drawn drawn = drawing_encode(&drawing);
    for (int rows = -2; rows < 80; rows++) {
        struct image_about about;
        struct image_region all = {.width = 70, .height = 80};
        uint8_t row[70 * 3];
        assert_true(jpeg_open(*state, drawn.bytes, drawn.size, &about));
        if (rows >= -1)
            assert_true(jpeg_begin(*state, 8, &all));
        for (int y = 0; y < rows; y++)
            assert_true(jpeg_row(*state, row));
        expect_usable(*state);
    }
    free(drawn.bytes);
    jpeg_decoder_destroy(NULL);
}

#define WITH_DECODER(test) cmocka_unit_test_setup_teardown(test, jpeg_set_up, jpeg_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DECODER(other_files_are_refused),
        WITH_DECODER(colors_that_are_not_read),
        WITH_DECODER(truncated_anywhere),
        WITH_DECODER(without_its_end),
        WITH_DECODER(bits_that_are_no_code),
        WITH_DECODER(what_is_not_asked_for_may_be_missing),
        WITH_DECODER(restart_markers_that_are_missing),
        WITH_DECODER(precisions_that_are_not_read),
        WITH_DECODER(kinds_of_coding_that_are_not_read),
        WITH_DECODER(sizes_that_are_not),
        WITH_DECODER(bombs_have_bounds),
        WITH_DECODER(scans_have_a_limit),
        WITH_DECODER(tables_are_the_pictures_own),
        WITH_DECODER(every_byte_changed),
        WITH_DECODER(random_damage),
        WITH_DECODER(pictures_may_be_left_unread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
