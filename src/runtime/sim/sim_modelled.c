/* Modelled time: what the program does under MPI, with durations and links put in.
 *
 * A worker's compute side takes gradients one after the other and waits where too many meetings are due
 * (enforce_rate). Its communication side holds one meeting at a time: the asker reads the grant after two latencies and
 * takes its snapshot; the other learns of that one latency later and takes its own; each snapshot then takes a latency
 * and its bytes' time to the other end, where the difference is applied. Whoever waits longer than `patience_s` goes on
 * to other meetings and applies this one when it can, as long as it has records left. A peer that does not answer
 * (paused) costs the asker its patience, and is left alone until it is back. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "runtime/sim/simulation_state.h"

enum { NOBODY = -1 };

enum modelled_event {
    STEP_END, /* index: worker, as of the next four */
    TICK,
    DEATH,
    ASK_TIMEOUT,   /* the peer has not answered */
    RESUME,        /* a pause is over */
    SNAPSHOT_OWN,  /* index: meeting; the asker's snapshot, as of the next four */
    SNAPSHOT_PEER, /* the other's */
    APPLY_OWN,     /* the peer's snapshot has arrived at the asker */
    APPLY_PEER,
    PATIENCE /* whoever still waits serves others */
};

struct meeting {
    int ends[2]; /* the asker, the other */
    int edge;
    uint64_t number;
    float *snapshots[2]; /* owned (parameter_size), device memory; kept when the meeting is over, for the next one */
    bool taken[2], applied[2];
    bool engaged[2]; /* this end serves nobody else meanwhile */
    bool open;
    bool cancelled; /* an end has died */
    int events;     /* of this meeting that are still scheduled, but for PATIENCE */
    double begin;
};

/* Meetings that are due with one neighbor. */
struct due {
    uint64_t ticks;
    double not_before; /* the neighbor was silent: left alone until then */
};

struct side {
    bool computing, waiting;
    double begin, work, wait_begin; /* of the gradient under way; of the wait for meetings */
    int meeting;                    /* engaged in, or NOBODY */
    bool asking;                    /* a peer that does not answer */
    int debts;                      /* meetings left open for others */
    struct due *due;                /* owned (degree) */
    uint64_t waits_since;           /* serial of its oldest unserved tick: who waits longest is served first */
};

struct modelled {
    struct simulation *sim;
    struct side *sides;       /* owned (count) */
    struct meeting *meetings; /* owned (meeting_capacity) */
    int meeting_count, meeting_capacity;
    uint64_t next_serial;
    struct random_stream loss;
    bool closing; /* no gradients and no ticks any more: what is due is served, then the run is over */
};

static const struct scenario *scenario_of(const struct modelled *m)
{
    return m->sim->params->scenario;
}

static double pause_end(const struct modelled *m, int worker)
{
    return scenario_pause_end_s(scenario_of(m), worker, m->sim->now);
}

/* --- a worker's own time --- */

/* The part of [from, to] during which the worker does not pause. */
static double active(const struct modelled *m, int worker, double from, double to)
{
    double sum = 0;
    if (scenario_calm(scenario_of(m)))
        return to - from;
    for (double at = scenario_pause_end_s(scenario_of(m), worker, from); at < to;) {
        double pause = fmin(scenario_next_pause_s(scenario_of(m), worker, at), to);
        sum += pause - at;
        at = pause < to ? scenario_pause_end_s(scenario_of(m), worker, pause) : to;
    }
    return sum;
}

static double own_time(const void *context, int worker)
{
    const struct modelled *m = context;
    const struct side *side = &m->sides[worker];
    double steps = (double)m->sim->workers[worker].steps;
    if (!side->computing)
        return steps;
    return steps + fmin(1, active(m, worker, side->begin, m->sim->now) / side->work);
}

