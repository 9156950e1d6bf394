/* One-sided transport: every worker exposes one window, and neighbors put into it.
 *
 *     window of a worker = [words: degree × 64 B] [counts: degree × worker_count × 8 B] [slots: K × slot_bytes] [spill]
 *
 * Words go by MPI_Raccumulate with MPI_REPLACE, which is ordered between one origin and one target location and never
 * torn; payloads and counts by MPI_Rput. The target is locked once, for the whole run, and there is no flush: what is
 * waited for, with a limit, is at most the local completion of an old word. What arrived is seen by plain loads after
 * MPI_Win_sync (the window is MPI_WIN_UNIFIED).
 *
 * Open MPI 4's pt2pt component keeps small puts back until its buffer is full. Where the probe has shown that
 * (push_small_puts), each poll sends something too large for the buffer after them, into the spill, which nobody
 * reads. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "runtime/mpi/mpi_call.h"
#include "runtime/mpi/transport.h"

enum { WORD_STRIDE = 64, WORDS_IN_FLIGHT = 32, SPILL_BYTES = 16384 };

static const unsigned char nothing[SPILL_BYTES]; /* source of the pushes */

/* What is on its way to one neighbor. */
struct neighbor_out {
    int rank;
    MPI_Aint word_offset, counts_offset, slots_offset, spill_offset; /* in the neighbor's window */
    bool unpushed;                                                   /* small puts were started since the last push */
    uint64_t words[WORDS_IN_FLIGHT];                                 /* sources of word puts */
    MPI_Request word_requests[WORDS_IN_FLIGHT];
    int next_word;
    uint64_t *counts; /* owned (worker_count): source of the counts put */
    MPI_Request counts_request;
};

struct record_out {
    MPI_Request *requests; /* owned (puts_per_slot) */
    int count;
};

struct transport {
    struct transport_params params;
    int degree;
    MPI_Win window;
    unsigned char *base; /* owned by the window */
    size_t counts_start, slots_start;
    bool pushing;               /* small puts do not arrive by themselves */
    struct neighbor_out *out;   /* owned (degree) */
    struct record_out *records; /* owned (slots) */
};

static size_t round_up(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static size_t counts_bytes(const struct graph *graph)
{
    return round_up((size_t)graph->worker_count * sizeof(uint64_t));
}

static size_t counts_start_of(const struct graph *graph, int worker)
{
    return (size_t)graph_degree(graph, worker) * WORD_STRIDE;
}

static size_t slots_start_of(const struct graph *graph, int worker)
{
    return counts_start_of(graph, worker) + (size_t)graph_degree(graph, worker) * counts_bytes(graph);
}

static size_t slots_bytes(const struct transport_params *params)
{
    return (size_t)params->slots * round_up(params->slot_bytes);
}

/* Where `worker` stands in the list of its neighbor's neighbors. */
static int place_at(const struct graph *graph, int neighbor, int worker)
{
    const struct graph_neighbor *list = graph_neighbors(graph, neighbor);
    for (int k = 0; k < graph_degree(graph, neighbor); k++)
        if (list[k].worker == worker)
            return k;
    assert(!"the neighbor does not know this worker");
    return -1;
}

static void init_neighbors(struct transport *transport)
{
    const struct graph *graph = transport->params.graph;
    for (int j = 0; j < transport->degree; j++) {
        struct neighbor_out *out = &transport->out[j];
        out->rank = graph_neighbors(graph, transport->params.worker)[j].worker;
        int place = place_at(graph, out->rank, transport->params.worker);
        out->word_offset = (MPI_Aint)place * WORD_STRIDE;
        out->counts_offset = (MPI_Aint)(counts_start_of(graph, out->rank) + (size_t)place * counts_bytes(graph));
        out->slots_offset = (MPI_Aint)slots_start_of(graph, out->rank);
        out->spill_offset = out->slots_offset + (MPI_Aint)slots_bytes(&transport->params);
        for (int k = 0; k < WORDS_IN_FLIGHT; k++)
            out->word_requests[k] = MPI_REQUEST_NULL;
        out->counts_request = MPI_REQUEST_NULL;
        out->counts = memory_zalloc((size_t)graph->worker_count, sizeof(uint64_t));
    }
}

static enum status open_window(struct transport *transport, size_t bytes)
{
    int code =
        MPI_Win_allocate((MPI_Aint)bytes, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &transport->base, &transport->window);
    if (code != MPI_SUCCESS)
        return mpi_call_failed("MPI_Win_allocate", code);
    MPI_Win_set_errhandler(transport->window, MPI_ERRORS_RETURN);
    memset(transport->base, 0, bytes);
    int *model = NULL, found = 0;
    TRY_MPI(MPI_Win_get_attr(transport->window, MPI_WIN_MODEL, &model, &found));
    if (!found || *model != MPI_WIN_UNIFIED) {
        log_on_this_rank(
            LOG_ERROR,
            "this MPI's windows have separate public and private copies; use communication.transport=sendrecv");
        return STATUS_MACHINE;
    }
    TRY_MPI(MPI_Win_lock_all(MPI_MODE_NOCHECK, transport->window));
    return STATUS_OK;
}

static void window_destroy(struct transport *transport)
{
    if (transport == NULL)
        return;
    if (transport->window != MPI_WIN_NULL) {
        MPI_Win_unlock_all(transport->window);
        MPI_Win_free(&transport->window);
    }
    for (int j = 0; transport->out != NULL && j < transport->degree; j++)
        free(transport->out[j].counts);
    for (int k = 0; transport->records != NULL && k < transport->params.slots; k++)
        free(transport->records[k].requests);
    free(transport->out);
    free(transport->records);
    free(transport);
}

static enum status window_create(const struct transport_params *params, struct transport **out)
{
    struct transport *transport = memory_zalloc(1, sizeof *transport);
    transport->params = *params;
    transport->degree = graph_degree(params->graph, params->worker);
    transport->counts_start = counts_start_of(params->graph, params->worker);
    transport->slots_start = slots_start_of(params->graph, params->worker);
    transport->window = MPI_WIN_NULL;
    transport->out = memory_zalloc((size_t)transport->degree, sizeof transport->out[0]);
    transport->records = memory_zalloc((size_t)params->slots, sizeof transport->records[0]);
    for (int k = 0; k < params->slots; k++)
        transport->records[k].requests = memory_zalloc((size_t)params->puts_per_slot, sizeof(MPI_Request));
    init_neighbors(transport);
    enum status status = open_window(transport, transport->slots_start + slots_bytes(params) + SPILL_BYTES);
    if (status != STATUS_OK) {
        window_destroy(transport);
        return status;
    }
    *out = transport;
    return STATUS_OK;
}

/* Send something large after small puts. Plain puts are complete when the window is unlocked. */
static enum status push(struct transport *transport)
{
    for (int j = 0; j < transport->degree; j++) {
        struct neighbor_out *out = &transport->out[j];
        if (!out->unpushed)
            continue;
        out->unpushed = false;
        TRY_MPI(MPI_Put(nothing, SPILL_BYTES, MPI_BYTE, out->rank, out->spill_offset, SPILL_BYTES, MPI_BYTE,
                        transport->window));
    }
    return STATUS_OK;
}

static void window_push_small_puts(struct transport *transport)
{
    transport->pushing = true;
}

static enum status window_poll(struct transport *transport)
{
    int flag;
    if (transport->pushing)
        TRY(push(transport));
    TRY_MPI(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &flag, MPI_STATUS_IGNORE)); /* progress */
    TRY_MPI(MPI_Win_sync(transport->window));
    return STATUS_OK;
}

