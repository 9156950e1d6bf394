/* What happens at an event: the worker's verbs, and the counts that go with them. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/random.h"
#include "runtime/sim/sim_jobs.h"
#include "runtime/sim/simulation_state.h"

void sim_span(const struct simulation *sim, int worker, enum span_lane lane, enum span_kind kind, double begin,
              double end, int peer)
{
    if (sim->observer->on_span != NULL)
        sim->observer->on_span(sim->observer->context, worker, lane, kind, begin, end, peer);
}

static void tell(const struct simulation *sim, enum event_kind kind, int worker, int peer, uint64_t meeting, double t,
                 double progress)
{
    if (sim->observer->on_event == NULL)
        return;
    const struct sim_worker *w = &sim->workers[worker];
    struct event_report report = {
        .kind = kind,
        .worker = worker,
        .peer = peer,
        .meeting = meeting,
        .step = w->steps,
        .time_s = sim->now,
        .t = t,
        .progress = progress,
        .learning_rate = worker_learning_rate(w->worker, progress),
    };
    sim->observer->on_event(sim->observer->context, &report);
}

void sim_begin(struct simulation *sim, int worker)
{
    if (!sim->again)
        worker_cast(sim->workers[worker].worker);
    tell(sim, EVENT_BEGIN, worker, -1, 0, 0, 0);
}

void sim_cast_at(struct simulation *sim, int worker)
{
    if (!sim->again)
        worker_cast_at(sim->workers[worker].worker, sim->now);
}

/* A gradient of this worker is not finite: the device leaves it out (device.h). */
static enum status judge(struct simulation *sim, int worker, const char *what)
{
    struct sim_worker *w = &sim->workers[worker];
    w->bad_in_a_row++;
    w->astray = sim->run->on_nan == ON_NAN_REJOIN;
    if (sim->run->on_nan != ON_NAN_STOP && w->bad_in_a_row < RUNTIME_BAD_IN_A_ROW_MOST)
        return STATUS_OK;
    log_error("the %s of gradient %llu of worker %d is not finite%s: lower optimizer.lr (%g here), lengthen "
              "schedule.warmup_epochs, or clip (optimizer.clip_norm)",
              what, (unsigned long long)w->resulted, worker,
              sim->run->on_nan != ON_NAN_STOP ? ", as that of many before it" : "",
              worker_learning_rate(w->worker, sim_progress(sim)));
    return STATUS_USAGE;
}

/* The norm of the last gradient that was applied may not have been finite though its loss was. */
enum status sim_look_at_left_out(struct simulation *sim)
{
    const struct simulation_params *params = sim->params;
    uint64_t left_out = params->ops->left_out(params->device);
    bool bad = left_out != sim->left_out;
    sim->left_out = left_out;
    if (bad && sim->workers[sim->updated].bad_in_a_row == 0)
        return judge(sim, sim->updated, "norm");
    if (!bad)
        sim->workers[sim->updated].bad_in_a_row = 0;
    return STATUS_OK;
}

enum status sim_take_result(struct simulation *sim, int worker, const struct gradient_result *result)
{
    struct sim_worker *w = &sim->workers[worker];
    w->resulted++;
    if (!result->finite) {
        if (sim->run->on_nan != ON_NAN_STOP)
            worker_take_statistics_back(w->worker);
        return judge(sim, worker, "loss");
    }
    w->since.loss += result->loss;
    w->since.correct += result->correct;
    w->since.steps++;
    return STATUS_OK;
}

/* The oldest result that has not been looked at. */
static enum status take_result(struct simulation *sim)
{
    int worker = sim->waiting[0];
    struct gradient_result result;
    TRY(worker_result(sim->workers[worker].worker, --sim->waiting_count, &result));
    memmove(sim->waiting, sim->waiting + 1, (size_t)sim->waiting_count * sizeof sim->waiting[0]);
    return sim_take_result(sim, worker, &result);
}

enum status sim_gradient(struct simulation *sim, int worker)
{
    struct worker *of = sim->workers[worker].worker;
    if (sim->again) {
        sim->workers[worker].resulted++;
        sim->workers[worker].since.steps++;
        return STATUS_OK;
    }
    TRY(sim_look_at_left_out(sim));
    TRY(worker_load(of));
    if (sim->run->on_nan != ON_NAN_STOP)
        worker_keep_statistics(of);
    TRY(worker_gradient(of, NULL, NULL, NULL));
    if (scenario_nan(sim->params->scenario, worker, sim->now) && sim->params->time == SIMULATED_MODELLED)
        sim->params->ops->vector_write(sim->params->device, worker_gradient_vector(of), 1, &(float){NAN});
    sim->waiting[sim->waiting_count++] = worker;
    int ahead = sim->run->on_nan == ON_NAN_STOP ? worker_run_ahead(of) : 0; /* else statistics are taken back */
    while (sim->waiting_count > ahead)
        TRY(take_result(sim));
    return STATUS_OK;
}

enum status sim_results(struct simulation *sim)
{
    if (sim->jobs != NULL)
        TRY(sim_jobs_finish_all(sim->jobs));
    while (sim->waiting_count > 0)
        TRY(take_result(sim));
    return STATUS_OK;
}

void sim_count_update(struct simulation *sim, int worker, double t, double progress)
{
    sim->workers[worker].steps++;
    tell(sim, EVENT_UPDATE, worker, -1, 0, t, progress);
    tell(sim, EVENT_BEGIN, worker, -1, 0, t, progress);
    sim->gradients++;
}

void sim_update(struct simulation *sim, int worker, double t, double progress)
{
    struct worker *of = sim->workers[worker].worker;
    if (!sim->again) {
        worker_update(of, t, progress);
        worker_cast(of);
    }
    sim->updated = worker;
    sim_count_update(sim, worker, t, progress);
}

