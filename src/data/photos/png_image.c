/* PNG images by libpng. Its errors come back by longjmp, into the call that was made here.
 *
 * Chunks that no pixel depends on are not looked at. Rows are decoded as they are asked for; an interlaced image is
 * decoded as a whole, since its last pass has a part in every row. */
#include <assert.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "base/memory.h"
#include "data/photos/image_format.h"

enum { PNG_MAGIC_BYTES = 8, RGB = 3 };

struct png_decoder {
    png_structp library; /* owned, as is info; NULL before the first image */
    png_infop info;
    jmp_buf caller;
    const uint8_t *bytes; /* borrowed (size): the file; `at` is what libpng wants next */
    size_t size, at;
    struct image_about about;
    struct image_region region;
    uint8_t *rows; /* owned (room): one row, or all of them where the image is interlaced */
    size_t room;
    int next; /* row of the region that comes next */
    char trouble[128];
};

static const uint8_t png_magic[PNG_MAGIC_BYTES] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

static bool png_matches(const uint8_t *bytes, size_t size)
{
    return size >= 4 && memcmp(bytes, png_magic, size < PNG_MAGIC_BYTES ? size : PNG_MAGIC_BYTES) == 0;
}

static void leave(png_structp library, png_const_charp words)
{
    struct png_decoder *decoder = png_get_error_ptr(library);
    if (decoder->trouble[0] == '\0')
        snprintf(decoder->trouble, sizeof decoder->trouble, "the data are damaged (libpng: %s)", words);
    longjmp(decoder->caller, 1);
}

static void drop_warning(png_structp library, png_const_charp words)
{
    (void)library;
    (void)words;
}

static void give_bytes(png_structp library, png_bytep out, size_t count)
{
    struct png_decoder *decoder = png_get_io_ptr(library);
    if (count > decoder->size - decoder->at) {
        snprintf(decoder->trouble, sizeof decoder->trouble, "the data end early");
        png_error(library, decoder->trouble);
    }
    memcpy(out, decoder->bytes + decoder->at, count);
    decoder->at += count;
}

static void *png_create(void)
{
    return memory_zalloc(1, sizeof(struct png_decoder));
}

static void png_destroy(void *opaque)
{
    struct png_decoder *decoder = opaque;
    if (decoder == NULL)
        return;
    png_destroy_read_struct(&decoder->library, &decoder->info, NULL);
    free(decoder->rows);
    free(decoder);
}

/* A library object that knows of no image. */
static bool make_library(struct png_decoder *decoder)
{
    png_destroy_read_struct(&decoder->library, &decoder->info, NULL);
    decoder->library = png_create_read_struct(PNG_LIBPNG_VER_STRING, decoder, leave, drop_warning);
    decoder->info = decoder->library != NULL ? png_create_info_struct(decoder->library) : NULL;
    if (decoder->info == NULL)
        snprintf(decoder->trouble, sizeof decoder->trouble, "libpng is out of memory");
    return decoder->info != NULL;
}

