/* JPEG pictures, from bytes in memory to rows of RGB pixels: no more than is asked for. Private to data/.
 *
 * A decoder is one thread's. What is made of a picture does not depend on those before. Every call that fails says why
 * in jpeg_trouble; nothing is logged here, since only the caller knows which picture it is. Grayscale becomes
 * RGB. CMYK and YCCK are refused, as are pictures of more than IMAGE_PIXELS_MAX pixels, of more than JPEG_SCANS_MAX
 * scans and those that would take more than IMAGE_MEMORY_MAX bytes to decode (progressive ones keep all coefficients).
 * Exif orientation is ignored, as in torchvision. */
#ifndef GRAPEVINE_SRC_DATA_PHOTOS_JPEG_H
#define GRAPEVINE_SRC_DATA_PHOTOS_JPEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/photos/image.h"

enum { JPEG_SCANS_MAX = 100 };

struct jpeg_decoder;

struct jpeg_decoder *jpeg_decoder_create(void);
void jpeg_decoder_destroy(struct jpeg_decoder *decoder); /* NULL is fine */

/* Read the header. `bytes` is borrowed until the next jpeg_open or the decoder's end. */
bool jpeg_open(struct jpeg_decoder *decoder, const uint8_t *bytes, size_t size, struct image_about *about);
/* Decode at eighths/8 of the size, eighths in 1 to 8: width and height are then ceil(width · eighths / 8). `region`
 * lies in the scaled picture; left and width are widened to what libjpeg can cut. Rows come from region->top on. They
 * are the whole picture's to the last bit, but for the first and the last column of what was cut: their chroma may be a
 * little off where it is coarser than luminance. */
bool jpeg_begin(struct jpeg_decoder *decoder, int eighths, struct image_region *region);
/* Write the next row, (region.width, 3) bytes. What is left undecoded costs nothing. A row that had to be made up
 * because the data ended early counts as trouble, garbage between markers does not. */
bool jpeg_row(struct jpeg_decoder *decoder, uint8_t *row);
/* Is the whole picture there and sound? Decodes all entropy-coded data, and makes no pixels to speak of. */
bool jpeg_sound(struct jpeg_decoder *decoder, const uint8_t *bytes, size_t size, struct image_about *about);
/* What went wrong in the last call that failed, as words for a message: "the data end early". */
const char *jpeg_trouble(const struct jpeg_decoder *decoder);

/* Encode (height, width, 3) RGB pixels (`components` 3) or (height, width) ones (1), quality 1 to 100, 4:2:0, with
 * optimised Huffman tables. *out is owned by the caller, from malloc. */
void jpeg_encode(const uint8_t *pixels, int width, int height, int components, int quality, uint8_t **out,
                 size_t *size);

#endif
