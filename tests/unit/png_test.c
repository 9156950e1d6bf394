/* PNG images: every color type, depth and interlacing becomes the RGB that Pillow's convert("RGB") makes of it. */
#include <png.h>

#include "image_fixture.h"
#include "photo_drawing.h"

enum { WIDTH = 45, HEIGHT = 37, COLORS = 13 };

struct png_kind {
    int type, depth;
    bool interlaced, transparent; /* transparent: with a tRNS chunk */
};

/* Sample c of a pixel, of so many bits. */
static unsigned sample(int x, int y, int c, int depth)
{
    unsigned wide = (unsigned)(drawing_value(4, x, y, c % 3) * 257) ^ (c == 3 ? 0x5a5au : 0);
    return wide >> (16 - depth);
}

static unsigned color_of(int x, int y)
{
    return (unsigned)(x / 3 + 5 * y) % COLORS;
}

static int channels_of(int type)
{
    return (type & PNG_COLOR_MASK_COLOR && type != PNG_COLOR_TYPE_PALETTE ? 3 : 1) +
           (type & PNG_COLOR_MASK_ALPHA ? 1 : 0);
}

static void pack_row(const struct png_kind *kind, int y, uint8_t *row)
{
    int channels = channels_of(kind->type), at = 0;
    memset(row, 0, (size_t)WIDTH * 8);
    for (int x = 0; x < WIDTH; x++)
        for (int c = 0; c < channels; c++, at += kind->depth) {
            bool alpha = kind->type & PNG_COLOR_MASK_ALPHA && c == channels - 1;
            unsigned value = sample(x, y, alpha ? 3 : channels < 3 ? 1 : c, kind->depth);
            if (kind->type == PNG_COLOR_TYPE_PALETTE)
                value = color_of(x, y) & ((1u << kind->depth) - 1);
            if (kind->depth == 16)
                row[at / 8] = (uint8_t)(value >> 8);
            row[kind->depth == 16 ? at / 8 + 1 : at / 8] |=
                (uint8_t)(kind->depth < 8 ? value << (8 - kind->depth - at % 8) : value);
        }
}

static void expected_pixel(const struct png_kind *kind, int x, int y, uint8_t *out)
{
    for (int c = 0; c < 3; c++) {
        bool gray = (kind->type & PNG_COLOR_MASK_COLOR) == 0;
        unsigned value = sample(x, y, gray ? 1 : c, kind->depth);
        if (kind->type == PNG_COLOR_TYPE_PALETTE)
            out[c] = (uint8_t)(19 * (color_of(x, y) & ((1u << kind->depth) - 1)) + 3 * (unsigned)c);
        else if (kind->depth == 16)
            out[c] = (uint8_t)(value >> 8);
        else
            out[c] = (uint8_t)(value * 255 / ((1u << kind->depth) - 1));
    }
}

static void take_bytes(png_structp library, png_bytep bytes, size_t count)
{
    struct encoded *image = png_get_io_ptr(library);
    image->bytes = realloc(image->bytes, image->size + count);
    memcpy(image->bytes + image->size, bytes, count);
    image->size += count;
}

static void write_transparency(png_structp library, png_infop info, const struct png_kind *kind)
{
    static png_byte alphas[2] = {0, 128};
    png_color_16 color = {.red = (png_uint_16)sample(0, 0, 0, kind->depth),
                          .green = (png_uint_16)sample(0, 0, 1, kind->depth),
                          .blue = (png_uint_16)sample(0, 0, 2, kind->depth),
                          .gray = (png_uint_16)sample(0, 0, 1, kind->depth)};
    bool palette = kind->type == PNG_COLOR_TYPE_PALETTE;
    png_set_tRNS(library, info, palette ? alphas : NULL, palette ? 2 : 1, palette ? NULL : &color);
}

