/* Pictures that look like photographs to whoever resizes or encodes them, drawn: smooth noise at several scales, edges,
 * and detail as fine as print. And JPEG files of every kind made of them, with libjpeg itself. */
#ifndef GRAPEVINE_TESTS_PHOTO_DRAWING_H
#define GRAPEVINE_TESTS_PHOTO_DRAWING_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

/* --- pixels --- */

/* Even in [0, 1), a function of the three. */
static inline double drawing_noise(uint32_t seed, uint32_t x, uint32_t y)
{
    uint32_t h = seed * 0x9e3779b9u ^ x * 0x85ebca6bu ^ y * 0xc2b2ae35u;
    h = (h ^ h >> 15) * 0x2c1b3c6du;
    h = (h ^ h >> 12) * 0x297a2d39u;
    return (double)(h ^ h >> 15) / 4294967296.0;
}

/* Noise between whose values at multiples of `scale` pixels lines are drawn. */
static inline double drawing_smooth(uint32_t seed, int x, int y, int scale)
{
    uint32_t left = (uint32_t)(x / scale), top = (uint32_t)(y / scale);
    double u = (double)(x % scale) / scale, v = (double)(y % scale) / scale;
    double above = (1 - u) * drawing_noise(seed, left, top) + u * drawing_noise(seed, left + 1, top);
    double below = (1 - u) * drawing_noise(seed, left, top + 1) + u * drawing_noise(seed, left + 1, top + 1);
    return (1 - v) * above + v * below;
}

/* Between 0 and 255. */
static inline double drawing_value(uint32_t seed, int x, int y, int channel)
{
    uint32_t own = seed * 7 + 3 * (uint32_t)channel;
    double value = 90 * drawing_smooth(own, x, y, 97) + 50 * drawing_smooth(own + 1, x, y, 23) +
                   25 * drawing_smooth(seed * 7 + 2, x, y, 5) + 10;
    if ((x + 2 * y + (int)seed * 31) % 160 < 60) /* slanted edges, a little colored */
        value += 50 - 10 * channel;
    bool line = y % 48 >= 30 && y % 48 < 44;
    if (line && drawing_noise(seed * 7 + 5, (uint32_t)x / 2, (uint32_t)y / 2) < 0.4) /* print */
        value *= 0.4;
    return value < 255 ? value : 255;
}

/* (height, width, components), the caller's to free. One component is the green of three. */
static inline uint8_t *drawing_pixels(uint32_t seed, int width, int height, int components)
{
    uint8_t *pixels = malloc((size_t)width * (size_t)height * (size_t)components), *next = pixels;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < components; c++)
                *next++ = (uint8_t)drawing_value(seed, x, y, components == 1 ? 1 : c);
    return pixels;
}

/* --- files --- */

struct drawing {
    uint32_t seed;
    int width, height;
    int components;   /* 0: 3; 4 is CMYK */
    int quality;      /* 0: 90 */
    int across, down; /* luminance samples per chroma sample; 0: 2 */
    bool uneven;      /* the second component has as many samples across as the first */
    bool progressive, arithmetic;
    int restart_rows;            /* a restart marker after so many rows of blocks; 0: none */
    J_COLOR_SPACE kept_as;       /* color space in the file; 0: the usual one */
    const jpeg_scan_info *scans; /* (scan_count), or NULL */
    int scan_count;
};

struct drawn {
    uint8_t *bytes; /* owned, from malloc */
    size_t size;
};

static inline void drawing_settings(struct jpeg_compress_struct *library, const struct drawing *drawing)
{
    jpeg_set_defaults(library);
    if (drawing->kept_as != JCS_UNKNOWN)
        jpeg_set_colorspace(library, drawing->kept_as);
    jpeg_set_quality(library, drawing->quality > 0 ? drawing->quality : 90, TRUE);
    if (library->num_components > 1) {
        library->comp_info[0].h_samp_factor = drawing->across > 0 ? drawing->across : 2;
        library->comp_info[0].v_samp_factor = drawing->down > 0 ? drawing->down : 2;
        if (drawing->uneven)
            library->comp_info[1].h_samp_factor = library->comp_info[0].h_samp_factor;
    }
    library->restart_in_rows = drawing->restart_rows;
    if (drawing->progressive)
        jpeg_simple_progression(library);
    if (drawing->scans != NULL) {
        library->scan_info = drawing->scans;
        library->num_scans = drawing->scan_count;
    }
    library->arith_code = drawing->arithmetic;
}

