/* The summary: every field that others rely on, whole numbers exact, numbers that are none as null. */
#include "app/summary.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/run_directory.h"

static const uint64_t gradients[2] = {300, 100};
static const uint64_t meetings[4] = {0, 150, 150, 0};
static const double idle[2] = {0.25, 0.125}, data_wait[2] = {0, 0.5}, rates[2] = {500, 250};

static struct summary make_summary(void)
{
    return (struct summary){.version = "0.1.0",
                            .command = "grapevine train \"a b\".yaml",
                            .config_file = "a b.yaml",
                            .algorithm = "acid",
                            .graph = "ring",
                            .model = "resnet20",
                            .data = "cifar10",
                            .transport = "put",
                            .workers = 2,
                            .seed = INT64_C(9007199254740993), /* 2^53 + 1: no double is equal to it */
                            .chi1 = 0.5,
                            .chi2 = 0.25,
                            .eta = 0.125,
                            .alpha = 0.5,
                            .alpha_tilde = (double)NAN,
                            .rate_wanted = 1,
                            .gradients = 400,
                            .gradients_per_worker = gradients,
                            .exchanges = 150,
                            .ticks = 160,
                            .ticks_unserved = 10,
                            .meetings_lost = 7,
                            .payloads_damaged = 5,
                            .payloads_repeated = 6,
                            .injected = {.slow = "0 x4", .death = "", .nan = "2 1..2", .loss = 0.25, .torn = 0.125},
                            .meetings = meetings,
                            .idle = idle,
                            .data_wait = data_wait,
                            .samples_per_second = rates,
                            .wall_seconds = 12.5,
                            .finalisation_seconds = 1.75,
                            .test_accuracy = 0.875,
                            .test_loss = 0.5,
                            .test_accuracy_own_statistics = 0.75,
                            .test_accuracy_top5 = 0.96875,
                            .test_accuracy_top5_own_statistics = 0.9375,
                            .consensus_distance = 0.0625};
}

static char *read_all(FILE *in)
{
    char *text = calloc(1, 1 << 16);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 16) - 1, in) > 0);
    fclose(in);
    return text;
}

static void assert_number(const cJSON *root, const char *key, double wanted)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, key);
    if (!cJSON_IsNumber(item) || item->valuedouble != wanted)
        fail_msg("%s is not %g", key, wanted);
}

static void assert_item(const cJSON *root, const char *key, int index, double wanted)
{
    const cJSON *item = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(root, key), index);
    if (!cJSON_IsNumber(item) || item->valuedouble != wanted)
        fail_msg("%s[%d] is not %g", key, index, wanted);
}

/* summary.json of a summary, parsed. */
static cJSON *write_and_parse(const struct summary *summary, char **text)
{
    char folder[] = "/tmp/grapevine-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    assert_int_equal(summary_write(summary, folder), STATUS_OK);
    char *path = run_directory_file(folder, "summary.json");
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    *text = read_all(in);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
    free(path);
    cJSON *root = cJSON_ParseWithOpts(*text, NULL, 0);
    assert_non_null(root);
    return root;
}

static void a_run_without_injections_says_nothing_of_them(void **state)
{
    (void)state;
    struct summary summary = make_summary();
    char *text;
    summary.injected = (struct summary_injected){.slow = "", .links = ""};
    summary.payloads_damaged = summary.payloads_repeated = 0;
    cJSON *root = write_and_parse(&summary, &text);
    assert_null(cJSON_GetObjectItemCaseSensitive(root, "injected"));
    assert_null(cJSON_GetObjectItemCaseSensitive(root, "meetings_lost"));
    assert_null(cJSON_GetObjectItemCaseSensitive(root, "payloads_damaged"));
    cJSON_Delete(root);
    free(text);
}

