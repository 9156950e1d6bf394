/* Modelled time against its own description (runtime/simulation.h): durations, stragglers, links, rates, rounds.
 *
 * Statistical bounds are five standard deviations of the estimate; the seeds are fixed. */
#include "sim/sim_fixture.h"

#define MODELLED "simulate.time=modelled"
#define CONSTANT "simulate.distribution=constant"

static const double deviations = 5;
static const double rounding = 1e-9; /* seconds: sums of durations in doubles */

/* Durations of all gradients of a run. */
static struct moments durations_of(const struct sim_run *run, int worker)
{
    struct moments durations = {0};
    for (size_t k = 0; k < run->span_count; k++)
        if (run->spans[k].kind == SPAN_COMPUTE && (worker < 0 || run->spans[k].worker == worker))
            moments_add(&durations, run->spans[k].end_s - run->spans[k].begin_s);
    return durations;
}

static void test_constant_durations(void **state)
{
    (void)state;
    struct sim_run *run = SIM_RUN(MODELLED, CONSTANT, "simulate.step_s=0.25", "communication.rate=0");
    for (size_t k = 0; k < run->event_count; k++)
        if (run->events[k].kind == EVENT_UPDATE) {
            assert_true(run->events[k].time_s == 0.25 * (double)run->events[k].step); /* dyadic: exact */
            assert_true(run->events[k].t == (double)run->events[k].step);
        }
    assert_true(run->result.wall_s == 25 * 0.25);
    sim_free(run);
}

/* Mean simulate.step_s, and the deviation that the law has, where that is `jitter` of the mean: of N samples the mean
 * has variance σ²/N, the variance (κ − 1)σ⁴/N with the law's kurtosis κ. */
static void test_laws(void **state)
{
    (void)state;
    const double lognormal = log1p(0.3 * 0.3);
    const struct {
        const char *law;
        double jitter, kurtosis;
    } laws[] = {{"simulate.distribution=normal", 0.3, 3},
                {"simulate.distribution=lognormal", 0.3,
                 exp(4 * lognormal) + 2 * exp(3 * lognormal) + 3 * exp(2 * lognormal) - 3},
                {"simulate.distribution=exponential", 1, 9}};
    for (size_t k = 0; k < sizeof laws / sizeof laws[0]; k++) {
        struct sim_run *run = SIM_RUN(MODELLED, laws[k].law, "simulate.jitter=0.3", "simulate.step_s=0.5",
                                      "communication.rate=0", "train.epochs=160");
        struct moments durations = durations_of(run, -1);
        double n = durations.count, sigma = 0.5 * laws[k].jitter;
        assert_true(n == 16000);
        assert_near(moments_mean(&durations), 0.5, deviations * sigma / sqrt(n));
        assert_near(moments_variance(&durations), sigma * sigma,
                    deviations * sigma * sigma * sqrt((laws[k].kurtosis - 1) / n));
        sim_free(run);
    }
}

/* Each worker has a mean of its own: constant durations show it. Their logarithms are normal with variance
 * ln(1 + s²) and mean −½ of that, so that the means' mean is step_s. */
static void test_speed_spread(void **state)
{
    (void)state;
    enum { WORKERS = 1000 };
    struct sim_run *run = SIM_RUN(MODELLED, CONSTANT, "simulate.step_s=2", "simulate.speed_spread=0.5",
                                  "communication.rate=0", "train.workers=1000", "train.epochs=50");
    struct moments logarithms = {0};
    double variance = log1p(0.5 * 0.5);
    for (int i = 0; i < WORKERS; i++) {
        struct moments own = durations_of(run, i);
        double mean = own.count > 0 ? moments_mean(&own) : NAN;
        if (own.count > 1)
            assert_near(own.squares / own.count, mean * mean, rounding);
        if (own.count > 0)
            moments_add(&logarithms, log(mean / 2));
    }
    assert_true(logarithms.count >= WORKERS - 10); /* 5000 gradients: all but the very slowest have done one */
    assert_near(moments_mean(&logarithms), -variance / 2, deviations * sqrt(variance / WORKERS));
    assert_near(moments_variance(&logarithms), variance, deviations * variance * sqrt(2.0 / WORKERS));
    sim_free(run);
}

