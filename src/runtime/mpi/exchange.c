/* An exchange: two snapshots and a difference. */
#include "runtime/mpi/exchange.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/stopwatch.h"

/* How long to sleep while a copy from the device is on its way. */
static const double copy_poll_s = 20e-6;

struct exchange_record {
    float *snapshot; /* owned (count), device memory */
    float *staged;   /* the same in host memory, owned, pinned; the snapshot itself where that is host memory */
    float *theirs;   /* the peer's (count) in device memory, owned; NULL where that is host memory: the slot */
    uint64_t ticket; /* of the last copy to the device */
    struct payload_tag *tags; /* owned (chunk_count): sources of the tags' puts */
    uint64_t attempt;         /* number of the meeting on its edge */
    int chunks_seen;          /* of the peer's payload: found valid so far, and on their way to the device */
    double put_s;             /* when our put was started: the wait for the peer's begins */
    double delay_s, due_s;    /* of the peer's payload; due_s 0: it has not arrived yet */
};

static const struct device_ops *device_ops_of(const struct exchange *exchange)
{
    return worker_device_ops(exchange->worker);
}

static struct device *device_of(const struct exchange *exchange)
{
    return worker_device(exchange->worker);
}

/* Beside the snapshot: host memory that the peer's slot is filled from, and device memory that the own slot is emptied
 * into. */
static enum status init_staging(struct exchange *exchange, int k)
{
    const struct device_ops *ops = device_ops_of(exchange);
    struct exchange_record *record = &exchange->records[k];
    size_t bytes = exchange->shape.count * sizeof(float);
    record->staged = memory_alloc_aligned(bytes);
    TRY(ops->pin(device_of(exchange), record->staged, bytes));
    return ops->vector_alloc(device_of(exchange), exchange->shape.count, &record->theirs);
}

/* The slots of a transport lie one after another. */
static enum status pin_slots(struct exchange *exchange)
{
    unsigned char *first = exchange->ops->slot(exchange->transport, 0);
    unsigned char *last = exchange->ops->slot(exchange->transport, exchange->record_count - 1);
    return device_ops_of(exchange)->pin(device_of(exchange), first,
                                        (size_t)(last - first) + exchange->shape.slot_bytes);
}

enum status exchange_init(struct exchange *exchange)
{
    const struct device_ops *ops = device_ops_of(exchange);
    TRY(pin_slots(exchange));
    exchange->records = memory_zalloc((size_t)exchange->record_count, sizeof exchange->records[0]);
    for (int k = 0; k < exchange->record_count; k++) {
        struct exchange_record *record = &exchange->records[k];
        record->tags = memory_zalloc((size_t)exchange->shape.chunk_count, sizeof(struct payload_tag));
        TRY(ops->vector_alloc(device_of(exchange), exchange->shape.count, &record->snapshot));
        if (ops->host_memory)
            record->staged = record->snapshot;
        else
            TRY(init_staging(exchange, k));
    }
    return STATUS_OK;
}

void exchange_release(struct exchange *exchange)
{
    if (exchange->records != NULL)
        device_ops_of(exchange)->unpin(device_of(exchange), exchange->ops->slot(exchange->transport, 0));
    for (int k = 0; exchange->records != NULL && k < exchange->record_count; k++) {
        const struct device_ops *ops = device_ops_of(exchange);
        struct exchange_record *record = &exchange->records[k];
        if (!ops->host_memory) {
            ops->unpin(device_of(exchange), record->staged);
            memory_free_aligned(record->staged);
        }
        ops->vector_free(device_of(exchange), record->theirs);
        ops->vector_free(device_of(exchange), record->snapshot);
        free(record->tags);
    }
    free(exchange->records);
    exchange->records = NULL;
}

