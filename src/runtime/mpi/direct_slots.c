/* Slots in device memory, which neighbors on the same node fill from their own device. */
#include "runtime/mpi/direct_slots.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"

enum { TRIAL_MOST = 1 << 18 }; /* floats of a trial: the last ones of a slot */

static const double trial_limit_s = 10;

struct direct_slots {
    struct direct_slots_params params;
    int degree;
    bool refused;         /* all ranks know that it does not work */
    const char *reason;   /* then */
    bool named;           /* others may have mapped the own slots */
    unsigned char *names; /* owned (size × slots × DEVICE_NAME_BYTES): every rank's */
    float **own;          /* owned (slots), device memory */
    float **theirs;       /* owned (degree × slots), the neighbors' device memory while not NULL */
    float *scratch;       /* owned (trial_count), device memory */
    uint32_t *host;       /* owned (trial_count) */
    size_t trial_count;
    int distance; /* of the present trial: worker i fills the slots of worker i + distance */
};

static unsigned char *names_of(const struct direct_slots *slots, int rank)
{
    return slots->names + (size_t)rank * (size_t)slots->params.slots * DEVICE_NAME_BYTES;
}

static float **slot_of(const struct direct_slots *slots, int neighbor, int slot)
{
    return &slots->theirs[(size_t)neighbor * (size_t)slots->params.slots + (size_t)slot];
}

/* One step of all ranks. It fails on all or on none. */
static enum status together(struct direct_slots *slots, const char *step, enum status (*run)(struct direct_slots *))
{
    struct job *job = slots->params.job;
    log_hold(true);
    enum status status = run(slots);
    if (slots->params.required) {
        status = job_agree(job, step, status);
        slots->refused = status != STATUS_OK && job->agreed;
        if (status != STATUS_OK && !job->agreed)
            log_release();
        log_hold(false);
        return status;
    }
    log_hold(false);
    double bad = status != STATUS_OK;
    TRY(job_sum_doubles(job, step, &bad, 1));
    slots->refused = bad > 0;
    return slots->refused ? STATUS_MACHINE : STATUS_OK;
}

static enum status look(struct direct_slots *slots)
{
    const struct direct_slots_params *p = &slots->params;
    if (p->job->local_size != p->job->size)
        log_error("communication.transport=ipc copies between the GPUs of one node, and these %d ranks are on several; "
                  "set communication.transport=auto, or start all ranks on one node",
                  p->job->size);
    else if (p->ops->host_memory || p->ops->alloc_shared == NULL)
        log_error("communication.transport=ipc copies from GPU to GPU, and the device of this rank is %s; set "
                  "device.name=cuda, or communication.transport=auto",
                  p->ops->name);
    else
        return STATUS_OK;
    return STATUS_USAGE;
}

static enum status allocate(struct direct_slots *slots)
{
    const struct direct_slots_params *p = &slots->params;
    for (int k = 0; k < p->slots; k++)
        TRY(p->ops->alloc_shared(p->device, p->count, &slots->own[k],
                                 names_of(slots, p->worker) + (size_t)k * DEVICE_NAME_BYTES));
    return p->ops->vector_alloc(p->device, slots->trial_count, &slots->scratch);
}

static enum status share_names(struct direct_slots *slots)
{
    const struct direct_slots_params *p = &slots->params;
    size_t bytes = (size_t)p->slots * DEVICE_NAME_BYTES;
    unsigned char *mine = memory_zalloc(bytes, 1);
    memcpy(mine, names_of(slots, p->worker), bytes);
    enum status status = job_gather_bytes(p->job, "names of GPU memory", mine, bytes, slots->names);
    free(mine);
    return status;
}

static enum status open_neighbors(struct direct_slots *slots)
{
    const struct direct_slots_params *p = &slots->params;
    for (int j = 0; j < slots->degree; j++)
        for (int k = 0; k < p->slots; k++) {
            const unsigned char *names = names_of(slots, graph_neighbors(p->graph, p->worker)[j].worker);
            TRY(p->ops->open_shared(p->device, names + (size_t)k * DEVICE_NAME_BYTES, slot_of(slots, j, k)));
        }
    return STATUS_OK;
}

/* --- the trial --- */

/* What `writer` puts into `slot`: no two are alike. */
static void draw(struct direct_slots *slots, int writer, int slot)
{
    for (size_t i = 0; i < slots->trial_count; i++)
        slots->host[i] = ((uint32_t)writer << 24 ^ (uint32_t)slot << 20 ^ (uint32_t)i) * UINT32_C(2654435761) + 1;
}

static int neighbor_of(const struct direct_slots *slots, int worker)
{
    const struct graph_neighbor *list = graph_neighbors(slots->params.graph, slots->params.worker);
    for (int j = 0; j < slots->degree; j++)
        if (list[j].worker == worker)
            return j;
    return -1;
}

static int worker_at(const struct direct_slots *slots, int distance)
{
    int n = slots->params.graph->worker_count;
    return (slots->params.worker + distance + n) % n;
}

static bool wait_for_copy(const struct direct_slots *slots, uint64_t ticket)
{
    const struct direct_slots_params *p = &slots->params;
    double begin_s = stopwatch_now();
    while (!p->ops->copied(p->device, ticket)) {
        if (stopwatch_now() - begin_s > trial_limit_s)
            return false;
        stopwatch_sleep(50e-6);
    }
    return true;
}

