/* What the tests of JPEG decoding share: pictures and parts of them as arrays, and whether a decoder still works. */
#ifndef GRAPEVINE_TESTS_JPEG_FIXTURE_H
#define GRAPEVINE_TESTS_JPEG_FIXTURE_H

#include <stdlib.h>

#include "data/photos/jpeg.h"
#include "photo_drawing.h"

struct pixels {
    int width, height;
    uint8_t *rgb; /* owned (height, width, 3) */
};

static inline int jpeg_set_up(void **state)
{
    *state = jpeg_decoder_create();
    return 0;
}

static inline int jpeg_tear_down(void **state)
{
    jpeg_decoder_destroy(*state);
    return 0;
}

static inline int scaled(int size, int eighths)
{
    return (size * eighths + 7) / 8;
}

/* Rows of the region until one fails; how many there were. *region is then what it has been widened to. */
static inline int decode(struct jpeg_decoder *decoder, const struct drawn *drawn, int eighths,
                         struct image_region *region, struct pixels *out)
{
    struct image_about about;
    int rows = 0;
    *out = (struct pixels){0};
    if (!jpeg_open(decoder, drawn->bytes, drawn->size, &about) || !jpeg_begin(decoder, eighths, region))
        return 0;
    *out = (struct pixels){.width = region->width, .height = region->height};
    out->rgb = malloc((size_t)region->width * (size_t)region->height * 3);
    while (rows < region->height && jpeg_row(decoder, out->rgb + (size_t)rows * (size_t)region->width * 3))
        rows++;
    return rows;
}

static inline struct pixels decode_whole(struct jpeg_decoder *decoder, const struct drawn *drawn, int eighths)
{
    struct image_about about;
    struct pixels whole;
    assert_true(jpeg_open(decoder, drawn->bytes, drawn->size, &about));
    struct image_region all = {.width = scaled(about.width, eighths), .height = scaled(about.height, eighths)};
    assert_int_equal(decode(decoder, drawn, eighths, &all, &whole), all.height);
    assert_int_equal(all.left, 0);
    assert_int_equal(all.width, scaled(about.width, eighths));
    return whole;
}

static inline const uint8_t *pixel(const struct pixels *pixels, int x, int y)
{
    return pixels->rgb + ((size_t)y * (size_t)pixels->width + (size_t)x) * 3;
}

/* FNV-1a of all pixels. */
static inline uint64_t digest(const struct pixels *pixels)
{
    uint64_t sum = 14695981039346656037u;
    for (size_t i = 0; i < (size_t)pixels->width * (size_t)pixels->height * 3; i++)
        sum = (sum ^ pixels->rgb[i]) * 1099511628211u;
    return sum;
}

/* Whatever was before, a good picture is read as by a fresh decoder. */
static inline void expect_usable(struct jpeg_decoder *decoder)
{
    static uint64_t expected;
    static struct drawn good;
    static const struct drawing drawing = {.seed = 1, .width = 45, .height = 37};
    static const struct image_region all = {.width = 45, .height = 37};
    struct image_region region = all;
    struct pixels pixels;
    if (good.bytes == NULL) {
        struct jpeg_decoder *fresh = jpeg_decoder_create();
        good = drawing_encode(&drawing);
        assert_int_equal(decode(fresh, &good, 8, &region, &pixels), 37);
        expected = digest(&pixels);
        free(pixels.rgb);
        jpeg_decoder_destroy(fresh);
    }
    region = all;
    assert_int_equal(decode(decoder, &good, 8, &region, &pixels), 37);
    assert_true(digest(&pixels) == expected);
    free(pixels.rgb);
}

#endif
