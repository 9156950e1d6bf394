/* The sets `photos` and `imagenet` (data/dataset.h) over folders and packs: which pictures there are, and what is made
 * of them. Those that cannot be read: photos_bad_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/photo_pack.h"
#include "photos_fixture.h"

static void expect_refused(struct photo_fixture *fixture, const struct dataset_params *params, enum status expected,
                           const char *words)
{
    struct dataset *set = NULL;
    capture_begin(&fixture->capture);
    enum status status = dataset_open(params, &set);
    const char *message = capture_end(&fixture->capture);
    assert_int_equal(status, expected);
    assert_null(set);
    photo_expect_message(message, words);
    assert_true(strchr(message, '\n') == message + strlen(message) - 1); /* one message */
}

/* --- which pictures --- */

static void sets_are_as_their_folders(void **state)
{
    static const char *const names[] = {"ant", "bee", "cow"};
    struct dataset_params params = params_of(*state, true);
    struct dataset *set = open_set(&params);
    assert_int_equal(set->count, TRAINING);
    assert_int_equal(set->class_count, 3);
    assert_true(set->channels == 3 && set->height == SIZE && set->width == SIZE);
    assert_true(set->bytes == NULL && set->ops->pick == NULL && set->ops->fetch_at != NULL);
    assert_true(set->block_ends == NULL && set->block_count == 0 && set->pool == 0);
    for (int c = 0; c < 3; c++)
        assert_string_equal(set->class_names[c], names[c]);
    for (size_t i = 0; i < TRAINING; i++) {
        assert_int_equal(set->labels[i], i / 3);
        expect_drawing(set, i, (uint32_t)i);
    }
    dataset_close(set);
    params.size = 0;
    set = open_set(&params);
    assert_true(set->height == 224 && set->width == 224);
    dataset_close(set);
}

/* Its labels are the training split's; nothing of it is cropped by chance, whatever stream there is. */
static void tests_have_the_classes_of_training(void **state)
{
    struct dataset_params params = params_of(*state, false);
    struct dataset *set = open_set(&params);
    float out[FLOATS], expected[FLOATS];
    assert_int_equal(set->count, TESTING);
    assert_int_equal(set->class_count, 3);
    assert_string_equal(set->class_names[1], "bee");
    for (size_t i = 0; i < TESTING; i++) {
        struct random_stream stream = stream_of(i);
        assert_int_equal(set->labels[i], i < 2 ? 0 : 2);
        assert_int_equal(set->ops->fetch(set, i, &stream, out), STATUS_OK);
        make_expected((uint32_t)i + TRAINING, SIZE, NULL, expected);
        photos_expect_near(out, expected, FLOATS);
    }
    dataset_close(set);
}

static void classes_that_training_lacks_are_refused(void **state)
{
    struct dataset_params params = params_of(*state, false);
    add_picture(*state, "photos/val/bea/1.jpg", 30);
    expect_refused(*state, &params, STATUS_DATA, "photos/val|class \"bea\"|photos/train|nearest: \"bee\"");
}

/* So many, evenly: of every class as many. */
static void fewer_are_taken_evenly(void **state)
{
    struct dataset_params params = params_of(*state, true);
    params.count = 3;
    struct dataset *set = open_set(&params);
    assert_int_equal(set->count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(set->labels[i], i);
        expect_drawing(set, i, 3 * (uint32_t)i);
    }
    dataset_close(set);
    params.count = TRAINING + 1;
    expect_refused(*state, &params, STATUS_USAGE, "10 pictures are asked for|has 9|use 0 for all");
}

static void folders_by_other_names(void **state)
{
    const struct photo_fixture *fixture = *state;
    struct dataset_params params = params_of(fixture, true);
    char *from = photo_path(fixture, "photos"), *to = photo_path(fixture, "insects");
    assert_int_equal(rename(from, to), 0);
    expect_refused(*state, &params, STATUS_DATA, "photos/train|no photographs are in it");
    params.folder = "insects";
    dataset_close(open_set(&params));
    free(from);
    from = photo_path(fixture, "imagenet");
    assert_int_equal(rename(to, from), 0);
    params.name = "imagenet";
    params.folder = "";
    dataset_close(open_set(&params));
    free(from);
    free(to);
}

/* Of other sizes than the set's own, one after the other. */
static void other_sizes(void **state)
{
    static const int sizes[] = {16, 48, 7, 32, 64};
    static float out[3 * 64 * 64], expected[3 * 64 * 64];
    struct dataset *set = open_training(*state);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (uint32_t i = 0; i < TRAINING; i++) {
            struct random_stream stream = stream_of(i), same = stream_of(i);
            assert_int_equal(set->ops->fetch_at(set, i, sizes[s], &stream, out), STATUS_OK);
            make_expected(i, sizes[s], &same, expected);
            photos_expect_near(out, expected, 3 * (size_t)sizes[s] * (size_t)sizes[s]);
        }
    dataset_close(set);
}

static void parts_of_the_work(void **state)
{
    struct dataset *set = open_training(*state);
    struct drawn drawn = draw(0);
    float out[FLOATS], whole[FLOATS];
    uint64_t bytes = 0;
    struct random_stream stream = stream_of(1), same = stream_of(1);
    assert_int_equal(set->ops->fetch_part(set, 0, SIZE, DATASET_READ, NULL, out, &bytes), STATUS_OK);
    assert_int_equal(bytes, drawn.size);
    assert_int_equal(set->ops->fetch_part(set, 0, SIZE, DATASET_WHOLE, NULL, out, &bytes), STATUS_OK);
    assert_int_equal(bytes, 50 * 45 * 3);
    assert_int_equal(set->ops->fetch_part(set, 0, SIZE, DATASET_DECODE, NULL, out, NULL), STATUS_OK);
    assert_int_equal(set->ops->fetch_part(set, 0, SIZE, DATASET_ALL, &stream, out, &bytes), STATUS_OK);
    assert_int_equal(bytes, sizeof out);
    assert_int_equal(set->ops->fetch(set, 0, &same, whole), STATUS_OK);
    assert_memory_equal(out, whole, sizeof out);
    free(drawn.bytes);
    dataset_close(set);
}

