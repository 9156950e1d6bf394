/* An exchange: two snapshots and a difference. */
#include "runtime/mpi/exchange.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"

/* How long to sleep while a copy from the device is on its way. */
static const double copy_poll_s = 20e-6;

/* How long nothing more comes of a payload that has begun to come before it is asked for again; twice as long each
 * time, so many times at most. */
static const double again_s = 0.1;
/* A slow link is given so many times what its chunks have taken. */
static const double slow_link = 4;
enum { DOUBLINGS_MOST = 6 };

enum stage { NO_MEETING, AWAITING, APPLIED };

struct exchange_record {
    float *snapshot; /* owned (count), device memory */
    float *staged;   /* the same in host memory, owned, pinned; the snapshot itself where that is host memory; NULL with
                      * direct slots */
    float *theirs;   /* the peer's (count) in device memory, owned; NULL unless staged: it lies in the slot */
    float *copied;   /* the peer's (count) as it was copied out of the slot, owned; NULL: what has come into the slot
                      * whole stays so */
    uint64_t ticket; /* of the last copy to the device */
    bool filling;    /* direct slots: the snapshot is on its way, and no tag has been put */
    bool reading;    /* direct slots: the device may not yet have read the own one; it has when `read_mark` is done */
    uint64_t read_mark, digest;    /* direct slots: the latter for the own snapshot's tag */
    struct payload_tag *tags;      /* owned (chunk_count): sources of the tags' puts */
    int neighbor, peer, peer_slot; /* whom the meeting is with, and where the own payload goes */
    uint64_t attempt;              /* number of the meeting on its edge */
    bool astray, peer_astray;      /* the own snapshot, and the peer's as far as it has come */
    int chunks_seen;               /* of the peer's payload: found valid so far, and on their way to the device */
    double put_s;                  /* when our put began, and then, when it was done: the wait for the peer's begins */
    double delay_s, due_s;         /* of the peer's payload; due_s 0: it has not arrived yet */
    enum stage stage;
    double pace_s;          /* the longest that a chunk of it has let wait for itself */
    double news_s;          /* when a chunk of the peer's payload was last found, or it was asked for again */
    uint64_t asked, served; /* numbers of the last AGAIN of this worker's, and of the peer's */
    struct payload_tag answers[PAYLOAD_ANSWER_COUNT]; /* sources of their puts */
    bool taken_put;                                   /* the peer has been told that its payload is here */
    bool forgotten;                                   /* the peer will tell nothing any more */
};

static const struct device_ops *device_ops_of(const struct exchange *exchange)
{
    return worker_device_ops(exchange->worker);
}

static struct device *device_of(const struct exchange *exchange)
{
    return worker_device(exchange->worker);
}

/* Do snapshots pass through host memory on their way between device memories? */
static bool is_staged(const struct exchange *exchange)
{
    return !device_ops_of(exchange)->host_memory && exchange->direct == NULL;
}

/* Beside the snapshot: host memory that the peer's slot is filled from, and device memory that the own slot is emptied
 * into. */
static enum status init_staging(struct exchange *exchange, int k)
{
    const struct device_ops *ops = device_ops_of(exchange);
    struct exchange_record *record = &exchange->records[k];
    size_t bytes = exchange->shape.count * sizeof(float);
    record->staged = memory_alloc_aligned_for(bytes, "a snapshot (communication.records=%d)", exchange->record_count);
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

/* From now on anything may be put into the record's slot at any time: believe no chunk but in memory of one's own. */
static void doubt(const struct exchange *exchange, struct exchange_record *record)
{
    if (record->copied != NULL)
        return;
    record->copied = memory_alloc_aligned(exchange->shape.count * sizeof(float));
    record->chunks_seen = 0;
}

enum status exchange_init(struct exchange *exchange)
{
    const struct device_ops *ops = device_ops_of(exchange);
    if (exchange->direct == NULL)
        TRY(pin_slots(exchange));
    exchange->records = memory_zalloc((size_t)exchange->record_count, sizeof exchange->records[0]);
    for (int k = 0; k < exchange->record_count; k++) {
        struct exchange_record *record = &exchange->records[k];
        record->tags = memory_zalloc((size_t)exchange->shape.chunk_count, sizeof(struct payload_tag));
        TRY(ops->vector_alloc(device_of(exchange), exchange->shape.count, &record->snapshot));
        if (ops->host_memory)
            record->staged = record->snapshot;
        else if (is_staged(exchange))
            TRY(init_staging(exchange, k));
        if (exchange->doubts)
            doubt(exchange, record);
    }
    return STATUS_OK;
}

void exchange_release(struct exchange *exchange)
{
    if (exchange->records == NULL)
        return;
    const struct device_ops *ops = device_ops_of(exchange);
    if (exchange->direct == NULL)
        ops->unpin(device_of(exchange), exchange->ops->slot(exchange->transport, 0));
    for (int k = 0; k < exchange->record_count; k++) {
        struct exchange_record *record = &exchange->records[k];
        if (is_staged(exchange)) {
            ops->unpin(device_of(exchange), record->staged);
            memory_free_aligned(record->staged);
        }
        ops->vector_free(device_of(exchange), record->theirs);
        ops->vector_free(device_of(exchange), record->snapshot);
        memory_free_aligned(record->copied);
        free(record->tags);
    }
    free(exchange->records);
    exchange->records = NULL;
}

void exchange_span(const struct exchange *exchange, enum span_kind kind, double begin_s, int peer)
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
    if (record->astray)
        payload_mark_astray(&record->tags[chunk]);
}

