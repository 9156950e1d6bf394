/* data/photos/photo_pixels.h: what is rendered against a float64 resize of the whole decoded picture, at every scale;
 * shrunk pictures; a maker that has seen others gives the same bits as a fresh one. */
#include "data/photos/photo_pixels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/random.h"
#include "jpeg_fixture.h"

static const float ones[PHOTO_CHANNELS] = {1, 1, 1}, zeros[PHOTO_CHANNELS] = {0};

static struct random_stream stream_of(uint64_t step)
{
    return random_stream(11, RANDOM_TEST, 0, step);
}

static int set_up(void **state)
{
    *state = photo_maker_create();
    return 0;
}

static int tear_down(void **state)
{
    photo_maker_destroy(*state);
    return 0;
}

/* --- the reference --- */

/* Element i of `out_total` that [begin, begin + length) becomes: the share that element k of the picture has in it. */
static double share(double begin, double length, double out_total, double i, int k)
{
    double step = length / out_total, width = fmax(step, 1);
    bool covered = k + 1 > begin && k < begin + length;
    double distance = fabs(k + 0.5 - (begin + (i + 0.5) * step)) / width;
    return covered && distance < 1 ? 1 - distance : 0;
}

/* rows (count, height) of normalised weights. */
static double *shares(double begin, double length, double out_total, double out_first, int count, int there)
{
    double *all = malloc((size_t)count * (size_t)there * sizeof *all);
    for (int i = 0; i < count; i++) {
        double sum = 0, *own = all + (size_t)i * (size_t)there;
        for (int k = 0; k < there; k++)
            sum += own[k] = share(begin, length, out_total, out_first + i, k);
        for (int k = 0; k < there; k++)
            own[k] /= sum;
    }
    return all;
}

static double resized_pixel(const struct pixels *picture, const double *down, const double *across, int c)
{
    double sum = 0;
    for (int y = 0; y < picture->height; y++)
        for (int x = 0; x < picture->width && down[y] > 0; x++)
            if (across[x] > 0)
                sum += down[y] * across[x] * pixel(picture, x, y)[c];
    return sum;
}

/* out (3, rows, columns), of a picture that was decoded at `scale` of its size. */
static double *reference(const struct pixels *picture, const struct photo_view *view, double scale)
{
    double *down =
        shares(view->top * scale, view->height * scale, view->out_height, view->out_top, view->rows, picture->height);
    double *across =
        shares(view->left * scale, view->width * scale, view->out_width, view->out_left, view->columns, picture->width);
    size_t plane = (size_t)view->rows * (size_t)view->columns;
    double *out = malloc(PHOTO_CHANNELS * plane * sizeof *out);
    for (int i = 0; i < view->rows; i++)
        for (int j = 0; j < view->columns; j++)
            for (int c = 0; c < PHOTO_CHANNELS; c++) {
                size_t at = (size_t)i * (size_t)view->columns + (size_t)(view->mirrored ? view->columns - 1 - j : j);
                out[(size_t)c * plane + at] = resized_pixel(picture, down + (size_t)i * (size_t)picture->height,
                                                            across + (size_t)j * (size_t)picture->width, c);
            }
    free(down);
    free(across);
    return out;
}

/* --- comparing --- */

struct difference {
    double mean, worst;
};

static struct difference differences(const float *ours, const double *theirs, size_t count)
{
    struct difference all = {0};
    for (size_t i = 0; i < count; i++) {
        double difference = fabs(ours[i] - theirs[i]);
        all.mean += difference / (double)count;
        all.worst = difference <= all.worst ? all.worst : difference; /* a NaN is the worst */
    }
    return all;
}

static float *render(struct photo_maker *maker, const struct drawn *drawn, const struct photo_view *view)
{
    struct image_about about;
    size_t count = PHOTO_CHANNELS * (size_t)view->rows * (size_t)view->columns;
    float *out = malloc(count * sizeof *out);
    for (size_t i = 0; i < count; i++)
        out[i] = NAN;
    assert_true(photo_open(maker, drawn->bytes, drawn->size, &about));
    assert_true(photo_render(maker, view, ones, zeros, out));
    return out;
}

