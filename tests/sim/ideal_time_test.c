/* Ideal time against the theory's clocks: when gradients and meetings happen, how often, and that nothing else does.
 *
 * Statistical bounds are five standard deviations of the estimate; the seeds are fixed, so a test that passes does. */
#include "sim/sim_fixture.h"

static const double deviations = 5;

/* Gradients at 1, 2, 3, … of every worker, exactly, and in the worker's own time as in the common one. */
static void test_regular_gradients(void **state)
{
    (void)state;
    struct sim_run *run = SIM_RUN("simulate.gradients=regular", "train.workers=5", "train.epochs=2");
    for (size_t k = 0; k < run->event_count; k++) {
        const struct event_report *event = &run->events[k];
        if (event->kind == EVENT_UPDATE) {
            assert_true(event->time_s == (double)event->step);
            assert_true(event->t == (double)event->step);
        }
    }
    assert_int_equal(run->result.gradients, 200);
    for (int i = 0; i < 5; i++)
        assert_int_equal(run->result.gradients_per_worker[i], 40);
    assert_true(run->result.wall_s == 40);
    sim_free(run);
}

/* Exponential gaps: mean 1, variance 1 (of which the estimate has variance (μ4 − σ⁴)/N = 8/N), and e⁻² of them above
 * 2. Time alone decides when: each gap is the worker's own. */
static void test_poisson_gradients(void **state)
{
    (void)state;
    enum { WORKERS = 8 };
    struct sim_run *run = SIM_RUN("train.workers=8", "train.epochs=200", "communication.rate=0.125");
    struct moments gaps = {0};
    double last[WORKERS] = {0}, first[WORKERS] = {0}, above = 0;
    for (size_t k = 0; k < run->event_count; k++) {
        const struct event_report *event = &run->events[k];
        if (event->kind != EVENT_UPDATE)
            continue;
        double gap = event->time_s - last[event->worker];
        moments_add(&gaps, gap);
        above += gap > 2;
        assert_true(gap > 0 && event->t == event->time_s);
        if (event->step == 1)
            first[event->worker] = gap;
        last[event->worker] = event->time_s;
    }
    double n = gaps.count, share = exp(-2);
    assert_true(n == 20000);
    assert_near(moments_mean(&gaps), 1, deviations / sqrt(n));
    assert_near(moments_variance(&gaps), 1, deviations * sqrt(8 / n));
    assert_near(above / n, share, deviations * sqrt(share * (1 - share) / n));
    for (int i = 1; i < WORKERS; i++)
        assert_true(first[i] != first[0]);
    sim_free(run);
}

/* The meetings of each edge, counted in windows of one unit: Poisson with mean λ, so that variance over mean is 1, with
 * variance 2/N over N windows (and 1/(λN) more for counts as small as these). A line has edges of unlike rates. */
static void test_meetings_of_edges(void **state)
{
    (void)state;
    enum { EDGES = 5, WINDOWS = 2000 };
    struct sim_run *run = SIM_RUN("train.workers=6", "graph.name=line", "communication.rate=2", "train.epochs=120",
                                  "simulate.gradients=regular");
    static unsigned counts[EDGES][WINDOWS];
    assert_int_equal(run->plan->graph->edge_count, EDGES);
    assert_true(run->result.wall_s == WINDOWS);
    for (size_t k = 0; k < run->event_count; k++) {
        const struct event_report *event = &run->events[k];
        for (int e = 0; e < EDGES && event->kind == EVENT_APPLY; e++)
            counts[e][(int)event->time_s] +=
                event->worker == run->plan->graph->edges[e].a && event->peer == run->plan->graph->edges[e].b;
    }
    for (int e = 0; e < EDGES; e++) {
        const struct graph_edge *edge = &run->plan->graph->edges[e];
        struct moments windows = {0};
        for (int w = 0; w < WINDOWS; w++)
            moments_add(&windows, counts[e][w]);
        double expected = edge->rate * WINDOWS, met = windows.sum;
        assert_near(edge->rate, edge->a == 0 || edge->b == 5 ? 1.5 : 1, 1e-12);
        assert_near(met, expected, deviations * sqrt(expected));
        assert_near(moments_variance(&windows) / moments_mean(&windows), 1,
                    deviations * sqrt((2 + 1 / edge->rate) / WINDOWS));
        assert_true(met == (double)run->result.meetings[edge->a * 6 + edge->b]);
    }
    sim_free(run);
}

/* Every tick is a meeting, at once; together they are rate/2 per gradient. Two processes vary: with G gradients the
 * count of meetings has variance (rate/2)·G + (rate/2)²·G. */
