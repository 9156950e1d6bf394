/* The CUDA backend's table, and a device from creation to destruction. */
#include "device/cuda/cuda_device.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/quantity.h"
#include "base/text.h"
#include "device/backends.h"
#include "device/cuda/cuda_backend.h"
#include "device/cuda/cuda_libraries.h"
#include "kernels/cuda_vector.h"

enum { CUBLAS_WORKSPACE = 32 << 20 };

enum status cuda_alloc(size_t bytes, const char *purpose, void *out)
{
    void *memory = NULL;
    cudaError_t code = bytes > 0 ? cudaMalloc(&memory, bytes) : cudaSuccess;
    if (code == cudaErrorMemoryAllocation) {
        size_t free_bytes = 0, total = 0;
        char needed[32], available[32], of[32];
        (void)cudaGetLastError();
        (void)cudaMemGetInfo(&free_bytes, &total);
        log_on_this_rank(LOG_ERROR,
                         "%s needs %s of GPU memory, and %s of %s are free; lower train.batch, or let fewer ranks or "
                         "simulated workers share the GPU",
                         purpose, quantity_bytes(needed, (double)bytes), quantity_bytes(available, (double)free_bytes),
                         quantity_bytes(of, (double)total));
        return STATUS_MACHINE;
    }
    TRY_CUDA(purpose, code);
    memcpy(out, &memory, sizeof memory);
    return STATUS_OK;
}

enum status cuda_alloc_host(size_t bytes, void *out)
{
    void *memory = NULL;
    TRY_CUDA("pinned host memory", cudaHostAlloc(&memory, bytes, cudaHostAllocMapped | cudaHostAllocPortable));
    memset(memory, 0, bytes);
    memcpy(out, &memory, sizeof memory);
    return STATUS_OK;
}

void cuda_note(struct device *device, const char *operation, int code)
{
    int none = STATUS_OK;
    if (code != 0 && atomic_compare_exchange_strong(&device->failed, &none, STATUS_MACHINE))
        cuda_call_failed(operation, code);
}

enum status cuda_failed(struct device *device)
{
    return (enum status)atomic_load(&device->failed);
}

void cuda_enter(struct device *device)
{
    cuda_note(device, "choosing the GPU", (int)cudaSetDevice(device->index));
}

static enum status parse_precision(const char *name, enum cuda_precision *out)
{
    static const char *const names[] = {[PRECISION_AUTO] = "auto",
                                        [PRECISION_FP32] = "fp32",
                                        [PRECISION_TF32] = "tf32",
                                        [PRECISION_BF16] = "bf16",
                                        [PRECISION_FP16] = "fp16"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        if (name == NULL || strcmp(name, names[k]) == 0) {
            *out = (enum cuda_precision)k;
            return STATUS_OK;
        }
    }
    log_error("device.precision: the cuda device does not offer \"%s\"; allowed: auto | fp32 | tf32 | bf16 | fp16",
              name);
    return STATUS_USAGE;
}

/* No driver at all: the library would call it too old. */
static bool has_driver(void)
{
    int version = 0;
    return cudaDriverGetVersion(&version) == cudaSuccess && version > 0;
}

static enum status count_gpus(int *count)
{
    if (!has_driver()) {
        log_error("device.name=cuda: this machine has no NVIDIA driver, and so no GPU that can be used; install the "
                  "driver (nvidia-smi must list the GPU), or set device.name=cpu");
        return STATUS_MACHINE;
    }
    TRY_CUDA("looking for a GPU", cudaGetDeviceCount(count));
    return STATUS_OK;
}

/* GPU = local rank modulo their number: ranks share where there are fewer. */
static enum status choose_gpu(const struct device_params *params, struct device *device)
{
    int count = 0;
    struct cudaDeviceProp properties;
    TRY(count_gpus(&count));
    device->index = params->local_rank % count;
    TRY_CUDA("opening the GPU", cudaSetDevice(device->index));
    TRY_CUDA("asking the GPU for its properties", cudaGetDeviceProperties(&properties, device->index));
    snprintf(device->gpu, sizeof device->gpu, "%s", properties.name);
    if (properties.major < 8) {
        log_on_this_rank(LOG_ERROR,
                         "GPU %d (%s) has compute capability %d.%d, and 8.0 (A100 and later) is needed; set "
                         "device.name=cpu, or choose another GPU with CUDA_VISIBLE_DEVICES",
                         device->index, device->gpu, properties.major, properties.minor);
        return STATUS_MACHINE;
    }
    return STATUS_OK;
}

