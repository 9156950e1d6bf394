/* Reading the configuration: the defaults, files, arguments, and every class of error with its whole message. */
#include "config/config.h"

#include <math.h>

#include "config_fixture.h"

/* The captured text is "grapevine: error: " + `place` + `want` and nothing else. */
static void check_message(const char *text, const char *place, const char *want)
{
    char line[4096];
    snprintf(line, sizeof line, "grapevine: error: %s%s\n", place, want);
    assert_string_equal(text, line);
}

/* Loading `yaml` fails with the message "<path>" `want`, and leaves the config as it was. */
static void expect_bytes(struct fixture *fixture, const char *yaml, size_t length, const char *want)
{
    char *before = strdup(write_config(fixture));
    capture_begin(&fixture->capture);
    enum status status = load_bytes(fixture, yaml, length);
    const char *text = capture_end(&fixture->capture);
    check_message(text, fixture->path, want);
    assert_int_equal(status, STATUS_USAGE);
    assert_string_equal(write_config(fixture), before);
    free(before);
}

static void expect(struct fixture *fixture, const char *yaml, const char *want)
{
    expect_bytes(fixture, yaml, strlen(yaml), want);
}

static void expect_set(struct fixture *fixture, const char *assignment, const char *want)
{
    char place[256];
    snprintf(place, sizeof place, "argument \"%s\": ", assignment);
    capture_begin(&fixture->capture);
    enum status status = config_set(fixture->config, assignment);
    check_message(capture_end(&fixture->capture), place, want);
    assert_int_equal(status, STATUS_USAGE);
}

static void test_defaults(void **state)
{
    const struct config *config = ((struct fixture *)*state)->config;
    assert_int_equal(config->seed, 1);
    assert_string_equal(config->data.name, "");
    assert_string_equal(config->data.path, "");
    assert_string_equal(config->data.partition, "shared");
    assert_true(config->data.augment && config->data.alpha == 0.3 && config->data.validation == 0);
    assert_string_equal(config->model.init, "");
    assert_string_equal(config->algorithm.name, "acid");
    assert_true(isnan(config->algorithm.eta) && isnan(config->algorithm.alpha) && isnan(config->algorithm.alpha_tilde));
    assert_string_equal(config->graph.name, "ring");
    assert_true(config->graph.degree == 4 && config->graph.probability == 0.3 && config->graph.seed == 1);
    assert_true(config->communication.rate == 1 && config->communication.enforce_rate);
    assert_true(config->communication.pending == 2 && config->communication.records == 3);
    assert_true(config->communication.patience_s == 1 && config->communication.limit_s == 120);
    assert_true(config->communication.chunk_bytes == 1 << 20 && config->communication.bucket_bytes == 4 << 20);
    assert_true(config->optimizer.lr == 0.1 && config->optimizer.lr_per_samples == 256);
    assert_true(config->optimizer.momentum == 0.9 && config->optimizer.weight_decay == 5e-4);
    assert_true(config->optimizer.clip_norm == 1 && !config->optimizer.nesterov);
    assert_false(config->optimizer.decay_norm_and_bias);
    assert_string_equal(config->schedule.name, "step");
    assert_true(isnan(config->schedule.warmup_epochs) && config->schedule.factor == 0.1);
    assert_int_equal(config->schedule.milestones.count, 2);
    assert_true(config->schedule.milestones.items[0] == 0.5 && config->schedule.milestones.items[1] == 0.75);
    assert_true(config->train.workers == 4 && config->train.batch == 128 && config->train.epochs == 300);
    assert_true(config->train.label_smoothing == 0);
    assert_string_equal(config->batch_norm.policy, "recomputed");
    assert_int_equal(config->batch_norm.batches, 32);
    assert_string_equal(config->device.name, "auto");
    assert_string_equal(config->device.precision, "auto");
    assert_int_equal(config->device.threads, 1);
    assert_string_equal(config->run.dir, "");
    assert_string_equal(config->run.log_level, "info");
    assert_true(config->run.log_every == 50 && config->run.eval_every_epochs == 5);
    assert_true(config->run.checkpoint_every_epochs == 25);
    assert_false(config->run.trace || config->run.tensorboard || config->run.keep_best);
}

