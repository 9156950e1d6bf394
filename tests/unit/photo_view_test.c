/* data/photos/photo_view.h: random crops draw by draw against their definition, their bounds, the middle ones against
 * torchvision's numbers and against integer arithmetic. */
#include "data/photos/photo_view.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct random_stream stream_of(uint64_t step)
{
    return random_stream(7, RANDOM_TEST, 0, step);
}

static void expect_same(const struct photo_view *a, const struct photo_view *b)
{
    assert_true(a->left == b->left && a->top == b->top && a->width == b->width && a->height == b->height);
    assert_true(a->out_width == b->out_width && a->out_height == b->out_height);
    assert_true(a->out_left == b->out_left && a->out_top == b->out_top);
    assert_true(a->columns == b->columns && a->rows == b->rows && a->mirrored == b->mirrored);
}

/* --- random crops --- */

struct picture {
    int width, height;
};

/* Ordinary ones; those where many draws do not fit; those where none can. */
static const struct picture pictures[] = {{500, 375}, {375, 500}, {400, 400},     {1, 1},        {2, 3},   {640, 300},
                                          {300, 640}, {900, 330}, {20000, 20},    {7, 5000},     {1, 900}, {900, 1},
                                          {65500, 1}, {1, 65500}, {13000, 13000}, {65500, 65500}};

enum { PICTURES = sizeof pictures / sizeof pictures[0] };

/* As the header says it, step by step. */
static struct photo_view defined(struct random_stream *stream, const struct picture *picture, int size)
{
    double width = picture->width, height = picture->height;
    struct photo_view view = {.out_width = size, .out_height = size, .columns = size, .rows = size};
    bool fits = false;
    for (int attempt = 0; attempt < 10 && !fits; attempt++) {
        double area = (0.08 + 0.92 * random_uniform(stream)) * width * height;
        double ratio = exp(log(0.75) + (log(4.0 / 3) - log(0.75)) * random_uniform(stream));
        view.width = nearbyint(sqrt(area * ratio));
        view.height = nearbyint(sqrt(area / ratio));
        fits = view.width >= 1 && view.width <= width && view.height >= 1 && view.height <= height;
    }
    if (fits) {
        view.top = random_below(stream, (uint32_t)(height - view.height) + 1);
        view.left = random_below(stream, (uint32_t)(width - view.width) + 1);
    } else {
        view.width = width / height > 4.0 / 3 ? nearbyint(height * 4 / 3) : width;
        view.height = width / height < 0.75 ? nearbyint(width * 4 / 3) : height;
        view.top = floor((height - view.height) / 2);
        view.left = floor((width - view.width) / 2);
    }
    view.mirrored = random_u32(stream) % 2 == 1;
    return view;
}

/* The same numbers from the same draws, and no more of them drawn. */
static void random_crops_are_as_defined(void **state)
{
    (void)state;
    for (int p = 0; p < PICTURES; p++)
        for (uint64_t step = 0; step < 500; step++) {
            struct random_stream ours = stream_of(step), theirs = stream_of(step);
            struct photo_view view = photo_view_random(&ours, pictures[p].width, pictures[p].height, 224);
            struct photo_view expected = defined(&theirs, &pictures[p], 224);
            expect_same(&view, &expected);
            assert_int_equal(random_u32(&ours), random_u32(&theirs));
        }
}

static bool is_whole(double value)
{
    return value == floor(value);
}

static void random_crops_stay_inside(void **state)
{
    (void)state;
    for (int p = 0; p < PICTURES; p++)
        for (uint64_t step = 0; step < 500; step++) {
            struct random_stream stream = stream_of(step);
            struct photo_view view = photo_view_random(&stream, pictures[p].width, pictures[p].height, 160);
            assert_true(view.left >= 0 && view.top >= 0 && view.width >= 1 && view.height >= 1);
            assert_true(view.left + view.width <= pictures[p].width && view.top + view.height <= pictures[p].height);
            assert_true(is_whole(view.left) && is_whole(view.top) && is_whole(view.width) && is_whole(view.height));
            assert_true(view.out_width == 160 && view.out_height == 160 && view.out_left == 0 && view.out_top == 0);
            assert_true(view.columns == 160 && view.rows == 160);
        }
}

