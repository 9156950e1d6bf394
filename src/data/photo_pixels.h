/* From the bytes of a photograph to the pixels that a network sees: decoded no more than is needed, resized with
 * antialiasing, normalised. Private to data/. */
#ifndef GRAPEVINE_SRC_DATA_PHOTO_PIXELS_H
#define GRAPEVINE_SRC_DATA_PHOTO_PIXELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/jpeg.h"

/* One thread's decoder, resampling weights and rows. */
struct photo_maker;

struct photo_maker *photo_maker_create(void);
void photo_maker_destroy(struct photo_maker *maker); /* NULL is fine */

/* Encode the picture anew with its shorter side brought down to `short_side` pixels (a picture whose shorter side is no
 * longer keeps its size) at `quality` (1 to 100). *out is the caller's, from malloc; `about` is of what it holds.
 * Grayscale stays grayscale. False: the picture cannot be decoded; `trouble` is why, borrowed until the next call. */
bool photo_shrink(struct photo_maker *maker, const uint8_t *bytes, size_t size, int short_side, int quality,
                  uint8_t **out, size_t *out_size, struct jpeg_about *about, const char **trouble);

#endif