static enum status create_sums(struct cuda_sums *sums)
{
    TRY(cuda_alloc(CUDA_SUM_PARTS * sizeof(double), "scratch of sums", &sums->parts));
    TRY(cuda_alloc(sizeof(double), "scratch of sums", &sums->sum));
    return cuda_alloc_host(sizeof(double), &sums->host);
}

static enum status create_rings(struct device *device)
{
    device->rings[CUDA_RING_OUT].stream = device->out;
    device->rings[CUDA_RING_IN].stream = device->in;
    device->rings[CUDA_RING_SIDE].stream = device->side;
    device->rings[CUDA_RING_STATE].stream = device->state;
    for (int ring = 0; ring < CUDA_RINGS; ring++)
        for (int k = 0; k < CUDA_RING_EVENTS; k++)
            TRY_CUDA("events", cudaEventCreateWithFlags(&device->rings[ring].events[k], cudaEventDisableTiming));
    return STATUS_OK;
}

/* State work is short and others wait for it: it goes first. */
static enum status create_streams(struct device *device)
{
    int least, greatest;
    TRY_CUDA("streams", cudaDeviceGetStreamPriorityRange(&least, &greatest));
    TRY_CUDA("streams", cudaStreamCreateWithPriority(&device->compute, cudaStreamNonBlocking, least));
    TRY_CUDA("streams", cudaStreamCreateWithPriority(&device->state, cudaStreamNonBlocking, greatest));
    TRY_CUDA("streams", cudaStreamCreateWithPriority(&device->out, cudaStreamNonBlocking, greatest));
    TRY_CUDA("streams", cudaStreamCreateWithPriority(&device->in, cudaStreamNonBlocking, greatest));
    TRY_CUDA("streams", cudaStreamCreateWithPriority(&device->side, cudaStreamNonBlocking, greatest));
    TRY_CUDA("events", cudaEventCreateWithFlags(&device->state_done, cudaEventDisableTiming));
    return create_rings(device);
}

static enum status create_handles(struct device *device)
{
    const struct cuda_libraries *library = cuda_libraries();
    TRY_CUBLAS("starting cuBLAS", library->cublas_create(&device->cublas));
    TRY_CUBLAS("starting cuBLAS", library->cublas_set_stream(device->cublas, device->compute));
    TRY(cuda_alloc(CUBLAS_WORKSPACE, "cuBLAS", &device->cublas_workspace));
    TRY_CUBLAS("starting cuBLAS",
               library->cublas_set_workspace(device->cublas, device->cublas_workspace, CUBLAS_WORKSPACE));
    TRY_CUDNN("starting cuDNN", library->cudnn_create(&device->cudnn));
    TRY_CUDNN("starting cuDNN", library->cudnn_set_stream(device->cudnn, device->compute));
    return STATUS_OK;
}

static enum status fill(const struct device_params *params, struct device *device)
{
    TRY(parse_precision(params->precision, &device->precision));
    const char *checks = getenv("GRAPEVINE_CUDA_CHECK");
    device->deterministic = params->deterministic;
    device->checks = checks != NULL && strcmp(checks, "0") != 0 && checks[0] != '\0';
    TRY(choose_gpu(params, device));
    TRY(cuda_libraries_load());
    TRY(create_streams(device));
    TRY(create_sums(&device->state_sums));
    TRY(create_sums(&device->side_sums));
    TRY(cuda_alloc(sizeof(float), "scratch of clipping", &device->clip_scale));
    TRY(cuda_alloc_host(sizeof *device->left_out, &device->left_out));
    *device->left_out = 0;
    void *mapped;
    TRY_CUDA("mapped memory", cudaHostGetDevicePointer(&mapped, device->left_out, 0));
    device->left_out_on_device = mapped;
    return create_handles(device);
}

static void destroy_sums(struct cuda_sums *sums)
{
    cudaFree(sums->parts);
    cudaFree(sums->sum);
    cudaFreeHost(sums->host);
}

