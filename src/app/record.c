/* The record of a run: the observer that turns reports into lines of JSON, TensorBoard events and progress. */
#include "app/record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/metrics_merge.h"
#include "app/progress_line.h"
#include "app/run_directory.h"
#include "app/scalar_events.h"
#include "app/tensorboard.h"
#include "app/trace.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "base/text.h"

/* The event log of a worker, and what it ends with. */
struct recorded_events {
    struct event_log *log; /* owned */
    bool ended;            /* both are known */
    struct replica_digest trained, final;
};

struct record {
    struct observer observer;
    struct record_params params; /* as they were given, but for what is borrowed */
    char *directory;             /* owned */
    char *metrics_path;          /* owned */
    FILE *metrics;               /* owned; NULL once a write has failed, which was said */
    uint64_t metrics_bytes;
    int rank;
    int worker_count;
    struct tensorboard **tensorboards; /* owned (worker_count), of workers rank, rank + 1, ...; NULL: not wanted */
    struct tensorboard *network;       /* owned; NULL: not wanted, or made of the merged metrics */
    struct trace **traces;             /* owned, as the tensorboards */
    struct recorded_events *events;    /* likewise */
    bool shows_progress, simulated, opened;
    double begin_s; /* real time of its creation */
    struct progress_line progress;
};

static void add_whole(struct text *line, const char *key, uint64_t value)
{
    text_add(line, ", \"%s\": %" PRIu64, key, value);
}

static void add_number(struct text *line, const char *key, double value)
{
    if (isfinite(value))
        text_add(line, ", \"%s\": %.9g", key, value);
    else
        text_add(line, ", \"%s\": null", key);
}

/* The line ends here, and is gone. `events`: where its numbers go too, NULL for nowhere. */
static void write_line(struct record *record, struct text *line, struct tensorboard *events)
{
    text_add(line, "}\n");
    if (events != NULL)
        scalar_events_add_network_line(events, text_view(line));
    errno = 0;
    if (record->metrics != NULL &&
        (fwrite(line->data, 1, line->length, record->metrics) != line->length || fflush(record->metrics) != 0)) {
        atomic_file_complain(LOG_WARNING, record->metrics_path, errno, RUN_ELSEWHERE);
        fclose(record->metrics);
        record->metrics = NULL;
        (void)!truncate(record->metrics_path, (off_t)record->metrics_bytes); /* no part of a line is left */
    }
    if (record->metrics != NULL)
        record->metrics_bytes += line->length;
    text_release(line);
}

/* "meetings": {"1": 20, "3": 19}: with whom how often so far. */
static void add_meetings(struct text *line, const struct step_report *report)
{
    text_add(line, ", \"meetings\": {");
    for (size_t k = 0; k < report->met_count; k++)
        text_add(line, "%s\"%d\": %" PRIu64, k > 0 ? ", " : "", report->met[k].worker, report->met[k].count);
    text_add(line, "}");
}

/* People wait in real time, whatever time the reports are in. */
static void show_step(struct record *record, const struct step_report *report)
{
    struct step_report shown = *report;
    if (record->simulated)
        shown.time_s = stopwatch_now() - record->begin_s;
    progress_line_step(&record->progress, &shown);
}

static void show_evaluation(struct record *record, const struct evaluation_report *report)
{
    struct evaluation_report shown = *report;
    if (record->simulated)
        shown.time_s = stopwatch_now() - record->begin_s;
    progress_line_evaluation(&record->progress, &shown);
}

static void on_step(void *context, const struct step_report *report)
{
    struct record *record = context;
    struct text line = {0};
    text_add(&line, "{\"rank\": %d, \"time\": %.6f", report->worker, report->time_s);
    add_whole(&line, "step", report->step);
    add_whole(&line, "global_step", report->global_step);
    add_number(&line, "epoch", report->epoch);
    add_whole(&line, "samples", report->samples);
    add_number(&line, "progress", report->progress);
    add_number(&line, "loss", report->loss);
    add_number(&line, "lr", report->learning_rate);
    add_number(&line, "accuracy", report->accuracy);
    add_number(&line, "samples_per_second", report->samples_per_second);
    add_whole(&line, "exchanges", report->exchanges);
    add_number(&line, "pair_distance", report->pair_distance);
    add_number(&line, "consensus_estimated", report->consensus_estimated);
    add_number(&line, "consensus_predicted", report->consensus_predicted);
    add_number(&line, "idle", report->idle);
    add_number(&line, "data_wait", report->data_wait);
    add_whole(&line, "pending", report->pending);
    if (report->met != NULL)
        add_meetings(&line, report);
    write_line(record, &line, NULL);
    if (record->tensorboards != NULL)
        scalar_events_add_step(record->tensorboards[report->worker - record->rank], report);
    if (record->shows_progress)
        show_step(record, report);
}