/* The next tick, if it falls into the gradient under way: own time stands still outside of one. */
static void schedule_tick(struct modelled *m, int worker)
{
    struct simulation *sim = m->sim;
    const struct side *side = &m->sides[worker];
    double share = edge_clock_next(&sim->workers[worker].clock) - (double)sim->workers[worker].steps;
    if (sim->run->graph == NULL || !side->computing || share > 1)
        return;
    double at = sim_finish_time(sim, worker, side->begin, fmax(share, 0) * side->work);
    if (at < INFINITY)
        heap_push(&sim->heap, fmax(at, sim->now), TICK, (uint32_t)worker);
}

/* --- meetings --- */

static bool free_to_meet(const struct modelled *m, int worker)
{
    const struct side *side = &m->sides[worker];
    return side->meeting == NOBODY && !side->asking && !m->sim->workers[worker].dead &&
           side->debts < m->sim->run->records && pause_end(m, worker) == m->sim->now;
}

static int take_meeting(struct modelled *m)
{
    for (int k = 0; k < m->meeting_count; k++)
        if (!m->meetings[k].open && m->meetings[k].events == 0)
            return k;
    if (m->meeting_count == m->meeting_capacity) {
        m->meeting_capacity = m->meeting_capacity * 2 + 8;
        m->meetings = memory_realloc(m->meetings, (size_t)m->meeting_capacity, sizeof m->meetings[0]);
    }
    m->meetings[m->meeting_count] = (struct meeting){0};
    return m->meeting_count++;
}

static void schedule_meeting(struct modelled *m, double at, enum modelled_event kind, int index)
{
    m->meetings[index].events++;
    heap_push(&m->sim->heap, at, kind, (uint32_t)index);
}

/* The meeting of an edge that is not over, or NULL: there is one at most. */
static const struct meeting *open_meeting(const struct modelled *m, int edge)
{
    for (int k = 0; k < m->meeting_count; k++)
        if (m->meetings[k].open && m->meetings[k].edge == edge)
            return &m->meetings[k];
    return NULL;
}

static enum status begin_meeting(struct modelled *m, int worker, int neighbor)
{
    struct simulation *sim = m->sim;
    const struct simulation_params *p = sim->params;
    struct graph_neighbor other = graph_neighbors(sim->run->graph, worker)[neighbor];
    struct scenario_link link = scenario_link(p->scenario, worker, other.worker);
    size_t count = worker_parameter_size(sim->workers[0].worker);
    double transfer = link.latency_s + (double)count * sizeof(float) / link.bytes_per_second;
    double own = sim->now + 2 * link.latency_s, peer = own + link.latency_s;
    int index = take_meeting(m);
    struct meeting *meeting = &m->meetings[index];
    for (int k = 0; k < 2; k++)
        if (meeting->snapshots[k] == NULL)
            TRY(p->ops->vector_alloc(p->device, count, &meeting->snapshots[k]));
    *meeting = (struct meeting){
        .ends = {worker, other.worker},
        .edge = other.edge,
        .number = ++sim->edge_attempts[other.edge],
        .snapshots = {meeting->snapshots[0], meeting->snapshots[1]},
        .engaged = {true, true},
        .open = true,
        .begin = sim->now,
    };
    m->sides[worker].meeting = m->sides[other.worker].meeting = index;
    schedule_meeting(m, own, SNAPSHOT_OWN, index);
    schedule_meeting(m, peer, SNAPSHOT_PEER, index);
    schedule_meeting(m, own + transfer > peer ? own + transfer : peer, APPLY_PEER, index);
    schedule_meeting(m, peer + transfer, APPLY_OWN, index);
    heap_push(&sim->heap, sim->now + sim->run->patience_s, PATIENCE, (uint32_t)index);
    return STATUS_OK;
}

static void use_tick(struct modelled *m, int worker, int neighbor);

/* The neighbor that this worker would meet now: the one with most meetings due of those that are free, or that it does
 * not know to be silent. NOBODY where there is none. */
