/* The communication thread of a worker whose algorithm meets one peer at a time. */
#include "runtime/mpi/communicator_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "base/text.h"
#include "runtime/mpi/closing_barrier.h"

/* How long the thread sleeps between polls: short while a meeting goes on, growing while nothing happens. */
static const double sleep_least_s = 50e-6, sleep_most_s = 2e-3;
static const double backoff_least_s = 200e-6, backoff_most_s = 10e-3;
static const double publish_least_s = 2e-3;
static const double rate_poll_s = 0.02;

static void note(struct communicator *c, enum status status)
{
    if (c->status == STATUS_OK)
        c->status = status;
}

/* --- ticks and load --- */

static void draw_ticks(struct communicator *c, double now_s)
{
    if (atomic_load(&c->compute_done))
        return;
    double time = worker_clock_time(&c->clock, now_s);
    uint64_t drawn = 0, lost = 0;
    for (int tick; edge_clock_tick(&c->ticks, time, &tick); drawn++) {
        int neighbor = c->tick_place[tick];
        if (injected_link_loses(&c->links[neighbor])) {
            exchange_lost(&c->exchange, c->pairing.edges[neighbor].peer);
            lost++;
        } else {
            c->due[neighbor].ticks++;
        }
    }
    if (drawn == 0)
        return;
    pthread_mutex_lock(&c->counts_mutex);
    c->counts.ticks += drawn;
    c->counts.lost += lost;
    pthread_mutex_unlock(&c->counts_mutex);
}

/* The load that may hold compute back: ticks towards a silent peer are not in it. */
static void publish_load(struct communicator *c)
{
    uint64_t load = 0, pending = 0;
    for (int j = 0; j < c->degree; j++) {
        pending += c->due[j].ticks;
        if (!pairing_silent(&c->pairing, j))
            load += c->due[j].ticks;
    }
    if (load == atomic_load(&c->load) && pending == c->counts.pending)
        return;
    pthread_mutex_lock(&c->counts_mutex);
    c->counts.pending = pending;
    pthread_mutex_unlock(&c->counts_mutex);
    atomic_store(&c->load, load);
    if (load <= c->params.run->pending_limit)
        wakeup_set(&c->rate_wakeup);
}

/* --- what the pairing protocol asks of this worker --- */

static uint64_t read_word(void *context, int neighbor)
{
    struct communicator *c = context;
    return injected_link_word(&c->links[neighbor], c->way.ops->read_word(c->way.transport, neighbor), stopwatch_now());
}

static void put_word(void *context, int neighbor, uint64_t word)
{
    struct communicator *c = context;
    note(c, c->way.ops->put_word(c->way.transport, neighbor, word));
}

static bool has_tick(void *context, int neighbor)
{
    struct communicator *c = context;
    return c->due[neighbor].ticks > 0;
}

static void begin_exchange(void *context, int neighbor, int record, int peer_slot, uint64_t attempt, bool by_my_tick)
{
    struct communicator *c = context;
    if (by_my_tick && c->due[neighbor].ticks > 0) {
        c->due[neighbor].ticks--;
        communicator_serve_in_cut(c, neighbor);
    }
    c->due[neighbor].backoff_s = 0;
    double delay_s =
        injected_link_delay_s(&c->links[neighbor], c->way.payload_bytes, pairing_decided_here(&c->pairing, neighbor));
    note(c,
         exchange_begin(&c->exchange, neighbor, c->pairing.edges[neighbor].peer, record, peer_slot, attempt, delay_s));
}

/* A long put must not hide what has become due meanwhile. */
static void between_chunks(void *context)
{
    struct communicator *c = context;
    draw_ticks(c, stopwatch_now());
    publish_load(c);
}

static bool payload_arrived(void *context, int neighbor, int record, uint64_t attempt)
{
    struct communicator *c = context;
    return exchange_arrived(&c->exchange, c->pairing.edges[neighbor].peer, record, attempt);
}

static void apply_difference(void *context, int neighbor, int record, uint64_t attempt)
{
    struct communicator *c = context;
    int peer = c->pairing.edges[neighbor].peer;
    (void)attempt; /* a record belongs to one attempt at a time */
    struct state_cut *also_to = communicator_in_cut(c, neighbor) ? c->params.cut : NULL;
    double distance = exchange_apply(&c->exchange, peer, record, also_to);
    c->meetings[peer]++;
    if (also_to != NULL)
        communicator_count_in_cut(c, neighbor, distance);
    pthread_mutex_lock(&c->counts_mutex);
    c->neighbors[neighbor].meetings++;
    c->counts.exchanges++;
    c->counts.distance_sum += distance;
    pthread_mutex_unlock(&c->counts_mutex);
}

