/* What a scenario does to one real worker. */
#include "runtime/mpi/injection.h"

#include <math.h>
#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stopwatch.h"

static double now(const struct injection *injection)
{
    return stopwatch_now() - injection->origin_s;
}

static void tell_pause(double end_s)
{
    if (isfinite(end_s))
        log_on_this_rank(LOG_INFO, "stands still until %g s: injected (inject.pause)", end_s);
    else
        log_on_this_rank(LOG_INFO, "stands still for ever: injected (inject.pause)");
}

double injection_pause(const struct injection *injection)
{
    const double longest_s = 3600; /* of one sleep: more may not fit a clock */
    double begin_s = now(injection), time_s = begin_s;
    double end_s = scenario_pause_end_s(injection->scenario, injection->worker, begin_s);
    if (end_s > begin_s && injection->tells)
        tell_pause(end_s);
    for (; time_s < end_s; time_s = now(injection))
        stopwatch_sleep(fmin(end_s - time_s, longest_s));
    return time_s - begin_s;
}

void injection_spoil(const struct injection *injection, struct worker *worker)
{
    const float none = NAN;
    if (scenario_nan(injection->scenario, injection->worker, now(injection)))
        worker_device_ops(worker)->vector_write(worker_device(worker), worker_gradient_vector(worker), 1, &none);
}

double injection_slow_down(const struct injection *injection, double begin_s)
{
    const struct scenario *scenario = injection->scenario;
    double factor = scenario_slowdown(scenario, injection->worker, begin_s), paused_s = 0;
    double left_s = (factor - 1) * (now(injection) - begin_s);
    for (;;) {
        paused_s += injection_pause(injection);
        if (left_s <= 0)
            return paused_s;
        double time_s = now(injection);
        stopwatch_sleep(fmin(left_s, scenario_next_pause_s(scenario, injection->worker, time_s) - time_s));
        left_s -= now(injection) - time_s;
    }
}

static void *await_death(void *context)
{
    struct injection_death *death = context;
    for (double left_s; (left_s = death->death_s - now(&death->injection)) > 0;)
        if (wakeup_wait(&death->saved, left_s))
            return NULL;
    log_on_this_rank(LOG_WARNING, "dies at %g s: injected (inject.death)", death->death_s);
    kill(getpid(), SIGKILL);
    return NULL;
}

enum status injection_death_start(struct injection_death *death, const struct injection *injection)
{
    *death = (struct injection_death){.injection = *injection,
                                      .death_s = scenario_death_s(injection->scenario, injection->worker)};
    wakeup_init(&death->saved);
    return isfinite(death->death_s) ? thread_start(&death->thread, "death", await_death, death) : STATUS_OK;
}

void injection_death_stop(struct injection_death *death)
{
    wakeup_set(&death->saved);
    thread_join(&death->thread);
    wakeup_release(&death->saved);
}
