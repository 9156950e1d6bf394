/* A worker's own time. */
#include "runtime/mpi/worker_clock.h"

void worker_clock_init(struct worker_clock *clock)
{
    *clock = (struct worker_clock){0};
    pthread_mutex_init(&clock->mutex, NULL);
}

void worker_clock_release(struct worker_clock *clock)
{
    pthread_mutex_destroy(&clock->mutex);
}

void worker_clock_begin(struct worker_clock *clock, double now_s)
{
    pthread_mutex_lock(&clock->mutex);
    clock->begin_s = now_s;
    clock->running = true;
    pthread_mutex_unlock(&clock->mutex);
}

void worker_clock_end(struct worker_clock *clock, double now_s)
{
    pthread_mutex_lock(&clock->mutex);
    double elapsed_s = now_s - clock->begin_s;
    clock->average_s = clock->average_s > 0 ? 0.5 * clock->average_s + 0.5 * elapsed_s : elapsed_s;
    clock->running = false;
    clock->steps++;
    pthread_mutex_unlock(&clock->mutex);
}

double worker_clock_time(struct worker_clock *clock, double now_s)
{
    pthread_mutex_lock(&clock->mutex);
    double time = (double)clock->steps;
    if (clock->running && clock->average_s > 0) {
        double share = (now_s - clock->begin_s) / clock->average_s;
        /* Below 0: the gradient began after the caller had looked at the clock. */
        time += share < 0 ? 0 : share < 1 ? share : 1;
    }
    if (time < clock->floor)
        time = clock->floor;
    pthread_mutex_unlock(&clock->mutex);
    return time;
}

uint64_t worker_clock_steps(struct worker_clock *clock)
{
    pthread_mutex_lock(&clock->mutex);
    uint64_t steps = clock->steps;
    pthread_mutex_unlock(&clock->mutex);
    return steps;
}

double worker_clock_average(struct worker_clock *clock)
{
    pthread_mutex_lock(&clock->mutex);
    double average_s = clock->average_s;
    pthread_mutex_unlock(&clock->mutex);
    return average_s;
}
