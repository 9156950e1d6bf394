/* Slots in device memory, which neighbors fill from their own device: the choice of a way, its trial, its use. */
#include "runtime/mpi/direct_slots.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "runtime/mpi/direct_way.h"
#include "runtime/mpi/mpi_call.h"

enum { TRIAL_MOST = 1 << 18 }; /* floats of a trial: the last ones of a slot */

static const double trial_limit_s = 10, trial_poll_s = 50e-6;

static const struct direct_way *const ways[] = {&direct_way_ipc, &direct_way_window};

struct direct_slots {
    struct direct_slots_params params;
    const struct direct_way *way;
    struct direct_memory *memory; /* owned */
    int degree;
    bool refused;        /* all ranks know that it does not work */
    const char *reason;  /* then */
    double *next_look_s; /* owned (slots): the device is not asked for the slot's digest before */
    float *scratch;      /* owned (trial_count), device memory */
    uint32_t *host;      /* owned (trial_count) */
    size_t trial_count;
    int distance; /* of the present trial: worker i fills the slots of worker i + distance */
};

static const struct direct_way *find_way(const char *name)
{
    for (size_t k = 0; k < sizeof ways / sizeof ways[0]; k++)
        if (strcmp(ways[k]->name, name) == 0)
            return ways[k];
    return NULL;
}

bool direct_slots_way(const char *transport)
{
    return find_way(transport) != NULL;
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
    return slots->way->look(&slots->params, &slots->reason);
}

static enum status create(struct direct_slots *slots)
{
    const struct direct_slots_params *p = &slots->params;
    TRY(slots->way->create(p, &slots->memory));
    return p->ops->vector_alloc(p->device, slots->trial_count, &slots->scratch);
}

static enum status reach(struct direct_slots *slots)
{
    return slots->way->reach != NULL ? slots->way->reach(slots->memory) : STATUS_OK;
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

static enum status trial_failed(const struct direct_slots *slots, int from, int to)
{
    log_on_this_rank(LOG_ERROR,
                     "what was put from the GPU of rank %d to that of rank %d does not arrive whole: %s; set "
                     "communication.transport=put",
                     from, to, slots->way->remedy);
    return STATUS_MACHINE;
}

/* MPI moves on while it is called. */
static enum status progress(void)
{
    int flag;
    TRY_MPI(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &flag, MPI_STATUS_IGNORE));
    stopwatch_sleep(trial_poll_s);
    return STATUS_OK;
}

static size_t trial_first(const struct direct_slots *slots)
{
    return slots->params.count - slots->trial_count;
}

static enum status fill_trial(struct direct_slots *slots)
{
    const struct direct_slots_params *p = &slots->params;
    int target = worker_at(slots, slots->distance), neighbor = neighbor_of(slots, target);
    for (int k = 0; k < p->slots && neighbor >= 0; k++) {
        bool sent = false;
        draw(slots, p->worker, k);
        p->ops->vector_write(p->device, slots->scratch, slots->trial_count, (const float *)(const void *)slots->host);
        TRY(slots->way->put(slots->memory, k, neighbor, k, trial_first(slots), slots->trial_count, slots->scratch));
        for (double begin_s = stopwatch_now(); !sent;) {
            TRY(slots->way->sent(slots->memory, k, &sent));
            if (!sent && stopwatch_now() - begin_s > trial_limit_s)
                return trial_failed(slots, p->worker, target);
            if (!sent)
                TRY(progress());
        }
    }
    return STATUS_OK;
}

/* Does the own slot hold what `source` put? */
static bool holds(struct direct_slots *slots, int slot, int source, uint32_t *found)
{
    const struct direct_slots_params *p = &slots->params;
    draw(slots, source, slot);
    p->ops->vector_read(p->device, slots->way->own(slots->memory, slot) + trial_first(slots), slots->trial_count,
                        (float *)(void *)found);
    return memcmp(found, slots->host, slots->trial_count * sizeof found[0]) == 0;
}

