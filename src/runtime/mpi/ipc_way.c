/* From GPU to GPU of one node: vectors that the neighbors have mapped (device.h: alloc_shared and what follows it). */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "runtime/mpi/direct_way.h"

struct direct_memory {
    struct direct_slots_params params;
    int degree;
    bool named;           /* others may have mapped the own slots */
    unsigned char *names; /* owned (size × slots × DEVICE_NAME_BYTES): every rank's */
    float **own;          /* owned (slots), device memory */
    float **theirs;       /* owned (degree × slots), the neighbors' device memory while not NULL */
    uint64_t *tickets;    /* owned (slots): of each record's last copy */
};

static unsigned char *names_of(const struct direct_memory *memory, int rank)
{
    return memory->names + (size_t)rank * (size_t)memory->params.slots * DEVICE_NAME_BYTES;
}

static float **slot_of(const struct direct_memory *memory, int neighbor, int slot)
{
    return &memory->theirs[(size_t)neighbor * (size_t)memory->params.slots + (size_t)slot];
}

static enum status ipc_look(const struct direct_slots_params *p, const char **reason)
{
    if (p->job->local_size != p->job->size) {
        *reason = "the ranks are on several nodes";
        log_error("communication.transport=ipc copies between the GPUs of one node, and these %d ranks are on several; "
                  "set communication.transport=auto, or start all ranks on one node",
                  p->job->size);
    } else if (p->ops->host_memory || p->ops->alloc_shared == NULL) {
        log_error("communication.transport=ipc copies from GPU to GPU, and the device of this rank is %s; set "
                  "device.name=cuda, or communication.transport=auto",
                  p->ops->name);
    } else {
        return STATUS_OK;
    }
    return STATUS_USAGE;
}

static enum status ipc_create(const struct direct_slots_params *p, struct direct_memory **out)
{
    struct direct_memory *memory = *out = memory_zalloc(1, sizeof *memory);
    size_t slots = (size_t)p->slots;
    memory->params = *p;
    memory->degree = graph_degree(p->graph, p->worker);
    memory->names = memory_zalloc((size_t)p->job->size * slots, DEVICE_NAME_BYTES);
    memory->own = memory_zalloc(slots, sizeof memory->own[0]);
    memory->theirs = memory_zalloc((size_t)memory->degree * slots + 1, sizeof memory->theirs[0]);
    memory->tickets = memory_zalloc(slots, sizeof memory->tickets[0]);
    for (int k = 0; k < p->slots; k++)
        TRY(p->ops->alloc_shared(p->device, p->count, &memory->own[k],
                                 names_of(memory, p->worker) + (size_t)k * DEVICE_NAME_BYTES));
    return STATUS_OK;
}

static enum status ipc_share(struct direct_memory *memory)
{
    const struct direct_slots_params *p = &memory->params;
    size_t bytes = (size_t)p->slots * DEVICE_NAME_BYTES;
    unsigned char *mine = memory_zalloc(bytes, 1);
    memcpy(mine, names_of(memory, p->worker), bytes);
    memory->named = true;
    enum status status = job_gather_bytes(p->job, "names of GPU memory", mine, bytes, memory->names);
    free(mine);
    return status;
}

static enum status ipc_reach(struct direct_memory *memory)
{
    const struct direct_slots_params *p = &memory->params;
    for (int j = 0; j < memory->degree; j++)
        for (int k = 0; k < p->slots; k++) {
            const unsigned char *names = names_of(memory, graph_neighbors(p->graph, p->worker)[j].worker);
            TRY(p->ops->open_shared(p->device, names + (size_t)k * DEVICE_NAME_BYTES, slot_of(memory, j, k)));
        }
    return STATUS_OK;
}

static void ipc_leave(struct direct_memory *memory, bool together)
{
    (void)together;
    for (int k = 0; k < memory->degree * memory->params.slots; k++) {
        if (memory->theirs[k] != NULL)
            memory->params.ops->close_shared(memory->params.device, memory->theirs[k]);
        memory->theirs[k] = NULL;
    }
}

static void ipc_destroy(struct direct_memory *memory, bool all_left)
{
    const struct direct_slots_params *p = &memory->params;
    for (int k = 0; k < p->slots && (all_left || !memory->named); k++)
        p->ops->vector_free(p->device, memory->own[k]);
    free(memory->tickets);
    free(memory->theirs);
    free(memory->own);
    free(memory->names);
    free(memory);
}

static float *ipc_own(const struct direct_memory *memory, int slot)
{
    return memory->own[slot];
}

static enum status ipc_put(struct direct_memory *memory, int record, int neighbor, int slot, size_t first, size_t count,
                           const float *from)
{
    const struct direct_slots_params *p = &memory->params;
    float *to = *slot_of(memory, neighbor, slot) + first;
    memory->tickets[record] = p->ops->copy_across(p->device, from, count, to);
    return STATUS_OK;
}

static enum status ipc_sent(struct direct_memory *memory, int record, bool *done)
{
    *done = memory->params.ops->copied(memory->params.device, memory->tickets[record]);
    return STATUS_OK;
}

const struct direct_way direct_way_ipc = {
    .name = "ipc",
    .travel = "from GPU to GPU",
    .refused = "GPUs do not reach one another (communication.transport=ipc says why)",
    .remedy = "with an IOMMU or access control services (ACS) switched on GPUs of one node may not reach one another",
    .look = ipc_look,
    .create = ipc_create,
    .share = ipc_share,
    .reach = ipc_reach,
    .leave = ipc_leave,
    .destroy = ipc_destroy,
    .own = ipc_own,
    .put = ipc_put,
    .sent = ipc_sent,
};
