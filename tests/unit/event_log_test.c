/* The event log: what is written is read back bit for bit, and what was not written so is refused with its place. */
#include "app/event_log.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"
#include "capture.h"

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
    for (int worker = 0; worker < 3; worker++) {
        char *path = event_log_path(folder, worker);
        unlink(path);
        free(path);
    }
    return rmdir(folder);
}

static struct event_log_header make_header(int worker)
{
    return (struct event_log_header){.version = "9.8.7-test",
                                     .algorithm = "acid",
                                     .time = "modelled",
                                     .worker = worker,
                                     .worker_count = 3,
                                     .eta = 1.0 / 3,
                                     .alpha = 0.5,
                                     .alpha_tilde = DBL_MIN / 8,
                                     .config = UINT64_C(0x00ff00123456789a)};
}

static const struct replica_digest trained_digest = {.of = {1, UINT64_MAX, 0, UINT64_C(0x8000000000000000)}};
static const struct replica_digest final_digest = {.of = {UINT64_C(0x0123456789abcdef), 0, 2, 3}};

/* A log of worker 1 with these events. */
static void write_log(const struct event_report *events, size_t count)
{
    struct event_log_header header = make_header(1);
    struct event_log *log = NULL;
    assert_int_equal(event_log_create(folder, &header, false, &log), STATUS_OK);
    for (size_t k = 0; k < count; k++)
        event_log_add(log, &events[k]);
    event_log_close(log, &trained_digest, &final_digest);
}

static struct event_log_content read_log(void)
{
    struct event_log_content content;
    assert_int_equal(event_log_read(folder, 1, &content), STATUS_OK);
    return content;
}

static void assert_same_bits(double a, double b)
{
    assert_memory_equal(&a, &b, sizeof a);
}

static void assert_same_event(const struct event_report *read, const struct event_report *written)
{
    bool updates = written->kind == EVENT_UPDATE, alone = updates || written->kind == EVENT_BEGIN;
    assert_int_equal(read->kind, written->kind);
    assert_int_equal(read->worker, 1);
    assert_int_equal(read->peer, alone ? -1 : written->peer);
    assert_true(read->meeting == (alone ? 0 : written->meeting));
    assert_true(read->step == written->step);
    assert_same_bits(read->t, written->t);
    assert_same_bits(read->progress, updates ? written->progress : 0);
    assert_same_bits(read->learning_rate, updates ? written->learning_rate : 0);
    assert_true(fabs(read->time_s - written->time_s) <= 0.5000001e-6); /* for people: microseconds */
}

static void assert_round_trip(const struct event_report *events, size_t count)
{
    write_log(events, count);
    struct event_log_content content = read_log();
    assert_int_equal(content.count, count);
    for (size_t k = 0; k < count; k++)
        assert_same_event(&content.events[k], &events[k]);
    assert_memory_equal(&content.trained, &trained_digest, sizeof trained_digest);
    assert_memory_equal(&content.final, &final_digest, sizeof final_digest);
    event_log_content_release(&content);
    assert_null(content.events);
}

static void holds_the_header(void **state)
{
    (void)state;
    write_log(NULL, 0);
    struct event_log_content content = read_log();
    const struct event_log_header header = make_header(1), *read = &content.header;
    char *path = event_log_path(folder, 1), *name = text_format("%s/events-1.jsonl", folder);
    assert_string_equal(read->version, header.version);
    assert_string_equal(read->algorithm, header.algorithm);
    assert_string_equal(read->time, header.time);
    assert_int_equal(read->worker, 1);
    assert_int_equal(read->worker_count, 3);
    assert_same_bits(read->eta, header.eta);
    assert_same_bits(read->alpha, header.alpha);
    assert_same_bits(read->alpha_tilde, header.alpha_tilde);
    assert_true(read->config == header.config);
    assert_string_equal(content.path, path);
    assert_string_equal(path, name);
    assert_int_equal(content.count, 0);
    event_log_content_release(&content);
    free(path);
    free(name);
}