/* What is not finite is not to be averaged with, however it came about. */
static void look_whether_finite(struct exchange *exchange, struct exchange_record *record)
{
    const struct device_ops *ops = device_ops_of(exchange);
    if (record->astray ||
        isfinite(ops->sum_squares(device_of(exchange), false, exchange->shape.count, record->snapshot)))
        return;
    record->astray = true;
    for (int chunk = 0; chunk < exchange->shape.chunk_count; chunk++)
        payload_mark_astray(&record->tags[chunk]);
}

/* In host memory each chunk is sealed while it is still in the cache. */
static void take_snapshot(struct exchange *exchange, struct exchange_record *record, int peer, uint64_t attempt)
{
    const struct payload_shape *shape = &exchange->shape;
    double begin_s = stopwatch_now();
    pthread_mutex_lock(exchange->lock);
    double time = worker_clock_time(exchange->clock, stopwatch_now());
    record->astray = *exchange->astray;
    for (int chunk = 0; chunk < shape->chunk_count; chunk++) {
        size_t first = payload_chunk_offset(shape, chunk) / sizeof(float);
        size_t count = payload_chunk_length(shape, chunk) / sizeof(float);
        worker_snapshot(exchange->worker, time, first, count, record->snapshot + first);
        if (device_ops_of(exchange)->host_memory)
            seal_chunk(exchange, record, chunk);
    }
    event(exchange, EVENT_SNAPSHOT, peer, attempt, time);
    pthread_mutex_unlock(exchange->lock);
    look_whether_finite(exchange, record);
    exchange_span(exchange, SPAN_COPY, begin_s, peer);
}

/* Bring a chunk from the device to host memory, where it is sealed: while it comes, the ones before are put. */
static uint64_t begin_copy(struct exchange *exchange, struct exchange_record *record, int chunk)
{
    size_t first = payload_chunk_offset(&exchange->shape, chunk) / sizeof(float);
    size_t count = payload_chunk_length(&exchange->shape, chunk) / sizeof(float);
    return device_ops_of(exchange)->copy_out(device_of(exchange), record->snapshot + first, count,
                                             record->staged + first);
}

static enum status finish_copy(struct exchange *exchange, struct exchange_record *record, int chunk, uint64_t ticket)
{
    double begin_s = stopwatch_now();
    while (!device_ops_of(exchange)->copied(device_of(exchange), ticket)) {
        if (exchange->limit_s > 0 && stopwatch_now() - begin_s > exchange->limit_s) {
            log_on_this_rank(LOG_ERROR,
                             "waited %.0f s for a snapshot out of the GPU's memory, for worker %d; is the GPU well? "
                             "(nvidia-smi; communication.limit_s)",
                             exchange->limit_s, record->peer);
            return STATUS_MACHINE;
        }
        exchange->between(exchange->context);
        stopwatch_sleep(copy_poll_s);
    }
    seal_chunk(exchange, record, chunk);
    return STATUS_OK;
}