bool sim_due(const struct simulation *sim, double period, double *next)
{
    double epoch = (double)sim->gradients / sim->run->gradients_per_epoch;
    if (period <= 0 || epoch < *next || sim_finished(sim))
        return false;
    *next = runtime_next_due(period, epoch);
    return true;
}

/* The vectors are what the events so far have made of them. */
static enum status settle(struct simulation *sim)
{
    return sim->jobs != NULL ? sim_jobs_finish_all(sim->jobs) : STATUS_OK;
}

enum status sim_after_step(struct simulation *sim, int worker)
{
    const struct runtime_params *run = sim->run;
    if (run->log_every > 0 && sim->workers[worker].steps % run->log_every == 0) {
        TRY(sim->jobs != NULL ? sim_jobs_finish(sim->jobs, worker) : sim_results(sim));
        sim_report_step(sim, worker);
    }
    if (run->log_every > 0 && sim->gradients >= sim->next_network) {
        sim->next_network += run->log_every * (uint64_t)sim->count;
        TRY(settle(sim));
        if (!sim->again)
            sim_report_network(sim);
    }
    if (sim_due(sim, run->eval_every_epochs, &sim->next_evaluation) && !sim->again)
        TRY(sim_evaluate(sim));
    if (sim_due(sim, run->checkpoint_every_epochs, &sim->next_checkpoint) && !sim->again) {
        TRY(settle(sim));
        sim_checkpoint(sim, false, (double)sim->gradients / run->gradients_per_epoch);
    }
    return sim_state_after_step(sim);
}

void sim_snapshot(struct simulation *sim, int worker, int peer, uint64_t meeting, double t, float *out)
{
    struct sim_worker *w = &sim->workers[worker];
    if (!sim->again)
        worker_snapshot(w->worker, t, 0, worker_parameter_size(w->worker), out);
    tell(sim, EVENT_SNAPSHOT, worker, peer, meeting, t, sim_progress(sim));
}

/* The difference; or the peer's model, for a worker that has gone astray; or nothing, where the peer has. */
static void move(struct simulation *sim, int worker, int peer, uint64_t meeting, double t, const float *own,
                 const float *theirs)
{
    struct sim_worker *w = &sim->workers[worker];
    const struct sim_worker *other = &sim->workers[peer];
    bool peer_astray =
        other->astray || (other->rejoined_peer == worker && meeting > 0 && other->rejoined_meeting == meeting);
    if (w->astray && !peer_astray) {
        worker_adopt(w->worker, t, theirs);
        w->astray = false;
        w->rejoined_peer = peer;
        w->rejoined_meeting = meeting;
    } else if (!w->astray && !peer_astray) {
        w->distance_sum += worker_pair_distance(w->worker, own, theirs);
        worker_exchange(w->worker, t, own, theirs);
    }
}

void sim_apply(struct simulation *sim, int worker, int peer, uint64_t meeting, double t, const float *own,
               const float *theirs)
{
    struct sim_worker *w = &sim->workers[worker];
    if (!sim->again) {
        move(sim, worker, peer, meeting, t, own, theirs);
    }
    tell(sim, EVENT_APPLY, worker, peer, meeting, t, sim_progress(sim));
    w->exchanges++;
}

void sim_count_meeting(struct simulation *sim, int edge)
{
    sim->edge_meetings[edge]++;
    sim->exchanges++;
}

void sim_done(struct simulation *sim, int worker, double t)
{
    tell(sim, EVENT_DONE, worker, -1, 0, t, sim_progress(sim));
}

void sim_lose(struct simulation *sim, int worker, int peer, double t)
{
    sim->workers[worker].lost++;
    tell(sim, EVENT_LOST, worker, peer, 0, t, sim_progress(sim));
}

static double draw(const struct simulation_params *p, struct random_stream *stream)
{
    double spread;
    switch (p->law) {
    case DURATION_CONSTANT:
        return 1;
    case DURATION_NORMAL: { /* a duration is positive: what lies below a hundredth of the mean is drawn again */
        double value;
        while ((value = 1 + p->jitter * random_normal(stream)) < 0.01)
            ;
        return value;
    }
    case DURATION_LOGNORMAL:
        spread = sqrt(log1p(p->jitter * p->jitter));
        return exp(spread * random_normal(stream) - spread * spread / 2);
    case DURATION_EXPONENTIAL:
        return random_exponential(stream);
    }
    return 1;
}

double sim_duration(const struct simulation *sim, int worker, uint64_t step)
{
    const struct simulation_params *p = sim->params;
    struct random_stream stream = random_stream(sim->run->seed, RANDOM_STEP, (uint32_t)worker, step);
    if (p->time == SIMULATED_IDEAL)
        return p->poisson ? random_exponential(&stream) : 1;
    struct random_stream of_worker = random_stream(sim->run->seed, RANDOM_SPEED, (uint32_t)worker, 0);
    double spread = sqrt(log1p(p->speed_spread * p->speed_spread));
    double mean = p->step_s * exp(spread * random_normal(&of_worker) - spread * spread / 2);
    return mean * draw(p, &stream) * scenario_slowdown(p->scenario, worker, sim->now);
}

double sim_finish_time(const struct simulation *sim, int worker, double begin, double work)
{
    const struct scenario *scenario = sim->params->scenario;
    if (sim->params->time == SIMULATED_IDEAL || scenario_calm(scenario))
        return begin + work;
    double from = scenario_pause_end_s(scenario, worker, begin);
    while (from < INFINITY) {
        double pause = scenario_next_pause_s(scenario, worker, from);
        if (from + work <= pause)
            return from + work;
        work -= pause - from;
        from = scenario_pause_end_s(scenario, worker, pause);
    }
    return INFINITY;
}