static enum status trial_failed(int from, int to)
{
    log_on_this_rank(LOG_ERROR,
                     "a copy from the GPU of rank %d to that of rank %d does not arrive whole: with an IOMMU or access "
                     "control services (ACS) switched on GPUs of one node may not reach one another; set "
                     "communication.transport=put",
                     from, to);
    return STATUS_MACHINE;
}

static enum status fill_trial(struct direct_slots *slots)
{
    const struct direct_slots_params *p = &slots->params;
    int target = worker_at(slots, slots->distance), neighbor = neighbor_of(slots, target);
    for (int k = 0; k < p->slots && neighbor >= 0; k++) {
        draw(slots, p->worker, k);
        p->ops->vector_write(p->device, slots->scratch, slots->trial_count, (const float *)(const void *)slots->host);
        uint64_t ticket = p->ops->copy_across(p->device, slots->scratch, slots->trial_count,
                                              *slot_of(slots, neighbor, k) + (p->count - slots->trial_count));
        if (!wait_for_copy(slots, ticket))
            return trial_failed(p->worker, target);
    }
    return STATUS_OK;
}

static enum status check_trial(struct direct_slots *slots)
{
    const struct direct_slots_params *p = &slots->params;
    int source = worker_at(slots, -slots->distance);
    if (neighbor_of(slots, source) < 0)
        return STATUS_OK;
    uint32_t *found = memory_zalloc(slots->trial_count, sizeof found[0]);
    bool same = true;
    for (int k = 0; k < p->slots && same; k++) {
        draw(slots, source, k);
        p->ops->vector_read(p->device, slots->own[k] + (p->count - slots->trial_count), slots->trial_count,
                            (float *)(void *)found);
        same = memcmp(found, slots->host, slots->trial_count * sizeof found[0]) == 0;
    }
    free(found);
    return same ? STATUS_OK : trial_failed(source, p->worker);
}

static bool anybody_at(const struct graph *graph, int distance)
{
    for (int e = 0; e < graph->edge_count; e++) {
        int apart = graph->edges[e].b - graph->edges[e].a;
        if (apart == distance || graph->worker_count - apart == distance)
            return true;
    }
    return false;
}

/* A slot is filled by all neighbors: by one at a time, each at its distance. */
static enum status try_all(struct direct_slots *slots)
{
    const struct graph *graph = slots->params.graph;
    for (slots->distance = 1; slots->distance < graph->worker_count; slots->distance++) {
        if (!anybody_at(graph, slots->distance))
            continue;
        TRY(together(slots, "trial copies between GPUs", fill_trial));
        TRY(together(slots, "check of copies between GPUs", check_trial));
    }
    return STATUS_OK;
}

/* --- open and close --- */

static enum status open_all(struct direct_slots *slots)
{
    const struct job *job = slots->params.job;
    slots->reason = job->local_size != job->size ? "the ranks are on several nodes" : "not every rank has a GPU";
    TRY(together(slots, "place and device of the ranks", look));
    slots->reason = "GPUs do not reach one another (communication.transport=ipc says why)";
    slots->named = true;
    TRY(together(slots, "GPU memory for snapshots", allocate));
    TRY(share_names(slots));
    TRY(together(slots, "GPU memory of the neighbors", open_neighbors));
    return try_all(slots);
}

static void release(struct direct_slots *slots, bool all_are_here)
{
    const struct direct_slots_params *p = &slots->params;
    for (int k = 0; k < slots->degree * p->slots; k++)
        if (slots->theirs[k] != NULL)
            p->ops->close_shared(p->device, slots->theirs[k]);
    p->ops->vector_free(p->device, slots->scratch);
    /* What somebody may still have open is left to the end of the process. */
    if (slots->named && all_are_here && job_barrier(p->job, "closing of GPU memory") == STATUS_OK)
        for (int k = 0; k < p->slots; k++)
            p->ops->vector_free(p->device, slots->own[k]);
    free(slots->host);
    free(slots->theirs);
    free(slots->own);
    free(slots->names);
    free(slots);
}

enum status direct_slots_open(const struct direct_slots_params *params, struct direct_slots **out, const char **reason)
{
    struct direct_slots *slots = memory_zalloc(1, sizeof *slots);
    size_t slot_count = (size_t)params->slots;
    slots->params = *params;
    slots->degree = graph_degree(params->graph, params->worker);
    slots->trial_count = params->count < TRIAL_MOST ? params->count : TRIAL_MOST;
    slots->names = memory_zalloc((size_t)params->job->size * slot_count, DEVICE_NAME_BYTES);
    slots->own = memory_zalloc(slot_count, sizeof slots->own[0]);
    slots->theirs = memory_zalloc((size_t)slots->degree * slot_count + 1, sizeof slots->theirs[0]);
    slots->host = memory_zalloc(slots->trial_count, sizeof slots->host[0]);
    enum status status = open_all(slots);
    if (status == STATUS_OK) {
        *out = slots;
        return STATUS_OK;
    }
    bool refused = slots->refused;
    *out = NULL;
    *reason = slots->reason;
    release(slots, refused);
    return refused && !params->required ? STATUS_OK : status;
}

void direct_slots_close(struct direct_slots *slots)
{
    if (slots != NULL)
        release(slots, true);
}

const float *direct_slots_own(const struct direct_slots *slots, int slot)
{
    return slots->own[slot];
}

uint64_t direct_slots_fill(struct direct_slots *slots, int neighbor, int slot, const float *from)
{
    const struct direct_slots_params *p = &slots->params;
    return p->ops->copy_across(p->device, from, p->count, *slot_of(slots, neighbor, slot));
}