/* Four times slower is a fourth of the gradients, and nobody waits for it. */
static void test_straggler(void **state)
{
    (void)state;
    static const char *const algorithms[] = {"algorithm.name=acid", "algorithm.name=gossip"};
    for (size_t k = 0; k < 2; k++) {
        struct sim_run *run = SIM_RUN(MODELLED, CONSTANT, "inject.slow=2 x4", "train.epochs=26", algorithms[k]);
        const uint64_t *gradients = run->result.gradients_per_worker;
        assert_int_equal(run->result.gradients, 2600);
        for (int i = 0; i < 4; i++)
            assert_near((double)gradients[i], i == 2 ? 200 : 800, 1);
        assert_near(run->result.wall_s, 80, 0.1);
        for (int i = 0; i < 4; i++)
            assert_true(run->result.idle[i] < 0.01);
        sim_free(run);
    }
}

/* In an interval: gradients that begin in it are slow, others are not. */
static void test_slow_for_a_while(void **state)
{
    (void)state;
    struct sim_run *run = SIM_RUN(MODELLED, CONSTANT, "simulate.step_s=0.25", "inject.slow=1 x3 2..4, 1-2 x2 3..5",
                                  "communication.rate=0", "train.epochs=2");
    size_t slow = 0;
    for (size_t k = 0; k < run->span_count; k++) {
        const struct seen_span *span = &run->spans[k];
        double begin = span->begin_s, factor = 1;
        factor *= span->worker == 1 && begin >= 2 && begin < 4 ? 3 : 1;
        factor *= (span->worker == 1 || span->worker == 2) && begin >= 3 && begin < 5 ? 2 : 1;
        assert_true(span->end_s - begin == 0.25 * factor);
        slow += factor > 1;
    }
    assert_true(slow >= 6);
    sim_free(run);
}

/* The spans of one meeting: they begin together, at the asker's ask. */
static const struct seen_span *other_end(const struct sim_run *run, const struct seen_span *span)
{
    for (size_t k = 0; k < run->span_count; k++) {
        const struct seen_span *other = &run->spans[k];
        if (other->kind == SPAN_PEER && other->worker == span->peer && other->peer == span->worker &&
            other->begin_s == span->begin_s)
            return other;
    }
    fail_msg("a meeting of workers %d and %d has one end", span->worker, span->peer);
    return NULL;
}

/* The event of this kind at a worker's end of the meeting that this span is of, which ends with its apply. */
static const struct event_report *event_of(const struct sim_run *run, const struct seen_span *span,
                                           enum event_kind kind)
{
    const struct event_report *apply = NULL;
    for (size_t k = 0; k < run->event_count && apply == NULL; k++)
        if (run->events[k].kind == EVENT_APPLY && run->events[k].worker == span->worker &&
            run->events[k].peer == span->peer && run->events[k].time_s == span->end_s)
            apply = &run->events[k];
    assert_non_null(apply);
    for (size_t k = 0; k < run->event_count; k++) {
        const struct event_report *event = &run->events[k];
        if (event->kind == kind && event->worker == span->worker && event->peer == span->peer &&
            event->meeting == apply->meeting)
            return event;
    }
    fail_msg("no event of meeting %llu", (unsigned long long)apply->meeting);
    return NULL;
}

/* A meeting over a link of latency L on which a snapshot takes S: ask and grant are 2L, then the asker takes its
 * snapshot; its commit is L more, then the other takes its own; each is L + S under way. So it takes the asker 4L + S,
 * the other 3L + S. */
static void check_meeting(const struct sim_run *run, const struct seen_span *span, double latency, double transfer)
{
    double length = span->end_s - span->begin_s;
    const struct seen_span *other = other_end(run, span);
    double other_length = other->end_s - other->begin_s, asked = span->begin_s;
    assert_near(length + other_length, 7 * latency + 2 * transfer, rounding);
    if (length < other_length)
        return; /* looked at from its asker */
    assert_near(length, 4 * latency + transfer, rounding);
    assert_near(other_length, 3 * latency + transfer, rounding);
    assert_near(event_of(run, span, EVENT_SNAPSHOT)->time_s, asked + 2 * latency, rounding);
    assert_near(event_of(run, other, EVENT_SNAPSHOT)->time_s, asked + 3 * latency, rounding);
    assert_int_equal(event_of(run, span, EVENT_APPLY)->meeting, event_of(run, other, EVENT_APPLY)->meeting);
}