/* Whatever the file has becomes RGB of 8 bits. */
static void choose_transforms(struct png_decoder *decoder)
{
    png_structp library = decoder->library;
    int type = png_get_color_type(library, decoder->info);
    png_set_strip_16(library);
    if (type == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(library);
    if (type == PNG_COLOR_TYPE_GRAY)
        png_set_expand_gray_1_2_4_to_8(library);
    if ((type & PNG_COLOR_MASK_COLOR) == 0)
        png_set_gray_to_rgb(library);
    png_set_strip_alpha(library);
    png_set_interlace_handling(library);
    png_read_update_info(library, decoder->info);
    assert(png_get_rowbytes(library, decoder->info) == (size_t)decoder->about.width * RGB);
}

static bool check_size(struct png_decoder *decoder, uint32_t width, uint32_t height)
{
    if ((uint64_t)width * height > IMAGE_PIXELS_MAX)
        snprintf(decoder->trouble, sizeof decoder->trouble, "has %u x %u pixels, more than %d", width, height,
                 IMAGE_PIXELS_MAX);
    else if (width > IMAGE_SIDE_MAX || height > IMAGE_SIDE_MAX)
        snprintf(decoder->trouble, sizeof decoder->trouble, "has %u x %u pixels, a side of at most %d is read", width,
                 height, IMAGE_SIDE_MAX);
    else
        return true;
    return false;
}

static bool png_open(void *opaque, const uint8_t *bytes, size_t size, struct image_about *about)
{
    struct png_decoder *decoder = opaque;
    decoder->bytes = bytes;
    decoder->size = size;
    decoder->at = 0;
    decoder->trouble[0] = '\0';
    if (setjmp(decoder->caller) != 0 || !make_library(decoder))
        return false;
    png_structp library = decoder->library;
    png_set_read_fn(library, decoder, give_bytes);
    png_set_user_limits(library, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* check_size has better words */
    png_set_keep_unknown_chunks(library, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(library, decoder->info);
    uint32_t width = png_get_image_width(library, decoder->info);
    uint32_t height = png_get_image_height(library, decoder->info);
    if (!check_size(decoder, width, height))
        return false;
    decoder->about = (struct image_about){
        .width = (int)width,
        .height = (int)height,
        .components = png_get_color_type(library, decoder->info) & PNG_COLOR_MASK_COLOR ? RGB : 1,
        .progressive = png_get_interlace_type(library, decoder->info) != PNG_INTERLACE_NONE,
    };
    choose_transforms(decoder);
    *about = decoder->about;
    return true;
}

static size_t row_bytes(const struct png_decoder *decoder)
{
    return (size_t)decoder->about.width * RGB;
}

static void make_room(struct png_decoder *decoder)
{
    size_t rows = decoder->about.progressive ? (size_t)decoder->about.height : 1, bytes = rows * row_bytes(decoder);
    if (bytes <= decoder->room)
        return;
    free(decoder->rows);
    decoder->rows = memory_zalloc(bytes, 1);
    decoder->room = bytes;
}

/* Interlaced: all passes up to the last row of each. */
static void read_passes(struct png_decoder *decoder)
{
    for (int pass = 0; pass < PNG_INTERLACE_ADAM7_PASSES; pass++)
        for (int y = 0; y < decoder->about.height; y++)
            png_read_row(decoder->library, decoder->rows + (size_t)y * row_bytes(decoder), NULL);
}

static bool png_begin(void *opaque, int eighths, struct image_region *region)
{
    struct png_decoder *decoder = opaque;
    assert(eighths == 8);
    assert(region->left >= 0 && region->top >= 0 && region->width > 0 && region->height > 0);
    assert(region->left + region->width <= decoder->about.width);
    assert(region->top + region->height <= decoder->about.height);
    if (setjmp(decoder->caller) != 0)
        return false;
    make_room(decoder);
    decoder->region = *region;
    decoder->next = region->top;
    if (decoder->about.progressive)
        read_passes(decoder);
    else
        for (int y = 0; y < region->top; y++)
            png_read_row(decoder->library, decoder->rows, NULL);
    return true;
}

static bool png_row(void *opaque, uint8_t *row)
{
    struct png_decoder *decoder = opaque;
    if (setjmp(decoder->caller) != 0)
        return false;
    const uint8_t *from = decoder->rows;
    if (decoder->about.progressive)
        from += (size_t)decoder->next * row_bytes(decoder);
    else
        png_read_row(decoder->library, decoder->rows, NULL);
    decoder->next++;
    memcpy(row, from + (size_t)decoder->region.left * RGB, (size_t)decoder->region.width * RGB);
    return true;
}

/* All rows, and what comes behind them. */
static bool read_to_end(struct png_decoder *decoder)
{
    if (setjmp(decoder->caller) != 0)
        return false;
    make_room(decoder);
    if (decoder->about.progressive)
        read_passes(decoder);
    else
        for (int y = 0; y < decoder->about.height; y++)
            png_read_row(decoder->library, decoder->rows, NULL);
    png_read_end(decoder->library, NULL);
    return true;
}

static bool png_sound(void *opaque, const uint8_t *bytes, size_t size, struct image_about *about)
{
    return png_open(opaque, bytes, size, about) && read_to_end(opaque);
}

static const char *png_trouble(const void *opaque)
{
    const struct png_decoder *decoder = opaque;
    return decoder->trouble;
}

static const char *const png_endings[] = {".png", NULL};

const struct image_format_ops png_format = {.endings = png_endings,
                                            .matches = png_matches,
                                            .create = png_create,
                                            .destroy = png_destroy,
                                            .open = png_open,
                                            .begin = png_begin,
                                            .row = png_row,
                                            .sound = png_sound,
                                            .trouble = png_trouble};