static void test_load(void **state)
{
    struct fixture *fixture = *state;
    const struct config *config = fixture->config;
    assert_int_equal(load(fixture,
                          "# a comment\n"
                          "seed: 7\n"
                          "data: {name: cifar10, path: \"/a b/c\", augment: false, partition: dirichlet, alpha: .5}\n"
                          "model:\n"
                          "  name: resnet18   # another\n"
                          "  dropout: 1e-3\n"
                          "algorithm: {name: gossip, eta: 0.25, alpha: auto}\n"
                          "optimizer: {weight_decay: 5.0e-4, nesterov: true, lr: +1}\n"
                          "schedule:\n"
                          "  warmup_epochs: 5\n"
                          "  milestones:\n"
                          "    - 0.3\n"
                          "    - 0.6\n"
                          "    - 8.0e-1\n"
                          "train: {epochs: 0.5}\n"
                          "graph:\n"
                          "run: {dir: 2024-01-01, trace: true}\n"),
                     STATUS_OK);
    assert_int_equal(config->seed, 7);
    assert_string_equal(config->data.name, "cifar10");
    assert_string_equal(config->data.path, "/a b/c");
    assert_string_equal(config->data.partition, "dirichlet");
    assert_true(!config->data.augment && config->data.alpha == 0.5);
    assert_string_equal(config->model.name, "resnet18");
    assert_true(config->model.dropout == 1e-3);
    assert_true(config->algorithm.eta == 0.25 && isnan(config->algorithm.alpha));
    assert_true(config->optimizer.weight_decay == 5e-4 && config->optimizer.nesterov && config->optimizer.lr == 1);
    assert_int_equal(config->schedule.milestones.count, 3);
    assert_true(config->schedule.milestones.items[2] == 0.8 && config->schedule.warmup_epochs == 5);
    assert_true(config->train.epochs == 0.5 && config->train.batch == 128);
    assert_string_equal(config->run.dir, "2024-01-01");
    assert_int_equal(config_require(config, "x.yaml"), STATUS_OK);
    assert_int_equal(load_bytes(fixture, "\xEF\xBB\xBFseed: 9\r\ndata: {name: b}\r\n", 29),
                     STATUS_OK); /* from Windows */
    assert_int_equal(config->seed, 9);
    assert_string_equal(config->data.name, "b");
}

static void test_unknown_keys(void **state)
{
    struct fixture *fixture = *state;
    expect(fixture, "seed: 1\noptimiser:\n  lr: 1\n",
           ":3: unknown key \"optimiser.lr\"; did you mean \"optimizer.lr\"?");
    expect(fixture, "optimizer: {lrr: 1}\n", ":1: unknown key \"optimizer.lrr\"; did you mean \"optimizer.lr\"?");
    expect(fixture, "sed: 1\n", ":1: unknown key \"sed\"; did you mean \"seed\"?");
    expect(fixture, "optimiser: 1\n", ":1: unknown key \"optimiser\"; did you mean section \"optimizer\"?");
    expect(fixture, "train: {lr: 1}\n", ":1: unknown key \"train.lr\"; \"lr\" is a key of section optimizer");
    expect(fixture, "lr: 1\n", ":1: unknown key \"lr\"; \"lr\" is a key of section optimizer");
    expect(fixture, "train: {alpha: 1}\n",
           ":1: unknown key \"train.alpha\"; \"alpha\" is a key of sections data | algorithm");
    expect(fixture, "zzzzz: {qqqqq: 1}\n", ":1: unknown key \"zzzzz.qqqqq\"; `grapevine config` lists every key");
    expect(fixture, "zzzzz: []\n", ":1: unknown key \"zzzzz\"; `grapevine config` lists every key");
    expect(fixture, "optimizer.lr: 1\n",
           ":1: \"optimizer.lr\" cannot stand in one word in a file; write optimizer: {lr: ...}");
    expect(fixture, "\"\": 3\n", ":1: unknown key \"\"; `grapevine config` lists every key");
    expect(fixture, "? [a]\n: c\n", ":1: a list or mapping stands where a key is expected; write key: value");
    expect(fixture, "data: {? [a] : c}\n", ":1: a list or mapping stands where a key is expected; write key: value");
}

