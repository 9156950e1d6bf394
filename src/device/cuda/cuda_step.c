/* A batch's way to the device, and an outcome's way back: through pinned memory, without waiting for the device unless
 * the host is CUDA_INPUT_SLOTS steps ahead. */
#include <assert.h>
#include <string.h>

#include "device/cuda/cuda_net.h"

static size_t labels_bytes(const struct net *net)
{
    return (net->batch * sizeof(int32_t) + 15) / 16 * 16;
}

static size_t plane_bytes(const struct net *net)
{
    const struct cuda_value *pictures = &net->values[0];
    return net->batch * (size_t)pictures->channels * (size_t)pictures->height * (size_t)pictures->width * sizeof(float);
}

enum status cuda_step_create(struct net *net)
{
    net->step_bytes = sizeof(struct cuda_step) + labels_bytes(net) + net->batch * sizeof(struct picture_pick);
    net->step_bytes = (net->step_bytes + 63) / 64 * 64;
    TRY(cuda_alloc(net->step_bytes, "inputs of a step", &net->step));
    TRY(cuda_alloc_host(CUDA_INPUT_SLOTS * net->step_bytes, &net->slots));
    TRY(cuda_alloc_host(NET_RESULTS * sizeof *net->outcomes, &net->outcomes));
    void *mapped;
    TRY_CUDA("mapped memory", cudaHostGetDevicePointer(&mapped, net->outcomes, 0));
    net->outcomes_on_device = mapped;
    for (int k = 0; k < CUDA_INPUT_SLOTS; k++)
        TRY_CUDA("events", cudaEventCreateWithFlags(&net->slot_free[k], cudaEventDisableTiming));
    for (int k = 0; k < 2; k++)
        TRY_CUDA("events", cudaEventCreateWithFlags(&net->planes_free[k], cudaEventDisableTiming));
    for (int k = 0; k < NET_RESULTS; k++) /* whoever waits for one sleeps */
        TRY_CUDA("events", cudaEventCreateWithFlags(&net->passed[k], cudaEventDisableTiming | cudaEventBlockingSync));
    TRY_CUDA("events", cudaEventCreateWithFlags(&net->planes_here, cudaEventDisableTiming));
    TRY_CUDA("events", cudaEventCreateWithFlags(&net->done, cudaEventDisableTiming));
    return STATUS_OK;
}

static void destroy_events(int count, const cudaEvent_t *events)
{
    for (int k = 0; k < count; k++)
        if (events[k] != NULL)
            cudaEventDestroy(events[k]);
}

void cuda_step_destroy(struct net *net)
{
    cudaFree(net->step);
    cudaFreeHost(net->slots);
    cudaFreeHost(net->outcomes);
    for (int k = 0; k < 2; k++) {
        cudaFree(net->planes[k]);
        cudaFreeHost(net->plane_slots[k]);
    }
    destroy_events(CUDA_INPUT_SLOTS, net->slot_free);
    destroy_events(2, net->planes_free);
    destroy_events(NET_RESULTS, net->passed);
    destroy_events(1, &net->planes_here);
    destroy_events(1, &net->done);
}

const int32_t *cuda_step_labels(const struct net *net)
{
    return (const int32_t *)(const void *)(net->step + 1);
}

static const struct cuda_pick *step_picks(const struct net *net)
{
    return (const struct cuda_pick *)(const void *)((const char *)(net->step + 1) + labels_bytes(net));
}

static struct cuda_pictures pictures_shape(const struct net *net)
{
    const struct cuda_value *value = &net->values[0];
    return (struct cuda_pictures){.batch = net->batch,
                                  .channels = value->channels,
                                  .height = value->height,
                                  .width = value->width,
                                  .stored_channels = value->stored,
                                  .type = value->type};
}

