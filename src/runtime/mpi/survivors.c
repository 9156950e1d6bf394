/* Those that are left when workers have died. */
#include "runtime/mpi/survivors.h"

#include <stdlib.h>

#include "base/memory.h"

enum status survivors_find(const struct runtime_params *run, const bool *dead, struct survivors *out)
{
    size_t n = (size_t)run->graph->worker_count;
    int living = 0;
    survivors_release(out);
    out->graph = graph_survivors(run->graph, dead);
    out->worker = memory_zalloc(n, sizeof out->worker[0]);
    out->vertex = memory_zalloc(n, sizeof out->vertex[0]);
    for (int i = 0; i < run->graph->worker_count; i++) {
        out->vertex[i] = dead[i] ? -1 : living;
        if (!dead[i])
            out->worker[living++] = i;
    }
    TRY(spectrum_compute(out->graph, &out->spectrum));
    out->constants = acid_constants_given(&out->spectrum, &run->given);
    return STATUS_OK;
}

void survivors_release(struct survivors *survivors)
{
    graph_destroy(survivors->graph);
    free(survivors->worker);
    free(survivors->vertex);
    *survivors = (struct survivors){0};
}
