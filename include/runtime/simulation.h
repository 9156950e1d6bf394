/* The simulator: the program under a virtual clock. N workers in one process, the same worker verbs and algorithms as
 * under MPI; only *when* events happen is drawn instead of lived through.
 *
 * Ideal time is the theory's (A²CiD², eq. 5.22-5.23 of Oyallon's thesis): one unit is an expected gradient, gradients
 * happen at the ticks of Poisson clocks of rate 1 (or at 1, 2, 3, …) and are taken at x as it is at that moment;
 * meetings happen at the ticks of the edges' clocks and take no time. Everybody's own time is the common one.
 *
 * Modelled time is the program's, in seconds: a gradient takes a while and is taken at x as it was when it began, ticks
 * come in the worker's own time (gradients completed, and the share of the present one), meetings are asked for,
 * granted, and travel over links with latency and bandwidth; a worker holds one meeting at a time, waits for meetings
 * that are due (enforce_rate), and suffers what the scenario says. Each meeting in flight keeps two snapshots.
 *
 * Deterministic: the same parameters give the same bytes of every report, whatever else the machine does. Events at the
 * same time come in the order in which they were scheduled. */
#ifndef GRAPEVINE_RUNTIME_SIMULATION_H
#define GRAPEVINE_RUNTIME_SIMULATION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "runtime/observer.h"
#include "runtime/run_state.h"
#include "runtime/runtime.h"
#include "runtime/scenario.h"
#include "worker/worker.h"

struct optimum;

enum simulated_time { SIMULATED_IDEAL, SIMULATED_MODELLED };

enum duration_law { DURATION_CONSTANT, DURATION_NORMAL, DURATION_LOGNORMAL, DURATION_EXPONENTIAL };

struct simulation_params {
    const struct runtime_params *run; /* borrowed; transport, chunks and buckets say nothing here */
    enum simulated_time time;
    bool poisson; /* ideal: gradients at random times, else at 1, 2, 3, … */
    /* modelled: */
    enum duration_law law; /* of a gradient's duration */
    double step_s;         /* its mean, > 0 */
    double jitter;         /* its deviation over its mean (normal, lognormal) */
    double speed_spread;   /* deviation over mean of the workers' means (lognormal) */
    double overlap;        /* all-reduce: share of a gradient during which buckets may already travel, in [0, 1] */
    const struct scenario *scenario; /* borrowed: links, and what goes wrong */
    const struct device_ops *ops;
    struct device *device;         /* borrowed: where the workers' vectors are */
    const struct optimum *optimum; /* borrowed; NULL: not known */
    /* Ideal time, workers that meet in pairs: so many gradients are computed at once, each by a thread of its own. The
     * workers share these engines, on devices of their own; host memory. The results are the same. */
    struct engine *const *engines; /* borrowed (engine_count) */
    int engine_count;              /* 0 or 1: one at a time, in the engine that the workers have */
    /* Called with the whole state, which it keeps: every run->state_every_epochs (0: never), and when *stop has become
     * other than 0, after which the run ends with STATUS_REQUEUE. A failure (logged) ends the run only in the latter
     * case. */
    enum status (*save)(void *context, const struct run_state *state);
    const atomic_int *stop; /* NULL: is never asked to */
    /* To go on from a state: the first of its numbers (0: from the beginning), and what sets all vectors and numbers of
     * `state`, whose names and counts are there, to what was kept. STATUS_DATA (logged) where they are not the same
     * ones. */
    uint64_t resume_after;
    enum status (*restore)(void *context, struct run_state *state);
    void *state_context; /* of both */
};

/* Train as runtime_mpi_run does, with `worker_count` workers that share an engine: in modelled time they keep the point
 * of the gradient under way (worker_params.keeps_point), in ideal time they do not. On return every worker that lives
 * holds the averaged model. result->wall_s, idle and reports are in virtual time. STATUS_USAGE (logged): a loss is not
 * finite, or an all-reduce has lost a worker. STATUS_DATA (logged): the state is of another run. A run that goes on
 * first goes through its events so far, which takes microseconds each: spans and events are told again, reports are
 * not. */
enum status runtime_sim_run(const struct simulation_params *params, struct worker *const *workers, int worker_count,
                            const struct observer *observer, struct runtime_result *out);

/* How many vectors as long as x a run needs at once beside its workers': snapshots of the meetings in flight, and one
 * for pieces of all x at one time. */
size_t simulation_snapshots_most(const struct simulation_params *params, int worker_count);
/* How many they are likely to take at their peak, for x of `count` elements: by Little's law the mean number in flight
 * is the sum over edges of rate times duration, and a Poisson number seldom exceeds its mean m by more than 4 √m. */
size_t simulation_snapshots_likely(const struct simulation_params *params, int worker_count, size_t count);

#endif