static void span(const struct exchange *exchange, enum span_kind kind, double begin_s, int peer)
{
    const struct observer *observer = exchange->observer;
    if (observer->on_span != NULL)
        observer->on_span(observer->context, exchange->id, LANE_COMMUNICATION, kind, begin_s - exchange->origin_s,
                          stopwatch_now() - exchange->origin_s, peer);
}

/* Under the worker's lock. */
static void event(const struct exchange *exchange, enum event_kind kind, int peer, uint64_t attempt, double t)
{
    const struct observer *observer = exchange->observer;
    if (observer->on_event == NULL)
        return;
    struct event_report report = {
        .kind = kind,
        .worker = exchange->id,
        .peer = peer,
        .meeting = attempt,
        .step = worker_clock_steps(exchange->clock),
        .time_s = stopwatch_now() - exchange->origin_s,
        .t = t,
    };
    observer->on_event(observer->context, &report);
}

static void seal_chunk(struct exchange *exchange, struct exchange_record *record, int chunk)
{
    record->tags[chunk] = payload_seal(&exchange->shape, record->staged, chunk, exchange->id, record->attempt);
}

/* In host memory each chunk is sealed while it is still in the cache. */
static void take_snapshot(struct exchange *exchange, struct exchange_record *record, int peer, uint64_t attempt)
{
    const struct payload_shape *shape = &exchange->shape;
    double begin_s = stopwatch_now();
    pthread_mutex_lock(exchange->lock);
    double time = worker_clock_time(exchange->clock, stopwatch_now());
    for (int chunk = 0; chunk < shape->chunk_count; chunk++) {
        size_t first = payload_chunk_offset(shape, chunk) / sizeof(float);
        size_t count = payload_chunk_length(shape, chunk) / sizeof(float);
        worker_snapshot(exchange->worker, time, first, count, record->snapshot + first);
        if (device_ops_of(exchange)->host_memory)
            seal_chunk(exchange, record, chunk);
    }
    event(exchange, EVENT_SNAPSHOT, peer, attempt, time);
    pthread_mutex_unlock(exchange->lock);
    span(exchange, SPAN_COPY, begin_s, peer);
}

/* Bring a chunk from the device to host memory, where it is sealed: while it comes, the ones before are put. */
static uint64_t begin_copy(struct exchange *exchange, struct exchange_record *record, int chunk)
{
    size_t first = payload_chunk_offset(&exchange->shape, chunk) / sizeof(float);
    size_t count = payload_chunk_length(&exchange->shape, chunk) / sizeof(float);
    return device_ops_of(exchange)->copy_out(device_of(exchange), record->snapshot + first, count,
                                             record->staged + first);
}

static void finish_copy(struct exchange *exchange, struct exchange_record *record, int chunk, uint64_t ticket)
{
    while (!device_ops_of(exchange)->copied(device_of(exchange), ticket)) {
        exchange->between(exchange->context);
        stopwatch_sleep(copy_poll_s);
    }
    seal_chunk(exchange, record, chunk);
}

static enum status put_chunk(struct exchange *exchange, int neighbor, int record, int peer_slot, int chunk)
{
    const struct exchange_record *of = &exchange->records[record];
    const struct payload_shape *shape = &exchange->shape;
    size_t offset = payload_chunk_offset(shape, chunk);
    TRY(exchange->ops->put_payload(exchange->transport, neighbor, peer_slot, offset, (const char *)of->staged + offset,
                                   payload_chunk_length(shape, chunk), record));
    return exchange->ops->put_payload(exchange->transport, neighbor, peer_slot,
                                      shape->tags_offset + (size_t)chunk * sizeof of->tags[0], &of->tags[chunk],
                                      sizeof of->tags[0], record);
}