static void test_rate(void **state)
{
    (void)state;
    static const char *const rates[] = {"communication.rate=0.25", "communication.rate=1", "communication.rate=4"};
    static const double values[] = {0.25, 1, 4};
    for (size_t k = 0; k < 3; k++) {
        struct sim_run *run = SIM_RUN(rates[k], "train.workers=8", "graph.name=exponential", "train.epochs=80");
        double half = values[k] / 2, gradients = (double)run->result.gradients;
        assert_near((double)run->result.exchanges, half * gradients,
                    deviations * sqrt((half + half * half) * gradients));
        assert_int_equal(run->result.ticks, run->result.exchanges);
        assert_int_equal(run->result.ticks_unserved, 0);
        assert_int_equal(run->result.meetings_lost, 0);
        sim_free(run);
    }
    struct sim_run *run = SIM_RUN("communication.rate=0", "train.workers=4");
    assert_int_equal(run->result.exchanges, 0);
    sim_free(run);
}

/* A meeting is four events in a row at one time, both snapshots first; its number counts the edge's meetings. */
static void test_meetings_are_points(void **state)
{
    (void)state;
    struct sim_run *run = SIM_RUN("train.workers=4", "train.epochs=3", "communication.rate=3");
    uint64_t numbers[4][4] = {{0}}, seen = 0;
    for (size_t k = 0; k < run->event_count; k++) {
        const struct event_report *event = &run->events[k];
        if (event->kind != EVENT_SNAPSHOT)
            continue;
        assert_true(k + 3 < run->event_count);
        int low = event->worker < event->peer ? event->worker : event->peer;
        int high = event->worker + event->peer - low;
        for (int j = 0; j < 4; j++) {
            assert_int_equal(event[j].kind, j < 2 ? EVENT_SNAPSHOT : EVENT_APPLY);
            assert_int_equal(event[j].worker, j % 2 == 0 ? event->worker : event->peer);
            assert_int_equal(event[j].peer, j % 2 == 0 ? event->peer : event->worker);
            assert_int_equal(event[j].meeting, event->meeting);
            assert_true(event[j].time_s == event->time_s && event[j].t == event->time_s);
        }
        assert_int_equal(event->meeting, ++numbers[low][high]);
        seen++;
        k += 3;
    }
    assert_int_equal(seen, run->result.exchanges);
    sim_free(run);
}

/* Events come in the order of time, and the run ends with its last gradient. */
static void test_order(void **state)
{
    (void)state;
    struct sim_run *run = SIM_RUN("train.workers=16", "train.epochs=5", "graph.name=complete");
    double now = 0;
    uint64_t gradients = 0;
    for (size_t k = 0; k < run->event_count; k++) {
        assert_true(run->events[k].time_s >= now);
        now = run->events[k].time_s;
        gradients += run->events[k].kind == EVENT_UPDATE;
        if (run->events[k].kind == EVENT_UPDATE)
            assert_true(run->events[k].progress == (double)(gradients - 1) / 500);
    }
    assert_int_equal(gradients, 500);
    assert_true(run->result.wall_s == now);
    sim_free(run);
}

/* A round of all-reduce is one unit: everybody's gradient at 1, 2, 3, …; with Poisson gaps the longest of all, whose
 * mean is the harmonic number H_n and whose variance Σ 1/k². */
static void test_rounds(void **state)
{
    (void)state;
    struct sim_run *run = SIM_RUN("algorithm.name=allreduce", "train.workers=4", "simulate.gradients=regular");
    for (size_t k = 0; k < run->event_count; k++)
        if (run->events[k].kind == EVENT_UPDATE)
            assert_true(run->events[k].time_s == (double)run->events[k].step);
    sim_free(run);
    run = SIM_RUN("algorithm.name=allreduce", "train.workers=4", "train.epochs=160");
    double rounds = (double)run->result.gradients_per_worker[0], mean = 1 + 1.0 / 2 + 1.0 / 3 + 1.0 / 4;
    double variance = 1 + 1.0 / 4 + 1.0 / 9 + 1.0 / 16;
    assert_true(rounds == 4000);
    assert_near(run->result.wall_s / rounds, mean, deviations * sqrt(variance / rounds));
    for (int i = 0; i < 4; i++)
        assert_near(run->result.idle[i], 1 - 1 / mean, deviations / (mean * sqrt(rounds)));
    sim_free(run);
}

/* Replicas that start alike and are never updated stay alike, to the last bit. */
static void test_nothing_moves_without_updates(void **state)
{
    (void)state;
    static const char *const algorithms[] = {"algorithm.name=acid", "algorithm.name=gossip",
                                             "algorithm.name=allreduce"};
    for (size_t k = 0; k < 3; k++) {
        struct sim_run *run = SIM_RUN(algorithms[k], "train.workers=4", "run.log_every=5");
        assert_true(run->network_count > 3 && run->result.consensus_distance == 0);
        for (size_t j = 0; j < run->network_count; j++)
            assert_true(run->networks[j].consensus_distance == 0);
        sim_free(run);
    }
}

