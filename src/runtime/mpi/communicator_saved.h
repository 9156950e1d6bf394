/* What a communicator is at one moment, beside the vectors: kept with a state, and taken up by the next process. */
#ifndef GRAPEVINE_RUNTIME_MPI_COMMUNICATOR_SAVED_H
#define GRAPEVINE_RUNTIME_MPI_COMMUNICATOR_SAVED_H

#include <stddef.h>
#include <stdint.h>

#include "graph/graph.h"

/* Meetings of this worker so far. */
struct communicator_counts {
    uint64_t exchanges;  /* completed here */
    uint64_t ticks;      /* drawn from this worker's clocks */
    uint64_t unserved;   /* drawn, and dropped when the run ended */
    uint64_t pending;    /* drawn, not yet served */
    uint64_t lost;       /* drawn, and lost on the link (injected) */
    uint64_t given_up;   /* waits that ran out; known after communicator_finish */
    uint64_t damaged;    /* snapshots that came damaged and were asked for again; likewise */
    uint64_t repeated;   /* times that one of this worker's was put again; likewise */
    double distance_sum; /* Σ over exchanges of ‖own − peer‖²/2 (estimated from a sample of a long vector) */
};

struct communicator_saved {
    struct communicator_counts counts;
    double average_s;    /* of a gradient */
    uint64_t steps;      /* of this worker */
    double time;         /* its own, which events have reached */
    uint64_t *due;       /* owned (degree): meetings drawn and not yet served */
    uint64_t *met;       /* owned (degree): meetings with each neighbor */
    uint64_t *meetings;  /* owned (worker_count) */
    uint64_t *gradients; /* owned (worker_count): of everybody, as far as this one knew */
    size_t degree, worker_count;
};

void communicator_saved_init(struct communicator_saved *saved, const struct graph *graph, int worker);
void communicator_saved_release(struct communicator_saved *saved);

#endif
