/* Replay of small logs: what comes out is what the workers' verbs give in any order that a real run could have taken;
 * what no run could have done is refused with its place. */
#include "runtime/replay.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/plan.h"
#include "app/replica_digest.h"
#include "app/worker_group.h"
#include "base/memory.h"
#include "base/text.h"
#include "capture.h"
#include "config/config.h"

enum { WORKERS_MOST = 3, EVENTS_MOST = 300, FIRST_LINE = 2, TESTED = 24, OPEN_MOST = 4 };
static const double learning_rate = 0.125;

struct setup {
    struct config *config; /* owned */
    struct plan *plan;     /* owned */
    int workers;
};

/* Events of all workers, in one order in which they could have happened. */
struct history {
    struct event_report events[EVENTS_MOST];
    size_t count;
};

/* What comes of a history. */
struct outcome {
    const struct setup *setup;                   /* borrowed */
    struct worker_group group;                   /* of a replay, while it goes on */
    int calls;                                   /* that told that training is over */
    struct replica_digest trained[WORKERS_MOST]; /* then */
    struct replica_digest final[WORKERS_MOST];   /* of the averaged model */
    struct runtime_result result;                /* owned where the replay went well */
};

/* A plan for small workers; `keys`: more of "key=value key=value". */
static struct setup set_up(int workers, const char *keys)
{
    static const char usual[] = "data.name=shapes data.train_count=64 data.test_count=24 model.name=mlp model.width=8 "
                                "train.batch=4 train.epochs=100 optimizer.lr=0.125 optimizer.lr_per_samples=0 "
                                "schedule.name=constant schedule.warmup_epochs=0 device.name=cpu";
    struct setup setup = {.config = config_create(), .workers = workers};
    struct plan_place place = {.worker = 0, .worker_count = workers};
    char *all = text_format("%s %s", usual, keys), *rest = all;
    for (char *key = strtok_r(all, " ", &rest); key != NULL; key = strtok_r(NULL, " ", &rest))
        assert_int_equal(config_set(setup.config, key), STATUS_OK);
    free(all);
    assert_int_equal(plan_create(setup.config, &place, &setup.plan), STATUS_OK);
    return setup;
}

static void tear_down(struct setup *setup)
{
    plan_destroy(setup->plan);
    config_destroy(setup->config);
}

static uint64_t x_of(const struct outcome *outcome, int worker)
{
    return outcome->trained[worker].of[REPLICA_X];
}

static void assert_same(const struct setup *setup, const struct outcome *a, const struct outcome *b)
{
    for (int i = 0; i < setup->workers; i++)
        for (int k = 0; k < REPLICA_VECTORS; k++)
            if (a->trained[i].of[k] != b->trained[i].of[k])
                fail_msg("%s of worker %d differs", replica_vector_name((enum replica_vector)k), i);
}

/* --- histories --- */

static void add(struct history *history, const struct event_report *event)
{
    assert_true(history->count < EVENTS_MOST);
    history->events[history->count++] = *event;
}

/* Chance that is the same for everybody. */
static uint32_t draw(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525 + 1013904223;
    return (*state >> 16) % below;
}

struct drawing {
    struct history *history;
    uint32_t chance;
    struct event_report last[WORKERS_MOST]; /* t and step of every worker */
};

static void add_begin(struct drawing *drawing, int worker)
{
    struct event_report event = drawing->last[worker];
    event.kind = EVENT_BEGIN;
    event.worker = worker;
    event.peer = -1;
    add(drawing->history, &event);
}

static void add_update(struct drawing *drawing, int worker)
{
    struct event_report *last = &drawing->last[worker];
    *last = (struct event_report){.kind = EVENT_UPDATE,
                                  .worker = worker,
                                  .peer = -1,
                                  .t = (double)last->step + 1,
                                  .step = last->step + 1,
                                  .progress = 0.5,
                                  .learning_rate = learning_rate};
    add(drawing->history, last);
    add_begin(drawing, worker);
}

/* Later than what the worker did last, before the end of its gradient. */
static void add_meeting(struct drawing *drawing, enum event_kind kind, int worker, int peer, uint64_t meeting)
{
    struct event_report *last = &drawing->last[worker];
    last->kind = kind;
    last->worker = worker;
    last->peer = peer;
    last->meeting = meeting;
    last->t += ((double)last->step + 1 - last->t) * (1 + draw(&drawing->chance, 5)) / 16;
    add(drawing->history, last);
}