static enum status put_tag(struct exchange *exchange, int record, int chunk)
{
    const struct exchange_record *of = &exchange->records[record];
    return exchange->ops->put_payload(exchange->transport, of->neighbor, of->peer_slot,
                                      exchange->shape.tags_offset + (size_t)chunk * sizeof of->tags[0],
                                      &of->tags[chunk], sizeof of->tags[0], record);
}

static enum status put_chunk(struct exchange *exchange, int record, int chunk)
{
    const struct exchange_record *of = &exchange->records[record];
    const struct payload_shape *shape = &exchange->shape;
    size_t offset = payload_chunk_offset(shape, chunk);
    TRY(exchange->ops->put_payload(exchange->transport, of->neighbor, of->peer_slot, offset,
                                   (const char *)of->staged + offset, payload_chunk_length(shape, chunk), record));
    return put_tag(exchange, record, chunk);
}

static void finish_put(struct exchange *exchange, struct exchange_record *record)
{
    exchange_span(exchange, SPAN_PUT, record->put_s, record->peer);
    record->put_s = stopwatch_now();
}

static enum status put_answer(struct exchange *exchange, int record, enum payload_answer answer, uint64_t number)
{
    struct exchange_record *of = &exchange->records[record];
    of->answers[answer] = payload_seal_answer(answer, number, exchange->id, of->attempt);
    return exchange->ops->put_payload(exchange->transport, of->neighbor, of->peer_slot,
                                      payload_answer_offset(&exchange->shape, answer), &of->answers[answer],
                                      sizeof of->answers[answer], record);
}

static enum status put_chunks(struct exchange *exchange, int record)
{
    struct exchange_record *of = &exchange->records[record];
    bool staged = is_staged(exchange);
    int chunk_count = exchange->shape.chunk_count;
    uint64_t next = staged ? begin_copy(exchange, of, 0) : 0;
    for (int chunk = 0; chunk < chunk_count; chunk++) {
        uint64_t ticket = next;
        if (staged && chunk + 1 < chunk_count)
            next = begin_copy(exchange, of, chunk + 1);
        if (staged)
            TRY(finish_copy(exchange, of, chunk, ticket));
        TRY(put_chunk(exchange, record, chunk));
        exchange->between(exchange->context);
    }
    finish_put(exchange, of);
    return STATUS_OK;
}

enum status exchange_begin(struct exchange *exchange, int neighbor, int peer, int record, int peer_slot,
                           uint64_t attempt, double delay_s)
{
    struct exchange_record *of = &exchange->records[record];
    of->chunks_seen = 0;
    of->delay_s = delay_s;
    of->due_s = 0;
    of->attempt = attempt;
    of->neighbor = neighbor;
    of->peer_slot = peer_slot;
    of->peer = peer;
    of->stage = AWAITING;
    of->news_s = of->pace_s = 0;
    of->asked = of->served = 0;
    of->taken_put = of->forgotten = of->peer_astray = false;
    take_snapshot(exchange, of, peer, attempt);
    of->put_s = stopwatch_now();
    if (exchange->direct == NULL)
        return put_chunks(exchange, record);
    of->filling = true;
    return direct_slots_put(exchange->direct, record, neighbor, peer_slot, of->snapshot, &of->digest);
}

/* A direct slot's snapshot is on its way: once it has left, its tag follows. */
static enum status send_tag(struct exchange *exchange, int record, bool *happened)
{
    struct exchange_record *of = &exchange->records[record];
    bool sent = false;
    if (of->filling)
        TRY(direct_slots_sent(exchange->direct, record, &sent));
    if (!sent)
        return STATUS_OK;
    of->filling = false;
    of->tags[0] = payload_seal_elsewhere(of->digest, exchange->id, of->attempt);
    if (of->astray)
        payload_mark_astray(&of->tags[0]);
    TRY(put_tag(exchange, record, 0));
    finish_put(exchange, of);
    *happened = true;
    return STATUS_OK;
}

/* A chunk of the peer's payload goes to the device while the next ones are still on their way here. */
static void take_in(struct exchange *exchange, struct exchange_record *record, const unsigned char *slot, int chunk)
{
    size_t first = payload_chunk_offset(&exchange->shape, chunk) / sizeof(float);
    const float *from = record->copied != NULL ? record->copied : (const float *)(const void *)slot;
    record->ticket = device_ops_of(exchange)->copy_in(device_of(exchange), from + first,
                                                      payload_chunk_length(&exchange->shape, chunk) / sizeof(float),
                                                      record->theirs + first);
}

