/* The run directory: made with parents, refused when used, its status replaced. */
#include "app/run_directory.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder_fixture.h"

static void write_config(const void *context, FILE *out)
{
    fprintf(out, "name: %s\n", (const char *)context);
}

static void write_too_much(const void *context, FILE *out)
{
    (void)context;
    for (int i = 0; i < 100000; i++)
        fprintf(out, "line: %d\n", i);
}

static void assert_content(const char *path, const char *name, const char *wanted)
{
    char *file = run_directory_file(path, name), content[256] = "";
    FILE *stream = fopen(file, "r");
    assert_non_null(stream);
    content[fread(content, 1, sizeof content - 1, stream)] = '\0';
    fclose(stream);
    free(file);
    assert_string_equal(content, wanted);
}

static void is_made_with_parents(void **state)
{
    (void)state;
    char *path = run_directory_file(folder, "a/b/c/");
    assert_int_equal(run_directory_create(path, write_config, "first"), STATUS_OK);
    assert_content(path, "config.yaml", "name: first\n");
    assert_content(path, "status", "running\n");
    run_directory_finish(path, STATUS_DATA);
    assert_content(path, "status", "3 data\n");
    run_directory_finish(path, STATUS_OK);
    assert_content(path, "status", "0 done\n");
    free(path);
}

static int count_files(const char *path)
{
    int count = 0;
    DIR *stream = opendir(path);
    assert_non_null(stream);
    for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream))
        count += entry->d_name[0] != '.';
    closedir(stream);
    return count;
}

/* Runs `create` with standard error going to a file; what it said lands in `said`. */
static enum status create_quietly(const char *path, run_config_fn *fn, const char *context, char said[1024])
{
    char *errors = run_directory_file(folder, "errors");
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    assert_non_null(freopen(errors, "w", stderr));
    enum status status = run_directory_create(path, fn, context);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    FILE *stream = fopen(errors, "r");
    assert_non_null(stream);
    said[fread(said, 1, 1023, stream)] = '\0';
    fclose(stream);
    unlink(errors);
    free(errors);
    return status;
}

static void a_used_one_is_refused(void **state)
{
    (void)state;
    char *path = run_directory_file(folder, "run"), *second = run_directory_file(folder, "run-2");
    char said[1024];
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(run_directory_create(path, write_config, "x"), STATUS_OK); /* an empty one is taken */
    assert_int_equal(mkdir(second, 0777), 0);
    assert_int_equal(create_quietly(path, write_config, "y", said), STATUS_USAGE);
    assert_non_null(strstr(said, "run.dir="));
    assert_non_null(strstr(said, "run-3"));
    assert_content(path, "config.yaml", "name: x\n");
    free(path);
    free(second);
}

static void put_file(const char *path, const char *name)
{
    char *file = run_directory_file(path, name);
    FILE *stream = fopen(file, "w");
    assert_non_null(stream);
    fclose(stream);
    free(file);
}

/* A process that was killed before `status` had its name does not hold up the next. A configuration of the user's is
 * not taken for what it has left, nor is anything else. */
static void what_a_killed_beginning_leaves_is_no_run(void **state)
{
    (void)state;
    static const struct {
        const char *files[3];
        enum status wanted;
    } cases[] = {{{"status.part-7"}, STATUS_OK},
                 {{"status.part-7", "config.yaml.part-7"}, STATUS_OK},
                 {{"config.yaml", "status.part-7"}, STATUS_OK},
                 {{"config.yaml"}, STATUS_USAGE},
                 {{"config.yaml", "status.part-7", "notes"}, STATUS_USAGE},
                 {{"config.yaml", "status"}, STATUS_USAGE}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        char name[32], said[1024];
        snprintf(name, sizeof name, "killed%zu", k);
        char *path = run_directory_file(folder, name);
        assert_int_equal(mkdir(path, 0777), 0);
        for (int i = 0; i < 3 && cases[k].files[i] != NULL; i++)
            put_file(path, cases[k].files[i]);
        assert_int_equal(create_quietly(path, write_config, "x", said), cases[k].wanted);
        if (cases[k].wanted == STATUS_OK) {
            assert_content(path, "config.yaml", "name: x\n");
            assert_content(path, "status", "running\n");
            assert_int_equal(count_files(path), 2);
        }
        free(path);
    }
}

static void a_file_in_the_way_is_refused(void **state)
{
    (void)state;
    char *path = run_directory_file(folder, "file"), *below = run_directory_file(folder, "file/run");
    char said[1024];
    fclose(fopen(path, "w"));
    assert_int_equal(create_quietly(path, write_config, "x", said), STATUS_USAGE);
    assert_int_equal(create_quietly(below, write_config, "x", said), STATUS_USAGE);
    assert_int_equal(create_quietly("", write_config, "x", said), STATUS_USAGE);
    assert_non_null(strstr(said, "run.dir="));
    free(path);
    free(below);
}

/* /proc takes no folders from anybody, root included. */
static void an_unwritable_place_is_a_machine_error(void **state)
{
    (void)state;
    char said[1024];
    assert_int_equal(create_quietly("/proc/runs/first", write_config, "x", said), STATUS_MACHINE);
    assert_non_null(strstr(said, "/proc/runs/first"));
    assert_non_null(strstr(said, "run.dir="));
    assert_ptr_equal(strchr(said, '\n') + 1, said + strlen(said)); /* one message */
}

/* A limit on the size of files stands for a full disk: both fail in the middle of a write. */
static void a_full_disk_is_a_machine_error(void **state)
{
    (void)state;
    char *run = run_directory_file(folder, "run"), said[1024];
    struct rlimit usual, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
    small = usual;
    small.rlim_cur = 64 << 10;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum status status = create_quietly(run, write_too_much, NULL, said);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
    assert_int_equal(status, STATUS_MACHINE);
    assert_int_equal(count_files(run), 0); /* no half-written file stays */
    assert_non_null(strstr(said, "too large"));
    assert_non_null(strstr(said, "config.yaml"));
    assert_non_null(strstr(said, "run.dir="));
    free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_made_with_parents, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_used_one_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_a_killed_beginning_leaves_is_no_run, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_file_in_the_way_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(an_unwritable_place_is_a_machine_error, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_full_disk_is_a_machine_error, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
