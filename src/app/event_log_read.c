/* The event log of a worker, read. Nothing in the file is trusted before it has been checked. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/event_log.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

/* A log as it is read, line by line. */
struct reader {
    const char *path;
    FILE *stream;
    char *line; /* owned, from getline */
    size_t line_capacity, line_number, event_capacity;
    cJSON *json;                        /* owned: the present line */
    uint64_t checksum, checksum_before; /* with and without the present line */
};

static enum status __attribute__((format(printf, 2, 3))) refuse(const struct reader *reader, const char *format, ...)
{
    char what[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    log_error("%s:%zu: %s", reader->path, reader->line_number, what);
    return STATUS_DATA;
}

/* The next line into reader->json; `*ended` where there is none. */
static enum status next_line(struct reader *reader, bool *ended)
{
    ssize_t length = getline(&reader->line, &reader->line_capacity, reader->stream);
    *ended = length <= 0;
    if (*ended)
        return STATUS_OK;
    reader->line_number++;
    if (reader->line[length - 1] != '\n')
        return refuse(reader, "the line is cut off: the run or the disk ended in the middle of it");
    reader->checksum_before = reader->checksum;
    reader->checksum = digest_bytes(reader->checksum, reader->line, (size_t)length);
    cJSON_Delete(reader->json);
    reader->json = cJSON_ParseWithLength(reader->line, (size_t)length);
    if (!cJSON_IsObject(reader->json))
        return refuse(reader, "this is no JSON object, as every line of an event log is");
    return STATUS_OK;
}

static enum status read_number(const struct reader *reader, const char *key, double *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(reader->json, key);
    if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble))
        return refuse(reader, "\"%s\" is missing or no number", key);
    *out = item->valuedouble;
    return STATUS_OK;
}

/* A whole number in [least, 2^53]. */
static enum status read_whole(const struct reader *reader, const char *key, double least, uint64_t *out)
{
    double value = 0;
    TRY(read_number(reader, key, &value));
    if (value < least || value > 0x1p53 || value != floor(value))
        return refuse(reader, "\"%s\" is %g, and must be a whole number from %g on", key, value, least);
    *out = (uint64_t)value;
    return STATUS_OK;
}

static enum status read_worker(const struct reader *reader, const char *key, int least, int *out)
{
    uint64_t value = 0;
    TRY(read_whole(reader, key, least, &value));
    if (value > INT32_MAX)
        return refuse(reader, "\"%s\" is %" PRIu64 ", more than any number of workers", key, value);
    *out = (int)value;
    return STATUS_OK;
}

static enum status read_name(const struct reader *reader, const char *key, char out[EVENT_LOG_NAME_BYTES])
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(reader->json, key));
    if (value == NULL || strlen(value) >= EVENT_LOG_NAME_BYTES)
        return refuse(reader, "\"%s\" is missing or no name", key);
    strcpy(out, value);
    return STATUS_OK;
}

static enum status read_digest(const struct reader *reader, const cJSON *object, const char *key, uint64_t *out)
{
    enum { HEX_DIGITS = 16 };
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    if (value == NULL || strspn(value, "0123456789abcdef") != HEX_DIGITS || value[HEX_DIGITS] != '\0')
        return refuse(reader, "\"%s\" is missing or not 16 hexadecimal digits", key);
    *out = strtoull(value, NULL, 16);
    return STATUS_OK;
}

static enum status read_header(struct reader *reader, struct event_log_header *header)
{
    bool ended;
    TRY(next_line(reader, &ended));
    if (ended)
        return refuse(reader, "the log is empty: the run ended before its first event was written");
    TRY(read_name(reader, "grapevine", header->version));
    TRY(read_name(reader, "algorithm", header->algorithm));
    TRY(read_name(reader, "time", header->time));
    TRY(read_worker(reader, "worker", 0, &header->worker));
    TRY(read_worker(reader, "workers", 1, &header->worker_count));
    TRY(read_number(reader, "eta", &header->eta));
    TRY(read_number(reader, "alpha", &header->alpha));
    TRY(read_number(reader, "alpha_tilde", &header->alpha_tilde));
    return read_digest(reader, reader->json, "config", &header->config);
}

static enum status read_kind(const struct reader *reader, enum event_kind *out)
{
    char name[EVENT_LOG_NAME_BYTES];
    TRY(read_name(reader, "event", name));
    for (int kind = EVENT_BEGIN; kind <= EVENT_DONE; kind++)
        if (strcmp(name, event_log_kind_name((enum event_kind)kind)) == 0) {
            *out = (enum event_kind)kind;
            return STATUS_OK;
        }
    return refuse(reader, "there is no event \"%s\"", name);
}

