/* A trace: spans in memory while the run goes on, JSON afterwards. */
#include "app/trace.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/run_directory.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

enum { LANE_COUNT = 2 };

struct span {
    double begin_s;
    float length_s; /* 24 bits: 0.1 µs in a span of a second */
    int32_t peer;   /* −1: none */
    uint32_t kind;
};

/* Written by one thread, read after it has ended. */
struct lane {
    struct span *spans; /* owned (capacity) */
    size_t count, capacity, dropped;
};

struct trace {
    int worker;
    struct lane lanes[LANE_COUNT];
};

static const char *const lane_names[LANE_COUNT] = {[LANE_COMPUTE] = "compute", [LANE_COMMUNICATION] = "communication"};

struct trace *trace_create(int worker, size_t spans_per_lane)
{
    struct trace *trace = memory_zalloc(1, sizeof *trace);
    trace->worker = worker;
    for (int i = 0; i < LANE_COUNT; i++)
        trace->lanes[i] =
            (struct lane){.spans = memory_zalloc(spans_per_lane, sizeof(struct span)), .capacity = spans_per_lane};
    return trace;
}

void trace_add(struct trace *trace, enum span_lane lane, enum span_kind kind, double begin_s, double end_s, int peer)
{
    struct lane *to = &trace->lanes[lane];
    if (to->count == to->capacity) {
        to->dropped++;
        return;
    }
    to->spans[to->count++] =
        (struct span){.begin_s = begin_s, .length_s = (float)(end_s - begin_s), .peer = peer, .kind = (uint32_t)kind};
}

static char *part_name(const char *directory, int worker)
{
    char *name = text_format("trace-%d.part", worker), *path = run_directory_file(directory, name);
    free(name);
    return path;
}

static void write_lane(FILE *out, const struct trace *trace, int index)
{
    const struct lane *lane = &trace->lanes[index];
    fprintf(out, "{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":%d,\"tid\":%d,\"args\":{\"name\":\"%s\"}}\n",
            trace->worker, index, lane_names[index]);
    for (size_t i = 0; i < lane->count; i++) {
        const struct span *span = &lane->spans[i];
        fprintf(out, "{\"name\":\"%s\",\"ph\":\"X\",\"pid\":%d,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f",
                span_kind_name((enum span_kind)span->kind), trace->worker, index, span->begin_s * 1e6,
                (double)span->length_s * 1e6);
        if (span->peer >= 0)
            fprintf(out, ",\"args\":{\"peer\":%d}", span->peer);
        fputs("}\n", out);
    }
}

static enum status write_part(const struct trace *trace, const char *path)
{
    FILE *out = atomic_file_fresh(path);
    if (out == NULL) {
        atomic_file_complain(LOG_WARNING, path, errno, RUN_ELSEWHERE);
        return STATUS_MACHINE;
    }
    errno = 0;
    fprintf(out, "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":%d,\"args\":{\"name\":\"worker %d\"}}\n",
            trace->worker, trace->worker);
    for (int i = 0; i < LANE_COUNT; i++)
        write_lane(out, trace, i);
    bool bad = ferror(out) != 0;
    bad = fclose(out) != 0 || bad;
    if (bad) {
        atomic_file_complain(LOG_WARNING, path, errno, RUN_ELSEWHERE);
        unlink(path);
    }
    return bad ? STATUS_MACHINE : STATUS_OK;
}

enum status trace_close(struct trace *trace, const char *directory)
{
    char *path = directory != NULL ? part_name(directory, trace->worker) : NULL;
    enum status status = path != NULL ? write_part(trace, path) : STATUS_MACHINE;
    size_t dropped = trace->lanes[LANE_COMPUTE].dropped + trace->lanes[LANE_COMMUNICATION].dropped;
    if (status == STATUS_OK && dropped > 0)
        log_on_this_rank(LOG_WARNING, "the trace has the first %zu spans of a thread; %zu later ones were dropped",
                         trace->lanes[0].capacity, dropped);
    for (int i = 0; i < LANE_COUNT; i++)
        free(trace->lanes[i].spans);
    free(path);
    free(trace);
    return status;
}

/* Append the events of a part, `separator` before the first, a comma before the others. */
static enum status append_part(FILE *out, const char *path, const char **separator)
{
    FILE *part = fopen(path, "re");
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    if (part == NULL) {
        log_warning("trace.json lacks a worker: cannot read %s", path);
        return STATUS_MACHINE;
    }
    while ((length = getline(&line, &capacity, part)) > 0) {
        if (length < 2 || line[length - 1] != '\n' || line[length - 2] != '}')
            continue; /* cut off by a full disk */
        fprintf(out, "%s%.*s", *separator, (int)length - 1, line);
        *separator = ",\n";
    }
    free(line);
    fclose(part);
    return STATUS_OK;
}

enum status trace_merge(const char *directory, int size)
{
    struct atomic_file file;
    char *name = run_directory_file(directory, "trace.json");
    enum status status = atomic_file_open(&file, name, LOG_WARNING, RUN_ELSEWHERE), parts = STATUS_OK;
    const char *separator = "\n";
    free(name);
    TRY(status);
    fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[", file.stream);
    for (int worker = 0; worker < size; worker++) {
        char *path = part_name(directory, worker);
        if (append_part(file.stream, path, &separator) != STATUS_OK)
            parts = STATUS_MACHINE;
        free(path);
    }
    fputs("\n]}\n", file.stream);
    TRY(atomic_file_commit(&file));
    for (int worker = 0; worker < size; worker++) {
        char *path = part_name(directory, worker);
        unlink(path);
        free(path);
    }
    return parts;
}