static bool put_drained(void *context, int record)
{
    struct communicator *c = context;
    return exchange_drained(&c->exchange, record);
}

/* --- the thread's loop --- */

static void publish_gradients(struct communicator *c)
{
    pthread_mutex_lock(&c->counts_mutex);
    for (int j = 0; j < c->degree; j++)
        c->neighbors[j].gradients = progress_gradients(c->progress.words[c->pairing.edges[j].peer]);
    pthread_mutex_unlock(&c->counts_mutex);
}

/* Asked here, or another worker was: everybody stops, and says so to the others. */
static void look_whether_leaving(struct communicator *c)
{
    const atomic_int *asked = c->params.run->leave;
    if (asked == NULL || c->progress.leaving || (*asked == 0 && !progress_leaving(&c->progress)))
        return;
    progress_leave(&c->progress);
    interrupt_raise(); /* a gradient under way is broken off */
    atomic_store(&c->stop, true);
    wakeup_set(&c->rate_wakeup);
}

static bool spread_progress(struct communicator *c, double now_s)
{
    look_whether_leaving(c);
    bool changed = progress_set(&c->progress, worker_clock_steps(&c->clock), c->done);
    bool ends = progress_all_done(&c->progress); /* then all tell all where deaths are survived: whoever leaves passes
                                                  * nothing on */
    for (int j = 0; j < c->degree; j++)
        if (c->near[j] || ends)
            changed |= progress_merge(&c->progress, c->way.ops->read_counts(c->way.transport, j));
    if (changed) {
        c->changed_s = now_s;
        publish_gradients(c);
        uint64_t sum = progress_sum(&c->progress);
        atomic_store(&c->global_steps, sum);
        if (c->params.run->gradients_before + sum >= c->params.run->gradient_total && !atomic_load(&c->stop)) {
            atomic_store(&c->stop, true);
            wakeup_set(&c->rate_wakeup);
        }
        for (int j = 0; j < c->degree; j++)
            c->stale[j] = true;
    }
    double period_s = worker_clock_average(&c->clock) / 8;
    if (now_s - c->published_s < (period_s > publish_least_s ? period_s : publish_least_s) &&
        !progress_all_done(&c->progress))
        return changed;
    c->published_s = now_s;
    for (int j = 0; j < c->degree; j++)
        if (c->stale[j] && (c->near[j] || ends) && c->way.ops->put_counts(c->way.transport, j, c->progress.words))
            c->stale[j] = false;
    return changed;
}

/* The neighbor to ask next: one that must be called back, else the one with the most meetings due. */
static int choose(struct communicator *c, double now_s)
{
    int owed = pairing_owed(&c->pairing), best = PAIRING_NOBODY;
    if (owed != PAIRING_NOBODY)
        return owed;
    for (int j = 0; j < c->degree; j++)
        if (c->due[j].ticks > 0 && c->due[j].not_before_s <= now_s && c->pairing.edges[j].state == EDGE_IDLE &&
            (best == PAIRING_NOBODY || c->due[j].ticks > c->due[best].ticks))
            best = j;
    return best;
}

/* After a refusal wait a random, growing time before asking the same neighbor again, and keep polling. */
static void note_refusal(struct communicator *c, uint64_t refused_before, double now_s)
{
    if (c->asked == PAIRING_NOBODY || c->pairing.engaged == c->asked)
        return;
    if (c->pairing.refused != refused_before) {
        struct due *due = &c->due[c->asked];
        due->backoff_s = due->backoff_s > 0 ? 2 * due->backoff_s : backoff_least_s;
        if (due->backoff_s > backoff_most_s)
            due->backoff_s = backoff_most_s;
        due->not_before_s = now_s + due->backoff_s * random_uniform(&c->backoff);
    }
    c->asked = PAIRING_NOBODY;
}

static void report_given_up(struct communicator *c, uint64_t given_up_before)
{
    if (c->pairing.given_up == given_up_before)
        return;
    const struct pairing_edge *edge = &c->pairing.edges[c->pairing.given_up_last];
    exchange_given_up(&c->exchange, edge->peer, edge->attempt);
}

