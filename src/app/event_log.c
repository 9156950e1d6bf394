/* The event log of a worker, written. */
#include "app/event_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/run_directory.h"
#include "base/atomic_file.h"
#include "base/digest.h"
#include "base/memory.h"
#include "base/text.h"

enum { LINE_BYTES = 1024, BUFFER_BYTES = 1 << 16 };

struct event_log {
    char *path;   /* owned */
    char *aside;  /* owned: its name until it is settled; NULL: it is */
    FILE *stream; /* owned; NULL once a write has failed, which was said */
    char *buffer; /* owned (BUFFER_BYTES): the stream's */
    uint64_t count, checksum;
};

const char *event_log_kind_name(enum event_kind kind)
{
    static const char *const names[] = {
        [EVENT_BEGIN] = "begin",     [EVENT_UPDATE] = "update", [EVENT_SNAPSHOT] = "snapshot", [EVENT_APPLY] = "apply",
        [EVENT_GIVE_UP] = "give_up", [EVENT_LOST] = "lost",     [EVENT_DONE] = "done"};
    return names[kind];
}

char *event_log_path(const char *directory, int worker)
{
    char *name = text_format("events-%d.jsonl", worker), *path = run_directory_file(directory, name);
    free(name);
    return path;
}

static void give_up(struct event_log *log)
{
    atomic_file_complain(LOG_WARNING, log->path, errno, RUN_ELSEWHERE);
    fclose(log->stream);
    log->stream = NULL;
}

/* A whole line, and its part of the checksum. */
static void __attribute__((format(printf, 2, 3))) write_line(struct event_log *log, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    if (log->stream == NULL)
        return;
    va_start(arguments, format);
    size_t length = (size_t)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    log->checksum = digest_bytes(log->checksum, line, length);
    errno = 0;
    if (fwrite(line, 1, length, log->stream) != length)
        give_up(log);
}

enum status event_log_create(const char *directory, const struct event_log_header *header, bool aside,
                             struct event_log **out)
{
    struct event_log *log = memory_zalloc(1, sizeof *log);
    log->path = event_log_path(directory, header->worker);
    if (aside)
        log->aside = text_format("%s.part-%ld", log->path, (long)getpid());
    log->stream = atomic_file_fresh(aside ? log->aside : log->path);
    if (log->stream == NULL) {
        atomic_file_complain(LOG_ERROR, log->path, errno, RUN_ELSEWHERE);
        event_log_close(log, NULL, NULL);
        return STATUS_MACHINE;
    }
    log->buffer = memory_zalloc(1, BUFFER_BYTES);
    setvbuf(log->stream, log->buffer, _IOFBF, BUFFER_BYTES);
    write_line(log,
               "{\"grapevine\": \"%s\", \"worker\": %d, \"workers\": %d, \"algorithm\": \"%s\", \"time\": \"%s\", "
               "\"eta\": %.17g, "
               "\"alpha\": %.17g, \"alpha_tilde\": %.17g, \"config\": \"%016" PRIx64 "\"}\n",
               header->version, header->worker, header->worker_count, header->algorithm, header->time, header->eta,
               header->alpha, header->alpha_tilde, header->config);
    *out = log;
    return STATUS_OK;
}

enum status event_log_settle(struct event_log *log)
{
    if (log->aside != NULL && rename(log->aside, log->path) != 0) {
        atomic_file_complain(LOG_ERROR, log->path, errno, RUN_ELSEWHERE);
        return STATUS_MACHINE;
    }
    free(log->aside);
    log->aside = NULL;
    return STATUS_OK;
}

void event_log_add(struct event_log *log, const struct event_report *report)
{
    char more[128] = "";
    if (report->kind == EVENT_UPDATE)
        snprintf(more, sizeof more, ", \"progress\": %.17g, \"lr\": %.17g", report->progress, report->learning_rate);
    else if (report->kind != EVENT_BEGIN && report->kind != EVENT_DONE)
        snprintf(more, sizeof more, ", \"peer\": %d, \"meeting\": %" PRIu64, report->peer, report->meeting);
    write_line(log, "{\"n\": %" PRIu64 ", \"event\": \"%s\", \"t\": %.17g, \"step\": %" PRIu64 ", \"time\": %.6f%s}\n",
               ++log->count, event_log_kind_name(report->kind), report->t, report->step, report->time_s, more);
}

static void add_digest(struct text *text, const char *name, const struct replica_digest *digest)
{
    text_add(text, ", \"%s\": {", name);
    for (int k = 0; k < REPLICA_VECTORS; k++)
        text_add(text, "%s\"%s\": \"%016" PRIx64 "\"", k > 0 ? ", " : "", replica_vector_name((enum replica_vector)k),
                 digest->of[k]);
    text_add(text, "}");
}

void event_log_close(struct event_log *log, const struct replica_digest *trained, const struct replica_digest *final)
{
    if (log == NULL)
        return;
    if (trained != NULL && final != NULL) {
        struct text digests = {0};
        add_digest(&digests, "trained", trained);
        add_digest(&digests, "final", final);
        write_line(log, "{\"end\": %" PRIu64 ", \"checksum\": \"%016" PRIx64 "\"%s}\n", log->count, log->checksum,
                   text_view(&digests));
        text_release(&digests);
    }
    errno = 0;
    if (log->stream != NULL && fclose(log->stream) != 0)
        atomic_file_complain(LOG_WARNING, log->path, errno, RUN_ELSEWHERE);
    if (log->aside != NULL)
        unlink(log->aside);
    free(log->buffer);
    free(log->aside);
    free(log->path);
    free(log);
}