static void test_twice(void **state)
{
    struct fixture *fixture = *state;
    expect(fixture, "seed: 1\nseed: 1\n", ":2: key \"seed\" stands twice, first in line 1; keep one");
    expect(fixture, "optimizer:\n  lr: 1\n  momentum: 0\n  lr: 1\n",
           ":4: key \"optimizer.lr\" stands twice, first in line 2; keep one");
    expect(fixture, "data: {name: a}\nseed: 1\ndata: {path: b}\n",
           ":3: section \"data\" stands twice, first in line 1; keep one");
}

static void test_numbers(void **state)
{
    struct fixture *fixture = *state;
    static const char *const not_numbers[] = {"fast", "nan", ".inf", "0x10", "1_000", "1,5", "auto", "e5", "--1", "1e"};
    for (size_t i = 0; i < sizeof not_numbers / sizeof not_numbers[0]; i++) {
        char yaml[64], want[128];
        snprintf(yaml, sizeof yaml, "optimizer:\n  lr: %s\n", not_numbers[i]);
        snprintf(want, sizeof want, ":2: optimizer.lr: \"%s\" is not a number; give a number in [0, 100]",
                 not_numbers[i]);
        expect(fixture, yaml, want);
    }
    expect(fixture, "optimizer: {lr: \"0.1\"}\n",
           ":1: optimizer.lr: \"0.1\" is a text because of its quotes; give a number in [0, 100]");
    expect(fixture, "optimizer: {lr: 100.5}\n",
           ":1: optimizer.lr: \"100.5\" is out of bounds; give a number in [0, 100]");
    expect(fixture, "optimizer: {lr: 1e999}\n",
           ":1: optimizer.lr: \"1e999\" is out of bounds; give a number in [0, 100]");
    expect(fixture, "optimizer: {momentum: 1}\n",
           ":1: optimizer.momentum: \"1\" is out of bounds; give a number in [0, 1)");
    expect(fixture, "data: {alpha: 0}\n", ":1: data.alpha: \"0\" is out of bounds; give a number in (0, 1000000]");
    expect(fixture, "algorithm: {eta: fast}\n",
           ":1: algorithm.eta: \"fast\" is not a number; give a number in [0, 1000000] or auto");
    expect(fixture, "optimizer: {lr: }\n", ":1: optimizer.lr: has no value; give a number in [0, 100]");
    expect(fixture, "optimizer: {lr: ~}\n", ":1: optimizer.lr: has no value; give a number in [0, 100]");
    expect(fixture, "optimizer: {lr: [1]}\n",
           ":1: optimizer.lr: a list stands where one value is expected; give a number in [0, 100]");
    expect(fixture, "optimizer: {lr: {a: 1}}\n",
           ":1: optimizer.lr: a mapping stands where a value is expected; give a number in [0, 100]");
    assert_int_equal(load(fixture, "optimizer: {lr: 100, momentum: 0, weight_decay: 0}\n"), STATUS_OK);
}

static void test_integers(void **state)
{
    struct fixture *fixture = *state;
    expect(fixture, "train: {batch: 128.5}\n",
           ":1: train.batch: \"128.5\" is not an integer; give an integer in [1, 1000000]");
    expect(fixture, "train: {batch: 1e2}\n",
           ":1: train.batch: \"1e2\" is not an integer; give an integer in [1, 1000000]");
    expect(fixture, "train: {batch: 0}\n", ":1: train.batch: \"0\" is out of bounds; give an integer in [1, 1000000]");
    expect(fixture, "seed: 9007199254740992\n",
           ":1: seed: \"9007199254740992\" is out of bounds; give an integer in [0, 9007199254740991]");
    expect(fixture, "seed: -1\n", ":1: seed: \"-1\" is out of bounds; give an integer in [0, 9007199254740991]");
    expect(fixture, "seed: 99999999999999999999999999\n",
           ":1: seed: \"99999999999999999999999999\" is out of bounds; give an integer in [0, 9007199254740991]");
    assert_int_equal(load(fixture, "seed: 9007199254740991\n"), STATUS_OK);
    assert_true(fixture->config->seed == 9007199254740991);
}

