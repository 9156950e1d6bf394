/* Algorithms that meet everyone: rounds. Each worker computes a gradient at the common x, the slowest decides when the
 * sum over workers can be completed, and all apply the mean.
 *
 * In modelled time the sum travels as a ring all-reduce, 2(n − 1) messages of 1/n of the gradient each along
 * 0 → 1 → … → n − 1 → 0, which the slowest of these links paces. It may begin while the slowest worker's gradient is
 * still under way (`overlap`, as buckets do), but for its last bucket. The sum itself is made in the order of the
 * workers: ((g_0 + g_1) + g_2) + …, times 1/n. */
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "runtime/sim/simulation_state.h"

struct rounds {
    struct simulation *sim;
    float *sum;    /* owned (parameter_size), device memory */
    double *ready; /* owned (count): when each worker's gradient is complete */
    double pace;   /* time of the sum where nothing overlaps */
    double tail;   /* its last bucket's share of that */
};

static void time_the_sum(struct rounds *rounds)
{
    const struct simulation *sim = rounds->sim;
    const struct simulation_params *p = sim->params;
    int n = sim->count;
    double bytes = (double)worker_parameter_size(sim->workers[0].worker) * sizeof(float), bucket_bytes;
    if (p->time == SIMULATED_IDEAL || n == 1)
        return;
    bucket_bytes = fmin((double)sim->run->bucket_bytes, bytes);
    for (int i = 0; i < n; i++) {
        struct scenario_link link = scenario_link(p->scenario, i, (i + 1) % n);
        double message_s = link.latency_s + bytes / n / link.bytes_per_second;
        double last_s = link.latency_s + bucket_bytes / n / link.bytes_per_second;
        rounds->pace = fmax(rounds->pace, 2 * (n - 1) * message_s);
        rounds->tail = fmax(rounds->tail, 2 * (n - 1) * last_s);
    }
}

/* Gradients of all workers, summed in their order; `ready` and the longest duration are noted. */
static enum status compute_all(struct rounds *rounds, double *longest)
{
    struct simulation *sim = rounds->sim;
    const struct simulation_params *p = sim->params;
    size_t count = worker_parameter_size(sim->workers[0].worker);
    *longest = 0;
    for (int i = 0; i < sim->count; i++) {
        struct sim_worker *w = &sim->workers[i];
        double work = sim_duration(sim, i, w->steps + 1);
        rounds->ready[i] = sim_finish_time(sim, i, sim->now, work);
        double death_s = scenario_death_s(p->scenario, i);
        if (p->time == SIMULATED_MODELLED && death_s < INFINITY && death_s <= rounds->ready[i]) {
            log_error(
                "worker %d has died at %g s (inject.death), and an all-reduce needs every worker: use an algorithm "
                "that does not (acid, gossip)",
                i, death_s);
            return STATUS_USAGE;
        }
        *longest = fmax(*longest, work);
        TRY(sim_gradient(sim, i));
        if (sim->again)
            continue;
        const float *gradient = worker_gradient_vector(w->worker);
        if (i == 0)
            p->ops->snapshot(p->device, true, 0, count, gradient, NULL, rounds->sum);
        else
            p->ops->add(p->device, count, gradient, rounds->sum);
    }
    if (sim->count > 1 && !sim->again)
        p->ops->scale(p->device, count, 1.0f / (float)sim->count, rounds->sum);
    return STATUS_OK;
}

/* When the mean is everybody's. */
static double round_end(const struct rounds *rounds, double longest)
{
    const struct simulation *sim = rounds->sim;
    double last = sim->now;
    for (int i = 0; i < sim->count; i++)
        last = fmax(last, rounds->ready[i]);
    return last + fmax(rounds->tail, rounds->pace - sim->params->overlap * longest);
}

static void apply_all(struct rounds *rounds, double end)
{
    struct simulation *sim = rounds->sim;
    const struct simulation_params *p = sim->params;
    size_t count = worker_parameter_size(sim->workers[0].worker);
    double begin = sim->now, progress = sim_progress(sim);
    sim->now = end;
    for (int i = 0; i < sim->count; i++) {
        struct sim_worker *w = &sim->workers[i];
        w->idle += end - rounds->ready[i];
        w->since.idle += end - rounds->ready[i];
        sim_span(sim, i, LANE_COMPUTE, SPAN_COMPUTE, begin, rounds->ready[i], -1);
        sim_span(sim, i, LANE_COMPUTE, SPAN_WAIT, rounds->ready[i], end, -1);
        if (sim->count > 1 && !sim->again)
            p->ops->snapshot(p->device, true, 0, count, rounds->sum, NULL, worker_gradient_vector(w->worker));
        sim_update(sim, i, (double)(w->steps + 1), progress);
    }
}

static enum status run_rounds(struct rounds *rounds)
{
    struct simulation *sim = rounds->sim;
    while (!sim_finished(sim)) {
        double longest;
        TRY(compute_all(rounds, &longest));
        double end = round_end(rounds, longest);
        if (!(end < INFINITY)) {
            log_error("a worker pauses for ever (inject.pause), and an all-reduce waits for every worker");
            return STATUS_USAGE;
        }
        apply_all(rounds, end);
        for (int i = 0; i < sim->count; i++)
            TRY(sim_after_step(sim, i));
    }
    sim_end_training(sim);
    return STATUS_OK;
}

enum status sim_run_rounds(struct simulation *sim)
{
    const struct simulation_params *p = sim->params;
    size_t count = worker_parameter_size(sim->workers[0].worker);
    struct rounds rounds = {.sim = sim, .ready = memory_zalloc((size_t)sim->count, sizeof(double))};
    time_the_sum(&rounds);
    enum status status = p->ops->vector_alloc(p->device, count, &rounds.sum);
    if (status == STATUS_OK)
        status = run_rounds(&rounds);
    p->ops->vector_free(p->device, rounds.sum);
    free(rounds.ready);
    return status;
}
