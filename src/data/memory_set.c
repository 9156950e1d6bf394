/* Pictures held in memory as bytes: crop, flip and normalisation on the way out. Reads no files. */
#include "data/memory_set.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

struct memory_set {
    struct dataset base;     /* first, so that a dataset is a memory_set */
    struct raw_pictures raw; /* owned */
    bool augment, flip;
    char *note;                                     /* owned: base.note */
    double mean[MEMORY_SET_CHANNELS_MAX];           /* base.mean, where it is told */
    double deviation[MEMORY_SET_CHANNELS_MAX];      /* base.deviation, likewise */
    struct picture_bytes bytes;                     /* what stands below and above, for devices */
    float normalised[MEMORY_SET_CHANNELS_MAX][256]; /* of a pixel value, rounded once from float64 */
};

/* Where the crop begins in the unpadded picture, each in [-padding, padding], and whether it is mirrored. */
struct crop {
    int row, column;
    bool mirrored;
};

static struct crop crop_draw(struct random_stream *stream, bool may_flip)
{
    int row = (int)random_below(stream, 2 * MEMORY_SET_PADDING + 1) - MEMORY_SET_PADDING;
    int column = (int)random_below(stream, 2 * MEMORY_SET_PADDING + 1) - MEMORY_SET_PADDING;
    return (struct crop){.row = row, .column = column, .mirrored = may_flip && (random_u32(stream) & 1)};
}

/* The x of which x + shift is in the row, too: begin ≤ x < end; none where the row is narrower than the shift. */
static int row_begin(int width, int shift)
{
    return shift >= 0 ? 0 : -shift < width ? -shift : width;
}

static int row_end(int width, int shift)
{
    return shift <= 0 ? width : shift < width ? width - shift : 0;
}

/* out[x] = normalised[row[x + shift]], 0 outside of the row. */
static void write_row(const uint8_t *row, const float *normalised, int width, int shift, float *out)
{
    int begin = row_begin(width, shift), end = row_end(width, shift);
    for (int x = 0; x < begin; x++)
        out[x] = normalised[0];
    for (int x = begin; x < end; x++)
        out[x] = normalised[row[x + shift]];
    for (int x = end; x < width; x++)
        out[x] = normalised[0];
}

static void write_row_mirrored(const uint8_t *row, const float *normalised, int width, int shift, float *out)
{
    int begin = row_begin(width, shift), end = row_end(width, shift);
    for (int x = 0; x < begin; x++)
        out[width - 1 - x] = normalised[0];
    for (int x = begin; x < end; x++)
        out[width - 1 - x] = normalised[row[x + shift]];
    for (int x = end; x < width; x++)
        out[width - 1 - x] = normalised[0];
}

static void write_plane(const uint8_t *plane, const float *normalised, int height, int width, struct crop crop,
                        float *out)
{
    for (int y = 0; y < height; y++, out += width) {
        int from = y + crop.row;
        if (from < 0 || from >= height)
            for (int x = 0; x < width; x++)
                out[x] = normalised[0];
        else if (crop.mirrored)
            write_row_mirrored(plane + (size_t)from * (size_t)width, normalised, width, crop.column, out);
        else
            write_row(plane + (size_t)from * (size_t)width, normalised, width, crop.column, out);
    }
}

static enum status memory_set_fetch(const struct dataset *base, size_t index, struct random_stream *augment, float *out)
{
    const struct memory_set *set = (const struct memory_set *)base;
    assert(index < base->count);
    size_t plane_size = (size_t)base->height * (size_t)base->width;
    const uint8_t *picture = set->raw.pixels + index * plane_size * (size_t)base->channels;
    struct crop crop = {0};
    if (augment != NULL && set->augment)
        crop = crop_draw(augment, set->flip);
    for (int c = 0; c < base->channels; c++)
        write_plane(picture + (size_t)c * plane_size, set->normalised[c], base->height, base->width, crop,
                    out + (size_t)c * plane_size);
    return STATUS_OK;
}