/* A meeting has four events: both snapshots, then both ends apply. */
struct drawn_meeting {
    int ends[2];
    unsigned done; /* of the four */
    uint64_t number;
};

static void go_on(struct drawing *drawing, struct drawn_meeting *meeting)
{
    int end = (int)(meeting->done ^ meeting->number) & 1;
    add_meeting(drawing, meeting->done < 2 ? EVENT_SNAPSHOT : EVENT_APPLY, meeting->ends[end], meeting->ends[1 - end],
                meeting->number);
    meeting->done++;
}

/* Gradients and overlapping meetings of everybody with everybody, lost ones and waits that ran out among them. */
static void draw_history(struct history *history, int workers, uint32_t seed)
{
    struct drawing drawing = {.history = history, .chance = seed};
    struct drawn_meeting meetings[OPEN_MOST];
    uint64_t count = 0;
    for (int k = 0; k < OPEN_MOST; k++)
        meetings[k].done = 4;
    for (int i = 0; i < workers; i++)
        add_begin(&drawing, i);
    while (history->count < EVENTS_MOST / 2) {
        int worker = (int)draw(&drawing.chance, (uint32_t)workers);
        int peer = (worker + 1 + (int)draw(&drawing.chance, (uint32_t)workers - 1)) % workers;
        struct drawn_meeting *meeting = &meetings[draw(&drawing.chance, OPEN_MOST)];
        uint32_t what = draw(&drawing.chance, 9);
        if (what == 0)
            add_meeting(&drawing, EVENT_GIVE_UP, worker, peer, count + 1);
        else if (what == 1)
            add_meeting(&drawing, EVENT_LOST, worker, peer, 0);
        else if (what < 4)
            add_update(&drawing, worker);
        else if (meeting->done < 4)
            go_on(&drawing, meeting);
        else
            *meeting = (struct drawn_meeting){.ends = {worker, peer}, .number = ++count};
    }
    for (int k = 0; k < OPEN_MOST; k++)
        while (meetings[k].done < 4)
            go_on(&drawing, &meetings[k]);
}

/* --- the same by hand --- */

struct by_hand {
    const struct setup *setup;            /* borrowed */
    const struct history *history;        /* borrowed */
    float *taken[EVENTS_MOST];            /* owned: snapshots, by event */
    struct worker *workers[WORKERS_MOST]; /* owned: with engines of their own, as ranks have */
    struct partition partitions[WORKERS_MOST];
};

static const float *snapshot_of(const struct by_hand *hand, int worker, int peer, uint64_t meeting)
{
    size_t k = 0;
    for (const struct event_report *event = hand->history->events;
         hand->taken[k] == NULL || event[k].worker != worker || event[k].peer != peer || event[k].meeting != meeting;)
        assert_true(++k < hand->history->count);
    return hand->taken[k];
}

static void compute(struct worker *worker)
{
    struct gradient_result result;
    assert_int_equal(worker_load(worker), STATUS_OK);
    assert_int_equal(worker_gradient(worker, NULL, NULL, &result), STATUS_OK);
}

static void happen(struct by_hand *hand, size_t k)
{
    const struct event_report *event = &hand->history->events[k];
    struct worker *worker = hand->workers[event->worker];
    size_t size = worker_parameter_size(worker);
    if (event->kind == EVENT_BEGIN) {
        worker_cast(worker);
    } else if (event->kind == EVENT_UPDATE) {
        compute(worker);
        worker_update(worker, event->t, event->progress);
    } else if (event->kind == EVENT_SNAPSHOT) {
        hand->taken[k] = memory_zalloc(size, sizeof(float));
        worker_snapshot(worker, event->t, 0, size, hand->taken[k]);
    } else if (event->kind == EVENT_APPLY) {
        worker_exchange(worker, event->t, snapshot_of(hand, event->worker, event->peer, event->meeting),
                        snapshot_of(hand, event->peer, event->worker, event->meeting));
    }
}

static struct by_hand *by_hand_begin(const struct setup *setup, const struct history *history)
{
    struct by_hand *hand = memory_zalloc(1, sizeof *hand);
    hand->setup = setup;
    hand->history = history;
    for (int i = 0; i < setup->workers; i++) {
        struct worker_params params = plan_worker_params(setup->plan);
        struct partition_params partition = plan_partition_params(setup->plan, i);
        params.worker = i;
        params.partition = &hand->partitions[i];
        assert_int_equal(partition_create(&partition, setup->plan->train, &hand->partitions[i], NULL), STATUS_OK);
        assert_int_equal(worker_create(&params, &hand->workers[i]), STATUS_OK);
    }
    return hand;
}

