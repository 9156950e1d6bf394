/* What the tests of image formats share: whole images and parts of them against the pixels that they should have. */
#ifndef GRAPEVINE_TESTS_IMAGE_FIXTURE_H
#define GRAPEVINE_TESTS_IMAGE_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "data/photos/image.h"

struct encoded {
    uint8_t *bytes; /* owned, from malloc */
    size_t size;
};

static inline int image_set_up(void **state)
{
    *state = image_decoder_create();
    return 0;
}

static inline int image_tear_down(void **state)
{
    image_decoder_destroy(*state);
    return 0;
}

/* The region of the image is that of `expected` (about->height, about->width, 3), exactly. */
static inline void expect_region(struct image_decoder *decoder, const struct encoded *image, struct image_region asked,
                                 const uint8_t *expected)
{
    struct image_about about;
    struct image_region region = asked;
    if (!image_open(decoder, image->bytes, image->size, &about) || !image_begin(decoder, 8, &region))
        fail_msg("%s", image_trouble(decoder));
    assert_true(region.left <= asked.left && region.left + region.width >= asked.left + asked.width);
    assert_true(region.top == asked.top && region.height == asked.height);
    uint8_t *row = malloc((size_t)region.width * 3);
    for (int y = 0; y < region.height; y++) {
        assert_true(image_row(decoder, row));
        size_t at = (size_t)(region.top + y) * (size_t)about.width + (size_t)region.left;
        assert_memory_equal(row, expected + 3 * at, (size_t)region.width * 3);
    }
    free(row);
}

/* All of it, and parts of it, and that it is sound. */
static inline void expect_image(struct image_decoder *decoder, const struct encoded *image, int width, int height,
                                const uint8_t *expected)
{
    struct random_stream stream = random_stream(3, RANDOM_TEST, (uint32_t)width, (uint64_t)height);
    struct image_about about;
    if (!image_sound(decoder, image->bytes, image->size, &about))
        fail_msg("%s", image_trouble(decoder));
    assert_int_equal(about.width, width);
    assert_int_equal(about.height, height);
    expect_region(decoder, image, (struct image_region){.width = width, .height = height}, expected);
    for (int k = 0; k < 10; k++) {
        struct image_region part = {.left = (int)random_below(&stream, (uint32_t)width),
                                    .top = (int)random_below(&stream, (uint32_t)height)};
        part.width = 1 + (int)random_below(&stream, (uint32_t)(width - part.left));
        part.height = 1 + (int)random_below(&stream, (uint32_t)(height - part.top));
        expect_region(decoder, image, part, expected);
    }
}

/* Opens and decodes as a whole. */
static inline bool decodes(struct image_decoder *decoder, const struct encoded *image)
{
    struct image_about about;
    if (!image_open(decoder, image->bytes, image->size, &about))
        return false;
    struct image_region all = {.width = about.width, .height = about.height};
    bool good = image_begin(decoder, 8, &all);
    uint8_t *row = malloc((size_t)all.width * 3);
    for (int y = 0; good && y < all.height; y++)
        good = image_row(decoder, row);
    free(row);
    return good;
}

/* A copy of its first bytes, of its own, so that ASan sees its end. */
static inline struct encoded image_part(const struct encoded *image, size_t size)
{
    struct encoded part = {.bytes = malloc(size > 0 ? size : 1), .size = size};
    memcpy(part.bytes, image->bytes, size);
    return part;
}

/* However far it is cut, it is not sound, and why is told; a whole one is then as good as ever. */
static inline void expect_cuts_are_found(struct image_decoder *decoder, const struct encoded *image, size_t least,
                                         const char *trouble)
{
    struct image_about about;
    for (size_t size = least; size < image->size; size += 1 + image->size / 97) {
        struct encoded part = image_part(image, size);
        assert_false(image_sound(decoder, part.bytes, part.size, &about));
        if (strstr(image_trouble(decoder), trouble) == NULL)
            fail_msg("cut at %zu of %zu: %s", size, image->size, image_trouble(decoder));
        decodes(decoder, &part); /* true where only bytes behind the last row are missing */
        assert_true(image_sound(decoder, image->bytes, image->size, &about));
        free(part.bytes);
    }
}

/* Bits of it change at random: whatever comes of it, nothing crashes, and troubles have words. */
static inline void expect_no_crash(struct image_decoder *decoder, const struct encoded *image, int times)
{
    struct random_stream stream = random_stream(5, RANDOM_TEST, 0, image->size);
    struct image_about about;
    for (int k = 0; k < times; k++) {
        struct encoded changed = image_part(image, image->size);
        for (int bit = 0; bit < 1 + k % 4; bit++)
            changed.bytes[random_below(&stream, (uint32_t)changed.size)] ^= (uint8_t)(1u << random_below(&stream, 8));
        bool opened = image_open(decoder, changed.bytes, changed.size, &about);
        if (!opened)
            assert_true(image_trouble(decoder)[0] != '\0');
        if (opened && (int64_t)about.width * about.height < 1 << 20) {
            if (!image_sound(decoder, changed.bytes, changed.size, &about) || !decodes(decoder, &changed))
                assert_true(image_trouble(decoder)[0] != '\0');
        }
        free(changed.bytes);
    }
    assert_true(image_sound(decoder, image->bytes, image->size, &about));
}

#endif
