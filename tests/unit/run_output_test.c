/* Names of checkpoints: each has its own, and their order is that of time. */
#include "app/run_output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/runtime.h"

static void names_are(double period, double epochs, double epoch, const char *want)
{
    char *name = run_output_checkpoint_name(period, epochs, epoch);
    assert_string_equal(name, want);
    free(name);
}

static void test_names(void **state)
{
    (void)state;
    names_are(1, 10, 1, "checkpoint-0001.safetensors");
    names_are(25, 300, 25.02, "checkpoint-0025.safetensors");
    names_are(1, 300, 1.7, "checkpoint-0001.safetensors");
    names_are(0.5, 6, 0.5, "checkpoint-0000.5.safetensors");
    names_are(0.5, 6, 1, "checkpoint-0001.0.safetensors");
    names_are(0.5, 6, 2.71, "checkpoint-0002.5.safetensors");
    names_are(2.25, 6, 4.5, "checkpoint-0004.50.safetensors");
    names_are(0.1, 6, 3 / 10.0, "checkpoint-0000.3.safetensors");
    names_are(0.333333, 6, 0.34, "checkpoint-0000.333333.safetensors");
    names_are(1e-9, 6, 3 / 16.0, "checkpoint-0000.187500.safetensors");
    names_are(100, 20000, 9900, "checkpoint-09900.safetensors");
}

/* A run of `total` gradients, which become known `stride` at a time: checkpoints of every period that is seen to be
 * over. */
static void run(double period, double per_epoch, uint64_t total, uint64_t stride)
{
    struct runtime_params params = {.gradients_per_epoch = per_epoch};
    double due = runtime_first_due(&params, period), epochs = (double)total / per_epoch;
    char *last = strdup("");
    uint64_t count = 0, periods = 0;
    for (uint64_t k = stride; k <= total; k += stride) {
        double epoch = (double)k / per_epoch;
        uint64_t over = (uint64_t)(epoch / period + 1e-9);
        assert_true((epoch >= due) == (over > periods));
        periods = over;
        if (epoch < due)
            continue;
        due = runtime_next_due(period, epoch);
        char *name = run_output_checkpoint_name(period, epochs, epoch);
        assert_true(strcmp(last, name) < 0);
        free(last);
        last = name;
        count++;
    }
    assert_true(count > 0);
    free(last);
}

static void test_every_checkpoint_has_its_own(void **state)
{
    (void)state;
    static const double periods[] = {0.1, 0.2, 0.25, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 1.0 / 3, 0.01, 1e-9};
    static const double per_epoch[] = {10, 16, 7, 390.625, 1000};
    for (size_t i = 0; i < sizeof periods / sizeof periods[0]; i++)
        for (size_t j = 0; j < sizeof per_epoch / sizeof per_epoch[0]; j++)
            for (uint64_t stride = 1; stride < 12; stride += 5)
                run(periods[i], per_epoch[j], (uint64_t)(20 * per_epoch[j]), stride);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_every_checkpoint_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
