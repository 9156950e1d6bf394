/* A scenario: what goes wrong in a run, and when. Slow workers, pauses, deaths, gradients that are not numbers, slow or
 * lossy links, damaged snapshots.
 *
 * Pure data and look-ups: the simulator asks it in virtual seconds, the MPI runtime in seconds since the run began, as
 * in its metrics; there workers really sleep, wait and die. Read-only after creation: any thread may ask.
 *
 * Grammar of the texts (entries separated by commas; WORKERS is `3`, `2-5` or `all`; times in seconds, TO may be left
 * out: for ever; an interval holds from FROM on until just before TO):
 *
 *     slow    WORKERS xFACTOR [FROM..TO]                        "0 x4, 5-7 x1.5 10..60"
 *     pause   WORKERS FROM..TO                                  "3 10..30"
 *     death   WORKERS at TIME                                   "3 at 60"
 *     nan     WORKERS FROM..TO                                  "2 10..10.5"
 *     links   A-B|all [latency_s=S] [bytes_per_second=B] [loss=P]   "0-1 latency_s=0.01 bytes_per_second=1e6"
 *
 * Where several entries hold at once, slow factors multiply, and the last link entry that gives a value decides. */
#ifndef GRAPEVINE_RUNTIME_SCENARIO_H
#define GRAPEVINE_RUNTIME_SCENARIO_H

#include <stdbool.h>

#include "base/status.h"

struct graph;

/* Shares of the snapshots that are sent, each in [0, 1). Only real messages are damaged. */
struct scenario_damage {
    double duplicate; /* come a second time, later */
    double torn;      /* a part comes later */
    double corrupt;   /* have some bytes changed */
};

struct scenario_params {
    const char *slow, *pause, *death, *nan, *links; /* "" or NULL: none */
    double loss;                                    /* of every link, in [0, 1) */
    double latency_s;                               /* of every link; under MPI 0: what the network has */
    double bytes_per_second;                        /* of every link, each way; under MPI INFINITY */
    struct scenario_damage damage;
    int worker_count;
    const struct graph *graph; /* borrowed for the call: the links there are; NULL: one between any two workers */
};

struct scenario;

/* STATUS_USAGE (one logged message: key, the entry, what is expected): bad text, a worker or a link that does not
 * exist, a factor below 1, a share that is none. */
enum status scenario_create(const struct scenario_params *params, struct scenario **out);
void scenario_destroy(struct scenario *scenario); /* NULL is fine */

/* The look-ups. NULL is the scenario in which nothing goes wrong: links without latency, limit or loss. */

/* Nothing ever goes wrong with workers: no slow, pause, death or nan entry. */
bool scenario_calm(const struct scenario *scenario);
/* By how much a gradient that begins at `time_s` takes longer: 1 where nothing is said, never less. */
double scenario_slowdown(const struct scenario *scenario, int worker, double time_s);
/* When the pause that holds at `time_s` ends (overlapping or touching ones as one); `time_s` itself where none does.
 * INFINITY: never. */
double scenario_pause_end_s(const struct scenario *scenario, int worker, double time_s);
/* The first beginning of a pause after `time_s` (not at it), or INFINITY. */
double scenario_next_pause_s(const struct scenario *scenario, int worker, double time_s);
/* The longest that any worker stands still at a stretch, pauses that never end aside; 0 without pauses. Whoever waits
 * for a worker must have so much more patience. */
double scenario_longest_pause_s(const struct scenario *scenario);
/* When the worker dies: INFINITY for never. */
double scenario_death_s(const struct scenario *scenario, int worker);

/* Gradients that the worker computes at this time have an element that is not a number. */
bool scenario_nan(const struct scenario *scenario, int worker, double time_s);

struct scenario_link {
    double latency_s, bytes_per_second, loss;
};
/* The link between two workers, either way. */
struct scenario_link scenario_link(const struct scenario *scenario, int a, int b);
/* What happens to snapshots on their way, on every link; and whether anything does. */
struct scenario_damage scenario_damage(const struct scenario *scenario);
bool scenario_damages(const struct scenario *scenario);
/* How long a message of so many bytes is on a link that carries nothing else. */
double scenario_link_delay_s(struct scenario_link link, double bytes);

#endif
