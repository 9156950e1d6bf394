/* Images of any bytes, whatever their format: looked through, cropped, the middle taken, shrunk. What is found sound
 * can be rendered, and what is rendered is an image. */
#ifndef GRAPEVINE_TESTS_FUZZ_IMAGE_FUZZ_H
#define GRAPEVINE_TESTS_FUZZ_IMAGE_FUZZ_H

#include <math.h>

#include "data/photos/photo_pixels.h"
#include "fuzz/fuzz_fixture.h"

/* Larger pictures only take longer; how long and how much memory is for tests/unit/jpeg_trouble_test.c. */
#ifndef PIXELS_MAX
#define PIXELS_MAX (1 << 20)
#endif

enum { SIZE = 40, SHORT_SIDE = 48 };

static inline void expect(bool truth)
{
    if (!truth)
        abort();
}

/* Opens, and renders what `view` is made of it. */
static inline bool render(struct photo_maker *maker, const uint8_t *data, size_t size, bool middle)
{
    static const float factor[PHOTO_CHANNELS] = {1, 1, 1}, shift[PHOTO_CHANNELS] = {0};
    static float out[PHOTO_CHANNELS * SIZE * SIZE];
    struct image_about about;
    if (!photo_open(maker, data, size, &about))
        return false;
    struct random_stream stream = random_stream(size, RANDOM_TEST, data[size - 1], data[size / 2]);
    struct photo_view view = middle ? photo_view_center(about.width, about.height, SIZE, SHORT_SIDE)
                                    : photo_view_random(&stream, about.width, about.height, SIZE);
    for (int i = 0; i < PHOTO_CHANNELS * SIZE * SIZE; i++)
        out[i] = NAN;
    if (!photo_render(maker, &view, factor, shift, out))
        return false;
    for (int i = 0; i < PHOTO_CHANNELS * SIZE * SIZE; i++)
        expect(out[i] > -0.01f && out[i] < 255.01f);
    return true;
}

static inline bool shrink(struct photo_maker *maker, const uint8_t *data, size_t size)
{
    uint8_t *bytes = NULL;
    size_t count = 0;
    struct image_about about, again;
    const char *trouble = NULL;
    if (!photo_shrink(maker, data, size, SHORT_SIDE, 80, &bytes, &count, &about, &trouble)) {
        expect(trouble != NULL && trouble[0] != '\0');
        return false;
    }
    expect(photo_open(maker, bytes, count, &again));
    expect(again.width == about.width && again.height == about.height && again.components == about.components);
    free(bytes);
    return true;
}

static inline int image_fuzz(const uint8_t *data, size_t size)
{
    static struct photo_maker *maker;
    static struct image_decoder *decoder;
    struct image_about about;
    if (maker == NULL) {
        maker = photo_maker_create();
        decoder = image_decoder_create();
    }
    if (!image_open(decoder, data, size, &about) || (int64_t)about.width * about.height > PIXELS_MAX)
        return 0;
    bool sound = image_sound(decoder, data, size, &about);
    for (int middle = 0; middle < 2; middle++)
        expect(render(maker, data, size, middle) || !sound);
    expect(shrink(maker, data, size) || !sound);
    return 0;
}

#endif
