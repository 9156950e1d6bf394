/* Latency and bandwidth between every pair of ranks, by the puts that training uses. */
#include "runtime/probe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/stopwatch.h"
#include "graph/graph.h"
#include "runtime/mpi/gpu_memory.h"
#include "runtime/mpi/mpi_call.h"
#include "runtime/mpi/payload.h"
#include "runtime/mpi/transport.h"

static const double pair_limit_s = 5;
enum { ROUND_TRIPS = 20, CHUNK_BYTES = 1 << 18 };

struct pair_probe {
    struct job *job;
    const struct transport_ops *ops;
    struct transport *transport;
    struct payload_shape shape;
    float *payload;           /* owned */
    struct payload_tag *tags; /* owned (chunk_count) */
    uint64_t *words;          /* owned (size): last word sent to each neighbor */
};

/* Neighbor index of a rank in the complete graph. */
static int neighbor_of(const struct job *job, int rank)
{
    return rank < job->rank ? rank : rank - 1;
}

/* Wait for a word of at least `word` from a rank; false when the limit runs out. */
static bool await_word(struct pair_probe *probe, int rank, uint64_t word)
{
    int neighbor = neighbor_of(probe->job, rank);
    double begin_s = stopwatch_now();
    while (probe->ops->read_word(probe->transport, neighbor) < word) {
        if (probe->ops->poll(probe->transport) != STATUS_OK || stopwatch_now() - begin_s > pair_limit_s)
            return false;
    }
    return true;
}

static bool await_payload(struct pair_probe *probe, int rank, uint64_t attempt)
{
    double begin_s = stopwatch_now();
    for (int chunk = 0; chunk < probe->shape.chunk_count;) {
        if (payload_chunk_valid(&probe->shape, probe->ops->slot(probe->transport, 0), chunk, rank, attempt)) {
            chunk++;
            continue;
        }
        if (probe->ops->poll(probe->transport) != STATUS_OK || stopwatch_now() - begin_s > pair_limit_s)
            return false;
    }
    return true;
}

static enum status send_word(struct pair_probe *probe, int rank)
{
    TRY(probe->ops->put_word(probe->transport, neighbor_of(probe->job, rank), ++probe->words[rank]));
    return probe->ops->poll(probe->transport); /* a poll may push it out */
}

/* The first of the pair: measures. */
static enum status lead(struct pair_probe *probe, int rank, double *latency_s, double *bytes_per_second)
{
    uint64_t reply = probe->words[rank];
    double begin_s = stopwatch_now();
    *latency_s = *bytes_per_second = NAN;
    for (int k = 0; k < ROUND_TRIPS; k++) {
        TRY(send_word(probe, rank));
        if (!await_word(probe, rank, ++reply))
            return STATUS_OK;
    }
    *latency_s = (stopwatch_now() - begin_s) / ROUND_TRIPS / 2;
    if (!probe->ops->drained(probe->transport, 0)) /* the payload for a silent rank is still on its way */
        return STATUS_OK;
    begin_s = stopwatch_now();
    int neighbor = neighbor_of(probe->job, rank);
    for (int chunk = 0; chunk < probe->shape.chunk_count; chunk++) {
        size_t offset = payload_chunk_offset(&probe->shape, chunk);
        probe->tags[chunk] = payload_seal(&probe->shape, probe->payload, chunk, probe->job->rank, reply);
        TRY(probe->ops->put_payload(probe->transport, neighbor, 0, offset, (char *)probe->payload + offset,
                                    payload_chunk_length(&probe->shape, chunk), 0));
        TRY(probe->ops->put_payload(probe->transport, neighbor, 0,
                                    probe->shape.tags_offset + (size_t)chunk * sizeof probe->tags[0],
                                    &probe->tags[chunk], sizeof probe->tags[0], 0));
    }
    if (!await_word(probe, rank, ++reply))
        return STATUS_OK;
    *bytes_per_second = PROBE_BYTES / (stopwatch_now() - begin_s);
    double acknowledged_s = stopwatch_now();
    while (!probe->ops->drained(probe->transport, 0) && stopwatch_now() - acknowledged_s < pair_limit_s)
        TRY(probe->ops->poll(probe->transport));
    return STATUS_OK;
}

/* The second of the pair: answers. */
static enum status follow(struct pair_probe *probe, int rank)
{
    uint64_t word = probe->words[rank];
    for (int k = 0; k < ROUND_TRIPS; k++) {
        if (!await_word(probe, rank, ++word))
            return STATUS_OK;
        TRY(send_word(probe, rank));
    }
    if (!await_payload(probe, rank, word))
        return STATUS_OK;
    payload_spoil(&probe->shape, probe->ops->slot(probe->transport, 0));
    return send_word(probe, rank);
}

