/* An exchange: two snapshots and a difference. */
#include "runtime/mpi/exchange.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/stopwatch.h"
#include "runtime/pair_distance.h"

struct exchange_record {
    float *snapshot;          /* owned (count) */
    struct payload_tag *tags; /* owned (chunk_count): sources of the tags' puts */
    uint64_t attempt;         /* number of the meeting on its edge */
    int chunks_seen;          /* of the peer's payload: found valid so far */
    double put_s;             /* when our put was started: the wait for the peer's begins */
    double delay_s, due_s;    /* of the peer's payload; due_s 0: it has not arrived yet */
};

void exchange_init(struct exchange *exchange)
{
    exchange->records = memory_zalloc((size_t)exchange->record_count, sizeof exchange->records[0]);
    for (int k = 0; k < exchange->record_count; k++) {
        exchange->records[k].snapshot = memory_alloc_aligned(exchange->shape.count * sizeof(float));
        exchange->records[k].tags = memory_zalloc((size_t)exchange->shape.chunk_count, sizeof(struct payload_tag));
    }
}

void exchange_release(struct exchange *exchange)
{
    for (int k = 0; exchange->records != NULL && k < exchange->record_count; k++) {
        memory_free_aligned(exchange->records[k].snapshot);
        free(exchange->records[k].tags);
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

/* Each chunk is sealed while it is still in the cache. */
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
        record->tags[chunk] = payload_seal(shape, record->snapshot, chunk, exchange->id, attempt);
    }
    event(exchange, EVENT_SNAPSHOT, peer, attempt, time);
    pthread_mutex_unlock(exchange->lock);
    span(exchange, SPAN_COPY, begin_s, peer);
}

static enum status put_chunk(struct exchange *exchange, int neighbor, int record, int peer_slot, int chunk)
{
    const struct exchange_record *of = &exchange->records[record];
    const struct payload_shape *shape = &exchange->shape;
    size_t offset = payload_chunk_offset(shape, chunk);
    TRY(exchange->ops->put_payload(exchange->transport, neighbor, peer_slot, offset,
                                   (const char *)of->snapshot + offset, payload_chunk_length(shape, chunk), record));
    return exchange->ops->put_payload(exchange->transport, neighbor, peer_slot,
                                      shape->tags_offset + (size_t)chunk * sizeof of->tags[0], &of->tags[chunk],
                                      sizeof of->tags[0], record);
}

enum status exchange_begin(struct exchange *exchange, int neighbor, int peer, int record, int peer_slot,
                           uint64_t attempt, double delay_s)
{
    struct exchange_record *of = &exchange->records[record];
    of->chunks_seen = 0;
    of->delay_s = delay_s;
    of->due_s = 0;
    of->attempt = attempt;
    take_snapshot(exchange, of, peer, attempt);
    double begin_s = stopwatch_now();
    for (int chunk = 0; chunk < exchange->shape.chunk_count; chunk++) {
        TRY(put_chunk(exchange, neighbor, record, peer_slot, chunk));
        exchange->between(exchange->context);
    }
    span(exchange, SPAN_PUT, begin_s, peer);
    of->put_s = stopwatch_now();
    return STATUS_OK;
}

bool exchange_arrived(struct exchange *exchange, int peer, int record, uint64_t attempt)
{
    struct exchange_record *of = &exchange->records[record];
    const unsigned char *slot = exchange->ops->slot(exchange->transport, record);
    while (of->chunks_seen < exchange->shape.chunk_count &&
           payload_chunk_valid(&exchange->shape, slot, of->chunks_seen, peer, attempt))
        of->chunks_seen++;
    if (of->chunks_seen < exchange->shape.chunk_count)
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
    const float *theirs = (const float *)(const void *)slot;
    span(exchange, SPAN_PEER, of->put_s, peer);
    double begin_s = stopwatch_now();
    double distance = pair_distance(of->snapshot, theirs, exchange->shape.count);
    pthread_mutex_lock(exchange->lock);
    double time = worker_clock_time(exchange->clock, stopwatch_now());
    worker_exchange(exchange->worker, time, of->snapshot, theirs);
    event(exchange, EVENT_APPLY, peer, of->attempt, time);
    pthread_mutex_unlock(exchange->lock);
    payload_spoil(&exchange->shape, slot);
    span(exchange, SPAN_APPLY, begin_s, peer);
    return distance;
}