static void test_words(void **state)
{
    struct fixture *fixture = *state;
    expect(fixture, "data: {augment: yes}\n",
           ":1: data.augment: \"yes\" is neither true nor false; write true or false");
    expect(fixture, "data: {augment: True}\n",
           ":1: data.augment: \"True\" is neither true nor false; write true or false");
    expect(fixture, "data: {augment: \"true\"}\n",
           ":1: data.augment: \"true\" is a text because of its quotes; write true or false");
    expect(
        fixture, "data: {partition: sharde}\n",
        ":1: data.partition: \"sharde\" is not known; give one of shared | iid | dirichlet (did you mean \"shared\"?)");
    expect(fixture, "communication: {transport: pigeon}\n",
           ":1: communication.transport: \"pigeon\" is not known; give one of auto | ipc | cuda | put | sendrecv");
    expect(fixture, "run: {log_level: }\n",
           ":1: run.log_level: has no value; give one of error | warning | info | debug");
    expect(fixture, "data: {name: }\n", ":1: data.name: has no value; give a text, or \"\" for none");
    expect(fixture, "data: {name: null}\n", ":1: data.name: has no value; give a text, or \"\" for none");
    expect(fixture, "data: {name: [a]}\n", ":1: data.name: a list stands where one value is expected; give a text");
    assert_int_equal(load(fixture, "data: {name: \"null\", partition: 'iid'}\n"), STATUS_OK);
    assert_string_equal(fixture->config->data.name, "null");
}

static void test_lists(void **state)
{
    struct fixture *fixture = *state;
    expect(fixture, "schedule: {milestones: 0.5}\n",
           ":1: schedule.milestones: \"0.5\" is not a list; "
           "give a list of numbers in (0, 1), such as [0.5, 0.75]");
    expect(fixture, "schedule:\n  milestones:\n  - 0.5\n  - x\n",
           ":4: schedule.milestones: \"x\" is not a number; "
           "give a list of numbers in (0, 1), such as [0.5, 0.75]");
    expect(fixture, "schedule: {milestones: [0.5, 1]}\n",
           ":1: schedule.milestones: \"1\" is out of bounds; "
           "give a list of numbers in (0, 1), such as [0.5, 0.75]");
    expect(fixture, "schedule: {milestones: [[0.5]]}\n",
           ":1: schedule.milestones: an item of the list is not a number; "
           "give a list of numbers in (0, 1), such as [0.5, 0.75]");
    expect(fixture, "schedule: {milestones: [.1,.1,.1,.1,.1,.1,.1,.1,.1,.1,.1,.1,.1,.1,.1,.1,.1]}\n",
           ":1: schedule.milestones: the list has more than 16 items; give at most that many");
    assert_int_equal(load(fixture, "schedule: {milestones: [.1,.1,.1,.1,.1,.1,.1,.1,.1,.1,.1,.1,.1,.1,.1,.2]}\n"),
                     STATUS_OK);
    assert_int_equal(fixture->config->schedule.milestones.count, 16);
    assert_true(fixture->config->schedule.milestones.items[15] == 0.2);
    assert_int_equal(load(fixture, "schedule: {milestones: []}\n"), STATUS_OK);
    assert_int_equal(fixture->config->schedule.milestones.count, 0);
}

static void test_structure(void **state)
{
    static const char empty[] = ": the file is empty; it needs at least data: {name: ...} and model: {name: ...}";
    static const char other[] =
        ":1: not a configuration; sections with keys are expected, such as data: {name: shapes}";
    struct fixture *fixture = *state;
    expect(fixture, "", empty);
    expect(fixture, "# nothing\n", empty);
    expect(fixture, "---\n", empty);
    expect(fixture, "data\n", other);
    expect(fixture, "[data]\n", other);
    expect(fixture, "data: 3\n", ":1: \"data\" is a section, not a value; give keys of it, such as data: {name: ...}");
    expect(fixture, "data: [name]\n",
           ":1: \"data\" is a section, not a value; give keys of it, such as data: {name: ...}");
    expect(fixture, "seed: 1\n---\nseed: 2\n", ":2: a second document begins here; a configuration is one document");
    expect(fixture, "seed: &a 3\n",
           ":1: anchors (&) and aliases (*) are not used here; write the value of \"a\" out, "
           "or in quotes if it is a text");
    expect(fixture, "data: &b {name: x}\n",
           ":1: anchors (&) and aliases (*) are not used here; write the value of \"b\" "
           "out, or in quotes if it is a text");
    expect(fixture, "seed: *a\n",
           ":1: anchors (&) and aliases (*) are not used here; write the value of \"a\" out, "
           "or in quotes if it is a text");
    expect(fixture, "data: {name: !x y}\n",
           ":1: tags (!) are not used here; leave \"!x\" out, or put the text in quotes");
    expect(fixture, "data:\n\tname: x\n",
           ":2: not valid YAML: found character that cannot start any token, while scanning "
           "for the next token that begins in line 2; indent with spaces, not tabs");
    expect(fixture, "seed: 1\ndata: {name: \"abc\n",
           ":3: not valid YAML: found unexpected end of stream, while scanning a "
           "quoted scalar that begins in line 2");
    expect(fixture, "data: {name: abc\n",
           ":2: not valid YAML: did not find expected ',' or '}', while parsing a flow "
           "mapping that begins in line 1");
}

