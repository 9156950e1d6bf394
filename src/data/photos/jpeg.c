/* JPEG pictures by libjpeg-turbo. Its errors come back by longjmp, into the call that was made here. */
#include "data/photos/jpeg.h"

#include <assert.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h> /* its list depends on what the other has defined */

#include "base/memory.h"
#include "base/status.h"
#include "data/photos/image_format.h"

struct jpeg_decoder {
    struct jpeg_decompress_struct library;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf caller;
    uint8_t *row; /* owned (row_bytes): for rows that nobody wants */
    size_t row_bytes;
    bool damaged; /* since the last jpeg_open: something had to be made up */
    char trouble[JMSG_LENGTH_MAX];
};

static struct jpeg_decoder *decoder_of(j_common_ptr library)
{
    return library->client_data;
}

static void say(struct jpeg_decoder *decoder, const char *trouble)
{
    snprintf(decoder->trouble, sizeof decoder->trouble, "%s", trouble);
}

/* The library's own words, unless what is wrong was seen before, or they speak of how it works inside. */
static void leave(j_common_ptr library)
{
    struct jpeg_decoder *decoder = decoder_of(library);
    if (decoder->errors.msg_code == JERR_NO_BACKING_STORE)
        snprintf(decoder->trouble, sizeof decoder->trouble, "takes more than %d MiB to decode", IMAGE_MEMORY_MAX >> 20);
    else if (!decoder->damaged)
        decoder->errors.format_message(library, decoder->trouble);
    longjmp(decoder->caller, 1);
}

/* Warnings: which of them mean that pixels were made up. */
static void take_message(j_common_ptr library, int level)
{
    struct jpeg_decoder *decoder = decoder_of(library);
    if (level >= 0)
        return;
    switch (decoder->errors.msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
        say(decoder, "the data end early");
        decoder->damaged = true;
        break;
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
        say(decoder, "the data are damaged");
        decoder->damaged = true;
        break;
    default: /* bytes between markers, orders of scans that are unusual */
        break;
    }
}

/* Called between rows and scans: a small file may ask for thousands of passes over a large picture, and nobody wants
 * the rest of one that is damaged. */
static void watch(j_common_ptr library)
{
    struct jpeg_decoder *decoder = decoder_of(library);
    if (decoder->damaged)
        longjmp(decoder->caller, 1);
    if (decoder->library.input_scan_number <= JPEG_SCANS_MAX)
        return;
    snprintf(decoder->trouble, sizeof decoder->trouble, "has more than %d scans", JPEG_SCANS_MAX);
    longjmp(decoder->caller, 1);
}

/* A library object that knows of no picture. By whoever has set decoder->caller. */
static void make_library(struct jpeg_decoder *decoder)
{
    jpeg_create_decompress(&decoder->library); /* keeps err and client_data */
    decoder->library.progress = &decoder->progress;
    decoder->library.mem->max_memory_to_use = IMAGE_MEMORY_MAX;
}

struct jpeg_decoder *jpeg_decoder_create(void)
{
    struct jpeg_decoder *decoder = memory_zalloc(1, sizeof *decoder);
    decoder->library.err = jpeg_std_error(&decoder->errors);
    decoder->errors.error_exit = leave;
    decoder->errors.emit_message = take_message;
    decoder->progress.progress_monitor = watch;
    decoder->library.client_data = decoder;
    if (setjmp(decoder->caller) != 0) { /* or a library of another version than its header */
        memory_report(0, "a JPEG decoder");
        exit(STATUS_MACHINE);
    }
    make_library(decoder);
    return decoder;
}

void jpeg_decoder_destroy(struct jpeg_decoder *decoder)
{
    if (decoder == NULL)
        return;
    jpeg_destroy_decompress(&decoder->library);
    memory_free_aligned(decoder->row);
    free(decoder);
}

const char *jpeg_trouble(const struct jpeg_decoder *decoder)
{
    return decoder->trouble;
}

