/* Messages: levels, held errors, ranks, and lines that stay whole when threads write at once. The rank and the level
 * are the process's, so tests that set them run in a child of their own. */
#include "base/log.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/thread.h"
#include "capture.h"

/* What `run` writes to standard error in a child process. */
static const char *in_child(struct capture *capture, void (*run)(void))
{
    int how;
    capture_begin(capture);
    pid_t child = fork();
    if (child == 0) {
        run();
        _exit(0);
    }
    waitpid(child, &how, 0);
    const char *text = capture_end(capture);
    assert_true(child > 0 && WIFEXITED(how) && WEXITSTATUS(how) == 0);
    return text;
}

static void say_all(void)
{
    log_error("e %d", 1);
    log_warning("w %d", 2);
    log_info("i %d", 3);
    log_debug("d %d", 4);
}

static void say_all_as_told_by_environment(void)
{
    say_all();
    setenv("GRAPEVINE_LOG", "error", 1);
    log_info("the level is read once");
}

static void test_default_level(void **state)
{
    struct capture capture;
    (void)state;
    unsetenv("GRAPEVINE_LOG");
    assert_string_equal(
        in_child(&capture, say_all_as_told_by_environment),
        "grapevine: error: e 1\ngrapevine: warning: w 2\ngrapevine: i 3\ngrapevine: the level is read once\n");
    setenv("GRAPEVINE_LOG", "loud", 1);
    assert_string_equal(in_child(&capture, say_all),
                        "grapevine: error: e 1\ngrapevine: warning: w 2\ngrapevine: i 3\n");
    setenv("GRAPEVINE_LOG", "error", 1);
    assert_string_equal(in_child(&capture, say_all), "grapevine: error: e 1\n");
    setenv("GRAPEVINE_LOG", "debug", 1);
    assert_string_equal(in_child(&capture, say_all), "grapevine: error: e 1\ngrapevine: warning: w 2\ngrapevine: i 3\n"
                                                     "grapevine: debug: d 4\n");
    unsetenv("GRAPEVINE_LOG");
}

static void test_levels(void **state)
{
    struct capture capture;
    (void)state;
    enum log_level before = log_get_level(), level = LOG_ERROR;
    log_set_level(LOG_WARNING);
    assert_int_equal(log_get_level(), LOG_WARNING);
    capture_begin(&capture);
    say_all();
    assert_string_equal(capture_end(&capture), "grapevine: error: e 1\ngrapevine: warning: w 2\n");
    log_set_level(before);
    assert_true(log_level_parse("debug", &level) && level == LOG_DEBUG);
    assert_true(log_level_parse("error", &level) && level == LOG_ERROR);
    assert_false(log_level_parse("Error", &level));
    assert_false(log_level_parse("", &level));
}

/* Held errors come out on release, in order and once; other messages are not held. */
static void test_hold(void **state)
{
    struct capture capture;
    (void)state;
    capture_begin(&capture);
    log_hold(true);
    log_error("first");
    log_info("not held");
    log_on_this_rank(LOG_ERROR, "second");
    assert_string_equal(capture_end(&capture), "grapevine: not held\n");
    capture_begin(&capture);
    log_release();
    log_release();
    assert_string_equal(capture_end(&capture), "grapevine: error: first\ngrapevine: error: second\n");
    capture_begin(&capture);
    log_error("dropped");
    log_hold(false);
    log_release();
    log_error("at once");
    assert_string_equal(capture_end(&capture), "grapevine: error: at once\n");
}

static void *say_aside(void *unused)
{
    log_on_this_rank(LOG_ERROR, "aside");
    return unused;
}

/* What another thread has to say is not held, and does not get lost. */
static void test_hold_one_thread(void **state)
{
    struct capture capture;
    pthread_t thread;
    (void)state;
    log_hold(true);
    log_error("held");
    capture_begin(&capture);
    assert_int_equal(pthread_create(&thread, NULL, say_aside, NULL), 0);
    pthread_join(thread, NULL);
    assert_string_equal(capture_end(&capture), "grapevine: error: aside\n");
    log_hold(false);
}

/* More errors than can be held: what is released is cut, never overrun. */
static void test_hold_too_many(void **state)
{
    struct capture capture;
    (void)state;
    log_hold(true);
    for (int i = 0; i < 10000; i++)
        log_error("message %04d", i);
    capture_begin(&capture);
    log_release();
    const char *text = capture_end(&capture);
    log_hold(false);
    assert_true(strlen(text) >= 8192 && strlen(text) < sizeof capture.text - 1);
    assert_memory_equal(text, "grapevine: error: message 0000\n", 31);
}