/* --- packs --- */

static void ignore_progress(void *context, const struct photo_pack_progress *progress)
{
    (void)context, (void)progress;
}

static void ignore_split(void *context, const struct photo_pack_split *split)
{
    (void)context, (void)split;
}

/* FOLDER/photos into FOLDER/packed, in shards of a few pictures. */
static void pack(const struct photo_fixture *fixture)
{
    char *source = photo_path(fixture, "photos"), *destination = photo_path(fixture, "packed");
    struct photo_pack_params params = {
        .source = source, .destination = destination, .shard_bytes = 10000, .threads = 1};
    struct photo_pack_observer observer = {.progress = ignore_progress, .split = ignore_split};
    assert_int_equal(photo_pack(&params, &observer), STATUS_OK);
    free(source);
    free(destination);
}

/* Number of the training picture whose middle this is. */
static uint32_t find_drawing(const float *out)
{
    for (uint32_t seed = 0; seed < TRAINING; seed++) {
        float expected[FLOATS], worst = 0;
        make_expected(seed, SIZE, NULL, expected);
        for (int i = 0; i < FLOATS; i++)
            worst = fmaxf(worst, fabsf(out[i] - expected[i]));
        if (worst < 1e-5f)
            return seed;
    }
    fail_msg("%s", "a picture that nobody has drawn");
    return 0;
}

static void packs_have_the_same_pictures(void **state)
{
    struct photo_fixture *fixture = *state;
    struct dataset_params params = params_of(fixture, true);
    int seen[TRAINING] = {0};
    pack(fixture);
    params.folder = "packed";
    struct dataset *set = open_set(&params);
    uint32_t all[TRAINING];
    assert_int_equal(set->count, TRAINING);
    assert_null(set->block_ends); /* it fits in memory */
    for (uint32_t i = 0; i < TRAINING; i++)
        all[i] = i;
    set->ops->will_need(set, all, TRAINING);
    for (size_t i = 0; i < TRAINING; i++) {
        float out[FLOATS];
        assert_int_equal(set->ops->fetch(set, i, NULL, out), STATUS_OK);
        uint32_t seed = find_drawing(out);
        assert_int_equal(set->labels[i], seed / 3);
        expect_drawing(set, i, seed);
        seen[seed]++;
    }
    for (int i = 0; i < TRAINING; i++)
        assert_int_equal(seen[i], 1);
    dataset_close(set);
    params = params_of(fixture, false);
    params.folder = "packed";
    set = open_set(&params);
    assert_int_equal(set->class_count, 3);
    for (size_t i = 0; i < TESTING; i++)
        assert_true(set->labels[i] == 0 || set->labels[i] == 2);
    dataset_close(set);
}

static void packs_lie_in_blocks_if_asked(void **state)
{
    struct photo_fixture *fixture = *state;
    struct dataset_params params = params_of(fixture, true);
    pack(fixture);
    params.folder = "packed";
    params.shuffle.way = DATASET_SHUFFLE_BLOCKS;
    params.shuffle.block_bytes = 5000;
    params.shuffle.pool_bytes = 10000;
    struct dataset *set = open_set(&params);
    assert_true(set->block_count > 2 && set->block_count < TRAINING);
    assert_int_equal(set->pool, 2);
    assert_int_equal(set->block_ends[set->block_count - 1], TRAINING);
    dataset_close(set);
    params.shuffle.way = DATASET_SHUFFLE_UNIFORM;
    set = open_set(&params);
    assert_true(set->block_ends == NULL && set->block_count == 0 && set->pool == 0);
    dataset_close(set);
}

/* Its shards become shorter while it is open: what is gone is replaced, or said. */
static void shards_that_shrink(void **state)
{
    struct photo_fixture *fixture = *state;
    struct dataset_params params = params_of(fixture, true);
    pack(fixture);
    params.folder = "packed";
    struct dataset *set = open_set(&params);
    uint32_t all[TRAINING];
    int good = 0;
    cut_file(fixture, "packed/train/shard-00000.bin", 2000);
    capture_begin(&fixture->capture);
    for (uint32_t i = 0; i < TRAINING; i++)
        all[i] = i;
    set->ops->will_need(set, all, TRAINING);
    for (size_t i = 0; i < TRAINING; i++) {
        float out[FLOATS];
        good += set->ops->fetch(set, i, NULL, out) == STATUS_OK;
    }
    photo_expect_message(capture_end(&fixture->capture), "cannot be read: the file has become shorter");
    assert_true(good > 0);
    dataset_close(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(sets_are_as_their_folders),
        IN_FOLDER(tests_have_the_classes_of_training),
        IN_FOLDER(classes_that_training_lacks_are_refused),
        IN_FOLDER(fewer_are_taken_evenly),
        IN_FOLDER(folders_by_other_names),
        IN_FOLDER(other_sizes),
        IN_FOLDER(parts_of_the_work),
        IN_FOLDER(packs_have_the_same_pictures),
        IN_FOLDER(packs_lie_in_blocks_if_asked),
        IN_FOLDER(shards_that_shrink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
