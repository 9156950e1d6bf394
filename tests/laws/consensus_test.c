/* Consensus by gossip alone, in continuous time: the rate at which ‖x − mean‖² decays, against an independent
 * event-driven reference (16 workers on a ring, 64 on the complete graph; rate 1, dimension 8, Gaussian start). */
#include "algo_fixture.h"

#include <math.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/memory.h"
#include "graph/graph.h"
#include "graph/spectrum.h"

enum { DIMENSION = 8, SEEDS = 40, SAMPLES = 120 };

struct gossip {
    struct fixture fixture;
    struct graph *graph;                 /* owned */
    struct replica_under_test *replicas; /* owned, (worker_count) */
    float *own, *peer;                   /* owned, (DIMENSION) */
};

static void gossip_init(struct gossip *gossip, const char *algorithm, const char *family, int workers, uint64_t seed)
{
    struct graph_params params = {.name = family, .worker_count = workers, .rate = 1};
    struct spectrum spectrum;
    *gossip = (struct gossip){.fixture = fixture_create()};
    assert_int_equal(graph_create(&params, &gossip->graph), STATUS_OK);
    assert_int_equal(spectrum_compute(gossip->graph, &spectrum), STATUS_OK);
    struct acid_constants constants = acid_constants_from(&spectrum);
    struct algo_params algo = {
        .count = DIMENSION, .eta = constants.eta, .alpha = constants.alpha, .alpha_tilde = constants.alpha_tilde};
    gossip->replicas = memory_zalloc((size_t)workers, sizeof gossip->replicas[0]);
    for (int i = 0; i < workers; i++) {
        float initial[DIMENSION];
        fill_normal(initial, DIMENSION, (uint32_t)i, seed);
        gossip->replicas[i] = replica_create(&gossip->fixture, algorithm, &algo, initial);
    }
    gossip->own = fixture_vector(&gossip->fixture, DIMENSION);
    gossip->peer = fixture_vector(&gossip->fixture, DIMENSION);
}

static void gossip_release(struct gossip *gossip)
{
    fixture_free(&gossip->fixture, gossip->own);
    fixture_free(&gossip->fixture, gossip->peer);
    for (int i = 0; i < gossip->graph->worker_count; i++)
        replica_destroy(&gossip->replicas[i]);
    free(gossip->replicas);
    graph_destroy(gossip->graph);
    fixture_destroy(&gossip->fixture);
}

static void meet(struct gossip *gossip, double t, const struct graph_edge *edge)
{
    struct replica_under_test *a = &gossip->replicas[edge->a], *b = &gossip->replicas[edge->b];
    a->ops->snapshot(a->algo, t, false, 0, DIMENSION, gossip->own);
    b->ops->snapshot(b->algo, t, false, 0, DIMENSION, gossip->peer);
    replica_meet(a, t, gossip->own, gossip->peer);
    replica_meet(b, t, gossip->peer, gossip->own);
}

/* ln Σ_i ‖x_i − mean‖² at time t. */
static double log_distance(struct gossip *gossip, double t)
{
    int workers = gossip->graph->worker_count;
    double sum[DIMENSION] = {0}, squares = 0;
    for (int i = 0; i < workers; i++) {
        struct replica_under_test *replica = &gossip->replicas[i];
        replica->ops->snapshot(replica->algo, t, false, 0, DIMENSION, gossip->own);
        for (size_t k = 0; k < DIMENSION; k++) {
            sum[k] += (double)gossip->own[k];
            squares += (double)gossip->own[k] * (double)gossip->own[k];
        }
    }
    for (size_t k = 0; k < DIMENSION; k++)
        squares -= sum[k] * sum[k] / workers;
    return log(squares);
}

/* Adds ln ‖x − mean‖² at SAMPLES evenly spaced times of [0, duration] to `curve`. Every edge ticks at its own rate. */
static void run(struct gossip *gossip, uint64_t seed, double duration, double *curve)
{
    enum { MEETING, SAMPLE };
    struct heap heap = {0};
    struct heap_event event;
    struct random_stream stream = random_stream(seed, RANDOM_TEST, 200, 0);
    const struct graph *graph = gossip->graph;
    for (int e = 0; e < graph->edge_count; e++)
        heap_push(&heap, random_exponential(&stream) / graph->edges[e].rate, MEETING, (uint32_t)e);
    for (int s = 0; s < SAMPLES; s++)
        heap_push(&heap, duration * s / (SAMPLES - 1), SAMPLE, (uint32_t)s);
    while (heap_pop(&heap, &event) && event.time <= duration) {
        if (event.kind == SAMPLE) {
            curve[event.index] += log_distance(gossip, event.time);
            continue;
        }
        const struct graph_edge *edge = &graph->edges[event.index];
        meet(gossip, event.time, edge);
        heap_push(&heap, event.time + random_exponential(&stream) / edge->rate, MEETING, event.index);
    }
    heap_release(&heap);
}

/* Least-squares slope of the curve over its last two thirds, per unit of time. */
static double slope(const double *curve, double duration)
{
    double n = 0, sum_t = 0, sum_y = 0, sum_tt = 0, sum_ty = 0;
    for (int s = SAMPLES / 3; s < SAMPLES; s++) {
        double t = duration * s / (SAMPLES - 1);
        n += 1;
        sum_t += t;
        sum_y += curve[s];
        sum_tt += t * t;
        sum_ty += t * curve[s];
    }
    return (n * sum_ty - sum_t * sum_y) / (n * sum_tt - sum_t * sum_t);
}

static double decay_rate(const char *algorithm, const char *family, int workers, double duration)
{
    double curve[SAMPLES] = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct gossip gossip;
        gossip_init(&gossip, algorithm, family, workers, seed);
        run(&gossip, seed, duration, curve);
        gossip_release(&gossip);
    }
    double rate = -slope(curve, duration) / SEEDS;
    print_message("%s on %s %d: decay rate %.4f\n", algorithm, family, workers, rate);
    return rate;
}

/* The reference is a mean over 4 seeds only, whose own standard error, measured over 40 groups of 4, is 4 % for gossip
 * on the ring, 10 % for acid there and 4 % on the complete graph; over SEEDS seeds ours is three times smaller. 15 %
 * covers both, and the two algorithms on the ring are a factor of three apart. */
static void assert_near(double rate, double reference)
{
    assert_true(fabs(rate - reference) <= 0.15 * reference);
}

static void test_ring(void **state)
{
    (void)state;
    assert_near(decay_rate("gossip", "ring", 16, 60), 0.075);
    assert_near(decay_rate("acid", "ring", 16, 60), 0.219);
}

/* On the complete graph χ1 = χ2: the continuous momentum has nothing to gain, α̃ = α and the two processes are one. */
static void test_complete(void **state)
{
    (void)state;
    double gossip = decay_rate("gossip", "complete", 64, 20), acid = decay_rate("acid", "complete", 64, 20);
    assert_near(gossip, 0.52);
    assert_near(acid, 0.52);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