/* Has this chunk come, to be read in the slot, or in the own copy of it? */
static bool chunk_came(const struct exchange *exchange, struct exchange_record *record, const unsigned char *slot)
{
    const struct payload_shape *shape = &exchange->shape;
    int chunk = record->chunks_seen;
    if (record->copied != NULL)
        return payload_chunk_copy(shape, slot, chunk, record->peer, record->attempt, record->copied);
    return payload_chunk_valid(shape, slot, chunk, record->peer, record->attempt);
}

/* Take what has come of the peer's payload. */
static void look(struct exchange *exchange, int record)
{
    struct exchange_record *of = &exchange->records[record];
    const unsigned char *slot = exchange->ops->slot(exchange->transport, record);
    while (of->chunks_seen < exchange->shape.chunk_count && chunk_came(exchange, of, slot)) {
        if (exchange->direct != NULL &&
            !direct_slots_whole(exchange->direct, record, payload_digest(&exchange->shape, slot)))
            break;
        if (is_staged(exchange))
            take_in(exchange, of, slot, of->chunks_seen);
        of->peer_astray |= payload_astray(&exchange->shape, slot, of->chunks_seen);
        of->chunks_seen++;
        double now_s = stopwatch_now();
        of->pace_s = fmax(of->pace_s, now_s - fmax(of->news_s, of->put_s));
        of->news_s = now_s;
    }
}

/* Something of the peer's payload has been there for some time, and no more has come: it is damaged, or will be whole
 * later. Have it put again; whatever comes then may come twice. Time passes from a look on, and one more comes before
 * the question: this thread, too, may have stood still. */
static enum status ask_again(struct exchange *exchange, int record)
{
    struct exchange_record *of = &exchange->records[record];
    int doublings = of->asked < DOUBLINGS_MOST ? (int)of->asked : DOUBLINGS_MOST;
    double now_s = stopwatch_now(), wait_s = fmax(ldexp(again_s, doublings), slow_link * of->pace_s);
    if (of->stage != AWAITING || of->chunks_seen == exchange->shape.chunk_count || now_s - of->put_s < wait_s ||
        (of->news_s > 0 && now_s - of->news_s < wait_s))
        return STATUS_OK;
    look(exchange, record);
    if (of->chunks_seen == exchange->shape.chunk_count ||
        !payload_begun(&exchange->shape, exchange->ops->slot(exchange->transport, record)))
        return STATUS_OK;
    bool overdue = of->news_s > 0 && of->news_s < now_s;
    if (!overdue)
        of->news_s = now_s;
    if (!overdue || !exchange->ops->drained(exchange->transport, record))
        return STATUS_OK;
    doubt(exchange, of);
    exchange->damaged += of->asked == 0;
    of->news_s = now_s;
    return put_answer(exchange, record, PAYLOAD_AGAIN, ++of->asked);
}

/* The peer needs the own payload again. */
static enum status put_again(struct exchange *exchange, int record, bool *happened)
{
    struct exchange_record *of = &exchange->records[record];
    const unsigned char *slot = exchange->ops->slot(exchange->transport, record);
    uint64_t number;
    if (!payload_answered(&exchange->shape, slot, PAYLOAD_AGAIN, of->peer, of->attempt, &number) ||
        number == of->served || !exchange->ops->drained(exchange->transport, record))
        return STATUS_OK;
    of->served = number;
    exchange->repeated++;
    *happened = true;
    for (int chunk = 0; chunk < exchange->shape.chunk_count; chunk++) {
        TRY(put_chunk(exchange, record, chunk));
        exchange->between(exchange->context);
    }
    return STATUS_OK;
}

static enum status answer(struct exchange *exchange, int record, bool *happened)
{
    struct exchange_record *of = &exchange->records[record];
    if (of->stage == NO_MEETING)
        return STATUS_OK;
    TRY(put_again(exchange, record, happened));
    TRY(ask_again(exchange, record));
    if (of->stage == AWAITING || of->taken_put)
        return STATUS_OK;
    of->taken_put = *happened = true;
    return put_answer(exchange, record, PAYLOAD_TAKEN, 0);
}