static void holds_every_kind(void **state)
{
    (void)state;
    static const char *const names[] = {"begin", "update", "snapshot", "apply", "give_up", "lost", "done"};
    const struct event_report events[] = {
        {.kind = EVENT_BEGIN, .worker = 1, .peer = -1},
        {.kind = EVENT_UPDATE, .worker = 1, .peer = -1, .step = 1, .t = 1, .progress = 0.25, .learning_rate = 0.5},
        {.kind = EVENT_SNAPSHOT, .worker = 1, .peer = 0, .meeting = 1, .step = 1, .t = 1.5, .time_s = 0.25},
        {.kind = EVENT_APPLY, .worker = 1, .peer = INT32_MAX, .meeting = UINT64_C(1) << 53, .step = 1, .t = 1.5},
        {.kind = EVENT_GIVE_UP, .worker = 1, .peer = 2, .meeting = 12, .step = UINT64_C(1) << 53, .t = 1.75},
        {.kind = EVENT_LOST, .worker = 1, .peer = 2, .meeting = 0, .step = 1, .t = 2, .time_s = 123456.789},
        {.kind = EVENT_DONE, .worker = 1, .peer = -1, .step = 1, .t = 2.5, .time_s = 123457}};
    for (int kind = EVENT_BEGIN; kind <= EVENT_DONE; kind++)
        assert_string_equal(event_log_kind_name((enum event_kind)kind), names[kind]);
    assert_round_trip(events, sizeof events / sizeof events[0]);
}

/* Every number that a run could write, and many that none would. */
static void holds_every_bit(void **state)
{
    (void)state;
    enum { DRAWN = 3000, ODD = 16 }; /* more than one buffer of the stream and one step of the reader's list */
    static const double odd[ODD] = {0,       -0.0,    1.0 / 3,          2.0 / 3,    0.1,  DBL_MIN,
                                    DBL_MAX, -1e-310, DBL_TRUE_MIN,     1e22,       1e23, 0x1.fffffffffffffp-1,
                                    M_PI,    1e308,   9007199254740993, DBL_EPSILON};
    static struct event_report events[ODD + DRAWN];
    uint64_t bits = 1;
    for (size_t k = 0; k < ODD + DRAWN; k++) {
        double values[3];
        for (int i = 0; i < 3; i++) {
            do {
                bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                memcpy(&values[i], &bits, sizeof bits);
            } while (!isfinite(values[i]));
            values[i] = k < ODD ? odd[(k + 5 * (size_t)i) % ODD] : values[i];
        }
        events[k] = (struct event_report){.kind = EVENT_UPDATE,
                                          .step = k,
                                          .t = values[0],
                                          .progress = values[1],
                                          .learning_rate = values[2],
                                          .time_s = 1e-4 * (double)k};
    }
    assert_round_trip(events, ODD + DRAWN);
}

static void writers_can_be_closed_early(void **state)
{
    (void)state;
    struct capture capture;
    struct event_log_header header = make_header(1);
    struct event_log *log = NULL;
    struct event_log_content content = {.count = 77};
    event_log_close(NULL, NULL, NULL);
    assert_int_equal(event_log_create(folder, &header, false, &log), STATUS_OK);
    event_log_add(log, &(struct event_report){.kind = EVENT_BEGIN});
    event_log_close(log, NULL, NULL); /* the run did not end */
    capture_begin(&capture);
    assert_int_equal(event_log_read(folder, 1, &content), STATUS_DATA);
    assert_non_null(
        strstr(capture_end(&capture), "events-1.jsonl:2: the log has no closing line: the run did not end"));
    assert_int_equal(content.count, 77); /* outputs are set on success only */
    capture_begin(&capture);
    strcpy(header.algorithm, "gossip");
    assert_int_equal(event_log_create("/proc/there-is-no-such-folder", &header, false, &log), STATUS_MACHINE);
    assert_non_null(strstr(capture_end(&capture), "/proc/there-is-no-such-folder/events-1.jsonl"));
}

/* A limit on the size of files stands for a full disk: the run goes on, one warning says what is missing. */
static void a_full_disk_is_said_once(void **state)
{
    (void)state;
    struct rlimit usual, small;
    struct capture capture;
    struct event_log_content content;
    struct event_log_header header = make_header(1);
    struct event_log *log = NULL;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
    small = usual;
    small.rlim_cur = 100 << 10;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(event_log_create(folder, &header, false, &log), STATUS_OK);
    capture_begin(&capture);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (uint64_t k = 0; k < 4000; k++)
        event_log_add(log, &(struct event_report){.kind = EVENT_UPDATE, .step = k + 1, .t = (double)k + 1});
    event_log_close(log, &trained_digest, &final_digest);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
    const char *said = capture_end(&capture);
    assert_non_null(strstr(said, "events-1.jsonl: File too large (the run goes on without it)"));
    assert_ptr_equal(strchr(said, '\n') + 1, said + strlen(said));
    capture_begin(&capture);
    assert_int_equal(event_log_read(folder, 1, &content), STATUS_DATA);
    assert_non_null(strstr(capture_end(&capture), "cut off"));
}