/* The small part: seeds, labels, picks. */
static enum status bring_header(struct net *net, const struct net_batch *batch, uint64_t dropout_seed)
{
    _Static_assert(sizeof(struct cuda_pick) == sizeof(struct picture_pick), "picks go to the kernel as they are");
    int k = (int)(net->serial % CUDA_INPUT_SLOTS);
    unsigned char *slot = net->slots + (size_t)k * net->step_bytes;
    TRY_CUDA("inputs of a step", cudaEventSynchronize(net->slot_free[k]));
    const struct cuda_step step = {.serial = net->serial, .dropout_seed = dropout_seed, .real = (uint32_t)batch->count};
    memcpy(slot, &step, sizeof step);
    if (batch->labels != NULL)
        memcpy(slot + sizeof step, batch->labels, batch->count * sizeof batch->labels[0]);
    if (batch->images == NULL)
        memcpy(slot + sizeof step + labels_bytes(net), batch->picks, batch->count * sizeof batch->picks[0]);
    TRY_CUDA("inputs of a step",
             cudaMemcpyAsync(net->step, slot, net->step_bytes, cudaMemcpyHostToDevice, net->device->compute));
    TRY_CUDA("inputs of a step", cudaEventRecord(net->slot_free[k], net->device->compute));
    return STATUS_OK;
}

static enum status make_planes(struct net *net)
{
    for (int k = 0; k < 2; k++) {
        TRY(cuda_alloc(plane_bytes(net), "a batch of pictures", &net->planes[k]));
        TRY(cuda_alloc_host(plane_bytes(net), &net->plane_slots[k]));
    }
    return STATUS_OK;
}

/* Pictures as the host made them: two batches' memory, so that one travels while the other is computed. */
static enum status bring_planes(struct net *net, const struct net_batch *batch)
{
    int k = (int)(net->plane_batches++ % 2);
    size_t bytes = plane_bytes(net) / net->batch * batch->count;
    struct cuda_pictures shape = pictures_shape(net);
    if (net->planes[0] == NULL)
        TRY(make_planes(net));
    TRY_CUDA("pictures of a step", cudaEventSynchronize(net->planes_free[k]));
    memcpy(net->plane_slots[k], batch->images, bytes);
    TRY_CUDA("pictures of a step",
             cudaMemcpyAsync(net->planes[k], net->plane_slots[k], bytes, cudaMemcpyHostToDevice, net->device->side));
    TRY_CUDA("pictures of a step", cudaEventRecord(net->planes_here, net->device->side));
    TRY_CUDA("pictures of a step", cudaStreamWaitEvent(net->device->compute, net->planes_here, 0));
    TRY_CUDA("pictures of a step", cuda_pictures_from_planes(net->device->compute, &shape, net->planes[k],
                                                             &net->step->real, cuda_pointer(net, net->values[0].data)));
    TRY_CUDA("pictures of a step", cudaEventRecord(net->planes_free[k], net->device->compute));
    return STATUS_OK;
}

enum status cuda_step_bring(struct net *net, const struct net_batch *batch, uint64_t dropout_seed)
{
    struct cuda_pictures shape = pictures_shape(net);
    TRY(bring_header(net, batch, dropout_seed));
    if (batch->images != NULL)
        return bring_planes(net, batch);
    assert(batch->pictures != NULL && batch->count == net->batch);
    TRY_CUDA("pictures of a step", cuda_pictures_from_bytes(net->device->compute, &shape, batch->pictures->pixels,
                                                            batch->pictures->normalised, step_picks(net),
                                                            cuda_pointer(net, net->values[0].data)));
    return STATUS_OK;
}

enum status cuda_step_outcome(struct net *net, uint64_t serial, struct net_result *result)
{
    const struct cuda_outcome *outcome = &net->outcomes[serial % NET_RESULTS];
    assert(serial > 0 && serial <= net->serial && net->serial - serial < NET_RESULTS);
    TRY_CUDA("forward or backward pass (GRAPEVINE_CUDA_CHECK=1 in the environment tells which operation)",
             cudaEventSynchronize(net->passed[serial % NET_RESULTS]));
    assert(outcome->serial == serial);
    *result = (struct net_result){.loss = outcome->loss,
                                  .correct = outcome->correct,
                                  .correct_top5 = outcome->correct_top5,
                                  .finite = outcome->finite != 0};
    return STATUS_OK;
}