/* From the picture as a whole, decoded at eighths/8 of its size. */
static struct difference compare(struct photo_maker *maker, const struct drawn *drawn, const struct photo_view *view,
                                 int eighths)
{
    struct jpeg_decoder *decoder = jpeg_decoder_create();
    struct pixels picture = decode_whole(decoder, drawn, eighths);
    double *expected = reference(&picture, view, eighths / 8.0);
    float *out = render(maker, drawn, view);
    struct difference all = differences(out, expected, PHOTO_CHANNELS * (size_t)view->rows * (size_t)view->columns);
    free(out);
    free(expected);
    free(picture.rgb);
    jpeg_decoder_destroy(decoder);
    return all;
}

/* The smallest of libjpeg's fast scales at which there are as many pixels for each that is wanted as the view says. */
static int scale_of(const struct photo_view *view)
{
    for (int eighths = 1; eighths < 8; eighths *= 2)
        if (view->width * eighths >= 8 * view->decoded * view->out_width &&
            view->height * eighths >= 8 * view->decoded * view->out_height)
            return eighths;
    return 8;
}

enum { KINDS = 5 };

static struct drawing drawing_of(int kind, int width, int height)
{
    static const struct drawing kinds[KINDS] = {{.across = 1, .down = 1},
                                                {.components = 1},
                                                {.across = 1, .down = 1, .progressive = true},
                                                {.quality = 95},
                                                {.across = 2, .down = 1, .progressive = true}};
    struct drawing drawing = kinds[kind];
    drawing.seed = (uint32_t)kind;
    drawing.width = width;
    drawing.height = height;
    return drawing;
}

/* Where chroma is coarse, the column at a cut may be off by some: a part of that reaches the result. */
static void expect_near(const struct difference *all, const struct drawing *drawing)
{
    bool fine = drawing->components == 1 || drawing->across == 1;
    if (all->worst > (fine ? 5e-4 : 20) || all->mean > (fine ? 1e-4 : 0.05))
        fail_msg("%d x %d: mean %g, worst %g", drawing->width, drawing->height, all->mean, all->worst);
}

/* --- rendering --- */

/* Not smaller than what is wanted: all of the picture's own pixels count. */
static void crops_at_full_size(void **state)
{
    static const int sizes[][2] = {{130, 90}, {64, 64}, {61, 127}, {33, 17}, {1, 1}, {2, 40}, {90, 3}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int kind = 0; kind < KINDS; kind++) {
            struct drawing drawing = drawing_of(kind, sizes[s][0], sizes[s][1]);
            struct drawn drawn = drawing_encode(&drawing);
            for (uint64_t step = 0; step < 6; step++) {
                struct random_stream stream = stream_of(step);
                struct photo_view view = photo_view_random(&stream, drawing.width, drawing.height, 70 + (int)step);
                struct difference all = compare(*state, &drawn, &view, 8);
                assert_int_equal(scale_of(&view), 8);
                expect_near(&all, &drawing);
            }
            free(drawn.bytes);
        }
}

/* Large pictures, small results: what libjpeg scales down already is resized as if it were all there is. */
static void crops_at_every_scale(void **state)
{
    int seen[9] = {0};
    for (int kind = 0; kind < KINDS; kind++) {
        struct drawing drawing = drawing_of(kind, 517, 403);
        struct drawn drawn = drawing_encode(&drawing);
        for (uint64_t step = 0; step < 16; step++) {
            struct random_stream stream = stream_of(step);
            struct photo_view view = photo_view_random(&stream, drawing.width, drawing.height, 10 << step % 5);
            struct difference all = compare(*state, &drawn, &view, scale_of(&view));
            expect_near(&all, &drawing);
            seen[scale_of(&view)]++;
        }
        free(drawn.bytes);
    }
    assert_true(seen[1] > 0 && seen[2] > 0 && seen[4] > 0 && seen[8] > 0);
}

static void the_middle_at_every_scale(void **state)
{
    static const int sizes[][2] = {{300, 200}, {200, 301}, {47, 500}, {600, 33}, {128, 128}, {7, 5}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int kind = 0; kind < KINDS; kind++)
            for (int size = 14; size <= 112; size *= 2) {
                struct drawing drawing = drawing_of(kind, sizes[s][0], sizes[s][1]);
                struct drawn drawn = drawing_encode(&drawing);
                struct photo_view view = photo_view_center(drawing.width, drawing.height, size, size * 8 / 7);
                struct difference all = compare(*state, &drawn, &view, scale_of(&view));
                expect_near(&all, &drawing);
                free(drawn.bytes);
            }
}

