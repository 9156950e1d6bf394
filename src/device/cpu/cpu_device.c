/* The CPU backend: its table of operations, and the vector operations on OpenMP threads. */
#include <assert.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/thread.h"
#include "device/backends.h"
#include "device/cpu/cpu_backend.h"
#include "device/cpu/cpu_net.h"
#include "kernels/vector_digest.h"
#include "kernels/distance.h"
#include "kernels/pair.h"
#include "kernels/reduce.h"
#include "kernels/spread.h"
#include "kernels/update.h"

static enum status cpu_create(const struct device_params *params, struct device **out)
{
    assert(params->threads >= 1);
    if (params->precision != NULL && strcmp(params->precision, "auto") != 0 && strcmp(params->precision, "fp32") != 0) {
        log_error("device.precision: the cpu device does not offer \"%s\"; allowed: auto | fp32", params->precision);
        return STATUS_USAGE;
    }
    TRY(thread_room(params->threads - 1, "device.threads"));
    struct device *device = memory_zalloc(1, sizeof *device);
    omp_set_num_threads(params->threads);
    device->threads = params->threads;
    device->cancel = params->cancel;
    dnnl_status_t result = dnnl_engine_create(&device->engine, dnnl_cpu, 0);
    if (result == dnnl_success)
        result = dnnl_stream_create(&device->stream, device->engine, dnnl_stream_default_flags);
    if (result != dnnl_success) {
        if (device->engine != NULL)
            dnnl_engine_destroy(device->engine);
        free(device);
    }
    TRY_DNNL("starting the CPU engine", result);
    *out = device;
    return STATUS_OK;
}

static void cpu_destroy(struct device *device)
{
    if (device == NULL)
        return;
    dnnl_stream_destroy(device->stream);
    dnnl_engine_destroy(device->engine);
    free(device);
}

static enum status cpu_vector_alloc(struct device *device, size_t count, float **out)
{
    (void)device;
    *out = memory_alloc_aligned_for(count * sizeof **out, "a vector of %zu parameters", count);
    return STATUS_OK;
}

static void cpu_vector_free(struct device *device, float *vector)
{
    (void)device;
    memory_free_aligned(vector);
}

static void cpu_vector_read(struct device *device, const float *vector, size_t count, float *host)
{
    (void)device;
    memcpy(host, vector, count * sizeof *host);
}

static void cpu_vector_write(struct device *device, float *vector, size_t count, const float *host)
{
    (void)device;
    memcpy(vector, host, count * sizeof *vector);
}

static enum status cpu_health(struct device *device)
{
    (void)device;
    return STATUS_OK;
}

/* Elements that one thread takes at a time: whole pages, few enough to balance, many enough to stream. */
enum { ELEMENTS_PER_ITEM = 65536 };

static size_t item_end(size_t first, size_t count)
{
    return count - first < ELEMENTS_PER_ITEM ? count : first + ELEMENTS_PER_ITEM;
}

/* Part `part` of SUM_PARTS equal ranges of whole blocks. */
enum { SUM_PARTS = 64 };

static double sum_part(size_t part, size_t count, const float *v)
{
    size_t blocks = (count + REDUCE_BLOCK - 1) / REDUCE_BLOCK;
    size_t first = blocks * part / SUM_PARTS, last = blocks * (part + 1) / SUM_PARTS;
    double sum = 0.0;
    for (size_t block = first; block < last; block++) {
        size_t begin = block * REDUCE_BLOCK, end = begin + REDUCE_BLOCK < count ? begin + REDUCE_BLOCK : count;
        sum += kernel_sum_squares(begin, end, v);
    }
    return sum;
}

static double cpu_sum_squares(struct device *device, bool shared, size_t count, const float *v)
{
    double parts[SUM_PARTS], sum = 0.0;
    if (shared) {
#pragma omp parallel for schedule(static) num_threads(device->threads)
        for (size_t part = 0; part < SUM_PARTS; part++)
            parts[part] = sum_part(part, count, v);
    } else {
        for (size_t part = 0; part < SUM_PARTS; part++)
            parts[part] = sum_part(part, count, v);
    }
    for (size_t part = 0; part < SUM_PARTS; part++)
        sum += parts[part];
    return sum;
}

static bool cpu_update(struct device *device, bool shared, const struct update_coefficients *c, size_t count,
                       size_t decayed, float *x, float *x_tilde, float *m, const float *g, struct net *net)
{
    double sum_squares = cpu_sum_squares(device, shared, count, g);
    (void)net; /* its layouts are the library's own: made in a pass of its own */
    const struct update_constants constants = {.mix = (float)c->mix,
                                               .learning_rate = (float)c->learning_rate,
                                               .momentum = (float)c->momentum,
                                               .weight_decay = (float)c->weight_decay,
                                               .gradient_scale = (float)kernel_clip_scale(c->clip_norm, sum_squares),
                                               .nesterov = c->nesterov};
    if (!isfinite(sum_squares)) {
        device->left_out++;
        if (x_tilde != NULL)
            kernel_advance(constants.mix, 0, count, x, x_tilde);
        return false;
    }
    if (!shared) {
        kernel_update(&constants, 0, count, decayed, x, x_tilde, m, g);
        return false;
    }
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (size_t first = 0; first < count; first += ELEMENTS_PER_ITEM)
        kernel_update(&constants, first, item_end(first, count), decayed, x, x_tilde, m, g);
    return false;
}

static uint64_t cpu_left_out(struct device *device)
{
    return device->left_out;
}

