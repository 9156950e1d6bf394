/* The list of image formats, and the choice among them by the first bytes. */
#include "data/photos/image.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "data/photos/image_format.h"

static const struct image_format_ops *const formats[] = {&jpeg_format, &png_format, &webp_format};

enum { FORMAT_COUNT = sizeof formats / sizeof formats[0] };

struct image_decoder {
    void *decoders[FORMAT_COUNT]; /* owned; NULL: none of this format was met so far */
    int format;                   /* of the image that is open; -1: none */
    const char *trouble;          /* where the format is not known */
};

struct image_decoder *image_decoder_create(void)
{
    struct image_decoder *decoder = memory_zalloc(1, sizeof *decoder);
    decoder->format = -1;
    decoder->trouble = "";
    return decoder;
}

void image_decoder_destroy(struct image_decoder *decoder)
{
    if (decoder == NULL)
        return;
    for (int f = 0; f < FORMAT_COUNT; f++)
        formats[f]->destroy(decoder->decoders[f]);
    free(decoder);
}

/* What else it may be, for a user who wonders why. */
static const char *foreign_kind(const uint8_t *bytes, size_t size)
{
    static const struct {
        const char *magic, *words;
        size_t length;
    } kinds[] = {
        {"GIF8", "is a GIF, not a " IMAGE_FORMATS_TEXT, 4},
        {"BM", "is a BMP, not a " IMAGE_FORMATS_TEXT, 2},
        {"II*", "is a TIFF, not a " IMAGE_FORMATS_TEXT, 3},
        {"MM\0*", "is a TIFF, not a " IMAGE_FORMATS_TEXT, 4},
        {"\0\0\0\x0cJXL ", "is a JPEG XL, not a " IMAGE_FORMATS_TEXT, 8},
        {"\xff\x0a", "is a JPEG XL, not a " IMAGE_FORMATS_TEXT, 2},
        {"<", "is a web page or XML, not a " IMAGE_FORMATS_TEXT, 1},
        {"version https://git-lfs", "is a pointer of Git LFS, not the image itself: git lfs pull", 23},
    };
    if (size == 0)
        return "is empty";
    if (size >= 12 && memcmp(bytes + 4, "ftypavi", 7) == 0)
        return "is an AVIF, not a " IMAGE_FORMATS_TEXT;
    if (size >= 12 && memcmp(bytes + 4, "ftyphei", 7) == 0)
        return "is a HEIC, not a " IMAGE_FORMATS_TEXT;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (size >= kinds[i].length && memcmp(bytes, kinds[i].magic, kinds[i].length) == 0)
            return kinds[i].words;
    return "is not a " IMAGE_FORMATS_TEXT;
}

static bool choose_format(struct image_decoder *decoder, const uint8_t *bytes, size_t size)
{
    decoder->format = -1;
    for (int f = 0; f < FORMAT_COUNT && decoder->format < 0; f++)
        if (formats[f]->matches(bytes, size))
            decoder->format = f;
    if (decoder->format < 0) {
        decoder->trouble = foreign_kind(bytes, size);
        return false;
    }
    if (decoder->decoders[decoder->format] == NULL)
        decoder->decoders[decoder->format] = formats[decoder->format]->create();
    return true;
}

static void *chosen(const struct image_decoder *decoder)
{
    return decoder->decoders[decoder->format];
}

bool image_open(struct image_decoder *decoder, const uint8_t *bytes, size_t size, struct image_about *about)
{
    return choose_format(decoder, bytes, size) && formats[decoder->format]->open(chosen(decoder), bytes, size, about);
}

bool image_begin(struct image_decoder *decoder, int eighths, struct image_region *region)
{
    return formats[decoder->format]->begin(chosen(decoder), eighths, region);
}

bool image_row(struct image_decoder *decoder, uint8_t *row)
{
    return formats[decoder->format]->row(chosen(decoder), row);
}

bool image_sound(struct image_decoder *decoder, const uint8_t *bytes, size_t size, struct image_about *about)
{
    return choose_format(decoder, bytes, size) && formats[decoder->format]->sound(chosen(decoder), bytes, size, about);
}

const char *image_trouble(const struct image_decoder *decoder)
{
    return decoder->format < 0 ? decoder->trouble : formats[decoder->format]->trouble(chosen(decoder));
}

bool image_has_ending(const char *name)
{
    const char *dot = strrchr(name, '.');
    for (int f = 0; dot != NULL && f < FORMAT_COUNT; f++)
        for (const char *const *ending = formats[f]->endings; *ending != NULL; ending++)
            if (strcasecmp(dot, *ending) == 0)
                return true;
    return false;
}