static uint64_t window_read_word(struct transport *transport, int neighbor)
{
    const uint64_t *word = (const uint64_t *)(const void *)(transport->base + (size_t)neighbor * WORD_STRIDE);
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static enum status window_put_word(struct transport *transport, int neighbor, uint64_t word)
{
    struct neighbor_out *out = &transport->out[neighbor];
    int place = out->next_word;
    /* The protocol has at most 5 undelivered words in a direction; a delivered one completes within a few polls. */
    TRY(mpi_call_wait(transport->params.job, "put a control word", &out->word_requests[place]));
    out->next_word = (place + 1) % WORDS_IN_FLIGHT;
    out->words[place] = word;
    out->unpushed = true;
    TRY_MPI(MPI_Raccumulate(&out->words[place], 1, MPI_UINT64_T, out->rank, out->word_offset, 1, MPI_UINT64_T,
                            MPI_REPLACE, transport->window, &out->word_requests[place]));
    return STATUS_OK;
}

static const uint64_t *window_read_counts(struct transport *transport, int neighbor)
{
    return (const uint64_t *)(const void *)(transport->base + transport->counts_start +
                                            (size_t)neighbor * counts_bytes(transport->params.graph));
}

static bool window_put_counts(struct transport *transport, int neighbor, const uint64_t *counts)
{
    struct neighbor_out *out = &transport->out[neighbor];
    int done = 1, worker_count = transport->params.graph->worker_count;
    if (MPI_Test(&out->counts_request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS || !done)
        return false;
    memcpy(out->counts, counts, (size_t)worker_count * sizeof counts[0]);
    out->unpushed = true;
    return MPI_Rput(out->counts, worker_count, MPI_UINT64_T, out->rank, out->counts_offset, worker_count, MPI_UINT64_T,
                    transport->window, &out->counts_request) == MPI_SUCCESS;
}

static unsigned char *window_slot(struct transport *transport, int slot)
{
    return transport->base + transport->slots_start + (size_t)slot * round_up(transport->params.slot_bytes);
}

static enum status window_put_payload(struct transport *transport, int neighbor, int slot, size_t offset,
                                      const void *source, size_t bytes, int record)
{
    struct neighbor_out *out = &transport->out[neighbor];
    struct record_out *puts = &transport->records[record];
    assert(puts->count < transport->params.puts_per_slot);
    MPI_Aint target = out->slots_offset + (MPI_Aint)((size_t)slot * round_up(transport->params.slot_bytes) + offset);
    TRY_MPI(MPI_Rput(source, (int)bytes, MPI_BYTE, out->rank, target, (int)bytes, MPI_BYTE, transport->window,
                     &puts->requests[puts->count]));
    puts->count++;
    out->unpushed = true;
    return STATUS_OK;
}

static bool window_drained(struct transport *transport, int record)
{
    struct record_out *puts = &transport->records[record];
    if (!mpi_call_all_complete(puts->requests, puts->count))
        return false;
    puts->count = 0;
    return true;
}

const struct transport_ops transport_put = {
    .name = "put",
    .description = "one-sided MPI_Rput into an MPI window",
    .create = window_create,
    .destroy = window_destroy,
    .poll = window_poll,
    .read_word = window_read_word,
    .put_word = window_put_word,
    .read_counts = window_read_counts,
    .put_counts = window_put_counts,
    .slot = window_slot,
    .put_payload = window_put_payload,
    .drained = window_drained,
    .push_small_puts = window_push_small_puts,
};
