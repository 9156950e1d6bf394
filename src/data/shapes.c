/* `shapes`: ten figures, drawn rather than read, for a first run on a machine that has no data.
 *
 * A picture is a 32×32 background with a slight gradient, up to two lines that mean nothing, one figure in some place,
 * size and turn, and noise. The colours of figure and background are exchangeable, so that neither colour nor
 * brightness tells the class, and no linear function of the pixels does. Picture i of a split is a function of
 * (seed, split, i) alone, made of correctly rounded operations only (no libm): the same bytes on every machine. */
#include <math.h>

#include "base/random.h"
#include "data/memory_set.h"

enum {
    SHAPES_SIDE = 32,
    SHAPES_CLASSES = 10,
    SHAPES_TRAIN_COUNT = 8192,
    SHAPES_TEST_COUNT = 2048,
    SHAPES_LINES_MAX = 2,
};

/* Difference of two colours, summed over the channels, below which a figure would drown in the noise. */
static const float contrast_min = 240;
static const float color_tint = 36;       /* each channel differs from a common grey by up to this */
static const float noise_amplitude = 12;  /* uniform in [-12, 12] */
static const float figure_turn = 0.2217f; /* tan 12.5°: figures are turned by up to 25° either way */

struct color {
    float channel[3]; /* 0 to 255 */
};

struct canvas {
    float pixels[3][SHAPES_SIDE][SHAPES_SIDE];
};

/* Distance to a figure's outline, negative inside, in a frame where the figure fits a circle of about radius 1. */
typedef float figure_fn(float u, float v);

static float larger(float a, float b)
{
    return a > b ? a : b;
}
static float smaller(float a, float b)
{
    return a < b ? a : b;
}
static float length(float u, float v)
{
    return sqrtf(u * u + v * v);
}
static float box(float u, float v, float half_width, float half_height)
{
    return larger(fabsf(u) - half_width, fabsf(v) - half_height);
}

static float disc(float u, float v)
{
    return length(u, v) - 0.8f;
}
static float ring(float u, float v)
{
    return fabsf(length(u, v) - 0.75f) - 0.2f;
}
static float square(float u, float v)
{
    return box(u, v, 0.72f, 0.72f);
}
static float frame(float u, float v)
{
    return fabsf(box(u, v, 0.65f, 0.65f)) - 0.17f;
}

static float triangle(float u, float v)
{
    return larger(v, larger(0.8660254f * u, -0.8660254f * u) - 0.5f * v) - 0.5f;
}

static float cross(float u, float v)
{
    return smaller(box(u, v, 1, 0.28f), box(u, v, 0.28f, 1));
}

/* A pentagram is where at most one of five half planes is missed: the second largest of the five distances. */
static float star(float u, float v)
{
    static const float normals[5][2] = {{0, -1},
                                        {0.95105652f, -0.30901699f},
                                        {0.58778525f, 0.80901699f},
                                        {-0.58778525f, 0.80901699f},
                                        {-0.95105652f, -0.30901699f}};
    float first = -10, second = -10;
    for (int i = 0; i < 5; i++) {
        float distance = normals[i][0] * u + normals[i][1] * v;
        second = larger(second, smaller(first, distance));
        first = larger(first, distance);
    }
    return second - 0.34f;
}

static float crescent(float u, float v)
{
    return larger(length(u, v) - 0.95f, 0.8f - length(u - 0.5f, v));
}

/* Three bars. */
static float stripes(float u, float v)
{
    float bar = smaller(fabsf(v), fabsf(fabsf(v) - 0.66f)) - 0.17f;
    return larger(fabsf(u) - 0.83f, bar);
}

static float diamond(float u, float v)
{
    return (fabsf(u) * 2 + fabsf(v) - 1) * 0.447f;
}

/* In the order of the class names in dataset.c. */
static figure_fn *const figures[SHAPES_CLASSES] = {disc,  ring, square,   frame,   triangle,
                                                   cross, star, crescent, stripes, diamond};

static float uniform(struct random_stream *stream, float low, float high)
{
    return low + (high - low) * ((float)(random_u32(stream) >> 8) * 0x1p-24f);
}

static struct color color_draw(struct random_stream *stream)
{
    struct color color;
    float grey = uniform(stream, 40, 216);
    for (int c = 0; c < 3; c++)
        color.channel[c] = grey + uniform(stream, -color_tint, color_tint);
    return color;
}

/* A turn between -a and a, a = 2 atan t_max, without a sine: (1-t², 2t)/(1+t²) is its cosine and sine. */
static void turn_draw(struct random_stream *stream, float t_max, float *cosine, float *sine)
{
    float t = uniform(stream, -t_max, t_max);
    *cosine = (1 - t * t) / (1 + t * t);
    *sine = 2 * t / (1 + t * t);
}

static void draw_background(struct canvas *canvas, struct random_stream *stream, struct color color)
{
    for (int c = 0; c < 3; c++) {
        float along_x = uniform(stream, -1.25f, 1.25f), along_y = uniform(stream, -1.25f, 1.25f);
        for (int y = 0; y < SHAPES_SIDE; y++)
            for (int x = 0; x < SHAPES_SIDE; x++)
                canvas->pixels[c][y][x] =
                    color.channel[c] + along_x * ((float)x - 15.5f) + along_y * ((float)y - 15.5f);
    }
}

