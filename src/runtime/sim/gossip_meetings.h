/* Who meets when, in pure gossip: the superposition of all edges' Poisson processes, drawn in batches.
 *
 * Gaps are exponential with mean 1/Σλ. Where all rates agree the edge of a tick is a uniform draw, else it comes from
 * an alias table (Walker 1977, Vose 1991): one uniform column, and its edge or the column's alias. */
#ifndef GRAPEVINE_RUNTIME_SIM_GOSSIP_MEETINGS_H
#define GRAPEVINE_RUNTIME_SIM_GOSSIP_MEETINGS_H

#include <stdint.h>

#include "graph/graph.h"

enum { MEETING_BATCH = 512 };

struct meeting_column {
    double keep; /* probability of the column's own edge */
    uint32_t alias;
};

/* The ends of an edge without its rate: half the memory to read at random. */
struct meeting_pair {
    int a, b;
};

/* A tick's workers stand in the batch, so that the pairs are read ahead of the vectors. */
struct meeting {
    double time;
    int a, b;
};

struct meeting_source {
    const struct graph *graph;      /* borrowed */
    double total_rate;              /* Σλ; 0: nobody ever meets */
    struct meeting_pair *pairs;     /* owned, (edge_count), aligned */
    struct meeting_column *columns; /* owned, (edge_count); NULL: all rates agree */
    uint64_t seed, batch_number;
    uint32_t repetition;
    double time; /* of the batch's last meeting */
    uint32_t edges[MEETING_BATCH];
    struct meeting meetings[MEETING_BATCH];
};

void meeting_source_init(struct meeting_source *source, const struct graph *graph, uint64_t seed, uint32_t repetition);
void meeting_source_release(struct meeting_source *source);

/* Draw the next MEETING_BATCH meetings, whose times ascend and follow those of the batch before; edges[k] is the index
 * of the edge of meetings[k]. total_rate must be positive. */
void meeting_source_draw(struct meeting_source *source);

#endif