static int choose(const struct modelled *m, int worker)
{
    const struct simulation *sim = m->sim;
    const struct side *side = &m->sides[worker];
    const struct graph_neighbor *neighbors = graph_neighbors(sim->run->graph, worker);
    int best = NOBODY;
    for (int j = 0; j < graph_degree(sim->run->graph, worker); j++) {
        int peer = neighbors[j].worker;
        bool paused = pause_end(m, peer) > sim->now;
        if (side->due[j].ticks == 0 || side->due[j].not_before > sim->now || sim->workers[peer].dead)
            continue;
        if ((paused || free_to_meet(m, peer)) && (best == NOBODY || side->due[j].ticks > side->due[best].ticks) &&
            open_meeting(m, neighbors[j].edge) == NULL)
            best = j;
    }
    return best;
}

/* Start what this worker can start: one meeting, or an ask that will not be answered. */
static enum status serve(struct modelled *m, int worker)
{
    struct simulation *sim = m->sim;
    while (sim->run->graph != NULL && free_to_meet(m, worker)) {
        int neighbor = choose(m, worker);
        if (neighbor == NOBODY)
            return STATUS_OK;
        int peer = graph_neighbors(sim->run->graph, worker)[neighbor].worker;
        double back = pause_end(m, peer);
        if (back > sim->now) {
            m->sides[worker].asking = true;
            m->sides[worker].due[neighbor].not_before = back;
            heap_push(&sim->heap, sim->now + sim->run->patience_s, ASK_TIMEOUT, (uint32_t)worker);
            return STATUS_OK;
        }
        use_tick(m, worker, neighbor);
        double loss = scenario_link(scenario_of(m), worker, peer).loss;
        if (loss > 0 && random_uniform(&m->loss) < loss)
            sim_lose(sim, worker, peer, own_time(m, worker));
        else
            TRY(begin_meeting(m, worker, neighbor));
    }
    return STATUS_OK;
}

/* A worker has become free: it and its neighbors may now meet, who has waited longest first. */
static enum status serve_around(struct modelled *m, int worker)
{
    const struct graph *graph = m->sim->run->graph;
    const struct graph_neighbor *neighbors = graph_neighbors(graph, worker);
    for (uint64_t after = 0; free_to_meet(m, worker);) {
        int first = NOBODY;
        for (int j = -1; j < graph_degree(graph, worker); j++) {
            int candidate = j < 0 ? worker : neighbors[j].worker;
            const struct side *side = &m->sides[candidate];
            if (m->sim->workers[candidate].pending > 0 && side->waits_since > after &&
                (first == NOBODY || side->waits_since < m->sides[first].waits_since))
                first = candidate;
        }
        if (first == NOBODY)
            break;
        after = m->sides[first].waits_since;
        TRY(serve(m, first));
    }
    return STATUS_OK;
}

static void end_engagement(struct modelled *m, struct meeting *meeting, int k)
{
    struct side *side = &m->sides[meeting->ends[k]];
    if (meeting->engaged[k]) {
        side->meeting = NOBODY;
        meeting->engaged[k] = false;
    } else {
        side->debts--;
    }
}

/* --- compute --- */

/* The meeting has outlasted patience, and this end serves others meanwhile: asking its peer for another is in vain. */
static bool is_silent(const struct modelled *m, const struct meeting *meeting, int worker)
{
    int k = meeting != NULL && meeting->ends[1] == worker;
    return meeting != NULL && !meeting->engaged[k] && m->sim->now >= meeting->begin + m->sim->run->patience_s;
}

/* Meetings that may hold compute back: not those with peers that are known to be silent, or dead. */
static uint64_t load(const struct modelled *m, int worker)
{
    const struct simulation *sim = m->sim;
    const struct graph_neighbor *neighbors = graph_neighbors(sim->run->graph, worker);
    uint64_t sum = 0;
    for (int j = 0; j < graph_degree(sim->run->graph, worker); j++)
        if (m->sides[worker].due[j].not_before <= sim->now && !sim->workers[neighbors[j].worker].dead &&
            !is_silent(m, open_meeting(m, neighbors[j].edge), worker))
            sum += m->sides[worker].due[j].ticks;
    return sum;
}

