/* One format of images as a table of functions: a format is one file and one line in the list of image.c. Private to
 * data/. */
#ifndef GRAPEVINE_SRC_DATA_PHOTOS_IMAGE_FORMAT_H
#define GRAPEVINE_SRC_DATA_PHOTOS_IMAGE_FORMAT_H

#include "data/photos/image.h"

struct image_format_ops {
    const char *const *endings; /* of names, with the dot, in small letters; NULL-terminated */
    /* The first bytes are this format's. */
    bool (*matches)(const uint8_t *bytes, size_t size);
    /* One thread's decoder; the other calls are as image.h says of its own. destroy takes NULL. */
    void *(*create)(void);
    void (*destroy)(void *decoder);
    bool (*open)(void *decoder, const uint8_t *bytes, size_t size, struct image_about *about);
    bool (*begin)(void *decoder, int eighths, struct image_region *region);
    bool (*row)(void *decoder, uint8_t *row);
    bool (*sound)(void *decoder, const uint8_t *bytes, size_t size, struct image_about *about);
    const char *(*trouble)(const void *decoder);
};

extern const struct image_format_ops jpeg_format, png_format, webp_format;

#endif
