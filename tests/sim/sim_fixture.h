/* A simulated run inside a test: configuration by key=value, and all that the observer was told, as exact numbers.
 *
 * The model is a linear one on drawn samples, too small to take time; the learning rate is 0 unless a test gives
 * another, so that nothing but the clock decides. Vectors that the run itself allocates are counted. */
#ifndef GRAPEVINE_TESTS_SIM_SIM_FIXTURE_H
#define GRAPEVINE_TESTS_SIM_SIM_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/plan.h"
#include "app/worker_group.h"
#include "base/log.h"
#include "base/memory.h"
#include "capture.h"
#include "config/config.h"
#include "device/device.h"
#include "runtime/simulation.h"

struct seen_span {
    int worker, peer;
    enum span_lane lane;
    enum span_kind kind;
    double begin_s, end_s;
};

struct sim_run {
    struct config *config; /* owned */
    struct plan *plan;     /* owned */
    struct worker_group group;
    struct event_report *events; /* owned (event_count), as of the next three: in the order they were told */
    struct seen_span *spans;
    struct step_report *steps;
    struct network_report *networks;
    size_t event_count, span_count, step_count, network_count;
    struct runtime_result result; /* only where status is STATUS_OK */
    enum status status;
    struct capture said; /* said.text: what the run wrote to standard error */
    int workers;
    int trained;              /* how often it said that training was over */
    bool differ_when_trained; /* workers 0 and 1, then */
    double bytes;             /* of one snapshot */
    int vectors_most;         /* that the run held at once, beside the workers' own */
    size_t snapshots_bound;   /* what it had promised */
};

static int vectors_now, vectors_most;
static const struct device_ops *real_ops;

static inline enum status counting_alloc(struct device *device, size_t count, float **out)
{
    vectors_now++;
    vectors_most = vectors_now > vectors_most ? vectors_now : vectors_most;
    return real_ops->vector_alloc(device, count, out);
}

static inline void counting_free(struct device *device, float *vector)
{
    vectors_now -= vector != NULL;
    real_ops->vector_free(device, vector);
}

/* `list` with room for one more; grows by doubling at powers of two. */
static inline void *with_room(void *list, size_t count, size_t size)
{
    return count == 0 || (count & (count - 1)) == 0 ? memory_realloc(list, 2 * count + 1, size) : list;
}

static inline void see_event(void *context, const struct event_report *report)
{
    struct sim_run *run = context;
    run->events = with_room(run->events, run->event_count, sizeof run->events[0]);
    run->events[run->event_count++] = *report;
}

static inline void see_step(void *context, const struct step_report *report)
{
    struct sim_run *run = context;
    run->steps = with_room(run->steps, run->step_count, sizeof run->steps[0]);
    run->steps[run->step_count++] = *report;
}

static inline void see_network(void *context, const struct network_report *report)
{
    struct sim_run *run = context;
    run->networks = with_room(run->networks, run->network_count, sizeof run->networks[0]);
    run->networks[run->network_count++] = *report;
}

static inline void see_evaluation(void *context, const struct evaluation_report *report)
{
    (void)context;
    (void)report;
}

static inline void see_span(void *context, int worker, enum span_lane lane, enum span_kind kind, double begin_s,
                            double end_s, int peer)
{
    struct sim_run *run = context;
    run->spans = with_room(run->spans, run->span_count, sizeof run->spans[0]);
    run->spans[run->span_count++] = (struct seen_span){
        .worker = worker, .peer = peer, .lane = lane, .kind = kind, .begin_s = begin_s, .end_s = end_s};
}

/* A test's own look at the workers when training is over; NULL: none. */
static void (*sim_when_trained)(struct sim_run *run);

static inline void see_trained(void *context)
{
    struct sim_run *run = context;
    run->trained++;
    if (sim_when_trained != NULL)
        sim_when_trained(run);
    run->differ_when_trained =
        run->workers > 1 && memcmp(worker_parameters(run->group.workers[0]), worker_parameters(run->group.workers[1]),
                                   (size_t)run->bytes) != 0;
}