static void test_links(void **state)
{
    (void)state;
    struct sim_run *run =
        SIM_RUN(MODELLED, "simulate.latency_s=0.001", "simulate.bytes_per_second=4000",
                "inject.links=0-1 latency_s=0.03, 1-2 bytes_per_second=400, 2-3 latency_s=0 bytes_per_second=1e15");
    size_t meetings[4] = {0};
    for (size_t k = 0; k < run->span_count; k++) {
        const struct seen_span *span = &run->spans[k];
        if (span->kind != SPAN_PEER)
            continue;
        int low = span->worker < span->peer ? span->worker : span->peer;
        int link = low == 0 && span->worker + span->peer == 3 ? 3 : low; /* 0-1, 1-2, 2-3, 3-0 */
        static const double latencies[4] = {0.03, 0.001, 0, 0.001}, rates[4] = {4000, 400, 1e15, 4000};
        check_meeting(run, span, latencies[link], run->bytes / rates[link]);
        meetings[link]++;
    }
    for (int link = 0; link < 4; link++)
        assert_true(meetings[link] >= 10 && meetings[link] % 2 == 0);
    assert_true(meetings[0] + meetings[1] + meetings[2] + meetings[3] == 2 * run->result.exchanges);
    assert_int_equal(run->result.ticks, run->result.exchanges);
    sim_free(run);
}

/* The largest number of spans of this worker (of this edge, where peer ≥ 0) that hold at once. */
static int open_at_once(const struct sim_run *run, int worker, int peer)
{
    int most = 0;
    for (size_t k = 0; k < run->span_count; k++) {
        int open = 0;
        double at = run->spans[k].begin_s;
        for (size_t j = 0; j < run->span_count; j++) {
            const struct seen_span *span = &run->spans[j];
            open += span->kind == SPAN_PEER && span->worker == worker && (peer < 0 || span->peer == peer) &&
                    span->begin_s <= at && at < span->end_s;
        }
        most = open > most ? open : most;
    }
    return most;
}

/* One meeting of a worker at a time while everybody is patient; else up to communication.records, but never two of one
 * edge. Memory for snapshots is what was promised, in a run much longer than patience. */
static void test_meetings_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *patience, *records, *workers, *name;
        int least, most;
    } cases[] = {
        {"communication.patience_s=10", "communication.records=3", "train.workers=4", "graph.name=ring", 1, 1},
        {"communication.patience_s=0.01", "communication.records=1", "train.workers=4", "graph.name=ring", 1, 1},
        {"communication.patience_s=0.01", "communication.records=3", "train.workers=8", "graph.name=complete", 2, 3},
        {"communication.patience_s=0.01", "communication.records=3", "train.workers=2", "graph.name=ring", 1, 1},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct sim_run *run = SIM_RUN(MODELLED, "simulate.latency_s=0.02", cases[k].patience, cases[k].records,
                                      cases[k].workers, cases[k].name, "train.epochs=4");
        int most = 0;
        for (int i = 0; i < run->workers; i++) {
            int open = open_at_once(run, i, -1);
            most = open > most ? open : most;
            for (int j = 0; j < run->workers; j++)
                assert_true(open_at_once(run, i, j) <= 1);
        }
        assert_in_range(most, cases[k].least, cases[k].most);
        assert_true((size_t)run->vectors_most <= run->snapshots_bound);
        sim_free(run);
    }
    struct sim_run *run = SIM_RUN(MODELLED, "train.workers=8", "train.epochs=40", "communication.rate=2");
    assert_true(run->vectors_most >= 2 && (size_t)run->vectors_most <= run->snapshots_bound);
    sim_free(run);
}

/* Ticks come in the workers' own time, so there are rate/2 per gradient, whatever a gradient takes; the gradients under
 * way at the end have had a few more. All are served where the rate is enforced, at the price of waiting. */
