/* From the bytes of a photograph to the pixels that a network sees: decoded no more than is needed, resized with
 * antialiasing, normalised. Private to data/.
 *
 * A JPEG is decoded at the smallest scale of 1/8, 1/4 and 1/2 at which what is looked at still has half as many pixels
 * again, on either axis, as are wanted, else, as other formats always, at full size; from the first row that counts to
 * the last, and in the columns that count. Rows are resized as they come: a JPEG is never held as a whole. */
#ifndef GRAPEVINE_SRC_DATA_PHOTOS_PHOTO_PIXELS_H
#define GRAPEVINE_SRC_DATA_PHOTOS_PHOTO_PIXELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/photos/image.h"
#include "data/photos/photo_view.h"
#include "kernels/resample.h"

enum { PHOTO_CHANNELS = RESAMPLE_CHANNELS };

/* One thread's decoder, resampling weights and rows. */
struct photo_maker;

struct photo_maker *photo_maker_create(void);
void photo_maker_destroy(struct photo_maker *maker); /* NULL is fine */

/* Read the header of a picture; `bytes` is borrowed until the next photo_open or the maker's end. False: it cannot be
 * read, photo_trouble says why. */
bool photo_open(struct photo_maker *maker, const uint8_t *bytes, size_t size, struct image_about *about);
/* Write the opened picture as `view` has it: out (PHOTO_CHANNELS, rows, columns), red, green and blue from 0 to 255,
 * each times factor[c] plus shift[c]. Once per photo_open. False: it cannot be decoded, photo_trouble says why. */
bool photo_render(struct photo_maker *maker, const struct photo_view *view, const float factor[PHOTO_CHANNELS],
                  const float shift[PHOTO_CHANNELS], float *out);
/* Only decode what photo_render would, into rows that nobody sees; returns how many bytes, 0: it cannot be decoded. */
size_t photo_decode(struct photo_maker *maker, const struct photo_view *view);
const char *photo_trouble(const struct photo_maker *maker);

/* Encode the picture anew, as a JPEG, with its shorter side brought down to `short_side` pixels (one whose shorter side
 * is no longer keeps its size) at `quality` (1 to 100). *out is the caller's, from malloc; `about` is of what it
 * holds. Grayscale stays grayscale. False: the picture cannot be decoded; `trouble` is why, borrowed until the next
 * call. */
bool photo_shrink(struct photo_maker *maker, const uint8_t *bytes, size_t size, int short_side, int quality,
                  uint8_t **out, size_t *out_size, struct image_about *about, const char **trouble);

#endif
