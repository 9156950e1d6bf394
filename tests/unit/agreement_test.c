/* app/agreement.h: which keys differ, with which values, on which ranks. */
#include "app/agreement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

enum { RANKS = 5 };

/* Differences of five ranks that have `usual`, but for rank `odd`, which has `other`. */
static int compare(const char *usual, int odd, const char *other, struct text *out)
{
    const char *facts[RANKS];
    for (int rank = 0; rank < RANKS; rank++)
        facts[rank] = rank == odd ? other : usual;
    return agreement_differences(facts, RANKS, out);
}

static void expect(const char *usual, int odd, const char *other, const char *said, int count)
{
    struct text out = {0};
    assert_int_equal(compare(usual, odd, other, &out), count);
    assert_string_equal(text_view(&out), said);
    text_release(&out);
}

static void ranks_are_named_in_ranges(void **state)
{
    (void)state;
    expect("lr\t0.1\nseed\t1\n", 3, "lr\t0.2\nseed\t1\n", "lr is 0.1 on ranks 0-2, 4 and 0.2 on rank 3", 1);
    expect("lr\t0.1\nseed\t1\n", 0, "lr\t0.2\nseed\t1\n", "lr is 0.2 on rank 0 and 0.1 on ranks 1-4", 1);
    expect("lr\t0.1\nseed\t1\n", 4, "lr\t0.2\nseed\t2\n",
           "lr is 0.1 on ranks 0-3 and 0.2 on rank 4; seed is 1 on ranks 0-3 and 2 on rank 4", 2);
    expect("lr\t0.1\n", 2, "lr\t0.1\n", "", 0);
}

static void a_key_may_be_missing(void **state)
{
    (void)state;
    expect("a\t1\n", 1, "a\t1\nb\t2\n", "b is not known on ranks 0, 2-4 and 2 on rank 1", 1);
    expect("a\t1\nb\t2\n", 1, "a\t1\n", "b is 2 on ranks 0, 2-4 and not known on rank 1", 1);
    expect("ab\t1\n", 1, "a\t1\n",
           "ab is 1 on ranks 0, 2-4 and not known on rank 1; a is not known on ranks 0, 2-4 "
           "and 1 on rank 1",
           2);
    expect("a\t\n", 4, "a\t \n", "a is  on ranks 0-3 and   on rank 4", 1);
}

static void not_all_are_named(void **state)
{
    const char *const facts[RANKS] = {"k\t1\n", "k\t2\n", "k\t3\n", "k\t4\n", "k\t5\n"};
    struct text out = {0}, many = {0}, others = {0};
    (void)state;
    assert_int_equal(agreement_differences(facts, RANKS, &out), 1);
    assert_string_equal(text_view(&out),
                        "k is 1 on rank 0, 2 on rank 1, 3 on rank 2, 4 on rank 3, and others elsewhere");
    text_release(&out);
    for (int k = 0; k < 9; k++) {
        char key[8];
        snprintf(key, sizeof key, "k%d", k);
        agreement_add(&many, key, "%d", k);
        agreement_add(&others, key, "%d", k + 1);
    }
    assert_int_equal(compare(text_view(&many), 1, text_view(&others), &out), 9);
    assert_non_null(strstr(text_view(&out), "k4 is 4 on ranks 0, 2-4 and 5 on rank 1; and 4 more keys"));
    assert_null(strstr(text_view(&out), "k5"));
    text_release(&out);
    text_release(&many);
    text_release(&others);
}

static void values_stay_in_their_line(void **state)
{
    struct text facts = {0};
    (void)state;
    agreement_add(&facts, "run.dir", "a\tb\nc");
    assert_string_equal(text_view(&facts), "run.dir\ta b c\n");
    text_release(&facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_named_in_ranges),
        cmocka_unit_test(a_key_may_be_missing),
        cmocka_unit_test(not_all_are_named),
        cmocka_unit_test(values_stay_in_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