static double patience_s(const struct communicator *c)
{
    int neighbor = c->pairing.engaged;
    double answer_s = neighbor != PAIRING_NOBODY ? injected_link_answer_s(&c->links[neighbor]) : 0;
    return c->params.run->patience_s + answer_s;
}

/* One round: poll, look, react, ask. True if anything happened. */
static bool round_once(struct communicator *c)
{
    double now_s = stopwatch_now();
    uint64_t refused = c->pairing.refused, given_up = c->pairing.given_up;
    note(c, c->way.ops->poll(c->way.transport));
    bool happened = communicator_look_for_deaths(c, now_s);
    draw_ticks(c, now_s);
    happened |= spread_progress(c, now_s);
    note(c, exchange_poll(&c->exchange, &happened));
    communicator_look_at_cut(c);
    happened |= pairing_sweep(&c->pairing, now_s, patience_s(c));
    communicator_look_at_cut_again(c);
    note_refusal(c, refused, now_s);
    report_given_up(c, given_up);
    if (!progress_all_done(&c->progress) && !c->progress.leaving) {
        int neighbor = choose(c, now_s);
        if (neighbor != PAIRING_NOBODY && pairing_ask(&c->pairing, neighbor, stopwatch_now())) {
            c->asked = neighbor;
            happened = true;
        }
    }
    publish_load(c);
    return happened;
}

/* This worker makes no more gradients. What is still due is served first where the rate is enforced; the rest, and
 * what is due with silent peers, is dropped and counted. Then the worker is done. */
static void look_whether_done(struct communicator *c)
{
    bool serves_first = c->params.run->enforce_rate && !c->progress.leaving;
    if (c->done || !atomic_load(&c->compute_done) || (serves_first && atomic_load(&c->load) > 0))
        return;
    uint64_t dropped = 0;
    for (int j = 0; j < c->degree && !c->progress.leaving; j++) { /* else it is kept */
        dropped += c->due[j].ticks;
        c->due[j].ticks = 0;
    }
    pthread_mutex_lock(&c->counts_mutex);
    c->counts.unserved += dropped;
    pthread_mutex_unlock(&c->counts_mutex);
    c->changed_s = stopwatch_now();
    c->done = true;
}

static void name_missing(struct communicator *c)
{
    struct text text = {0};
    for (int i = 0; i < c->progress.worker_count; i++)
        if (!progress_done(c->progress.words[i]))
            text_add(&text, " %d", i);
    if (text.length > 0)
        log_on_this_rank(LOG_ERROR,
                         "no progress for %.0f s while waiting for the last gradients of worker%s; is it stopped? "
                         "(communication.limit_s)",
                         c->params.job->limit_s, text_view(&text));
    for (int j = 0; text.length == 0 && j < c->degree; j++)
        if (c->pairing.edges[j].state != EDGE_IDLE && c->pairing.edges[j].state != EDGE_CLOSED)
            text_add(&text, " %d", c->pairing.edges[j].peer);
    if (progress_all_done(&c->progress))
        log_on_this_rank(LOG_ERROR, "waited %.0f s for the closing of meetings%s%s (communication.limit_s)",
                         c->params.job->limit_s, text.length > 0 ? " with worker" : " of other workers",
                         text_view(&text));
    text_release(&text);
}

/* Has the closing gone on without any news for longer than the limit? */
static bool closing_overdue(struct communicator *c)
{
    double limit_s = c->params.job->limit_s;
    if (limit_s <= 0 || stopwatch_now() - c->changed_s < limit_s)
        return false;
    name_missing(c);
    c->status = STATUS_MACHINE;
    return true;
}

/* All workers are done: no one asks any more. True once every meeting of every worker is over. */
static bool closed(struct communicator *c, struct closing_barrier *barrier)
{
    if (!progress_all_done(&c->progress))
        return false;
    pairing_forgive(&c->pairing);
    if (!pairing_quiet(&c->pairing))
        return false;
    if (c->params.job->survives)
        return communicator_quiet(c);
    note(c, closing_barrier_enter(barrier, c->params.job));
    return closing_barrier_passed(barrier);
}

/* The longest sleep between polls: a fraction of a gradient, so that ticks are seen soon after they are due. */
static double longest_sleep(struct communicator *c)
{
    double average_s = worker_clock_average(&c->clock), limit_s = average_s / 8;
    if (average_s == 0 || limit_s > sleep_most_s) /* 0: no gradient yet, and so no tick */
        return sleep_most_s;
    return limit_s > sleep_least_s ? limit_s : sleep_least_s;
}