static void writes_every_field(void **state)
{
    (void)state;
    const struct summary summary = make_summary();
    char *text;
    cJSON *root = write_and_parse(&summary, &text);
    static const char *const texts[][2] = {{"version", "0.1.0"}, {"algorithm", "acid"},
                                           {"graph", "ring"},    {"model", "resnet20"},
                                           {"data", "cifar10"},  {"command", "grapevine train \"a b\".yaml"},
                                           {"transport", "put"}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_string_equal(cJSON_GetObjectItemCaseSensitive(root, texts[i][0])->valuestring, texts[i][1]);
    assert_non_null(strstr(text, "9007199254740993"));
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(root, "alpha_tilde")));
    assert_null(cJSON_GetObjectItemCaseSensitive(root, "device"));
    assert_number(root, "workers", 2);
    assert_number(root, "chi1", 0.5);
    assert_number(root, "chi2", 0.25);
    assert_number(root, "eta", 0.125);
    assert_number(root, "gradients", 400);
    assert_number(root, "exchanges", 150);
    assert_number(root, "exchanges_per_gradient", 0.75);
    assert_number(root, "rate_wanted", 1);
    assert_number(root, "ticks", 160);
    assert_number(root, "ticks_unserved", 10);
    assert_number(root, "samples_per_second", 750);
    assert_number(root, "wall_seconds", 12.5);
    assert_number(root, "finalisation_seconds", 1.75);
    assert_number(root, "test_accuracy", 0.875);
    assert_number(root, "test_loss", 0.5);
    assert_number(root, "test_accuracy_own_statistics", 0.75);
    assert_number(root, "test_accuracy_top5", 0.96875);
    assert_number(root, "test_accuracy_top5_own_statistics", 0.9375);
    assert_number(root, "consensus_distance", 0.0625);
    assert_number(root, "meetings_lost", 7);
    assert_number(root, "payloads_damaged", 5);
    assert_number(root, "payloads_repeated", 6);
    const cJSON *injected = cJSON_GetObjectItemCaseSensitive(root, "injected");
    assert_int_equal(cJSON_GetArraySize(injected), 4);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(injected, "slow")->valuestring, "0 x4");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(injected, "nan")->valuestring, "2 1..2");
    assert_number(injected, "loss", 0.25);
    assert_number(injected, "torn", 0.125);
    assert_item(root, "gradients_per_worker", 0, 300);
    assert_item(root, "idle", 1, 0.125);
    assert_item(root, "data_wait", 1, 0.5);
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(root, "meetings");
    assert_int_equal(cJSON_GetArraySize(rows), 2);
    assert_true(cJSON_GetArrayItem(cJSON_GetArrayItem(rows, 0), 1)->valueint == 150);
    cJSON_Delete(root);
    free(text);
}

static void prints_a_table(void **state)
{
    (void)state;
    struct summary summary = make_summary();
    FILE *out = tmpfile();
    assert_non_null(out);
    summary_print(&summary, "runs/first", out);
    summary.rate_wanted = (double)NAN;
    rewind(out);
    char *text = read_all(out);
    static const char *const parts[] = {"resnet20 on cifar10, acid, 2 workers, ring",
                                        "87.50 %",
                                        "0.5000",
                                        "750",
                                        "0.750 (wanted 1.000)",
                                        "0.0625",
                                        "25.0 12.5 %",
                                        "0.0 50.0 %",
                                        "12.5 s",
                                        "runs/first\n"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(text, parts[i]) == NULL)
            fail_msg("%s is not in:\n%s", parts[i], text);
    free(text);
    out = tmpfile();
    assert_non_null(out);
    summary_print(&summary, "runs/first", out);
    rewind(out);
    text = read_all(out);
    assert_null(strstr(text, "wanted")); /* nobody meets in pairs */
    free(text);
}

/* A simulation says what its time is; what is known about the network and the optimum is there, and nothing else. */
static void writes_what_is_known(void **state)
{
    (void)state;
    struct summary summary = make_summary();
    char *text;
    summary.time = "modelled";
    summary.virtual_time = 0.1;
    summary.consensus_predicted = 0.03125;
    summary.chi1_realised = 1.0 / 3;
    summary.chi2_realised = 0.3125;
    summary.optimum_distance = 1e-300;
    summary.optimum_gap = -0.0078125;
    cJSON *root = write_and_parse(&summary, &text);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(root, "time")->valuestring, "modelled");
    assert_number(root, "virtual_time", 0.1);
    assert_number(root, "wall_seconds", 12.5);
    assert_number(root, "consensus_predicted", 0.03125);
    assert_number(root, "chi1_realised", 1.0 / 3);
    assert_number(root, "chi2_realised", 0.3125);
    assert_number(root, "optimum_distance", 1e-300);
    assert_number(root, "optimum_gap", -0.0078125);
    cJSON_Delete(root);
    free(text);
}

