/* Writing the configuration: write, load, write is the identity; and the manual that the schema makes. */
#include "config/config.h"

#include "config_fixture.h"

/* Write, load into a fresh config, write again: the same text. */
static void check_round_trip(struct fixture *fixture)
{
    struct fixture other = {.config = config_create()};
    strcpy(other.path, fixture->path);
    assert_int_equal(load(&other, write_config(fixture)), STATUS_OK);
    assert_string_equal(write_config(&other), fixture->written);
    assert_string_equal(other.config->data.name, fixture->config->data.name);
    assert_string_equal(other.config->run.dir, fixture->config->run.dir);
    assert_memory_equal(&other.config->optimizer, &fixture->config->optimizer, sizeof other.config->optimizer);
    config_destroy(other.config);
    free(other.written);
}

static void set_text(char **field, const char *text)
{
    free(*field);
    *field = strdup(text);
}

/* What a YAML reader could take for something else, or must not see raw. */
static const char *const odd_texts[] = {
    "",
    "plain",
    "resnet18",
    "a b",
    "it's \"so\"",
    "back\\slash",
    "two\nlines\n",
    "tab\tand\rreturn",
    " edges ",
    "a: b",
    "- a",
    "#1",
    "a #1",
    "{a}",
    "[a, b]",
    "&a",
    "*a",
    "!a",
    "|",
    ">",
    "%a",
    "@a",
    "`a`",
    "?",
    "~",
    "null",
    "Null",
    "true",
    "No",
    "y",
    "auto",
    "1",
    "-1",
    "1e3",
    ".5",
    ".inf",
    "0x1f",
    "2024-01-01",
    "1:30",
    "---",
    "...",
    "/data/sets",
    "été",
    "数据",
    "🍇 grape",
    "\x01\x1F\x7F",
    "\xC2\x80\xC2\x85\xC2\xA0",
    "\xE2\x80\xA8\xE2\x80\xA9",
    "\xEF\xBB\xBF",
    "\xEF\xBF\xBE",
    "<<",
    "=",
    "a,b",
    "a]",
    "key: {b: c}",
    "'",
    "\"",
    "\\",
    "trailing:",
};

static void test_write_and_load(void **state)
{
    struct fixture *fixture = *state;
    check_round_trip(fixture);
    for (size_t i = 0; i < sizeof odd_texts / sizeof odd_texts[0]; i++) {
        set_text(&fixture->config->data.name, odd_texts[i]);
        set_text(&fixture->config->run.dir, odd_texts[sizeof odd_texts / sizeof odd_texts[0] - 1 - i]);
        check_round_trip(fixture);
    }
}

static void test_write_numbers(void **state)
{
    static const struct {
        double value;
        const char *want;
    } cases[] = {
        {0.1, "  lr: 0.1\n"},
        {0.30000000000000004, "  lr: 0.30000000000000004\n"},
        {1.0 / 3, "  lr: 0.3333333333333333\n"},
        {5e-4, "  lr: 0.0005\n"},
        {1e-5, "  lr: 1.0e-05\n"},
        {2.5e-7, "  lr: 2.5e-07\n"},
        {100, "  lr: 100\n"},
        {0x1p-1074, "  lr: 5.0e-324\n"},
        {0x1.fffffffffffffp-2, "  lr: 0.49999999999999994\n"},
        {0, "  lr: 0\n"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture->config->optimizer.lr = cases[i].value;
        assert_non_null(strstr(write_config(fixture), cases[i].want));
        check_round_trip(fixture);
    }
    fixture->config->schedule.milestones = (struct config_list){.items = {0.1, 1.0 / 3, 0.75}, .count = 3};
    assert_non_null(strstr(write_config(fixture), "  milestones: [0.1, 0.3333333333333333, 0.75]\n"));
    fixture->config->schedule.milestones.count = 0;
    assert_non_null(strstr(write_config(fixture), "  milestones: []\n"));
    assert_ptr_equal(strstr(fixture->written, "seed: 1\n\ndata:\n  name: \"\"\n  path: \"\"\n"), fixture->written);
    check_round_trip(fixture);
}

/* What config_describe prints; owned by the caller. */
static char *describe(const char *key)
{
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    assert_int_equal(config_describe(key, out), STATUS_OK);
    fclose(out);
    return text;
}

static size_t count_of(const char *text, const char *word)
{
    size_t count = 0;
    for (; (text = strstr(text, word)) != NULL; text += strlen(word))
        count++;
    return count;
}

/* Texts as they are, all else as it is written. */
static void test_get(void **state)
{
    static const char *const wants[][2] = {
        {"run.dir", "a b: \"c\""}, {"optimizer.lr", "0.1"}, {"seed", "1"}, {"run.trace", "false"}, {"data.path", ""}};
    struct fixture *fixture = *state;
    struct text value = {0};
    set_text(&fixture->config->run.dir, "a b: \"c\"");
    for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
        assert_int_equal(config_get(fixture->config, wants[i][0], &value), STATUS_OK);
        assert_string_equal(text_view(&value), wants[i][1]);
        text_release(&value);
        value = (struct text){0};
    }
    assert_int_equal(config_get(fixture->config, "run.dri", &value), STATUS_USAGE);
    text_release(&value);
}