static void on_evaluation(void *context, const struct evaluation_report *report)
{
    struct record *record = context;
    struct text line = {0};
    char loss[64], accuracy[64], top5[64];
    snprintf(loss, sizeof loss, "%s_loss", report->set);
    snprintf(accuracy, sizeof accuracy, "%s_accuracy", report->set);
    snprintf(top5, sizeof top5, "%s_accuracy_top5", report->set);
    text_add(&line, "{\"rank\": %d, \"time\": %.6f", report->worker, report->time_s);
    add_whole(&line, "step", report->step);
    add_whole(&line, "global_step", report->global_step);
    add_number(&line, "epoch", report->epoch);
    add_number(&line, loss, report->loss);
    add_number(&line, accuracy, report->accuracy);
    if (isfinite(report->accuracy_top5))
        add_number(&line, top5, report->accuracy_top5);
    add_whole(&line, "pictures", report->count);
    text_add(&line, ", \"averaged\": %s", report->averaged ? "true" : "false");
    write_line(record, &line, NULL);
    if (record->tensorboards != NULL)
        scalar_events_add_evaluation(record->tensorboards[report->worker - record->rank], report);
    if (record->shows_progress)
        show_evaluation(record, report);
}

static void on_network(void *context, const struct network_report *report)
{
    struct record *record = context;
    struct text line = {0};
    text_add(&line, "{\"network\": true, \"time\": %.6f", report->time_s);
    add_whole(&line, "global_step", report->global_step);
    add_number(&line, "epoch", report->epoch);
    add_number(&line, "consensus_distance", report->consensus_distance);
    add_number(&line, "consensus_predicted", report->consensus_predicted);
    add_number(&line, "chi1", report->chi1);
    add_number(&line, "chi2", report->chi2);
    add_number(&line, "exchanges_per_gradient", report->exchanges_per_gradient);
    if (isfinite(report->optimum_distance)) {
        add_number(&line, "optimum_distance", report->optimum_distance);
        add_number(&line, "optimum_gap", report->optimum_gap);
    }
    write_line(record, &line, record->network);
}

static void on_span(void *context, int worker, enum span_lane lane, enum span_kind kind, double begin_s, double end_s,
                    int peer)
{
    struct record *record = context;
    trace_add(record->traces[worker - record->rank], lane, kind, begin_s, end_s, peer);
}

static void on_event(void *context, const struct event_report *report)
{
    struct record *record = context;
    event_log_add(record->events[report->worker - record->rank].log, report);
}

void record_trained(struct record *record, struct worker *worker, int number)
{
    if (record->events != NULL)
        record->events[number - record->rank].trained = replica_digest_of(worker);
}

void record_final(struct record *record, struct worker *worker, int number)
{
    if (record->events == NULL)
        return;
    struct recorded_events *events = &record->events[number - record->rank];
    events->final = replica_digest_of(worker);
    events->ended = true;
}

static enum status open_events(struct record *record, const struct event_log_header *header)
{
    record->events = memory_zalloc((size_t)record->worker_count, sizeof record->events[0]);
    for (int i = 0; i < record->worker_count; i++) {
        struct event_log_header own = *header;
        own.worker = record->rank + i;
        TRY(event_log_create(record->directory, &own, record->params.later, &record->events[i].log));
    }
    record->observer.on_event = on_event;
    return STATUS_OK;
}

/* Where this session's reports begin: after the last line that is kept of the sessions before it. */
static struct scalar_events_start session_start(const struct record *record)
{
    struct scalar_events_start start = {.step = record->params.steps_before + 1};
    FILE *metrics = record->params.goes_on ? fopen(record->metrics_path, "re") : NULL;
    char *line = NULL;
    for (size_t capacity = 0; metrics != NULL && getline(&line, &capacity, metrics) > 0;) {
        const char *step = strstr(line, "\"global_step\": "), *time = strstr(line, "\"time\": ");
        if (step == NULL || time == NULL)
            continue;
        start.step = strtoull(strchr(step, ' '), NULL, 10) + 1;
        start.time_s = strtod(strchr(time, ' '), NULL);
    }
    if (metrics != NULL)
        fclose(metrics);
    free(line);
    return start;
}

static enum status open_tensorboards(struct record *record)
{
    if (!record->params.tensorboard)
        return STATUS_OK;
    struct scalar_events_start start = session_start(record);
    record->tensorboards = memory_zalloc((size_t)record->worker_count, sizeof record->tensorboards[0]);
    for (int i = 0; i < record->worker_count; i++) {
        char name[32];
        snprintf(name, sizeof name, "worker-%d", record->rank + i);
        TRY(scalar_events_open(record->directory, name, &start, &record->tensorboards[i]));
    }
    return record->simulated ? scalar_events_open(record->directory, "network", &start, &record->network) : STATUS_OK;
}