static void by_hand_end(struct by_hand *hand, struct outcome *out)
{
    for (int i = 0; i < hand->setup->workers; i++) {
        out->trained[i] = replica_digest_of(hand->workers[i]);
        worker_destroy(hand->workers[i]);
        partition_release(&hand->partitions[i]);
    }
    for (size_t k = 0; k < EVENTS_MOST; k++)
        free(hand->taken[k]);
    free(hand);
}

static void run_by_hand(const struct setup *setup, const struct history *history, struct outcome *out)
{
    struct by_hand *hand = by_hand_begin(setup, history);
    for (size_t k = 0; k < history->count; k++)
        happen(hand, k);
    by_hand_end(hand, out);
}

/* --- the replay --- */

static void training_is_over(void *context)
{
    struct outcome *out = context;
    out->calls++;
    for (int i = 0; i < out->setup->workers; i++)
        out->trained[i] = replica_digest_of(out->group.workers[i]);
}

static enum status replay(const struct setup *setup, const struct history *history, struct outcome *out)
{
    static struct event_report events[WORKERS_MOST][EVENTS_MOST];
    static const char *const paths[WORKERS_MOST] = {"run/events-0.jsonl", "run/events-1.jsonl", "run/events-2.jsonl"};
    struct replay_log logs[WORKERS_MOST];
    struct runtime_params run = plan_runtime_params(setup->plan);
    run.trained = training_is_over;
    run.trained_context = out;
    *out = (struct outcome){.setup = setup};
    for (int i = 0; i < setup->workers; i++)
        logs[i] = (struct replay_log){.path = paths[i], .first_line = FIRST_LINE, .events = events[i]};
    for (size_t k = 0; k < history->count; k++) {
        int worker = history->events[k].worker;
        events[worker][logs[worker].count++] = history->events[k];
    }
    assert_int_equal(worker_group_create(setup->plan, true, &out->group), STATUS_OK);
    struct replay_params params = {.run = &run,
                                   .workers = out->group.workers,
                                   .logs = logs,
                                   .worker_count = setup->workers,
                                   .ops = setup->plan->ops,
                                   .device = setup->plan->device};
    enum status status = runtime_replay(&params, &out->result);
    assert_int_equal(out->calls, status == STATUS_OK);
    for (int i = 0; i < setup->workers; i++)
        out->final[i] = replica_digest_of(out->group.workers[i]);
    worker_group_release(&out->group);
    return status;
}

/* --- what is executed --- */

static void assert_counts(const struct setup *setup, const struct history *history, const struct outcome *outcome)
{
    const struct runtime_result *result = &outcome->result;
    uint64_t updates[WORKERS_MOST] = {0}, met[WORKERS_MOST][WORKERS_MOST] = {{0}}, applied = 0, gradients = 0;
    for (size_t k = 0; k < history->count; k++) {
        const struct event_report *event = &history->events[k];
        updates[event->worker] += event->kind == EVENT_UPDATE;
        gradients += event->kind == EVENT_UPDATE;
        if (event->kind == EVENT_APPLY)
            met[event->worker][event->peer]++;
        applied += event->kind == EVENT_APPLY;
    }
    assert_true(result->gradients == gradients && result->exchanges == applied / 2);
    for (int i = 0; i < setup->workers; i++) {
        assert_true(result->gradients_per_worker[i] == updates[i]);
        for (int j = 0; j < setup->workers; j++)
            assert_true(result->meetings[i * setup->workers + j] == met[i][j]);
        for (int k = 0; k < REPLICA_VECTORS; k++) /* the averaged model; the momentum is each worker's own */
            assert_true(k == REPLICA_MOMENTUM || outcome->final[i].of[k] == outcome->final[0].of[k]);
    }
    assert_int_equal(result->tested.count, TESTED);
}

/* A drawn history, by hand and replayed. */
static void assert_agrees(const char *keys, int workers, uint32_t seed)
{
    struct setup setup = set_up(workers, keys);
    struct history history = {.count = 0};
    struct outcome by_hand, replayed;
    draw_history(&history, workers, seed);
    run_by_hand(&setup, &history, &by_hand);
    assert_int_equal(replay(&setup, &history, &replayed), STATUS_OK);
    assert_same(&setup, &by_hand, &replayed);
    assert_counts(&setup, &history, &replayed);
    assert_true(x_of(&replayed, 0) != x_of(&replayed, 1));
    runtime_result_release(&replayed.result);
    tear_down(&setup);
}

