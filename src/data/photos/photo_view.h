/* Which part of a photograph is looked at, and how large it becomes: torchvision's RandomResizedCrop and
 * RandomHorizontalFlip for training, its Resize and CenterCrop for tests. Private to data/. */
#ifndef GRAPEVINE_SRC_DATA_PHOTOS_PHOTO_VIEW_H
#define GRAPEVINE_SRC_DATA_PHOTOS_PHOTO_VIEW_H

#include <stdbool.h>

#include "base/random.h"

struct photo_view {
    double left, top, width, height; /* what is resized, in pixels of the picture */
    double out_width, out_height;    /* what it becomes; and of that: */
    double out_left, out_top;        /* where the wanted pixels begin, */
    int columns, rows;               /* and how many there are */
    bool mirrored;
    double decoded; /* pixels that are decoded for each that is wanted, on either axis, at least: ≥ 1 */
};

/* A share of the area drawn evenly from [0.08, 1], a ratio of width to height drawn log-evenly from [3/4, 4/3], at an
 * even place; after ten that do not fit, the largest in the middle whose ratio is allowed. All of it becomes `size`
 * squared. Draws, in this order: (area, ratio) up to ten times, top and left when one fits, then one word whose lowest
 * bit mirrors. */
struct photo_view photo_view_random(struct random_stream *stream, int width, int height, int size);
/* The middle `size` squared of the picture whose shorter side has become `short_side` ≥ size. */
struct photo_view photo_view_center(int width, int height, int size, int short_side);
/* The whole picture, its shorter side brought down to `short_side`; none is made larger. */
struct photo_view photo_view_shrunk(int width, int height, int short_side);

#endif