/* To the last row and column, of which libjpeg has a part only when the size is no multiple of eight. */
static void the_whole_at_every_scale(void **state)
{
    static const int sizes[][2] = {{517, 403}, {301, 299}, {123, 457}, {64, 65}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int kind = 0; kind < KINDS; kind++)
            for (int short_side = 12; short_side <= 96; short_side *= 2) {
                struct drawing drawing = drawing_of(kind, sizes[s][0], sizes[s][1]);
                struct drawn drawn = drawing_encode(&drawing);
                struct photo_view view = photo_view_shrunk(drawing.width, drawing.height, short_side);
                struct difference all = compare(*state, &drawn, &view, scale_of(&view));
                expect_near(&all, &drawing);
                free(drawn.bytes);
            }
}

/* And from the picture at its full size, what was decoded smaller is not far: on the mean of all pixels. In training as
 * few are decoded as do, in tests half as many again. */
static void scaled_is_near_full_size(void **state)
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct drawing drawing = drawing_of(kind, 640, 480);
        struct drawn drawn = drawing_encode(&drawing);
        for (uint64_t step = 0; step < 8; step++) {
            struct random_stream stream = stream_of(step);
            struct photo_view view = photo_view_random(&stream, drawing.width, drawing.height, 32);
            view.decoded = step % 2 == 0 ? 1 : 1.5;
            struct difference all = compare(*state, &drawn, &view, 8);
            double allowed = view.decoded > 1 ? 1.5 : 4;
            if (all.mean > allowed)
                fail_msg("kind %d, scale %d of 8: mean %g, worst %g", kind, scale_of(&view), all.mean, all.worst);
        }
        free(drawn.bytes);
    }
}

static void planes_are_normalised(void **state)
{
    static const float factor[PHOTO_CHANNELS] = {0.5f, -2, 0.01f}, shift[PHOTO_CHANNELS] = {3, 700, -1};
    struct drawing drawing = drawing_of(0, 80, 60);
    struct drawn drawn = drawing_encode(&drawing);
    struct photo_view view = photo_view_center(80, 60, 32, 36);
    float *plain = render(*state, &drawn, &view), normal[PHOTO_CHANNELS * 32 * 32];
    struct image_about about;
    assert_true(photo_open(*state, drawn.bytes, drawn.size, &about));
    assert_true(about.width == 80 && about.height == 60 && about.components == 3);
    assert_true(photo_render(*state, &view, factor, shift, normal));
    for (int c = 0; c < PHOTO_CHANNELS; c++)
        for (int i = c * 1024; i < (c + 1) * 1024; i++)
            assert_true(normal[i] == factor[c] * plain[i] + shift[c]);
    free(plain);
    free(drawn.bytes);
}

static void mirrored_is_the_reverse(void **state)
{
    struct drawing drawing = drawing_of(0, 90, 70);
    struct drawn drawn = drawing_encode(&drawing);
    for (int size = 20; size < 130; size += 27) {
        struct random_stream stream = stream_of((uint64_t)size);
        struct photo_view view = photo_view_random(&stream, 90, 70, size);
        view.mirrored = false;
        float *plain = render(*state, &drawn, &view);
        view.mirrored = true;
        float *mirrored = render(*state, &drawn, &view);
        for (int i = 0; i < PHOTO_CHANNELS * size * size; i++)
            assert_true(fabsf(mirrored[i] - plain[i / size * size + size - 1 - i % size]) < 1e-4f);
        free(mirrored);
        free(plain);
    }
    free(drawn.bytes);
}

/* --- makers --- */

