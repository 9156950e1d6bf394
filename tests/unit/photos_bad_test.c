/* The sets of photographs (data/dataset.h) where some cannot be read: replaced by the next of their class and named
 * once, or errors; the same for all threads, whatever they have seen before. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "photos_fixture.h"

/* How often it stands in the text. */
static int count_of(const char *text, const char *words)
{
    int count = 0;
    for (; (text = strstr(text, words)) != NULL; text++)
        count++;
    return count;
}

static void remove_file(const struct photo_fixture *fixture, const char *name)
{
    char *path = photo_path(fixture, name);
    assert_int_equal(unlink(path), 0);
    free(path);
}

static void make_pipe(const struct photo_fixture *fixture, const char *name)
{
    char *path = photo_path(fixture, name);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    free(path);
}

/* Bees 0 and 2 are bad, and the last ant and cow: the next of the class takes their place, around its end. */
static void bad_ones_are_replaced_and_named_once(void **state)
{
    static const uint32_t expected[TRAINING] = {0, 1, 0, 4, 4, 4, 6, 7, 6};
    struct photo_fixture *fixture = *state;
    photo_write_text(fixture, "photos/train/bee/a.jpeg", "GIF89a, as it happens");
    photo_write_text(fixture, "photos/train/bee/c.JPG", "");
    cut_file(fixture, "photos/train/ant/3.JPEG", 300);
    make_pipe(fixture, "photos/train/cow/z.jpg");
    struct dataset *set = open_training(fixture);
    capture_begin(&fixture->capture);
    for (int times = 0; times < 3; times++)
        for (size_t i = 0; i < TRAINING; i++)
            expect_drawing(set, i, expected[i]);
    const char *message = capture_end(&fixture->capture);
    photo_expect_message(
        message, "photos/train/bee/a.jpeg: is a GIF, not a JPEG, PNG or WebP; another picture of its class takes|"
                 "bee/c.JPG: is empty|ant/3.JPEG: the data end early|cow/z.jpg: is no regular file");
    assert_int_equal(count_of(message, "photos/train"), 4);
    dataset_close(set);
}

static void files_that_change_after_opening(void **state)
{
    struct photo_fixture *fixture = *state;
    struct dataset *set = open_training(fixture);
    expect_drawing(set, 0, 0);
    remove_file(fixture, "photos/train/ant/1.jpg");
    cut_file(fixture, "photos/train/bee/b.jpg", 0);
    add_picture(fixture, "photos/train/cow/x.jpg", 20);
    capture_begin(&fixture->capture);
    expect_drawing(set, 0, 1);
    expect_drawing(set, 4, 5);
    expect_drawing(set, 6, 20);
    photo_expect_message(capture_end(&fixture->capture), "ant/1.jpg: cannot be opened: No such file|b.jpg: is empty");
    dataset_close(set);
}

static void a_class_without_any(void **state)
{
    struct photo_fixture *fixture = *state;
    float out[FLOATS];
    for (int i = 3; i < 6; i++) {
        char *name = text_format("photos/train/%s", training[i]);
        photo_write_text(fixture, name, "bzz");
        free(name);
    }
    struct dataset *set = open_training(fixture);
    capture_begin(&fixture->capture);
    enum status bad = set->ops->fetch(set, 4, NULL, out), good = set->ops->fetch(set, 1, NULL, out);
    const char *message = capture_end(&fixture->capture);
    assert_int_equal(bad, STATUS_DATA);
    assert_int_equal(good, STATUS_OK);
    photo_expect_message(message,
                         "a.jpeg: is not a JPEG|b.jpg: is not|c.JPG: is not|no picture of class bee can be read");
    dataset_close(set);
}

/* Not replaced: an error, each time it is asked for. */
static void bad_ones_may_be_errors(void **state)
{
    struct photo_fixture *fixture = *state;
    struct dataset_params params = params_of(fixture, true);
    float out[FLOATS];
    params.stops_at_bad = true;
    photo_write_text(fixture, "photos/train/bee/b.jpg", "<html>");
    struct dataset *set = open_set(&params);
    capture_begin(&fixture->capture);
    for (int times = 0; times < 2; times++)
        assert_int_equal(set->ops->fetch(set, 4, NULL, out), STATUS_DATA);
    const char *message = capture_end(&fixture->capture);
    photo_expect_message(message, "bee/b.jpg: is a web page or XML|remove it, or set data.on_bad=skip");
    assert_int_equal(count_of(message, "b.jpg"), 1);
    expect_drawing(set, 3, 3);
    dataset_close(set);
}