static void cpu_pair(struct device *device, bool shared, const struct pair_coefficients *c, size_t count, float *x,
                     float *x_tilde, const float *own, const float *peer)
{
    const float mix = (float)c->mix, alpha = (float)c->alpha, alpha_tilde = (float)c->alpha_tilde;
    if (!shared) {
        kernel_pair(mix, alpha, alpha_tilde, 0, count, x, x_tilde, own, peer);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (size_t first = 0; first < count; first += ELEMENTS_PER_ITEM)
        kernel_pair(mix, alpha, alpha_tilde, first, item_end(first, count), x, x_tilde, own, peer);
}

static void cpu_snapshot(struct device *device, bool shared, double mix, size_t count, const float *x,
                         const float *x_tilde, float *out)
{
    if (!shared) {
        kernel_snapshot((float)mix, 0, count, x, x_tilde, out);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (size_t first = 0; first < count; first += ELEMENTS_PER_ITEM)
        kernel_snapshot((float)mix, first, item_end(first, count), x, x_tilde, out);
}

static void cpu_add_vector(struct device *device, size_t count, const float *part, float *sum)
{
#pragma omp parallel for simd schedule(static) num_threads(device->threads)
    for (size_t i = 0; i < count; i++)
        sum[i] += part[i];
}

static void cpu_scale(struct device *device, size_t count, float factor, float *v)
{
#pragma omp parallel for simd schedule(static) num_threads(device->threads)
    for (size_t i = 0; i < count; i++)
        v[i] *= factor;
}

static double cpu_pair_distance(struct device *device, size_t count, const float *own, const float *peer)
{
    (void)device;
    return kernel_pair_distance(own, peer, count);
}

static uint64_t cpu_digest(struct device *device, size_t count, const float *v)
{
    (void)device;
    return kernel_digest(count, v);
}

static double spread_part(size_t part, int vector_count, size_t count, const float *const *vectors, float *mean)
{
    size_t blocks = (count + SPREAD_BLOCK - 1) / SPREAD_BLOCK;
    size_t first = blocks * part / SUM_PARTS, last = blocks * (part + 1) / SUM_PARTS;
    double sum = 0.0;
    for (size_t block = first; block < last; block++) {
        size_t begin = block * SPREAD_BLOCK, end = begin + SPREAD_BLOCK < count ? begin + SPREAD_BLOCK : count;
        sum += kernel_spread(vector_count, begin, end, vectors, mean);
    }
    return sum;
}

static double cpu_spread(struct device *device, int vector_count, size_t count, const float *const *vectors,
                         float *mean)
{
    double parts[SUM_PARTS], sum = 0.0;
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (size_t part = 0; part < SUM_PARTS; part++)
        parts[part] = spread_part(part, vector_count, count, vectors, mean);
    for (size_t part = 0; part < SUM_PARTS; part++)
        sum += parts[part];
    return sum;
}

/* Copies are done when they are called, in one memory: nothing to wait for, nothing to pin. */

static uint64_t cpu_copy(struct device *device, const float *from, size_t count, float *to)
{
    (void)device;
    memcpy(to, from, count * sizeof *to);
    return 0;
}

static bool cpu_copied(struct device *device, uint64_t ticket)
{
    (void)device, (void)ticket;
    return true;
}

static enum status cpu_pin(struct device *device, void *memory, size_t bytes)
{
    (void)device, (void)memory, (void)bytes;
    return STATUS_OK;
}

static void cpu_unpin(struct device *device, void *memory)
{
    (void)device, (void)memory;
}

static bool cpu_available(void)
{
    return true;
}

static enum status cpu_check(void)
{
    return STATUS_OK;
}

static const char *instruction_set(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f"))
        return "AVX-512";
    return __builtin_cpu_supports("avx2") ? "AVX2" : "SSE2";
#else
    return "no x86";
#endif
}

static void cpu_describe(char *text, size_t size)
{
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, size, "oneDNN %d.%d.%d, %s, up to %d threads", version->major, version->minor, version->patch,
             instruction_set(), omp_get_num_procs());
}

const struct device_ops cpu_device_ops = {
    .name = "cpu",
    .host_memory = true,
    .available = cpu_available,
    .check = cpu_check,
    .describe = cpu_describe,
    .create = cpu_create,
    .destroy = cpu_destroy,
    .vector_alloc = cpu_vector_alloc,
    .vector_free = cpu_vector_free,
    .vector_read = cpu_vector_read,
    .vector_write = cpu_vector_write,
    .health = cpu_health,
    .update = cpu_update,
    .left_out = cpu_left_out,
    .pair = cpu_pair,
    .snapshot = cpu_snapshot,
    .add = cpu_add_vector,
    .scale = cpu_scale,
    .sum_squares = cpu_sum_squares,
    .pair_distance = cpu_pair_distance,
    .spread = cpu_spread,
    .digest = cpu_digest,
    .copy_out = cpu_copy,
    .copy_in = cpu_copy,
    .copied = cpu_copied,
    .pin = cpu_pin,
    .unpin = cpu_unpin,
    .net_create = cpu_net_create,
    .net_destroy = cpu_net_destroy,
    .net_cast = cpu_net_cast,
    .net_forward = cpu_net_forward,
    .net_result = cpu_net_result,
    .net_backward = cpu_net_backward,
    .net_logits = cpu_net_logits,
    .net_plan = cpu_net_plan,
    .net_bytes = cpu_net_bytes,
};
