/* The convolutions of a network alone, on the GPU: forward, gradient of the input and of the weights, each by the
 * engine that the network uses, on memory of its own, in one captured graph, and nothing else. No step can be faster.
 *
 * Inputs, outputs and gradients are apart from those of other convolutions, as in a step, so that what is in the cache
 * is what would be there; they hold numbers of moderate size, not zeros. */
#ifndef GRAPEVINE_TESTS_GPU_CEILING_H
#define GRAPEVINE_TESTS_GPU_CEILING_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "device/cuda/cuda_net.h"
#include "device/cuda/cudnn_graph.h"

enum { CEILING_ARRAYS = 4, CEILING_PASSES = 3, CEILING_NOISE = 1 << 20 /* bytes */ };

struct ceiling_convolution {
    struct cudnn_plan *plans[CEILING_PASSES]; /* forward, filter, data; data: NULL for the first. Owned by the first
                                               * convolution of its shape */
    char keys[CEILING_PASSES][160];           /* shapes in words */
    void *arrays[CEILING_ARRAYS];             /* owned device memory: x, w, y (also its gradient), d_x */
    void *d_w;                                /* owned */
};

struct ceiling {
    struct net *net; /* borrowed */
    int count;
    struct ceiling_convolution *convolutions; /* owned (count) */
    void *noise;                              /* owned (CEILING_NOISE), device memory */
    void *workspace;                          /* owned */
    size_t workspace_bytes;
    cudaGraphExec_t graph; /* owned */
    cudaEvent_t begin, end;
};

/* Values of a magnitude in [0.5, 2), of either sign, as bits of the type. */
static inline enum status ceiling_make_noise(struct ceiling *c)
{
    struct random_stream stream = random_stream(1, RANDOM_TEST, 0, 0);
    uint32_t *words = memory_zalloc(CEILING_NOISE / sizeof(uint32_t), sizeof words[0]);
    for (size_t i = 0; i < CEILING_NOISE / sizeof words[0]; i++) {
        uint32_t word = random_u32(&stream);
        words[i] = c->net->type == CUDA_FP32   ? 0x3f000000u | (word & 0x80ffffffu)
                   : c->net->type == CUDA_BF16 ? 0x3f003f00u | (word & 0x80ff80ffu)
                                               : 0x38003800u | (word & 0x87ff87ffu);
    }
    TRY(cuda_alloc(CEILING_NOISE, "numbers", &c->noise));
    TRY_CUDA("numbers", cudaMemcpy(c->noise, words, CEILING_NOISE, cudaMemcpyHostToDevice));
    free(words);
    return STATUS_OK;
}

static inline enum status ceiling_alloc(struct ceiling *c, size_t bytes, void **out)
{
    TRY(cuda_alloc(bytes, "convolutions alone", out));
    for (size_t at = 0; at < bytes; at += CEILING_NOISE)
        TRY_CUDA("numbers",
                 cudaMemcpy((char *)*out + at, c->noise, bytes - at < CEILING_NOISE ? bytes - at : CEILING_NOISE,
                            cudaMemcpyDeviceToDevice));
    return STATUS_OK;
}

static inline struct cudnn_conv ceiling_shape(const struct net *net, int node_index, enum cudnn_pass pass)
{
    const struct net_node *node = &net->spec.nodes[node_index];
    const struct cuda_value *in = &net->values[node->input], *out = &net->values[node_index + 1];
    return (struct cudnn_conv){.pass = pass,
                               .batch = net->batch,
                               .in_channels = in->stored,
                               .height = in->height,
                               .width = in->width,
                               .out_channels = out->channels,
                               .out_height = out->height,
                               .out_width = out->width,
                               .kernel = node->kernel,
                               .stride = node->stride,
                               .pad = node->pad,
                               .type = net->type,
                               .filter_type = net->type,
                               .tf32 = net->tf32};
}

static inline struct cudnn_arrays ceiling_arrays(const struct ceiling *c, const struct ceiling_convolution *of,
                                                 int pass)
{
    return (struct cudnn_arrays){.x = of->arrays[pass == 2 ? 3 : 0],
                                 .w = pass == 1 ? of->d_w : of->arrays[1],
                                 .y = of->arrays[2],
                                 .workspace = c->workspace};
}

