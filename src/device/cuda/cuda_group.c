/* Means over the GPUs of all ranks, by NCCL, on a stream of their own: the backward pass goes on beside them. */
#include <nccl.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "device/cuda/cuda_backend.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/cuda_libraries.h"

struct device_group {
    struct device *device; /* borrowed */
    ncclComm_t comm;
    cudaStream_t stream;
    cudaEvent_t ready, done[NET_RESULTS]; /* of join k: place k mod NET_RESULTS */
    uint64_t joins;
};

static enum status nccl_failed(const char *operation, ncclResult_t code)
{
    log_on_this_rank(LOG_ERROR, "%s: NCCL: %s; NCCL_DEBUG=INFO tells more", operation,
                     nccl_library()->error_string(code));
    return STATUS_MACHINE;
}

#define TRY_NCCL(operation, call)                     \
    do {                                              \
        ncclResult_t try_code_ = (call);              \
        if (try_code_ != ncclSuccess)                 \
            return nccl_failed(operation, try_code_); \
    } while (0)

enum status cuda_group_name(unsigned char name[DEVICE_NAME_BYTES])
{
    _Static_assert(sizeof(ncclUniqueId) <= DEVICE_NAME_BYTES, "NCCL's name of a group fits");
    ncclUniqueId id;
    TRY(nccl_library_load());
    TRY_NCCL("naming the group of GPUs", nccl_library()->get_unique_id(&id));
    memcpy(name, &id, sizeof id);
    return STATUS_OK;
}

static enum status open_group(struct device_group *group, const ncclUniqueId *id, int rank, int size)
{
    TRY(nccl_library_load());
    TRY_NCCL("joining the group of GPUs", nccl_library()->comm_init(&group->comm, size, *id, rank));
    TRY_CUDA("streams", cudaStreamCreateWithFlags(&group->stream, cudaStreamNonBlocking));
    TRY_CUDA("events", cudaEventCreateWithFlags(&group->ready, cudaEventDisableTiming));
    for (int k = 0; k < NET_RESULTS; k++)
        TRY_CUDA("events", cudaEventCreateWithFlags(&group->done[k], cudaEventDisableTiming));
    return STATUS_OK;
}

enum status cuda_group_open(struct device *device, const unsigned char name[DEVICE_NAME_BYTES], int rank, int size,
                            struct device_group **out)
{
    ncclUniqueId id;
    struct device_group *group = memory_zalloc(1, sizeof *group);
    memcpy(&id, name, sizeof id);
    group->device = device;
    enum status status = open_group(group, &id, rank, size);
    if (status != STATUS_OK)
        cuda_group_close(group);
    else
        *out = group;
    return status;
}

void cuda_group_close(struct device_group *group)
{
    if (group == NULL)
        return;
    /* Means that another rank does not take part in never end: then the group is broken off. */
    bool idle = group->stream == NULL || cudaStreamQuery(group->stream) == cudaSuccess;
    (void)cudaGetLastError();
    if (group->comm != NULL)
        (idle ? nccl_library()->comm_destroy : nccl_library()->comm_abort)(group->comm);
    if (group->ready != NULL)
        cudaEventDestroy(group->ready);
    for (int k = 0; k < NET_RESULTS; k++)
        if (group->done[k] != NULL)
            cudaEventDestroy(group->done[k]);
    if (group->stream != NULL)
        cudaStreamDestroy(group->stream);
    free(group);
}

enum status cuda_group_mean(struct device_group *group, float *values, size_t count)
{
    TRY_CUDA("order of streams", cudaEventRecord(group->ready, group->device->compute));
    TRY_CUDA("order of streams", cudaStreamWaitEvent(group->stream, group->ready, 0));
    TRY_NCCL("all-reduce of the gradient",
             nccl_library()->all_reduce(values, values, count, ncclFloat, ncclAvg, group->comm, group->stream));
    return STATUS_OK;
}

/* The update reads the means, and the next pass writes the gradient again. */
enum status cuda_group_join(struct device_group *group)
{
    ncclResult_t trouble = ncclSuccess;
    TRY_NCCL("all-reduce of the gradient", nccl_library()->async_error(group->comm, &trouble));
    TRY_NCCL("all-reduce of the gradient", trouble);
    cudaEvent_t done = group->done[group->joins++ % NET_RESULTS];
    TRY_CUDA("order of streams", cudaEventRecord(done, group->stream));
    TRY_CUDA("order of streams", cudaStreamWaitEvent(group->device->state, done, 0));
    TRY_CUDA("order of streams", cudaStreamWaitEvent(group->device->compute, done, 0));
    return STATUS_OK;
}

bool cuda_group_done(struct device_group *group, int age)
{
    if (group->joins <= (uint64_t)age)
        return true;
    cudaError_t code = cudaEventQuery(group->done[(group->joins - 1 - (uint64_t)age) % NET_RESULTS]);
    if (code == cudaErrorNotReady)
        (void)cudaGetLastError(); /* no error, but remembered as one */
    else
        cuda_note(group->device, "all-reduce of the gradient", (int)code);
    return code != cudaErrorNotReady;
}