static void end_wait(struct modelled *m, int worker)
{
    struct simulation *sim = m->sim;
    struct sim_worker *w = &sim->workers[worker];
    struct side *side = &m->sides[worker];
    if (!side->waiting)
        return;
    w->idle += sim->now - side->wait_begin;
    w->since.idle += sim->now - side->wait_begin;
    sim_span(sim, worker, LANE_COMPUTE, SPAN_WAIT, side->wait_begin, sim->now, -1);
    side->waiting = false;
}

static void begin_step(struct modelled *m, int worker)
{
    struct simulation *sim = m->sim;
    struct sim_worker *w = &sim->workers[worker];
    struct side *side = &m->sides[worker];
    if (w->dead || m->closing || side->computing)
        return;
    if (sim->run->graph != NULL && sim->run->enforce_rate && load(m, worker) > sim->run->pending_limit) {
        if (!side->waiting)
            side->wait_begin = sim->now;
        side->waiting = true;
        return;
    }
    end_wait(m, worker);
    side->computing = true;
    side->begin = sim->now;
    side->work = sim_duration(sim, worker, w->steps + 1);
    double end = sim_finish_time(sim, worker, sim->now, side->work);
    if (end < INFINITY)
        heap_push(&sim->heap, end, STEP_END, (uint32_t)worker);
    schedule_tick(m, worker);
}

static void use_tick(struct modelled *m, int worker, int neighbor)
{
    struct sim_worker *w = &m->sim->workers[worker];
    struct side *side = &m->sides[worker];
    side->due[neighbor].ticks--;
    w->pending--;
    side->waits_since = m->next_serial++;
    if (side->waiting)
        begin_step(m, worker);
}

static enum status step_end(struct modelled *m, int worker)
{
    struct simulation *sim = m->sim;
    struct side *side = &m->sides[worker];
    if (sim->workers[worker].dead || m->closing)
        return STATUS_OK;
    sim_span(sim, worker, LANE_COMPUTE, SPAN_COMPUTE, side->begin, sim->now, -1);
    TRY(sim_gradient(sim, worker));
    side->computing = false;
    sim_update(sim, worker, (double)(sim->workers[worker].steps + 1), sim_progress(sim));
    TRY(sim_after_step(sim, worker));
    m->closing = sim_finished(sim);
    begin_step(m, worker);
    return STATUS_OK;
}

/* --- events --- */

/* The end of the pause that holds now, or of the next one. */
static void schedule_resume(struct modelled *m, int worker)
{
    double now = m->sim->now, end = pause_end(m, worker);
    if (end == now)
        end = scenario_pause_end_s(scenario_of(m), worker, scenario_next_pause_s(scenario_of(m), worker, now));
    if (end < INFINITY)
        heap_push(&m->sim->heap, end, RESUME, (uint32_t)worker);
}

static enum status tick(struct modelled *m, int worker)
{
    struct simulation *sim = m->sim;
    struct sim_worker *w = &sim->workers[worker];
    struct side *side = &m->sides[worker];
    /* The tick was scheduled at its exact own time, which rounding may put a little after the present. */
    double time = edge_clock_next(&w->clock);
    int neighbor;
    if (w->dead || m->closing || !edge_clock_tick(&w->clock, time, &neighbor))
        return STATUS_OK;
    if (w->pending == 0)
        side->waits_since = m->next_serial++;
    side->due[neighbor].ticks++;
    w->ticks++;
    w->pending++;
    schedule_tick(m, worker);
    return serve(m, worker);
}

/* A meeting's event at one end: put off while that worker pauses. */
static bool put_off(struct modelled *m, enum modelled_event kind, int index, int worker)
{
    double back = pause_end(m, worker);
    if (back == m->sim->now)
        return false;
    if (back < INFINITY)
        schedule_meeting(m, back, kind, index);
    return true;
}

