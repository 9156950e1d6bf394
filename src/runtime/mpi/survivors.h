/* Those that are left when workers have died: who they are, the graph they are in, and the constants that follow from
 * it. Whoever knows of the same deaths comes to the same. */
#ifndef GRAPEVINE_RUNTIME_MPI_SURVIVORS_H
#define GRAPEVINE_RUNTIME_MPI_SURVIVORS_H

#include <stdbool.h>

#include "base/status.h"
#include "graph/graph.h"
#include "graph/spectrum.h"
#include "runtime/runtime.h"

/* Start with {0}. */
struct survivors {
    struct graph *graph; /* owned: graph_survivors */
    int *worker;         /* owned (graph->worker_count): worker of a vertex */
    int *vertex;         /* owned (worker_count of the run's graph): of a worker; -1: it has died */
    struct spectrum spectrum;
    struct acid_constants constants;
};

/* dead (worker_count of the run's graph). Errors are spectrum_compute's. */
enum status survivors_find(const struct runtime_params *run, const bool *dead, struct survivors *out);
void survivors_release(struct survivors *survivors);

#endif
