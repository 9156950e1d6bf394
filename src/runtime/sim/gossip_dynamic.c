/* The averaging dynamic on n vectors of float64, advanced worker by worker.
 *
 * A worker's numbers lie together: x (dimension), with momentum also x̃ (dimension) and the time up to which both were
 * advanced, padded so that one of dimension 1 takes half a cache line and never two. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "runtime/gossip.h"
#include "runtime/sim/gossip_meetings.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

struct gossip {
    const struct graph *graph; /* borrowed */
    struct gossip_params params;
    double time;
    uint64_t meetings;            /* that happened */
    size_t stride;                /* numbers of one worker */
    double *workers;              /* owned, (worker_count, stride) */
    double *sums;                 /* owned, (dimension): scratch of gossip_distance */
    size_t next;                  /* of the batch: the first that has not happened; MEETING_BATCH: none is left */
    struct meeting_source source; /* in its memory: a batch ahead of time */
};

static size_t stride_of(const struct gossip_params *params)
{
    size_t numbers = params->momentum ? 2 * params->dimension + 1 : params->dimension;
    size_t step = numbers > 4 ? 8 : numbers > 2 ? 4 : numbers;
    return (numbers + step - 1) / step * step;
}

static double *worker_of(const struct gossip *gossip, int worker)
{
    return gossip->workers + (size_t)worker * gossip->stride;
}

static void draw_start(struct gossip *gossip, uint32_t repetition)
{
    struct random_stream stream = random_stream(gossip->params.seed, RANDOM_GOSSIP, repetition, 0);
    int n = gossip->graph->worker_count;
    size_t dimension = gossip->params.dimension;
    for (int i = 0; i < n; i++)
        for (size_t k = 0; k < dimension; k++) {
            double value = random_normal(&stream);
            worker_of(gossip, i)[k] = value;
            gossip->sums[k] += value;
        }
    for (int i = 0; i < n; i++) {
        double *x = worker_of(gossip, i);
        for (size_t k = 0; k < dimension; k++)
            x[k] -= gossip->sums[k] / n;
        if (gossip->params.momentum)
            memcpy(x + dimension, x, dimension * sizeof *x);
    }
}

struct gossip *gossip_create(const struct graph *graph, const struct gossip_params *params, uint32_t repetition)
{
    assert(params->dimension >= 1 && params->dimension <= GOSSIP_DIMENSION_MAX && params->eta >= 0);
    struct gossip *gossip = memory_zalloc(1, sizeof *gossip);
    gossip->graph = graph;
    gossip->params = *params;
    gossip->stride = stride_of(params);
    gossip->workers = memory_alloc_aligned((size_t)graph->worker_count * gossip->stride * sizeof *gossip->workers);
    gossip->sums = memory_zalloc(params->dimension, sizeof *gossip->sums);
    gossip->next = MEETING_BATCH;
    meeting_source_init(&gossip->source, graph, params->seed, repetition);
    draw_start(gossip, repetition);
    return gossip;
}

void gossip_destroy(struct gossip *gossip)
{
    if (gossip == NULL)
        return;
    meeting_source_release(&gossip->source);
    free(gossip->sums);
    memory_free_aligned(gossip->workers);
    free(gossip);
}

/* ½(1 − e^(−2ηΔ)), the share of x̃ − x that goes from x̃ to x within Δ. */
ALWAYS_INLINE double share_of(double eta, double span)
{
    return 0.5 * (1 - exp(-2 * eta * span));
}

ALWAYS_INLINE void advance_worker(double *worker, size_t dimension, double eta, double t)
{
    double *x = worker, *x_tilde = worker + dimension, *time = worker + 2 * dimension;
    double share = share_of(eta, t - *time);
    for (size_t k = 0; k < dimension; k++) {
        double delta = share * (x_tilde[k] - x[k]);
        x[k] += delta;
        x_tilde[k] -= delta;
    }
    *time = t;
}

ALWAYS_INLINE void meet_with_momentum(const struct gossip_params *params, size_t dimension, double *restrict a,
                                      double *restrict b, double t)
{
    advance_worker(a, dimension, params->eta, t);
    advance_worker(b, dimension, params->eta, t);
    for (size_t k = 0; k < dimension; k++) {
        double difference = a[k] - b[k];
        double step = params->alpha * difference, step_tilde = params->alpha_tilde * difference;
        a[k] -= step;
        b[k] += step;
        a[dimension + k] -= step_tilde;
        b[dimension + k] += step_tilde;
    }
}