/* Pictures of all sizes, one after the other and in other orders, good and bad ones between them. */
static void makers_remember_nothing(void **state)
{
    static const int sizes[][2] = {{640, 480}, {3, 4}, {1, 900}, {300, 200}, {1000, 40}, {64, 64}};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    struct drawn drawn[COUNT];
    struct photo_view views[COUNT];
    float *expected[COUNT];
    for (int i = 0; i < COUNT; i++) {
        struct drawing drawing = drawing_of(i % KINDS, sizes[i][0], sizes[i][1]);
        struct random_stream stream = stream_of((uint64_t)i);
        struct photo_maker *fresh = photo_maker_create();
        drawn[i] = drawing_encode(&drawing);
        views[i] = photo_view_random(&stream, drawing.width, drawing.height, 20 + 40 * (i % 3));
        expected[i] = render(fresh, &drawn[i], &views[i]);
        photo_maker_destroy(fresh);
    }
    struct random_stream stream = stream_of(99);
    for (int times = 0; times < 200; times++) {
        struct image_about about;
        float unused[PHOTO_CHANNELS * 100 * 100];
        uint32_t i = random_below(&stream, COUNT), bad = random_below(&stream, COUNT);
        if (times % 3 == 0 && photo_open(*state, drawn[bad].bytes, drawn[bad].size / 2, &about))
            photo_render(*state, &views[bad], ones, zeros, unused);
        float *out = render(*state, &drawn[i], &views[i]);
        size_t count = PHOTO_CHANNELS * (size_t)views[i].rows * (size_t)views[i].columns;
        assert_memory_equal(out, expected[i], count * sizeof *out);
        free(out);
    }
    for (int i = 0; i < COUNT; i++) {
        free(drawn[i].bytes);
        free(expected[i]);
    }
}

static void troubles_are_told(void **state)
{
    struct drawing drawing = drawing_of(3, 200, 150);
    struct drawn drawn = drawing_encode(&drawing);
    struct photo_view view = photo_view_center(200, 150, 32, 36);
    struct image_about about = {.width = -1};
    float out[PHOTO_CHANNELS * 32 * 32];
    assert_false(photo_open(*state, (const uint8_t *)"GIF89a", 6, &about));
    assert_string_equal(photo_trouble(*state), "is a GIF, not a JPEG, PNG or WebP");
    assert_int_equal(about.width, -1);
    assert_true(photo_open(*state, drawn.bytes, drawn.size / 2, &about));
    assert_false(photo_render(*state, &view, ones, zeros, out));
    assert_string_equal(photo_trouble(*state), "the data end early");
    assert_true(photo_open(*state, drawn.bytes, drawn.size / 2, &about));
    assert_int_equal(photo_decode(*state, &view), 0);
    photo_maker_destroy(NULL);
    free(drawn.bytes);
}

/* Bytes of the rows that rendering decodes; nothing stays of it. */
static void decoding_alone(void **state)
{
    struct drawing drawing = drawing_of(0, 640, 480);
    struct drawn drawn = drawing_encode(&drawing);
    struct photo_view whole = photo_view_shrunk(640, 480, 480), middle = photo_view_center(640, 480, 100, 120);
    struct image_about about;
    assert_true(photo_open(*state, drawn.bytes, drawn.size, &about));
    assert_int_equal(photo_decode(*state, &whole), 640 * 480 * 3);
    assert_true(photo_open(*state, drawn.bytes, drawn.size, &about));
    assert_in_range(photo_decode(*state, &middle), 200 * 200 * 3, 230 * 230 * 3); /* at half the size */
    free(drawn.bytes);
}

/* --- shrunk --- */

static struct drawn shrink(struct photo_maker *maker, const struct drawn *drawn, int short_side, int quality,
                           struct image_about *about)
{
    struct drawn small = {0};
    const char *trouble = NULL;
    assert_true(photo_shrink(maker, drawn->bytes, drawn->size, short_side, quality, &small.bytes, &small.size, about,
                             &trouble));
    return small;
}

