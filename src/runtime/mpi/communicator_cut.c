/* States at intervals: when a cut is due, what is recorded at it, and what is added until it is complete. */
#include "base/log.h"
#include "base/stopwatch.h"
#include "runtime/mpi/communicator_parts.h"

bool communicator_in_cut(const struct communicator *c, int neighbor)
{
    return c->cut_open && c->pairing.edges[neighbor].outstanding;
}

void communicator_serve_in_cut(struct communicator *c, int neighbor)
{
    int place = c->run_place[neighbor];
    if (communicator_in_cut(c, neighbor) && c->cut_saved.due[place] > 0) /* else it was drawn after the cut */
        c->cut_saved.due[place]--;
}

void communicator_count_in_cut(struct communicator *c, int neighbor, double distance)
{
    c->cut_saved.counts.exchanges++;
    c->cut_saved.counts.distance_sum += distance;
    c->cut_saved.met[c->run_place[neighbor]]++;
    c->cut_saved.meetings[c->pairing.edges[neighbor].peer]++;
}

/* The one before, if it is still open, stays incomplete. */
void communicator_take_cut(void *context, uint64_t number)
{
    struct communicator *c = context;
    double begin_s = stopwatch_now();
    bool was_open = c->cut_open;
    c->cut_open = false; /* what is outstanding from now on is so for the new cut */
    if (c->params.cut == NULL || c->done || c->progress.leaving || c->dead_count > 0) /* the last state comes then */
        return;
    if (was_open)
        log_on_this_rank(LOG_WARNING,
                         "worker %d: the state before this one is not kept: a meeting that belongs to it has not ended "
                         "(does a neighbor stand still?)",
                         c->id);
    pthread_mutex_lock(&c->lock);
    c->cut_open = state_cut_take(c->params.cut, number);
    communicator_save(c, &c->cut_saved);
    pthread_mutex_unlock(&c->lock);
    exchange_span(&c->exchange, SPAN_CHECKPOINT, begin_s, -1);
}

/* Everybody comes to the same numbers, some a little sooner. */
void communicator_look_at_cut(struct communicator *c)
{
    if (c->params.cut == NULL)
        return;
    uint64_t gradients = c->params.run->gradients_before + progress_sum(&c->progress);
    if (gradients < c->params.run->gradient_total)
        pairing_cut(&c->pairing, state_cut_due(c->params.cut, gradients));
}

void communicator_look_at_cut_again(struct communicator *c)
{
    c->cut_open &= !c->progress.leaving;
    if (!c->cut_open || !pairing_cut_complete(&c->pairing))
        return;
    c->cut_open = false;
    state_cut_complete(c->params.cut, &c->cut_saved);
}