static void leaves_out_what_is_not_known(void **state)
{
    (void)state;
    static const char *const keys[] = {"time",
                                       "virtual_time",
                                       "consensus_predicted",
                                       "chi1_realised",
                                       "chi2_realised",
                                       "optimum_distance",
                                       "optimum_gap",
                                       "meetings",
                                       "test_accuracy_top5",
                                       "test_accuracy_top5_own_statistics"};
    struct summary summary = make_summary();
    char *text;
    summary.virtual_time = 5; /* of a real run: says nothing */
    summary.consensus_predicted = (double)NAN;
    summary.chi1_realised = (double)INFINITY;
    summary.chi2_realised = summary.optimum_distance = summary.optimum_gap = (double)NAN;
    summary.test_accuracy_top5 = summary.test_accuracy_top5_own_statistics = (double)NAN; /* few classes */
    summary.meetings = NULL;                                                              /* too many workers */
    cJSON *root = write_and_parse(&summary, &text);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (cJSON_HasObjectItem(root, keys[i]))
            fail_msg("%s is in:\n%s", keys[i], text);
    assert_true(cJSON_HasObjectItem(root, "consensus_distance") && cJSON_HasObjectItem(root, "exchanges"));
    cJSON_Delete(root);
    free(text);
}

/* What is printed of the summary has `wanted`; `absent` (NULL: nothing) is not in it. */
static void assert_printed(const struct summary *summary, const char *wanted, const char *absent)
{
    FILE *out = tmpfile();
    assert_non_null(out);
    summary_print(summary, "runs/first", out);
    rewind(out);
    char *text = read_all(out);
    if (strstr(text, wanted) == NULL || (absent != NULL && strstr(text, absent) != NULL))
        fail_msg("%s is not, or %s is, in:\n%s", wanted, absent != NULL ? absent : "nothing", text);
    free(text);
}

static void prints_what_is_known(void **state)
{
    (void)state;
    struct summary summary = make_summary();
    summary.consensus_predicted = summary.optimum_distance = summary.optimum_gap = (double)NAN;
    assert_printed(&summary, "consensus distance         0.0625\n", "theory");
    assert_printed(&summary, "samples/s                  750\n", "virtual");
    assert_printed(&summary, "loss", "optimum");
    assert_printed(&summary, "87.50 %\n  among the five best        96.88 %\n", NULL);
    summary.test_accuracy_top5 = (double)NAN;
    assert_printed(&summary, "87.50 %\n", "five");
    summary.consensus_predicted = 0.03125;
    assert_printed(&summary, "consensus distance         0.0625 (level of theory 0.0312)\n", NULL);
    summary.optimum_distance = 0.25;
    summary.optimum_gap = 0.5;
    assert_printed(&summary, "distance to the optimum    0.25, objective above it by 0.5\n", NULL);
    summary.time = "ideal";
    summary.virtual_time = 100.25;
    assert_printed(&summary, "samples/s                  750 (virtual)\n", NULL);
    assert_printed(&summary, "virtual time               100.2 expected gradients of a worker\n", NULL);
    summary.time = "modelled";
    assert_printed(&summary, "virtual time               1 min 40 s\n", "expected gradients");
    assert_printed(&summary, "time                       12.5 s, average and final test 1.8 s\n", NULL);
}

/* Ideal time has no seconds, and nobody waits in it. */
static void leaves_out_what_ideal_time_has_not(void **state)
{
    (void)state;
    static const double none[2] = {(double)NAN, (double)NAN};
    struct summary summary = make_summary();
    assert_printed(&summary, "  idle, worker by worker     25.0 12.5 %\n", NULL);
    assert_printed(&summary, "  waiting for data           0.0 50.0 %\n", NULL);
    summary.time = "ideal";
    summary.idle = summary.data_wait = summary.samples_per_second = none;
    assert_printed(&summary, "loss", "samples/s");
    assert_printed(&summary, "loss", "idle");
    assert_printed(&summary, "loss", "waiting");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(writes_every_field),
                                       cmocka_unit_test(a_run_without_injections_says_nothing_of_them),
                                       cmocka_unit_test(writes_what_is_known),
                                       cmocka_unit_test(leaves_out_what_is_not_known),
                                       cmocka_unit_test(prints_a_table),
                                       cmocka_unit_test(prints_what_is_known),
                                       cmocka_unit_test(leaves_out_what_ideal_time_has_not)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