static bool jpeg_matches(const uint8_t *bytes, size_t size)
{
    return size >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8;
}

static bool check_header(struct jpeg_decoder *decoder)
{
    const struct jpeg_decompress_struct *library = &decoder->library;
    J_COLOR_SPACE space = library->jpeg_color_space;
    if ((uint64_t)library->image_width * library->image_height > IMAGE_PIXELS_MAX)
        snprintf(decoder->trouble, sizeof decoder->trouble, "has %u x %u pixels, more than %d", library->image_width,
                 library->image_height, IMAGE_PIXELS_MAX);
    else if (space == JCS_CMYK || space == JCS_YCCK)
        say(decoder, "is CMYK; RGB and grayscale are read");
    else if (space != JCS_GRAYSCALE && space != JCS_YCbCr && space != JCS_RGB)
        snprintf(decoder->trouble, sizeof decoder->trouble, "has %d color components; 1 and 3 are read",
                 library->num_components);
    else
        return true;
    return false;
}

bool jpeg_open(struct jpeg_decoder *decoder, const uint8_t *bytes, size_t size, struct image_about *about)
{
    struct jpeg_decompress_struct *library = &decoder->library;
    decoder->damaged = false;
    if (!jpeg_matches(bytes, size)) {
        say(decoder, "is not a JPEG");
        return false;
    }
    if (setjmp(decoder->caller) != 0)
        return false;
    jpeg_destroy_decompress(library); /* a picture that lacks tables would be decoded with those of the last one */
    make_library(decoder);
    jpeg_mem_src(library, bytes, size);
    jpeg_read_header(library, TRUE);
    if (!check_header(decoder))
        return false;
    *about = (struct image_about){.width = (int)library->image_width,
                                  .height = (int)library->image_height,
                                  .components = library->num_components,
                                  .progressive = library->progressive_mode,
                                  .scales = true};
    return true;
}

static void make_row(struct jpeg_decoder *decoder)
{
    size_t bytes = (size_t)decoder->library.output_width * (size_t)decoder->library.output_components;
    if (bytes <= decoder->row_bytes)
        return;
    memory_free_aligned(decoder->row);
    decoder->row = memory_alloc_aligned(bytes);
    decoder->row_bytes = bytes;
}

/* libjpeg-turbo (2.1.5) loses chroma when it cuts columns of a picture whose chroma was scaled less than luminance, but
 * not to its full size: 4:1:0 at half the size, for one. */
static bool can_cut_columns(const struct jpeg_decompress_struct *library)
{
    for (int c = 0; c < library->num_components; c++) {
        const jpeg_component_info *part = &library->comp_info[c];
        unsigned long samples = (unsigned long)library->output_width * (unsigned long)part->h_samp_factor;
        unsigned long factor = (unsigned long)library->max_h_samp_factor;
        bool as_usual = part->downsampled_width == (samples + factor - 1) / factor;
        bool is_full =
            part->downsampled_width == library->output_width && part->downsampled_height == library->output_height;
        if (!as_usual && !is_full)
            return false;
    }
    return true;
}

bool jpeg_begin(struct jpeg_decoder *decoder, int eighths, struct image_region *region)
{
    struct jpeg_decompress_struct *library = &decoder->library;
    assert(eighths >= 1 && eighths <= 8);
    if (setjmp(decoder->caller) != 0)
        return false;
    library->scale_num = (unsigned)eighths;
    library->scale_denom = 8;
    library->out_color_space = JCS_RGB;
    jpeg_start_decompress(library);
    assert(region->left >= 0 && region->top >= 0 && region->width > 0 && region->height > 0);
    assert(region->left + region->width <= (int)library->output_width);
    assert(region->top + region->height <= (int)library->output_height);
    JDIMENSION left = (JDIMENSION)region->left, width = (JDIMENSION)region->width;
    if (!can_cut_columns(library)) {
        left = 0;
        width = library->output_width;
    }
    if (width < library->output_width)
        jpeg_crop_scanline(library, &left, &width);
    region->left = (int)left;
    region->width = (int)width;
    if (region->top > 0)
        jpeg_skip_scanlines(library, (JDIMENSION)region->top);
    return !decoder->damaged;
}

