/* The balance of drift and mixing (graph/mixing.h) against the algorithms themselves: replicas whose gradients are
 * independent noise, in continuous time, long after the start. */
#include "algo_fixture.h"

#include <math.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/memory.h"
#include "graph/graph.h"
#include "graph/mixing.h"
#include "graph/spectrum.h"

enum { DIMENSION = 32, WORKERS_MAX = 64 };

struct trial {
    const char *algorithm, *family;
    int workers;
    double momentum;
    bool poisson;
    double duration; /* units of time that are measured, after a fifth as many that are not */
};

struct network {
    struct fixture fixture;
    struct graph *graph; /* owned */
    struct replica_under_test replicas[WORKERS_MAX];
    float *own, *peer, *noise; /* owned, (DIMENSION) */
    struct random_stream stream;
    double pair_sum, consensus_sum, update_sum; /* of the measured time */
    uint64_t meetings, samples, updates;
};

static struct graph *graph_of(const char *family, int workers)
{
    struct graph *graph;
    struct graph_params params = {.name = family, .worker_count = workers, .rate = 1};
    assert_int_equal(graph_create(&params, &graph), STATUS_OK);
    return graph;
}

static struct mixing_params params_of(const struct graph *graph, const char *algorithm, double momentum, bool poisson)
{
    struct spectrum spectrum;
    assert_int_equal(spectrum_compute(graph, &spectrum), STATUS_OK);
    struct acid_constants constants = {.eta = 0, .alpha = 0.5, .alpha_tilde = 0.5};
    if (strcmp(algorithm, "acid") == 0)
        constants = acid_constants_from(&spectrum);
    return (struct mixing_params){.eta = constants.eta,
                                  .alpha = constants.alpha,
                                  .alpha_tilde = constants.alpha_tilde,
                                  .momentum = momentum,
                                  .poisson = poisson};
}

static void network_init(struct network *network, const struct trial *trial, const struct mixing_params *params)
{
    *network = (struct network){.fixture = fixture_create(), .stream = random_stream(3, RANDOM_TEST, 400, 0)};
    network->graph = graph_of(trial->family, trial->workers);
    struct algo_params algo = {.count = DIMENSION,
                               .eta = params->eta,
                               .alpha = params->alpha,
                               .alpha_tilde = params->alpha_tilde,
                               .optimizer = {.momentum = params->momentum}};
    for (int i = 0; i < trial->workers; i++)
        network->replicas[i] = replica_create(&network->fixture, trial->algorithm, &algo, NULL);
    network->own = fixture_vector(&network->fixture, DIMENSION);
    network->peer = fixture_vector(&network->fixture, DIMENSION);
    network->noise = fixture_vector(&network->fixture, DIMENSION);
}

static void network_release(struct network *network)
{
    for (int i = 0; i < network->graph->worker_count; i++)
        replica_destroy(&network->replicas[i]);
    fixture_free(&network->fixture, network->own);
    fixture_free(&network->fixture, network->peer);
    fixture_free(&network->fixture, network->noise);
    graph_destroy(network->graph);
    fixture_destroy(&network->fixture);
}

/* Uniform in [−√3, √3): variance 1, and cheaper than a Gaussian; second moments see no difference. */
static void drift(struct network *network, double t, int worker, bool measured)
{
    struct replica_under_test *replica = &network->replicas[worker];
    for (int k = 0; k < DIMENSION; k++)
        network->noise[k] = (float)(sqrt(12) * (random_u32(&network->stream) * 0x1p-32 - 0.5));
    replica_step(replica, t, network->noise, 1);
    if (!measured)
        return;
    const float *momentum = replica->ops->vector(replica->algo, "momentum");
    for (int k = 0; k < DIMENSION; k++)
        network->update_sum += (double)momentum[k] * (double)momentum[k];
    network->updates++;
}

static void meet(struct network *network, double t, const struct graph_edge *edge, bool measured)
{
    struct replica_under_test *a = &network->replicas[edge->a], *b = &network->replicas[edge->b];
    a->ops->snapshot(a->algo, t, false, 0, DIMENSION, network->own);
    b->ops->snapshot(b->algo, t, false, 0, DIMENSION, network->peer);
    replica_meet(a, t, network->own, network->peer);
    replica_meet(b, t, network->peer, network->own);
    if (!measured)
        return;
    for (int k = 0; k < DIMENSION; k++) {
        double difference = (double)network->own[k] - (double)network->peer[k];
        network->pair_sum += difference * difference / 2;
    }
    network->meetings++;
}

