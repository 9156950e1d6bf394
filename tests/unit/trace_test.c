/* The trace: valid JSON with every span, microseconds, names of workers and threads; parts put together. */
#include "app/trace.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/run_directory.h"
#include "base/log.h"
#include "base/memory.h"

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

/* trace.json as JSON, and the file removed. */
static cJSON *take_trace(void)
{
    char *path = run_directory_file(folder, "trace.json"), *text = memory_zalloc(1 << 20, 1);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    size_t count = fread(text, 1, (1 << 20) - 1, in);
    fclose(in);
    cJSON *root = cJSON_ParseWithOpts(text, NULL, 1);
    assert_non_null(root);
    assert_true(count > 0);
    unlink(path);
    free(text);
    free(path);
    return root;
}

static const char *text_of(const cJSON *event, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(event, key);
    assert_true(cJSON_IsString(item));
    return item->valuestring;
}

static double number_of(const cJSON *event, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(event, key);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static void assert_span(const cJSON *event, const char *name, int worker, int thread, double begin_us, double length_us)
{
    assert_string_equal(text_of(event, "ph"), "X");
    assert_string_equal(text_of(event, "name"), name);
    assert_true(number_of(event, "pid") == worker);
    assert_true(number_of(event, "tid") == thread);
    assert_true(number_of(event, "ts") == begin_us);
    assert_true(number_of(event, "dur") == length_us);
}

static void holds_every_span(void **state)
{
    (void)state;
    for (int worker = 0; worker < 2; worker++) {
        struct trace *trace = trace_create(worker, 16);
        trace_add(trace, LANE_COMPUTE, SPAN_COMPUTE, 0.5, 0.75, -1);
        trace_add(trace, LANE_COMMUNICATION, SPAN_PUT, 3600, 3600.5, 1 - worker);
        trace_add(trace, LANE_COMPUTE, SPAN_UPDATE, 0.75, 0.875, -1);
        assert_int_equal(trace_close(trace, folder), STATUS_OK);
    }
    assert_int_equal(trace_merge(folder, 2), STATUS_OK);
    cJSON *root = take_trace(), *events = cJSON_GetObjectItemCaseSensitive(root, "traceEvents");
    assert_int_equal(cJSON_GetArraySize(events), 2 * (3 + 3));
    for (int worker = 0; worker < 2; worker++) {
        const cJSON *event[6];
        for (int i = 0; i < 6; i++)
            event[i] = cJSON_GetArrayItem(events, 6 * worker + i);
        assert_string_equal(text_of(event[0], "name"), "process_name");
        assert_string_equal(text_of(event[1], "name"), "thread_name");
        assert_span(event[2], "compute", worker, 0, 500000, 250000);
        assert_span(event[3], "update", worker, 0, 750000, 125000);
        assert_string_equal(text_of(event[4], "name"), "thread_name");
        assert_span(event[5], "put", worker, 1, 3600e6, 500000);
        assert_null(cJSON_GetObjectItemCaseSensitive(event[2], "args"));
        assert_true(number_of(cJSON_GetObjectItemCaseSensitive(event[5], "args"), "peer") == 1 - worker);
    }
    cJSON_Delete(root);
}

static void names_every_kind(void **state)
{
    (void)state;
    static const char *const names[] = {"load",       "compute", "update", "cast", "wait",  "evaluate",
                                        "checkpoint", "copy",    "put",    "peer", "apply", "reduce"};
    assert_int_equal(sizeof names / sizeof names[0], SPAN_KIND_COUNT);
    struct trace *trace = trace_create(3, SPAN_KIND_COUNT);
    for (int kind = 0; kind < SPAN_KIND_COUNT; kind++)
        trace_add(trace, LANE_COMPUTE, (enum span_kind)kind, kind, kind + 1, -1);
    assert_int_equal(trace_close(trace, folder), STATUS_OK);
    char *part = run_directory_file(folder, "trace-3.part"), *first = run_directory_file(folder, "trace-0.part");
    assert_int_equal(rename(part, first), 0);
    assert_int_equal(trace_merge(folder, 1), STATUS_OK);
    cJSON *root = take_trace(), *events = cJSON_GetObjectItemCaseSensitive(root, "traceEvents");
    for (int kind = 0; kind < SPAN_KIND_COUNT; kind++)
        assert_span(cJSON_GetArrayItem(events, 2 + kind), names[kind], 3, 0, kind * 1e6, 1e6);
    cJSON_Delete(root);
    free(part);
    free(first);
}

static void drops_what_has_no_room(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    struct trace *trace = trace_create(0, 4);
    for (int i = 0; i < 10; i++)
        trace_add(trace, LANE_COMPUTE, SPAN_COMPUTE, i, i + 1, -1);
    assert_int_equal(trace_close(trace, folder), STATUS_OK);
    log_set_level(LOG_INFO);
    assert_int_equal(trace_merge(folder, 1), STATUS_OK);
    cJSON *root = take_trace();
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(root, "traceEvents")), 3 + 4);
    cJSON_Delete(root);
}

static void a_missing_part_leaves_the_rest(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    struct trace *trace = trace_create(0, 4);
    trace_add(trace, LANE_COMPUTE, SPAN_LOAD, 0, 1, -1);
    assert_int_equal(trace_close(trace, folder), STATUS_OK);
    assert_int_equal(trace_merge(folder, 2), STATUS_MACHINE);
    log_set_level(LOG_INFO);
    cJSON *root = take_trace();
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(root, "traceEvents")), 3 + 1);
    cJSON_Delete(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(holds_every_span, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(names_every_kind, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(drops_what_has_no_room, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_missing_part_leaves_the_rest, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
