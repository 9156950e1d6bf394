/* Signals that are noted: what they mean before, while and after the process is armed, on whatever thread they come. */
#include "base/interrupt.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
        cmocka_unit_test(test_before_arming),
        cmocka_unit_test(test_after_arming),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
