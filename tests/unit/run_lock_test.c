/* app/run_lock.h: who may write in a run directory, among processes that run, have ended, are orphans or elsewhere. */
#include "app/run_lock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "capture.h"
#include "folder_fixture.h"

static const struct run_lock_times quick = {.beat = 0.02, .watch = 0.5, .wait = 0.2};

static void write_lock(const char *content)
{
    char *path = text_format("%s/lock", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
    free(path);
}

/* Owned by the caller. */
static char *lock_now(void)
{
    struct text content = {0};
    run_lock_read(folder, &content);
    return content.data != NULL ? content.data : calloc(1, 1);
}

static enum status judge_as(const struct run_process *own)
{
    char *content = lock_now();
    enum status status = run_lock_judge(folder, content, own, 1, 0, &quick);
    free(content);
    return status;
}

static enum status judge(void)
{
    struct run_process own;
    run_process_self(0, &own);
    return judge_as(&own);
}

/* What it says is borrowed until the next call. */
static const char *refused(void)
{
    static struct capture capture;
    capture_begin(&capture);
    enum status status = judge();
    const char *said = capture_end(&capture);
    assert_int_equal(status, STATUS_USAGE);
    return said;
}

static enum status take(const char *before, char token[RUN_LOCK_TOKEN_BYTES])
{
    struct run_process own;
    run_process_self(0, &own);
    return run_lock_take(folder, before, &own, 1, token);
}

/* A child that has the lock, and waits to be ended. */
static pid_t start_owner(void)
{
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        char token[RUN_LOCK_TOKEN_BYTES];
        byte = take("", token) == STATUS_OK ? 'y' : 'n';
        if (write(ready[1], &byte, 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void one_that_runs_is_left_alone(void **state)
{
    char token[RUN_LOCK_TOKEN_BYTES], pid[32];
    pid_t owner = start_owner();
    (void)state;
    const char *said = refused();
    snprintf(pid, sizeof pid, "process %d on ", (int)owner);
    assert_non_null(strstr(said, pid));
    assert_non_null(strstr(said, "which still runs"));
    kill(owner, SIGKILL);
    siginfo_t info; /* ended, but its parent has not asked for its status */
    waitid(P_PID, (id_t)owner, &info, WEXITED | WNOWAIT);
    assert_int_equal(judge(), STATUS_OK);
    waitpid(owner, NULL, 0);
    assert_int_equal(judge(), STATUS_OK);
    char *before = lock_now();
    assert_int_equal(take(before, token), STATUS_OK);
    char *after = lock_now();
    assert_string_not_equal(before, after);
    assert_non_null(strstr(after, token));
    free(before);
    free(after);
}

/* Of two that have seen the same lock, or none, one gets it. */
static void the_second_is_refused(void **state)
{
    static struct capture capture;
    char token[RUN_LOCK_TOKEN_BYTES];
    (void)state;
    assert_int_equal(take("", token), STATUS_OK);
    char *first = lock_now();
    capture_begin(&capture);
    assert_int_equal(take("", token), STATUS_USAGE);
    assert_non_null(strstr(capture_end(&capture), "at the same time"));
    assert_int_equal(take(first, token), STATUS_OK);
    capture_begin(&capture);
    assert_int_equal(take(first, token), STATUS_USAGE);
    (void)capture_end(&capture);
    char *left = text_format("test -z \"$(find %s -name '.lock-*')\"", folder);
    assert_int_equal(system(left), 0);
    free(left);
    free(first);
}

/* Its parent is gone: it is waited for, and named if that does not help. */
static void orphans_are_waited_for(void **state)
{
    struct run_process owner;
    struct text content = {0};
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    run_process_self(0, &owner);
    char *path = text_format("/proc/%d/stat", (int)child), line[1024];
    FILE *stat = fopen(path, "r");
    assert_non_null(stat);
    line[fread(line, 1, sizeof line - 1, stat)] = '\0';
    fclose(stat);
    unsigned long long start = 0;
    assert_int_equal(sscanf(strrchr(line, ')') + 2,
                            "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &start),
                     1);
    text_add(&content, "grapevine-lock-1 0123456789abcdef 000000000007\n0 %d %llu 1 %s %s\n", (int)child, start,
             owner.machine, owner.host);
    write_lock(text_view(&content));
    assert_non_null(strstr(refused(), "what has started it is gone"));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(judge(), STATUS_OK);
    text_release(&content);
    free(path);
}

static void elsewhere_the_beat_tells(void **state)
{
    struct run_lock *lock = NULL;
    char token[RUN_LOCK_TOKEN_BYTES];
    struct run_process other;
    (void)state;
    run_process_self(0, &other);
    strcpy(other.machine, "another-boot/pid:[1]");
    assert_int_equal(run_lock_take(folder, "", &other, 1, token), STATUS_OK);
    assert_int_equal(run_lock_keep(folder, "", token, 0, &quick, &lock), STATUS_OK);
    assert_int_equal(judge(), STATUS_USAGE);
    run_lock_end(lock, RUN_LOCK_LEFT);
    assert_int_equal(judge(), STATUS_OK); /* it has not moved for a while */
    assert_int_equal(run_lock_keep(folder, "", token, 1, &quick, &lock), STATUS_OK);
    assert_int_equal(judge(), STATUS_USAGE); /* where rank 0 is dead, another one beats */
    run_lock_end(lock, RUN_LOCK_USED);
    char *content = lock_now();
    assert_string_equal(content, "");
    free(content);
}

static void a_rank_on_that_machine_answers_for_it(void **state)
{
    struct run_process ranks[2];
    const struct run_lock_times slow = {.beat = 1, .watch = 1000, .wait = 0.2};
    const char *content = "grapevine-lock-1 0123456789abcdef 000000000007\n0 4194303 1 1 there h\n";
    (void)state;
    run_process_self(0, &ranks[0]);
    ranks[1] = ranks[0];
    strcpy(ranks[1].machine, "there");
    write_lock(content);
    assert_int_equal(run_lock_judge(folder, content, ranks, 2, 0, &slow), STATUS_OK);
    assert_int_equal(run_lock_judge(folder, content, ranks, 2, 1, &slow), STATUS_OK);
}

static void what_is_no_lock_is_watched(void **state)
{
    char token[RUN_LOCK_TOKEN_BYTES];
    (void)state;
    const char *const contents[] = {"", "something\n", "grapevine-lock-1 0123456789abcdef 000000000007\n"};
    for (size_t k = 0; k < sizeof contents / sizeof contents[0]; k++) {
        write_lock(contents[k]);
        assert_int_equal(judge(), STATUS_OK);
        char *before = lock_now();
        assert_string_not_equal(before, "");
        assert_int_equal(take(before, token), STATUS_OK);
        free(before);
    }
}

/* Whoever has stood still while another run took over ends by itself. */
static void it_gives_way(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        char token[RUN_LOCK_TOKEN_BYTES], next[RUN_LOCK_TOKEN_BYTES], *before;
        struct run_lock *lock;
        char *errors = text_format("%s/errors", folder);
        if (freopen(errors, "w", stderr) == NULL)
            _exit(1);
        if (take("", token) != STATUS_OK || run_lock_keep(folder, "", token, 1, &quick, &lock) != STATUS_OK)
            _exit(1);
        before = lock_now();
        (void)take(before, next);
        sleep(20);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), STATUS_MACHINE);
    char *said = text_format("grep -q 'has been taken over by process' %s/errors", folder);
    assert_int_equal(system(said), 0);
    free(said);
}

static void an_unused_lock_leaves_no_trace(void **state)
{
    const char *before = "grapevine-lock-1 0123456789abcdef 000000000007\n0 4194303 1 1 here h\n";
    char token[RUN_LOCK_TOKEN_BYTES];
    struct run_lock *lock;
    (void)state;
    assert_int_equal(take("", token), STATUS_OK);
    assert_int_equal(run_lock_keep(folder, "", token, 0, &quick, &lock), STATUS_OK);
    run_lock_end(lock, RUN_LOCK_UNUSED);
    char *content = lock_now();
    assert_string_equal(content, "");
    free(content);
    write_lock(before);
    assert_int_equal(take(before, token), STATUS_OK);
    assert_int_equal(run_lock_keep(folder, before, token, 0, &quick, &lock), STATUS_OK);
    run_lock_end(lock, RUN_LOCK_UNUSED);
    content = lock_now();
    assert_string_equal(content, before);
    free(content);
}

#define LOCK_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOCK_TEST(one_that_runs_is_left_alone),
        LOCK_TEST(the_second_is_refused),
        LOCK_TEST(orphans_are_waited_for),
        LOCK_TEST(elsewhere_the_beat_tells),
        LOCK_TEST(a_rank_on_that_machine_answers_for_it),
        LOCK_TEST(what_is_no_lock_is_watched),
        LOCK_TEST(it_gives_way),
        LOCK_TEST(an_unused_lock_leaves_no_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
