/* The entries of a scenario's texts. Every message names the key, the entry, and how an entry looks. */
#include "runtime/scenario_entry.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "graph/graph.h"

enum { WORDS_MAX = 5 };

static const double factor_most = 1e6, time_most_s = 1e9, latency_most_s = 1e6;

static const struct {
    const char *key, *form, *example;
} grammar[] = {
    [SCENARIO_SLOW] = {"inject.slow", "WORKERS xFACTOR [FROM..TO]", "0 x4, 5-7 x1.5 10..60"},
    [SCENARIO_PAUSE] = {"inject.pause", "WORKERS FROM..TO", "3 10..30"},
    [SCENARIO_NAN] = {"inject.nan", "WORKERS FROM..TO", "2 10..10.5"},
    [SCENARIO_DEATH] = {"inject.death", "WORKERS at TIME", "3 at 60"},
    [SCENARIO_LINKS] = {"inject.links", "A-B or all, then latency_s=, bytes_per_second= or loss=",
                        "0-1 latency_s=0.01 bytes_per_second=1e6"},
};

/* One entry while it is read. */
struct reading {
    const struct scenario_params *params;
    char *words[WORDS_MAX];
    int word_count;
    const char *text; /* the entry as it was written, without white space around it */
    int length;
    struct scenario_entry entry;
};

static enum status refuse(const struct reading *reading, const char *format, ...) __attribute__((format(printf, 2, 3)));

