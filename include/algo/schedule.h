/* The learning rate as a function of *global* progress: the share of the run's gradients that all workers together have
 * done. Fast workers do more, and everybody follows the same curve.
 *
 *     rate(p) = ramp(p)·decay(p)
 *     ramp(p) = start + (peak − start)·p/warmup while p < warmup, then peak
 *     decay(p): constant  1
 *               step      factor^(number of milestones ≤ p)
 *               cosine    ½(1 + cos(π·(p − warmup)/(1 − warmup))) from p = warmup on, 1 before
 *
 *     peak = base_rate·batch·worker_count/per_samples,  start = min(base_rate, peak)
 *     warmup = min(1, warmup_epochs/epochs) */
#ifndef GRAPEVINE_ALGO_SCHEDULE_H
#define GRAPEVINE_ALGO_SCHEDULE_H

#include <stddef.h>

#include "base/status.h"

enum { SCHEDULE_MILESTONES_MAX = 16 };

enum schedule_kind { SCHEDULE_STEP, SCHEDULE_COSINE, SCHEDULE_CONSTANT };

struct schedule_params {
    const char *name;   /* of schedule_names(); read by schedule_init only */
    double base_rate;   /* optimizer.lr: per `per_samples` samples */
    double per_samples; /* 256; 0: base_rate is the peak itself */
    size_t batch;       /* of one worker */
    int worker_count;
    double epochs;                              /* of the run, summed over workers, > 0 */
    double warmup_epochs;                       /* summed over workers; < 0: 5, capped at 5 % of all epochs */
    double milestones[SCHEDULE_MILESTONES_MAX]; /* shares of the run, ascending */
    int milestone_count;
    double factor; /* at each milestone */
};

struct schedule {
    struct schedule_params params;
    enum schedule_kind kind;
    double peak;   /* base_rate·batch·worker_count/per_samples */
    double start;  /* min(base_rate, peak): where warm-up starts */
    double warmup; /* share of the run */
};

/* STATUS_USAGE (logged): an unknown name (nearest named), milestones that are not ascending shares of the run. */
enum status schedule_init(struct schedule *schedule, const struct schedule_params *params);
/* Learning rate at progress p in [0, 1] (beyond 1: as at 1). */
double schedule_rate(const struct schedule *schedule, double progress);
/* NULL-terminated: step cosine constant. */
const char *const *schedule_names(void);

#endif