static void cuda_device_destroy(struct device *device)
{
    if (device == NULL)
        return;
    const struct cuda_libraries *library = cuda_libraries();
    cudaDeviceSynchronize();
    if (device->cudnn != NULL)
        library->cudnn_destroy(device->cudnn);
    if (device->cublas != NULL)
        library->cublas_destroy(device->cublas);
    cudaFree(device->cublas_workspace);
    cudaFree(device->clip_scale);
    cudaFreeHost(device->left_out);
    cudaFree((void *)device->pointers);
    destroy_sums(&device->state_sums);
    destroy_sums(&device->side_sums);
    for (int ring = 0; ring < CUDA_RINGS; ring++)
        for (int k = 0; k < CUDA_RING_EVENTS && device->rings[ring].events[k] != NULL; k++)
            cudaEventDestroy(device->rings[ring].events[k]);
    if (device->state_done != NULL)
        cudaEventDestroy(device->state_done);
    const cudaStream_t streams[] = {device->compute, device->state, device->out, device->in, device->side};
    for (size_t k = 0; k < sizeof streams / sizeof streams[0]; k++)
        if (streams[k] != NULL)
            cudaStreamDestroy(streams[k]);
    pthread_mutex_destroy(&device->copies);
    free(device);
}

static enum status cuda_device_create(const struct device_params *params, struct device **out)
{
    struct device *device = memory_zalloc(1, sizeof *device);
    pthread_mutex_init(&device->copies, NULL);
    enum status status = fill(params, device);
    if (status != STATUS_OK)
        cuda_device_destroy(device);
    else
        *out = device;
    return status;
}

static bool cuda_available(void)
{
    int count = 0;
    return has_driver() && cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

/* Versions, and every GPU, or why there is none. */
static void cuda_describe(char *text, size_t size)
{
    int count = 0, driver = 0, runtime = 0;
    (void)cudaRuntimeGetVersion(&runtime);
    (void)cudaDriverGetVersion(&driver);
    cudaError_t code = cudaGetDeviceCount(&count);
    struct text line = {0};
    text_add(&line, "CUDA %d.%d", runtime / 1000, runtime % 1000 / 10);
    if (driver > 0)
        text_add(&line, ", driver for CUDA %d.%d", driver / 1000, driver % 1000 / 10);
    if (code != cudaSuccess)
        text_add(&line, "; no GPU: %s", driver > 0 ? cudaGetErrorString(code) : "this machine has no NVIDIA driver");
    for (int k = 0; code == cudaSuccess && k < count; k++) {
        struct cudaDeviceProp properties;
        if (cudaGetDeviceProperties(&properties, k) == cudaSuccess)
            text_add(&line, "; GPU %d: %s, compute capability %d.%d, %.0f GiB", k, properties.name, properties.major,
                     properties.minor, (double)properties.totalGlobalMem / (1 << 30));
    }
    snprintf(text, size, "%s", text_view(&line));
    text_release(&line);
}

/* Are cuBLAS and cuDNN there? Logs what is missing. */
static enum status cuda_check(void)
{
    return cuda_libraries_load();
}

const struct device_ops cuda_device_ops = {
    .name = "cuda",
    .run_ahead = 2,
    .available = cuda_available,
    .check = cuda_check,
    .describe = cuda_describe,
    .create = cuda_device_create,
    .destroy = cuda_device_destroy,
    .vector_alloc = cuda_vector_alloc,
    .vector_free = cuda_vector_free,
    .vector_read = cuda_vector_read,
    .vector_write = cuda_vector_write,
    .health = cuda_failed,
    .update = cuda_vector_update,
    .left_out = cuda_vector_left_out,
    .pair = cuda_vector_pair,
    .snapshot = cuda_vector_snapshot,
    .add = cuda_vector_add,
    .scale = cuda_vector_scale,
    .sum_squares = cuda_vector_sum_squares,
    .pair_distance = cuda_vector_distance,
    .spread = cuda_vector_spread,
    .digest = cuda_vector_digest,
    .copy_out = cuda_copy_out,
    .copy_in = cuda_copy_in,
    .copied = cuda_copied,
    .pin = cuda_pin,
    .unpin = cuda_unpin,
    .alloc_shared = cuda_alloc_shared,
    .open_shared = cuda_open_shared,
    .close_shared = cuda_close_shared,
    .copy_across = cuda_copy_across,
    .mark = cuda_mark,
    .group_name = cuda_group_name,
    .group_open = cuda_group_open,
    .group_close = cuda_group_close,
    .group_mean = cuda_group_mean,
    .group_join = cuda_group_join,
    .group_done = cuda_group_done,
    .pictures_create = cuda_picture_set_create,
    .pictures_destroy = cuda_picture_set_destroy,
    .net_create = cuda_net_create,
    .net_destroy = cuda_net_destroy,
    .net_cast = cuda_net_cast,
    .net_forward = cuda_net_forward,
    .net_result = cuda_net_result,
    .net_backward = cuda_net_backward,
    .net_logits = cuda_net_logits,
    .net_plan = cuda_net_plan,
    .net_bytes = cuda_net_bytes,
};