static enum status check_slots(struct direct_slots *slots, int source, uint32_t *found)
{
    double begin_s = stopwatch_now();
    for (int k = 0; k < slots->params.slots;) {
        if (holds(slots, k, source, found)) {
            k++;
            continue;
        }
        if (stopwatch_now() - begin_s >= slots->way->patience_s)
            return trial_failed(slots, source, slots->params.worker);
        TRY(progress());
    }
    return STATUS_OK;
}

static enum status check_trial(struct direct_slots *slots)
{
    int source = worker_at(slots, -slots->distance);
    if (neighbor_of(slots, source) < 0)
        return STATUS_OK;
    uint32_t *found = memory_zalloc(slots->trial_count, sizeof found[0]);
    enum status status = check_slots(slots, source, found);
    free(found);
    return status;
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
        TRY(together(slots, "trial puts between GPUs", fill_trial));
        TRY(together(slots, "check of puts between GPUs", check_trial));
    }
    return STATUS_OK;
}

/* --- open and close --- */

static enum status open_all(struct direct_slots *slots)
{
    slots->reason = "not every rank has a GPU";
    TRY(together(slots, "place and device of the ranks", look));
    slots->reason = slots->way->refused;
    TRY(together(slots, "GPU memory for snapshots", create));
    TRY(slots->way->share(slots->memory));
    TRY(together(slots, "GPU memory of the neighbors", reach));
    return try_all(slots);
}

static void release(struct direct_slots *slots, bool all_are_here)
{
    const struct direct_slots_params *p = &slots->params;
    p->ops->vector_free(p->device, slots->scratch);
    if (slots->memory != NULL) {
        slots->way->leave(slots->memory, all_are_here);
        bool all_left = all_are_here && job_barrier(p->job, "closing of GPU memory") == STATUS_OK;
        slots->way->destroy(slots->memory, all_left);
    }
    free(slots->next_look_s);
    free(slots->host);
    free(slots);
}

enum status direct_slots_open(const char *way, const struct direct_slots_params *params, struct direct_slots **out,
                              const char **reason)
{
    struct direct_slots *slots = memory_zalloc(1, sizeof *slots);
    slots->params = *params;
    slots->way = find_way(way);
    slots->degree = graph_degree(params->graph, params->worker);
    slots->trial_count = params->count < TRIAL_MOST ? params->count : TRIAL_MOST;
    slots->host = memory_zalloc(slots->trial_count, sizeof slots->host[0]);
    slots->next_look_s = memory_zalloc((size_t)params->slots, sizeof slots->next_look_s[0]);
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

const char *direct_slots_name(const struct direct_slots *slots)
{
    return slots->way->name;
}

const char *direct_slots_travel(const struct direct_slots *slots)
{
    return slots->way->travel;
}

/* --- use --- */

const float *direct_slots_own(const struct direct_slots *slots, int slot)
{
    return slots->way->own(slots->memory, slot);
}

/* Taking the digest waits until the snapshot is finished, as a put by MPI needs it. */
enum status direct_slots_put(struct direct_slots *slots, int record, int neighbor, int slot, const float *from,
                             uint64_t *digest)
{
    const struct direct_slots_params *p = &slots->params;
    *digest = slots->way->digests ? p->ops->digest(p->device, p->count, from) : 0;
    return slots->way->put(slots->memory, record, neighbor, slot, 0, p->count, from);
}

enum status direct_slots_sent(struct direct_slots *slots, int record, bool *done)
{
    return slots->way->sent(slots->memory, record, done);
}

/* A look takes a pass over the slot: while it is in vain, a tenth of the time is spent on it. */
bool direct_slots_whole(struct direct_slots *slots, int slot, uint64_t digest)
{
    const struct direct_slots_params *p = &slots->params;
    double begin_s = stopwatch_now();
    if (!slots->way->digests)
        return true;
    if (begin_s < slots->next_look_s[slot])
        return false;
    bool whole = p->ops->digest(p->device, p->count, direct_slots_own(slots, slot)) == digest;
    double now_s = stopwatch_now();
    slots->next_look_s[slot] = whole ? 0 : now_s + 9 * (now_s - begin_s);
    return whole;
}