/* A text of `count` times `word`; owned by the caller. */
static char *repeat(const char *word, size_t count)
{
    size_t length = strlen(word);
    char *text = malloc(length * count + 1);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * length, word, length);
    text[length * count] = '\0';
    return text;
}

static void test_hostile_files(void **state)
{
    struct fixture *fixture = *state;
    char *deep = repeat("[", 200000), *maps = repeat("{a: ", 100000), *large = repeat("# ä\n", 300000), *text;
    expect(fixture, deep, ":1: not a configuration; sections with keys are expected, such as data: {name: shapes}");
    expect(fixture, maps, ":1: unknown key \"a.a\"; `grapevine config` lists every key");
    expect(fixture, large, ": more than 1048576 bytes, too long for a configuration; give the path of a YAML file");
    expect_bytes(fixture, "seed: 1\nse\0ed: 3\n", 17,
                 ":2: not a text in UTF-8: control characters are not allowed; save it as plain text");
    expect_bytes(fixture, "\xFF\xFEs\0", 4,
                 ":1: not a text in UTF-8: invalid leading UTF-8 octet; save it as plain text");
    expect(fixture, "data: {name: \"a\\0b\"}\n", ":1: \"a\" is followed by a NUL character; take it out");
    expect(fixture, "data: {partition: \"\\n\\e[31m\"}\n",
           ":1: data.partition: \"??[31m\" is not known; give one of shared | iid | dirichlet");
    text = malloc(900010);
    memset(deep, 'x', 200000);
    sprintf(text, "seed: %s", deep);
    expect(fixture, text,
           ":1: seed: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…\" is not an integer; "
           "give an integer in [0, 9007199254740991]");
    sprintf(text, "data: {name: %s}", deep);
    assert_int_equal(load(fixture, text), STATUS_OK);
    assert_int_equal(strlen(fixture->config->data.name), 200000);
    free(text);
    free(deep);
    free(maps);
    free(large);
}

