/* Crop and flip of data/memory_set.h: every pixel against a slow reference, and the draws evenly spread. */
#include "data/memory_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 32, PLANE = SIDE * SIDE, OFFSETS = 9 };

/* Mean 0 and deviation 1/255: what is fetched is the pixel's value. */
static const struct dataset_kind colored = {.name = "colored",
                                            .channels = 2,
                                            .height = SIDE,
                                            .width = SIDE,
                                            .class_count = 1,
                                            .flip = true,
                                            .mean = {0, 0},
                                            .deviation = {1 / 255.0, 1 / 255.0}};

/* One picture whose pixels tell their row (channel 0) and column (channel 1), both from 1. */
static struct dataset *create_grid(const struct dataset_kind *kind, bool augment)
{
    struct raw_pictures raw;
    raw_pictures_init(&raw, kind, 1);
    for (int i = 0; i < PLANE; i++) {
        raw.pixels[i] = (uint8_t)(1 + i / SIDE);
        raw.pixels[PLANE + i] = (uint8_t)(1 + i % SIDE);
    }
    return memory_set_create(kind, augment, &raw);
}

static struct random_stream stream_of(uint64_t step)
{
    return random_stream(5, RANDOM_AUGMENT, 0, step);
}

/* Value of channel c at (y, x) of a crop that begins at (row, column) of the unpadded picture. */
static float expected_value(int c, int y, int x, int row, int column, bool mirrored)
{
    int from_y = y + row, from_x = (mirrored ? SIDE - 1 - x : x) + column;
    if (from_y < 0 || from_y >= SIDE || from_x < 0 || from_x >= SIDE)
        return 0;
    return (float)(1 + (c == 0 ? from_y : from_x));
}

static void pixels_follow_the_draws(void **state)
{
    (void)state;
    struct dataset *set = create_grid(&colored, true);
    float out[2][SIDE][SIDE];
    for (uint64_t step = 0; step < 500; step++) {
        struct random_stream draws = stream_of(step), used = stream_of(step);
        int row = (int)random_below(&draws, OFFSETS) - 4, column = (int)random_below(&draws, OFFSETS) - 4;
        bool mirrored = random_u32(&draws) & 1;
        assert_int_equal(set->ops->fetch(set, 0, &used, &out[0][0][0]), STATUS_OK);
        for (int c = 0; c < 2; c++)
            for (int y = 0; y < SIDE; y++)
                for (int x = 0; x < SIDE; x++)
                    assert_true(out[c][y][x] == expected_value(c, y, x, row, column, mirrored));
    }
    dataset_close(set);
}

/* Counts of (row, column, mirrored), read off the middle of what was fetched. */
static void count_crops(const struct dataset *set, int draws, int counts[OFFSETS][OFFSETS][2])
{
    float out[2][SIDE][SIDE];
    memset(counts, 0, sizeof(int) * OFFSETS * OFFSETS * 2);
    for (int i = 0; i < draws; i++) {
        struct random_stream stream = stream_of((uint64_t)i);
        assert_int_equal(set->ops->fetch(set, 0, &stream, &out[0][0][0]), STATUS_OK);
        int mirrored = out[1][16][17] < out[1][16][16];
        int row = (int)out[0][16][16] - 17, column = (int)out[1][16][mirrored ? 15 : 16] - 17;
        assert_in_range(row + 4, 0, OFFSETS - 1);
        assert_in_range(column + 4, 0, OFFSETS - 1);
        counts[row + 4][column + 4][mirrored]++;
    }
}

/* χ² over 162 cells: mean 161, deviation 18; the draws are fixed by their seed, so this passes always or never. */
static void crops_and_flips_are_even(void **state)
{
    (void)state;
    enum { DRAWS = 16200, CELLS = OFFSETS * OFFSETS * 2 };
    int counts[OFFSETS][OFFSETS][2];
    struct dataset *set = create_grid(&colored, true);
    count_crops(set, DRAWS, counts);
    double chi_squared = 0, expected = (double)DRAWS / CELLS;
    for (int i = 0; i < CELLS; i++) {
        double off = (&counts[0][0][0])[i] - expected;
        chi_squared += off * off / expected;
    }
    assert_true(chi_squared > 100 && chi_squared < 235);
    dataset_close(set);
}

static void digits_are_not_flipped(void **state)
{
    (void)state;
    int counts[OFFSETS][OFFSETS][2], plain = 0, mirrored = 0;
    struct dataset_kind digits = colored;
    digits.flip = false;
    struct dataset *set = create_grid(&digits, true);
    count_crops(set, 1000, counts);
    for (int i = 0; i < OFFSETS * OFFSETS; i++) {
        plain += (&counts[0][0][0])[2 * i];
        mirrored += (&counts[0][0][0])[2 * i + 1];
    }
    assert_int_equal(plain, 1000);
    assert_int_equal(mirrored, 0);
    dataset_close(set);
}

/* The border is black before normalisation, not 0 after it. */
static void border_is_black(void **state)
{
    (void)state;
    struct dataset_kind shifted = colored;
    shifted.mean[0] = 0.5;
    shifted.deviation[0] = 0.25;
    struct dataset *set = create_grid(&shifted, true);
    float out[2][SIDE][SIDE];
    uint64_t step = 0;
    for (;; step++) { /* the first stream that draws a crop from above */
        struct random_stream draws = stream_of(step);
        if (random_below(&draws, OFFSETS) < 4)
            break;
    }
    struct random_stream stream = stream_of(step);
    assert_int_equal(set->ops->fetch(set, 0, &stream, &out[0][0][0]), STATUS_OK);
    for (int x = 0; x < SIDE; x++)
        assert_true(out[0][0][x] == -2.0f);
    dataset_close(set);
}

static void nothing_without_stream_or_leave(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct dataset *set = create_grid(&colored, i == 0);
        struct random_stream stream = stream_of(1);
        float out[2][SIDE][SIDE];
        assert_int_equal(set->ops->fetch(set, 0, i == 0 ? NULL : &stream, &out[0][0][0]), STATUS_OK);
        for (int c = 0; c < 2; c++)
            for (int y = 0; y < SIDE; y++)
                for (int x = 0; x < SIDE; x++)
                    assert_true(out[c][y][x] == expected_value(c, y, x, 0, 0, false));
        dataset_close(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_follow_the_draws),         cmocka_unit_test(crops_and_flips_are_even),
        cmocka_unit_test(digits_are_not_flipped),          cmocka_unit_test(border_is_black),
        cmocka_unit_test(nothing_without_stream_or_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