/* --- what is refused: logs as text, sealed by hand --- */

#define HEADER                                                                                                \
    "{\"grapevine\": \"0.1.0\", \"worker\": 1, \"workers\": 2, \"algorithm\": \"acid\", \"time\": \"real\", " \
    "\"eta\": 0.25, \"alpha\": 0.5, \"alpha_tilde\": 0.75, \"config\": \"0123456789abcdef\"}\n"
#define BEGIN_LINE "{\"n\": 1, \"event\": \"begin\", \"t\": 0, \"step\": 0, \"time\": 0.5}\n"
#define UPDATE_LINE \
    "{\"n\": 2, \"event\": \"update\", \"t\": 1, \"step\": 1, \"time\": 1, \"progress\": 0, \"lr\": 0.1}\n"
#define DIGESTS                                                         \
    "{\"x\": \"0000000000000000\", \"x_tilde\": \"0000000000000000\", " \
    "\"momentum\": \"0000000000000000\", \"buffers\": \"0000000000000000\"}"
#define MEETING(number, kind, peer, meeting)                                                           \
    "{\"n\": " number ", \"event\": \"" kind "\", \"t\": 0, \"step\": 0, \"time\": 1, \"peer\": " peer \
    ", \"meeting\": " meeting "}\n"

/* The file of worker 1: these lines, then a closing line for so many events, with the checksum that they have. */
static void write_sealed(const char *lines, int events, const char *after)
{
    uint64_t checksum = 0;
    char *path = event_log_path(folder, 1);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    for (const char *line = lines; *line != '\0'; line = strchr(line, '\n') + 1)
        checksum = digest_bytes(checksum, line, (size_t)(strchr(line, '\n') + 1 - line));
    fprintf(out,
            "%s{\"end\": %d, \"checksum\": \"%016" PRIx64 "\", \"trained\": " DIGESTS ", \"final\": " DIGESTS "}\n%s",
            lines, events, checksum, after);
    fclose(out);
    free(path);
}

static void write_text(const char *text)
{
    char *path = event_log_path(folder, 1);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    free(path);
}

/* Reading fails with one message that has this place and these words. */
static void assert_refused(const char *place, const char *words)
{
    struct event_log_content content;
    struct capture capture;
    capture_begin(&capture);
    enum status status = event_log_read(folder, 1, &content);
    const char *said = capture_end(&capture);
    char *beginning = text_format("grapevine: error: %s/events-1.jsonl%s", folder, place);
    if (status != STATUS_DATA || strncmp(said, beginning, strlen(beginning)) != 0 || strstr(said, words) == NULL)
        fail_msg("status %d, said: %swanted %s ... %s", (int)status, said, beginning, words);
    assert_ptr_equal(strchr(said, '\n') + 1, said + strlen(said));
    free(beginning);
}

static void logs_by_hand_are_read(void **state)
{
    (void)state;
    write_sealed(HEADER BEGIN_LINE UPDATE_LINE MEETING("3", "lost", "0", "0"), 3, "");
    struct event_log_content content = read_log();
    assert_int_equal(content.count, 3);
    assert_true(content.events[1].learning_rate == 0.1 && content.events[2].meeting == 0);
    event_log_content_release(&content);
}

