/* Two-sided transport: the same slots and words, written by messages that the receiver places itself.
 *
 * For MPI libraries whose windows do not work with a communication thread, and where deaths are survived: what is on
 * its way to or from a rank that has died comes to an end with an error that is no error here. A put is a small header
 * (where to) followed by its data; messages between two ranks with one tag do not overtake, so words keep their order
 * and each header finds its data. Needs the receiver to poll, as every communication thread does. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "runtime/mpi/mpi_call.h"
#include "runtime/mpi/transport.h"

enum { TAG_WORD = 1, TAG_COUNTS, TAG_HEADER, TAG_PAYLOAD, TAG_LAST };
enum { WORDS_IN_FLIGHT = 32 };

/* At the end: whoever is silent for longer is not waited for. */
static const double farewell_limit_s = 10, farewell_poll_s = 50e-6;

/* Where a payload's data belongs. */
struct header {
    uint64_t slot, offset, bytes;
};

struct neighbor_link {
    int rank;
    bool dead;
    uint64_t word;                    /* last one received */
    uint64_t *counts_in, *counts_out; /* owned (worker_count) */
    uint64_t words[WORDS_IN_FLIGHT];  /* sources */
    MPI_Request word_requests[WORDS_IN_FLIGHT];
    int next_word;
    MPI_Request counts_request, last_request;
    bool last; /* received: nothing follows */
};

/* A payload's data on its way into a slot. */
struct incoming {
    MPI_Request request;
    const struct neighbor_link *from;
    uint64_t slot;
};

struct record_out {
    MPI_Request *requests;  /* owned (2·puts_per_slot): header and data of each put */
    struct header *headers; /* owned (puts_per_slot) */
    int count;              /* puts */
};

struct transport {
    struct transport_params params;
    int degree;
    unsigned char *slots;        /* owned (slots × slot_bytes) */
    struct neighbor_link *links; /* owned (degree) */
    struct record_out *records;  /* owned (slots) */
    MPI_Comm comm;               /* owned: a communicator of its own keeps its tags apart */
    struct incoming *incoming;   /* owned (incoming_capacity) */
    int incoming_count, incoming_capacity;
    bool bereaved; /* somebody has died */
};

static void release(struct transport *transport)
{
    for (int j = 0; j < transport->degree; j++) {
        free(transport->links[j].counts_in);
        free(transport->links[j].counts_out);
    }
    for (int k = 0; k < transport->params.slots; k++) {
        free(transport->records[k].requests);
        free(transport->records[k].headers);
    }
    if (transport->comm != MPI_COMM_NULL && !transport->params.job->survives) /* else it may need the dead */
        MPI_Comm_free(&transport->comm);
    memory_free_aligned(transport->slots);
    free(transport->links);
    free(transport->records);
    free(transport->incoming);
    free(transport);
}

static enum status sendrecv_create(const struct transport_params *params, struct transport **out)
{
    struct transport *transport = memory_zalloc(1, sizeof *transport);
    transport->params = *params;
    transport->degree = graph_degree(params->graph, params->worker);
    transport->slots = memory_alloc_aligned_for((size_t)params->slots * params->slot_bytes,
                                                "%d slots for snapshots of neighbors", (int)params->slots);
    transport->links = memory_zalloc((size_t)transport->degree, sizeof transport->links[0]);
    transport->records = memory_zalloc((size_t)params->slots, sizeof transport->records[0]);
    transport->incoming_capacity = 2 * params->slots * params->puts_per_slot;
    transport->incoming = memory_zalloc((size_t)transport->incoming_capacity, sizeof transport->incoming[0]);
    transport->comm = MPI_COMM_NULL;
    for (int j = 0; j < transport->degree; j++) {
        struct neighbor_link *link = &transport->links[j];
        link->rank = graph_neighbors(params->graph, params->worker)[j].worker;
        link->counts_in = memory_zalloc((size_t)params->graph->worker_count, sizeof(uint64_t));
        link->counts_out = memory_zalloc((size_t)params->graph->worker_count, sizeof(uint64_t));
        link->counts_request = link->last_request = MPI_REQUEST_NULL;
        for (int k = 0; k < WORDS_IN_FLIGHT; k++)
            link->word_requests[k] = MPI_REQUEST_NULL;
    }
    for (int k = 0; k < params->slots; k++) {
        transport->records[k].requests = memory_zalloc(2 * (size_t)params->puts_per_slot, sizeof(MPI_Request));
        transport->records[k].headers = memory_zalloc((size_t)params->puts_per_slot, sizeof(struct header));
    }
    int code = MPI_Comm_dup(params->job->mpi->comm, &transport->comm);
    if (code != MPI_SUCCESS) {
        release(transport);
        return mpi_call_failed("MPI_Comm_dup", code);
    }
    *out = transport;
    return STATUS_OK;
}