/* What a simulation that goes on tells again before it goes on: events and spans. */
static enum status open_events_and_traces(struct record *record, const struct record_params *params)
{
    if (params->trace) {
        record->traces = memory_zalloc((size_t)record->worker_count, sizeof record->traces[0]);
        for (int i = 0; i < record->worker_count; i++)
            record->traces[i] = trace_create(record->rank + i, TRACE_SPANS_PER_LANE);
        record->observer.on_span = on_span;
    }
    return params->events != NULL ? open_events(record, params->events) : STATUS_OK;
}

/* Written on from where the state was kept: what came after it comes again. */
static enum status reopen_metrics(struct record *record, uint64_t bytes)
{
    struct stat is;
    int handle = open(record->metrics_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    record->metrics = handle >= 0 ? fdopen(handle, "r+") : NULL;
    if (record->metrics == NULL || fstat(fileno(record->metrics), &is) != 0 || (uint64_t)is.st_size < bytes) {
        log_error("%s is not as the interrupted run has left it (%" PRIu64
                  " bytes at least are expected): put it back, "
                  "or start anew in another folder",
                  record->metrics_path, bytes);
        return STATUS_DATA;
    }
    if (ftruncate(fileno(record->metrics), (off_t)bytes) == 0 && fseek(record->metrics, 0, SEEK_END) == 0)
        return STATUS_OK;
    atomic_file_complain(LOG_ERROR, record->metrics_path, errno, RUN_ELSEWHERE);
    return STATUS_MACHINE;
}

static enum status open_metrics(struct record *record, const struct record_params *params)
{
    if (params->goes_on) {
        record->metrics_bytes = params->metrics_bytes;
        return reopen_metrics(record, params->metrics_bytes);
    }
    record->metrics = atomic_file_fresh(record->metrics_path);
    if (record->metrics != NULL)
        return STATUS_OK;
    atomic_file_complain(LOG_ERROR, record->metrics_path, errno, RUN_ELSEWHERE);
    return STATUS_MACHINE;
}

uint64_t record_length(const struct record *record)
{
    return record->metrics_bytes;
}

void record_sync(const struct record *record)
{
    int file = open(record->metrics_path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    fsync(file);
    close(file);
}

enum status record_open(struct record *record)
{
    TRY(open_metrics(record, &record->params));
    TRY(open_tensorboards(record));
    for (int i = 0; record->events != NULL && i < record->worker_count; i++)
        TRY(event_log_settle(record->events[i].log));
    record->opened = true;
    return STATUS_OK;
}

enum status record_create(const struct record_params *params, struct record **out)
{
    enum status status;
    struct record *record = memory_zalloc(1, sizeof *record);
    record->observer = (struct observer){
        .context = record, .on_step = on_step, .on_evaluation = on_evaluation, .on_network = on_network};
    record->directory = memory_copy_text(params->directory);
    record->metrics_path = metrics_part_path(params->directory, params->rank);
    record->rank = params->rank;
    record->worker_count = params->worker_count > 1 ? params->worker_count : 1;
    record->simulated = params->simulated;
    record->begin_s = stopwatch_now();
    record->shows_progress = params->rank == 0 && params->progress != NULL;
    record->progress = (struct progress_line){.out = params->progress,
                                              .columns = params->columns,
                                              .workers = record->worker_count,
                                              .goes_on = params->goes_on || params->steps_before > 0};
    record->params = *params;
    record->params.directory = NULL;
    record->params.events = NULL;
    if (!params->later)
        TRY_GOTO(record_open(record), close_record);
    TRY_GOTO(open_events_and_traces(record, params), close_record);
    *out = record;
    return STATUS_OK;
close_record:
    record_close(record);
    return status;
}

const struct observer *record_observer(const struct record *record)
{
    return &record->observer;
}

static void close_events(struct recorded_events *events)
{
    event_log_close(events->log, events->ended ? &events->trained : NULL, events->ended ? &events->final : NULL);
}

void record_close(struct record *record)
{
    if (record == NULL)
        return;
    if (record->shows_progress)
        progress_line_end(&record->progress);
    if (record->metrics != NULL && fclose(record->metrics) != 0)
        atomic_file_complain(LOG_WARNING, record->metrics_path, errno, RUN_ELSEWHERE);
    for (int i = 0; i < record->worker_count; i++) {
        if (record->tensorboards != NULL)
            tensorboard_close(record->tensorboards[i]);
        if (record->traces != NULL && record->traces[i] != NULL)
            (void)trace_close(record->traces[i],
                              record->opened ? record->directory : NULL); /* it has said what is missing */
        if (record->events != NULL)
            close_events(&record->events[i]);
    }
    tensorboard_close(record->network);
    free(record->tensorboards);
    free(record->traces);
    free(record->events);
    free(record->metrics_path);
    free(record->directory);
    free(record);
}

bool record_merge(const char *directory, int size, int worker_count, const struct graph *graph, bool trace)
{
    bool merged = metrics_merge(directory, size, graph);
    if (trace)
        (void)trace_merge(directory, worker_count); /* it has said what is missing */
    return merged;
}

void record_remove_parts(const char *directory, int size)
{
    metrics_remove_parts(directory, size);
}