static enum status read_event(struct reader *reader, uint64_t expected, struct event_report *event)
{
    uint64_t number = 0;
    TRY(read_whole(reader, "n", 1, &number));
    if (number != expected)
        return refuse(reader,
                      "event %" PRIu64 " stands where event %" PRIu64 " is expected: a line is missing or moved",
                      number, expected);
    TRY(read_kind(reader, &event->kind));
    TRY(read_number(reader, "t", &event->t));
    TRY(read_whole(reader, "step", 0, &event->step));
    TRY(read_number(reader, "time", &event->time_s));
    event->peer = -1;
    if (event->kind == EVENT_BEGIN || event->kind == EVENT_DONE)
        return STATUS_OK;
    if (event->kind == EVENT_UPDATE) {
        TRY(read_number(reader, "progress", &event->progress));
        return read_number(reader, "lr", &event->learning_rate);
    }
    TRY(read_worker(reader, "peer", 0, &event->peer));
    return read_whole(reader, "meeting", event->kind == EVENT_LOST ? 0 : 1, &event->meeting); /* a lost one has none */
}

static enum status read_replica(const struct reader *reader, const char *key, struct replica_digest *out)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(reader->json, key);
    for (int k = 0; k < REPLICA_VECTORS; k++)
        TRY(read_digest(reader, object, replica_vector_name((enum replica_vector)k), &out->of[k]));
    return STATUS_OK;
}

/* The closing line. */
static enum status read_end(struct reader *reader, struct event_log_content *content)
{
    uint64_t count = 0, checksum = 0, before = reader->checksum_before;
    bool ended;
    TRY(read_whole(reader, "end", 0, &count));
    if (count != content->count)
        return refuse(reader, "%" PRIu64 " events were written, and %zu are here: lines are missing", count,
                      content->count);
    TRY(read_digest(reader, reader->json, "checksum", &checksum));
    TRY(read_replica(reader, "trained", &content->trained));
    TRY(read_replica(reader, "final", &content->final));
    if (checksum != before)
        return refuse(reader,
                      "the checksum of the lines before is %016" PRIx64 ", and %016" PRIx64
                      " was written: a line was changed",
                      before, checksum);
    TRY(next_line(reader, &ended));
    return ended ? STATUS_OK : refuse(reader, "there is a line behind the closing line");
}

static struct event_report *append(struct reader *reader, struct event_log_content *content)
{
    if (content->events == NULL || content->count == reader->event_capacity) {
        reader->event_capacity = reader->event_capacity > 0 ? 2 * reader->event_capacity : 1024;
        content->events = memory_realloc(content->events, reader->event_capacity, sizeof content->events[0]);
    }
    content->events[content->count] = (struct event_report){.worker = content->header.worker};
    return &content->events[content->count];
}

static enum status read_lines(struct reader *reader, struct event_log_content *content)
{
    TRY(read_header(reader, &content->header));
    for (bool ended;;) {
        TRY(next_line(reader, &ended));
        if (ended)
            return refuse(reader, "the log has no closing line: the run did not end, or the file was cut off");
        if (cJSON_HasObjectItem(reader->json, "end"))
            return read_end(reader, content);
        TRY(read_event(reader, content->count + 1, append(reader, content)));
        content->count++;
    }
}

enum status event_log_read(const char *directory, int worker, struct event_log_content *out)
{
    struct event_log_content content = {.path = event_log_path(directory, worker)};
    struct reader reader = {.path = content.path, .stream = fopen(content.path, "re")};
    enum status status = STATUS_DATA;
    if (reader.stream == NULL)
        log_error("%s: %s; a run writes one for every worker when run.record is true", content.path, strerror(errno));
    else
        status = read_lines(&reader, &content);
    if (status == STATUS_OK && content.header.worker != worker) {
        reader.line_number = 1;
        status = refuse(&reader, "this is the log of worker %d, under the name of worker %d's", content.header.worker,
                        worker);
    }
    if (reader.stream != NULL)
        fclose(reader.stream);
    cJSON_Delete(reader.json);
    free(reader.line);
    if (status == STATUS_OK)
        *out = content;
    else
        event_log_content_release(&content);
    return status;
}

void event_log_content_release(struct event_log_content *content)
{
    free(content->events);
    free(content->path);
    *content = (struct event_log_content){0};
}
