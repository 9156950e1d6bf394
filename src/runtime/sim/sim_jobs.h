/* Gradients of several workers at once, in ideal time. A gradient depends on its worker alone: it is begun at its event
 * and applied before anything else touches that worker, or looks at it, so that every bit is what it would be if it
 * were applied at once. Events, counts and their order are the simulation's, and do not wait. Private to
 * src/runtime/sim. */
#ifndef GRAPEVINE_SRC_RUNTIME_SIM_SIM_JOBS_H
#define GRAPEVINE_SRC_RUNTIME_SIM_SIM_JOBS_H

#include "runtime/sim/simulation_state.h"

struct sim_jobs;

/* NULL where one gradient at a time is wanted, or has to be judged before the next. STATUS_MACHINE (logged). */
enum status sim_jobs_create(struct simulation *sim, struct sim_jobs **out);
/* Ends the threads, after the gradients under way, which are dropped. NULL is fine. */
void sim_jobs_destroy(struct sim_jobs *jobs);

/* Begin the gradient of a worker that has none under way, at its x of now; `progress` is the run's before it. Waits
 * where as many are under way as there are engines. Errors are those of gradients that have been finished meanwhile. */
enum status sim_jobs_begin(struct sim_jobs *jobs, int worker, double progress);
/* Apply the worker's gradient, if one is under way: its result is counted, its vectors are of now. As sim_gradient. */
enum status sim_jobs_finish(struct sim_jobs *jobs, int worker);
/* The same for all, in the order in which they were begun. */
enum status sim_jobs_finish_all(struct sim_jobs *jobs);

#endif
