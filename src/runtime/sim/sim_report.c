/* What the simulation tells the observer: per worker, and about the network as a whole. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "runtime/sim/simulation_state.h"
#include "worker/optimum.h"

static double epoch_of(const struct simulation *sim)
{
    return (double)sim->gradients / sim->run->gradients_per_epoch;
}

bool sim_has_idle(const struct simulation *sim)
{
    return sim->params->time != SIMULATED_IDEAL || worker_meets(sim->workers[0].worker) == ALGO_MEETS_EVERYONE;
}

void sim_report_step(struct simulation *sim, int worker)
{
    struct sim_worker *w = &sim->workers[worker];
    struct sim_since *since = &w->since;
    if (sim->again) {
        *since = (struct sim_since){.begin = sim->now, .exchanges = w->exchanges};
        return;
    }
    double span = sim->now - since->begin;
    size_t batch = worker_batch(w->worker);
    uint64_t exchanges = w->exchanges - since->exchanges;
    double pairs = exchanges > 0 ? (w->distance_sum - since->distance_sum) / (double)exchanges : NAN;
    bool met = sim->theory != NULL && exchanges > 0, in_seconds = sim->params->time != SIMULATED_IDEAL;
    struct step_report report = {
        .worker = worker,
        .time_s = sim->now,
        .step = w->steps,
        .global_step = sim->gradients,
        .samples = w->steps * batch,
        .progress = sim_progress(sim),
        .epoch = epoch_of(sim),
        .loss = since->loss / (double)since->steps,
        .accuracy = (double)since->correct / (double)(since->steps * batch),
        .learning_rate = worker_learning_rate(w->worker, sim_progress(sim)),
        .samples_per_second = in_seconds ? (double)(since->steps * batch) / span : NAN,
        .exchanges = w->exchanges,
        .pair_distance = pairs,
        .idle = sim_has_idle(sim) ? since->idle / span : NAN,
        .data_wait = in_seconds ? 0 : NAN,
        .pending = w->pending,
        .consensus_estimated = met ? theory_consensus_of_pairs(sim->theory, pairs) : NAN,
        .consensus_predicted =
            met ? theory_consensus(sim->theory, worker_update_square(w->worker, sim_progress(sim))) : NAN,
    };
    sim->observer->on_step(sim->observer->context, &report);
    *since = (struct sim_since){.begin = sim->now, .distance_sum = w->distance_sum, .exchanges = w->exchanges};
}

static void report_evaluation(struct simulation *sim, int worker, const char *set, const struct evaluation *result)
{
    struct evaluation_report report = {
        .worker = worker,
        .time_s = sim->now,
        .step = sim->workers[worker].steps,
        .global_step = sim->gradients,
        .epoch = epoch_of(sim),
        .set = set,
        .loss = evaluation_loss(result),
        .accuracy = evaluation_accuracy(result),
        .accuracy_top5 = evaluation_accuracy_top5(result),
        .count = result->count,
    };
    sim->observer->on_evaluation(sim->observer->context, &report);
}

/* Each worker tests its own replica: its share of the test set, and all held-out pictures. */
enum status sim_evaluate(struct simulation *sim)
{
    struct evaluation result;
    TRY(sim_results(sim));
    for (int i = 0; i < sim->count; i++) {
        if (sim->workers[i].dead)
            continue;
        TRY(worker_evaluate(sim->workers[i].worker, false, i, sim->count, &result));
        report_evaluation(sim, i, "test", &result);
        if (!sim->run->validation)
            continue;
        TRY(worker_evaluate(sim->workers[i].worker, true, 0, 1, &result));
        report_evaluation(sim, i, "validation", &result);
        double accuracy = evaluation_accuracy(&result);
        if (i == 0 && accuracy > sim->best_accuracy) {
            sim->best_accuracy = accuracy;
            sim_checkpoint(sim, true, epoch_of(sim));
        }
    }
    return STATUS_OK;
}

/* Worker 0's replica. */
void sim_checkpoint(struct simulation *sim, bool best, double epoch)
{
    const struct simulation_params *p = sim->params;
    struct worker *worker = sim->workers[0].worker;
    size_t buffer_size = worker_buffer_size(worker);
    if (sim->run->checkpoint == NULL)
        return;
    float *buffers = memory_zalloc(buffer_size + 1, sizeof buffers[0]);
    p->ops->vector_read(p->device, worker_parameters(worker), worker_parameter_size(worker), sim->copy);
    p->ops->vector_read(p->device, worker_buffers(worker), buffer_size, buffers);
    sim->run->checkpoint(sim->run->checkpoint_context, best, epoch, sim->copy, buffers);
    free(buffers);
}

/* Vectors of the living: out (count). Returns how many live. */
static int gather_living(const struct simulation *sim, const float **out)
{
    int living_count = 0;
    for (int i = 0; i < sim->count; i++)
        if (!sim->workers[i].dead)
            out[living_count++] = worker_parameters(sim->workers[i].worker);
    return living_count;
}

