/* The state of a simulation, and the steps that all kinds of time have in common. Private to src/runtime/sim.
 *
 * sim_runtime.c runs it; sim_ideal.c, sim_modelled.c and sim_rounds.c decide when events happen; sim_step.c makes them
 * happen; sim_report.c tells the observer; sim_closing.c averages and tests. */
#ifndef GRAPEVINE_SRC_RUNTIME_SIM_SIMULATION_STATE_H
#define GRAPEVINE_SRC_RUNTIME_SIM_SIMULATION_STATE_H

#include "base/heap.h"
#include "graph/edge_clock.h"
#include "runtime/simulation.h"
#include "runtime/theory.h"

/* Sums since the last step report of a worker. */
struct sim_since {
    double begin, loss, idle, distance_sum;
    uint64_t steps, correct, exchanges;
};

struct sim_worker {
    struct worker *worker;   /* borrowed */
    struct edge_clock clock; /* its half edges' */
    uint64_t steps;          /* gradients done */
    uint64_t resulted;       /* gradients whose results have been looked at */
    int bad_in_a_row;        /* of its gradients, not finite */
    bool astray;             /* it is to take over the model of the next that it meets */
    int rejoined_peer;       /* it has done so last in that meeting with that worker */
    uint64_t rejoined_meeting;
    uint64_t exchanges, ticks, unserved, lost, pending;
    double idle; /* time that it waited for others */
    double distance_sum;
    bool dead;
    struct sim_since since;
};

struct sim_jobs;

struct simulation {
    const struct simulation_params *params;
    const struct runtime_params *run;
    const struct observer *observer;
    struct sim_worker *workers; /* owned (count) */
    int count;
    struct heap heap;
    double now, end;                         /* the present; when the last gradient was done */
    uint64_t gradients;                      /* of all workers */
    uint64_t exchanges;                      /* pairs */
    uint64_t *edge_meetings;                 /* owned (edge_count): held */
    uint64_t *edge_attempts;                 /* owned (edge_count): begun; the meetings' numbers */
    uint64_t next_network;                   /* gradients of all at which the network is looked at next */
    double next_evaluation, next_checkpoint; /* epochs */
    double best_accuracy;
    bool again;           /* going through events that an earlier process has lived through: no gradients, no vectors */
    uint64_t after_steps; /* calls of sim_after_step: names a moment between two gradients */
    double next_state;    /* epochs */
    bool kept_last;       /* the state after the last gradient: a longer run goes on from there */
    /* Adds vectors that are neither a worker's nor this struct's (sim_state_snapshot); NULL: there are none. */
    void (*add_vectors)(void *context, struct run_state *state);
    /* A worker's own time, to which its x is advanced; NULL: the present. */
    double (*own_time)(const void *context, int worker);
    void *context;            /* of both */
    struct sim_jobs *jobs;    /* owned: gradients under way (sim_jobs.h); NULL: one at a time */
    int waiting[NET_RESULTS]; /* workers whose last gradient's result has not been looked at, the oldest first */
    int waiting_count;
    uint64_t left_out;          /* gradients that the device has left out, as far as has been looked at */
    int updated;                /* the worker of the last gradient event */
    struct network_report last; /* the last one told */
    struct theory *theory;      /* owned; NULL without a graph */
    double *own_times;          /* owned (count) */
    double end_distance;        /* the consensus distance when training ended; NAN before */
    float *advanced;      /* owned (count × advanced_size), device memory: pieces of all x, advanced to one time; */
    size_t advanced_size; /* NULL without momentum */
    float *mean;          /* owned (parameter_size), device memory; NULL unless there is an optimum to look at */
    float *copy;          /* owned (parameter_size), host memory */
};

/* All gradients of the run are done. */
static inline bool sim_finished(const struct simulation *sim)
{
    return sim->gradients >= sim->run->gradient_total;
}