/* The plan of an earlier convolution of this shape, which may be NULL; false where there is no earlier one. */
static inline bool ceiling_find(const struct ceiling *c, const char *key, int pass, struct cudnn_plan **out)
{
    for (int k = 0; k < c->count; k++)
        if (strcmp(c->convolutions[k].keys[pass], key) == 0) {
            *out = c->convolutions[k].plans[pass];
            return true;
        }
    return false;
}

/* Memory for what a plan needs: before the first is measured the workspace has the largest size that any asks for. */
static inline enum status ceiling_plan(struct ceiling *c, const struct cudnn_conv *conv, int pass,
                                       struct ceiling_convolution *out)
{
    char key[sizeof out->keys[pass]];
    cudnn_conv_describe(conv, key);
    if (!ceiling_find(c, key, pass, &out->plans[pass]))
        out->plans[pass] = cudnn_plan_create(c->net->device, conv);
    memcpy(out->keys[pass], key, sizeof key);
    size_t bytes = out->plans[pass] != NULL ? cudnn_plan_workspace(out->plans[pass]) : 0;
    c->workspace_bytes = bytes > c->workspace_bytes ? bytes : c->workspace_bytes;
    return STATUS_OK;
}

static inline enum status ceiling_add(struct ceiling *c, int node_index, struct ceiling_convolution *out)
{
    const struct net *net = c->net;
    struct cudnn_conv conv = ceiling_shape(net, node_index, CUDNN_PASS_FORWARD);
    size_t size = cuda_type_size(net->type),
           weights = (size_t)conv.out_channels * (size_t)conv.in_channels * (size_t)conv.kernel * (size_t)conv.kernel;
    size_t in = conv.batch * (size_t)conv.in_channels * (size_t)conv.height * (size_t)conv.width;
    size_t to = conv.batch * (size_t)conv.out_channels * (size_t)conv.out_height * (size_t)conv.out_width;
    TRY(ceiling_plan(c, &conv, 0, out));
    conv.pass = CUDNN_PASS_FILTER;
    conv.filter_type = CUDA_FP32;
    TRY(ceiling_plan(c, &conv, 1, out));
    conv.filter_type = net->type;
    if (out->plans[1] == NULL)
        TRY(ceiling_plan(c, &conv, 1, out));
    conv.pass = CUDNN_PASS_DATA;
    if (net->spec.nodes[node_index].input > 0)
        TRY(ceiling_plan(c, &conv, 2, out));
    TRY(ceiling_alloc(c, in * size, &out->arrays[0]));
    TRY(ceiling_alloc(c, weights * size, &out->arrays[1]));
    TRY(ceiling_alloc(c, to * size, &out->arrays[2]));
    TRY(ceiling_alloc(c, out->plans[2] != NULL ? in * size : 0, &out->arrays[3]));
    return ceiling_alloc(c, weights * sizeof(float), &out->d_w);
}

/* Forward through all, then backward, as in a step. A pass that cuDNN has no engine for cannot be: the net has it. */
static inline enum status ceiling_enqueue(struct ceiling *c)
{
    for (int k = 0; k < 2 * c->count; k++) {
        bool forward = k < c->count;
        const struct ceiling_convolution *of = &c->convolutions[forward ? k : 2 * c->count - 1 - k];
        for (int pass = forward ? 0 : 1; pass <= (forward ? 0 : 2); pass++) {
            const struct cudnn_arrays arrays = ceiling_arrays(c, of, pass);
            if (of->plans[pass] != NULL)
                TRY(cudnn_plan_run(of->plans[pass], &arrays));
        }
    }
    return STATUS_OK;
}

/* No earlier convolution has this plan. */
static inline bool ceiling_owns(const struct ceiling *c, int index, int pass)
{
    for (int k = 0; k < index; k++)
        if (c->convolutions[k].plans[pass] == c->convolutions[index].plans[pass])
            return false;
    return true;
}

