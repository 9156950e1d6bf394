/* The exchange's transfers: each on its own stream, behind the state work called before it. */
#include "device/cuda/cuda_backend.h"
#include "device/cuda/cuda_device.h"

/* A ticket: number of the event in its ring << 3 | strict << 2 | ring. */
enum { TICKET_RING = 3, TICKET_STRICT = 4, TICKET_SHIFT = 3 };

/* Of a strict copy that could not begin. */
static const uint64_t never = UINT64_MAX;

int cuda_ring_begin(struct device *device, struct cuda_ring *ring, cudaEvent_t *event)
{
    *event = ring->events[ring->used++ % CUDA_RING_EVENTS];
    int code = (int)cudaEventRecord(*event, device->state);
    return code != 0 ? code : (int)cudaStreamWaitEvent(ring->stream, *event, 0);
}

uint64_t cuda_begin_copy(struct device *device, enum cuda_ring_name name, bool strict, const float *from, size_t count,
                         float *to)
{
    struct cuda_ring *ring = &device->rings[name];
    cudaEvent_t event;
    cuda_enter(device);
    pthread_mutex_lock(&device->copies);
    uint64_t ticket = ring->used << TICKET_SHIFT | (strict ? TICKET_STRICT : 0) | (uint64_t)name;
    int code = cuda_ring_begin(device, ring, &event);
    if (code == 0 && count > 0)
        code = (int)cudaMemcpyAsync(to, from, count * sizeof *to, cudaMemcpyDefault, ring->stream);
    if (code == 0)
        code = (int)cudaEventRecord(event, ring->stream);
    cuda_note(device, "copying a snapshot", code);
    pthread_mutex_unlock(&device->copies);
    return code != 0 && strict ? never : ticket;
}

uint64_t cuda_copy_out(struct device *device, const float *from, size_t count, float *host)
{
    return cuda_begin_copy(device, CUDA_RING_OUT, false, from, count, host);
}

uint64_t cuda_copy_in(struct device *device, const float *host, size_t count, float *to)
{
    return cuda_begin_copy(device, CUDA_RING_IN, false, host, count, to);
}

/* An event that has been given to a later ticket of the ring says so of that one, which is no sooner done. */
bool cuda_copied(struct device *device, uint64_t ticket)
{
    cuda_enter(device);
    const struct cuda_ring *ring = &device->rings[ticket & TICKET_RING];
    if (ticket == never)
        return false;
    cudaError_t code = cudaEventQuery(ring->events[(ticket >> TICKET_SHIFT) % CUDA_RING_EVENTS]);
    if (code == cudaErrorNotReady) {
        (void)cudaGetLastError(); /* no error, but remembered as one */
        return false;
    }
    cuda_note(device, "copying a snapshot", (int)code);
    return code == cudaSuccess || (ticket & TICKET_STRICT) == 0;
}

/* Whole pages are pinned; memory that shares one with pinned memory is so already. */
enum status cuda_pin(struct device *device, void *memory, size_t bytes)
{
    cuda_enter(device);
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
    cuda_enter(device);
    if (cudaHostUnregister(memory) != cudaSuccess)
        (void)cudaGetLastError(); /* it shared the registration of other memory */
}