static void test_describe(void **state)
{
    struct fixture *fixture = *state;
    char *text = describe(NULL);
    assert_non_null(strstr(text, "\noptimizer.lr                  0.1          number in [0, 100]  "));
    assert_non_null(strstr(text, "\ndata.name                     (required)   text"));
    free(text);
    text = describe("optimizer.lr");
    assert_string_equal(text, "optimizer.lr: learning rate per lr_per_samples samples\n"
                              "  number in [0, 100]; default 0.1\n"
                              "  The peak rate is lr * train.batch * workers / lr_per_samples (linear scaling).\n");
    free(text);
    text = describe("schedule");
    assert_int_equal(count_of(text, "; default "), 4);
    assert_int_equal(count_of(text, "\nschedule."), 3);
    free(text);
    text = describe("seed");
    assert_memory_equal(text, "seed: ", 6);
    free(text);
    capture_begin(&fixture->capture);
    assert_int_equal(config_describe("optimiser.lr", stdout), STATUS_USAGE);
    assert_int_equal(config_describe("modle", stdout), STATUS_USAGE);
    assert_string_equal(capture_end(&fixture->capture),
                        "grapevine: error: unknown key \"optimiser.lr\"; did you mean \"optimizer.lr\"?\n"
                        "grapevine: error: unknown key \"modle\"; did you mean section \"model\"?\n");
}

/* Every key that is written is described, in lines that fit a wide terminal; what is written counts every key. */
static void test_every_key_is_described(void **state)
{
    struct fixture *fixture = *state;
    char section[64] = "", key[64], name[160];
    char *table = describe(NULL), *copy = strdup(write_config(fixture)), *rest = NULL;
    size_t keys = 0;
    for (char *line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] != ' ' && line[strlen(line) - 1] == ':') {
            snprintf(section, sizeof section, "%.*s.", (int)strlen(line) - 1, line);
            continue;
        }
        sscanf(line, " %63[^:]", key);
        snprintf(name, sizeof name, "%s%s", line[0] == ' ' ? section : "", key);
        char *text = describe(name);
        assert_memory_equal(text, name, strlen(name));
        free(text);
        snprintf(name, sizeof name, "\n%s%s ", line[0] == ' ' ? section : "", key);
        assert_int_equal(count_of(table, name), 1);
        keys++;
    }
    assert_true(keys > 50);
    for (char *line = strtok_r(table, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        assert_true(strlen(line) <= 132);
    free(table);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(test_write_and_load), CONFIG_TEST(test_write_numbers),          CONFIG_TEST(test_get),
        CONFIG_TEST(test_describe),       CONFIG_TEST(test_every_key_is_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