static void test_long_message(void **state)
{
    struct capture capture;
    char *word = malloc(100001);
    (void)state;
    memset(word, 'x', 100000);
    word[100000] = '\0';
    capture_begin(&capture);
    log_error("%s", word);
    log_error("next");
    const char *text = capture_end(&capture), *newline = strchr(text, '\n');
    assert_non_null(newline);
    assert_true(newline - text > 1000);
    assert_string_equal(newline + 1, "grapevine: error: next\n");
    free(word);
}

static void test_one_line_whatever_is_in_it(void **state)
{
    struct capture capture;
    (void)state;
    capture_begin(&capture);
    log_error("no\nsuch\x1b[31m\x7f file: Müsli");
    assert_string_equal(capture_end(&capture), "grapevine: error: no?such?[31m? file: Müsli\n");
}

static void say_as_guessed_rank(void)
{
    setenv("SLURM_PROCID", "3", 1);
    if (log_launch_rank() != 3)
        _exit(1);
    log_guess_rank();
    say_all();
    log_on_this_rank(LOG_WARNING, "of my own");
    log_hold(true);
    log_error("held on every rank");
    log_release();
}

/* Of several independent processes that one launcher has started, each speaks. */
static void say_as_no_rank(void)
{
    setenv("SLURM_PROCID", "3", 1);
    say_all();
}

static void say_as_told_rank(void)
{
    log_set_rank(3, 8);
    say_all();
    log_on_this_rank(LOG_WARNING, "of my own");
    log_on_this_rank(LOG_DEBUG, "too quiet");
}

static void say_as_first_rank(void)
{
    setenv("OMPI_COMM_WORLD_RANK", "5", 1);
    log_set_rank(0, 2);
    log_error("what all see");
    log_on_this_rank(LOG_ERROR, "what one sees");
    log_set_rank(0, 1);
    log_on_this_rank(LOG_ERROR, "alone");
}

static void test_ranks(void **state)
{
    struct capture capture;
    (void)state;
    assert_int_equal(log_launch_rank(), 0);
    assert_string_equal(in_child(&capture, say_as_guessed_rank),
                        "grapevine: warning: of my own\ngrapevine: error: held on every rank\n");
    assert_string_equal(in_child(&capture, say_as_no_rank),
                        "grapevine: error: e 1\ngrapevine: warning: w 2\ngrapevine: i 3\n");
    assert_string_equal(in_child(&capture, say_as_told_rank), "grapevine: [rank 3] warning: of my own\n");
    assert_string_equal(in_child(&capture, say_as_first_rank), "grapevine: error: what all see\n"
                                                               "grapevine: [rank 0] error: what one sees\n"
                                                               "grapevine: error: alone\n");
}

enum { THREADS = 4, LINES = 300 };

static void *write_lines(void *context)
{
    for (int i = 0; i < LINES; i++)
        log_warning("thread %s line %03d of the test", (const char *)context, i);
    return NULL;
}

static void test_lines_stay_whole(void **state)
{
    char names[THREADS][2] = {"a", "b", "c", "d"};
    struct thread threads[THREADS] = {{.started = false}};
    struct capture capture;
    int next[THREADS] = {0}, line;
    char name;
    (void)state;
    capture_begin(&capture);
    for (int i = 0; i < THREADS; i++)
        thread_start(&threads[i], "writer", write_lines, names[i]);
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    const char *text = capture_end(&capture);
    for (int i = 0; i < THREADS * LINES; i++) {
        int end = 0;
        int read = sscanf(text, "grapevine: warning: thread %c line %d of the test%n", &name, &line, &end);
        assert_true(read == 2 && text[end] == '\n');
        assert_int_equal(line, next[name - 'a']++);
        text += end + 1;
    }
    assert_int_equal(text[0], '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_level), /* first: the level is read from the environment once */
        cmocka_unit_test(test_levels),          cmocka_unit_test(test_hold),
        cmocka_unit_test(test_hold_one_thread), cmocka_unit_test(test_hold_too_many),
        cmocka_unit_test(test_long_message),    cmocka_unit_test(test_one_line_whatever_is_in_it),
        cmocka_unit_test(test_ranks),           cmocka_unit_test(test_lines_stay_whole),
    };
    static const char *const launchers[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"};
    for (size_t i = 0; i < sizeof launchers / sizeof launchers[0]; i++)
        unsetenv(launchers[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