static void drawn_histories(void **state)
{
    (void)state;
    assert_agrees("algorithm.alpha_tilde=0.75", 2, 1); /* by the theorem's constants x stays x_tilde here */
    assert_agrees("algorithm.alpha_tilde=1 optimizer.nesterov=true optimizer.clip_norm=0 model.dropout=0.25", 3, 2);
    assert_agrees("algorithm.name=gossip data.partition=dirichlet", 3, 3);
    for (uint32_t seed = 4; seed < 14; seed++)
        assert_agrees("algorithm.alpha_tilde=0.75 data.name=gaussian model.name=quadratic model.width=0 "
                      "optimizer.momentum=0 data.partition=iid",
                      3, seed);
}

/* Batch norm: the running statistics are each worker's own. */
static void statistics_are_the_workers_own(void **state)
{
    (void)state;
    assert_agrees("model.name=convnet model.width=16 batch_norm.policy=own", 2, 31);
    assert_agrees("model.name=convnet model.width=16 batch_norm.policy=averaged algorithm.name=gossip", 2, 32);
    assert_agrees("model.name=convnet model.width=16 batch_norm.batches=2", 2, 33);
}

/* Events of different workers may change places, unless one is the snapshot that the other waits for. */
static void the_order_between_workers_does_not_matter(void **state)
{
    (void)state;
    struct setup setup = set_up(3, "algorithm.alpha_tilde=0.75");
    struct history history = {.count = 0}, other;
    struct outcome first, second;
    uint32_t chance = 99;
    int moves = 0;
    draw_history(&history, 3, 40);
    other = history;
    for (int round = 0; round < 20000; round++) {
        struct event_report *a = &other.events[draw(&chance, (uint32_t)other.count - 1)], *b = a + 1, swapped = *a;
        bool waits = a->kind == EVENT_SNAPSHOT && b->kind == EVENT_APPLY && a->meeting == b->meeting;
        if (a->worker != b->worker && !waits) {
            *a = *b;
            *b = swapped;
            moves++;
        }
    }
    assert_true(moves > 5000);
    run_by_hand(&setup, &history, &first);
    run_by_hand(&setup, &other, &second);
    assert_same(&setup, &first, &second);
    tear_down(&setup);
}

/* Times are given to the algorithm: another one, in the same order, gives that worker other bits, and no other one. */
static void times_matter(void **state)
{
    (void)state;
    struct setup setup = set_up(3, "algorithm.alpha_tilde=0.75");
    struct history history = {.count = 0};
    struct outcome first, second;
    draw_history(&history, 3, 41);
    struct event_report *last = &history.events[history.count - 1];
    assert_int_equal(last->kind, EVENT_APPLY);
    assert_int_equal(replay(&setup, &history, &first), STATUS_OK);
    last->t += 1e-3;
    assert_int_equal(replay(&setup, &history, &second), STATUS_OK);
    for (int i = 0; i < 3; i++)
        assert_true((x_of(&first, i) != x_of(&second, i)) == (i == last->worker));
    runtime_result_release(&first.result);
    runtime_result_release(&second.result);
    tear_down(&setup);
}

/* All-reduce: (g_0 + g_1 + g_2)·⅓ for everybody. */
static void average_gradients(struct by_hand *hand, size_t size)
{
    float *g[WORKERS_MOST];
    for (int i = 0; i < WORKERS_MOST; i++) {
        compute(hand->workers[i]);
        g[i] = worker_gradient_vector(hand->workers[i]);
    }
    for (size_t k = 0; k < size; k++)
        g[0][k] = g[1][k] = g[2][k] = ((g[0][k] + g[1][k]) + g[2][k]) * (1.0f / WORKERS_MOST);
}

static void gradients_of_all_are_averaged(void **state)
{
    (void)state;
    struct setup setup = set_up(WORKERS_MOST, "algorithm.name=allreduce");
    struct history history = {.count = 0};
    struct drawing drawing = {.history = &history};
    struct outcome by_hand, replayed;
    struct by_hand *hand = by_hand_begin(&setup, &history);
    for (int i = 0; i < WORKERS_MOST; i++)
        add_begin(&drawing, i);
    for (int step = 0; step < 6; step++) {
        average_gradients(hand, setup.plan->spec->parameter_size);
        for (int i = 0; i < WORKERS_MOST; i++) {
            worker_update(hand->workers[i], step + 1, 0.5);
            worker_cast(hand->workers[i]);
            add_update(&drawing, i);
        }
    }
    by_hand_end(hand, &by_hand);
    assert_int_equal(replay(&setup, &history, &replayed), STATUS_OK);
    assert_same(&setup, &by_hand, &replayed);
    assert_counts(&setup, &history, &replayed);
    assert_true(x_of(&replayed, 0) == x_of(&replayed, 2));
    runtime_result_release(&replayed.result);
    tear_down(&setup);
}