static void sample(struct network *network, double t)
{
    int workers = network->graph->worker_count;
    double sum[DIMENSION] = {0}, squares = 0;
    for (int i = 0; i < workers; i++) {
        struct replica_under_test *replica = &network->replicas[i];
        replica->ops->snapshot(replica->algo, t, false, 0, DIMENSION, network->own);
        for (int k = 0; k < DIMENSION; k++) {
            sum[k] += (double)network->own[k];
            squares += (double)network->own[k] * (double)network->own[k];
        }
    }
    for (int k = 0; k < DIMENSION; k++)
        squares -= sum[k] * sum[k] / workers;
    network->consensus_sum += squares / workers;
    network->samples++;
}

static void simulate(struct network *network, const struct trial *trial)
{
    enum { GRADIENT, MEETING, SAMPLE };
    const double begin = trial->duration / 5, end = begin + trial->duration,
                 sample_every = 1.618; /* never in step with regular gradients */
    const struct graph *graph = network->graph;
    struct random_stream *stream = &network->stream;
    struct heap heap = {0};
    struct heap_event event;
    for (int i = 0; i < graph->worker_count; i++)
        heap_push(&heap, trial->poisson ? random_exponential(stream) : random_uniform(stream), GRADIENT, (uint32_t)i);
    for (int e = 0; e < graph->edge_count; e++)
        heap_push(&heap, random_exponential(stream) / graph->edges[e].rate, MEETING, (uint32_t)e);
    heap_push(&heap, begin, SAMPLE, 0);
    while (heap_pop(&heap, &event) && event.time < end) {
        double wait = sample_every;
        if (event.kind == GRADIENT) {
            drift(network, event.time, (int)event.index, event.time >= begin);
            wait = trial->poisson ? random_exponential(stream) : 1;
        } else if (event.kind == MEETING) {
            meet(network, event.time, &graph->edges[event.index], event.time >= begin);
            wait = random_exponential(stream) / graph->edges[event.index].rate;
        } else {
            sample(network, event.time);
        }
        heap_push(&heap, event.time + wait, event.kind, event.index);
    }
    heap_release(&heap);
}

/* Both levels must lie within `bound` of what is measured. */
static void assert_level(const struct trial *trial, double bound)
{
    static struct network network;
    struct graph *graph = graph_of(trial->family, trial->workers);
    struct mixing_params params = params_of(graph, trial->algorithm, trial->momentum, trial->poisson);
    struct mixing_level level = mixing_compute(graph, &params);
    graph_destroy(graph);
    network_init(&network, trial, &params);
    simulate(&network, trial);
    double square = network.update_sum / (double)network.updates;
    double consensus = network.consensus_sum / (double)network.samples / square;
    double pair = network.pair_sum / (double)network.meetings / square;
    network_release(&network);
    print_message("%-6s %-8s %2d momentum %.1f %-7s consensus %8.3f of %8.3f: %.3f   pair %7.3f of %7.3f: %.3f\n",
                  trial->algorithm, trial->family, trial->workers, trial->momentum,
                  trial->poisson ? "poisson" : "regular", consensus, level.consensus, consensus / level.consensus, pair,
                  level.pair, pair / level.pair);
    assert_true(fabs(consensus - level.consensus) <= bound * level.consensus);
    assert_true(fabs(pair - level.pair) <= bound * level.pair);
}

static struct mixing_level level_of(const char *family, int workers, const char *algorithm, double momentum,
                                    bool poisson)
{
    struct graph *graph = graph_of(family, workers);
    struct mixing_params params = params_of(graph, algorithm, momentum, poisson);
    struct mixing_level level = mixing_compute(graph, &params);
    graph_destroy(graph);
    return level;
}

/* All edges are alike: the level is exact, and what is measured differs by chance alone. Its standard error is about
 * 1.2 % at most, as seeds show: 16 workers keep some hundred independent squares of each of 32 elements, while the
 * slowest modes of 64 workers forget only in 200 units, so those trials are longer. The bound is three of them. */
static void edges_alike(void **state)
{
    (void)state;
    const struct trial trials[] = {
        {"gossip", "ring", 16, 0, false, 4000},       {"gossip", "ring", 16, 0.9, true, 6000},
        {"acid", "ring", 16, 0, true, 3000},          {"acid", "ring", 16, 0.9, false, 3000},
        {"acid", "ring", 16, 0.9, true, 3000},        {"gossip", "ring", 64, 0, false, 16000},
        {"acid", "ring", 64, 0, false, 3000},         {"acid", "ring", 64, 0.9, false, 3000},
        {"gossip", "complete", 16, 0, true, 3000},    {"gossip", "complete", 16, 0.9, false, 3000},
        {"acid", "complete", 16, 0.9, true, 3000},    {"acid", "star", 16, 0.9, false, 4000},
        {"gossip", "hypercube", 16, 0.9, true, 4000},
    };
    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++)
        assert_level(&trials[i], 0.036);
}

