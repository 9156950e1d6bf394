/* kernels/resample.h: weights against a float64 reference written from the definition of an antialiased triangle, sums
 * to the last bit where arithmetic allows, and no memory touched that is not theirs. */
#include "kernels/resample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/random.h"

/* --- weights --- */

/* A triangle around the element's center, as wide as the coarser of the two grids, over the elements that the span
 * covers at least in part; then divided by its sum. weights (in_count). */
static void reference_weights(const struct resample_span *span, int i, double *weights)
{
    double step = span->length / span->out_total, width = step > 1 ? step : 1, sum = 0;
    double center = span->begin + (span->out_first + i + 0.5) * step;
    for (int k = 0; k < span->in_count; k++) {
        bool covered = k + 1 > span->begin && k < span->begin + span->length;
        double distance = fabs(k + 0.5 - center) / width;
        sum += weights[k] = covered && distance < 1 ? 1 - distance : 0;
    }
    for (int k = 0; k < span->in_count; k++)
        weights[k] /= sum;
}

static struct resample_axis make_axis(const struct resample_span *span, bool mirrored)
{
    size_t count = (size_t)span->out_count;
    struct resample_axis axis = {.taps = kernel_resample_taps(span)};
    axis.first = malloc(count * sizeof axis.first[0]);
    axis.weights = malloc(count * (size_t)axis.taps * sizeof axis.weights[0]);
    kernel_resample_axis(span, mirrored, &axis);
    return axis;
}

static void free_axis(struct resample_axis *axis)
{
    free(axis->first);
    free(axis->weights);
}

/* In fp32, of the triangle's peak: one rounding for each step from its end, some for the sum and the quotient. */
static double allowed(const struct resample_span *span, int taps)
{
    double width = fmax(span->length / span->out_total, 1);
    return (4e-7 + 6e-8 * taps) / fmin(width, span->in_count);
}

static void expect_element(const struct resample_span *span, const struct resample_axis *axis, int at, int i)
{
    double *expected = malloc((size_t)span->in_count * sizeof *expected), total = 0;
    const float *weights = axis->weights + (size_t)at * (size_t)axis->taps;
    int first = axis->first[at];
    reference_weights(span, i, expected);
    assert_true(first >= 0 && first + axis->taps <= span->in_count); /* all that are named are there */
    for (int k = 0; k < span->in_count; k++) {
        bool named = k >= first && k < first + axis->taps;
        double ours = named ? (double)weights[k - first] : 0;
        if (!(fabs(ours - expected[k]) <= allowed(span, axis->taps)))
            fail_msg("element %d, weight of %d is %.9g, should be %.9g", i, k, ours, expected[k]);
        if (expected[k] == 0)
            assert_true(ours <= 2e-7); /* rounding may leave a touch at the triangle's end */
        total += ours;
    }
    assert_true(fabs(total - 1) < 1e-6);
    free(expected);
}

static void expect_axis(const struct resample_span *span)
{
    for (int mirrored = 0; mirrored < 2; mirrored++) {
        struct resample_axis axis = make_axis(span, mirrored);
        double width = fmax(span->length / span->out_total, 1);
        assert_true(axis.taps >= 1 && axis.taps <= (int)ceil(2 * width) && axis.taps <= span->in_count);
        for (int i = 0; i < span->out_count; i++)
            expect_element(span, &axis, mirrored ? span->out_count - 1 - i : i, i);
        free_axis(&axis);
    }
}

static struct resample_span whole(int in_count, int out_count)
{
    return (struct resample_span){
        .length = in_count, .in_count = in_count, .out_total = out_count, .out_count = out_count};
}

static void whole_axes_down_and_up(void **state)
{
    (void)state;
    static const int counts[] = {1, 2, 3, 5, 8, 17, 64, 100, 224, 333};
    enum { COUNTS = sizeof counts / sizeof counts[0] };
    for (int i = 0; i < COUNTS; i++)
        for (int j = 0; j < COUNTS; j++) {
            struct resample_span span = whole(counts[i], counts[j]);
            expect_axis(&span);
        }
    struct resample_span huge = whole(8192, 3);
    expect_axis(&huge);
}