static void test_unreadable_files(void **state)
{
    static const char *const cases[][2] = {
        {"/nonexistent/x.yaml", ": cannot be opened: No such file or directory; give the path of a YAML file"},
        {"/tmp", ": cannot be read: Is a directory; give the path of a YAML file"},
        {"/dev/zero", ": more than 1048576 bytes, too long for a configuration; give the path of a YAML file"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        capture_begin(&fixture->capture);
        enum status status = config_load(fixture->config, cases[i][0]);
        check_message(capture_end(&fixture->capture), cases[i][0], cases[i][1]);
        assert_int_equal(status, STATUS_USAGE);
    }
}

static void test_set(void **state)
{
    struct fixture *fixture = *state;
    const struct config *config = fixture->config;
    assert_int_equal(config_set(fixture->config, "optimizer.lr=1e-3"), STATUS_OK);
    assert_true(config->optimizer.lr == 1e-3);
    assert_int_equal(config_set(fixture->config, "schedule.milestones=[0.3, 0.6]"), STATUS_OK);
    assert_true(config->schedule.milestones.count == 2 && config->schedule.milestones.items[1] == 0.6);
    assert_int_equal(config_set(fixture->config, "seed= 5 "), STATUS_OK);
    assert_int_equal(config->seed, 5);
    assert_int_equal(config_set(fixture->config, "run.dir=a=b"), STATUS_OK);
    assert_string_equal(config->run.dir, "a=b");
    assert_int_equal(config_set(fixture->config, "run.dir='a #1: é'"), STATUS_OK);
    assert_string_equal(config->run.dir, "a #1: é");
    assert_int_equal(config_set(fixture->config, "run.dir=é"), STATUS_OK);
    assert_string_equal(config->run.dir, "é");
    assert_int_equal(config_set(fixture->config, "run.dir="), STATUS_OK);
    assert_string_equal(config->run.dir, "");
    assert_int_equal(config_set(fixture->config, "algorithm.eta=0.5"), STATUS_OK);
    assert_int_equal(config_set(fixture->config, "algorithm.eta=auto"), STATUS_OK);
    assert_true(isnan(config->algorithm.eta));
}

static void test_set_errors(void **state)
{
    struct fixture *fixture = *state;
    expect_set(fixture, "fast", "not of the form section.key=value");
    expect_set(fixture, "optimizer.lr=fast", "optimizer.lr: \"fast\" is not a number; give a number in [0, 100]");
    expect_set(fixture, "optimizer.lr=", "optimizer.lr: has no value; give a number in [0, 100]");
    expect_set(fixture, "optimizer.lr=1 2", "optimizer.lr: \"1 2\" is not a number; give a number in [0, 100]");
    expect_set(fixture, "optimiser.lr=1", "unknown key \"optimiser.lr\"; did you mean \"optimizer.lr\"?");
    expect_set(fixture, "lr=1", "unknown key \"lr\"; \"lr\" is a key of section optimizer");
    expect_set(fixture, "data=x", "\"data\" is a section; set one key of it, such as data.name=...");
    expect_set(fixture, "=3", "unknown key \"\"; `grapevine config` lists every key");
    expect_set(fixture, "run.dir=a #1", "run.dir: only the beginning of the value would be read; put it in quotes");
    expect_set(fixture, "run.dir=a: b", "run.dir: a mapping stands where a value is expected; give a text");
    expect_set(fixture, "schedule.milestones=[0.1", "not valid YAML: did not find expected ',' or ']'");
    expect_set(fixture, "run.log_level=loud",
               "run.log_level: \"loud\" is not known; "
               "give one of error | warning | info | debug");
    assert_string_equal(fixture->config->run.dir, "");
}

/* An edge list is a graph of its own: of graph.name and graph.file, what is said last decides. */
static void test_graph_file(void **state)
{
    struct fixture *fixture = *state;
    const struct config *config = fixture->config;
    assert_int_equal(load(fixture, "graph: {file: edges.txt}\n"), STATUS_OK);
    assert_string_equal(config->graph.name, "file");
    assert_string_equal(config->graph.file, "edges.txt");
    assert_int_equal(config_set(fixture->config, "graph.name=star"), STATUS_OK);
    assert_string_equal(config->graph.file, "");
    assert_int_equal(config_set(fixture->config, "graph.file=others.txt"), STATUS_OK);
    assert_string_equal(config->graph.name, "file");
    assert_int_equal(load(fixture, "graph: {name: ring, file: \"\"}\n"), STATUS_OK);
    assert_string_equal(config->graph.name, "ring");
    expect(fixture, "graph:\n  name: ring\n  file: x\n",
           ":3: graph.file: an edge list is given, but graph.name is \"ring\"; leave one of the two out");
}

/* What stands in a file and what arguments give, with its place; defaults are not given. */
static void test_given(void **state)
{
    struct fixture *fixture = *state;
    struct config_given given;
    size_t index = 0;
    char place[128];
    assert_false(config_next_given(fixture->config, &index, &given));
    assert_int_equal(load(fixture, "seed: 3\ndata:\n  alpha: 0.3\nrun: {trace: false}\n"), STATUS_OK);
    assert_int_equal(config_set(fixture->config, "seed=4"), STATUS_OK);
    capture_begin(&fixture->capture);
    assert_int_equal(config_set(fixture->config, "data.alpha=-1"), STATUS_USAGE); /* the file's stays */
    capture_end(&fixture->capture);
    index = 0;
    assert_true(config_next_given(fixture->config, &index, &given));
    assert_string_equal(given.key, "seed");
    assert_string_equal(given.place, "argument \"seed=4\"");
    assert_true(given.is_argument && !given.is_off && config_is_argument(fixture->config, "seed"));
    assert_true(config_next_given(fixture->config, &index, &given));
    assert_string_equal(given.key, "data.alpha");
    snprintf(place, sizeof place, "%s:3", fixture->path);
    assert_string_equal(given.place, place);
    assert_false(given.is_argument || given.is_off);
    assert_true(config_next_given(fixture->config, &index, &given));
    assert_string_equal(given.key, "run.trace");
    assert_true(given.is_off);
    assert_false(config_next_given(fixture->config, &index, &given));
    struct config *defaults = config_create();
    assert_true(config_same_value(fixture->config, defaults, "data.alpha"));
    assert_false(config_same_value(fixture->config, defaults, "seed"));
    config_destroy(defaults);
}

/* Of path keys alone, and config_write gives back what was read. */
static void test_paths(void **state)
{
    struct fixture *fixture = *state;
    setenv("HOME", "/tmp/me", 1);
    setenv("GRAPEVINE_TEST_A", "a b", 1);
    unsetenv("GRAPEVINE_TEST_NONE");
    assert_int_equal(load(fixture, "run: {dir: ~/runs}\ndata: {path: \"$GRAPEVINE_TEST_A/${GRAPEVINE_TEST_A}c$$\"}\n"
                                   "model: {init: ./~x}\nalgorithm: {name: $HOME}\n"),
                     STATUS_OK);
    assert_string_equal(fixture->config->run.dir, "/tmp/me/runs");
    assert_string_equal(fixture->config->data.path, "a b/a bc$");
    assert_string_equal(fixture->config->model.init, "./~x");
    assert_string_equal(fixture->config->algorithm.name, "$HOME");
    assert_int_equal(config_set(fixture->config, "model.init=\"~\""), STATUS_OK);
    assert_string_equal(fixture->config->model.init, "/tmp/me");
    char *text = strdup(write_config(fixture));
    assert_int_equal(load(fixture, text), STATUS_OK);
    assert_string_equal(fixture->config->data.path, "a b/a bc$");
    free(text);
    expect(
        fixture, "run:\n  dir: $GRAPEVINE_TEST_NONE/x\n",
        ":2: run.dir: \"$GRAPEVINE_TEST_NONE/x\": the environment variable GRAPEVINE_TEST_NONE is not set; set it, or "
        "write the path out ($$ is a dollar sign)");
    expect(
        fixture, "run: {dir: \"${HOME\"}\n",
        ":1: run.dir: \"${HOME\": a dollar sign without the name of a variable; write $NAME or ${NAME}, or $$ for the "
        "sign");
    expect_set(fixture, "run.dir=~nobody-such/x",
               "run.dir: \"~nobody-such/x\": there is no user \"nobody-such\" whose home ~nobody-such would be; write "
               "./~nobody-such for a folder of that name");
    unsetenv("HOME");
    expect_set(fixture, "data.path=~/x",
               "data.path: \"~/x\": ~ is the home folder, and the environment variable HOME is not set; write the path "
               "out");
}

static void test_require(void **state)
{
    struct fixture *fixture = *state;
    capture_begin(&fixture->capture);
    enum status status = config_require(fixture->config, "x.yaml");
    check_message(capture_end(&fixture->capture), "x.yaml",
                  ": data.name is missing; add data: {name: ...} to the file, or give data.name=... as an argument "
                  "(`grapevine config data.name`)");
    assert_int_equal(status, STATUS_USAGE);
    assert_int_equal(config_set(fixture->config, "data.name=shapes"), STATUS_OK);
    capture_begin(&fixture->capture);
    assert_int_equal(config_require(fixture->config, "x.yaml"), STATUS_USAGE);
    assert_non_null(strstr(capture_end(&fixture->capture), "x.yaml: model.name is missing"));
    assert_int_equal(config_set(fixture->config, "model.name=mlp"), STATUS_OK);
    assert_int_equal(config_require(fixture->config, "x.yaml"), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(test_defaults),
        CONFIG_TEST(test_load),
        CONFIG_TEST(test_unknown_keys),
        CONFIG_TEST(test_twice),
        CONFIG_TEST(test_numbers),
        CONFIG_TEST(test_integers),
        CONFIG_TEST(test_words),
        CONFIG_TEST(test_lists),
        CONFIG_TEST(test_structure),
        CONFIG_TEST(test_hostile_files),
        CONFIG_TEST(test_unreadable_files),
        CONFIG_TEST(test_set),
        CONFIG_TEST(test_set_errors),
        CONFIG_TEST(test_graph_file),
        CONFIG_TEST(test_given),
        CONFIG_TEST(test_paths),
        CONFIG_TEST(test_require),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
