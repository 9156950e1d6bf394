/* Monotonic time. */
#include "base/stopwatch.h"

#include <time.h>

static double read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double stopwatch_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double stopwatch_thread_cpu(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void stopwatch_sleep(double seconds)
{
    if (seconds <= 0)
        return;
    struct timespec span = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&span, NULL);
}