/* The same number of elements: each is itself, exactly. */
static void nothing_to_do_changes_nothing(void **state)
{
    (void)state;
    struct resample_span span = whole(50, 50);
    struct resample_axis axis = make_axis(&span, false);
    for (int i = 0; i < 50; i++)
        for (int k = 0; k < axis.taps; k++) {
            float expected = axis.first[i] + k == i ? 1.0f : 0.0f;
            assert_true(axis.weights[i * axis.taps + k] == expected);
        }
    free_axis(&axis);
}

/* Begin and length that lie between elements, as they do in a picture that was decoded at a smaller scale. */
static void fractional_spans(void **state)
{
    (void)state;
    struct random_stream stream = random_stream(1, RANDOM_TEST, 0, 0);
    for (int trial = 0; trial < 400; trial++) {
        struct resample_span span = {.in_count = 1 + (int)random_below(&stream, 200)};
        span.begin = floor(random_uniform(&stream) * span.in_count * 8) / 8;
        span.length = fmax(ceil(random_uniform(&stream) * (span.in_count - span.begin) * 8), 1) / 8;
        span.out_count = 1 + (int)random_below(&stream, 60);
        span.out_total = span.out_count;
        expect_axis(&span);
    }
}

/* A window of what would be a longer result. */
static void windows(void **state)
{
    (void)state;
    struct random_stream stream = random_stream(2, RANDOM_TEST, 0, 0);
    for (int trial = 0; trial < 400; trial++) {
        struct resample_span span = {.in_count = 1 + (int)random_below(&stream, 150)};
        int total = 1 + (int)random_below(&stream, 100), first = (int)random_below(&stream, (uint32_t)total);
        span.length = span.in_count;
        span.out_total = total;
        span.out_first = first;
        span.out_count = 1 + (int)random_below(&stream, (uint32_t)(total - first));
        expect_axis(&span);
    }
}

/* Of a span that goes beyond what is there at both ends, as a picture of which only a part was decoded: elements far
 * enough inside are as if all were there. */
static void parts_of_a_picture(void **state)
{
    (void)state;
    static const double steps[] = {0.3, 1, 1.7, 4.25};
    for (int s = 0; s < 4; s++) {
        struct resample_span part = {.begin = -7.5, .length = 100 * steps[s], .in_count = 60, .out_total = 100};
        double width = fmax(steps[s], 1);
        part.out_first = ceil((7.5 + width) / steps[s]);
        part.out_count = (int)floor((60 + 7.5 - width) / steps[s] - part.out_first);
        part.out_count = part.out_count > 100 - (int)part.out_first ? 100 - (int)part.out_first : part.out_count;
        assert_true(part.out_count > 3);
        expect_axis(&part);
    }
}

/* As many outputs from less than one element: all are it. */
static void less_than_one_element(void **state)
{
    (void)state;
    struct resample_span span = {.begin = 3.25, .length = 0.5, .in_count = 9, .out_total = 7, .out_count = 7};
    struct resample_axis axis = make_axis(&span, false);
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < axis.taps; k++)
            assert_true(axis.weights[i * axis.taps + k] == (axis.first[i] + k == 3 ? 1.0f : 0.0f));
    free_axis(&axis);
    expect_axis(&span);
}

/* --- memory between two pages that nobody may touch --- */

enum { PAGE = 4096, GUARDED_BYTES = 8 * PAGE };

struct guarded {
    uint8_t *memory; /* GUARDED_BYTES of it, a page before and after */
};