static inline void sim_set(struct sim_run *run, const char *const *settings)
{
    static const char *const common[] = {"data.name=gaussian",
                                         "data.dimension=4",
                                         "data.classes=2",
                                         "data.train_count=100",
                                         "data.test_count=4",
                                         "model.name=linear",
                                         "optimizer.lr=0",
                                         "optimizer.lr_per_samples=0",
                                         "schedule.name=constant",
                                         "schedule.warmup_epochs=0",
                                         "train.batch=1",
                                         "train.epochs=1",
                                         "run.log_every=0",
                                         "run.eval_every_epochs=0",
                                         "run.checkpoint_every_epochs=0",
                                         "device.name=cpu",
                                         "device.threads=1",
                                         NULL};
    for (const char *const *setting = common; *setting != NULL; setting++)
        assert_int_equal(config_set(run->config, *setting), STATUS_OK);
    for (; *settings != NULL; settings++)
        assert_int_equal(config_set(run->config, *settings), STATUS_OK);
}

/* The plan is made and run; both may fail, as `status` and `said` tell. */
static inline enum status sim_execute(struct sim_run *run)
{
    struct plan_place place = {.worker_count = run->workers, .simulated = true};
    TRY(plan_create(run->config, &place, &run->plan));
    bool modelled = strcmp(run->config->simulate.time, "modelled") == 0;
    TRY(worker_group_create(run->plan, modelled && run->plan->algo->meets == ALGO_MEETS_ONE, &run->group));
    struct runtime_params run_params = plan_runtime_params(run->plan);
    run_params.trained = see_trained;
    run_params.trained_context = run;
    struct simulation_params params = plan_simulation_params(run->plan, &run_params);
    params.engines = run->group.engines;
    params.engine_count = run->group.engine_count;
    struct device_ops ops = *run->plan->ops;
    ops.vector_alloc = counting_alloc;
    ops.vector_free = counting_free;
    real_ops = run->plan->ops;
    params.ops = &ops;
    vectors_now = vectors_most = 0;
    run->bytes = (double)run->plan->spec->parameter_size * sizeof(float);
    run->snapshots_bound = simulation_snapshots_most(&params, run->workers);
    const struct observer observer = {.context = run,
                                      .on_event = see_event,
                                      .on_step = see_step,
                                      .on_network = see_network,
                                      .on_evaluation = see_evaluation,
                                      .on_span = see_span};
    enum status status = runtime_sim_run(&params, run->group.workers, run->workers, &observer, &run->result);
    run->vectors_most = vectors_most;
    assert_int_equal(vectors_now, 0);
    return status;
}

static inline struct sim_run *sim_run_settings(const char *const *settings)
{
    struct sim_run *run = memory_zalloc(1, sizeof *run);
    run->config = config_create();
    sim_set(run, settings);
    run->workers = (int)run->config->train.workers;
    capture_begin(&run->said);
    run->status = sim_execute(run);
    capture_end(&run->said);
    return run;
}

/* A run with these keys, given as texts "section.key=value", whatever becomes of it. */
#define SIM_TRY(...) sim_run_settings((const char *const[]){__VA_ARGS__, NULL})
/* The same, where it must go well. */
#define SIM_RUN(...) sim_expect_ok(SIM_TRY(__VA_ARGS__))

static inline struct sim_run *sim_expect_ok(struct sim_run *run)
{
    if (run->status != STATUS_OK)
        fail_msg("status %d, said: %s", (int)run->status, run->said.text);
    return run;
}

static inline void sim_free(struct sim_run *run)
{
    if (run->status == STATUS_OK)
        runtime_result_release(&run->result);
    if (run->group.workers != NULL)
        worker_group_release(&run->group);
    plan_destroy(run->plan);
    config_destroy(run->config);
    free(run->events);
    free(run->spans);
    free(run->steps);
    free(run->networks);
    free(run);
}

/* The run was refused with one line, which has `words`. */
static inline void assert_refused(const struct sim_run *run, const char *words)
{
    const char *error = strstr(run->said.text, "error: ");
    if (run->status != STATUS_USAGE || error == NULL || strstr(error + 1, "error: ") != NULL ||
        strstr(error, words) == NULL)
        fail_msg("status %d, expected one error with \"%s\"; said: %s", (int)run->status, words, run->said.text);
}

static inline void assert_near(double value, double expected, double allowed)
{
    if (!(fabs(value - expected) <= allowed))
        fail_msg("%.17g, expected %.17g ± %.3g", value, expected, allowed);
}

/* Sums over samples, and what is estimated from them. */
struct moments {
    double count, sum, squares;
};

static inline void moments_add(struct moments *moments, double value)
{
    moments->count++;
    moments->sum += value;
    moments->squares += value * value;
}

static inline double moments_mean(const struct moments *moments)
{
    return moments->sum / moments->count;
}

static inline double moments_variance(const struct moments *moments)
{
    double mean = moments_mean(moments);
    return (moments->squares - moments->count * mean * mean) / (moments->count - 1);
}

#endif