static inline enum status ceiling_choose(struct ceiling *c)
{
    for (int k = 0; k < c->count; k++)
        for (int pass = 0; pass < CEILING_PASSES; pass++) {
            const struct cudnn_arrays arrays = ceiling_arrays(c, &c->convolutions[k], pass);
            double seconds = 0;
            if (c->convolutions[k].plans[pass] != NULL && ceiling_owns(c, k, pass))
                TRY(cudnn_plan_choose(c->convolutions[k].plans[pass], &arrays, &seconds));
            if (!isfinite(seconds))
                return STATUS_MACHINE;
        }
    return STATUS_OK;
}

static inline enum status ceiling_capture(struct ceiling *c)
{
    cudaStream_t stream = c->net->device->compute;
    cudaGraph_t graph = NULL;
    TRY(ceiling_enqueue(c)); /* libraries set themselves up */
    TRY_CUDA("convolutions alone", cudaStreamSynchronize(stream));
    TRY_CUDA("convolutions alone", cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    enum status status = ceiling_enqueue(c);
    TRY_CUDA("convolutions alone", cudaStreamEndCapture(stream, &graph));
    if (status == STATUS_OK)
        TRY_CUDA("convolutions alone", cudaGraphInstantiate(&c->graph, graph, 0));
    cudaGraphDestroy(graph);
    return status;
}

static inline enum status ceiling_fill(struct ceiling *c)
{
    TRY(ceiling_make_noise(c));
    for (int k = 0; k < c->net->spec.node_count; k++)
        if (c->net->spec.nodes[k].op == NET_CONV) {
            TRY(ceiling_add(c, k, &c->convolutions[c->count]));
            c->count++;
        }
    TRY(cuda_alloc(c->workspace_bytes, "convolutions alone", &c->workspace));
    TRY_CUDA("convolutions alone", cudaDeviceSynchronize()); /* the numbers came on no stream of ours */
    TRY(ceiling_choose(c));
    TRY(ceiling_capture(c));
    TRY_CUDA("events", cudaEventCreate(&c->begin));
    TRY_CUDA("events", cudaEventCreate(&c->end));
    return STATUS_OK;
}

static inline void ceiling_destroy(struct ceiling *c)
{
    if (c == NULL)
        return;
    cudaDeviceSynchronize();
    if (c->graph != NULL)
        cudaGraphExecDestroy(c->graph);
    for (int k = 0; k < c->count; k++) {
        for (int pass = 0; pass < CEILING_PASSES; pass++)
            if (ceiling_owns(c, k, pass))
                cudnn_plan_destroy(c->convolutions[k].plans[pass]);
        for (int i = 0; i < CEILING_ARRAYS; i++)
            cudaFree(c->convolutions[k].arrays[i]);
        cudaFree(c->convolutions[k].d_w);
    }
    cudaFree(c->noise);
    cudaFree(c->workspace);
    if (c->end != NULL) {
        cudaEventDestroy(c->begin);
        cudaEventDestroy(c->end);
    }
    free(c->convolutions);
    free(c);
}

/* Of a network whose engines have been chosen. */
static inline enum status ceiling_create(struct net *net, struct ceiling **out)
{
    struct ceiling *c = memory_zalloc(1, sizeof *c);
    c->net = net;
    c->convolutions = memory_zalloc((size_t)net->spec.node_count, sizeof c->convolutions[0]);
    enum status status = ceiling_fill(c);
    if (status == STATUS_OK)
        *out = c;
    else
        ceiling_destroy(c);
    return status;
}

/* Seconds of all convolutions once, the mean of `times`. */
static inline enum status ceiling_time(struct ceiling *c, size_t times, double *seconds)
{
    cudaStream_t stream = c->net->device->compute;
    float elapsed_ms = 0;
    TRY_CUDA("convolutions alone", cudaEventRecord(c->begin, stream));
    for (size_t k = 0; k < times; k++)
        TRY_CUDA("convolutions alone", cudaGraphLaunch(c->graph, stream));
    TRY_CUDA("convolutions alone", cudaEventRecord(c->end, stream));
    TRY_CUDA("convolutions alone", cudaEventSynchronize(c->end));
    TRY_CUDA("convolutions alone", cudaEventElapsedTime(&elapsed_ms, c->begin, c->end));
    *seconds = fmax(elapsed_ms * 1e-3 / (double)times, 1e-9);
    return STATUS_OK;
}

#endif
