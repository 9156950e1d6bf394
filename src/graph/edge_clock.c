/* The Poisson clocks of one worker: exponential gaps of mean 2/λ_ij, one stream per half edge, so that the ticks of
 * an edge do not depend on which other edges there are or on when they are asked for. */
#include "graph/edge_clock.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

static double draw_gap(struct edge_clock *clock, int neighbor)
{
    if (clock->rates[neighbor] == 0)
        return INFINITY;
    return random_exponential(&clock->streams[neighbor]) / clock->rates[neighbor];
}

void edge_clock_init(struct edge_clock *clock, const struct graph *graph, int worker, uint64_t seed)
{
    size_t degree = (size_t)graph_degree(graph, worker);
    const struct graph_neighbor *neighbors = graph_neighbors(graph, worker);
    *clock = (struct edge_clock){
        .degree = (int)degree,
        .rates = memory_zalloc(degree, sizeof *clock->rates),
        .next = memory_zalloc(degree, sizeof *clock->next),
        .streams = memory_zalloc(degree, sizeof *clock->streams),
    };
    for (int i = 0; i < clock->degree; i++) {
        clock->rates[i] = graph->edges[neighbors[i].edge].rate / 2;
        clock->streams[i] = random_stream(seed, RANDOM_CLOCK, (uint32_t)worker, (uint64_t)neighbors[i].worker);
        clock->next[i] = draw_gap(clock, i);
    }
}

void edge_clock_init_at(struct edge_clock *clock, const struct graph *graph, int worker, uint64_t seed, double t)
{
    edge_clock_init(clock, graph, worker, seed);
    for (int i = 0; i < clock->degree; i++)
        clock->next[i] += t;
}

void edge_clock_release(struct edge_clock *clock)
{
    free(clock->rates);
    free(clock->next);
    free(clock->streams);
    *clock = (struct edge_clock){0};
}

double edge_clock_next(const struct edge_clock *clock)
{
    double next = INFINITY;
    for (int i = 0; i < clock->degree; i++)
        next = clock->next[i] < next ? clock->next[i] : next;
    return next;
}

bool edge_clock_tick(struct edge_clock *clock, double t, int *neighbor)
{
    int first = 0;
    for (int i = 1; i < clock->degree; i++)
        if (clock->next[i] < clock->next[first])
            first = i;
    if (clock->degree == 0 || !(clock->next[first] <= t))
        return false;
    clock->next[first] += draw_gap(clock, first);
    *neighbor = first;
    return true;
}