static void expect_shrunk(struct photo_maker *maker, int kind, int width, int height, int short_side)
{
    struct drawing drawing = drawing_of(kind, width, height);
    struct drawn drawn = drawing_encode(&drawing);
    struct image_about about, told;
    struct drawn small = shrink(maker, &drawn, short_side, 100, &told);
    struct photo_view view = photo_view_shrunk(width, height, short_side);
    struct jpeg_decoder *decoder = jpeg_decoder_create();
    assert_true(jpeg_open(decoder, small.bytes, small.size, &about));
    assert_true(about.width == told.width && about.height == told.height && about.components == told.components);
    assert_true(about.width == view.columns && about.height == view.rows);
    assert_int_equal(about.width < about.height ? about.width : about.height,
                     (width < height ? width : height) < short_side ? (width < height ? width : height) : short_side);
    assert_int_equal(about.components, drawing.components == 1 ? 1 : 3); /* gray stays gray */
    assert_false(about.progressive || told.progressive);
    struct pixels pixels = decode_whole(decoder, &small, 8);
    float *expected = render(maker, &drawn, &view);
    double sum = 0, balance = 0;
    size_t plane = (size_t)pixels.width * (size_t)pixels.height;
    for (size_t i = 0; i < 3 * plane; i++) {
        double difference = pixels.rgb[i] - expected[i % 3 * plane + i / 3];
        sum += fabs(difference) / (double)(3 * plane);
        balance += difference / (double)(3 * plane);
    }
    assert_true(sum < 3); /* chroma of half the size, at best quality */
    assert_true(fabs(balance) < 0.2);
    free(expected);
    free(pixels.rgb);
    jpeg_decoder_destroy(decoder);
    free(small.bytes);
    free(drawn.bytes);
}

static void shrunk_to_size(void **state)
{
    for (int kind = 0; kind < KINDS; kind++) {
        expect_shrunk(*state, kind, 600, 400, 200);
        expect_shrunk(*state, kind, 301, 407, 299);
        expect_shrunk(*state, kind, 500, 400, 40);
        expect_shrunk(*state, kind, 120, 90, 500);
        expect_shrunk(*state, kind, 90, 120, 90);
        expect_shrunk(*state, kind, 1, 700, 60);
    }
}

static void quality_is_heeded(void **state)
{
    struct drawing drawing = drawing_of(0, 300, 200);
    struct drawn drawn = drawing_encode(&drawing);
    size_t last = 0;
    for (int quality = 10; quality <= 100; quality += 30) {
        struct image_about about;
        struct drawn small = shrink(*state, &drawn, 100, quality, &about);
        assert_true(small.size > last * 5 / 4);
        last = small.size;
        free(small.bytes);
    }
    free(drawn.bytes);
}

/* Shrunk by a maker that has seen others: the same bytes. */
static void shrinking_is_a_function(void **state)
{
    struct drawing drawing = drawing_of(3, 310, 222), other = drawing_of(1, 900, 500);
    struct drawn drawn = drawing_encode(&drawing), before = drawing_encode(&other), small[2];
    struct image_about about;
    for (int i = 0; i < 2; i++) {
        small[i] = shrink(*state, &drawn, 111, 85, &about);
        free(shrink(*state, &before, 50, 20, &about).bytes);
    }
    assert_int_equal(small[0].size, small[1].size);
    assert_memory_equal(small[0].bytes, small[1].bytes, small[0].size);
    free(small[0].bytes);
    free(small[1].bytes);
    free(before.bytes);
    free(drawn.bytes);
}

static void damaged_ones_are_not_shrunk(void **state)
{
    struct drawing drawing = drawing_of(3, 200, 150);
    struct drawn drawn = drawing_encode(&drawing);
    for (size_t size = 0; size + 2 < drawn.size; size += 41) {
        struct drawn small = {0};
        struct image_about about;
        const char *trouble = NULL;
        assert_false(photo_shrink(*state, drawn.bytes, size, 50, 90, &small.bytes, &small.size, &about, &trouble));
        assert_true(trouble != NULL && trouble[0] != '\0');
        assert_null(small.bytes);
    }
    free(drawn.bytes);
}

#define WITH_MAKER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_MAKER(crops_at_full_size),
        WITH_MAKER(crops_at_every_scale),
        WITH_MAKER(the_middle_at_every_scale),
        WITH_MAKER(the_whole_at_every_scale),
        WITH_MAKER(scaled_is_near_full_size),
        WITH_MAKER(planes_are_normalised),
        WITH_MAKER(mirrored_is_the_reverse),
        WITH_MAKER(makers_remember_nothing),
        WITH_MAKER(troubles_are_told),
        WITH_MAKER(decoding_alone),
        WITH_MAKER(shrunk_to_size),
        WITH_MAKER(quality_is_heeded),
        WITH_MAKER(shrinking_is_a_function),
        WITH_MAKER(damaged_ones_are_not_shrunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
