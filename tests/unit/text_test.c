/* Growing text, nearest names, numbers and units. */
#include "base/quantity.h"
#include "base/text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/status.h"

static void test_text_grows(void **state)
{
    struct text text = {0};
    char want[20001] = "";
    (void)state;
    assert_string_equal(text_view(&text), "");
    text_add(&text, "%s", "");
    assert_string_equal(text_view(&text), "");
    for (int i = 0; i < 2000; i++) {
        text_add(&text, "%09d%c", i, 'a' + i % 26);
        snprintf(want + 10 * (size_t)i, 11, "%09d%c", i, 'a' + i % 26);
    }
    assert_int_equal(text.length, 20000);
    assert_string_equal(text_view(&text), want);
    text_release(&text);
    assert_string_equal(text_view(&text), "");
    char *copy = text_format("%d%%", 5);
    assert_string_equal(copy, "5%");
    free(copy);
}

static void test_list(void **state)
{
    static const char *const names[] = {"ring", "line", "star"};
    struct text text = {0};
    (void)state;
    text_add_list(&text, names, 0);
    assert_string_equal(text_view(&text), "");
    text_add_list(&text, names, 1);
    assert_string_equal(text_view(&text), "ring");
    text_release(&text);
    text_add_list(&text, names, 3);
    assert_string_equal(text_view(&text), "ring | line | star");
    text_release(&text);
}

static const char *nearest_family(const char *word)
{
    static const char *const names[] = {"ring", "complete", "line", "star", "random-regular", "optimizer.lr"};
    return text_nearest(word, names, sizeof names / sizeof names[0]);
}

static void test_nearest(void **state)
{
    (void)state;
    assert_string_equal(nearest_family("ring"), "ring");
    assert_string_equal(nearest_family("rnig"), "ring");                 /* a swap counts once */
    assert_string_equal(nearest_family("completee"), "complete");        /* insertion */
    assert_string_equal(nearest_family("cmplete"), "complete");          /* deletion */
    assert_string_equal(nearest_family("optimiser.lr"), "optimizer.lr"); /* replacement */
    assert_string_equal(nearest_family("randomregula"), "random-regular");
    assert_string_equal(nearest_family("lin"), "line"); /* one edit beats two */
    assert_null(nearest_family("hypercube"));
    assert_null(nearest_family("xyzzy"));
    assert_null(nearest_family(""));
    assert_null(text_nearest("ring", NULL, 0));
}

/* Of names at the same distance the first is taken, and a word of two letters is not turned into another altogether. */
static void test_nearest_ties(void **state)
{
    static const char *const names[] = {"aba", "abb", "ab"};
    static const char *const pairs[] = {"xy"};
    (void)state;
    assert_string_equal(text_nearest("abc", names, 2), "aba");
    assert_string_equal(text_nearest("ab", names, 3), "ab");
    assert_null(text_nearest("ab", pairs, 1));
}

static void test_nearest_takes_long_words(void **state)
{
    char *word = malloc(100001);
    const char *names[] = {"ring"};
    (void)state;
    memset(word, 'r', 100000);
    word[100000] = '\0';
    assert_null(text_nearest(word, names, 1));
    names[0] = word;
    assert_string_equal(text_nearest(word, names, 1), word);
    assert_null(text_nearest("ring", names, 1));
    free(word);
}

/* The definition, from the end of both words: slow, without a limit. */
static size_t distance_by_definition(const char *a, size_t length_a, const char *b, size_t length_b)
{
    if (length_a == 0 || length_b == 0)
        return length_a + length_b;
    bool same = a[length_a - 1] == b[length_b - 1];
    size_t best = distance_by_definition(a, length_a - 1, b, length_b - 1) + !same;
    size_t less_a = same ? best : distance_by_definition(a, length_a - 1, b, length_b) + 1;
    size_t less_b = same ? best : distance_by_definition(a, length_a, b, length_b - 1) + 1;
    best = less_a < best ? less_a : best;
    best = less_b < best ? less_b : best;
    if (length_a > 1 && length_b > 1 && a[length_a - 1] == b[length_b - 2] && a[length_a - 2] == b[length_b - 1]) {
        size_t swapped = distance_by_definition(a, length_a - 2, b, length_b - 2) + 1;
        best = swapped < best ? swapped : best;
    }
    return best;
}