static enum status refuse(const struct reading *reading, const char *format, ...)
{
    char what[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    enum scenario_kind kind = reading->entry.kind;
    log_error("%s: \"%.*s\": %s; an entry is %s, such as \"%s\"", grammar[kind].key, reading->length, reading->text,
              what, grammar[kind].form, grammar[kind].example);
    return STATUS_USAGE;
}

/* Split at the first `separator`; NULL, and the word as it was, without one. */
static char *split(char *word, const char *separator)
{
    char *found = strstr(word, separator);
    if (found == NULL)
        return NULL;
    *found = '\0';
    return found + strlen(separator);
}

static enum status read_number(const struct reading *reading, const char *word, const char *name, double *value)
{
    if (!text_parse_double(word, value) || !isfinite(*value))
        return refuse(reading, "'%.40s' is not %s", word, name);
    return STATUS_OK;
}

static enum status read_time(const struct reading *reading, const char *word, double *time_s)
{
    TRY(read_number(reading, word, "a time in seconds", time_s));
    if (*time_s < 0 || *time_s > time_most_s)
        return refuse(reading, "time %.40s is not in [0, %g] seconds since the start", word, time_most_s);
    return STATUS_OK;
}

static enum status read_worker(const struct reading *reading, const char *word, int *worker)
{
    int64_t value;
    int count = reading->params->worker_count;
    if (!text_parse_int64(word, &value))
        return refuse(reading, "'%.40s' is not a worker's number", word);
    if (value < 0 || value >= count)
        return refuse(reading, "worker %lld does not exist: this run has %d, numbered from 0", (long long)value, count);
    *worker = (int)value;
    return STATUS_OK;
}

static enum status read_workers(struct reading *reading, char *word)
{
    struct scenario_entry *entry = &reading->entry;
    if (strcmp(word, "all") == 0) {
        entry->first = 0;
        entry->last = reading->params->worker_count - 1;
        return STATUS_OK;
    }
    char *last = split(word, "-");
    TRY(read_worker(reading, word, &entry->first));
    TRY(read_worker(reading, last != NULL ? last : word, &entry->last));
    if (entry->first > entry->last)
        return refuse(reading, "workers %d-%d: the smaller number comes first", entry->first, entry->last);
    return STATUS_OK;
}

static enum status read_interval(struct reading *reading, char *word)
{
    struct scenario_entry *entry = &reading->entry;
    char *to = split(word, "..");
    if (to == NULL)
        return refuse(reading, "'%.40s' is not FROM..TO", word);
    TRY(read_time(reading, word, &entry->from_s));
    entry->to_s = INFINITY;
    if (to[0] == '\0')
        return STATUS_OK;
    TRY(read_time(reading, to, &entry->to_s));
    if (!(entry->from_s < entry->to_s))
        return refuse(reading, "%g..%g ends before it has begun", entry->from_s, entry->to_s);
    return STATUS_OK;
}

static enum status read_slow(struct reading *reading)
{
    struct scenario_entry *entry = &reading->entry;
    char **words = reading->words;
    if (reading->word_count < 2 || reading->word_count > 3)
        return refuse(reading, "%d words", reading->word_count);
    TRY(read_workers(reading, words[0]));
    if (words[1][0] != 'x')
        return refuse(reading, "'%.40s' is not a factor", words[1]);
    TRY(read_number(reading, words[1] + 1, "a factor", &entry->factor));
    if (entry->factor < 1 || entry->factor > factor_most)
        return refuse(reading, "factor %.40s is not in [1, %g]: gradients take so many times as long", words[1] + 1,
                      factor_most);
    entry->to_s = INFINITY;
    return reading->word_count == 3 ? read_interval(reading, words[2]) : STATUS_OK;
}

static enum status read_stretch(struct reading *reading)
{
    if (reading->word_count != 2)
        return refuse(reading, "%d word%s", reading->word_count, reading->word_count == 1 ? "" : "s");
    TRY(read_workers(reading, reading->words[0]));
    return read_interval(reading, reading->words[1]);
}

static enum status read_death(struct reading *reading)
{
    if (reading->word_count != 3 || strcmp(reading->words[1], "at") != 0)
        return refuse(reading, "'at' is not its second word of three");
    TRY(read_workers(reading, reading->words[0]));
    return read_time(reading, reading->words[2], &reading->entry.from_s);
}

static bool linked(const struct graph *graph, int a, int b)
{
    if (graph == NULL)
        return true;
    for (int k = 0; k < graph_degree(graph, a); k++)
        if (graph_neighbors(graph, a)[k].worker == b)
            return true;
    return false;
}

static enum status read_ends(struct reading *reading, char *word)
{
    struct scenario_entry *entry = &reading->entry;
    entry->first = entry->last = -1;
    if (strcmp(word, "all") == 0)
        return STATUS_OK;
    char *other = split(word, "-");
    if (other == NULL)
        return refuse(reading, "'%.40s' is not a link", word);
    TRY(read_worker(reading, word, &entry->first));
    TRY(read_worker(reading, other, &entry->last));
    if (entry->first == entry->last)
        return refuse(reading, "a link joins two different workers");
    if (!linked(reading->params->graph, entry->first, entry->last))
        return refuse(reading, "workers %d and %d are no neighbors in graph %s", entry->first, entry->last,
                      reading->params->graph->name);
    return STATUS_OK;
}

static enum status read_setting(struct reading *reading, char *word)
{
    static const char *const names[] = {"latency_s", "bytes_per_second", "loss"};
    enum { LATENCY, BANDWIDTH, LOSS, NAMES };
    struct scenario_link *link = &reading->entry.link;
    double *const places[] = {&link->latency_s, &link->bytes_per_second, &link->loss}, value;
    char *number = split(word, "=");
    int which = 0;
    while (which < NAMES && strcmp(word, names[which]) != 0)
        which++;
    if (which == NAMES) {
        const char *nearest = text_nearest(word, names, NAMES);
        return refuse(reading, "'%.40s' is no property of a link%s%s%s", word, nearest != NULL ? ": did you mean " : "",
                      nearest != NULL ? nearest : "", nearest != NULL ? "=" : "");
    }
    if (number == NULL)
        return refuse(reading, "%s has no value", word);
    if (!isnan(*places[which]))
        return refuse(reading, "%s stands twice", word);
    TRY(read_number(reading, number, "a number", &value));
    if (which == LATENCY && !(value >= 0 && value <= latency_most_s))
        return refuse(reading, "latency_s=%.40s is not in [0, %g]", number, latency_most_s);
    if (which == BANDWIDTH && !(value > 0))
        return refuse(reading, "bytes_per_second=%.40s is not above 0", number);
    if (which == LOSS && !(value >= 0 && value < 1))
        return refuse(reading, "loss=%.40s is not a share in [0, 1)", number);
    *places[which] = value;
    return STATUS_OK;
}

static enum status read_link(struct reading *reading)
{
    reading->entry.link = (struct scenario_link){.latency_s = NAN, .bytes_per_second = NAN, .loss = NAN};
    if (reading->word_count < 2)
        return refuse(reading, "nothing is said about the link");
    TRY(read_ends(reading, reading->words[0]));
    for (int k = 1; k < reading->word_count; k++)
        TRY(read_setting(reading, reading->words[k]));
    return STATUS_OK;
}

static enum status (*const readers[])(struct reading *reading) = {
    [SCENARIO_SLOW] = read_slow,   [SCENARIO_PAUSE] = read_stretch, [SCENARIO_NAN] = read_stretch,
    [SCENARIO_DEATH] = read_death, [SCENARIO_LINKS] = read_link,
};

/* `words` is a copy of the entry that may be cut up. */
static enum status read_entry(struct reading *reading, char *words)
{
    char *rest = NULL;
    for (char *word = strtok_r(words, " \t\r\n", &rest); word != NULL; word = strtok_r(NULL, " \t\r\n", &rest)) {
        if (reading->word_count == WORDS_MAX)
            return refuse(reading, "'%.40s' is too much", word);
        reading->words[reading->word_count++] = word;
    }
    if (reading->word_count == 0)
        return refuse(reading, "nothing stands between two commas or at an end");
    return readers[reading->entry.kind](reading);
}

static void trim(struct reading *reading, const char *begin, const char *end)
{
    while (begin < end && strchr(" \t\r\n", begin[0]) != NULL)
        begin++;
    while (end > begin && strchr(" \t\r\n", end[-1]) != NULL)
        end--;
    reading->text = begin;
    reading->length = (int)(end - begin);
}

enum status scenario_entries_read(enum scenario_kind kind, const char *text, const struct scenario_params *params,
                                  scenario_entry_fn keep, void *context)
{
    enum status status = STATUS_OK;
    if (text == NULL || text[strspn(text, " \t\r\n")] == '\0')
        return STATUS_OK;
    for (const char *begin = text, *end; status == STATUS_OK; begin = end + 1) {
        struct reading reading = {.params = params, .entry.kind = kind};
        end = begin + strcspn(begin, ",");
        trim(&reading, begin, end);
        char *words = text_format("%.*s", reading.length, reading.text);
        status = read_entry(&reading, words);
        free(words);
        if (status == STATUS_OK)
            keep(context, &reading.entry);
        if (*end == '\0')
            break;
    }
    return status;
}
