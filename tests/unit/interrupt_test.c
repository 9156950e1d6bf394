/* Signals that are noted: what they mean before, while and after the process is armed, on whatever thread they come. */
#include "base/interrupt.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/thread.h"

/* What has been asked of a process stays asked: each test has one of its own. */
static void in_child(void (*test)(void))
{
    int how = 0;
    pid_t child = fork();
    if (child == 0) {
        interrupt_listen();
        test();
        _exit(0);
    }
    waitpid(child, &how, 0);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
}

static void must(bool good)
{
    if (!good)
        _exit(9);
}

static void ask_before_arming(void)
{
    must(*interrupt_leave() == 0 && !interrupt_cancels());
    raise(SIGUSR1);
    must(*interrupt_leave() == SIGUSR1 && !interrupt_cancels());
    interrupt_arm(true);
    must(interrupt_cancels());
    interrupt_arm(false);
    must(!interrupt_cancels() && *interrupt_leave() == SIGUSR1);
}

static void ask_after_arming(void)
{
    interrupt_arm(true);
    must(!interrupt_cancels());
    raise(SIGTERM);
    must(*interrupt_leave() == SIGTERM && interrupt_cancels());
    interrupt_raise();
    must(*interrupt_leave() == SIGTERM);
    interrupt_arm(false);
    raise(SIGINT);
    must(*interrupt_leave() == SIGINT && !interrupt_cancels());
}

static void report(void)
{
    must(!interrupt_take_report());
    raise(SIGUSR2);
    raise(SIGUSR2);
    must(interrupt_take_report() && !interrupt_take_report() && *interrupt_leave() == 0);
}

/* A signal to this thread alone, or none: this thread asks by itself. */
static int signal_of_thread;

static void *ask(void *context)
{
    (void)context;
    if (signal_of_thread == 0)
        interrupt_raise();
    else
        pthread_kill(pthread_self(), signal_of_thread);
    return NULL;
}

/* One thread is asked, or asks, while the other arms, works until it is to stop, and disarms. */
static void ask_on_another_thread(void)
{
    struct thread thread = {.started = false};
    must(thread_start(&thread, "asks", ask, NULL) == STATUS_OK);
    interrupt_arm(true);
    while (!interrupt_cancels())
        (void)interrupt_take_report();
    must(*interrupt_leave() == (signal_of_thread != 0 ? signal_of_thread : SIGTERM));
    interrupt_arm(false);
    must(!interrupt_cancels());
    thread_join(&thread);
    must(!interrupt_cancels());
}

static void every_signal_that_asks(void)
{
    static const int asking[] = {SIGTERM, SIGUSR1, SIGHUP, SIGXCPU, SIGINT};
    for (size_t k = 0; k < sizeof asking / sizeof asking[0]; k++) {
        raise(asking[k]);
        must(*interrupt_leave() == asking[k]);
    }
}

/* In a process of its own, which is started with one of the signals ignored, and is sent that one. */
static void test_ignored(void **state)
{
    (void)state;
    static const int asking[] = {SIGTERM, SIGUSR1, SIGHUP, SIGXCPU, SIGINT, SIGUSR2};
    for (size_t k = 0; k < sizeof asking / sizeof asking[0]; k++) {
        int how = 0;
        pid_t child = fork();
        if (child == 0) {
            signal(asking[k], SIG_IGN);
            interrupt_listen();
            raise(asking[k]);
            must(*interrupt_leave() == 0 && !interrupt_take_report());
            raise(asking[k] == SIGTERM ? SIGUSR1 : SIGTERM);
            _exit(*interrupt_leave() != 0 ? 0 : 8);
        }
        waitpid(child, &how, 0);
        assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    }
}

/* Bytes that a write to a pipe without a reader, or beyond the limit on file sizes, has written: −1, not the end. */
static void writes_that_fail(void)
{
    int ends[2];
    FILE *file = tmpfile();
    struct rlimit none = {0, RLIM_INFINITY};
    must(file != NULL && pipe(ends) == 0 && close(ends[0]) == 0 && setrlimit(RLIMIT_FSIZE, &none) == 0);
    interrupt_make_errors(true);
    must(write(ends[1], "x", 1) == -1 && errno == EPIPE);
    must(write(fileno(file), "x", 1) == -1 && errno == EFBIG);
}

static void a_reader_that_is_missed(void)
{
    int ends[2];
    must(pipe(ends) == 0 && close(ends[0]) == 0);
    interrupt_make_errors(false);
    (void)!write(ends[1], "x", 1);
    _exit(8);
}

static void test_writes_that_fail(void **state)
{
    (void)state;
    int how = 0;
    in_child(writes_that_fail);
    pid_t child = fork();
    if (child == 0)
        a_reader_that_is_missed();
    waitpid(child, &how, 0);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGPIPE);
}

static void test_every_signal(void **state)
{
    (void)state;
    in_child(every_signal_that_asks);
}

static void test_before_arming(void **state)
{
    (void)state;
    in_child(ask_before_arming);
}

static void test_after_arming(void **state)
{
    (void)state;
    in_child(ask_after_arming);
}

static void test_report(void **state)
{
    (void)state;
    in_child(report);
}

static void test_threads(void **state)
{
    (void)state;
    static const int signals[] = {SIGTERM, SIGUSR1, 0};
    for (int k = 0; k < 60; k++) {
        signal_of_thread = signals[k % 3];
        in_child(ask_on_another_thread);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_arming), cmocka_unit_test(test_after_arming),
        cmocka_unit_test(test_report),        cmocka_unit_test(test_every_signal),
        cmocka_unit_test(test_ignored),       cmocka_unit_test(test_writes_that_fail),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