static double time_of(const struct simulation *sim, int worker)
{
    return sim->own_time != NULL ? sim->own_time(sim->context, worker) : sim->now;
}

/* (1/n) Σ ‖x_i − x̄‖² over the living, as their last events have left them; mean (parameter_size) ← x̄, may be NULL. */
static double distance_as_is(const struct simulation *sim, float *mean)
{
    const struct simulation_params *p = sim->params;
    const float **living = memory_zalloc((size_t)sim->count, sizeof living[0]);
    int living_count = gather_living(sim, living);
    size_t count = worker_parameter_size(sim->workers[0].worker);
    double sum = p->ops->spread(p->device, living_count, count, living, mean);
    free((void *)living);
    return sum / living_count;
}

/* The same of all x advanced to the present, piece by piece. */
static double distance_advanced(const struct simulation *sim)
{
    const struct simulation_params *p = sim->params;
    const float **pieces = memory_zalloc((size_t)sim->count, sizeof pieces[0]);
    size_t count = worker_parameter_size(sim->workers[0].worker);
    double sum = 0;
    int living_count = 0;
    for (size_t first = 0; first < count; first += sim->advanced_size) {
        size_t size = count - first < sim->advanced_size ? count - first : sim->advanced_size;
        living_count = 0;
        for (int i = 0; i < sim->count; i++) {
            if (sim->workers[i].dead)
                continue;
            float *piece = sim->advanced + (size_t)living_count * sim->advanced_size;
            worker_snapshot(sim->workers[i].worker, time_of(sim, i), first, size, piece);
            pieces[living_count++] = piece;
        }
        sum += p->ops->spread(p->device, living_count, size, pieces, NULL);
    }
    free((void *)pieces);
    return sum / living_count;
}

static double consensus_distance(const struct simulation *sim)
{
    return sim->advanced != NULL ? distance_advanced(sim) : distance_as_is(sim, NULL);
}

void sim_end_training(struct simulation *sim)
{
    sim->end = sim->now;
    if (sim->again)
        return;
    sim->end_distance = consensus_distance(sim);
    for (int i = 0; sim->run->graph != NULL && i < sim->count; i++)
        if (!sim->workers[i].dead)
            sim_done(sim, i, time_of(sim, i));
}

/* Everybody's own time, which the rates of its meetings refer to. */
static double own_time(const struct simulation *sim, int worker)
{
    return sim->params->time == SIMULATED_IDEAL ? sim->now : (double)sim->workers[worker].steps;
}

static void look_at_theory(struct simulation *sim, struct network_report *report)
{
    double squares = 0, time = 0;
    report->chi1 = report->chi2 = report->consensus_predicted = NAN;
    if (sim->theory == NULL)
        return;
    for (int i = 0; i < sim->count; i++) {
        sim->own_times[i] = own_time(sim, i);
        time += sim->own_times[i] / sim->count;
        squares += worker_update_square(sim->workers[i].worker, sim_progress(sim)) / sim->count;
    }
    struct spectrum realised = theory_realised(sim->theory, sim->edge_meetings, sim->own_times);
    report->chi1 = realised.chi1;
    report->chi2 = realised.chi2;
    report->consensus_predicted = theory_consensus(sim->theory, squares);
    theory_watch_edges(sim->theory, -1, sim->edge_meetings, sim->own_times);
    theory_watch_consensus(sim->theory, time, report->consensus_distance, squares);
}

/* Of the mean, x as the last events have left it. */
static void look_at_optimum(struct simulation *sim, struct network_report *report)
{
    const struct optimum *optimum = sim->params->optimum;
    if (optimum == NULL)
        return;
    distance_as_is(sim, sim->mean);
    sim->params->ops->vector_read(sim->params->device, sim->mean, worker_parameter_size(sim->workers[0].worker),
                                  sim->copy);
    report->optimum_distance = optimum_distance(optimum, sim->copy);
    report->optimum_gap = optimum_gap(optimum, sim->copy);
}

void sim_report_network(struct simulation *sim)
{
    struct network_report report = {
        .time_s = sim->now,
        .global_step = sim->gradients,
        .epoch = epoch_of(sim),
        .consensus_distance = isnan(sim->end_distance) ? consensus_distance(sim) : sim->end_distance,
        .exchanges_per_gradient =
            sim->theory != NULL ? 2 * (double)sim->exchanges / (double)(sim->gradients - sim->run->gradients_before)
                                : NAN,
        .optimum_distance = NAN,
        .optimum_gap = NAN,
    };
    look_at_theory(sim, &report);
    look_at_optimum(sim, &report);
    sim->last = report;
    if (sim->observer->on_network != NULL)
        sim->observer->on_network(sim->observer->context, &report);
}
