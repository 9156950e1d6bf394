/* WebP images: lossless ones have the pixels that went in, lossy ones those that libwebp's simplest call gives, in
 * whole and in parts; alpha is dropped; of an animation the first frame counts, on black. */
#include <webp/decode.h>
#include <webp/encode.h>

#include "image_fixture.h"
#include "photo_drawing.h"

enum { WIDTH = 83, HEIGHT = 61 };

/* From libwebp's memory into malloc's. */
static struct encoded own(uint8_t *bytes, size_t size)
{
    struct encoded image = {bytes, size};
    assert_true(size > 0);
    image = image_part(&image, size);
    WebPFree(bytes);
    return image;
}

static struct encoded encode(uint32_t seed, float quality)
{
    uint8_t *pixels = drawing_pixels(seed, WIDTH, HEIGHT, 3), *bytes;
    size_t size = quality < 0 ? WebPEncodeLosslessRGB(pixels, WIDTH, HEIGHT, WIDTH * 3, &bytes)
                              : WebPEncodeRGB(pixels, WIDTH, HEIGHT, WIDTH * 3, quality, &bytes);
    free(pixels);
    return own(bytes, size);
}

static void lossless_ones_have_their_pixels(void **state)
{
    struct encoded image = encode(2, -1);
    uint8_t *pixels = drawing_pixels(2, WIDTH, HEIGHT, 3);
    expect_image(*state, &image, WIDTH, HEIGHT, pixels);
    free(pixels);
    free(image.bytes);
}

static void parts_of_lossy_ones_are_those_of_the_whole(void **state)
{
    for (uint32_t seed = 0; seed < 4; seed++) {
        struct encoded image = encode(seed, 20 + 20 * (float)seed);
        int width, height;
        uint8_t *whole = WebPDecodeRGB(image.bytes, image.size, &width, &height);
        assert_non_null(whole);
        expect_image(*state, &image, width, height, whole);
        WebPFree(whole);
        free(image.bytes);
    }
}

static void alpha_is_dropped(void **state)
{
    uint8_t *pixels = drawing_pixels(3, WIDTH, HEIGHT, 3), *with = malloc((size_t)WIDTH * HEIGHT * 4), *bytes;
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        memcpy(with + 4 * (size_t)i, pixels + 3 * (size_t)i, 3);
        with[4 * (size_t)i + 3] = (uint8_t)(1 + i % 255);
    }
    struct encoded image = own(bytes, WebPEncodeLosslessRGBA(with, WIDTH, HEIGHT, WIDTH * 4, &bytes));
    expect_image(*state, &image, WIDTH, HEIGHT, pixels);
    free(image.bytes);
    free(with);
    free(pixels);
}

/* --- animations, put together by hand --- */

static void put(uint8_t **at, uint32_t number, int bytes)
{
    for (int k = 0; k < bytes; k++, number >>= 8)
        *(*at)++ = (uint8_t)number;
}

static void put_tag(uint8_t **at, const char *tag, size_t size)
{
    memcpy(*at, tag, 4);
    *at += 4;
    put(at, (uint32_t)size, 4);
}

/* `frame` is a WebP file of one chunk, which begins after twelve bytes. */
static void put_frame(uint8_t **at, const struct encoded *frame, uint32_t left, uint32_t top)
{
    put_tag(at, "ANMF", 16 + frame->size - 12);
    put(at, left / 2, 3);
    put(at, top / 2, 3);
    put(at, WIDTH - 1, 3);
    put(at, HEIGHT - 1, 3);
    put(at, 100, 3);
    put(at, 0, 1);
    memcpy(*at, frame->bytes + 12, frame->size - 12);
    *at += frame->size - 12;
}

enum { CANVAS_WIDTH = 110, CANVAS_HEIGHT = 90, LEFT = 14, TOP = 22 };

static struct encoded animate(const struct encoded *first, const struct encoded *second)
{
    struct encoded image = {.bytes = malloc(first->size + second->size + 256)};
    uint8_t *at = image.bytes + 8;
    memcpy(image.bytes, (const uint8_t[4]){'R', 'I', 'F', 'F'}, 4);
    memcpy(at, (const uint8_t[4]){'W', 'E', 'B', 'P'}, 4);
    at += 4;
    put_tag(&at, "VP8X", 10);
    put(&at, 2, 4); /* animated */
    put(&at, CANVAS_WIDTH - 1, 3);
    put(&at, CANVAS_HEIGHT - 1, 3);
    put_tag(&at, "ANIM", 6);
    put(&at, 0xff112233u, 4); /* a background that nobody asks for */
    put(&at, 0, 2);
    put_frame(&at, first, LEFT, TOP);
    put_frame(&at, second, 0, 0);
    image.size = (size_t)(at - image.bytes);
    at = image.bytes + 4;
    put(&at, (uint32_t)image.size - 8, 4);
    return image;
}

static void first_frames_stand_for_animations(void **state)
{
    struct encoded first = encode(5, -1), second = encode(6, -1), image = animate(&first, &second);
    uint8_t *pixels = drawing_pixels(5, WIDTH, HEIGHT, 3), *expected = calloc(CANVAS_WIDTH * CANVAS_HEIGHT, 3);
    for (int y = 0; y < HEIGHT; y++)
        memcpy(expected + 3 * ((size_t)(TOP + y) * CANVAS_WIDTH + LEFT), pixels + 3 * (size_t)y * WIDTH, 3 * WIDTH);
    expect_image(*state, &image, CANVAS_WIDTH, CANVAS_HEIGHT, expected);
    expect_region(*state, &image, (struct image_region){.width = 5, .height = 5}, expected); /* beside the frame */
    expect_cuts_are_found(*state, &image, 12, "end early");
    expect_no_crash(*state, &image, 200);
    free(expected);
    free(pixels);
    free(image.bytes);
    free(second.bytes);
    free(first.bytes);
}

static void damage_is_found(void **state)
{
    for (int lossless = 0; lossless < 2; lossless++) {
        struct encoded image = encode(7, lossless ? -1 : 80);
        expect_cuts_are_found(*state, &image, 12, "the data end early");
        expect_no_crash(*state, &image, 300);
        free(image.bytes);
    }
}

#define WITH_DECODER(test) cmocka_unit_test_setup_teardown(test, image_set_up, image_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DECODER(lossless_ones_have_their_pixels),
        WITH_DECODER(parts_of_lossy_ones_are_those_of_the_whole),
        WITH_DECODER(alpha_is_dropped),
        WITH_DECODER(first_frames_stand_for_animations),
        WITH_DECODER(damage_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