/* Where some ratio fits at every area, no crop is smaller, larger, wider or taller than said, but for the rounding. */
static void shares_and_ratios_have_bounds(void **state)
{
    (void)state;
    double least = 1, most = 0, narrowest = 9, widest = 0;
    for (uint64_t step = 0; step < 20000; step++) {
        struct random_stream stream = stream_of(step);
        struct photo_view view = photo_view_random(&stream, 4000, 4000, 224);
        double share = view.width * view.height / (4000.0 * 4000), ratio = view.width / view.height;
        least = fmin(least, share);
        most = fmax(most, share);
        narrowest = fmin(narrowest, ratio);
        widest = fmax(widest, ratio);
    }
    assert_true(least > 0.0799 && least < 0.081);
    assert_true(most > 0.98 && most <= 1);
    assert_true(narrowest > 0.7495 && narrowest < 0.752);
    assert_true(widest < 1.334 && widest > 1.33);
}

/* Nothing fits: the largest in the middle, after which nothing but the mirror is drawn. */
static void extreme_pictures_get_the_middle(void **state)
{
    (void)state;
    static const struct {
        int width, height;
        double left, top, crop_width, crop_height;
    } rows[] = {
        {1000, 10, 493, 0, 13, 10}, {10, 1000, 0, 493, 10, 13}, {1000, 3, 498, 0, 4, 3},
        {3, 1000, 0, 498, 3, 4},    {500, 1, 249, 0, 1, 1},     {1, 501, 0, 250, 1, 1},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
        for (uint64_t step = 0; step < 50; step++) {
            struct random_stream stream = stream_of(step), draws = stream_of(step);
            struct photo_view view = photo_view_random(&stream, rows[r].width, rows[r].height, 64);
            assert_true(view.left == rows[r].left && view.top == rows[r].top);
            assert_true(view.width == rows[r].crop_width && view.height == rows[r].crop_height);
            for (int i = 0; i < 20; i++)
                random_uniform(&draws);
            assert_int_equal(view.mirrored, random_u32(&draws) & 1);
        }
}

/* A fair coin: within five deviations of a half. */
static void half_are_mirrored(void **state)
{
    (void)state;
    static const struct picture kinds[] = {{500, 375}, {1000, 10}};
    for (int k = 0; k < 2; k++) {
        int mirrored = 0;
        for (uint64_t step = 0; step < 10000; step++) {
            struct random_stream stream = stream_of(step);
            mirrored += photo_view_random(&stream, kinds[k].width, kinds[k].height, 224).mirrored;
        }
        assert_in_range(mirrored, 5000 - 250, 5000 + 250);
    }
}

/* The same stream, the same view; another one, another view. */
static void views_are_functions_of_the_stream(void **state)
{
    (void)state;
    int equal = 0;
    for (uint64_t step = 0; step < 200; step++) {
        struct random_stream stream = stream_of(step), again = stream_of(step), other = stream_of(step + 1);
        struct photo_view view = photo_view_random(&stream, 640, 480, 224);
        struct photo_view same = photo_view_random(&again, 640, 480, 224);
        struct photo_view different = photo_view_random(&other, 640, 480, 224);
        expect_same(&view, &same);
        equal += view.left == different.left && view.top == different.top && view.width == different.width;
    }
    assert_in_range(equal, 0, 1);
}

/* --- the middle --- */

/* By torchvision 0.14: Resize(short_side), CenterCrop(size). Differences that are odd are halved to an even number. */
static const struct {
    int width, height, size, short_side;
    int out_width, out_height, out_left, out_top;
} middles[] = {
    {500, 375, 224, 256, 341, 256, 58, 16},
    {375, 500, 224, 256, 256, 341, 16, 58},
    {256, 256, 224, 256, 256, 256, 16, 16},
    {1, 1, 224, 256, 256, 256, 16, 16},
    {257, 256, 224, 256, 257, 256, 16, 16},
    {256, 257, 224, 256, 256, 257, 16, 16},
    {258, 256, 224, 256, 258, 256, 17, 16},
    {259, 256, 224, 256, 259, 256, 18, 16},
    {640, 480, 224, 256, 341, 256, 58, 16},
    {481, 321, 224, 256, 383, 256, 80, 16},
    {1000, 3, 224, 256, 85333, 256, 42554, 16},
    {3, 1000, 224, 256, 256, 85333, 16, 42554},
    {100, 99, 224, 256, 258, 256, 17, 16},
    {65500, 224, 224, 256, 74857, 256, 37316, 16},
    {1023, 767, 288, 329, 438, 329, 75, 20},
    {500, 334, 160, 183, 273, 183, 56, 12},
    {47, 31, 32, 37, 56, 37, 12, 2},
    {300, 300, 225, 256, 256, 256, 16, 16},
    {301, 300, 225, 258, 258, 258, 16, 16},
    {333, 500, 128, 146, 146, 219, 9, 46},
};

static void middle_is_torchvisions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof middles / sizeof middles[0]; i++) {
        struct photo_view view =
            photo_view_center(middles[i].width, middles[i].height, middles[i].size, middles[i].short_side);
        assert_true(view.left == 0 && view.top == 0 && view.width == middles[i].width &&
                    view.height == middles[i].height && !view.mirrored);
        assert_true(view.out_width == middles[i].out_width && view.out_height == middles[i].out_height);
        assert_true(view.out_left == middles[i].out_left && view.out_top == middles[i].out_top);
        assert_true(view.columns == middles[i].size && view.rows == middles[i].size);
    }
}

