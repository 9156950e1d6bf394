/* The record: lines of JSON with every field, merged by time; progress on a terminal and in a log. */
#include "app/record.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/run_directory.h"
#include "base/log.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/grapevine-test-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder); /* fails if a test has left a part behind */
}

static struct step_report step_at(double time_s, uint64_t step)
{
    return (struct step_report){.time_s = time_s,
                                .step = step,
                                .global_step = 4 * step,
                                .samples = 128 * step,
                                .progress = 0.25,
                                .epoch = 1.5,
                                .loss = 0.75,
                                .accuracy = 0.5,
                                .learning_rate = 0.125,
                                .samples_per_second = 800,
                                .exchanges = 7,
                                .pair_distance = (double)NAN,
                                .idle = 0.0625,
                                .data_wait = 0,
                                .pending = 2};
}

/* On a set of many classes, but for "validation". */
static struct evaluation_report evaluation_at(double time_s, const char *set)
{
    bool few_classes = strcmp(set, "validation") == 0;
    return (struct evaluation_report){.time_s = time_s,
                                      .step = 10,
                                      .global_step = 40,
                                      .epoch = 1.5,
                                      .set = set,
                                      .loss = 0.25,
                                      .accuracy = 0.875,
                                      .accuracy_top5 = few_classes ? (double)NAN : 0.9375,
                                      .count = 2500};
}

static struct record *open_record(int rank, FILE *progress, int columns)
{
    const struct record_params params = {.directory = folder, .rank = rank, .progress = progress, .columns = columns};
    struct record *record;
    assert_int_equal(record_create(&params, &record), STATUS_OK);
    return record;
}

static void report_step(struct record *record, int rank, double time_s, uint64_t step)
{
    const struct observer *observer = record_observer(record);
    struct step_report report = step_at(time_s, step);
    report.worker = rank;
    observer->on_step(observer->context, &report);
}

static void report_evaluation(struct record *record, double time_s, const char *set)
{
    const struct observer *observer = record_observer(record);
    const struct evaluation_report report = evaluation_at(time_s, set);
    observer->on_evaluation(observer->context, &report);
}

/* The lines of metrics.jsonl as JSON, the file removed; returns their number. */
static int take_metrics(cJSON *lines[], int room)
{
    char *path = run_directory_file(folder, "metrics.jsonl"), line[4096];
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    int count = 0;
    while (fgets(line, sizeof line, in) != NULL) {
        assert_true(count < room);
        lines[count] = cJSON_ParseWithOpts(line, NULL, 0);
        assert_non_null(lines[count++]);
    }
    fclose(in);
    unlink(path);
    free(path);
    return count;
}

static void assert_number(const cJSON *line, const char *key, double wanted)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, key);
    if (!cJSON_IsNumber(item) || item->valuedouble != wanted)
        fail_msg("%s is not %g", key, wanted);
}

static void writes_every_field(void **state)
{
    (void)state;
    struct record *record = open_record(0, NULL, 0);
    report_step(record, 0, 12.5, 100);
    report_evaluation(record, 13, "test");
    report_evaluation(record, 14, "validation");
    record_close(record);
    assert_true(record_merge(folder, 1, 1, NULL, false));
    record_remove_parts(folder, 1);
    cJSON *lines[3];
    assert_int_equal(take_metrics(lines, 3), 3);
    assert_number(lines[0], "rank", 0);
    assert_number(lines[0], "time", 12.5);
    assert_number(lines[0], "step", 100);
    assert_number(lines[0], "global_step", 400);
    assert_number(lines[0], "epoch", 1.5);
    assert_number(lines[0], "samples", 12800);
    assert_number(lines[0], "progress", 0.25);
    assert_number(lines[0], "loss", 0.75);
    assert_number(lines[0], "lr", 0.125);
    assert_number(lines[0], "accuracy", 0.5);
    assert_number(lines[0], "samples_per_second", 800);
    assert_number(lines[0], "exchanges", 7);
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(lines[0], "pair_distance")));
    assert_number(lines[0], "idle", 0.0625);
    assert_number(lines[0], "data_wait", 0);
    assert_number(lines[0], "pending", 2);
    assert_number(lines[1], "test_loss", 0.25);
    assert_number(lines[1], "test_accuracy", 0.875);
    assert_number(lines[1], "test_accuracy_top5", 0.9375);
    assert_number(lines[1], "pictures", 2500);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(lines[1], "averaged")));
    assert_number(lines[2], "validation_accuracy", 0.875);
    assert_false(cJSON_HasObjectItem(lines[2], "validation_accuracy_top5"));
    for (int i = 0; i < 3; i++)
        cJSON_Delete(lines[i]);
}