/* Twenty are named, that there are more is said once. */
static void not_all_are_named(void **state)
{
    struct photo_fixture *fixture = *state;
    float out[FLOATS];
    for (int i = 0; i < 30; i++) {
        char *name = text_format("photos/train/ant/0%02d.jpg", i);
        photo_write_text(fixture, name, "?");
        free(name);
    }
    struct dataset *set = open_training(fixture);
    capture_begin(&fixture->capture);
    enum status status = set->ops->fetch(set, 0, NULL, out);
    const char *message = capture_end(&fixture->capture);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(count_of(message, "is not a JPEG, PNG or WebP; another"), 20);
    assert_int_equal(count_of(message, "more than 20 pictures cannot be read; the others are not named"), 1);
    dataset_close(set);
}

/* Of a picture whose end is missing a crop near its top is whole: whether it is replaced depends on the crop, but not
 * on the crops before. */
static void what_is_made_does_not_depend_on_history(void **state)
{
    enum { CROPS = 40 };
    static float forward[CROPS][FLOATS], backward[CROPS][FLOATS];
    struct photo_fixture *fixture = *state;
    struct drawn drawn = draw(1);
    int own = 0;
    cut_file(fixture, "photos/train/ant/2.jpg", (long)drawn.size * 2 / 3);
    capture_begin(&fixture->capture);
    for (int way = 0; way < 2; way++) {
        struct dataset *set = open_training(fixture);
        for (int k = 0; k < CROPS; k++) {
            int crop = way == 0 ? k : CROPS - 1 - k;
            struct random_stream stream = stream_of((uint64_t)crop);
            assert_int_equal(set->ops->fetch(set, 1, &stream, way == 0 ? forward[crop] : backward[crop]), STATUS_OK);
        }
        dataset_close(set);
    }
    capture_end(&fixture->capture);
    assert_memory_equal(forward, backward, sizeof forward);
    for (int k = 0; k < CROPS; k++) {
        float expected[FLOATS];
        struct random_stream stream = stream_of((uint64_t)k);
        make_expected(1, SIZE, &stream, expected);
        own += fabsf(forward[k][FLOATS / 2] - expected[FLOATS / 2]) < 1e-5f;
    }
    assert_in_range(own, 1, CROPS - 1); /* some are its own, some another's */
    free(drawn.bytes);
}

/* --- several threads --- */

enum { THREADS = 5, ROUNDS = 20 };

struct work {
    const struct dataset *set;
    uint32_t seed;
    float (*expected)[FLOATS]; /* (TRAINING) */
    bool differs;
};

static void *fetch_all(void *context)
{
    struct work *work = context;
    struct random_stream order = stream_of(1000 + work->seed);
    float out[FLOATS];
    for (int i = 0; i < ROUNDS * TRAINING; i++) {
        uint32_t index = random_below(&order, TRAINING);
        struct random_stream stream = stream_of(index);
        if (work->set->ops->fetch(work->set, index, &stream, out) != STATUS_OK ||
            memcmp(out, work->expected[index], sizeof out) != 0)
            work->differs = true;
    }
    return NULL;
}

static void threads_get_the_same_bits(void **state)
{
    static float expected[TRAINING][FLOATS];
    struct photo_fixture *fixture = *state;
    pthread_t threads[THREADS];
    struct work work[THREADS];
    photo_write_text(fixture, "photos/train/bee/b.jpg", "no");
    cut_file(fixture, "photos/train/cow/y.jpg", 600);
    struct dataset *alone = open_training(fixture), *shared = open_training(fixture);
    capture_begin(&fixture->capture);
    for (size_t i = 0; i < TRAINING; i++) {
        struct random_stream stream = stream_of(i);
        assert_int_equal(alone->ops->fetch(alone, i, &stream, expected[i]), STATUS_OK);
    }
    capture_end(&fixture->capture);
    capture_begin(&fixture->capture);
    for (uint32_t t = 0; t < THREADS; t++) {
        work[t] = (struct work){.set = shared, .seed = t, .expected = expected};
        assert_int_equal(pthread_create(&threads[t], NULL, fetch_all, &work[t]), 0);
    }
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    const char *message = capture_end(&fixture->capture);
    assert_int_equal(count_of(message, "b.jpg"), 1); /* named once */
    for (int t = 0; t < THREADS; t++)
        assert_false(work[t].differs);
    dataset_close(shared);
    dataset_close(alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(bad_ones_are_replaced_and_named_once),
        IN_FOLDER(files_that_change_after_opening),
        IN_FOLDER(a_class_without_any),
        IN_FOLDER(bad_ones_may_be_errors),
        IN_FOLDER(not_all_are_named),
        IN_FOLDER(what_is_made_does_not_depend_on_history),
        IN_FOLDER(threads_get_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