/* --- what is refused --- */

/* A history as text, "0B0 1S0.5:0#7 0U1": worker, kind, time, and of a meeting peer and number. A kind is Begin,
 * Update, W (an update at another learning rate), Snapshot, Apply, Give_up, Lost. The step is the time's whole part, or
 * what stands before a slash: "0S3/1.5:1#7". */
static void read_history(const char *text, struct history *history)
{
    static const char letters[] = "BUSAGLW";
    for (int length; *text != '\0'; text += length + (text[length] == ' ')) {
        struct event_report event = {.progress = 0.5, .peer = -1, .learning_rate = learning_rate};
        char kind, after, *end;
        int step = -1, fields = sscanf(text, "%d%c%d%c", &event.worker, &kind, &step, &after);
        bool stepped = fields == 4 && after == '/';
        unsigned long long meeting = 0;
        length = (int)strcspn(text, " ");
        event.t = strtod(stepped ? strchr(text, '/') + 1 : text + 2, &end);
        event.step = (uint64_t)(stepped ? step : isfinite(event.t) && event.t > 0 ? (int)event.t : 0);
        assert_true(end == text + length || sscanf(end, ":%d#%llu", &event.peer, &meeting) == 2);
        event.meeting = meeting;
        event.kind = kind == 'W' ? EVENT_UPDATE : (enum event_kind)(strchr(letters, kind) - letters);
        event.learning_rate *= kind == 'W' ? 1 + 0x1p-52 : 1;
        add(history, &event);
    }
}

struct refused {
    const char *history, *message; /* from the file's name on */
};

static void assert_refused(const struct setup *setup, const char *text, const char *message)
{
    struct history history = {.count = 0};
    struct outcome none;
    struct capture capture;
    read_history(text, &history);
    capture_begin(&capture);
    enum status status = replay(setup, &history, &none);
    const char *said = capture_end(&capture);
    char *beginning = text_format("grapevine: error: run/events-%s", message);
    if (status != STATUS_DATA || strncmp(said, beginning, strlen(beginning)) != 0 ||
        strchr(said, '\n') + 1 != said + strlen(said))
        fail_msg("%s: status %d, said: %swanted: %s", text, (int)status, said, beginning);
    free(beginning);
}

static void assert_all_refused(int workers, const char *keys, const struct refused *cases, size_t count)
{
    struct setup setup = set_up(workers, keys);
    for (size_t k = 0; k < count; k++)
        assert_refused(&setup, cases[k].history, cases[k].message);
    tear_down(&setup);
}

static void gradients_out_of_place(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"0U1", "0.jsonl:2: a gradient ends that has not begun"},
        {"1B0 1U1 1U2", "1.jsonl:4: a gradient ends that has not begun"},
        {"0B0 0B0", "0.jsonl:3: a gradient begins, and the one before has not ended"},
        {"0B0 1B1", "1.jsonl:2: step 1 stands where step 0 is expected"},
        {"0B0 0U2", "0.jsonl:3: step 2 stands where step 1 is expected"},
        {"0B0 0U1 0U1", "0.jsonl:4: step 1 stands where step 2 is expected"},
        {"0B0 0U1 0B0", "0.jsonl:4: step 0 stands where step 1 is expected"},
        {"0B0 0S1/0.5:1#1", "0.jsonl:3: step 1 stands where step 0 is expected"},
        {"0B0 0W1",
         "0.jsonl:3: the learning rate was 0.12500000000000003, and the configuration gives 0.125 for this progress"},
        {"0B-1", "0.jsonl:2: time -1 is not between the last event's, 0, and 1"},
        {"0B0 0G0/1.5:1#1", "0.jsonl:3: time 1.5 is not between the last event's, 0, and 1"},
        {"1B0 1L0.5:0#0 1L0.25:0#0", "1.jsonl:4: time 0.25 is not between the last event's, 0.5, and 1"},
        {"0B0 0Lnan:1#0", "0.jsonl:3: time nan is not between"},
        {"0B0 0Linf:1#0", "0.jsonl:3: time inf is not between"},
    };
    assert_all_refused(2, "algorithm.name=acid", cases, sizeof cases / sizeof cases[0]);
}