static void refuses_lines_that_are_no_events(void **state)
{
    (void)state;
    static const struct {
        const char *line, *words;
    } cases[] = {
        {"{\"n\": 2, \"event\": \"beg\n", "no JSON object"},
        {"[2]\n", "no JSON object"},
        {"\n", "no JSON object"},
        {"{\"event\": \"begin\", \"t\": 0, \"step\": 0, \"time\": 0}\n", "\"n\" is missing"},
        {"{\"n\": \"2\", \"event\": \"begin\", \"t\": 0, \"step\": 0, \"time\": 0}\n", "\"n\" is missing or no number"},
        {"{\"n\": 1, \"event\": \"begin\", \"t\": 0, \"step\": 0, \"time\": 0}\n", "event 1 stands where event 2"},
        {"{\"n\": 3, \"event\": \"begin\", \"t\": 0, \"step\": 0, \"time\": 0}\n", "event 3 stands where event 2"},
        {"{\"n\": 2.5, \"event\": \"begin\", \"t\": 0, \"step\": 0, \"time\": 0}\n", "\"n\" is 2.5"},
        {"{\"n\": 2, \"t\": 0, \"step\": 0, \"time\": 0}\n", "\"event\" is missing"},
        {"{\"n\": 2, \"event\": \"meet\", \"t\": 0, \"step\": 0, \"time\": 0}\n", "no event \"meet\""},
        {"{\"n\": 2, \"event\": \"a name of more than 31 characters, which none is\", \"t\": 0}\n", "\"event\" is"},
        {"{\"n\": 2, \"event\": \"begin\", \"step\": 0, \"time\": 0}\n", "\"t\" is missing"},
        {"{\"n\": 2, \"event\": \"begin\", \"t\": 1e999, \"step\": 0, \"time\": 0}\n", "\"t\" is missing or no number"},
        {"{\"n\": 2, \"event\": \"begin\", \"t\": null, \"step\": 0, \"time\": 0}\n", "\"t\" is missing or no number"},
        {"{\"n\": 2, \"event\": \"begin\", \"t\": 0, \"step\": -1, \"time\": 0}\n", "\"step\" is -1"},
        {"{\"n\": 2, \"event\": \"begin\", \"t\": 0, \"step\": 1e300, \"time\": 0}\n", "\"step\" is 1e+300"},
        {"{\"n\": 2, \"event\": \"begin\", \"t\": 0, \"step\": 0}\n", "\"time\" is missing"},
        {"{\"n\": 2, \"event\": \"update\", \"t\": 1, \"step\": 1, \"time\": 0, \"lr\": 1}\n",
         "\"progress\" is missing"},
        {"{\"n\": 2, \"event\": \"update\", \"t\": 1, \"step\": 1, \"time\": 0, \"progress\": 0}\n",
         "\"lr\" is missing"},
        {"{\"n\": 2, \"event\": \"snapshot\", \"t\": 0, \"step\": 0, \"time\": 0, \"meeting\": 1}\n",
         "\"peer\" is missing"},
        {"{\"n\": 2, \"event\": \"apply\", \"t\": 0, \"step\": 0, \"time\": 0, \"peer\": 0}\n",
         "\"meeting\" is missing"},
        {MEETING("2", "snapshot", "-1", "1"), "\"peer\" is -1"},
        {MEETING("2", "snapshot", "0.5", "1"), "\"peer\" is 0.5"},
        {MEETING("2", "snapshot", "2147483648", "1"), "\"peer\" is 2147483648, more than any number of workers"},
        {MEETING("2", "snapshot", "0", "0"), "\"meeting\" is 0"},
        {MEETING("2", "apply", "0", "0"), "\"meeting\" is 0"},
        {MEETING("2", "give_up", "0", "0"), "\"meeting\" is 0"},
        {MEETING("2", "lost", "0", "-1"), "\"meeting\" is -1"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        char *lines = text_format(HEADER BEGIN_LINE "%s", cases[k].line);
        write_sealed(lines, 2, "");
        assert_refused(":3: ", cases[k].words);
        free(lines);
    }
}

static void refuses_lines_that_are_missing_or_too_many(void **state)
{
    (void)state;
    write_text("");
    assert_refused(":", "the log is empty");
    write_text(HEADER BEGIN_LINE "{\"n\": 2, \"event\": \"upd");
    assert_refused(":3: ", "cut off");
    write_text("{\"grape");
    assert_refused(":1: ", "cut off");
    write_text(HEADER BEGIN_LINE UPDATE_LINE);
    assert_refused(":3: ", "no closing line");
    write_sealed(HEADER UPDATE_LINE, 1, "");
    assert_refused(":2: ", "event 2 stands where event 1 is expected");
    write_sealed(HEADER BEGIN_LINE, 2, "");
    assert_refused(":3: ", "2 events were written, and 1 are here");
    write_sealed(HEADER BEGIN_LINE UPDATE_LINE, 1, "");
    assert_refused(":4: ", "1 events were written, and 2 are here");
    write_sealed(HEADER BEGIN_LINE, 1, UPDATE_LINE);
    assert_refused(":4: ", "behind the closing line");
    write_sealed(HEADER BEGIN_LINE, 1, "{");
    assert_refused(":4: ", "cut off");
    write_sealed(BEGIN_LINE, 1, "");
    assert_refused(":1: ", "\"grapevine\" is missing");
}

static void refuses_headers(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *words;
    } cases[] = {
        {"0.1.0", "a version of more than 31 characters", "\"grapevine\" is missing or no name"},
        {"\"acid\"", "7", "\"algorithm\" is missing or no name"},
        {"\"time\"", "\"tim\"", "\"time\" is missing or no name"},
        {"\"worker\": 1", "\"worker\": -1", "\"worker\" is -1"},
        {"\"worker\": 1", "\"worker\": 0", "the log of worker 0, under the name of worker 1's"},
        {"\"worker\": 1", "\"worker\": 2", "the log of worker 2, under the name of worker 1's"},
        {"\"workers\": 2", "\"workers\": 0", "\"workers\" is 0"},
        {"\"workers\": 2", "\"workers\": 3e9", "\"workers\" is 3000000000, more than any number of workers"},
        {"\"eta\": 0.25", "\"eta\": null", "\"eta\" is missing or no number"},
        {"\"alpha\": 0.5", "\"alfa\": 0.5", "\"alpha\" is missing or no number"},
        {"0.75", "NaN", "no JSON object"},
        {"0123456789abcdef", "0123456789ABCDEF", "\"config\" is missing or not 16 hexadecimal digits"},
        {"0123456789abcdef", "123456789abcdef", "\"config\" is missing or not 16 hexadecimal digits"},
        {"0123456789abcdef", "00123456789abcdef", "\"config\" is missing or not 16 hexadecimal digits"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const char *header = HEADER, *found = strstr(header, cases[k].from);
        assert_non_null(found);
        char *lines = text_format("%.*s%s%s" BEGIN_LINE, (int)(found - header), header, cases[k].to,
                                  found + strlen(cases[k].from));
        write_sealed(lines, 1, "");
        assert_refused(":1: ", cases[k].words);
        free(lines);
    }
}

/* Every byte before the closing line is under the checksum: whichever of them is changed, something is said. */
static void refuses_any_changed_byte(void **state)
{
    (void)state;
    const struct event_report events[] = {
        {.kind = EVENT_BEGIN},
        {.kind = EVENT_SNAPSHOT, .peer = 2, .meeting = 1, .t = 0.25},
        {.kind = EVENT_UPDATE, .step = 1, .t = 1, .progress = 1.0 / 3, .learning_rate = 0.1}};
    char text[4096], *path = event_log_path(folder, 1);
    struct event_log_content content;
    write_log(events, 3);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    text[fread(text, 1, sizeof text - 1, in)] = '\0';
    fclose(in);
    size_t covered = (size_t)(strstr(text, "{\"end\"") - text);
    log_hold(true);
    for (size_t k = 0; k < covered; k++) {
        text[k] ^= 1;
        write_text(text);
        text[k] ^= 1;
        if (event_log_read(folder, 1, &content) != STATUS_DATA)
            fail_msg("byte %zu of the log was changed, and nothing is said", k);
    }
    log_hold(false);
    char *digit = strstr(text, "0.33333");
    assert_non_null(digit);
    digit[2] = '4';
    write_text(text);
    assert_refused(":5: ", "a line was changed");
    free(path);
}

static void refuses_closing_lines(void **state)
{
    (void)state;
    static const char *const broken[][2] = {
        {"{\"end\": 0, \"trained\": " DIGESTS ", \"final\": " DIGESTS "}\n", "\"checksum\" is missing"},
        {"{\"end\": -1, \"checksum\": \"0000000000000000\"}\n", "\"end\" is -1"},
        {"{\"end\": 0, \"checksum\": \"0000000000000000\"}\n", "\"x\" is missing"},
        {"{\"end\": 0, \"checksum\": \"0000000000000000\", \"trained\": " DIGESTS ", \"final\": []}\n",
         "\"x\" is missing"},
        {"{\"end\": 0, \"checksum\": \"0000000000000000\", \"trained\": " DIGESTS ", \"final\": " DIGESTS "}\n",
         "0000000000000000 was written: a line was changed"}};
    for (size_t k = 0; k < sizeof broken / sizeof broken[0]; k++) {
        char *text = text_format(HEADER "%s", broken[k][0]);
        write_text(text);
        assert_refused(":2: ", broken[k][1]);
        free(text);
    }
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    assert_refused(": No such file or directory", "run.record");
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(holds_the_header),
        IN_FOLDER(holds_every_kind),
        IN_FOLDER(holds_every_bit),
        IN_FOLDER(writers_can_be_closed_early),
        IN_FOLDER(a_full_disk_is_said_once),
        IN_FOLDER(logs_by_hand_are_read),
        IN_FOLDER(refuses_lines_that_are_no_events),
        IN_FOLDER(refuses_lines_that_are_missing_or_too_many),
        IN_FOLDER(refuses_headers),
        IN_FOLDER(refuses_any_changed_byte),
        IN_FOLDER(refuses_closing_lines),
        IN_FOLDER(a_missing_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