/* Neighbors are in the order of their ranks. */
static struct neighbor_link *link_of(struct transport *transport, int rank)
{
    int first = 0, end = transport->degree;
    while (first < end) {
        int middle = first + (end - first) / 2;
        if (transport->links[middle].rank == rank)
            return &transport->links[middle];
        if (transport->links[middle].rank < rank)
            first = middle + 1;
        else
            end = middle;
    }
    assert(!"a message from a rank that is no neighbor");
    return NULL;
}

/* The call has failed, and no error it is: a rank has died. Messages from anybody else may be asked for again. */
static bool lost(struct transport *transport, int code)
{
    const struct survival *survival = &transport->params.job->mpi->survival;
    if (code == MPI_SUCCESS || !survival_is_death(survival, code))
        return false;
    transport->bereaved = true;
    survival_acknowledge(survival, transport->comm);
    return true;
}

/* A call that a death may end. */
#define TRY_LIVING(transport, call)                                 \
    do {                                                            \
        int mpi_code_ = (call);                                     \
        if (mpi_code_ != MPI_SUCCESS && lost(transport, mpi_code_)) \
            return STATUS_OK;                                       \
        if (mpi_code_ != MPI_SUCCESS)                               \
            return mpi_call_failed(#call, mpi_code_);               \
    } while (0)

/* Where payloads come more than once (injected), more may wait than the slots would take: those wait in MPI. */
static bool has_room(const struct transport *transport)
{
    return transport->incoming_count < transport->incoming_capacity;
}

static enum status receive_payload(struct transport *transport, const struct neighbor_link *link, MPI_Message *message)
{
    struct header header;
    TRY_LIVING(transport, MPI_Mrecv(&header, sizeof header, MPI_BYTE, message, MPI_STATUS_IGNORE));
    if (link->dead)
        return STATUS_OK;
    assert(header.slot < (uint64_t)transport->params.slots &&
           header.offset + header.bytes <= transport->params.slot_bytes);
    assert(has_room(transport));
    struct incoming *incoming = &transport->incoming[transport->incoming_count];
    *incoming = (struct incoming){.from = link, .slot = header.slot};
    TRY_LIVING(transport,
               MPI_Irecv(transport->slots + header.slot * transport->params.slot_bytes + header.offset,
                         (int)header.bytes, MPI_BYTE, link->rank, TAG_PAYLOAD, transport->comm, &incoming->request));
    transport->incoming_count++;
    return STATUS_OK;
}

static enum status receive(struct transport *transport, int tag, int rank, MPI_Message *message)
{
    struct neighbor_link *link = link_of(transport, rank);
    uint64_t word;
    switch (tag) {
    case TAG_WORD:
        TRY_LIVING(transport, MPI_Mrecv(&word, 1, MPI_UINT64_T, message, MPI_STATUS_IGNORE));
        link->word = word;
        return STATUS_OK;
    case TAG_COUNTS:
        TRY_LIVING(transport, MPI_Mrecv(link->counts_in, transport->params.graph->worker_count, MPI_UINT64_T, message,
                                        MPI_STATUS_IGNORE));
        return STATUS_OK;
    case TAG_LAST:
        TRY_LIVING(transport, MPI_Mrecv(NULL, 0, MPI_BYTE, message, MPI_STATUS_IGNORE));
        link->last = true;
        return STATUS_OK;
    default:
        return receive_payload(transport, link, message);
    }
}

/* Forget the data that have come. */
static enum status test_incoming(struct transport *transport)
{
    int kept = 0;
    for (int k = 0; k < transport->incoming_count; k++) {
        int done, code = MPI_Test(&transport->incoming[k].request, &done, MPI_STATUS_IGNORE);
        if (code != MPI_SUCCESS && !lost(transport, code))
            return mpi_call_failed("MPI_Test", code);
        if (code == MPI_SUCCESS && !done)
            transport->incoming[kept++] = transport->incoming[k];
    }
    transport->incoming_count = kept;
    return STATUS_OK;
}

/* Receive what has come from a rank (or any) with a tag (or any but those of data, which the headers before them have
 * taken). */
static enum status receive_all(struct transport *transport, int rank, int tag)
{
    bool small = tag == TAG_WORD || tag == TAG_COUNTS;
    for (int found = 1; found && (small || has_room(transport));) {
        MPI_Message message;
        MPI_Status from;
        TRY_LIVING(transport, MPI_Improbe(rank, tag, transport->comm, &found, &message, &from));
        if (found)
            TRY(receive(transport, from.MPI_TAG, from.MPI_SOURCE, &message));
    }
    return STATUS_OK;
}

static enum status sendrecv_poll(struct transport *transport)
{
    static const int tags[] = {TAG_WORD, TAG_COUNTS, TAG_HEADER};
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
        TRY(receive_all(transport, MPI_ANY_SOURCE, tags[i]));
    return test_incoming(transport);
}

/* Nothing is on its way from here, and what was on its way to here has come. */
static bool is_quiet(struct transport *transport)
{
    bool quiet = transport->incoming_count == 0;
    for (int j = 0; j < transport->degree; j++) {
        struct neighbor_link *link = &transport->links[j];
        quiet &= link->last && mpi_call_all_complete(&link->last_request, 1) &&
                 mpi_call_all_complete(&link->counts_request, 1) &&
                 mpi_call_all_complete(link->word_requests, WORDS_IN_FLIGHT);
    }
    for (int k = 0; k < transport->params.slots; k++)
        quiet &= mpi_call_all_complete(transport->records[k].requests, 2 * transport->records[k].count);
    return quiet;
}

/* The last words and counts are still on their way when nobody waits for them any more, and their sources lie in memory
 * that is to be freed. Messages of two ranks are matched in the order in which they were sent, whatever their tags: a
 * last one of each neighbor says that all others have come. */
static enum status take_farewell(struct transport *transport)
{
    double begin_s = stopwatch_now();
    for (int j = 0; j < transport->degree; j++) {
        struct neighbor_link *link = &transport->links[j];
        int code = MPI_Isend(NULL, 0, MPI_BYTE, link->rank, TAG_LAST, transport->comm, &link->last_request);
        if (code != MPI_SUCCESS && !lost(transport, code))
            return mpi_call_failed("MPI_Isend", code);
    }
    while (!transport->bereaved) {
        for (int j = 0; j < transport->degree; j++)
            if (!transport->links[j].last)
                TRY(receive_all(transport, transport->links[j].rank, MPI_ANY_TAG));
        TRY(test_incoming(transport));
        if (is_quiet(transport))
            return STATUS_OK;
        if (stopwatch_now() - begin_s > farewell_limit_s)
            return STATUS_MACHINE;
        stopwatch_sleep(farewell_poll_s);
    }
    return STATUS_MACHINE; /* the dead take leave of nobody */
}

static void sendrecv_destroy(struct transport *transport)
{
    if (transport == NULL)
        return;
    const struct job *job = transport->params.job;
    if (transport->bereaved || job->size < job->worker_count) /* what was for the dead may never leave: its memory is */
        return;                                               /* kept until MPI ends */
    if (take_farewell(transport) == STATUS_OK)
        release(transport);
    else
        log_on_this_rank(LOG_DEBUG, "messages may still be on their way: their memory is kept until MPI ends");
}

static uint64_t sendrecv_read_word(struct transport *transport, int neighbor)
{
    return transport->links[neighbor].word;
}

static enum status sendrecv_put_word(struct transport *transport, int neighbor, uint64_t word)
{
    struct neighbor_link *link = &transport->links[neighbor];
    int place = link->next_word;
    if (link->dead)
        return STATUS_OK;
    /* The protocol has at most 5 undelivered words in a direction; a delivered one completes within a few polls. */
    int done, code = MPI_Test(&link->word_requests[place], &done, MPI_STATUS_IGNORE);
    if (!lost(transport, code))
        TRY(mpi_call_wait(transport->params.job, "put a control word", &link->word_requests[place]));
    link->next_word = (place + 1) % WORDS_IN_FLIGHT;
    link->words[place] = word;
    TRY_LIVING(transport, MPI_Isend(&link->words[place], 1, MPI_UINT64_T, link->rank, TAG_WORD, transport->comm,
                                    &link->word_requests[place]));
    return STATUS_OK;
}

static const uint64_t *sendrecv_read_counts(struct transport *transport, int neighbor)
{
    return transport->links[neighbor].counts_in;
}

static bool sendrecv_put_counts(struct transport *transport, int neighbor, const uint64_t *counts)
{
    struct neighbor_link *link = &transport->links[neighbor];
    int done = 1, worker_count = transport->params.graph->worker_count;
    if (link->dead)
        return true;
    if (MPI_Test(&link->counts_request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS || !done)
        return false;
    memcpy(link->counts_out, counts, (size_t)worker_count * sizeof counts[0]);
    return MPI_Isend(link->counts_out, worker_count, MPI_UINT64_T, link->rank, TAG_COUNTS, transport->comm,
                     &link->counts_request) == MPI_SUCCESS;
}

static unsigned char *sendrecv_slot(struct transport *transport, int slot)
{
    return transport->slots + (size_t)slot * transport->params.slot_bytes;
}

static enum status sendrecv_put_payload(struct transport *transport, int neighbor, int slot, size_t offset,
                                        const void *source, size_t bytes, int record)
{
    struct record_out *puts = &transport->records[record];
    int rank = transport->links[neighbor].rank;
    if (transport->links[neighbor].dead)
        return STATUS_OK;
    assert(puts->count < transport->params.puts_per_slot);
    struct header *header = &puts->headers[puts->count];
    MPI_Request *requests = &puts->requests[2 * puts->count];
    *header = (struct header){.slot = (uint64_t)slot, .offset = offset, .bytes = bytes};
    requests[0] = requests[1] = MPI_REQUEST_NULL;
    puts->count++;
    TRY_LIVING(transport, MPI_Isend(header, sizeof *header, MPI_BYTE, rank, TAG_HEADER, transport->comm, &requests[0]));
    TRY_LIVING(transport, MPI_Isend(source, (int)bytes, MPI_BYTE, rank, TAG_PAYLOAD, transport->comm, &requests[1]));
    return STATUS_OK;
}

/* What a rank that has died had begun to put into the slot comes to an end with an error. */
static bool awaits_the_dead(const struct transport *transport, int slot)
{
    for (int k = 0; k < transport->incoming_count; k++)
        if (transport->incoming[k].from->dead && transport->incoming[k].slot == (uint64_t)slot)
            return true;
    return false;
}

static bool sendrecv_drained(struct transport *transport, int record)
{
    struct record_out *puts = &transport->records[record];
    if (transport->bereaved && awaits_the_dead(transport, record))
        return false;
    if (!mpi_call_all_complete(puts->requests, 2 * puts->count))
        return false;
    puts->count = 0;
    return true;
}

static void sendrecv_bury(struct transport *transport, int neighbor)
{
    transport->links[neighbor].dead = transport->bereaved = true;
    survival_acknowledge(&transport->params.job->mpi->survival, transport->comm);
}

const struct transport_ops transport_sendrecv = {
    .name = "sendrecv",
    .description = "two-sided messages into the receiver's slots",
    .create = sendrecv_create,
    .destroy = sendrecv_destroy,
    .poll = sendrecv_poll,
    .read_word = sendrecv_read_word,
    .put_word = sendrecv_put_word,
    .read_counts = sendrecv_read_counts,
    .put_counts = sendrecv_put_counts,
    .slot = sendrecv_slot,
    .put_payload = sendrecv_put_payload,
    .drained = sendrecv_drained,
    .bury = sendrecv_bury,
};