static void test_rate(void **state)
{
    (void)state;
    static const char *const rates[] = {"communication.rate=0.5", "communication.rate=1", "communication.rate=3"};
    static const double values[] = {0.5, 1, 3};
    for (size_t k = 0; k < 3; k++) {
        struct sim_run *run = SIM_RUN(MODELLED, "train.workers=8", rates[k], "train.epochs=80",
                                      "simulate.distribution=exponential", "inject.slow=3 x5");
        double expected = values[k] / 2 * (double)run->result.gradients;
        assert_near((double)run->result.ticks, expected, deviations * sqrt(expected) + values[k] / 2 * 8);
        assert_int_equal(run->result.exchanges, run->result.ticks);
        sim_free(run);
    }
    /* Links on which a meeting takes three gradients: */
    struct sim_run *enforced = SIM_RUN(MODELLED, "simulate.latency_s=0.1", "train.epochs=8");
    struct sim_run *loose =
        SIM_RUN(MODELLED, "simulate.latency_s=0.1", "train.epochs=8", "communication.enforce_rate=false");
    assert_int_equal(enforced->result.ticks_unserved, 0);
    assert_int_equal(enforced->result.exchanges, enforced->result.ticks);
    assert_true(enforced->result.idle[0] > 0.1 && enforced->result.wall_s > 1.1 * loose->result.wall_s);
    assert_true(loose->result.idle[0] == 0 && loose->result.ticks_unserved > 0);
    assert_int_equal(loose->result.exchanges + loose->result.ticks_unserved, loose->result.ticks);
    sim_free(enforced);
    sim_free(loose);
}

/* A worker computes or waits: its spans follow each other without a gap until the end of the run, but for the gradient
 * that is then under way, and its waits add up to what is reported as idle. */
static void test_idle(void **state)
{
    (void)state;
    struct sim_run *run = SIM_RUN(MODELLED, CONSTANT, "simulate.latency_s=20", "communication.patience_s=1000",
                                  "train.epochs=2", "communication.rate=3");
    for (int i = 0; i < 4; i++) {
        double now = 0, waited = 0;
        for (size_t k = 0; k < run->span_count; k++) {
            const struct seen_span *span = &run->spans[k];
            if (span->worker != i || span->lane != LANE_COMPUTE)
                continue;
            assert_true(span->begin_s == now && span->end_s >= now);
            now = span->end_s;
            waited += span->kind == SPAN_WAIT ? span->end_s - span->begin_s : 0;
        }
        assert_true(now <= run->result.wall_s && run->result.wall_s < now + 0.1 + rounding);
        assert_true(run->result.idle[i] > 0.9);
        assert_near(run->result.idle[i], waited / run->result.wall_s, 1e-12);
    }
    sim_free(run);
}

/* Over a link on which a meeting takes 4 s, patience of 0.05 s is what each of them may cost a gradient that waits: due
 * meetings with a peer that is silent hold nobody back. With a single record there is none left to be patient with. */
static void test_patience(void **state)
{
    (void)state;
    static const char *const records[] = {"communication.records=2", "communication.records=1"};
    for (size_t k = 0; k < 2; k++) {
        struct sim_run *run = SIM_RUN(MODELLED, "train.workers=2", "train.epochs=4", "simulate.latency_s=1",
                                      "communication.patience_s=0.05", records[k]);
        for (int i = 0; i < 2; i++)
            assert_true(k == 0 ? run->result.idle[i] <= 0.05 / 3 : run->result.idle[i] > 0.5);
        assert_int_equal(run->result.exchanges + run->result.ticks_unserved, run->result.ticks);
        sim_free(run);
    }
}

/* An all-reduce takes 2(n − 1) messages of 1/n of the gradient, at the pace of the slowest of the ring's links; all but
 * its last bucket may travel during `overlap` of the slowest gradient. */
static double round_s(const struct sim_run *run, double step_s, double overlap, double latency_s, double rate)
{
    double n = run->workers, bucket = fmin(run->bytes, (double)run->config->communication.bucket_bytes);
    double sum = 2 * (n - 1) * (latency_s + run->bytes / n / rate);
    double last = 2 * (n - 1) * (latency_s + bucket / n / rate);
    return step_s + fmax(last, sum - overlap * step_s);
}

static void check_rounds(struct sim_run *run, double expected, int slowest)
{
    double rounds = (double)run->result.gradients_per_worker[0];
    assert_near(run->result.wall_s / rounds, expected, rounding);
    for (size_t k = 0; k < run->event_count; k++)
        if (run->events[k].kind == EVENT_UPDATE)
            assert_near(run->events[k].time_s, expected * (double)run->events[k].step, rounding);
    for (int i = 0; i < run->workers; i++) {
        assert_true(run->result.gradients_per_worker[i] == rounds);
        double busy = i == slowest || slowest < 0 ? 1 : 0.25;
        if (slowest >= 0)
            assert_near(run->result.idle[i], 1 - busy * 0.4 / expected, rounding);
    }
    sim_free(run);
}

