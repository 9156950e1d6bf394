/* A worker's own time: gradients completed, plus the share of the present one that has passed.
 *
 *     t = steps + min(1, elapsed / average duration)     between begin and end of a gradient, else t = steps
 *
 * In a run that goes on t never falls below the `floor` that it had reached before. The average is exponential, ½ and
 * ½. Time stands still whenever no gradient is being computed (evaluation, a wait for enforce_rate) and while the
 * process is suspended (the share is capped), so no burst of ticks follows a pause.
 * The compute thread writes, both threads read; the caller passes real time. */
#ifndef GRAPEVINE_RUNTIME_MPI_WORKER_CLOCK_H
#define GRAPEVINE_RUNTIME_MPI_WORKER_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct worker_clock {
    pthread_mutex_t mutex;
    uint64_t steps;   /* guarded by mutex, as all below */
    double begin_s;   /* of the present gradient */
    double average_s; /* 0 before the first */
    double floor;     /* time is never less: events of a run that goes on have been at this time */
    bool running;
};

void worker_clock_init(struct worker_clock *clock);
void worker_clock_release(struct worker_clock *clock);
void worker_clock_begin(struct worker_clock *clock, double now_s);
void worker_clock_end(struct worker_clock *clock, double now_s); /* one more gradient is complete */
double worker_clock_time(struct worker_clock *clock, double now_s);
uint64_t worker_clock_steps(struct worker_clock *clock);
double worker_clock_average(struct worker_clock *clock); /* seconds of one gradient */

#endif