/* Distances beyond the limit are not counted to their end: what is within it is found all the same. */
static void test_nearest_is_within_its_limit(void **state)
{
    struct random_stream stream = random_stream(1, RANDOM_TEST, 0, 0);
    int near = 0;
    (void)state;
    for (int k = 0; k < 20000; k++) {
        char words[2][12];
        size_t length[2];
        for (int w = 0; w < 2; w++) {
            length[w] = random_below(&stream, 11);
            for (size_t i = 0; i < length[w]; i++)
                words[w][i] = (char)('a' + random_below(&stream, 3));
            words[w][length[w]] = '\0';
        }
        const char *name = words[1];
        size_t limit = length[0] / 3 > 2 ? length[0] / 3 : 2;
        size_t distance = distance_by_definition(words[0], length[0], words[1], length[1]);
        bool is_near = distance <= limit && distance < length[1];
        assert_int_equal(text_nearest(words[0], &name, 1) != NULL, is_near);
        near += is_near;
    }
    assert_in_range(near, 1000, 19000);
}

static void test_parse_double(void **state)
{
    static const char *const wrong[] = {"", " ", "x", "1x", "1 2", "0.1,", "1e999", "--1", "1e", "fast"};
    double value = 42;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(text_parse_double(wrong[i], &value));
    assert_true(value == 42);
    assert_true(text_parse_double("5.0e-4", &value) && value == 5e-4);
    assert_true(text_parse_double("1e-3", &value) && value == 1e-3);
    assert_true(text_parse_double("-.5", &value) && value == -0.5);
    assert_true(text_parse_double(" 3 \n", &value) && value == 3);
    assert_true(text_parse_double("1e-320", &value) && value == 1e-320); /* a subnormal number is no error */
}

static void test_parse_int64(void **state)
{
    static const char *const wrong[] = {"", "x", "1.0", "1e3", "0x10", "9223372036854775808", "-9223372036854775809"};
    int64_t value = 42;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(text_parse_int64(wrong[i], &value));
    assert_true(value == 42);
    assert_true(text_parse_int64("9223372036854775807", &value) && value == INT64_MAX);
    assert_true(text_parse_int64("-9223372036854775808", &value) && value == INT64_MIN);
    assert_true(text_parse_int64("010", &value) && value == 10);
    assert_true(text_parse_int64("7 ", &value) && value == 7);
}

static void test_bytes(void **state)
{
    static const struct {
        double bytes;
        const char *want;
    } cases[] = {
        {0, "0 B"},           {1023, "1023 B"},        {1024, "1.0 KiB"},   {46871347, "44.7 MiB"},
        {1048575, "1.0 MiB"}, {1073741824, "1.0 GiB"}, {1e12, "931.3 GiB"}, {0x1p50, "1024.0 TiB"},
    };
    char out[32];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(quantity_bytes(out, cases[i].bytes), cases[i].want);
}

static void test_duration(void **state)
{
    static const struct {
        double seconds;
        const char *want;
    } cases[] = {
        {0, "0.0 s"},           {3.24, "3.2 s"},      {59.94, "59.9 s"},
        {59.96, "1 min 00 s"},  {125, "2 min 05 s"},  {3599.4, "59 min 59 s"},
        {3599.6, "1 h 00 min"}, {3725, "1 h 02 min"}, {100 * 3600.0, "100 h 00 min"},
        {-1, "0.0 s"},          {NAN, "0.0 s"},
    };
    char out[32];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(quantity_duration(out, cases[i].seconds), cases[i].want);
    assert_true(strlen(quantity_duration(out, INFINITY)) < sizeof out);
}

/* A status is an exit status, and each has a name of its own. */
static void test_status_names(void **state)
{
    (void)state;
    assert_int_equal(STATUS_OK, 0);
    assert_string_equal(status_name(STATUS_OK), "done");
    assert_string_equal(status_name(STATUS_USAGE), "usage");
    assert_string_equal(status_name(STATUS_DATA), "data");
    assert_string_equal(status_name(STATUS_MACHINE), "machine");
    assert_string_equal(status_name(STATUS_BUG), "bug");
    assert_string_equal(status_name(STATUS_REQUEUE), "requeue");
    assert_string_equal(status_name((enum status)99), "unknown");
}

static void test_shell_words(void **state)
{
    static const char *const words[][2] = {{"train.epochs=4", "train.epochs=4"},
                                           {"inject.slow=0 x4", "'inject.slow=0 x4'"},
                                           {"it's", "'it'\\''s'"},
                                           {"", "''"},
                                           {"$HOME/*", "'$HOME/*'"},
                                           {"[0.5, 0.75]", "'[0.5, 0.75]'"}};
    (void)state;
    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++) {
        struct text text = {0};
        text_add_shell_word(&text, words[k][0]);
        assert_string_equal(text_view(&text), words[k][1]);
        text_release(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_grows),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_nearest_ties),
        cmocka_unit_test(test_nearest_takes_long_words),
        cmocka_unit_test(test_nearest_is_within_its_limit),
        cmocka_unit_test(test_parse_double),
        cmocka_unit_test(test_parse_int64),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_duration),
        cmocka_unit_test(test_status_names),
        cmocka_unit_test(test_shell_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