static struct encoded encode(const struct png_kind *kind)
{
    struct encoded image = {0};
    png_structp library = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(library);
    png_color palette[COLORS];
    uint8_t *rows[HEIGHT];
    for (int k = 0; k < COLORS; k++)
        palette[k] = (png_color){(png_byte)(19 * k), (png_byte)(19 * k + 3), (png_byte)(19 * k + 6)};
    png_set_write_fn(library, &image, take_bytes, NULL);
    png_set_IHDR(library, info, WIDTH, HEIGHT, kind->depth, kind->type,
                 kind->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (kind->type == PNG_COLOR_TYPE_PALETTE)
        png_set_PLTE(library, info, palette, kind->depth < 4 ? 1 << kind->depth : COLORS);
    if (kind->transparent)
        write_transparency(library, info, kind);
    png_set_gAMA(library, info, 0.5); /* nobody looks at it */
    for (int y = 0; y < HEIGHT; y++) {
        rows[y] = malloc((size_t)WIDTH * 8);
        pack_row(kind, y, rows[y]);
    }
    png_set_rows(library, info, rows);
    png_write_png(library, info, PNG_TRANSFORM_IDENTITY, NULL);
    png_destroy_write_struct(&library, &info);
    for (int y = 0; y < HEIGHT; y++)
        free(rows[y]);
    return image;
}

static void expect_kind(struct image_decoder *decoder, const struct png_kind *kind)
{
    uint8_t expected[HEIGHT * WIDTH * 3];
    struct image_about about;
    struct encoded image = encode(kind);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            expected_pixel(kind, x, y, expected + 3 * (y * WIDTH + x));
    expect_image(decoder, &image, WIDTH, HEIGHT, expected);
    assert_true(image_open(decoder, image.bytes, image.size, &about));
    assert_int_equal(about.components, kind->type & PNG_COLOR_MASK_COLOR ? 3 : 1);
    assert_int_equal(about.progressive, kind->interlaced);
    assert_false(about.scales);
    free(image.bytes);
}

static void every_kind_has_its_pixels(void **state)
{
    static const struct {
        int type, depths[5];
    } kinds[] = {{PNG_COLOR_TYPE_GRAY, {1, 2, 4, 8, 16}},
                 {PNG_COLOR_TYPE_RGB, {8, 16}},
                 {PNG_COLOR_TYPE_PALETTE, {1, 2, 4, 8}},
                 {PNG_COLOR_TYPE_GRAY_ALPHA, {8, 16}},
                 {PNG_COLOR_TYPE_RGB_ALPHA, {8, 16}}};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        for (int d = 0; d < 5 && kinds[k].depths[d] > 0; d++)
            for (int way = 0; way < 4; way++) {
                struct png_kind kind = {.type = kinds[k].type, .depth = kinds[k].depths[d], .interlaced = way & 1};
                kind.transparent = way & 2 && !(kind.type & PNG_COLOR_MASK_ALPHA);
                expect_kind(*state, &kind);
            }
}

static void damage_is_found(void **state)
{
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        const struct png_kind kind = {.type = PNG_COLOR_TYPE_RGB, .depth = 8, .interlaced = interlaced};
        struct image_about about;
        struct encoded image = encode(&kind);
        expect_cuts_are_found(*state, &image, 4, "the data end early");
        expect_no_crash(*state, &image, 300);
        image.bytes[image.size / 2] ^= 1;
        assert_false(image_sound(*state, image.bytes, image.size, &about));
        assert_non_null(strstr(image_trouble(*state), "the data are damaged"));
        free(image.bytes);
    }
}

/* A header of this size and a checksum that fits, nothing behind it. */
static void expect_size_refused(struct image_decoder *decoder, uint32_t width, uint32_t height, const char *trouble)
{
    uint8_t bytes[8 + 25 + 12] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R'};
    struct image_about about;
    png_save_uint_32(bytes + 16, width);
    png_save_uint_32(bytes + 20, height);
    bytes[24] = 8;
    bytes[25] = PNG_COLOR_TYPE_RGB;
    uint32_t checksum = ~0u; /* CRC-32, bit by bit */
    for (int i = 12; i < 29; i++) {
        checksum ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            checksum = checksum >> 1 ^ (checksum & 1 ? 0xedb88320u : 0);
    }
    png_save_uint_32(bytes + 29, ~checksum);
    static const uint8_t empty[12] = {0, 0, 0, 0, 'I', 'D', 'A', 'T', 0x35, 0xaf, 0x06, 0x1e};
    memcpy(bytes + 33, empty, sizeof empty);
    assert_false(image_open(decoder, bytes, sizeof bytes, &about));
    if (strstr(image_trouble(decoder), trouble) == NULL)
        fail_msg("%s", image_trouble(decoder));
}

static void large_ones_are_refused(void **state)
{
    expect_size_refused(*state, 20000, 20000, "has 20000 x 20000 pixels, more than 178956970");
    expect_size_refused(*state, 0x7fffffff, 0x7fffffff, "pixels, more than 178956970");
    expect_size_refused(*state, 70000, 2, "a side of at most 65500");
    expect_size_refused(*state, 0, 2, "the data are damaged");
}

#define WITH_DECODER(test) cmocka_unit_test_setup_teardown(test, image_set_up, image_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DECODER(every_kind_has_its_pixels),
        WITH_DECODER(damage_is_found),
        WITH_DECODER(large_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
