/* From device memory to device memory by MPI, on one node or between nodes: an MPI window that lies in device memory,
 * of an MPI library that was built to know it ("CUDA-aware").
 *
 * A put is locally complete long before anybody can tell that it has arrived, and a flush would wait for the other
 * rank, stopped ones too. So no flush: digests tell (direct_slots.h). The target is locked once, for the whole run.
 *
 * Open MPI's pt2pt component keeps small puts back until its buffer is full: something large goes after them, into a
 * spill behind the slots, which nobody reads.
 *
 * A library that does not know device memory crashes on it, which no trial survives: it is asked first. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "runtime/mpi/direct_way.h"
#include "runtime/mpi/gpu_memory.h"
#include "runtime/mpi/mpi_call.h"

/* Floats: of one put at most; that slots begin at multiples of; of the spill. */
enum { PIECE = 1 << 28, LINE = 64, SPILL = 4096 };

static const float nothing[SPILL];

struct direct_memory {
    struct direct_slots_params params;
    size_t stride; /* floats from slot to slot */
    int pieces;    /* puts of a snapshot at most */
    float *slots;  /* owned (slots × stride + SPILL), device memory */
    MPI_Win window;
    bool locked;
    MPI_Request *requests; /* owned (slots × pieces) */
};

static enum status window_look(const struct direct_slots_params *p, const char **reason)
{
    (void)reason;
    if (p->ops->host_memory || p->ops->alloc_shared == NULL)
        log_error("communication.transport=cuda puts from GPU to GPU, and the device of this rank is %s; set "
                  "device.name=cuda, or communication.transport=auto",
                  p->ops->name);
    else if (gpu_memory_in_mpi() != GPU_MEMORY_KNOWN)
        log_error("communication.transport=cuda needs an MPI library that puts from GPU memory, and this one %s; use "
                  "one that was built with CUDA (Open MPI: ompi_info --all | grep cuda_support), or set "
                  "communication.transport=auto",
                  gpu_memory_in_mpi() == GPU_MEMORY_UNKNOWN ? "does not say that it does" : "says that it does not");
    else
        return STATUS_OK;
    return STATUS_USAGE;
}

static size_t spill_place(const struct direct_memory *memory)
{
    return (size_t)memory->params.slots * memory->stride;
}

static enum status window_create(const struct direct_slots_params *p, struct direct_memory **out)
{
    struct direct_memory *memory = *out = memory_zalloc(1, sizeof *memory);
    unsigned char unused_name[DEVICE_NAME_BYTES];
    memory->params = *p;
    memory->stride = (p->count + LINE - 1) / LINE * LINE;
    memory->pieces = (int)((p->count + PIECE - 1) / PIECE);
    memory->window = MPI_WIN_NULL;
    size_t requests = (size_t)p->slots * (size_t)memory->pieces;
    memory->requests = memory_zalloc(requests, sizeof(MPI_Request));
    for (size_t k = 0; k < requests; k++)
        memory->requests[k] = MPI_REQUEST_NULL;
    return p->ops->alloc_shared(p->device, spill_place(memory) + SPILL, &memory->slots, unused_name);
}

static enum status window_share(struct direct_memory *memory)
{
    MPI_Aint bytes = (MPI_Aint)((spill_place(memory) + SPILL) * sizeof(float));
    TRY_MPI(MPI_Win_create(memory->slots, bytes, sizeof(float), MPI_INFO_NULL, MPI_COMM_WORLD, &memory->window));
    MPI_Win_set_errhandler(memory->window, MPI_ERRORS_RETURN);
    TRY_MPI(MPI_Win_lock_all(MPI_MODE_NOCHECK, memory->window));
    memory->locked = true;
    return STATUS_OK;
}

static void window_leave(struct direct_memory *memory, bool together)
{
    if (!together || memory->window == MPI_WIN_NULL)
        return;
    if (memory->locked)
        MPI_Win_unlock_all(memory->window);
    MPI_Win_free(&memory->window);
}

static void window_destroy(struct direct_memory *memory, bool all_left)
{
    (void)all_left;
    if (memory->window == MPI_WIN_NULL)
        memory->params.ops->vector_free(memory->params.device, memory->slots);
    free(memory->requests);
    free(memory);
}

static float *window_own(const struct direct_memory *memory, int slot)
{
    return memory->slots + (size_t)slot * memory->stride;
}

static MPI_Request *requests_of(const struct direct_memory *memory, int record)
{
    return memory->requests + (size_t)record * (size_t)memory->pieces;
}

static enum status window_put(struct direct_memory *memory, int record, int neighbor, int slot, size_t first,
                              size_t count, const float *from)
{
    const struct direct_slots_params *p = &memory->params;
    int rank = graph_neighbors(p->graph, p->worker)[neighbor].worker;
    MPI_Request *request = requests_of(memory, record);
    for (size_t begin = 0; begin < count; begin += PIECE) {
        int length = (int)(count - begin < PIECE ? count - begin : PIECE);
        MPI_Aint place = (MPI_Aint)((size_t)slot * memory->stride + first + begin);
        TRY_MPI(MPI_Rput(from + begin, length, MPI_FLOAT, rank, place, length, MPI_FLOAT, memory->window, request++));
    }
    if (count < SPILL)
        TRY_MPI(
            MPI_Put(nothing, SPILL, MPI_FLOAT, rank, (MPI_Aint)spill_place(memory), SPILL, MPI_FLOAT, memory->window));
    return STATUS_OK;
}

static enum status window_sent(struct direct_memory *memory, int record, bool *done)
{
    int flag = 0;
    TRY_MPI(MPI_Testall(memory->pieces, requests_of(memory, record), &flag, MPI_STATUSES_IGNORE));
    *done = flag != 0;
    return STATUS_OK;
}

const struct direct_way direct_way_window = {
    .name = "cuda",
    .travel = "from GPU to GPU, by MPI",
    .refused = "MPI does not put from GPU to GPU (communication.transport=cuda says why)",
    .remedy = "this MPI library says that it knows GPU memory, and does not put between these",
    .patience_s = 10,
    .digests = true,
    .look = window_look,
    .create = window_create,
    .share = window_share,
    .leave = window_leave,
    .destroy = window_destroy,
    .own = window_own,
    .put = window_put,
    .sent = window_sent,
};