enum status exchange_poll(struct exchange *exchange, bool *happened)
{
    for (int k = 0; k < exchange->record_count; k++)
        TRY(exchange->direct != NULL ? send_tag(exchange, k, happened) : answer(exchange, k, happened));
    return STATUS_OK;
}

/* The peer has the own payload whole, and will not ask for it again. */
static bool is_taken(const struct exchange *exchange, int record)
{
    const struct exchange_record *of = &exchange->records[record];
    uint64_t number;
    if (exchange->direct != NULL || of->forgotten)
        return true;
    return of->taken_put && payload_answered(&exchange->shape, exchange->ops->slot(exchange->transport, record),
                                             PAYLOAD_TAKEN, of->peer, of->attempt, &number);
}

/* A direct slot that is free may be filled by another process, whose copy knows nothing of the kernel that reads it
 * here. The only order between them runs through the two hosts: the kernel is done, this host has seen it and says so
 * (with the next word that names the slot), the other host reads that and begins its copy. */
bool exchange_drained(struct exchange *exchange, int record)
{
    struct exchange_record *of = &exchange->records[record];
    if (of->filling || !exchange->ops->drained(exchange->transport, record) || !is_taken(exchange, record))
        return false;
    if (of->reading)
        of->reading = !device_ops_of(exchange)->copied(device_of(exchange), of->read_mark);
    if (!of->reading)
        of->stage = NO_MEETING;
    return !of->reading;
}

void exchange_forget(struct exchange *exchange, int peer)
{
    for (int k = 0; k < exchange->record_count; k++)
        exchange->records[k].forgotten |= exchange->records[k].stage != NO_MEETING && exchange->records[k].peer == peer;
}

bool exchange_arrived(struct exchange *exchange, int peer, int record, uint64_t attempt)
{
    struct exchange_record *of = &exchange->records[record];
    assert(of->peer == peer && of->attempt == attempt);
    look(exchange, record);
    if (of->chunks_seen < exchange->shape.chunk_count ||
        (is_staged(exchange) && !device_ops_of(exchange)->copied(device_of(exchange), of->ticket)))
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

/* Where the peer's snapshot lies for the device to read. */
static const float *peer_snapshot(const struct exchange *exchange, int record)
{
    if (exchange->direct != NULL)
        return direct_slots_own(exchange->direct, record);
    if (is_staged(exchange))
        return exchange->records[record].theirs;
    if (exchange->records[record].copied != NULL)
        return exchange->records[record].copied;
    return (const float *)(const void *)exchange->ops->slot(exchange->transport, record);
}

/* The end of a meeting, under the lock. */
static void move(struct exchange *exchange, const struct exchange_record *record, const float *theirs)
{
    double time = worker_clock_time(exchange->clock, stopwatch_now());
    if (!record->astray && !record->peer_astray) {
        worker_exchange(exchange->worker, time, record->snapshot, theirs);
        event(exchange, EVENT_APPLY, record->peer, record->attempt, time);
    } else if (record->astray && !record->peer_astray && exchange->rejoins) {
        worker_adopt(exchange->worker, time, theirs);
        *exchange->astray = false;
        log_on_this_rank(LOG_INFO, "worker %d takes over the model of worker %d (train.on_nan)", exchange->id,
                         record->peer);
    }
}

double exchange_apply(struct exchange *exchange, int peer, int record, struct state_cut *also_to)
{
    struct exchange_record *of = &exchange->records[record];
    unsigned char *slot = exchange->ops->slot(exchange->transport, record);
    const float *theirs = peer_snapshot(exchange, record);
    bool sound = !of->astray && !of->peer_astray;
    exchange_span(exchange, SPAN_PEER, of->put_s, peer);
    double begin_s = stopwatch_now();
    double distance = sound ? worker_pair_distance(exchange->worker, of->snapshot, theirs) : 0;
    if (also_to != NULL && sound)
        state_cut_exchange(also_to, of->snapshot, theirs);
    pthread_mutex_lock(exchange->lock);
    move(exchange, of, theirs);
    of->reading = exchange->direct != NULL;
    if (of->reading)
        of->read_mark = device_ops_of(exchange)->mark(device_of(exchange));
    pthread_mutex_unlock(exchange->lock);
    payload_spoil(&exchange->shape, slot);
    of->stage = APPLIED;
    exchange_span(exchange, SPAN_APPLY, begin_s, peer);
    return distance;
}
