/* What the tests of sets of photographs share: folders of drawn pictures, and what is to be made of them. */
#ifndef GRAPEVINE_TESTS_PHOTOS_FIXTURE_H
#define GRAPEVINE_TESTS_PHOTOS_FIXTURE_H

#include <math.h>
#include <stdint.h>

#include "data/dataset.h"
#include "data/photos/photo_pixels.h"
#include "photo_drawing.h"
#include "photo_fixture.h"

enum { SIZE = 32, FLOATS = PHOTO_CHANNELS * SIZE * SIZE };

/* --- folders of drawn pictures --- */

static inline struct drawn draw(uint32_t seed)
{
    struct drawing drawing = {.seed = seed,
                              .width = 50 + (int)seed * 7 % 40,
                              .height = 45 + (int)seed * 11 % 30,
                              .progressive = seed % 3 == 0};
    return drawing_encode(&drawing);
}

static inline void add_picture(const struct photo_fixture *fixture, const char *name, uint32_t seed)
{
    struct drawn drawn = draw(seed);
    photo_write(fixture, name, drawn.bytes, drawn.size);
    free(drawn.bytes);
}

/* Nine pictures of three classes to train with, and four to test with, none of them a bee. */
static const char *const training[] = {"ant/1.jpg", "ant/2.jpg", "ant/3.JPEG", "bee/a.jpeg", "bee/b.jpg",
                                       "bee/c.JPG", "cow/x.jpg", "cow/y.jpg",  "cow/z.jpg"};
static const char *const testing[] = {"ant/5.jpg", "ant/6.jpg", "cow/5.jpg", "cow/6.jpg"};

enum { TRAINING = 9, TESTING = 4 };

static inline int photos_set_up(void **state)
{
    if (photo_fixture_set_up(state) != 0)
        return -1;
    for (int i = 0; i < TRAINING + TESTING; i++) {
        char *name = text_format("photos/%s/%s", i < TRAINING ? "train" : "val",
                                 i < TRAINING ? training[i] : testing[i - TRAINING]);
        add_picture(*state, name, (uint32_t)i);
        free(name);
    }
    return 0;
}

static inline struct dataset_params params_of(const struct photo_fixture *fixture, bool train)
{
    return (struct dataset_params){.name = "photos",
                                   .path = fixture->folder,
                                   .train = train,
                                   .augment = train,
                                   .size = SIZE,
                                   .shuffle = {.block_bytes = 1 << 13, .pool_bytes = 1 << 14}};
}

static inline struct dataset *open_set(const struct dataset_params *params)
{
    struct dataset *set = NULL;
    assert_int_equal(dataset_open(params, &set), STATUS_OK);
    return set;
}

static inline struct dataset *open_training(const struct photo_fixture *fixture)
{
    struct dataset_params params = params_of(fixture, true);
    return open_set(&params);
}

/* --- what a picture should be --- */

static inline struct random_stream stream_of(uint64_t step)
{
    return random_stream(17, RANDOM_TEST, 0, step);
}

/* Picture number `seed` as torchvision's models want it, cropped by `stream`, or its middle if that is NULL. */
static inline void make_expected(uint32_t seed, int size, struct random_stream *stream, float *out)
{
    static const double mean[] = {.485, .456, .406}, deviation[] = {.229, .224, .225};
    static const float ones[] = {1, 1, 1}, zeros[] = {0, 0, 0};
    struct photo_maker *maker = photo_maker_create();
    struct drawn drawn = draw(seed);
    struct image_about about;
    assert_true(photo_open(maker, drawn.bytes, drawn.size, &about));
    struct photo_view view = stream != NULL ? photo_view_random(stream, about.width, about.height, size)
                                            : photo_view_center(about.width, about.height, size, (16 * size + 7) / 14);
    assert_true(photo_render(maker, &view, ones, zeros, out));
    for (int i = 0; i < PHOTO_CHANNELS * size * size; i++) {
        int c = i / (size * size);
        out[i] = (float)((out[i] / 255 - mean[c]) / deviation[c]);
    }
    photo_maker_destroy(maker);
    free(drawn.bytes);
}

static inline void photos_expect_near(const float *out, const float *expected, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(out[i] - expected[i]) < 1e-5f))
            fail_msg("float %zu is %g, should be %g", i, (double)out[i], (double)expected[i]);
}

/* Picture `index` is drawing `seed`, with and without augmentation. */
static inline void expect_drawing(const struct dataset *set, size_t index, uint32_t seed)
{
    float out[FLOATS], expected[FLOATS];
    struct random_stream stream = stream_of(index), same = stream_of(index);
    assert_int_equal(set->ops->fetch(set, index, &stream, out), STATUS_OK);
    make_expected(seed, SIZE, &same, expected);
    photos_expect_near(out, expected, FLOATS);
    assert_int_equal(set->ops->fetch(set, index, NULL, out), STATUS_OK);
    make_expected(seed, SIZE, NULL, expected);
    photos_expect_near(out, expected, FLOATS);
}

static inline void cut_file(const struct photo_fixture *fixture, const char *name, long bytes)
{
    char *path = photo_path(fixture, name);
    assert_int_equal(truncate(path, bytes), 0);
    free(path);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, photos_set_up, photo_fixture_tear_down)

#endif
