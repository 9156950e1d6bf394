/* data/photo_report.h: lines that stay lines whatever a name holds, sorted, each once, read as they were written. */
#include "data/pack/photo_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "photo_fixture.h"

static void test_lines(void **state)
{
    struct photo_report report = {0}, again = {0};
    char *path = photo_path(*state, "report.tsv");
    photo_report_add(&report, "b/\xc3\xa9.jpg", "is empty");
    photo_report_add(&report, "a\tb\nc\r\\\x1b\x7f.jpg", "is\ttext");
    photo_report_add(&report, "b/\xc3\xa9.jpg", "is empty");
    assert_int_equal(photo_report_write(&report, path, "DST"), STATUS_OK);
    assert_int_equal(report.count, 2);
    assert_string_equal(report.lines[0], "a\\tb\\nc\\r\\\\\\x1b\\x7f.jpg\tis\\ttext");
    assert_string_equal(report.lines[1], "b/\xc3\xa9.jpg\tis empty");
    photo_report_add(&again, "z.jpg", "is empty");
    assert_int_equal(photo_report_read(&again, path), STATUS_OK);
    photo_report_add_all(&again, &report);
    assert_int_equal(photo_report_write(&again, path, "DST"), STATUS_OK);
    assert_int_equal(again.count, 3);
    assert_string_equal(again.lines[0], report.lines[0]);
    assert_string_equal(again.lines[1], report.lines[1]);
    assert_string_equal(again.lines[2], "z.jpg\tis empty");
    photo_report_release(&report);
    photo_report_release(&again);
    free(path);
}

static void test_files(void **state)
{
    struct photo_fixture *fixture = *state;
    struct photo_report report = {0};
    char *nowhere = photo_path(fixture, "nowhere.tsv"), *below = photo_path(fixture, "none/report.tsv");
    assert_int_equal(photo_report_read(&report, nowhere), STATUS_OK);
    assert_int_equal(report.count, 0);
    capture_begin(&fixture->capture);
    assert_int_equal(photo_report_read(&report, fixture->folder), STATUS_DATA);
    assert_int_equal(photo_report_write(&report, below, "DST"), STATUS_MACHINE);
    photo_expect_message(capture_end(&fixture->capture), "--force|cannot write |none/report.tsv|DST");
    photo_report_release(&report);
    free(nowhere);
    free(below);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, photo_fixture_set_up, photo_fixture_tear_down);
}