static struct guarded guard(void)
{
    uint8_t *all = mmap(NULL, GUARDED_BYTES + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(all != MAP_FAILED);
    assert_int_equal(mprotect(all, PAGE, PROT_NONE), 0);
    assert_int_equal(mprotect(all + PAGE + GUARDED_BYTES, PAGE, PROT_NONE), 0);
    return (struct guarded){.memory = all + PAGE};
}

/* `bytes` bytes that end where the forbidden page begins, or begin where it ends. */
static void *place(struct guarded guarded, size_t bytes, bool at_the_end)
{
    assert_true(bytes <= GUARDED_BYTES);
    return guarded.memory + (at_the_end ? GUARDED_BYTES - bytes : 0);
}

static void unguard(struct guarded guarded)
{
    munmap(guarded.memory - PAGE, GUARDED_BYTES + 2 * PAGE);
}

/* --- rows --- */

enum { ROWS_MAX = 23, COUNT_MAX = 1200 };

/* Any numbers: sums are rounded, and so tell the order in which they were made, which is the contract's. */
static void draw_weights(struct random_stream *stream, float *weights, int taps)
{
    for (int k = 0; k < taps; k++)
        weights[k] = (float)random_uniform(stream);
}

static void expect_rows(struct random_stream *stream, size_t count, int taps, bool at_the_end)
{
    struct guarded in[ROWS_MAX], result = guard();
    const uint8_t *rows[ROWS_MAX];
    float weights[ROWS_MAX], *out = place(result, count * sizeof *out, at_the_end);
    for (int k = 0; k < taps; k++) {
        in[k] = guard();
        uint8_t *row = place(in[k], count, random_below(stream, 2) == 0);
        for (size_t j = 0; j < count; j++)
            row[j] = (uint8_t)random_below(stream, 256);
        rows[k] = row;
    }
    draw_weights(stream, weights, taps);
    memset(result.memory, 0xaa, GUARDED_BYTES);
    kernel_resample_rows(count, taps, rows, weights, out);
    for (size_t j = 0; j < count; j++) {
        float expected = 0;
        for (int k = 0; k < taps; k++)
            expected += weights[k] * (float)rows[k][j];
        assert_true(out[j] == expected);
    }
    for (size_t byte = 0; byte < GUARDED_BYTES; byte++) {
        const uint8_t *at = result.memory + byte;
        assert_true((at >= (uint8_t *)out && at < (uint8_t *)(out + count)) || *at == 0xaa);
    }
    for (int k = 0; k < taps; k++)
        unguard(in[k]);
    unguard(result);
}

static void rows_of_many_lengths(void **state)
{
    (void)state;
    struct random_stream stream = random_stream(3, RANDOM_TEST, 0, 0);
    for (int taps = 1; taps <= ROWS_MAX; taps++)
        for (size_t count = 1; count <= 140; count += 1 + random_below(&stream, 7))
            expect_rows(&stream, count, taps, count % 2 == 0);
    for (int taps = 1; taps < 10; taps++)
        expect_rows(&stream, COUNT_MAX - (size_t)taps, taps, true);
}

/* --- columns --- */

enum { OUT_MAX = 70, IN_MAX = 90, CHANNELS = RESAMPLE_CHANNELS, MARK = 0x5a };

struct columns {
    struct resample_axis axis;
    int out_count, in_count;
    float factor[CHANNELS], shift[CHANNELS];
};

static struct columns draw_columns(struct random_stream *stream, int out_count, int taps)
{
    struct columns columns = {.out_count = out_count,
                              .in_count = taps + (int)random_below(stream, IN_MAX - (uint32_t)taps),
                              .factor = {0.5f, 2, -0.25f},
                              .shift = {1, -3, 0}};
    columns.axis.taps = taps;
    columns.axis.first = malloc((size_t)out_count * sizeof columns.axis.first[0]);
    columns.axis.weights = malloc((size_t)(out_count * taps) * sizeof columns.axis.weights[0]);
    for (int i = 0; i < out_count; i++)
        columns.axis.first[i] = (int)random_below(stream, (uint32_t)(columns.in_count - taps + 1));
    columns.axis.first[out_count - 1] = columns.in_count - taps; /* the last element of the row has a part */
    draw_weights(stream, columns.axis.weights, out_count * taps);
    return columns;
}

static float expected_column(const struct columns *columns, const float *row, int i, int c)
{
    float sum = 0;
    for (int k = 0; k < columns->axis.taps; k++)
        sum += columns->axis.weights[i * columns->axis.taps + k] * row[(columns->axis.first[i] + k) * CHANNELS + c];
    return columns->factor[c] * sum + columns->shift[c];
}

static bool is_marked(const float *value)
{
    static const uint8_t marked[] = {MARK, MARK, MARK, MARK};
    return memcmp(value, marked, sizeof marked) == 0;
}

/* The padding after the row may be read, and says nothing; then comes the forbidden page. */
static void expect_columns(struct random_stream *stream, const struct columns *columns)
{
    size_t row_floats = (size_t)columns->in_count * CHANNELS, count = (size_t)columns->out_count;
    struct guarded in = guard(), out[CHANNELS];
    float *planes[CHANNELS], *row = place(in, (row_floats + RESAMPLE_PADDING) * sizeof *row, true);
    for (size_t j = 0; j < row_floats; j++)
        row[j] = (float)random_below(stream, 1024) / 4;
    for (int j = 0; j < RESAMPLE_PADDING; j++)
        row[row_floats + (size_t)j] = NAN;
    for (int c = 0; c < CHANNELS; c++) {
        out[c] = guard();
        planes[c] = place(out[c], count * sizeof(float), (c + columns->out_count) % 2 == 0);
        memset(out[c].memory, MARK, GUARDED_BYTES);
    }
    kernel_resample_columns(&columns->axis, columns->out_count, row, columns->factor, columns->shift, planes);
    for (int c = 0; c < CHANNELS; c++) {
        for (size_t i = 0; i < count; i++)
            assert_true(planes[c][i] == expected_column(columns, row, (int)i, c));
        for (float *at = (float *)out[c].memory; at < (float *)(out[c].memory + GUARDED_BYTES); at++)
            assert_true((at >= planes[c] && at < planes[c] + count) || is_marked(at));
        unguard(out[c]);
    }
    unguard(in);
}

static void columns_of_many_lengths(void **state)
{
    (void)state;
    struct random_stream stream = random_stream(4, RANDOM_TEST, 0, 0);
    for (int taps = 1; taps <= 12; taps++)
        for (int out_count = 1; out_count <= OUT_MAX; out_count += out_count < 10 ? 1 : 7) {
            struct columns columns = draw_columns(&stream, out_count, taps);
            expect_columns(&stream, &columns);
            free_axis(&columns.axis);
        }
}

/* Rows and planes that begin anywhere a float may. */
static void columns_are_not_aligned(void **state)
{
    (void)state;
    struct random_stream stream = random_stream(5, RANDOM_TEST, 0, 0);
    struct columns columns = draw_columns(&stream, 31, 3);
    float memory[IN_MAX * CHANNELS + 8 + RESAMPLE_PADDING], results[CHANNELS][40];
    for (size_t j = 0; j < sizeof memory / sizeof memory[0]; j++)
        memory[j] = (float)random_below(&stream, 256);
    for (int offset = 0; offset < 8; offset++) {
        float *const planes[CHANNELS] = {results[0] + offset, results[1] + (offset + 3) % 8, results[2] + 7 - offset};
        kernel_resample_columns(&columns.axis, 31, memory + offset, columns.factor, columns.shift, planes);
        for (int c = 0; c < CHANNELS; c++)
            for (int i = 0; i < 31; i++)
                assert_true(planes[c][i] == expected_column(&columns, memory + offset, i, c));
    }
    free_axis(&columns.axis);
}

/* --- in vectors --- */

static bool has_vectors(void)
{
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

enum use { NEVER, ALWAYS, EITHER };

/* With and without lanes: the same bits, where planes begin at any float, and nothing else is written. */
static void expect_lanes(struct random_stream *stream, const struct resample_span *span, bool mirrored,
                         enum use expected)
{
    struct columns columns = {.out_count = span->out_count, .factor = {0.0171f, 2, -0.3f}, .shift = {-2.1f, 0, 7}};
    struct resample_axis axis = make_axis(span, mirrored);
    size_t row_floats = (size_t)span->in_count * CHANNELS, count = (size_t)span->out_count;
    size_t lanes_bytes = (count / 4 * (size_t)axis.taps + 1) * sizeof *axis.lanes;
    struct resample_lanes *lanes = aligned_alloc(64, (lanes_bytes + 63) / 64 * 64);
    axis.lanes = lanes;
    bool used = kernel_resample_lanes(&axis, span->out_count);
    if (expected != EITHER || !has_vectors())
        assert_int_equal(used, expected == ALWAYS && has_vectors());
    struct guarded in = guard(), out = guard();
    float *row = place(in, (row_floats + RESAMPLE_PADDING) * sizeof *row, true),
          *plain = malloc(3 * count * sizeof *plain);
    for (size_t j = 0; j < row_floats; j++)
        row[j] = (float)random_uniform(stream) * 255;
    for (int j = 0; j < RESAMPLE_PADDING; j++)
        row[row_floats + (size_t)j] = NAN;
    axis.lanes = NULL;
    kernel_resample_columns(&axis, span->out_count, row, columns.factor, columns.shift,
                            (float *const[]){plain, plain + count, plain + 2 * count});
    axis.lanes = used ? lanes : NULL;
    for (size_t offset = 0; offset < 20; offset += 1 + offset % 3) {
        float *first = (float *)out.memory + offset, *last = first + 3 * count;
        memset(out.memory, MARK, GUARDED_BYTES);
        kernel_resample_columns(&axis, span->out_count, row, columns.factor, columns.shift,
                                (float *const[]){first, first + count, first + 2 * count});
        assert_memory_equal(first, plain, 3 * count * sizeof *plain);
        for (float *at = (float *)out.memory; at < (float *)(out.memory + GUARDED_BYTES); at++)
            assert_true((at >= first && at < last) || is_marked(at));
    }
    unguard(in);
    unguard(out);
    free(plain);
    free(lanes);
    free_axis(&axis);
}

static void vectors_give_the_same_bits(void **state)
{
    (void)state;
    struct random_stream stream = random_stream(6, RANDOM_TEST, 0, 0);
    for (int out_count = 1; out_count < 100; out_count += out_count < 20 ? 1 : 9)
        for (int tenths = 3; tenths <= 17; tenths += 2) {
            struct resample_span span = {.begin = 1.5, .length = out_count * tenths / 10.0, .out_total = out_count};
            span.in_count = (int)ceil(span.begin + span.length) + 2;
            span.out_count = out_count;
            for (int mirrored = 0; mirrored < 2; mirrored++)
                expect_lanes(&stream, &span, mirrored, ALWAYS);
        }
}

/* Where elements of four pixels do not fit into what is looked at, that is said. */
static void vectors_have_a_reach(void **state)
{
    (void)state;
    struct random_stream stream = random_stream(7, RANDOM_TEST, 0, 0);
    for (int hundredths = 170; hundredths < 1000; hundredths += hundredths < 400 ? 1 : 37) {
        struct resample_span span = whole(16 * hundredths / 100 + 1, 16);
        span.length = 16 * hundredths / 100.0;
        for (int mirrored = 0; mirrored < 2; mirrored++)
            expect_lanes(&stream, &span, mirrored, hundredths < 400 ? EITHER : NEVER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_axes_down_and_up),  cmocka_unit_test(nothing_to_do_changes_nothing),
        cmocka_unit_test(fractional_spans),        cmocka_unit_test(windows),
        cmocka_unit_test(parts_of_a_picture),      cmocka_unit_test(less_than_one_element),
        cmocka_unit_test(rows_of_many_lengths),    cmocka_unit_test(columns_of_many_lengths),
        cmocka_unit_test(columns_are_not_aligned), cmocka_unit_test(vectors_give_the_same_bits),
        cmocka_unit_test(vectors_have_a_reach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