static void *run(void *context)
{
    struct communicator *c = context;
    struct closing_barrier barrier = {0};
    double pause_s = sleep_least_s;
    c->changed_s = stopwatch_now();
    while (c->status == STATUS_OK && !atomic_load(&c->halt)) {
        if (injection_pause(&c->injection) > 0)
            c->changed_s = stopwatch_now(); /* what the others did meanwhile is news */
        bool happened = round_once(c);
        look_whether_done(c);
        if (closed(c, &barrier) || (c->done && closing_overdue(c)))
            break;
        double most_s = longest_sleep(c);
        pause_s = happened || c->pairing.engaged != PAIRING_NOBODY ? sleep_least_s : pause_s * 1.5;
        if (pause_s > most_s)
            pause_s = most_s;
        if (!happened)
            stopwatch_sleep(pause_s);
    }
    atomic_store(&c->stop, true);
    wakeup_set(&c->rate_wakeup);
    return NULL;
}

/* --- the compute thread's side --- */

void communicator_lock(struct communicator *communicator)
{
    pthread_mutex_lock(&communicator->lock);
}
void communicator_unlock(struct communicator *communicator)
{
    pthread_mutex_unlock(&communicator->lock);
}

void communicator_begin_step(struct communicator *communicator, double now_s)
{
    worker_clock_begin(&communicator->clock, now_s);
}

void communicator_end_step(struct communicator *communicator, double now_s)
{
    worker_clock_end(&communicator->clock, now_s);
}

double communicator_time(struct communicator *communicator, double now_s)
{
    return worker_clock_time(&communicator->clock, now_s);
}

void communicator_rejoin(struct communicator *communicator)
{
    pthread_mutex_lock(&communicator->lock);
    communicator->astray = true;
    pthread_mutex_unlock(&communicator->lock);
}

void communicator_wait_rate(struct communicator *communicator)
{
    while (atomic_load(&communicator->load) > communicator->params.run->pending_limit &&
           !atomic_load(&communicator->stop))
        wakeup_wait(&communicator->rate_wakeup, rate_poll_s);
}

uint64_t communicator_global_steps(struct communicator *communicator)
{
    return atomic_load(&communicator->global_steps);
}

bool communicator_stop(struct communicator *communicator)
{
    return atomic_load(&communicator->stop);
}

struct communicator_counts communicator_counts(struct communicator *communicator)
{
    pthread_mutex_lock(&communicator->counts_mutex);
    struct communicator_counts counts = communicator->counts;
    pthread_mutex_unlock(&communicator->counts_mutex);
    return counts;
}

void communicator_neighbors(struct communicator *communicator, struct communicator_neighbor *out)
{
    pthread_mutex_lock(&communicator->counts_mutex);
    for (int j = 0; j < communicator->degree; j++)
        if (communicator->run_place[j] >= 0)
            out[communicator->run_place[j]] = communicator->neighbors[j];
    pthread_mutex_unlock(&communicator->counts_mutex);
}

enum status communicator_finish(struct communicator *communicator)
{
    atomic_store(&communicator->compute_done, true);
    thread_join(&communicator->thread);
    communicator->counts.given_up = communicator->pairing.given_up;
    communicator->counts.damaged += communicator->exchange.damaged;
    communicator->counts.repeated += communicator->exchange.repeated;
    return communicator->status;
}

void communicator_halt(struct communicator *communicator)
{
    atomic_store(&communicator->halt, true);
    thread_join(&communicator->thread);
}

const uint64_t *communicator_meetings(const struct communicator *communicator)
{
    return communicator->meetings;
}

const char *communicator_transport_name(const struct communicator *communicator)
{
    return snapshot_way_name(&communicator->way);
}

enum status communicator_start(struct communicator *communicator)
{
    const struct communicator_params *params = &communicator->params;
    if (params->cut != NULL) /* what was due before is kept already, or left out: the same on every rank */
        communicator->pairing.cut =
            state_cut_due(params->cut, params->run->gradients_before + progress_sum(&communicator->progress));
    return thread_start(&communicator->thread, "communication", run, communicator);
}

