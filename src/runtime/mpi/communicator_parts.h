/* What a communicator is made of. Private to the communicator*.c.
 *
 * Neighbors are those of `reach`: the run's graph, or, where deaths are survived, everybody, since a graph that is
 * mended has other edges. Ticks come from the edges of the graph as it is now alone, and counts go along these. */
#ifndef GRAPEVINE_RUNTIME_MPI_COMMUNICATOR_PARTS_H
#define GRAPEVINE_RUNTIME_MPI_COMMUNICATOR_PARTS_H

#include <stdatomic.h>

#include "base/random.h"
#include "base/thread.h"
#include "graph/edge_clock.h"
#include "runtime/mpi/communicator.h"
#include "runtime/mpi/exchange.h"
#include "runtime/mpi/injected_link.h"
#include "runtime/mpi/injection.h"
#include "runtime/mpi/pairing.h"
#include "runtime/mpi/progress.h"
#include "runtime/mpi/snapshot_way.h"
#include "runtime/mpi/state_cut.h"
#include "runtime/mpi/survivors.h"
#include "runtime/mpi/worker_clock.h"

/* Meetings that are due with one neighbor. */
struct due {
    uint64_t ticks;      /* pending */
    double not_before_s; /* after a refusal: when to ask again */
    double backoff_s;
};

struct communicator {
    struct communicator_params params;
    int degree, id;
    struct graph *everybody;   /* owned; NULL: deaths are not survived */
    const struct graph *reach; /* borrowed */
    int *run_place;            /* owned (degree): the neighbor among those of the run's graph; -1: it is none */
    /* set before the thread starts */
    struct snapshot_way way;
    struct thread thread;
    /* the communication thread's own */
    struct pairing pairing;
    struct edge_clock ticks;
    int *tick_place;            /* owned (worker_count): neighbor of one of the clock's */
    bool *near;                 /* owned (degree): in the graph as it is now */
    struct survivors survivors; /* all zero before the first death */
    double looked_s;            /* for deaths, the last time */
    struct progress progress;
    struct exchange exchange;
    struct due *due;    /* owned (degree) */
    uint64_t *meetings; /* owned (worker_count) */
    bool *stale;        /* owned (degree): the neighbor has not been sent our latest progress */
    struct random_stream backoff;
    struct injection injection;
    struct injected_link *links; /* owned (degree) */
    int asked;                   /* neighbor of our last ask that has neither been met nor refused, or PAIRING_NOBODY */
    struct communicator_saved cut_saved; /* as it was at the open cut, and what has been added since */
    bool cut_open;                       /* a cut has been taken, and not been completed */
    double published_s, changed_s;
    bool done; /* no gradient and no meeting of ours is due any more */
    enum status status;
    /* shared */
    pthread_mutex_t lock; /* guards the worker's vectors */
    bool astray;          /* guarded by it: the worker is to take over a peer's model */
    pthread_mutex_t counts_mutex;
    struct communicator_counts counts;       /* guarded by counts_mutex */
    struct communicator_neighbor *neighbors; /* owned (degree), guarded by counts_mutex */
    bool *dead;                              /* owned (worker_count), guarded by counts_mutex, as is their number: */
    int dead_count;                          /* written by the communication thread alone */
    struct worker_clock clock;               /* has its own mutex */
    struct wakeup rate_wakeup;               /* compute waits here for meetings to be served */
    atomic_uint_fast64_t load;               /* meetings due with peers that answer; a hint, any order will do */
    atomic_uint_fast64_t global_steps;       /* a count that only grows; any order will do */
    atomic_bool stop;                        /* set once by the communication thread; nothing is published through it */
    atomic_bool halt;                        /* set once by the compute thread: end at once, the run has failed */
    atomic_bool compute_done;                /* set once by the compute thread, after its last gradient */
};

/* --- communicator_deaths.c --- */

/* Whom this worker can reach, and whom it meets at first. */
enum status communicator_open_reach(struct communicator *c);
void communicator_close_reach(struct communicator *c);
/* Bury whoever has died, and go on in the graph that is left. By the communication thread. True if somebody has. */
bool communicator_look_for_deaths(struct communicator *c, double now_s);
/* Where deaths are survived, everybody hears of the end from everybody: all are done, and no meeting of this worker is
 * open. True once that is so for all, and all have been told. */
bool communicator_quiet(struct communicator *c);

/* --- communicator_cut.c, by the communication thread --- */

/* pairing_io.take_cut. */
void communicator_take_cut(void *context, uint64_t number);
/* Take a cut that is due; and hand on what has become complete: before and after each sweep. */
void communicator_look_at_cut(struct communicator *c);
void communicator_look_at_cut_again(struct communicator *c);
/* The present meeting with this neighbor is, or may be, before the cut that is open. */
bool communicator_in_cut(const struct communicator *c, int neighbor);
/* Then what it does belongs to the recorded state: it serves one of this worker's ticks; it has been held. */
void communicator_serve_in_cut(struct communicator *c, int neighbor);
void communicator_count_in_cut(struct communicator *c, int neighbor, double distance);

#endif
