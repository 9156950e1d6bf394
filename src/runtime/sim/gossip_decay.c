/* How fast pure gossip contracts: ‖x − mean‖² on a grid of times, and a line through its logarithm. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "runtime/gossip.h"

/* The distance of many workers hardly fluctuates, and measuring it visits them all. */
enum { SAMPLES = 240, SAMPLES_OF_MANY = 48, MANY_WORKERS = 100000, FIT_SAMPLES_MIN = 5 };

/* Of the start: below it ‖x − mean‖² is lost in the rounding of x. A fall from `exact_above` to below it within one
 * sample is no exponential that was sampled. */
static const double resolved_above = 1e-24, exact_above = 1e-12;

struct decay_table {
    double *logs;   /* owned, (repetitions, samples + 1): ln ‖x − mean‖² */
    size_t samples; /* the grid is T·k/samples, k = 0 … samples */
    size_t end;     /* the last sample that every repetition so far resolves */
    bool exact;     /* the end was met by an exact consensus */
};

static void measure_one(const struct graph *graph, const struct gossip_decay_params *params, int repetition,
                        struct decay_table *table, struct gossip_decay *out)
{
    struct gossip *gossip = gossip_create(graph, &params->gossip, (uint32_t)repetition);
    double *logs = table->logs + (size_t)repetition * (table->samples + 1);
    double start = gossip_distance(gossip), latest = start;
    logs[0] = log(start);
    for (size_t k = 1; k <= table->end; k++) {
        gossip_advance(gossip, params->time * (double)k / (double)table->samples);
        double distance = gossip_distance(gossip);
        if (!(distance >= resolved_above * start)) {
            table->exact = table->exact || latest > exact_above * start;
            table->end = k - 1;
            break;
        }
        logs[k] = log(distance);
        latest = distance;
    }
    gossip_advance(gossip, params->time);
    out->meetings += gossip_meetings(gossip);
    gossip_destroy(gossip);
}

/* Slope of values[first … last] over their index, by least squares; exactly 0 where all are equal. */
static double slope_of(const double *values, size_t first, size_t last)
{
    double middle = 0.5 * (double)(first + last), products = 0, squares = 0;
    for (size_t k = first; k <= last; k++) {
        products += ((double)k - middle) * (values[k] - values[first]);
        squares += ((double)k - middle) * ((double)k - middle);
    }
    return products / squares;
}

/* The fit is linear in the logarithms: the slope of their mean is the mean of their slopes. */
static void fit(const struct gossip_decay_params *params, const struct decay_table *table, struct gossip_decay *out)
{
    size_t first = (table->end + 2) / 3, count = (size_t)params->repetitions;
    double spacing = params->time / (double)table->samples, sum = 0, squares = 0;
    out->fit_from = spacing * (double)first;
    out->fit_to = spacing * (double)table->end;
    out->rate = out->spread = NAN;
    if (table->exact || table->end < first + FIT_SAMPLES_MIN - 1)
        return;
    for (size_t r = 0; r < count; r++)
        sum += -slope_of(table->logs + r * (table->samples + 1), first, table->end) / spacing;
    out->rate = sum / (double)count;
    for (size_t r = 0; r < count; r++) {
        double rate = -slope_of(table->logs + r * (table->samples + 1), first, table->end) / spacing;
        squares += (rate - out->rate) * (rate - out->rate);
    }
    if (count > 1)
        out->spread = sqrt(squares / (double)(count - 1));
}

enum status gossip_measure_decay(const struct graph *graph, const struct gossip_decay_params *params,
                                 struct gossip_decay *out)
{
    assert(params->time > 0 && params->repetitions >= 1 && params->repetitions <= GOSSIP_REPETITIONS_MAX);
    size_t vectors = params->gossip.momentum ? 2 : 1;
    if ((double)graph->worker_count * (double)(vectors * params->gossip.dimension) > GOSSIP_NUMBERS_MAX) {
        log_error("gossip: %d workers of dimension %zu are more than %d numbers; take fewer workers or a lower --dim",
                  graph->worker_count, params->gossip.dimension, GOSSIP_NUMBERS_MAX);
        return STATUS_USAGE;
    }
    struct decay_table table = {.samples = graph->worker_count > MANY_WORKERS ? SAMPLES_OF_MANY : SAMPLES};
    table.end = table.samples;
    table.logs = memory_zalloc((size_t)params->repetitions * (table.samples + 1), sizeof *table.logs);
    *out = (struct gossip_decay){.meetings = 0};
    for (int r = 0; r < params->repetitions; r++)
        measure_one(graph, params, r, &table, out);
    fit(params, &table, out);
    free(table.logs);
    return STATUS_OK;
}