static void take_snapshot(struct modelled *m, enum modelled_event kind, int index, int k)
{
    struct meeting *meeting = &m->meetings[index];
    int worker = meeting->ends[k];
    if (!meeting->cancelled && !put_off(m, kind, index, worker)) {
        sim_snapshot(m->sim, worker, meeting->ends[1 - k], meeting->number, own_time(m, worker), meeting->snapshots[k]);
        meeting->taken[k] = true;
    }
}

static enum status apply(struct modelled *m, enum modelled_event kind, int index, int k)
{
    struct simulation *sim = m->sim;
    struct meeting *meeting = &m->meetings[index];
    int worker = meeting->ends[k], peer = meeting->ends[1 - k];
    if (meeting->cancelled || put_off(m, kind, index, worker))
        return STATUS_OK;
    if (!meeting->taken[0] || !meeting->taken[1]) { /* an end pauses before its snapshot: once it is back */
        double back = fmax(pause_end(m, peer), pause_end(m, worker));
        const struct scenario_link link = scenario_link(scenario_of(m), worker, peer);
        size_t bytes = worker_parameter_size(sim->workers[0].worker) * sizeof(float);
        if (back < INFINITY)
            schedule_meeting(m, back + link.latency_s + (double)bytes / link.bytes_per_second, kind, index);
        return STATUS_OK;
    }
    sim_apply(sim, worker, peer, meeting->number, own_time(m, worker), meeting->snapshots[k],
              meeting->snapshots[1 - k]);
    sim_span(sim, worker, LANE_COMMUNICATION, SPAN_PEER, meeting->begin, sim->now, peer);
    meeting->applied[k] = true;
    end_engagement(m, meeting, k);
    if (meeting->applied[0] && meeting->applied[1]) {
        meeting->open = false;
        sim_count_meeting(sim, meeting->edge);
    }
    return serve_around(m, worker);
}

/* An end that still waits becomes free for others, if it has a record left for that. */
static enum status lose_patience(struct modelled *m, int index)
{
    if (m->meetings[index].begin + m->sim->run->patience_s != m->sim->now) /* of an earlier meeting in its place */
        return STATUS_OK;
    for (int k = 0; k < 2; k++) {
        struct meeting *meeting = &m->meetings[index];
        int worker = meeting->ends[k];
        struct side *side = &m->sides[worker];
        if (!meeting->open || meeting->cancelled || !meeting->engaged[k] || side->debts + 1 >= m->sim->run->records)
            continue;
        meeting->engaged[k] = false;
        side->meeting = NOBODY;
        side->debts++;
        if (side->waiting)
            begin_step(m, worker);
        TRY(serve_around(m, worker));
    }
    return STATUS_OK;
}

static enum status die(struct modelled *m, int worker)
{
    struct simulation *sim = m->sim;
    if (m->closing) /* the run is over */
        return STATUS_OK;
    end_wait(m, worker);
    sim->workers[worker].dead = true;
    for (int index = 0; index < m->meeting_count; index++) {
        struct meeting *meeting = &m->meetings[index];
        int k = meeting->ends[1] == worker;
        if (!meeting->open || (meeting->ends[0] != worker && meeting->ends[1] != worker))
            continue;
        meeting->open = false;
        meeting->cancelled = true;
        if (!meeting->applied[1 - k]) {
            end_engagement(m, meeting, 1 - k);
            TRY(serve_around(m, meeting->ends[1 - k]));
        }
    }
    for (int i = 0; i < sim->count; i++)
        if (m->sides[i].waiting)
            begin_step(m, i);
    return STATUS_OK;
}