static enum status probe_pairs(struct pair_probe *probe, struct probe_result *out)
{
    int n = probe->job->size, me = probe->job->rank;
    for (int a = 0; a < n; a++)
        for (int b = a + 1; b < n; b++) {
            double figures[2] = {0, 0};
            if (me == a)
                TRY(lead(probe, b, &figures[0], &figures[1]));
            else if (me == b)
                TRY(follow(probe, a));
            TRY(job_sum_doubles(probe->job, "probe of a pair of ranks", figures, 2));
            out->latency_s[a * n + b] = out->latency_s[b * n + a] = figures[0];
            out->bytes_per_second[a * n + b] = out->bytes_per_second[b * n + a] = figures[1];
        }
    return STATUS_OK;
}

static enum status probe_transport(struct job *job, struct probe_result *out)
{
    struct graph_params graph_params = {.name = "complete", .worker_count = job->size, .rate = 1};
    struct graph *graph = NULL;
    TRY(graph_create(&graph_params, &graph));
    struct pair_probe probe = {.job = job, .shape = payload_shape(PROBE_BYTES / sizeof(float), CHUNK_BYTES)};
    probe.payload = memory_alloc_aligned(PROBE_BYTES);
    probe.tags = memory_zalloc((size_t)probe.shape.chunk_count, sizeof probe.tags[0]);
    probe.words = memory_zalloc((size_t)job->size, sizeof probe.words[0]);
    for (int rank = 0; rank < job->size; rank++)
        probe.words[rank] = 1; /* what opening a transport has put */
    struct transport_params params = {.job = job,
                                      .graph = graph,
                                      .worker = job->rank,
                                      .slots = 1,
                                      .slot_bytes = probe.shape.slot_bytes,
                                      .puts_per_slot = 2 * probe.shape.chunk_count};
    enum status status = transport_open(job->survives ? "sendrecv" : "auto", &params, &probe.ops, &probe.transport);
    if (status == STATUS_OK) {
        out->transport = probe.ops->name;
        status = probe_pairs(&probe, out);
        probe.ops->destroy(probe.transport);
    }
    memory_free_aligned(probe.payload);
    free(probe.tags);
    free(probe.words);
    graph_destroy(graph);
    return status;
}

static const char *describe_deaths(const struct job *job)
{
    if (job->mpi->survival.active)
        return "the others go on (ULFM is switched on)";
    return job->mpi->survival.shrink != NULL ? "end the run; under mpirun --with-ft ulfm the others would go on"
                                             : "end the run; this MPI cannot go on without a rank (Open MPI 5 can)";
}

static void describe_library(struct probe_result *out)
{
    static const char *const levels[] = {"MPI_THREAD_SINGLE", "MPI_THREAD_FUNNELED", "MPI_THREAD_SERIALIZED",
                                         "MPI_THREAD_MULTIPLE"};
    static const int codes[] = {MPI_THREAD_SINGLE, MPI_THREAD_FUNNELED, MPI_THREAD_SERIALIZED, MPI_THREAD_MULTIPLE};
    char version[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0, level = MPI_THREAD_SINGLE;
    MPI_Get_library_version(version, &length);
    version[strcspn(version, "\n")] = '\0';
    for (char *tab = strchr(version, '\t'); tab != NULL; tab = strchr(tab, '\t'))
        *tab = ' ';
    char *comma = strchr(version, ','); /* Open MPI goes on with package and identity */
    if (comma != NULL)
        *comma = '\0';
    snprintf(out->library, sizeof out->library, "%.*s", (int)sizeof out->library - 1, version);
    MPI_Query_thread(&level);
    for (int k = 0; k < 4; k++)
        if (codes[k] == level)
            out->thread_level = levels[k];
    const char *osc = getenv("OMPI_MCA_osc");
    if (strstr(version, "Open MPI") != NULL)
        snprintf(out->windows, sizeof out->windows, "osc %.80s", osc != NULL ? osc : "(the library's choice)");
    else
        snprintf(out->windows, sizeof out->windows, "the library's own");
    static const char *const answers[] = {[GPU_MEMORY_REFUSED] = "not known to this MPI",
                                          [GPU_MEMORY_KNOWN] = "known to this MPI (communication.transport=cuda)",
                                          [GPU_MEMORY_UNKNOWN] = "this MPI does not say whether it knows it"};
    out->gpu_memory = answers[gpu_memory_in_mpi()];
}

enum status probe_run(struct job *job, struct probe_result *out)
{
    size_t pairs = (size_t)job->size * (size_t)job->size;
    *out = (struct probe_result){.thread_level = "unknown", .gpu_memory = "", .deaths = "", .transport = "none"};
    out->latency_s = memory_zalloc(pairs, sizeof out->latency_s[0]);
    out->bytes_per_second = memory_zalloc(pairs, sizeof out->bytes_per_second[0]);
    describe_library(out);
    out->deaths = describe_deaths(job);
    return job->size > 1 ? probe_transport(job, out) : STATUS_OK;
}

void probe_release(struct probe_result *result)
{
    free(result->latency_s);
    free(result->bytes_per_second);
    *result = (struct probe_result){0};
}
