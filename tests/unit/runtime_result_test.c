/* How much work the end of a run is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/runtime.h"

static void statistics_take_so_many_batches_in_all(void **state)
{
    (void)state;
    const struct runtime_params params = {.batch_norm_batches = 32};
    assert_int_equal(runtime_statistics_batches(&params, 1), 32);
    assert_int_equal(runtime_statistics_batches(&params, 4), 8);
    for (int workers = 1; workers <= 32; workers++) {
        int each = runtime_statistics_batches(&params, workers);
        assert_true(each * workers >= 32 && (each - 1) * workers < 32);
    }
}

static void every_worker_takes_one_at_least(void **state)
{
    (void)state;
    const struct runtime_params params = {.batch_norm_batches = 32};
    assert_int_equal(runtime_statistics_batches(&params, 33), 1);
    assert_int_equal(runtime_statistics_batches(&params, 4096), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_take_so_many_batches_in_all),
        cmocka_unit_test(every_worker_takes_one_at_least),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