enum status exchange_begin(struct exchange *exchange, int neighbor, int peer, int record, int peer_slot,
                           uint64_t attempt, double delay_s)
{
    struct exchange_record *of = &exchange->records[record];
    bool on_host = device_ops_of(exchange)->host_memory;
    int chunk_count = exchange->shape.chunk_count;
    of->chunks_seen = 0;
    of->delay_s = delay_s;
    of->due_s = 0;
    of->attempt = attempt;
    take_snapshot(exchange, of, peer, attempt);
    double begin_s = stopwatch_now();
    uint64_t next = on_host ? 0 : begin_copy(exchange, of, 0);
    for (int chunk = 0; chunk < chunk_count; chunk++) {
        uint64_t ticket = next;
        if (!on_host && chunk + 1 < chunk_count)
            next = begin_copy(exchange, of, chunk + 1);
        if (!on_host)
            finish_copy(exchange, of, chunk, ticket);
        TRY(put_chunk(exchange, neighbor, record, peer_slot, chunk));
        exchange->between(exchange->context);
    }
    span(exchange, SPAN_PUT, begin_s, peer);
    of->put_s = stopwatch_now();
    return STATUS_OK;
}

/* A chunk of the peer's payload goes to the device while the next ones are still on their way here. */
static void take_in(struct exchange *exchange, struct exchange_record *record, const unsigned char *slot, int chunk)
{
    size_t offset = payload_chunk_offset(&exchange->shape, chunk);
    record->ticket = device_ops_of(exchange)->copy_in(device_of(exchange), (const float *)(const void *)(slot + offset),
                                                      payload_chunk_length(&exchange->shape, chunk) / sizeof(float),
                                                      record->theirs + offset / sizeof(float));
}

bool exchange_arrived(struct exchange *exchange, int peer, int record, uint64_t attempt)
{
    struct exchange_record *of = &exchange->records[record];
    const unsigned char *slot = exchange->ops->slot(exchange->transport, record);
    bool on_host = device_ops_of(exchange)->host_memory;
    while (of->chunks_seen < exchange->shape.chunk_count &&
           payload_chunk_valid(&exchange->shape, slot, of->chunks_seen, peer, attempt)) {
        if (!on_host)
            take_in(exchange, of, slot, of->chunks_seen);
        of->chunks_seen++;
    }
    if (of->chunks_seen < exchange->shape.chunk_count ||
        (!on_host && !device_ops_of(exchange)->copied(device_of(exchange), of->ticket)))
        return false;
    double now_s = stopwatch_now();
    if (of->due_s == 0)
        of->due_s = now_s + of->delay_s;
    return now_s >= of->due_s;
}

void exchange_given_up(struct exchange *exchange, int peer, uint64_t attempt)
{
    pthread_mutex_lock(exchange->lock);
    event(exchange, EVENT_GIVE_UP, peer, attempt, worker_clock_time(exchange->clock, stopwatch_now()));
    pthread_mutex_unlock(exchange->lock);
}

void exchange_lost(struct exchange *exchange, int peer)
{
    pthread_mutex_lock(exchange->lock);
    event(exchange, EVENT_LOST, peer, 0, worker_clock_time(exchange->clock, stopwatch_now()));
    pthread_mutex_unlock(exchange->lock);
}

double exchange_apply(struct exchange *exchange, int peer, int record)
{
    struct exchange_record *of = &exchange->records[record];
    unsigned char *slot = exchange->ops->slot(exchange->transport, record);
    const float *theirs = of->theirs != NULL ? of->theirs : (const float *)(const void *)slot;
    span(exchange, SPAN_PEER, of->put_s, peer);
    double begin_s = stopwatch_now();
    double distance = worker_pair_distance(exchange->worker, of->snapshot, theirs);
    pthread_mutex_lock(exchange->lock);
    double time = worker_clock_time(exchange->clock, stopwatch_now());
    worker_exchange(exchange->worker, time, of->snapshot, theirs);
    event(exchange, EVENT_APPLY, peer, of->attempt, time);
    pthread_mutex_unlock(exchange->lock);
    payload_spoil(&exchange->shape, slot);
    span(exchange, SPAN_APPLY, begin_s, peer);
    return distance;
}