/* Lay `color` over a pixel; coverage in [0, 1]. */
static void blend(struct canvas *canvas, int y, int x, struct color color, float coverage)
{
    for (int c = 0; c < 3; c++)
        canvas->pixels[c][y][x] += coverage * (color.channel[c] - canvas->pixels[c][y][x]);
}

/* Share of a pixel that lies inside, from the distance of its middle to the outline in pixels. */
static float coverage_at(float distance)
{
    return larger(0, smaller(1, 0.5f - distance));
}

static void draw_line(struct canvas *canvas, struct random_stream *stream)
{
    struct color color = color_draw(stream);
    float normal_x, normal_y;
    turn_draw(stream, 1, &normal_x, &normal_y);
    float offset = uniform(stream, -14, 14), half_width = uniform(stream, 0.4f, 0.8f);
    for (int y = 0; y < SHAPES_SIDE; y++)
        for (int x = 0; x < SHAPES_SIDE; x++) {
            float across = normal_x * ((float)x - 15.5f) + normal_y * ((float)y - 15.5f) - offset;
            float coverage = coverage_at(fabsf(across) - half_width);
            if (coverage > 0)
                blend(canvas, y, x, color, coverage);
        }
}

static void draw_figure(struct canvas *canvas, struct random_stream *stream, int class, struct color color)
{
    float cosine, sine, radius = uniform(stream, 10.5f, 13);
    float middle_x = uniform(stream, 13.5f, 17.5f), middle_y = uniform(stream, 13.5f, 17.5f);
    turn_draw(stream, figure_turn, &cosine, &sine);
    for (int y = 0; y < SHAPES_SIDE; y++)
        for (int x = 0; x < SHAPES_SIDE; x++) {
            float right = ((float)x - middle_x) / radius, down = ((float)y - middle_y) / radius;
            float distance = figures[class](cosine * right + sine * down, cosine * down - sine * right) * radius;
            if (distance < 0.5f)
                blend(canvas, y, x, color, coverage_at(distance));
        }
}

/* Add noise and round to bytes (3, 32, 32): each word of the stream serves four pixels. */
static void write_noisy(const struct canvas *canvas, struct random_stream *stream, uint8_t *out)
{
    const float *from = &canvas->pixels[0][0][0];
    for (int i = 0; i < 3 * SHAPES_SIDE * SHAPES_SIDE; i += 4) {
        uint32_t word = random_u32(stream);
        for (int k = 0; k < 4; k++, word >>= 8) {
            float noise = ((float)(word & 255) - 127.5f) * (noise_amplitude / 128);
            out[i + k] = (uint8_t)(larger(0, smaller(255, from[i + k] + noise)) + 0.5f);
        }
    }
}

static void draw_picture(struct random_stream *stream, int class, uint8_t *out)
{
    struct canvas canvas;
    struct color background, figure;
    float contrast;
    do {
        background = color_draw(stream);
        figure = color_draw(stream);
        contrast = 0;
        for (int c = 0; c < 3; c++)
            contrast += fabsf(figure.channel[c] - background.channel[c]);
    } while (contrast < contrast_min);
    draw_background(&canvas, stream, background);
    for (uint32_t lines = random_below(stream, SHAPES_LINES_MAX + 1); lines > 0; lines--)
        draw_line(&canvas, stream);
    draw_figure(&canvas, stream, class, figure);
    write_noisy(&canvas, stream, out);
}

/* Every ten pictures in a row hold each class once, in a shuffled order. */
static int class_of(uint64_t seed, uint32_t split, size_t index)
{
    const uint64_t order_streams = (uint64_t)1 << 63; /* apart from those of the pictures */
    struct random_stream stream = random_stream(seed, RANDOM_SHAPES, split, order_streams | index / SHAPES_CLASSES);
    uint32_t order[SHAPES_CLASSES];
    for (uint32_t i = 0; i < SHAPES_CLASSES; i++)
        order[i] = i;
    random_shuffle(&stream, order, SHAPES_CLASSES);
    return (int)order[index % SHAPES_CLASSES];
}

enum status shapes_open(const struct dataset_kind *kind, const struct dataset_params *params, struct dataset **out)
{
    struct raw_pictures raw;
    size_t count = params->count > 0 ? params->count : params->train ? SHAPES_TRAIN_COUNT : SHAPES_TEST_COUNT;
    uint32_t split = params->train ? 0 : 1;
    raw_pictures_init(&raw, kind, count);
    for (size_t i = 0; i < count; i++) {
        struct random_stream stream = random_stream(params->seed, RANDOM_SHAPES, split, i);
        raw.labels[i] = class_of(params->seed, split, i);
        draw_picture(&stream, raw.labels[i], raw.pixels + i * 3 * SHAPES_SIDE * SHAPES_SIDE);
    }
    *out = memory_set_create(kind, params->augment, &raw);
    return STATUS_OK;
}