static void memory_set_pick(const struct dataset *base, size_t index, struct random_stream *augment,
                            struct picture_pick *out)
{
    const struct memory_set *set = (const struct memory_set *)base;
    struct crop crop = {0};
    assert(index < base->count);
    if (augment != NULL && set->augment)
        crop = crop_draw(augment, set->flip);
    *out = (struct picture_pick){
        .index = (uint32_t)index, .row = (int8_t)crop.row, .column = (int8_t)crop.column, .mirrored = crop.mirrored};
}

static void memory_set_destroy(struct dataset *base)
{
    struct memory_set *set = (struct memory_set *)base;
    raw_pictures_release(&set->raw);
    free(set->note);
    free(set);
}

static const struct dataset_ops memory_set_ops = {
    .fetch = memory_set_fetch, .pick = memory_set_pick, .destroy = memory_set_destroy};

void raw_pictures_init(struct raw_pictures *raw, const struct dataset_kind *kind, size_t count)
{
    size_t picture_bytes = (size_t)kind->channels * (size_t)kind->height * (size_t)kind->width;
    *raw = (struct raw_pictures){
        .pixels = memory_alloc_aligned_for(count * picture_bytes, "%zu images of data set %s", count, kind->name),
        .labels = memory_alloc_aligned(count * sizeof(int32_t)),
        .count = count,
    };
}

void raw_pictures_release(struct raw_pictures *raw)
{
    memory_free_aligned(raw->pixels);
    memory_free_aligned(raw->labels);
    *raw = (struct raw_pictures){0};
}

struct dataset *memory_set_create(const struct dataset_kind *kind, bool augment, struct raw_pictures *raw)
{
    assert(kind->channels <= MEMORY_SET_CHANNELS_MAX);
    struct memory_set *set = memory_zalloc(1, sizeof *set);
    set->base = (struct dataset){
        .ops = &memory_set_ops,
        .count = raw->count,
        .channels = kind->channels,
        .height = kind->height,
        .width = kind->width,
        .class_count = kind->class_count,
        .labels = raw->labels,
        .class_names = kind->class_names,
    };
    set->raw = *raw;
    set->augment = augment;
    set->flip = kind->flip;
    for (int c = 0; c < kind->channels; c++)
        for (int value = 0; value < 256; value++)
            set->normalised[c][value] = (float)((value / 255.0 - kind->mean[c]) / kind->deviation[c]);
    set->bytes = (struct picture_bytes){.pixels = set->raw.pixels,
                                        .count = raw->count,
                                        .channels = kind->channels,
                                        .height = kind->height,
                                        .width = kind->width,
                                        .normalised = set->normalised[0]};
    set->base.bytes = &set->bytes;
    *raw = (struct raw_pictures){0};
    return &set->base;
}

void memory_set_describe(struct dataset *base, const struct dataset_kind *kind, char *note)
{
    struct memory_set *set = (struct memory_set *)base;
    assert(base->ops == &memory_set_ops && set->note == NULL);
    memcpy(set->mean, kind->mean, sizeof set->mean);
    memcpy(set->deviation, kind->deviation, sizeof set->deviation);
    base->mean = set->mean;
    base->deviation = set->deviation;
    set->note = note;
    base->note = note;
}

enum status memory_set_count(const struct dataset_kind *kind, const struct dataset_params *params, size_t available,
                             size_t *count)
{
    if (params->count > available) {
        log_error("%s: %zu pictures are asked for, the %s split of %s has %zu; use 0 for all",
                  params->train ? "data.train_count" : "data.test_count", params->count,
                  params->train ? "training" : "test", kind->name, available);
        return STATUS_USAGE;
    }
    *count = params->count > 0 ? params->count : available;
    return STATUS_OK;
}

char *dataset_remedy(const struct dataset_kind *kind, const struct dataset_params *params)
{
    return text_format("get it with: scripts/get_data.sh %s %s (data.path, else $GRAPEVINE_DATA, names the folder that "
                       "holds %s/)",
                       kind->name, params->path, kind->folder);
}
