/* WebP images by libwebp: lossy, lossless, and the first frame of an animation, on the black that Pillow leaves around
 * one that does not fill its canvas. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

#include "base/memory.h"
#include "data/photos/image_format.h"

enum {
    RGB = 3,
    ARGB_BYTES = 4,     /* of a pixel, which libwebp keeps of lossless images as a whole */
    MARGIN = 2,         /* pixels around what is wanted, so that chroma is smoothed as in the whole image */
    MAGIC_BYTES = 12,   /* "RIFF", four bytes of size, "WEBP" */
    FORMAT_LOSSLESS = 2 /* WebPBitstreamFeatures.format */
};

struct webp_decoder {
    WebPDemuxer *demuxer; /* owned, or NULL: of an animation, of which `frame` is the first */
    const uint8_t *frame; /* borrowed (frame_size): what is decoded */
    size_t frame_size;
    int left, top;     /* of the frame, in the image */
    int width, height; /* of the frame */
    bool lossless;
    struct image_about about;         /* the image: an animation's canvas */
    struct image_region region, here; /* what is wanted; of it, what was decoded, in the frame's pixels */
    uint8_t *pixels;                  /* owned (room): (here.height, here.width, 3) */
    size_t room;
    int next; /* row of the image that comes next */
    char trouble[128];
};

static bool webp_matches(const uint8_t *bytes, size_t size)
{
    return size >= MAGIC_BYTES && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0;
}

static bool fail(struct webp_decoder *decoder, const char *trouble)
{
    snprintf(decoder->trouble, sizeof decoder->trouble, "%s", trouble);
    return false;
}

static bool fail_by_code(struct webp_decoder *decoder, VP8StatusCode code)
{
    switch (code) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return fail(decoder, "the data end early");
    case VP8_STATUS_OUT_OF_MEMORY:
        return fail(decoder, "libwebp is out of memory");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return fail(decoder, "is a WebP of a kind that libwebp does not read");
    default:
        return fail(decoder, "the data are damaged");
    }
}

static void *webp_create(void)
{
    return memory_zalloc(1, sizeof(struct webp_decoder));
}

static void webp_destroy(void *opaque)
{
    struct webp_decoder *decoder = opaque;
    if (decoder == NULL)
        return;
    WebPDemuxDelete(decoder->demuxer);
    free(decoder->pixels);
    free(decoder);
}

/* Where the file is an animation: its first frame. */
static bool find_first_frame(struct webp_decoder *decoder, const uint8_t *bytes, size_t size)
{
    WebPIterator frame;
    const WebPData data = {bytes, size};
    decoder->demuxer = WebPDemux(&data);
    if (decoder->demuxer == NULL || !WebPDemuxGetFrame(decoder->demuxer, 1, &frame))
        return fail(decoder, "its frames are damaged, or the data end early");
    decoder->left = frame.x_offset;
    decoder->top = frame.y_offset;
    decoder->frame = frame.fragment.bytes;
    decoder->frame_size = frame.fragment.size;
    bool complete = frame.complete;
    WebPDemuxReleaseIterator(&frame);
    return complete || fail(decoder, "the data end early");
}

/* The RIFF header says how long the file is at least; libwebp decodes what is there without it. */
static bool check_length(struct webp_decoder *decoder, const uint8_t *bytes, size_t size)
{
    uint64_t told = bytes[4] | (uint64_t)bytes[5] << 8 | (uint64_t)bytes[6] << 16 | (uint64_t)bytes[7] << 24;
    return told + 8 <= size || fail(decoder, "the data end early");
}

static bool check_size(struct webp_decoder *decoder)
{
    const struct image_about *about = &decoder->about;
    uint64_t pixels = (uint64_t)about->width * (uint64_t)about->height;
    if (pixels > IMAGE_PIXELS_MAX)
        snprintf(decoder->trouble, sizeof decoder->trouble, "has %d x %d pixels, more than %d", about->width,
                 about->height, IMAGE_PIXELS_MAX);
    else if (pixels * (RGB + (decoder->lossless ? ARGB_BYTES : 0)) > IMAGE_MEMORY_MAX)
        snprintf(decoder->trouble, sizeof decoder->trouble, "takes more than %d MiB to decode", IMAGE_MEMORY_MAX >> 20);
    else
        return true;
    return false;
}

/* The frame's own header, which libwebp believes more than an animation's. */
static bool read_frame_header(struct webp_decoder *decoder)
{
    WebPBitstreamFeatures features;
    VP8StatusCode code = WebPGetFeatures(decoder->frame, decoder->frame_size, &features);
    if (code != VP8_STATUS_OK)
        return fail_by_code(decoder, code);
    decoder->width = features.width;
    decoder->height = features.height;
    decoder->lossless = features.format == FORMAT_LOSSLESS;
    return (decoder->left + decoder->width <= decoder->about.width &&
            decoder->top + decoder->height <= decoder->about.height) ||
           fail(decoder, "the data are damaged");
}

