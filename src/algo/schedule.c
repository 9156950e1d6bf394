/* Learning-rate schedules over global progress; schedule.h has the formulas. */
#include "algo/schedule.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

enum { KIND_COUNT = 3 };

static const char *const names[KIND_COUNT + 1] = {
    [SCHEDULE_STEP] = "step", [SCHEDULE_COSINE] = "cosine", [SCHEDULE_CONSTANT] = "constant"};

static enum status find_kind(const char *name, enum schedule_kind *kind)
{
    for (int i = 0; i < KIND_COUNT; i++) {
        if (strcmp(name, names[i]) == 0) {
            *kind = (enum schedule_kind)i;
            return STATUS_OK;
        }
    }
    const char *nearest = text_nearest(name, names, KIND_COUNT);
    struct text allowed = {0};
    text_add_list(&allowed, names, KIND_COUNT);
    if (nearest != NULL)
        log_error("schedule.name: no schedule is called '%s'; did you mean '%s'? (%s)", name, nearest,
                  text_view(&allowed));
    else
        log_error("schedule.name: no schedule is called '%s'; known: %s", name, text_view(&allowed));
    text_release(&allowed);
    return STATUS_USAGE;
}

static enum status check_milestones(const struct schedule_params *params)
{
    assert(params->milestone_count >= 0 && params->milestone_count <= SCHEDULE_MILESTONES_MAX);
    double before = 0;
    for (int i = 0; i < params->milestone_count; i++) {
        if (!(params->milestones[i] >= before && params->milestones[i] <= 1)) {
            log_error("schedule.milestones: item %d is %g, but milestones are shares of the run in (0, 1), ascending, "
                      "such as [0.5, 0.75]",
                      i + 1, params->milestones[i]);
            return STATUS_USAGE;
        }
        before = params->milestones[i];
    }
    return STATUS_OK;
}

static double warmup_share(const struct schedule_params *params)
{
    if (params->warmup_epochs >= 0)
        return fmin(params->warmup_epochs / params->epochs, 1);
    return fmin(5 / params->epochs, 0.05);
}

enum status schedule_init(struct schedule *schedule, const struct schedule_params *params)
{
    assert(params->epochs > 0 && params->batch > 0 && params->worker_count > 0);
    enum schedule_kind kind;
    TRY(find_kind(params->name, &kind));
    TRY(check_milestones(params));
    double peak = params->base_rate;
    if (params->per_samples > 0)
        peak = params->base_rate * (double)params->batch * params->worker_count / params->per_samples;
    *schedule = (struct schedule){
        .params = *params,
        .kind = kind,
        .peak = peak,
        .start = fmin(params->base_rate, peak),
        .warmup = warmup_share(params),
    };
    return STATUS_OK;
}

static double step_decay(const struct schedule_params *params, double progress)
{
    double decay = 1;
    for (int i = 0; i < params->milestone_count && params->milestones[i] <= progress; i++)
        decay *= params->factor;
    return decay;
}

static double cosine_decay(double warmup, double progress)
{
    if (progress <= warmup)
        return 1;
    return 0.5 * (1 + cos(acos(-1) * (progress - warmup) / (1 - warmup)));
}

double schedule_rate(const struct schedule *schedule, double progress)
{
    double p = fmin(fmax(progress, 0), 1), rate = schedule->peak;
    if (p < schedule->warmup)
        rate = schedule->start + (schedule->peak - schedule->start) * (p / schedule->warmup);
    switch (schedule->kind) {
    case SCHEDULE_STEP:
        return rate * step_decay(&schedule->params, p);
    case SCHEDULE_COSINE:
        return rate * cosine_decay(schedule->warmup, p);
    case SCHEDULE_CONSTANT:
        break;
    }
    return rate;
}

const char *const *schedule_names(void)
{
    return names;
}