ALWAYS_INLINE void meet_plainly(const struct gossip_params *params, size_t dimension, double *restrict a,
                                double *restrict b)
{
    for (size_t k = 0; k < dimension; k++) {
        double step = params->alpha * (a[k] - b[k]);
        a[k] -= step;
        b[k] += step;
    }
}

/* The meetings first … last − 1 of the batch. What a later one needs is on its way while this one is computed. */
ALWAYS_INLINE void meet_all(struct gossip *gossip, size_t first, size_t last, size_t dimension, bool momentum)
{
    enum { AHEAD = 12 };
    const struct meeting *meetings = gossip->source.meetings;
    for (size_t k = first; k < last; k++) {
        if (k + AHEAD < MEETING_BATCH) {
            __builtin_prefetch(worker_of(gossip, meetings[k + AHEAD].a), 1);
            __builtin_prefetch(worker_of(gossip, meetings[k + AHEAD].b), 1);
        }
        double *a = worker_of(gossip, meetings[k].a), *b = worker_of(gossip, meetings[k].b);
        if (momentum)
            meet_with_momentum(&gossip->params, dimension, a, b, meetings[k].time);
        else
            meet_plainly(&gossip->params, dimension, a, b);
    }
}

/* The dimensions that are most often asked for have loops of their own, which the compiler unrolls. */
ALWAYS_INLINE void meet_in_dimension(struct gossip *gossip, size_t first, size_t last, bool momentum)
{
    switch (gossip->params.dimension) {
    case 1:
        meet_all(gossip, first, last, 1, momentum);
        break;
    case 8:
        meet_all(gossip, first, last, 8, momentum);
        break;
    default:
        meet_all(gossip, first, last, gossip->params.dimension, momentum);
    }
}

void gossip_advance(struct gossip *gossip, double t)
{
    assert(t >= gossip->time);
    gossip->time = t;
    if (gossip->source.total_rate == 0)
        return;
    const struct meeting *meetings = gossip->source.meetings;
    size_t last;
    do {
        if (gossip->next == MEETING_BATCH) {
            meeting_source_draw(&gossip->source);
            gossip->next = 0;
        }
        for (last = gossip->next; last < MEETING_BATCH && meetings[last].time <= t; last++)
            ;
        if (gossip->params.momentum)
            meet_in_dimension(gossip, gossip->next, last, true);
        else
            meet_in_dimension(gossip, gossip->next, last, false);
        gossip->meetings += last - gossip->next;
        gossip->next = last;
    } while (last == MEETING_BATCH);
}

/* Σ_i ‖x_i‖² − ‖Σ_i x_i‖²/n: the start has mean 0, and meetings keep it to rounding, so that the second term is small
 * beside the first and nothing is lost in the difference. */
ALWAYS_INLINE double distance_of(const struct gossip *gossip, size_t dimension, bool momentum)
{
    double squares = 0, *sums = gossip->sums;
    memset(sums, 0, dimension * sizeof *sums);
    for (int i = 0; i < gossip->graph->worker_count; i++) {
        const double *x = worker_of(gossip, i), *x_tilde = x + dimension;
        double share = momentum ? share_of(gossip->params.eta, gossip->time - x[2 * dimension]) : 0;
        for (size_t k = 0; k < dimension; k++) {
            double value = momentum ? x[k] + share * (x_tilde[k] - x[k]) : x[k];
            sums[k] += value;
            squares += value * value;
        }
    }
    for (size_t k = 0; k < dimension; k++)
        squares -= sums[k] * sums[k] / gossip->graph->worker_count;
    return fmax(squares, 0);
}

double gossip_distance(const struct gossip *gossip)
{
    size_t dimension = gossip->params.dimension;
    if (dimension == 1)
        return gossip->params.momentum ? distance_of(gossip, 1, true) : distance_of(gossip, 1, false);
    return gossip->params.momentum ? distance_of(gossip, dimension, true) : distance_of(gossip, dimension, false);
}

void gossip_vectors(const struct gossip *gossip, int worker, double *x, double *x_tilde)
{
    size_t dimension = gossip->params.dimension;
    const double *now = worker_of(gossip, worker);
    memcpy(x, now, dimension * sizeof *x);
    if (!gossip->params.momentum) {
        memcpy(x_tilde, now, dimension * sizeof *x);
        return;
    }
    double share = share_of(gossip->params.eta, gossip->time - now[2 * dimension]);
    for (size_t k = 0; k < dimension; k++) {
        double delta = share * (now[dimension + k] - now[k]);
        x[k] = now[k] + delta;
        x_tilde[k] = now[dimension + k] - delta;
    }
}

uint64_t gossip_meetings(const struct gossip *gossip)
{
    return gossip->meetings;
}