/* Four ranks, whose lines interleave in time. */
static void merges_by_time(void **state)
{
    (void)state;
    enum { RANKS = 4, LINES = 25 };
    for (int rank = 0; rank < RANKS; rank++) {
        struct record *record = open_record(rank, NULL, 0);
        for (int i = 0; i < LINES; i++)
            report_step(record, rank, i * (1 + 0.25 * rank), (uint64_t)i + 1);
        record_close(record);
    }
    assert_true(record_merge(folder, RANKS, RANKS, NULL, false));
    record_remove_parts(folder, RANKS);
    cJSON *lines[RANKS * LINES];
    assert_int_equal(take_metrics(lines, RANKS * LINES), RANKS * LINES);
    double before = -1;
    int steps[RANKS] = {0};
    for (int i = 0; i < RANKS * LINES; i++) {
        double time = cJSON_GetObjectItemCaseSensitive(lines[i], "time")->valuedouble;
        int rank = cJSON_GetObjectItemCaseSensitive(lines[i], "rank")->valueint;
        assert_true(time >= before);
        assert_number(lines[i], "step", ++steps[rank]);
        before = time;
        cJSON_Delete(lines[i]);
    }
}

/* A line that a full disk cut off is left out; a part that is not there keeps the others where they are. */
static void survives_broken_parts(void **state)
{
    (void)state;
    struct record *record = open_record(0, NULL, 0);
    report_step(record, 0, 1, 1);
    record_close(record);
    char *part = run_directory_file(folder, "metrics-0.jsonl"), *merged = run_directory_file(folder, "metrics.jsonl");
    log_set_level(LOG_ERROR);
    assert_false(record_merge(folder, 2, 2, NULL, false));
    log_set_level(LOG_INFO);
    assert_int_not_equal(access(merged, F_OK), 0);
    FILE *out = fopen(part, "a");
    assert_non_null(out);
    fputs("{\"rank\": 0, \"time\": 2, \"st", out);
    fclose(out);
    assert_true(record_merge(folder, 1, 1, NULL, false));
    record_remove_parts(folder, 1);
    cJSON *lines[2];
    assert_int_equal(take_metrics(lines, 2), 1);
    cJSON_Delete(lines[0]);
    free(part);
    free(merged);
}

/* A limit on the size of files stands for a full disk: the run goes on, one warning says what is not written. */
static void a_full_disk_is_said_once(void **state)
{
    (void)state;
    enum { LINES = 200 };
    struct rlimit usual, small;
    char said[4096];
    FILE *errors = tmpfile();
    assert_non_null(errors);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
    small = usual;
    small.rlim_cur = 16 << 10;
    signal(SIGXFSZ, SIG_IGN);
    struct record *record = open_record(0, NULL, 0);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(errors), STDERR_FILENO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < LINES; i++)
        report_step(record, 0, i, (uint64_t)i + 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
    record_close(record);
    assert_true(record_merge(folder, 1, 1, NULL, false));
    record_remove_parts(folder, 1);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(errors);
    said[fread(said, 1, sizeof said - 1, errors)] = '\0';
    fclose(errors);
    cJSON *lines[LINES];
    int count = take_metrics(lines, LINES);
    assert_true(count > 10 && count < LINES);
    for (int i = 0; i < count; i++) {
        assert_number(lines[i], "step", i + 1);
        cJSON_Delete(lines[i]);
    }
    assert_non_null(strstr(said, "metrics-0.jsonl: File too large (the run goes on without it)"));
    assert_ptr_equal(strchr(said, '\n') + 1, said + strlen(said));
}

