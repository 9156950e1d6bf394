/* data/photos/jpeg.h: a part of a picture is that part of the whole at every scale, whatever is coded how. What is
 * wrong with pictures: jpeg_trouble_test.c. */
#include "data/photos/jpeg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/random.h"
#include "jpeg_fixture.h"

/* Chroma of the column at a cut is made without its neighbor outside: so far, of 255, from the whole picture's. */
enum { EDGE_DIFFERENCE = 20 };

/* --- headers --- */

static void headers_are_told(void **state)
{
    static const struct {
        struct drawing drawing;
        int components;
        bool progressive;
    } rows[] = {
        {{.width = 301, .height = 211}, 3, false},
        {{.width = 7, .height = 900, .components = 1}, 1, false},
        {{.width = 64, .height = 64, .progressive = true}, 3, true},
        {{.width = 1, .height = 1, .kept_as = JCS_RGB, .across = 1, .down = 1}, 3, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct drawn drawn = drawing_encode(&rows[i].drawing);
        struct image_about about = {0};
        assert_true(jpeg_open(*state, drawn.bytes, drawn.size, &about));
        assert_int_equal(about.width, rows[i].drawing.width);
        assert_int_equal(about.height, rows[i].drawing.height);
        assert_int_equal(about.components, rows[i].components);
        assert_int_equal(about.progressive, rows[i].progressive);
        free(drawn.bytes);
    }
}

/* Decoded and encoded again, colors stay near, gray is three times the same. */
static void pixels_are_those_that_were_drawn(void **state)
{
    for (int components = 1; components <= 3; components += 2) {
        struct drawing drawing = {.seed = 3, .width = 90, .height = 70, .components = components, .quality = 100};
        drawing.across = drawing.down = 1;
        uint8_t *drawn_pixels = drawing_pixels(3, 90, 70, components);
        struct drawn drawn = drawing_encode_pixels(&drawing, drawn_pixels);
        struct pixels pixels = decode_whole(*state, &drawn, 8);
        for (int i = 0; i < 90 * 70; i++)
            for (int c = 0; c < 3; c++) {
                int expected = drawn_pixels[components == 1 ? i : 3 * i + c];
                assert_in_range(pixels.rgb[3 * i + c] + 6 - expected, 0, 12);
                assert_true(components == 3 || pixels.rgb[3 * i + c] == pixels.rgb[3 * i]);
            }
        free(pixels.rgb);
        free(drawn.bytes);
        free(drawn_pixels);
    }
}

/* --- parts --- */

/* Inside, the same bytes; in the column at a cut, near ones. */
static void expect_part(const struct pixels *whole, const struct pixels *part, const struct image_region *region)
{
    int right = region->left + region->width;
    for (int y = 0; y < region->height; y++)
        for (int x = 0; x < region->width; x++) {
            bool cut = (x == 0 && region->left > 0) || (x == region->width - 1 && right < whole->width);
            const uint8_t *ours = pixel(part, x, y), *theirs = pixel(whole, x + region->left, y + region->top);
            for (int c = 0; c < 3; c++) {
                int difference = abs(ours[c] - theirs[c]);
                if (difference > (cut ? EDGE_DIFFERENCE : 0))
                    fail_msg("row %d, column %d of %d: %d for %d", y, x, region->width, ours[c], theirs[c]);
            }
        }
}

static struct image_region random_region(struct random_stream *stream, const struct pixels *whole)
{
    struct image_region region = {.left = (int)random_below(stream, (uint32_t)whole->width),
                                  .top = (int)random_below(stream, (uint32_t)whole->height)};
    region.width = 1 + (int)random_below(stream, (uint32_t)(whole->width - region.left));
    region.height = 1 + (int)random_below(stream, (uint32_t)(whole->height - region.top));
    return region;
}

static void expect_parts(struct jpeg_decoder *decoder, const struct drawing *drawing, int eighths, int count)
{
    struct drawn drawn = drawing_encode(drawing);
    struct pixels whole = decode_whole(decoder, &drawn, eighths), part;
    struct random_stream stream = random_stream(5, RANDOM_TEST, 0, (uint64_t)eighths);
    for (int i = 0; i < count; i++) {
        struct image_region asked = random_region(&stream, &whole);
        if (i % 4 == 0) { /* whole rows: the same to the last bit */
            asked.left = 0;
            asked.width = whole.width;
        }
        struct image_region region = asked;
        assert_int_equal(decode(decoder, &drawn, eighths, &region, &part), asked.height);
        assert_true(region.left >= 0 && region.left <= asked.left && region.left + region.width <= whole.width);
        assert_true(region.left + region.width >= asked.left + asked.width);
        assert_true(region.top == asked.top && region.height == asked.height);
        expect_part(&whole, &part, &region);
        free(part.rgb);
    }
    free(whole.rgb);
    free(drawn.bytes);
}

static void parts_are_parts_of_the_whole(void **state)
{
    static const struct drawing kinds[] = {
        {0},
        {.across = 1, .down = 1},
        {.across = 2, .down = 1},
        {.across = 1, .down = 2},
        {.components = 1},
        {.progressive = true},
        {.progressive = true, .across = 1, .down = 1},
        {.across = 4, .down = 1},
        {.across = 4, .down = 2}, /* chroma that stays coarser at half the size */
        {.across = 2, .down = 4},
        {.across = 3, .down = 2},
        {.uneven = true},
        {.restart_rows = 1},
        {.kept_as = JCS_RGB, .across = 1, .down = 1},
    };
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        for (int eighths = 1; eighths <= 8; eighths++) {
            struct drawing drawing = kinds[k];
            drawing.seed = (uint32_t)k;
            drawing.width = 301;
            drawing.height = 211;
            expect_parts(*state, &drawing, eighths, 24);
        }
}

static void thin_and_tiny_pictures(void **state)
{
    static const int sizes[][2] = {{1, 1}, {20000, 1}, {1, 20000}, {65500, 1}, {1, 65500}, {2, 9}, {17, 16}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int eighths = 1; eighths <= 8; eighths++) {
            struct drawing drawing = {.width = sizes[i][0], .height = sizes[i][1], .progressive = i % 2 == 1};
            expect_parts(*state, &drawing, eighths, 3);
        }
}

/* The mean of eight by eight pixels is what an eighth of the size shows, but for rounding. */
static void scaled_pictures_are_means(void **state)
{
    struct drawing drawing = {.seed = 2, .width = 160, .height = 120, .components = 1, .quality = 95};
    struct drawn drawn = drawing_encode(&drawing);
    struct pixels whole = decode_whole(*state, &drawn, 8), small = decode_whole(*state, &drawn, 1);
    assert_int_equal(small.width, 20);
    assert_int_equal(small.height, 15);
    for (int i = 0; i < 20 * 15; i++) {
        int sum = 0;
        for (int k = 0; k < 64; k++)
            sum += *pixel(&whole, i % 20 * 8 + k % 8, i / 20 * 8 + k / 8);
        assert_in_range(*pixel(&small, i % 20, i / 20) + 2 - (sum + 32) / 64, 0, 4);
    }
    free(small.rgb);
    free(whole.rgb);
    free(drawn.bytes);
}

/* --- what makes no difference --- */

static void expect_same_pixels(struct jpeg_decoder *decoder, const struct drawn *one, const struct drawn *other)
{
    struct image_about about;
    struct pixels left = decode_whole(decoder, one, 8), right = decode_whole(decoder, other, 8);
    assert_int_equal(left.width, right.width);
    assert_int_equal(left.height, right.height);
    assert_memory_equal(left.rgb, right.rgb, (size_t)left.width * (size_t)left.height * 3);
    assert_true(jpeg_sound(decoder, other->bytes, other->size, &about));
    free(left.rgb);
    free(right.rgb);
}

static void other_codings_of_the_same_coefficients(void **state)
{
    struct drawing drawing = {.seed = 4, .width = 200, .height = 90}, other = drawing;
    struct drawn drawn = drawing_encode(&drawing), coded;
    struct image_about about;
    other.restart_rows = 1;
    coded = drawing_encode(&other);
    expect_same_pixels(*state, &drawn, &coded);
    free(coded.bytes);
    other = drawing;
    other.progressive = true;
    coded = drawing_encode(&other);
    expect_same_pixels(*state, &drawn, &coded);
    free(coded.bytes);
#ifdef C_ARITH_CODING_SUPPORTED
    other = drawing;
    other.arithmetic = true;
    coded = drawing_encode(&other);
    if (jpeg_open(*state, coded.bytes, coded.size, &about) && jpeg_sound(*state, coded.bytes, coded.size, &about))
        expect_same_pixels(*state, &drawn, &coded);
    else /* named, where the library has no such decoder */
        assert_non_null(strstr(jpeg_trouble(*state), "arithmetic"));
    free(coded.bytes);
#endif
    free(drawn.bytes);
}

static void garbage_beside_the_data_is_fine(void **state)
{
    static const char garbage[] = "not a marker, not even by chance", thumb[] = "\xff\xd8\xff\xd9";
    struct drawing drawing = {.seed = 5, .width = 80, .height = 60};
    struct drawn plain = drawing_encode(&drawing), other = drawing_encode(&drawing);
    drawing_insert(&other, other.size, garbage, sizeof garbage);
    drawing_insert(&other, other.size, thumb, 4);
    expect_same_pixels(*state, &plain, &other);
    drawing_insert(&other, drawing_marker(&other, 0xc4), garbage, sizeof garbage - 1);
    expect_same_pixels(*state, &plain, &other);
    drawing_insert(&other, drawing_marker(&other, 0xdb), "\xff\xff\xff", 3); /* as much padding as one likes */
    expect_same_pixels(*state, &plain, &other);
    free(other.bytes);
    free(plain.bytes);
}

static void orientation_is_ignored(void **state)
{
    static const uint8_t exif[] = {
        0xff, 0xe1, 0, 34, 'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8,
        0,    1,    1, 18, 0,   3,   0,   0,   0, 1, 0,   6,   0, 0,  0, 0, 0, 0}; /* turned by a quarter */
    struct drawing drawing = {.seed = 6, .width = 80, .height = 60};
    struct drawn plain = drawing_encode(&drawing), turned = drawing_encode(&drawing);
    drawing_insert(&turned, 2, exif, sizeof exif);
    expect_same_pixels(*state, &plain, &turned);
    free(turned.bytes);
    free(plain.bytes);
}

/* --- encoding --- */

static struct drawn encode(const uint8_t *pixels, int width, int height, int components, int quality)
{
    struct drawn out = {0};
    jpeg_encode(pixels, width, height, components, quality, &out.bytes, &out.size);
    return out;
}

/* Of the same kind as a file that libjpeg makes with these settings, no larger, and of the same pixels. */
static void encoded_as_said(void **state)
{
    struct image_about about;
    size_t last = 0;
    for (int components = 1; components <= 3; components += 2)
        for (int quality = 10; quality <= 100; quality += 30) {
            uint8_t *pixels = drawing_pixels(7, 123, 77, components);
            struct drawing drawing = {.width = 123, .height = 77, .components = components, .quality = quality};
            struct drawn ours = encode(pixels, 123, 77, components, quality);
            struct drawn theirs = drawing_encode_pixels(&drawing, pixels);
            assert_true(jpeg_open(*state, ours.bytes, ours.size, &about));
            assert_true(about.components == components && !about.progressive);
            assert_true(ours.size < theirs.size); /* Huffman tables of its own */
            assert_true(quality == 10 || ours.size > last);
            expect_same_pixels(*state, &theirs, &ours);
            size_t frame = drawing_frame(&ours);
            assert_int_equal(ours.bytes[frame + 11], components == 3 ? 0x22 : 0x11); /* 4:2:0 */
            last = ours.size;
            free(ours.bytes);
            free(theirs.bytes);
            free(pixels);
        }
}

static void smallest_and_longest_are_encoded(void **state)
{
    static const int sizes[][2] = {{1, 1}, {65500, 1}, {1, 65500}, {17, 3}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct image_about about;
        uint8_t *pixels = drawing_pixels(8, sizes[i][0], sizes[i][1], 3);
        struct drawn drawn = encode(pixels, sizes[i][0], sizes[i][1], 3, 90);
        assert_true(jpeg_sound(*state, drawn.bytes, drawn.size, &about));
        assert_true(about.width == sizes[i][0] && about.height == sizes[i][1]);
        free(drawn.bytes);
        free(pixels);
    }
}

#define WITH_DECODER(test) cmocka_unit_test_setup_teardown(test, jpeg_set_up, jpeg_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DECODER(headers_are_told),
        WITH_DECODER(pixels_are_those_that_were_drawn),
        WITH_DECODER(parts_are_parts_of_the_whole),
        WITH_DECODER(thin_and_tiny_pictures),
        WITH_DECODER(scaled_pictures_are_means),
        WITH_DECODER(other_codings_of_the_same_coefficients),
        WITH_DECODER(garbage_beside_the_data_is_fine),
        WITH_DECODER(orientation_is_ignored),
        WITH_DECODER(encoded_as_said),
        WITH_DECODER(smallest_and_longest_are_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