static bool webp_open(void *opaque, const uint8_t *bytes, size_t size, struct image_about *about)
{
    struct webp_decoder *decoder = opaque;
    WebPBitstreamFeatures features;
    WebPDemuxDelete(decoder->demuxer);
    decoder->demuxer = NULL;
    decoder->left = decoder->top = 0;
    decoder->frame = bytes;
    decoder->frame_size = size;
    if (!check_length(decoder, bytes, size))
        return false;
    VP8StatusCode code = WebPGetFeatures(bytes, size, &features);
    if (code != VP8_STATUS_OK)
        return fail_by_code(decoder, code);
    decoder->about = (struct image_about){.width = features.width, .height = features.height, .components = RGB};
    if (features.has_animation && !find_first_frame(decoder, bytes, size))
        return false;
    if (!read_frame_header(decoder) || !check_size(decoder))
        return false;
    *about = decoder->about;
    return true;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

static int most(int a, int b)
{
    return a > b ? a : b;
}

/* Of [first, first + count) of the image what [origin, origin + length) has, in its own numbers, and a margin; begins
 * at an even place, as libwebp cuts. False: nothing. */
static bool cut(int first, int count, int origin, int length, int *begin, int *kept)
{
    int from = most(first - origin, 0), until = least(first + count - origin, length);
    if (from >= until)
        return false;
    *begin = most(from - MARGIN, 0) & ~1;
    *kept = least(until + MARGIN, length) - *begin;
    return true;
}

static void make_room(struct webp_decoder *decoder)
{
    size_t bytes = (size_t)decoder->here.width * (size_t)decoder->here.height * RGB;
    if (bytes <= decoder->room)
        return;
    free(decoder->pixels);
    decoder->pixels = memory_zalloc(bytes, 1);
    decoder->room = bytes;
}

static bool decode(struct webp_decoder *decoder)
{
    WebPDecoderConfig config;
    const struct image_region *here = &decoder->here;
    if (!WebPInitDecoderConfig(&config))
        return fail(decoder, "libwebp is of another version than its header");
    make_room(decoder);
    config.options.use_cropping = here->width < decoder->width || here->height < decoder->height;
    config.options.crop_left = here->left;
    config.options.crop_top = here->top;
    config.options.crop_width = here->width;
    config.options.crop_height = here->height;
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = decoder->pixels;
    config.output.u.RGBA.stride = here->width * RGB;
    config.output.u.RGBA.size = (size_t)here->width * (size_t)here->height * RGB;
    VP8StatusCode code = WebPDecode(decoder->frame, decoder->frame_size, &config);
    WebPFreeDecBuffer(&config.output);
    return code == VP8_STATUS_OK || fail_by_code(decoder, code);
}

static bool webp_begin(void *opaque, int eighths, struct image_region *region)
{
    struct webp_decoder *decoder = opaque;
    struct image_region *here = &decoder->here;
    assert(eighths == 8);
    assert(region->left >= 0 && region->top >= 0 && region->width > 0 && region->height > 0);
    assert(region->left + region->width <= decoder->about.width);
    assert(region->top + region->height <= decoder->about.height);
    decoder->region = *region;
    decoder->next = region->top;
    *here = (struct image_region){0};
    if (!cut(region->left, region->width, decoder->left, decoder->width, &here->left, &here->width) ||
        !cut(region->top, region->height, decoder->top, decoder->height, &here->top, &here->height)) {
        *here = (struct image_region){0};
        return true; /* beside the frame */
    }
    return decode(decoder);
}

static bool webp_row(void *opaque, uint8_t *row)
{
    struct webp_decoder *decoder = opaque;
    const struct image_region *here = &decoder->here, *region = &decoder->region;
    int y = decoder->next++ - decoder->top - here->top, shift = decoder->left + here->left - region->left;
    int from = most(shift, 0), until = least(shift + here->width, region->width);
    memset(row, 0, (size_t)region->width * RGB);
    if (y >= 0 && y < here->height && from < until)
        memcpy(row + (size_t)from * RGB,
               decoder->pixels + ((size_t)y * (size_t)here->width + (size_t)(from - shift)) * RGB,
               (size_t)(until - from) * RGB);
    return true;
}

static bool webp_sound(void *opaque, const uint8_t *bytes, size_t size, struct image_about *about)
{
    struct webp_decoder *decoder = opaque;
    if (!webp_open(decoder, bytes, size, about))
        return false;
    decoder->here = (struct image_region){.width = decoder->width, .height = decoder->height};
    return decode(decoder);
}

static const char *webp_trouble(const void *opaque)
{
    const struct webp_decoder *decoder = opaque;
    return decoder->trouble;
}

static const char *const webp_endings[] = {".webp", NULL};

const struct image_format_ops webp_format = {.endings = webp_endings,
                                             .matches = webp_matches,
                                             .create = webp_create,
                                             .destroy = webp_destroy,
                                             .open = webp_open,
                                             .begin = webp_begin,
                                             .row = webp_row,
                                             .sound = webp_sound,
                                             .trouble = webp_trouble};