/* The share of them that is done. */
static inline double sim_progress(const struct simulation *sim)
{
    double progress = (double)sim->gradients / (double)sim->run->gradient_total;
    return progress < 1 ? progress : 1;
}

/* --- sim_step.c --- */

/* The working copy of the first gradient is taken. */
void sim_begin(struct simulation *sim, int worker);
/* The next batch's gradient at the working copy. Its result is looked at when the device has had time to compute it:
 * STATUS_USAGE when a loss is not finite. */
enum status sim_gradient(struct simulation *sim, int worker);
/* Look at the results of all gradients so far; counts for reports. */
enum status sim_results(struct simulation *sim);
/* The results that have come in since say that a gradient was left out: STATUS_USAGE where the run is to stop. */
enum status sim_look_at_left_out(struct simulation *sim);
/* A gradient's result, counted for reports; STATUS_USAGE when it is not finite and the run is to stop. */
enum status sim_take_result(struct simulation *sim, int worker, const struct gradient_result *result);
/* Counts and tells of a gradient event, whose vectors are the caller's business. */
void sim_count_update(struct simulation *sim, int worker, double t, double progress);
/* Gradient event at the worker's own time t, and the working copy of the next. `progress` is the run's before it. */
void sim_update(struct simulation *sim, int worker, double t, double progress);
/* Is something due at every `period` epochs now, not at the end? Moves `next` on. */
bool sim_due(const struct simulation *sim, double period, double *next);
/* What follows a gradient: reports, evaluation, checkpoint, state. */
enum status sim_after_step(struct simulation *sim, int worker);
void sim_snapshot(struct simulation *sim, int worker, int peer, uint64_t meeting, double t, float *out);
void sim_apply(struct simulation *sim, int worker, int peer, uint64_t meeting, double t, const float *own,
               const float *theirs);
/* Both ends have applied: count the meeting. */
void sim_count_meeting(struct simulation *sim, int edge);
/* The worker makes no more gradients. */
void sim_done(struct simulation *sim, int worker, double t);
void sim_lose(struct simulation *sim, int worker, int peer, double t);
/* Seconds (or units) of gradient number `step` of a worker, begun now: the law's draw times what the scenario says. */
double sim_duration(const struct simulation *sim, int worker, uint64_t step);
/* Virtual time at which `work` units of computing that begin at `begin` end: pauses come on top. INFINITY: never. */
double sim_finish_time(const struct simulation *sim, int worker, double begin, double work);
void sim_span(const struct simulation *sim, int worker, enum span_lane lane, enum span_kind kind, double begin,
              double end, int peer);

/* Working copy ← x at this moment. */
void sim_cast_at(struct simulation *sim, int worker);

/* --- sim_state.c --- */

/* After each gradient: keep the state when that is due or asked for; or, while events are gone through again, take it
 * up where it was kept. STATUS_REQUEUE: kept, and asked to leave. */
enum status sim_state_after_step(struct simulation *sim);
/* One more vector of a state: a snapshot on its way. */
void sim_state_snapshot(struct run_state *state, int meeting, int end, float *vector, size_t count);

/* --- sim_report.c --- */

void sim_report_step(struct simulation *sim, int worker);
enum status sim_evaluate(struct simulation *sim);
void sim_checkpoint(struct simulation *sim, bool best, double epoch);
/* Whether a worker can wait for others: never where meetings take no time. */
bool sim_has_idle(const struct simulation *sim);
/* Consensus distance, prediction, χ of the meetings so far, distance to the optimum. */
void sim_report_network(struct simulation *sim);
/* The run's gradients are done: what the consensus distance is of. */
void sim_end_training(struct simulation *sim);

/* --- when events happen: until the run's gradients are done and nothing is in flight --- */

enum status sim_run_ideal(struct simulation *sim);
enum status sim_run_modelled(struct simulation *sim);
enum status sim_run_rounds(struct simulation *sim);

#endif