static inline struct drawn drawing_encode_pixels(const struct drawing *drawing, const uint8_t *pixels)
{
    static const J_COLOR_SPACE spaces[] = {JCS_UNKNOWN, JCS_GRAYSCALE, JCS_UNKNOWN, JCS_RGB, JCS_CMYK};
    struct jpeg_compress_struct library;
    struct jpeg_error_mgr errors;
    struct drawn drawn = {0};
    unsigned long size = 0;
    int components = drawing->components > 0 ? drawing->components : 3;
    library.err = jpeg_std_error(&errors); /* its exit ends the test, with a message */
    jpeg_create_compress(&library);
    jpeg_mem_dest(&library, &drawn.bytes, &size);
    library.image_width = (JDIMENSION)drawing->width;
    library.image_height = (JDIMENSION)drawing->height;
    library.input_components = components;
    library.in_color_space = spaces[components];
    drawing_settings(&library, drawing);
    jpeg_start_compress(&library, TRUE);
    while (library.next_scanline < library.image_height) {
        size_t offset = (size_t)library.next_scanline * (size_t)drawing->width * (size_t)components;
        JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + offset);
        jpeg_write_scanlines(&library, &row, 1);
    }
    jpeg_finish_compress(&library);
    jpeg_destroy_compress(&library);
    drawn.size = size;
    return drawn;
}

static inline struct drawn drawing_encode(const struct drawing *drawing)
{
    uint8_t *pixels = drawing_pixels(drawing->seed, drawing->width, drawing->height,
                                     drawing->components > 0 ? drawing->components : 3);
    struct drawn drawn = drawing_encode_pixels(drawing, pixels);
    free(pixels);
    return drawn;
}

/* The place of the first marker of that kind (its 0xff), searched segment by segment up to the first scan. */
static inline size_t drawing_marker(const struct drawn *drawn, uint8_t marker)
{
    for (size_t at = 2; at + 4 <= drawn->size && drawn->bytes[at] == 0xff;) {
        if (drawn->bytes[at + 1] == marker)
            return at;
        if (drawn->bytes[at + 1] == 0xda)
            break;
        at += 2 + ((size_t)drawn->bytes[at + 2] << 8 | drawn->bytes[at + 3]);
    }
    return 0;
}

/* The frame header: baseline, extended or progressive, Huffman or arithmetic. */
static inline size_t drawing_frame(const struct drawn *drawn)
{
    static const uint8_t kinds[] = {0xc0, 0xc1, 0xc2, 0xc9, 0xca};
    for (size_t i = 0; i < sizeof kinds; i++)
        if (drawing_marker(drawn, kinds[i]) > 0)
            return drawing_marker(drawn, kinds[i]);
    return 0;
}

/* Let the header say another size than the data have. */
static inline void drawing_lie(struct drawn *drawn, int width, int height)
{
    uint8_t *frame = drawn->bytes + drawing_frame(drawn);
    frame[5] = (uint8_t)(height >> 8);
    frame[6] = (uint8_t)height;
    frame[7] = (uint8_t)(width >> 8);
    frame[8] = (uint8_t)width;
}

/* Take all segments of that kind out. */
static inline void drawing_remove(struct drawn *drawn, uint8_t marker)
{
    for (size_t at; (at = drawing_marker(drawn, marker)) > 0;) {
        size_t end = at + 2 + ((size_t)drawn->bytes[at + 2] << 8 | drawn->bytes[at + 3]);
        memmove(drawn->bytes + at, drawn->bytes + end, drawn->size - end);
        drawn->size -= end - at;
    }
}

/* Put bytes in, in the middle. */
static inline void drawing_insert(struct drawn *drawn, size_t at, const void *bytes, size_t count)
{
    drawn->bytes = realloc(drawn->bytes, drawn->size + count);
    memmove(drawn->bytes + at + count, drawn->bytes + at, drawn->size - at);
    memcpy(drawn->bytes + at, bytes, count);
    drawn->size += count;
}

#endif