/* Half of an integer, to an even one. */
static int64_t half_to_even(int64_t value)
{
    return value % 2 == 0 ? value / 2 : (value / 2 % 2 == 0 ? value / 2 : value / 2 + 1);
}

/* Every pair of sides up to 300 in whole numbers: no division of doubles rounds up where int() would not. */
static void middle_in_whole_numbers(void **state)
{
    (void)state;
    for (int64_t width = 1; width <= 300; width++)
        for (int64_t height = 1; height <= 300; height++) {
            struct photo_view view = photo_view_center((int)width, (int)height, 224, 256);
            int64_t out_width = width > height ? 256 * width / height : 256;
            int64_t out_height = width > height ? 256 : 256 * height / width;
            assert_true(view.out_width == (double)out_width && view.out_height == (double)out_height);
            assert_true(view.out_left == (double)half_to_even(out_width - 224));
            assert_true(view.out_top == (double)half_to_even(out_height - 224));
            assert_true(view.out_left + view.columns <= view.out_width);
            assert_true(view.out_top + view.rows <= view.out_height);
        }
}

/* --- shrunk --- */

static void shrunk_is_whole_and_never_larger(void **state)
{
    (void)state;
    static const struct {
        int width, height, short_side, columns, rows;
    } rows[] = {{1000, 500, 250, 500, 250}, {500, 1000, 250, 250, 500}, {333, 500, 128, 128, 192},
                {200, 100, 512, 200, 100},  {100, 200, 512, 100, 200},  {512, 700, 512, 512, 700},
                {1, 65500, 512, 1, 65500},  {65500, 65500, 1, 1, 1},    {1001, 1000, 999, 999, 999}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct photo_view view = photo_view_shrunk(rows[i].width, rows[i].height, rows[i].short_side);
        assert_true(view.left == 0 && view.top == 0 && view.out_left == 0 && view.out_top == 0 && !view.mirrored);
        assert_true(view.width == rows[i].width && view.height == rows[i].height);
        assert_int_equal(view.columns, rows[i].columns);
        assert_int_equal(view.rows, rows[i].rows);
        assert_true(view.out_width == view.columns && view.out_height == view.rows);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_crops_are_as_defined),
        cmocka_unit_test(random_crops_stay_inside),
        cmocka_unit_test(shares_and_ratios_have_bounds),
        cmocka_unit_test(extreme_pictures_get_the_middle),
        cmocka_unit_test(half_are_mirrored),
        cmocka_unit_test(views_are_functions_of_the_stream),
        cmocka_unit_test(middle_is_torchvisions),
        cmocka_unit_test(middle_in_whole_numbers),
        cmocka_unit_test(shrunk_is_whole_and_never_larger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