static enum status handle(struct modelled *m, const struct heap_event *event)
{
    int index = (int)event->index;
    assert(event->kind < SNAPSHOT_OWN || m->meetings != NULL);
    if (event->kind >= SNAPSHOT_OWN && event->kind != PATIENCE)
        m->meetings[index].events--;
    switch ((enum modelled_event)event->kind) {
    case STEP_END:
        return step_end(m, index);
    case TICK:
        return tick(m, index);
    case DEATH:
        return die(m, index);
    case ASK_TIMEOUT:
        m->sides[index].asking = false;
        begin_step(m, index);
        return serve_around(m, index);
    case RESUME: /* for meetings due here and at its neighbors nobody else may ask again */
        schedule_resume(m, index);
        return m->closing ? STATUS_OK : serve_around(m, index);
    case SNAPSHOT_OWN:
    case SNAPSHOT_PEER:
        take_snapshot(m, event->kind, index, event->kind == SNAPSHOT_PEER);
        return STATUS_OK;
    case APPLY_OWN:
        return apply(m, APPLY_OWN, index, 0);
    case APPLY_PEER:
        return apply(m, APPLY_PEER, index, 1);
    case PATIENCE:
        return lose_patience(m, index);
    }
    return STATUS_OK;
}

/* --- the run --- */

/* Snapshots that have been taken and not been applied at both ends. */
static void add_snapshots(void *context, struct run_state *state)
{
    const struct modelled *m = context;
    size_t count = worker_parameter_size(m->sim->workers[0].worker);
    for (int k = 0; k < 2 * m->meeting_count; k++) {
        const struct meeting *meeting = &m->meetings[k / 2];
        if (meeting->open && meeting->taken[k % 2])
            sim_state_snapshot(state, k / 2, k % 2, meeting->snapshots[k % 2], count);
    }
}

/* No more gradients: what is due is dropped, unless the rate is enforced, and counted. */
static void drop_due(struct modelled *m)
{
    struct simulation *sim = m->sim;
    for (int i = 0; i < sim->count; i++) {
        for (int j = 0; sim->run->graph != NULL && j < graph_degree(sim->run->graph, i); j++) {
            sim->workers[i].unserved += m->sides[i].due[j].ticks;
            m->sides[i].due[j].ticks = 0;
        }
        sim->workers[i].pending = 0;
    }
}

static enum status run_events(struct modelled *m)
{
    struct simulation *sim = m->sim;
    for (int i = 0; i < sim->count; i++) {
        if (scenario_death_s(scenario_of(m), i) < INFINITY)
            heap_push(&sim->heap, scenario_death_s(scenario_of(m), i), DEATH, (uint32_t)i);
        schedule_resume(m, i);
        begin_step(m, i);
    }
    for (struct heap_event event; heap_pop(&sim->heap, &event);) {
        bool was_closing = m->closing;
        sim->now = event.time;
        TRY(handle(m, &event));
        if (m->closing && !was_closing) {
            sim_end_training(sim);
            for (int i = 0; i < sim->count; i++)
                end_wait(m, i);
            if (!sim->run->enforce_rate)
                drop_due(m);
        }
    }
    if (!m->closing) {
        log_error(
            "at %g s no worker can go on: all have died or pause for ever (inject.death, inject.pause), after %llu "
            "of %llu gradients",
            sim->now, (unsigned long long)sim->gradients, (unsigned long long)sim->run->gradient_total);
        return STATUS_USAGE;
    }
    drop_due(m);
    return STATUS_OK;
}

enum status sim_run_modelled(struct simulation *sim)
{
    const struct simulation_params *p = sim->params;
    struct modelled m = {
        .sim = sim,
        .sides = memory_zalloc((size_t)sim->count, sizeof m.sides[0]),
        .next_serial = 1,
        .loss = random_stream(sim->run->seed, RANDOM_LOSS, 0, 0),
    };
    for (int i = 0; i < sim->count; i++) {
        m.sides[i].meeting = NOBODY;
        if (sim->run->graph != NULL)
            m.sides[i].due = memory_zalloc((size_t)graph_degree(sim->run->graph, i), sizeof m.sides[i].due[0]);
    }
    sim->add_vectors = add_snapshots;
    sim->own_time = own_time;
    sim->context = &m;
    enum status status = run_events(&m);
    for (int k = 0; k < m.meeting_count; k++)
        for (int end = 0; end < 2; end++)
            p->ops->vector_free(p->device, m.meetings[k].snapshots[end]);
    for (int i = 0; i < sim->count; i++)
        free(m.sides[i].due);
    free(m.meetings);
    free(m.sides);
    return status;
}
