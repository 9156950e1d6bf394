/* This worker's part of a consistent state of all, recorded while training goes on. */
#include "runtime/mpi/state_cut.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "runtime/mpi/pairing.h"
#include "worker/replica_copy.h"

enum { NICE_OF_WRITER = 10 };

struct state_cut {
    const struct runtime_params *run; /* borrowed */
    struct replica_copy *copy;        /* owned */
    size_t parameter_size, buffer_size;
    /* guarded by the worker's lock */
    struct books published;
    uint64_t recorded; /* how far the record had got then */
    /* of the thread that takes cuts, until it starts the writer */
    struct books books;
    uint64_t number;
    struct run_state state;
    struct thread writer;
    atomic_bool writing; /* set before the writer starts, cleared by it: what it has read may be written again */
};

enum status state_cut_create(const struct runtime_params *run, struct worker *worker, struct state_cut **out)
{
    *out = NULL;
    if (run->state_every_epochs <= 0 || run->keep_state == NULL)
        return STATUS_OK;
    struct state_cut *cut = memory_zalloc(1, sizeof *cut);
    cut->run = run;
    cut->parameter_size = worker_parameter_size(worker);
    cut->buffer_size = worker_buffer_size(worker);
    enum status status = replica_copy_create(worker, &cut->copy);
    if (status == STATUS_OK)
        *out = cut;
    else
        free(cut);
    return status;
}

void state_cut_settle(struct state_cut *cut)
{
    if (cut == NULL)
        return;
    thread_join(&cut->writer);
    run_state_release(&cut->state);
}

void state_cut_destroy(struct state_cut *cut)
{
    if (cut == NULL)
        return;
    state_cut_settle(cut);
    replica_copy_destroy(cut->copy);
    free(cut);
}

static double period(const struct state_cut *cut)
{
    return cut->run->state_every_epochs * cut->run->gradients_per_epoch;
}

uint64_t state_cut_due(const struct state_cut *cut, uint64_t gradients)
{
    double number = floor((double)gradients / period(cut));
    return number < PAIRING_CUT_MAX ? (uint64_t)number : PAIRING_CUT_MAX;
}

void state_cut_publish(struct state_cut *cut, const struct books *books)
{
    if (cut == NULL)
        return;
    cut->published = *books;
    cut->recorded = cut->run->recorded != NULL ? cut->run->recorded(cut->run->state_context) : 0;
}

bool state_cut_take(struct state_cut *cut, uint64_t number)
{
    if (atomic_load(&cut->writing)) {
        log_on_this_rank(LOG_WARNING,
                         "the state at epoch %g is not kept: the one before is still being written (a slower disk than "
                         "run.state_every_epochs allows for)",
                         (double)number * cut->run->state_every_epochs);
        return false;
    }
    state_cut_settle(cut);
    replica_copy_take(cut->copy);
    cut->books = cut->published;
    cut->state.recorded = cut->recorded;
    cut->number = number;
    return true;
}

void state_cut_exchange(struct state_cut *cut, const float *own, const float *peer)
{
    replica_copy_exchange(cut->copy, own, peer);
}

/* Failures are the callee's to report: training goes on. */
static void *write_state(void *context)
{
    struct state_cut *cut = context;
    thread_set_nice(NICE_OF_WRITER);
    cut->run->keep_state(cut->run->state_context, &cut->state);
    atomic_store(&cut->writing, false);
    return NULL;
}

static void add_vectors(struct state_cut *cut)
{
    static const char *const names[] = {"x", "x_tilde", "momentum"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        run_state_add(&cut->state, names[k], replica_copy_vector(cut->copy, names[k]), cut->parameter_size);
    run_state_add(&cut->state, "buffers", replica_copy_vector(cut->copy, "buffers"), cut->buffer_size);
}

void state_cut_complete(struct state_cut *cut, const struct communicator_saved *saved)
{
    struct run_state_walk walk = {0};
    struct communicator_saved as_saved = *saved; /* a walk may write too, but not this one */
    assert(!atomic_load(&cut->writing));
    add_vectors(cut);
    books_walk(&walk, &cut->books, replica_copy_time(cut->copy), &as_saved);
    cut->state.numbers = walk.numbers;
    cut->state.number_count = walk.count;
    cut->state.gradients = (uint64_t)ceil((double)cut->number * period(cut));
    atomic_store(&cut->writing, true);
    if (thread_start(&cut->writer, "state", write_state, cut) != STATUS_OK)
        atomic_store(&cut->writing, false);
}