static void test_rounds(void **state)
{
    (void)state;
    struct sim_run *run = SIM_RUN(MODELLED, CONSTANT, "algorithm.name=allreduce", "simulate.overlap=0");
    check_rounds(run, round_s(run, 0.1, 0, 5e-5, 1.25e9), -1);
    run = SIM_RUN(MODELLED, CONSTANT, "algorithm.name=allreduce", "simulate.latency_s=0");
    check_rounds(run, round_s(run, 0.1, 0.6, 0, 1.25e9), -1);
    /* all but the slowest wait */
    run = SIM_RUN(MODELLED, CONSTANT, "algorithm.name=allreduce", "inject.slow=1 x4");
    check_rounds(run, round_s(run, 0.4, 0.6, 5e-5, 1.25e9), 1);
    /* one slow link is everybody's; it is no edge of the ring of workers the other way round */
    run = SIM_RUN(MODELLED, CONSTANT, "algorithm.name=allreduce", "inject.links=3-0 latency_s=0.01");
    check_rounds(run, round_s(run, 0.1, 0.6, 0.01, 1.25e9), -1);
    run = SIM_RUN(MODELLED, CONSTANT, "algorithm.name=allreduce", "inject.links=0-2 latency_s=0.01");
    check_rounds(run, round_s(run, 0.1, 0.6, 5e-5, 1.25e9), -1);
    /* 16 kB in buckets of 4 kB at 1 MB/s: 24.6 ms, 6 ms of them for the last bucket */
    run = SIM_RUN(MODELLED, CONSTANT, "algorithm.name=allreduce", "data.dimension=2048",
                  "communication.bucket_bytes=4096", "simulate.bytes_per_second=1e6", "simulate.overlap=0.1");
    check_rounds(run, round_s(run, 0.1, 0.1, 5e-5, 1e6), -1);
    run = SIM_RUN(MODELLED, CONSTANT, "algorithm.name=allreduce", "data.dimension=2048",
                  "communication.bucket_bytes=4096", "simulate.bytes_per_second=1e6", "simulate.overlap=1");
    check_rounds(run, round_s(run, 0.1, 1, 5e-5, 1e6), -1);
    run = SIM_RUN(MODELLED, CONSTANT, "algorithm.name=allreduce", "train.workers=1");
    check_rounds(run, 0.1, -1);
}

/* Training is over once, before the final average: the replicas are still different. */
static void test_trained(void **state)
{
    (void)state;
    static const char *const times[] = {"simulate.time=ideal", MODELLED};
    for (size_t k = 0; k < 2; k++) {
        struct sim_run *run = SIM_RUN(times[k], "optimizer.lr=0.1");
        assert_int_equal(run->trained, 1);
        assert_true(run->differ_when_trained && run->result.consensus_distance > 0);
        assert_memory_equal(worker_parameters(run->group.workers[0]), worker_parameters(run->group.workers[1]),
                            (size_t)run->bytes);
        sim_free(run);
    }
}

/* Exchanges that are served when the gradients are done are not in the consensus distance: where messages take longer
 * than the run it is that of workers which never meet, though all meet in the end. */
static void test_distance_before_closing(void **state)
{
    (void)state;
    struct sim_run *late = SIM_RUN(MODELLED, "optimizer.lr=0.1", "algorithm.name=gossip", "simulate.latency_s=1e5",
                                   "communication.pending=1000", "communication.patience_s=3600");
    struct sim_run *never = SIM_RUN(MODELLED, "optimizer.lr=0.1", "algorithm.name=gossip", "communication.rate=0");
    assert_true(late->result.exchanges > 0 && never->result.exchanges == 0);
    assert_true(late->result.consensus_distance > 0);
    assert_true(late->result.consensus_distance == never->result.consensus_distance);
    assert_true(late->networks[late->network_count - 1].consensus_distance == late->result.consensus_distance);
    sim_free(late);
    sim_free(never);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant_durations),
        cmocka_unit_test(test_laws),
        cmocka_unit_test(test_speed_spread),
        cmocka_unit_test(test_straggler),
        cmocka_unit_test(test_slow_for_a_while),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_meetings_at_once),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_trained),
        cmocka_unit_test(test_distance_before_closing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
