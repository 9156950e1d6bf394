/* Vectors that other processes of the node put into, and the copies into theirs: CUDA IPC.
 *
 * A handle names all of what one cudaMalloc made. cudaMalloc cuts small requests out of blocks of 2 MiB, and such a
 * block is shared as a whole, so a shared vector takes whole blocks: nothing else is handed out with it, and it begins
 * where the handle's mapping does.
 *
 * Streams and events order the work of one process. Between two, order comes from the host alone: what is to be seen by
 * the other has been waited for here (an event that was asked, not only recorded) before the other is told. */
#include "device/cuda/cuda_backend.h"
#include "device/cuda/cuda_device.h"

#include <assert.h>
#include <string.h>

#include "base/log.h"

enum { BLOCK_BYTES = 2 << 20 };

static_assert(sizeof(cudaIpcMemHandle_t) <= DEVICE_NAME_BYTES, "a handle fits into a name");

/* Zeroed before anybody knows of it: a fill that came late would wipe out what another process has put. */
static cudaError_t prepare(struct device *device, float *vector, size_t bytes, cudaIpcMemHandle_t *handle)
{
    cudaError_t code = cudaMemsetAsync(vector, 0, bytes, device->state);
    if (code == cudaSuccess)
        code = cudaStreamSynchronize(device->state);
    return code == cudaSuccess ? cudaIpcGetMemHandle(handle, vector) : code;
}

enum status cuda_alloc_shared(struct device *device, size_t count, float **out, unsigned char name[DEVICE_NAME_BYTES])
{
    size_t bytes = (count * sizeof(float) + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
    cudaIpcMemHandle_t handle;
    float *vector = NULL;
    TRY(cuda_alloc(bytes, "a vector of parameters", &vector));
    cudaError_t code = prepare(device, vector, bytes, &handle);
    if (code != cudaSuccess) {
        (void)cudaGetLastError();
        cudaFree(vector);
        return cuda_call_failed("sharing GPU memory with other processes", (int)code);
    }
    memset(name, 0, DEVICE_NAME_BYTES);
    memcpy(name, &handle, sizeof handle);
    *out = vector;
    return STATUS_OK;
}

enum status cuda_open_shared(struct device *device, const unsigned char name[DEVICE_NAME_BYTES], float **out)
{
    cudaIpcMemHandle_t handle;
    void *memory = NULL;
    memcpy(&handle, name, sizeof handle);
    cuda_enter(device);
    cudaError_t code = cudaIpcOpenMemHandle(&memory, handle, cudaIpcMemLazyEnablePeerAccess);
    if (code != cudaSuccess) {
        (void)cudaGetLastError(); /* the next kernel's launch would find it */
        log_on_this_rank(LOG_ERROR,
                         "GPU memory of another process cannot be opened: CUDA: %s (%s); `nvidia-smi topo -p2p r` "
                         "shows which GPUs reach one another, and ranks in containers must share IPC and process "
                         "names; or set communication.transport=auto",
                         cudaGetErrorString(code), cudaGetErrorName(code));
        return STATUS_MACHINE;
    }
    *out = memory;
    return STATUS_OK;
}

void cuda_close_shared(struct device *device, float *vector)
{
    cuda_note(device, "copying a snapshot", (int)cudaStreamSynchronize(device->out));
    cuda_note(device, "closing GPU memory of another process", (int)cudaIpcCloseMemHandle(vector));
}

uint64_t cuda_copy_across(struct device *device, const float *from, size_t count, float *to)
{
    return cuda_begin_copy(device, CUDA_RING_OUT, true, from, count, to);
}

uint64_t cuda_mark(struct device *device)
{
    return cuda_begin_copy(device, CUDA_RING_STATE, true, NULL, 0, NULL);
}
