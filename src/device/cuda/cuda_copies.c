/* The exchange's transfers: each on its own stream, behind the state work called before it. */
#include "device/cuda/cuda_backend.h"
#include "device/cuda/cuda_device.h"

#include "base/memory.h"

/* Let `stream` wait for the state work called so far; begin the copy; the ticket of its event. */
static uint64_t copy(struct device *device, cudaStream_t stream, const float *from, size_t count, float *to)
{
    pthread_mutex_lock(&device->copies);
    uint64_t ticket = device->tickets++;
    cudaEvent_t event = device->events[ticket % CUDA_TICKETS];
    int code = (int)cudaEventRecord(event, device->state);
    if (code == 0)
        code = (int)cudaStreamWaitEvent(stream, event, 0);
    if (code == 0)
        code = (int)cudaMemcpyAsync(to, from, count * sizeof *to, cudaMemcpyDefault, stream);
    if (code == 0)
        code = (int)cudaEventRecord(event, stream);
    cuda_note(device, "copying a snapshot", code);
    pthread_mutex_unlock(&device->copies);
    return ticket;
}

uint64_t cuda_copy_out(struct device *device, const float *from, size_t count, float *host)
{
    return copy(device, device->out, from, count, host);
}

uint64_t cuda_copy_in(struct device *device, const float *host, size_t count, float *to)
{
    return copy(device, device->in, host, count, to);
}

/* An event that has been given to a later ticket says so of that one, which is no sooner done. After a failure nothing
 * is waited for: the next network call reports it. */
bool cuda_copied(struct device *device, uint64_t ticket)
{
    cudaError_t code = cudaEventQuery(device->events[ticket % CUDA_TICKETS]);
    if (code == cudaErrorNotReady) {
        (void)cudaGetLastError(); /* no error, but remembered as one */
        return false;
    }
    cuda_note(device, "copying a snapshot", (int)code);
    return true;
}

/* Whole pages are pinned; memory that shares one with pinned memory is so already. */
enum status cuda_pin(struct device *device, void *memory, size_t bytes)
{
    (void)device;
    cudaError_t code = cudaHostRegister(memory, bytes, cudaHostRegisterPortable);
    if (code == cudaErrorHostMemoryAlreadyRegistered) {
        (void)cudaGetLastError();
        code = cudaSuccess;
    }
    TRY_CUDA("pinning the exchange's host memory", code);
    return STATUS_OK;
}

void cuda_unpin(struct device *device, void *memory)
{
    (void)device;
    if (cudaHostUnregister(memory) != cudaSuccess)
        (void)cudaGetLastError(); /* it shared the registration of other memory */
}