/* Whether the event file of a run with a test of `set` has a scalar with that tag. */
static bool has_tag(const char *set, const char *tag)
{
    const struct record_params params = {.directory = folder, .tensorboard = true};
    struct record *record;
    char command[256];
    assert_int_equal(record_create(&params, &record), STATUS_OK);
    report_evaluation(record, 13, set);
    record_close(record);
    snprintf(command, sizeof command, "grep -qr --include='*tfevents*' -- '%s' %s", tag, folder);
    bool found = system(command) == 0;
    snprintf(command, sizeof command, "rm -r %s/*", folder);
    assert_int_equal(system(command), 0);
    return found;
}

static void event_files_have_the_tests(void **state)
{
    (void)state;
    assert_true(has_tag("test", "test/accuracy") && has_tag("test", "test/loss"));
    assert_true(has_tag("test", "test/accuracy_top5"));
    assert_false(has_tag("test", "averaged"));
    assert_true(has_tag("validation", "validation/accuracy"));
    assert_false(has_tag("validation", "validation/accuracy_top5"));
}

/* What the progress of one run looks like, from three reports and a test. */
static void show_run(int columns, char shown[4096])
{
    FILE *out = tmpfile();
    assert_non_null(out);
    struct record *record = open_record(0, out, columns);
    report_step(record, 0, 1, 10);
    report_step(record, 0, 2, 20);
    report_step(record, 0, 12, 120);
    report_evaluation(record, 13, "test");
    report_step(record, 0, 22, 200);
    record_close(record);
    assert_true(record_merge(folder, 1, 1, NULL, false));
    record_remove_parts(folder, 1);
    cJSON *lines[5];
    assert_int_equal(take_metrics(lines, 5), 5);
    for (int i = 0; i < 5; i++)
        cJSON_Delete(lines[i]);
    rewind(out);
    shown[fread(shown, 1, 4095, out)] = '\0';
    fclose(out);
}

static void shows_plain_lines_in_a_log(void **state)
{
    (void)state;
    char shown[4096];
    show_run(0, shown);
    assert_string_equal(
        shown,
        " 25 %  epoch 1.5  loss 0.7500  accuracy 50.0 %  5120 samples/s  0.70 exch/grad  3.0 s left\n"
        " 25 %  epoch 1.5  loss 0.7500  accuracy 50.0 %  5120 samples/s  0.06 exch/grad  36.0 s left\n"
        "test: accuracy 87.50 %  top-5 93.75 %  loss 0.2500  (this worker's model, 2500 pictures, epoch 1.5, 13.0 "
        "s)\n"
        " 25 %  epoch 1.5  loss 0.7500  accuracy 50.0 %  4096 samples/s  0.04 exch/grad  1 min 06 s left\n");
}

/* What is shown of reports that `tell` makes in a record with these workers, of a run that goes on after `before`
 * gradients. */
static void show(int workers, uint64_t before, void (*tell)(struct record *record), char shown[4096])
{
    FILE *out = tmpfile();
    const struct record_params params = {
        .directory = folder, .worker_count = workers, .steps_before = before, .progress = out};
    struct record *record;
    assert_non_null(out);
    assert_int_equal(record_create(&params, &record), STATUS_OK);
    tell(record);
    record_close(record);
    char *path = run_directory_file(folder, "metrics-0.jsonl");
    unlink(path);
    free(path);
    rewind(out);
    shown[fread(shown, 1, 4095, out)] = '\0';
    fclose(out);
}

static void tell_test_of(struct record *record, int worker, const char *set, double accuracy, uint64_t global_step)
{
    const struct observer *observer = record_observer(record);
    struct evaluation_report report = evaluation_at(13, set);
    report.worker = worker;
    report.accuracy = accuracy;
    report.global_step = global_step;
    report.loss = 2 * accuracy;
    observer->on_evaluation(observer->context, &report);
}

static void tell_tests(struct record *record)
{
    for (int worker = 0; worker < 4; worker++) {
        tell_test_of(record, worker, "test", 0.25 * worker, 40);
        tell_test_of(record, worker, "validation", 0.5, 40);
    }
    for (int worker = 0; worker < 3; worker++) /* one has died */
        tell_test_of(record, worker, "test", 0.75, 80);
    report_step(record, 0, 20, 200);
}

