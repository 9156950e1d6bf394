/* Images of any format that is known, from bytes in memory to rows of RGB pixels: no more than is asked for. The format
 * is known by the first bytes, never by a name. Private to data/.
 *
 * A decoder is one thread's. What is made of an image does not depend on those before. Every call that fails says why
 * in image_trouble; nothing is logged here, since only the caller knows which image it is. Pixels are those of Pillow's
 * convert("RGB"): grayscale and palettes become RGB, an alpha channel is dropped, not blended; 16 bits become 8 by
 * their upper half (of grayscale, too, which Pillow turns white). Of an animation the first frame counts. Exif
 * orientation and color profiles are ignored, as in torchvision.
 *
 * Images of more than IMAGE_PIXELS_MAX pixels or IMAGE_SIDE_MAX rows or columns are refused, and those that would take
 * more than IMAGE_MEMORY_MAX bytes to decode. */
#ifndef GRAPEVINE_SRC_DATA_PHOTOS_IMAGE_H
#define GRAPEVINE_SRC_DATA_PHOTOS_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IMAGE_PIXELS_MAX = 178956970, IMAGE_SIDE_MAX = 65500, IMAGE_MEMORY_MAX = 1 << 30 };

struct image_about {
    int width, height; /* 1 to IMAGE_SIDE_MAX */
    int components;    /* 1: grayscale, 3: color; alpha is not counted */
    bool progressive;  /* in several passes: progressive JPEG, interlaced PNG */
    bool scales;       /* image_begin takes fewer than 8 eighths */
};

/* Pixels of the scaled image. */
struct image_region {
    int left, top, width, height;
};

struct image_decoder;

struct image_decoder *image_decoder_create(void);
void image_decoder_destroy(struct image_decoder *decoder); /* NULL is fine */

/* Read the header. `bytes` is borrowed until the next image_open or the decoder's end. */
bool image_open(struct image_decoder *decoder, const uint8_t *bytes, size_t size, struct image_about *about);
/* Decode at eighths/8 of the size, eighths in 1 to 8, 8 where the image does not scale: width and height are then
 * ceil(width · eighths / 8). `region` lies in the scaled image; left and width are widened to what the format can cut.
 * Rows come from region->top on. Once per image_open. */
bool image_begin(struct image_decoder *decoder, int eighths, struct image_region *region);
/* Write the next row, (region.width, 3) bytes. A row that had to be made up because the data ended early counts as
 * trouble. */
bool image_row(struct image_decoder *decoder, uint8_t *row);
/* Is the whole image there and sound? */
bool image_sound(struct image_decoder *decoder, const uint8_t *bytes, size_t size, struct image_about *about);
/* What went wrong in the last call that failed, as words for a message: "the data end early". */
const char *image_trouble(const struct image_decoder *decoder);

/* The formats that are known, and the endings of their files' names, for messages. */
#define IMAGE_FORMATS_TEXT "JPEG, PNG or WebP"
#define IMAGE_ENDINGS_TEXT ".jpg, .jpeg, .png, .webp"

/* The name ends as an image's does, in capitals or not. */
bool image_has_ending(const char *name);

#endif