/* One common D in place of an edge's own: the level is too low by 2 to 4 % on lines and trees and by 11 % on the
 * barbell, as runs of eight times the length show. */
static void edges_unlike(void **state)
{
    (void)state;
    const struct trial trials[] = {
        {"gossip", "line", 16, 0.9, false, 6000},  {"acid", "line", 16, 0, true, 4000},
        {"acid", "line", 16, 0.9, false, 4000},    {"acid", "tree", 16, 0.9, false, 3000},
        {"acid", "barbell", 16, 0.9, false, 3000},
    };
    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++)
        assert_level(&trials[i], 0.15);
}

static void assert_same(double value, double wanted)
{
    assert_true(fabs(value - wanted) <= 1e-11 * fabs(wanted));
}

/* On the complete graph Σ‖x_i − x̄‖² of pure gossip decays with n/(2(n−1)), and each gradient puts U(n−1)/n into it:
 * the level is their quotient. There χ1 = χ2, so A²CiD² is the same process. */
static void complete_graph_in_closed_form(void **state)
{
    (void)state;
    for (int n = 2; n <= 40; n += 19) {
        double decay = n / (2.0 * (n - 1)), wanted = (n - 1.0) / n / decay;
        for (int poisson = 0; poisson < 2; poisson++) {
            assert_same(level_of("complete", n, "gossip", 0, poisson).consensus, wanted);
            assert_same(level_of("complete", n, "acid", 0, poisson).consensus, wanted);
            struct mixing_level level = level_of("complete", n, "acid", 0.9, poisson);
            assert_same(level.consensus, level_of("complete", n, "gossip", 0.9, poisson).consensus);
            assert_same(level.pair, level.consensus * n / (n - 1)); /* of all pairs alike */
        }
    }
}

/* Twice the meetings and a dynamic twice as fast, without momentum: time alone has another unit. */
static void levels_scale_with_time(void **state)
{
    (void)state;
    struct graph *graph = graph_of("tree", 21);
    struct mixing_params params = params_of(graph, "acid", 0, true);
    struct mixing_level one = mixing_compute(graph, &params);
    for (int e = 0; e < graph->edge_count; e++)
        graph->edges[e].rate *= 2;
    params.eta *= 2;
    struct mixing_level two = mixing_compute(graph, &params);
    assert_same(two.consensus, one.consensus / 2);
    assert_same(two.pair, one.pair / 2);
    assert_same(two.rate, one.rate * 2);
    graph_destroy(graph);
}

/* Both formulas of the momentum's part go on into the ones without η, which are derived apart. */
static void small_eta_is_gossip(void **state)
{
    (void)state;
    struct graph *graph = graph_of("torus", 12);
    for (int poisson = 0; poisson < 2; poisson++) {
        struct mixing_params params = params_of(graph, "gossip", 0.9, poisson);
        struct mixing_level none = mixing_compute(graph, &params);
        params.eta = 1e-7;
        struct mixing_level little = mixing_compute(graph, &params);
        assert_true(fabs(little.consensus / none.consensus - 1) < 1e-5);
    }
    graph_destroy(graph);
}

static void where_there_is_no_balance(void **state)
{
    (void)state;
    struct mixing_level alone = level_of("ring", 1, "acid", 0.9, false);
    assert_true(alone.consensus == 0 && alone.pair == 0);
    struct graph *graph = graph_of("ring", 8);
    struct mixing_params params = params_of(graph, "gossip", 0, false);
    params.alpha = 1.2; /* beyond 1 a meeting leaves both farther apart than before */
    assert_true(isinf(mixing_compute(graph, &params).consensus));
    graph_destroy(graph);
    struct graph_params silent = {.name = "ring", .worker_count = 8, .rate = 0};
    assert_int_equal(graph_create(&silent, &graph), STATUS_OK);
    assert_true(isinf(mixing_compute(graph, &params).consensus));
    graph_destroy(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complete_graph_in_closed_form),
        cmocka_unit_test(levels_scale_with_time),
        cmocka_unit_test(small_eta_is_gossip),
        cmocka_unit_test(where_there_is_no_balance),
        cmocka_unit_test(edges_alike),
        cmocka_unit_test(edges_unlike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
