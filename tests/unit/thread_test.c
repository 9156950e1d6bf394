/* Threads and the wake-up call: what is remembered, what is cleared, and odd time limits. No time is asserted. */
#include "base/thread.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
    char name[16];
    int nice;
};

static void *look_around(void *context)
{
    struct seen *seen = context;
    /* The starter names the thread after it has begun, and half of a name may be seen. */
    while (strcmp(seen->name, "walker-of-graph") != 0)
        pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
    thread_set_nice(7);
    seen->nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    return NULL;
}

static void test_start_and_join(void **state)
{
    struct thread thread = {.started = false};
    struct seen seen = {.nice = -100};
    int own = getpriority(PRIO_PROCESS, (id_t)gettid());
    (void)state;
    thread_join(&thread); /* never started: nothing happens */
    assert_int_equal(thread_start(&thread, "walker-of-graph", look_around, &seen), STATUS_OK);
    assert_true(thread.started);
    thread_join(&thread);
    assert_false(thread.started);
    thread_join(&thread);
    assert_string_equal(seen.name, "walker-of-graph");
    assert_int_equal(seen.nice, own > 7 ? own : 7);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)gettid()), own);
}

static void test_set_is_remembered_once(void **state)
{
    struct wakeup wakeup;
    (void)state;
    wakeup_init(&wakeup);
    assert_false(wakeup_wait(&wakeup, 0));
    wakeup_set(&wakeup);
    wakeup_set(&wakeup);
    assert_true(wakeup_wait(&wakeup, 0));
    assert_false(wakeup_wait(&wakeup, 0));
    assert_false(wakeup_wait(&wakeup, 0.001));
    wakeup_set(&wakeup);
    assert_true(wakeup_wait(&wakeup, 3600));
    wakeup_release(&wakeup);
}

/* A limit that is past, not a number, or has no end is a limit all the same. */
static void test_odd_limits(void **state)
{
    static const double past[] = {-1, -0.5, -1e30, -INFINITY, NAN, 1e-12, 0.999999999};
    static const double far[] = {1e9, 1e30, INFINITY};
    struct wakeup wakeup;
    (void)state;
    wakeup_init(&wakeup);
    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
        if (!(past[i] > 0.5))
            assert_false(wakeup_wait(&wakeup, past[i]));
        wakeup_set(&wakeup);
        assert_true(wakeup_wait(&wakeup, past[i]));
    }
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        wakeup_set(&wakeup);
        assert_true(wakeup_wait(&wakeup, far[i]));
    }
    wakeup_release(&wakeup);
}

enum { ROUNDS = 2000 };

struct table_tennis {
    struct wakeup here, there;
    int hits; /* only the side that was woken touches it */
};

static void *play(void *context)
{
    struct table_tennis *game = context;
    for (int i = 0; i < ROUNDS; i++) {
        if (!wakeup_wait(&game->there, INFINITY))
            return game;
        game->hits++;
        wakeup_set(&game->here);
    }
    return NULL;
}

/* Wake-ups between two threads: none is lost and none comes twice. */
static void test_between_threads(void **state)
{
    struct table_tennis game = {.hits = 0};
    struct thread thread = {.started = false};
    (void)state;
    wakeup_init(&game.here);
    wakeup_init(&game.there);
    assert_int_equal(thread_start(&thread, "player", play, &game), STATUS_OK);
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(game.hits, i);
        wakeup_set(&game.there);
        assert_true(wakeup_wait(&game.here, 600));
    }
    thread_join(&thread);
    assert_int_equal(game.hits, ROUNDS);
    assert_false(wakeup_wait(&game.here, 0));
    assert_false(wakeup_wait(&game.there, 0));
    wakeup_release(&game.here);
    wakeup_release(&game.there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_and_join),
        cmocka_unit_test(test_set_is_remembered_once),
        cmocka_unit_test(test_odd_limits),
        cmocka_unit_test(test_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
