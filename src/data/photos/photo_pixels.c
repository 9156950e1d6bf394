/* Photographs on their way to a network: decode, resize, normalise, row by row. */
#include "data/photos/photo_pixels.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/photos/jpeg.h"

/* Arrays that grow with what is asked for and stay. */
struct axis_memory {
    struct resample_axis axis;
    struct resample_lanes *lanes;      /* owned */
    size_t elements, weights, vectors; /* for which there is room */
};

struct photo_maker {
    struct image_decoder *decoder; /* owned */
    struct image_about about;
    struct axis_memory down, across; /* weights of rows and of columns */
    uint8_t *ring;                   /* owned (ring_bytes): the decoded rows that still count */
    size_t ring_bytes;
    const uint8_t **window; /* owned (window_rows): rows of the ring under one row of the result */
    size_t window_rows;
    float *row; /* owned (row_floats): one row of the result, its columns not yet resized */
    size_t row_floats;
};

/* What of the scaled picture is decoded for a view, and how it is resized. */
struct photo_work {
    int eighths;
    struct image_region region;
    struct resample_span down, across;
};

struct photo_maker *photo_maker_create(void)
{
    struct photo_maker *maker = memory_zalloc(1, sizeof *maker);
    maker->decoder = image_decoder_create();
    return maker;
}

static void release_axis(struct axis_memory *memory)
{
    free(memory->axis.first);
    free(memory->axis.weights);
    memory_free_aligned(memory->lanes);
}

void photo_maker_destroy(struct photo_maker *maker)
{
    if (maker == NULL)
        return;
    image_decoder_destroy(maker->decoder);
    release_axis(&maker->down);
    release_axis(&maker->across);
    free(maker->ring);
    free(maker->window);
    free(maker->row);
    free(maker);
}

bool photo_open(struct photo_maker *maker, const uint8_t *bytes, size_t size, struct image_about *about)
{
    if (!image_open(maker->decoder, bytes, size, &maker->about))
        return false;
    *about = maker->about;
    return true;
}

const char *photo_trouble(const struct photo_maker *maker)
{
    return image_trouble(maker->decoder);
}

/* --- what to decode --- */

/* Scales at which libjpeg has fast inverse transforms; the others cost more than they save. */
static int choose_eighths(const struct image_about *about, const struct photo_view *view)
{
    if (!about->scales)
        return 8;
    double step = fmin(view->width / view->out_width, view->height / view->out_height);
    int eighths = 1;
    while (eighths < 8 && step * eighths / 8 < view->decoded)
        eighths *= 2;
    return eighths;
}

/* Elements [*from, *until) of one axis of the scaled picture, `in_count` long, that have a part in what is wanted. */
static void find_needed(const struct resample_span *span, int *from, int *until)
{
    double step = span->length / span->out_total, width = fmax(step, 1);
    double low = span->begin + (span->out_first + 0.5) * step - width;
    double high = span->begin + (span->out_first + span->out_count - 0.5) * step + width;
    *from = (int)fmax(floor(fmax(low, span->begin)), 0);
    *until = (int)fmin(ceil(fmin(high, span->begin + span->length)), span->in_count);
    if (*from >= span->in_count)
        *from = span->in_count - 1;
    if (*until <= *from)
        *until = *from + 1;
}

/* The same axis with element `first` of what it was as element 0, `count` of them there. */
static struct resample_span cut(struct resample_span span, int first, int count)
{
    span.begin -= first;
    span.in_count = count;
    return span;
}

static struct photo_work plan_work(const struct photo_maker *maker, const struct photo_view *view)
{
    struct photo_work work = {.eighths = choose_eighths(&maker->about, view)};
    double scale = work.eighths / 8.0;
    work.down = (struct resample_span){.begin = view->top * scale,
                                       .length = view->height * scale,
                                       .in_count = (maker->about.height * work.eighths + 7) / 8,
                                       .out_total = view->out_height,
                                       .out_first = view->out_top,
                                       .out_count = view->rows};
    work.across = (struct resample_span){.begin = view->left * scale,
                                         .length = view->width * scale,
                                         .in_count = (maker->about.width * work.eighths + 7) / 8,
                                         .out_total = view->out_width,
                                         .out_first = view->out_left,
                                         .out_count = view->columns};
    int right, bottom;
    find_needed(&work.across, &work.region.left, &right);
    find_needed(&work.down, &work.region.top, &bottom);
    work.region.width = right - work.region.left;
    work.region.height = bottom - work.region.top;
    return work;
}

/* --- memory --- */

static void *grow(void *memory, size_t *have, size_t wanted, size_t item)
{
    if (wanted <= *have)
        return memory;
    free(memory);
    *have = wanted;
    return memory_zalloc(wanted, item);
}

static void fill_axis(struct axis_memory *memory, const struct resample_span *span, bool mirrored)
{
    struct resample_axis *axis = &memory->axis;
    size_t count = (size_t)span->out_count;
    axis->taps = kernel_resample_taps(span);
    axis->first = grow(axis->first, &memory->elements, count, sizeof axis->first[0]);
    axis->weights = grow(axis->weights, &memory->weights, count * (size_t)axis->taps, sizeof axis->weights[0]);
    kernel_resample_axis(span, mirrored, axis);
}

/* What columns have beside: weights for vectors. */
static void fill_lanes(struct axis_memory *memory, int count)
{
    size_t vectors = (size_t)(count / 4) * (size_t)memory->axis.taps;
    if (vectors > memory->vectors) {
        memory_free_aligned(memory->lanes);
        memory->lanes = memory_alloc_aligned(vectors * sizeof memory->lanes[0]);
        memory->vectors = vectors;
    }
    memory->axis.lanes = memory->lanes;
    if (!kernel_resample_lanes(&memory->axis, count))
        memory->axis.lanes = NULL;
}

