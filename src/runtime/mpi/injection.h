/* What a scenario does to one real worker: it sleeps, stands still, computes nonsense and dies. (Links:
 * communicator.c.)
 *
 * Times in seconds since the run began, as in reports. */
#ifndef GRAPEVINE_RUNTIME_MPI_INJECTION_H
#define GRAPEVINE_RUNTIME_MPI_INJECTION_H

#include <stdbool.h>

#include "base/status.h"
#include "base/thread.h"
#include "runtime/scenario.h"
#include "worker/worker.h"

struct injection {
    const struct scenario *scenario; /* borrowed; NULL: none */
    int worker;
    double origin_s; /* stopwatch time at which the run began */
    bool tells;      /* log the pauses: one of the worker's threads does */
};

/* Stand still while a pause holds, on the calling thread. Returns for how long. */
double injection_pause(const struct injection *injection);

/* A gradient that began at `begin_s` has been computed: make it last as long as the scenario says, (factor − 1) times
 * what it has taken, standing still meanwhile wherever a pause holds. Returns how long it has stood still, which is no
 * part of the gradient's duration. */
double injection_slow_down(const struct injection *injection, double begin_s);

/* Spoil the gradient that has just been computed, where the scenario says so. */
void injection_spoil(const struct injection *injection, struct worker *worker);

/* Kills the process when the worker's time has come, whatever its threads are doing. */
struct injection_death {
    struct injection injection;
    double death_s;
    struct thread thread;
    struct wakeup saved;
};

/* Waits on a thread of its own; starts none for a worker that does not die. */
enum status injection_death_start(struct injection_death *death, const struct injection *injection);
void injection_death_stop(struct injection_death *death);

#endif