static void init_injection(struct communicator *c)
{
    const struct runtime_params *run_params = c->params.run;
    c->injection =
        (struct injection){.scenario = run_params->scenario, .worker = c->id, .origin_s = c->params.origin_s};
    c->links = memory_zalloc((size_t)c->degree, sizeof c->links[0]);
    for (int j = 0; j < c->degree; j++)
        injected_link_init(&c->links[j], run_params->scenario, run_params->seed, c->id,
                           graph_neighbors(c->reach, c->id)[j].worker);
}

static void init_pairing(struct communicator *c)
{
    int *peers = memory_zalloc((size_t)c->degree, sizeof peers[0]);
    for (int j = 0; j < c->degree; j++)
        peers[j] = graph_neighbors(c->reach, c->id)[j].worker;
    struct pairing_io io = {.context = c,
                            .read_word = read_word,
                            .put_word = put_word,
                            .begin = begin_exchange,
                            .arrived = payload_arrived,
                            .apply = apply_difference,
                            .drained = put_drained,
                            .has_tick = has_tick,
                            .take_cut = communicator_take_cut};
    pairing_init(&c->pairing, &io, c->id, c->degree, peers, c->params.run->records);
    free(peers);
}

/* Slots, and snapshots to bring into the neighbors'. */
static enum status open_exchange(struct communicator *c)
{
    const struct runtime_params *run_params = c->params.run;
    const struct snapshot_way_params params = {
        .run = run_params, .job = c->params.job, .worker = c->params.worker, .reach = c->reach};
    TRY(snapshot_way_open(&params, &c->way));
    c->exchange = (struct exchange){
        .ops = c->way.ops,
        .transport = c->way.transport,
        .direct = c->way.direct,
        .worker = c->params.worker,
        .lock = &c->lock,
        .clock = &c->clock,
        .observer = c->params.observer,
        .origin_s = c->params.origin_s,
        .limit_s = c->params.job->limit_s,
        .astray = &c->astray,
        .rejoins = run_params->on_nan == ON_NAN_REJOIN,
        .id = c->id,
        .record_count = run_params->records,
        .doubts = c->way.damages,
        .shape = c->way.shape,
        .between = between_chunks,
        .context = c,
    };
    log_hold(true);
    enum status status = job_agree(c->params.job, "memory for snapshots", exchange_init(&c->exchange));
    if (status != STATUS_OK && !c->params.job->agreed)
        log_release();
    log_hold(false);
    return status;
}

enum status communicator_create(const struct communicator_params *params, struct communicator **out)
{
    const struct runtime_params *run_params = params->run;
    struct communicator *c = memory_zalloc(1, sizeof *c);
    c->params = *params;
    c->id = params->job->worker;
    c->asked = PAIRING_NOBODY;
    c->backoff = random_stream(run_params->seed, RANDOM_BACKOFF, (uint32_t)c->id, 0);
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->counts_mutex, NULL);
    wakeup_init(&c->rate_wakeup);
    worker_clock_init(&c->clock);
    progress_init(&c->progress, c->id, run_params->graph->worker_count);
    communicator_saved_init(&c->cut_saved, run_params->graph, c->id);
    enum status status = communicator_open_reach(c);
    c->due = memory_zalloc((size_t)c->degree, sizeof c->due[0]);
    c->stale = memory_zalloc((size_t)c->degree, sizeof c->stale[0]);
    c->meetings = memory_zalloc((size_t)run_params->graph->worker_count, sizeof c->meetings[0]);
    c->neighbors = memory_zalloc((size_t)c->degree, sizeof c->neighbors[0]);
    init_injection(c);
    init_pairing(c);
    if (status == STATUS_OK)
        status = open_exchange(c);
    if (status != STATUS_OK)
        communicator_destroy(c);
    else
        *out = c;
    return status;
}

void communicator_destroy(struct communicator *c)
{
    if (c == NULL)
        return;
    exchange_release(&c->exchange);
    snapshot_way_close(&c->way);
    pairing_release(&c->pairing);
    communicator_close_reach(c);
    progress_release(&c->progress);
    communicator_saved_release(&c->cut_saved);
    worker_clock_release(&c->clock);
    wakeup_release(&c->rate_wakeup);
    pthread_mutex_destroy(&c->counts_mutex);
    pthread_mutex_destroy(&c->lock);
    free(c->neighbors);
    free(c->links);
    free(c->meetings);
    free(c->stale);
    free(c->due);
    free(c);
}
