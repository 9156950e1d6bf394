/* What a communicator is beside the vectors, for a run that goes on from there. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/stopwatch.h"
#include "runtime/mpi/communicator_parts.h"

void communicator_saved_init(struct communicator_saved *saved, const struct graph *graph, int worker)
{
    size_t degree = (size_t)graph_degree(graph, worker), n = (size_t)graph->worker_count;
    *saved = (struct communicator_saved){.degree = degree, .worker_count = n};
    saved->due = memory_zalloc(degree, sizeof saved->due[0]);
    saved->met = memory_zalloc(degree, sizeof saved->met[0]);
    saved->meetings = memory_zalloc(n, sizeof saved->meetings[0]);
    saved->gradients = memory_zalloc(n, sizeof saved->gradients[0]);
}

void communicator_saved_release(struct communicator_saved *saved)
{
    free(saved->due);
    free(saved->met);
    free(saved->meetings);
    free(saved->gradients);
    *saved = (struct communicator_saved){0};
}

void communicator_save(struct communicator *c, struct communicator_saved *saved)
{
    saved->counts = c->counts;
    saved->average_s = worker_clock_average(&c->clock);
    saved->steps = worker_clock_steps(&c->clock);
    saved->time = worker_clock_time(&c->clock, stopwatch_now());
    for (int j = 0; j < c->degree; j++)
        if (c->run_place[j] >= 0) {
            saved->due[c->run_place[j]] = c->due[j].ticks;
            saved->met[c->run_place[j]] = c->neighbors[j].meetings;
        }
    for (size_t i = 0; i < saved->worker_count; i++) {
        saved->meetings[i] = c->meetings[i];
        saved->gradients[i] = progress_gradients(c->progress.words[i]);
    }
}

/* As many ticks are drawn anew as had been drawn. */
void communicator_resume(struct communicator *c, const struct communicator_saved *saved)
{
    c->counts = saved->counts;
    c->clock.steps = saved->steps;
    c->clock.average_s = saved->average_s;
    c->clock.floor = saved->time;
    for (uint64_t k = 0; k < saved->counts.ticks; k++) {
        int neighbor;
        (void)edge_clock_tick(&c->ticks, INFINITY, &neighbor);
    }
    for (int j = 0; j < c->degree; j++)
        if (c->run_place[j] >= 0) {
            c->due[j].ticks = saved->due[c->run_place[j]];
            c->neighbors[j].meetings = saved->met[c->run_place[j]];
        }
    memcpy(c->meetings, saved->meetings, saved->worker_count * sizeof c->meetings[0]);
    progress_resume(&c->progress, saved->gradients);
    atomic_store(&c->global_steps, progress_sum(&c->progress));
}

bool communicator_left(const struct communicator *c)
{
    return progress_leaving(&c->progress) &&
           c->params.run->gradients_before + progress_sum(&c->progress) < c->params.run->gradient_total;
}
