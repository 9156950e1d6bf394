/* The events of a real run, executed again. Workers take turns; each goes on until its log ends or it wants to apply a
 * difference whose other snapshot is still to be taken. */
#include "runtime/replay.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "runtime/sim/sim_closing.h"

/* One end's snapshot of a meeting: there until both ends have applied the difference. */
struct snapshot {
    struct snapshot *next; /* owned: of the same worker, or of the spare ones */
    int peer;
    uint64_t meeting;
    size_t event;      /* of its owner's log */
    bool own_applied;  /* by the worker that took it */
    bool peer_applied; /* by the other */
    float *values;     /* owned (parameter_size) */
};

/* How far a worker's log has been executed. */
struct place {
    size_t next;
    double t; /* of its last event */
    uint64_t steps;
    bool begun; /* it has a working copy for its next gradient */
    struct snapshot *snapshots;
    float *last; /* owned (parameter_size), host memory: x when its gradients were done; NULL before */
};

struct replay {
    const struct replay_params *params;
    struct runtime_result *result;
    struct place *places;   /* owned (worker_count) */
    struct snapshot *spare; /* owned: used up, to be used again */
    float *gradient_sum;    /* owned (parameter_size), device memory; NULL unless the workers meet everyone */
};

static enum status __attribute__((format(printf, 4, 5)))
refuse(const struct replay *replay, int worker, size_t event, const char *format, ...)
{
    const struct replay_log *log = &replay->params->logs[worker];
    char what[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    log_error("%s:%zu: %s", log->path, log->first_line + event, what);
    return STATUS_DATA;
}

static const struct event_report *next_event(const struct replay *replay, int worker)
{
    const struct replay_log *log = &replay->params->logs[worker];
    size_t next = replay->places[worker].next;
    return next < log->count ? &log->events[next] : NULL;
}

/* --- snapshots --- */

static struct snapshot *find_snapshot(const struct replay *replay, int worker, int peer, uint64_t meeting)
{
    struct snapshot *snapshot = replay->places[worker].snapshots;
    while (snapshot != NULL && (snapshot->peer != peer || snapshot->meeting != meeting))
        snapshot = snapshot->next;
    return snapshot;
}

static enum status add_snapshot(struct replay *replay, int worker, const struct event_report *event,
                                struct snapshot **out)
{
    const struct replay_params *p = replay->params;
    struct place *place = &replay->places[worker];
    if (replay->spare == NULL) {
        replay->spare = memory_zalloc(1, sizeof *replay->spare);
        TRY(p->ops->vector_alloc(p->device, worker_parameter_size(p->workers[0]), &replay->spare->values));
    }
    struct snapshot *snapshot = replay->spare;
    replay->spare = snapshot->next;
    *snapshot = (struct snapshot){.next = place->snapshots,
                                  .peer = event->peer,
                                  .meeting = event->meeting,
                                  .event = place->next,
                                  .values = snapshot->values};
    place->snapshots = snapshot;
    *out = snapshot;
    return STATUS_OK;
}

/* Both ends have applied. */
static void drop_snapshot(struct replay *replay, int worker, struct snapshot *snapshot)
{
    struct snapshot **link = &replay->places[worker].snapshots;
    while (*link != snapshot)
        link = &(*link)->next;
    *link = snapshot->next;
    snapshot->next = replay->spare;
    replay->spare = snapshot;
}

static void free_snapshots(const struct replay_params *p, struct snapshot *snapshot)
{
    while (snapshot != NULL) {
        struct snapshot *next = snapshot->next;
        p->ops->vector_free(p->device, snapshot->values);
        free(snapshot);
        snapshot = next;
    }
}

/* --- events --- */

static enum status begin(struct replay *replay, int worker)
{
    struct place *place = &replay->places[worker];
    if (place->begun)
        return refuse(replay, worker, place->next, "a gradient begins, and the one before has not ended");
    worker_cast(replay->params->workers[worker]);
    place->begun = true;
    return STATUS_OK;
}

/* What must hold before an EVENT_UPDATE is executed. */
static enum status check_update(const struct replay *replay, int worker, const struct event_report *event)
{
    const struct place *place = &replay->places[worker];
    double rate = worker_learning_rate(replay->params->workers[worker], event->progress);
    if (!place->begun)
        return refuse(replay, worker, place->next, "a gradient ends that has not begun");
    if (rate != event->learning_rate)
        return refuse(replay, worker, place->next,
                      "the learning rate was %.17g, and the configuration gives %.17g for this progress",
                      event->learning_rate, rate);
    return STATUS_OK;
}

static enum status gradient(const struct replay *replay, int worker)
{
    struct gradient_result result;
    TRY(worker_load(replay->params->workers[worker]));
    return worker_gradient(replay->params->workers[worker], NULL, NULL, &result);
}

static void update(struct replay *replay, int worker, const struct event_report *event)
{
    worker_update(replay->params->workers[worker], event->t, event->progress);
    replay->places[worker].begun = false;
    replay->places[worker].steps++;
}

static enum status take_snapshot(struct replay *replay, int worker, const struct event_report *event)
{
    if (find_snapshot(replay, worker, event->peer, event->meeting) != NULL)
        return refuse(replay, worker, replay->places[worker].next, "a second snapshot of the same meeting");
    struct snapshot *snapshot;
    TRY(add_snapshot(replay, worker, event, &snapshot));
    struct worker *of = replay->params->workers[worker];
    worker_snapshot(of, event->t, 0, worker_parameter_size(of), snapshot->values);
    return STATUS_OK;
}

static enum status apply(struct replay *replay, int worker, const struct event_report *event, bool *waits)
{
    struct snapshot *own = find_snapshot(replay, worker, event->peer, event->meeting);
    struct snapshot *theirs = find_snapshot(replay, event->peer, worker, event->meeting);
    int n = replay->params->worker_count;
    if (own == NULL || own->own_applied)
        return refuse(replay, worker, replay->places[worker].next,
                      "a difference is applied without a snapshot of meeting %llu with worker %d before it",
                      (unsigned long long)event->meeting, event->peer);
    *waits = theirs == NULL;
    if (*waits)
        return STATUS_OK;
    worker_exchange(replay->params->workers[worker], event->t, own->values, theirs->values);
    own->own_applied = theirs->peer_applied = true;
    replay->result->meetings[(size_t)worker * (size_t)n + (size_t)event->peer]++;
    if (!theirs->own_applied)
        return STATUS_OK;
    replay->result->exchanges++;
    drop_snapshot(replay, worker, own);
    drop_snapshot(replay, event->peer, theirs);
    return STATUS_OK;
}

static enum status keep_last(struct replay *replay, int worker, const struct event_report *event)
{
    const struct replay_params *p = replay->params;
    struct place *place = &replay->places[worker];
    struct worker *of = p->workers[worker];
    size_t count = worker_parameter_size(of);
    float *advanced = NULL;
    if (place->last != NULL)
        return refuse(replay, worker, place->next, "the worker's gradients are done a second time");
    TRY(p->ops->vector_alloc(p->device, count, &advanced));
    place->last = memory_alloc_aligned(count * sizeof place->last[0]);
    worker_snapshot(of, event->t, 0, count, advanced);
    p->ops->vector_read(p->device, advanced, count, place->last);
    p->ops->vector_free(p->device, advanced);
    return STATUS_OK;
}

/* (1/n) Σ ‖x_i − x̄‖² when training ended; NAN where the logs do not say when. */
static double last_distance(const struct replay *replay)
{
    int n = replay->params->worker_count;
    size_t count = worker_parameter_size(replay->params->workers[0]);
    double sum = 0;
    for (int i = 0; i < n; i++)
        if (replay->places[i].last == NULL)
            return NAN;
    for (size_t k = 0; k < count; k++) {
        float mean = replay->places[0].last[k];
        for (int i = 1; i < n; i++)
            mean += replay->places[i].last[k];
        mean /= (float)n;
        for (int i = 0; i < n; i++) {
            double difference = (double)replay->places[i].last[k] - (double)mean;
            sum += difference * difference;
        }
    }
    return sum / n;
}

static bool are_neighbors(const struct graph *graph, int worker, int peer)
{
    const struct graph_neighbor *neighbors = graph_neighbors(graph, worker);
    int k = 0;
    while (k < graph_degree(graph, worker) && neighbors[k].worker != peer)
        k++;
    return k < graph_degree(graph, worker);
}

/* The order within the log, and a peer that there is. */
static enum status check(const struct replay *replay, int worker, const struct event_report *event)
{
    const struct place *place = &replay->places[worker];
    uint64_t step = place->steps + (event->kind == EVENT_UPDATE ? 1 : 0);
    bool alone = event->kind == EVENT_BEGIN || event->kind == EVENT_UPDATE || event->kind == EVENT_DONE;
    if (event->step != step)
        return refuse(replay, worker, place->next, "step %llu stands where step %llu is expected",
                      (unsigned long long)event->step, (unsigned long long)step);
    if (!(event->t >= place->t && event->t <= (double)place->steps + 1))
        return refuse(replay, worker, place->next, "time %.17g is not between the last event's, %.17g, and %llu",
                      event->t, place->t, (unsigned long long)place->steps + 1);
    if (!alone && (event->peer < 0 || event->peer >= replay->params->worker_count || event->peer == worker))
        return refuse(replay, worker, place->next, "there is no worker %d to meet", event->peer);
    if (!alone && worker_meets(replay->params->workers[worker]) != ALGO_MEETS_ONE)
        return refuse(replay, worker, place->next, "a meeting, and the algorithm has none");
    if (!alone && !are_neighbors(replay->params->run->graph, worker, event->peer))
        return refuse(replay, worker, place->next, "a meeting with worker %d, which is no neighbor", event->peer);
    return STATUS_OK;
}

/* The worker's next event but for the gradients of an all-reduce; `*waits` if it cannot happen yet. */
static enum status execute(struct replay *replay, int worker, bool *waits)
{
    const struct event_report *event = next_event(replay, worker);
    struct place *place = &replay->places[worker];
    *waits = false;
    TRY(check(replay, worker, event));
    switch (event->kind) {
    case EVENT_BEGIN:
        TRY(begin(replay, worker));
        break;
    case EVENT_UPDATE:
        *waits = replay->gradient_sum != NULL;
        if (*waits)
            return STATUS_OK;
        TRY(check_update(replay, worker, event));
        TRY(gradient(replay, worker));
        update(replay, worker, event);
        break;
    case EVENT_SNAPSHOT:
        TRY(take_snapshot(replay, worker, event));
        break;
    case EVENT_APPLY:
        TRY(apply(replay, worker, event, waits));
        break;
    case EVENT_DONE:
        TRY(keep_last(replay, worker, event));
        break;
    case EVENT_GIVE_UP: /* the meeting itself goes on, or nothing had been put into it */
    case EVENT_LOST:    /* nor here */
        break;
    }
    if (!*waits) {
        place->t = event->t;
        place->next++;
    }
    return STATUS_OK;
}

/* The average over all workers, worker 0's first, as ranks make it; then every worker's update. The workers share the
 * gradient's vector. */
static enum status all_reduce(struct replay *replay)
{
    const struct replay_params *p = replay->params;
    size_t count = worker_parameter_size(p->workers[0]);
    float *values = worker_gradient_vector(p->workers[0]), *sum = replay->gradient_sum;
    float share = 1.0f / (float)p->worker_count;
    for (int i = 0; i < p->worker_count; i++) {
        TRY(check_update(replay, i, next_event(replay, i)));
        TRY(gradient(replay, i));
        if (i == 0)
            p->ops->snapshot(p->device, true, 0, count, values, NULL, sum);
        else
            p->ops->add(p->device, count, values, sum);
    }
    p->ops->snapshot(p->device, true, 0, count, sum, NULL, values);
    p->ops->scale(p->device, count, share, values);
    for (int i = 0; i < p->worker_count; i++) {
        const struct event_report *event = next_event(replay, i);
        update(replay, i, event);
        replay->places[i].t = event->t;
        replay->places[i].next++;
    }
    return STATUS_OK;
}

/* --- the order of all --- */

/* No worker can go on: the first that waits for a snapshot which its peer's log does not have any more. */
static enum status name_missing(const struct replay *replay)
{
    const struct replay_params *p = replay->params;
    int waiting = -1;
    for (int i = 0; i < p->worker_count; i++) {
        const struct event_report *event = next_event(replay, i);
        if (event == NULL)
            continue;
        if (event->kind == EVENT_UPDATE)
            return refuse(replay, i, replay->places[i].next,
                          "gradients are averaged over all workers, and not every log has this one");
        waiting = i;
        const struct replay_log *peer = &p->logs[event->peer];
        size_t k = replay->places[event->peer].next;
        while (k < peer->count && (peer->events[k].kind != EVENT_SNAPSHOT || peer->events[k].peer != i ||
                                   peer->events[k].meeting != event->meeting))
            k++;
        if (k == peer->count)
            return refuse(replay, i, replay->places[i].next,
                          "the difference of meeting %llu with worker %d is applied, and %s has no snapshot of it",
                          (unsigned long long)event->meeting, event->peer, peer->path);
    }
    return refuse(replay, waiting, replay->places[waiting].next,
                  "the logs contradict one another: each worker waits for another's snapshot");
}

/* One turn of every worker; `*moved` if anything happened, `*ended` if every log is at its end. */
static enum status turn(struct replay *replay, bool *moved, bool *ended)
{
    bool all_at_update = replay->gradient_sum != NULL;
    *moved = false;
    *ended = true;
    for (int i = 0; i < replay->params->worker_count; i++) {
        bool waits = false;
        while (next_event(replay, i) != NULL && !waits) {
            TRY(execute(replay, i, &waits));
            *moved |= !waits;
        }
        *ended = *ended && next_event(replay, i) == NULL;
        all_at_update = all_at_update && next_event(replay, i) != NULL;
    }
    if (!all_at_update)
        return STATUS_OK;
    *moved = true;
    return all_reduce(replay);
}

static enum status execute_all(struct replay *replay)
{
    for (bool moved, ended;;) {
        TRY(turn(replay, &moved, &ended));
        if (ended)
            break;
        if (!moved)
            return name_missing(replay);
    }
    for (int i = 0; i < replay->params->worker_count; i++) {
        const struct snapshot *left = replay->places[i].snapshots;
        if (left != NULL)
            return refuse(replay, i, left->event, "a snapshot of a meeting with worker %d that did not end",
                          left->peer);
    }
    return STATUS_OK;
}

static enum status run(struct replay *replay)
{
    const struct replay_params *p = replay->params;
    TRY(execute_all(replay));
    for (int i = 0; i < p->worker_count; i++) {
        replay->result->gradients_per_worker[i] = replay->places[i].steps;
        replay->result->gradients += replay->places[i].steps;
    }
    if (p->run->trained != NULL)
        p->run->trained(p->run->trained_context);
    struct sim_closing closing = {.run = p->run,
                                  .ops = p->ops,
                                  .device = p->device,
                                  .workers = p->workers,
                                  .count = p->worker_count,
                                  .consensus_distance = last_distance(replay)};
    return sim_closing_average_and_test(&closing, replay->result);
}

enum status runtime_replay(const struct replay_params *params, struct runtime_result *out)
{
    size_t n = (size_t)params->worker_count, count = worker_parameter_size(params->workers[0]);
    struct replay replay = {.params = params, .result = out, .places = memory_zalloc(n, sizeof replay.places[0])};
    enum status status = STATUS_OK;
    assert(params->worker_count >= 1);
    if (worker_meets(params->workers[0]) == ALGO_MEETS_EVERYONE && n > 1)
        status = params->ops->vector_alloc(params->device, count, &replay.gradient_sum);
    runtime_result_init(out, n);
    if (status == STATUS_OK)
        status = run(&replay);
    for (size_t i = 0; i < n; i++) {
        free_snapshots(params, replay.places[i].snapshots);
        memory_free_aligned(replay.places[i].last);
    }
    free_snapshots(params, replay.spare);
    params->ops->vector_free(params->device, replay.gradient_sum);
    free(replay.places);
    if (status != STATUS_OK)
        runtime_result_release(out);
    return status;
}