static void make_room(struct photo_maker *maker, const struct photo_work *work)
{
    size_t row = (size_t)work->region.width * PHOTO_CHANNELS, taps = (size_t)maker->down.axis.taps;
    maker->ring = grow(maker->ring, &maker->ring_bytes, taps * row, 1);
    maker->window = grow(maker->window, &maker->window_rows, taps, sizeof maker->window[0]);
    maker->row = grow(maker->row, &maker->row_floats, row + RESAMPLE_PADDING, sizeof maker->row[0]);
}

/* --- rows --- */

static uint8_t *ring_row(const struct photo_maker *maker, const struct photo_work *work, int row)
{
    return maker->ring + (size_t)(row % maker->down.axis.taps) * (size_t)work->region.width * PHOTO_CHANNELS;
}

/* Row i of the result, its columns as they were decoded; *decoded rows are in the ring so far. */
static bool make_row(struct photo_maker *maker, const struct photo_work *work, int i, int *decoded)
{
    const struct resample_axis *down = &maker->down.axis;
    const float *weights = down->weights + (size_t)i * (size_t)down->taps;
    int first = down->first[i], taps = down->taps;
    for (; *decoded < first + taps; ++*decoded)
        if (!image_row(maker->decoder, ring_row(maker, work, *decoded)))
            return false;
    while (taps > 1 && weights[taps - 1] == 0) /* as many as the row needs that needs most */
        taps--;
    for (int k = 0; k < taps; k++)
        maker->window[k] = ring_row(maker, work, first + k);
    kernel_resample_rows((size_t)work->region.width * PHOTO_CHANNELS, taps, maker->window, weights, maker->row);
    return true;
}

/* Decoding begins; maker's axes and memory are then those of `view`. */
static bool begin(struct photo_maker *maker, const struct photo_view *view, struct photo_work *work)
{
    *work = plan_work(maker, view);
    if (!image_begin(maker->decoder, work->eighths, &work->region))
        return false;
    work->down = cut(work->down, work->region.top, work->region.height);
    work->across = cut(work->across, work->region.left, work->region.width);
    fill_axis(&maker->down, &work->down, false);
    fill_axis(&maker->across, &work->across, view->mirrored);
    fill_lanes(&maker->across, view->columns);
    make_room(maker, work);
    return true;
}

bool photo_render(struct photo_maker *maker, const struct photo_view *view, const float factor[PHOTO_CHANNELS],
                  const float shift[PHOTO_CHANNELS], float *out)
{
    struct photo_work work;
    int decoded = 0;
    size_t plane = (size_t)view->rows * (size_t)view->columns;
    if (!begin(maker, view, &work))
        return false;
    for (int i = 0; i < view->rows; i++) {
        float *line = out + (size_t)i * (size_t)view->columns;
        float *const planes[PHOTO_CHANNELS] = {line, line + plane, line + 2 * plane};
        if (!make_row(maker, &work, i, &decoded))
            return false;
        kernel_resample_columns(&maker->across.axis, view->columns, maker->row, factor, shift, planes);
    }
    return true;
}

size_t photo_decode(struct photo_maker *maker, const struct photo_view *view)
{
    struct photo_work work;
    if (!begin(maker, view, &work))
        return 0;
    for (int row = 0; row < work.region.height; row++)
        if (!image_row(maker->decoder, ring_row(maker, &work, row)))
            return 0;
    return (size_t)work.region.width * (size_t)work.region.height * PHOTO_CHANNELS;
}

/* --- encoded anew --- */

static bool shrink_pixels(struct photo_maker *maker, const struct photo_view *view, int components, uint8_t *pixels)
{
    static const float factor[PHOTO_CHANNELS] = {1, 1, 1}, shift[PHOTO_CHANNELS] = {0.5f, 0.5f, 0.5f};
    struct photo_work work;
    size_t columns = (size_t)view->columns;
    int decoded = 0;
    if (!begin(maker, view, &work))
        return false;
    float *line = memory_zalloc(columns * PHOTO_CHANNELS, sizeof line[0]);
    float *const planes[PHOTO_CHANNELS] = {line, line + columns, line + 2 * columns};
    bool done = true;
    for (int i = 0; done && i < view->rows; i++) {
        done = make_row(maker, &work, i, &decoded);
        if (done)
            kernel_resample_columns(&maker->across.axis, view->columns, maker->row, factor, shift, planes);
        for (size_t j = 0; done && j < columns; j++)
            for (int c = 0; c < components; c++)
                *pixels++ = (uint8_t)fminf(line[(size_t)c * columns + j], 255);
    }
    free(line);
    return done;
}

bool photo_shrink(struct photo_maker *maker, const uint8_t *bytes, size_t size, int short_side, int quality,
                  uint8_t **out, size_t *out_size, struct image_about *about, const char **trouble)
{
    if (!photo_open(maker, bytes, size, about)) {
        *trouble = photo_trouble(maker);
        return false;
    }
    struct photo_view view = photo_view_shrunk(about->width, about->height, short_side);
    uint8_t *pixels = memory_zalloc((size_t)view.columns * (size_t)view.rows, (size_t)about->components);
    bool made = shrink_pixels(maker, &view, about->components, pixels);
    if (made) {
        about->width = view.columns;
        about->height = view.rows;
        about->progressive = false;
        jpeg_encode(pixels, about->width, about->height, about->components, quality, out, out_size);
    }
    free(pixels);
    *trouble = photo_trouble(maker);
    return made;
}