static void peers_that_are_none(void **state)
{
    (void)state;
    for (const char *kind = "SAGL"; *kind != '\0'; kind++) {
        char meetings[4][32];
        const char *const peers[] = {"1B0 1%c0:1#1", "1B0 1%c0:3#1", "1B0 1%c0:-1#1", "2B0 2%c0:0#1"};
        for (size_t k = 0; k < 4; k++)
            snprintf(meetings[k], sizeof meetings[k], peers[k], *kind);
        const struct refused cases[] = {{meetings[0], "1.jsonl:3: there is no worker 1 to meet"},
                                        {meetings[1], "1.jsonl:3: there is no worker 3 to meet"},
                                        {meetings[2], "1.jsonl:3: there is no worker -1 to meet"},
                                        {meetings[3], "2.jsonl:3: a meeting with worker 0, which is no neighbor"}};
        const struct refused of_all = {meetings[3], "2.jsonl:3: a meeting, and the algorithm has none"};
        assert_all_refused(3, "graph.name=line", cases, 4);
        assert_all_refused(3, "algorithm.name=allreduce", &of_all, 1);
    }
}

static void meetings_that_do_not_fit(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"0S0:1#5 0S0.5:1#5", "0.jsonl:3: a second snapshot of the same meeting"},
        {"0S0:1#5 0A0:1#5 1A0:0#5",
         "1.jsonl:2: a difference is applied without a snapshot of meeting 5 with worker 0 before it"},
        {"0A0:1#5 0S0:1#5 1S0:0#5 1A0:0#5",
         "0.jsonl:2: a difference is applied without a snapshot of meeting 5 with worker 1 before it"},
        {"0S0:1#5 0A0:1#5 0A0:1#5 1S0:0#5 1A0:0#5",
         "0.jsonl:4: a difference is applied without a snapshot of meeting 5 with worker 1 before it"},
        {"0S0:1#5 0A0:1#5 1S0:0#5 1A0:0#5 1A0:0#5",
         "1.jsonl:4: a difference is applied without a snapshot of meeting 5 with worker 0 before it"},
        {"0S0:1#5 0A0:1#5 1S0:0#6",
         "0.jsonl:3: the difference of meeting 5 with worker 1 is applied, and run/events-1.jsonl has no snapshot"},
        {"0S0:1#5", "0.jsonl:2: a snapshot of a meeting with worker 1 that did not end"},
        {"1B0 1S0:0#5", "1.jsonl:3: a snapshot of a meeting with worker 0 that did not end"},
        {"0S0:1#5 1S0:0#5 1A0:0#5", "0.jsonl:2: a snapshot of a meeting with worker 1 that did not end"},
        /* each applies first what the other applies last */
        {"0S0:1#5 0A0:1#5 0S0:1#6 0A0:1#6 1S0:0#6 1A0:0#6 1S0:0#5 1A0:0#5",
         "1.jsonl:3: the logs contradict one another: each worker waits for another's snapshot"},
    };
    assert_all_refused(2, "algorithm.name=gossip", cases, sizeof cases / sizeof cases[0]);
}

static void gradients_that_not_all_have(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"0B0 0U1 1B0", "0.jsonl:3: gradients are averaged over all workers, and not every log has this one"},
        {"0B0 0U1 1B0 1U1 1B1 1U2", "1.jsonl:5: gradients are averaged over all workers, and not every log has"},
        {"0B0 0U1 1U1", "1.jsonl:2: a gradient ends that has not begun"},
        {"0B0 0U1 1B0 1W1", "1.jsonl:3: the learning rate was 0.12500000000000003"},
    };
    assert_all_refused(2, "algorithm.name=allreduce", cases, sizeof cases / sizeof cases[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drawn_histories),
        cmocka_unit_test(statistics_are_the_workers_own),
        cmocka_unit_test(the_order_between_workers_does_not_matter),
        cmocka_unit_test(times_matter),
        cmocka_unit_test(gradients_of_all_are_averaged),
        cmocka_unit_test(gradients_out_of_place),
        cmocka_unit_test(peers_that_are_none),
        cmocka_unit_test(meetings_that_do_not_fit),
        cmocka_unit_test(gradients_that_not_all_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