/* Four workers: one line for each test, at the latest when something else is shown. */
static void tests_of_many_workers_are_one_line(void **state)
{
    (void)state;
    char shown[4096];
    show(4, 0, tell_tests, shown);
    assert_string_equal(shown,
                        "test: accuracy 37.50 % ± 32.27 (0.00 to 75.00)  top-5 93.75 %  loss 0.7500  (mean of 4 "
                        "workers' models, 10000 pictures, epoch 1.5, 13.0 s)\n"
                        "validation: accuracy 50.00 % ± 0.00 (50.00 to 50.00)  loss 1.0000  (mean of 4 workers' "
                        "models, 10000 pictures, epoch 1.5, 13.0 s)\n"
                        "test: accuracy 75.00 % ± 0.00 (75.00 to 75.00)  top-5 93.75 %  loss 1.5000  (mean of 3 "
                        "workers' models, 7500 pictures, epoch 1.5, 13.0 s)\n"
                        " 25 %  epoch 1.5  loss 0.7500  accuracy 50.0 %  5120 samples/s  0.04 exch/grad  1 min 00 s "
                        "left\n");
}

static void tell_last_tests(struct record *record)
{
    for (int worker = 0; worker < 2; worker++)
        tell_test_of(record, worker, "test", 0.5, 40);
}

static void tests_before_the_end_are_shown(void **state)
{
    (void)state;
    char shown[4096];
    show(2, 0, tell_last_tests, shown);
    assert_non_null(strstr(shown, "mean of 2 workers' models"));
}

static void tell_progress(struct record *record, double time_s, uint64_t step, double progress)
{
    const struct observer *observer = record_observer(record);
    struct step_report report = step_at(time_s, step);
    report.progress = progress;
    observer->on_step(observer->context, &report);
}

/* Half is done already, 100 gradients of a worker in the last 10 s, a tenth of all. */
static void tell_later_half(struct record *record)
{
    tell_progress(record, 1000, 1000, 0.5);
    tell_progress(record, 1010, 1100, 0.6);
}

static void a_session_tells_its_own_rate(void **state)
{
    (void)state;
    char shown[4096];
    show(1, 4000, tell_later_half, shown);
    assert_string_equal(
        shown, " 50 %  epoch 1.5  loss 0.7500  accuracy 50.0 %  0.01 exch/grad\n"
               " 60 %  epoch 1.5  loss 0.7500  accuracy 50.0 %  5120 samples/s  0.01 exch/grad  40.0 s left\n");
}

static void rewrites_one_line_on_a_terminal(void **state)
{
    (void)state;
    char shown[4096];
    show_run(130, shown);
    assert_null(strstr(shown, "left\n"));
    assert_non_null(strstr(shown, "\r[=====               ]  25 %"));
    assert_non_null(strstr(shown, "\r\033[Ktest: accuracy 87.50 %")); /* the line is cleared before what stays */
    assert_memory_equal(shown + strlen(shown) - 4, "\r\033[K", 4);
    show_run(40, shown);
    const char *first = strchr(shown, '\r') + 1;
    assert_int_equal(strstr(first, "\033[K") - first, 39); /* never wraps */
}

static void an_unwritable_folder_is_a_machine_error(void **state)
{
    (void)state;
    const struct record_params params = {.directory = "/proc/there-is-no-such-folder"};
    struct record *record;
    log_hold(true);
    assert_int_equal(record_create(&params, &record), STATUS_MACHINE);
    log_hold(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_every_field, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(merges_by_time, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(survives_broken_parts, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_full_disk_is_said_once, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(event_files_have_the_tests, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(shows_plain_lines_in_a_log, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(tests_of_many_workers_are_one_line, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(tests_before_the_end_are_shown, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_session_tells_its_own_rate, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(rewrites_one_line_on_a_terminal, make_folder, remove_folder),
        cmocka_unit_test(an_unwritable_folder_is_a_machine_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