bool jpeg_row(struct jpeg_decoder *decoder, uint8_t *row)
{
    JSAMPROW rows = row;
    if (setjmp(decoder->caller) != 0)
        return false;
    jpeg_read_scanlines(&decoder->library, &rows, 1);
    return !decoder->damaged;
}

/* An eighth of the size needs the first coefficient of each block alone, but all of the entropy-coded data. */
static bool decode_all(struct jpeg_decoder *decoder)
{
    struct jpeg_decompress_struct *library = &decoder->library;
    if (setjmp(decoder->caller) != 0)
        return false;
    library->scale_num = 1;
    library->scale_denom = 8;
    library->out_color_space = library->jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(library);
    make_row(decoder);
    JSAMPROW row = decoder->row;
    while (library->output_scanline < library->output_height && !decoder->damaged)
        jpeg_read_scanlines(library, &row, 1);
    if (!decoder->damaged)
        jpeg_finish_decompress(library);
    return !decoder->damaged;
}

bool jpeg_sound(struct jpeg_decoder *decoder, const uint8_t *bytes, size_t size, struct image_about *about)
{
    return jpeg_open(decoder, bytes, size, about) && decode_all(decoder);
}

void jpeg_encode(const uint8_t *pixels, int width, int height, int components, int quality, uint8_t **out, size_t *size)
{
    struct jpeg_compress_struct library;
    struct jpeg_error_mgr errors;
    unsigned long bytes = 0;
    assert(components == 1 || components == 3);
    library.err = jpeg_std_error(&errors); /* its exit: there is nothing that could go wrong but memory */
    jpeg_create_compress(&library);
    *out = NULL;
    jpeg_mem_dest(&library, out, &bytes);
    library.image_width = (JDIMENSION)width;
    library.image_height = (JDIMENSION)height;
    library.input_components = components;
    library.in_color_space = components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&library);
    jpeg_set_quality(&library, quality, TRUE);
    library.optimize_coding = TRUE;
    jpeg_start_compress(&library, TRUE);
    while (library.next_scanline < library.image_height) {
        size_t offset = (size_t)library.next_scanline * (size_t)width * (size_t)components;
        JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + offset);
        jpeg_write_scanlines(&library, &row, 1);
    }
    jpeg_finish_compress(&library);
    jpeg_destroy_compress(&library);
    *size = bytes;
}

/* --- as one of the formats --- */

static void *format_create(void)
{
    return jpeg_decoder_create();
}

static void format_destroy(void *decoder)
{
    jpeg_decoder_destroy(decoder);
}

static bool format_open(void *decoder, const uint8_t *bytes, size_t size, struct image_about *about)
{
    return jpeg_open(decoder, bytes, size, about);
}

static bool format_begin(void *decoder, int eighths, struct image_region *region)
{
    return jpeg_begin(decoder, eighths, region);
}

static bool format_row(void *decoder, uint8_t *row)
{
    return jpeg_row(decoder, row);
}

static bool format_sound(void *decoder, const uint8_t *bytes, size_t size, struct image_about *about)
{
    return jpeg_sound(decoder, bytes, size, about);
}

static const char *format_trouble(const void *decoder)
{
    return jpeg_trouble(decoder);
}

static const char *const jpeg_endings[] = {".jpg", ".jpeg", NULL};

const struct image_format_ops jpeg_format = {.endings = jpeg_endings,
                                             .matches = jpeg_matches,
                                             .create = format_create,
                                             .destroy = format_destroy,
                                             .open = format_open,
                                             .begin = format_begin,
                                             .row = format_row,
                                             .sound = format_sound,
                                             .trouble = format_trouble};