/* Realised χ of a long run is the promised one, up to the fluctuation of its edges' counts: 1.4 % each, for 5000. */
static void test_realised_spectrum(void **state)
{
    (void)state;
    struct sim_run *run = SIM_RUN("train.workers=4", "train.epochs=400", "communication.rate=1");
    assert_near(run->result.chi1_realised, run->plan->spectrum.chi1, 0.05 * run->plan->spectrum.chi1);
    assert_near(run->result.chi2_realised, run->plan->spectrum.chi2, 0.05 * run->plan->spectrum.chi2);
    assert_near(run->plan->spectrum.chi1, 1, 1e-9);
    sim_free(run);
}

/* What is injected belongs to modelled time: here it changes nothing, and a warning says so. */
static void test_nothing_is_injected(void **state)
{
    (void)state;
    struct sim_run *plain = SIM_RUN("train.workers=4");
    struct sim_run *run = SIM_RUN("train.workers=4", "inject.slow=0 x4", "inject.loss=0.5", "inject.death=1 at 2");
    assert_null(strstr(plain->said.text, "warning"));
    assert_non_null(strstr(run->said.text, "warning: inject.* acts in modelled time"));
    assert_int_equal(run->event_count, plain->event_count);
    for (size_t k = 0; k < run->event_count; k++)
        assert_true(run->events[k].time_s == plain->events[k].time_s);
    sim_free(run);
    sim_free(plain);
}

/* (1/n) Σ ‖x_i − x̄‖² of vectors in host memory. */
static double distance_of(int n, size_t count, float *const *x)
{
    double sum = 0;
    for (size_t k = 0; k < count; k++) {
        double mean = 0;
        for (int i = 0; i < n; i++)
            mean += (double)x[i][k] / n;
        for (int i = 0; i < n; i++)
            sum += ((double)x[i][k] - mean) * ((double)x[i][k] - mean) / n;
    }
    return sum;
}

static double advanced_distance, distance_as_is; /* of the run that was last */
static double end_time;

static void measure_when_trained(struct sim_run *run)
{
    size_t count = (size_t)run->bytes / sizeof(float);
    float **x = memory_zalloc((size_t)run->workers, sizeof x[0]);
    for (int i = 0; i < run->workers; i++)
        x[i] = worker_parameters(run->group.workers[i]);
    distance_as_is = distance_of(run->workers, count, x);
    end_time = run->events[run->event_count - 1].t;
    for (int i = 0; i < run->workers; i++) {
        x[i] = memory_alloc_aligned(count * sizeof x[i][0]);
        worker_snapshot(run->group.workers[i], end_time, 0, count, x[i]);
    }
    advanced_distance = distance_of(run->workers, count, x);
    for (int i = 0; i < run->workers; i++)
        memory_free_aligned(x[i]);
    free((void *)x);
}

/* The run's consensus distance, and that of its last line, is of all x at the time of the last gradient; under A2CiD2
 * that is another one than of x as the last events have left them. More parameters than fit into one piece of it. */
static void test_distance_at_one_time(void **state)
{
    (void)state;
    static const char *const algorithms[] = {"algorithm.name=acid", "algorithm.name=gossip"};
    for (int k = 0; k < 2; k++) {
        sim_when_trained = measure_when_trained;
        struct sim_run *run = SIM_RUN("simulate.time=ideal", algorithms[k], "optimizer.lr=0.1", "train.workers=8",
                                      "data.dimension=3000", "run.log_every=4");
        sim_when_trained = NULL;
        double distance = run->result.consensus_distance;
        assert_true(advanced_distance > 0 && fabs(distance / advanced_distance - 1) < 1e-5);
        assert_true((fabs(distance_as_is / advanced_distance - 1) > 1e-3) == (k == 0));
        assert_true(run->networks[run->network_count - 1].consensus_distance == distance);
        int done = 0;
        for (size_t e = 0; e < run->event_count; e++)
            done += run->events[e].kind == EVENT_DONE && run->events[e].t == end_time;
        assert_int_equal(done, 8);
        sim_free(run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regular_gradients),
        cmocka_unit_test(test_poisson_gradients),
        cmocka_unit_test(test_meetings_of_edges),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_meetings_are_points),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_nothing_moves_without_updates),
        cmocka_unit_test(test_realised_spectrum),
        cmocka_unit_test(test_nothing_is_injected),
        cmocka_unit_test(test_distance_at_one_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
