/* Building a convolution's operation graph, and asking cuDNN for the engines that can run it. */
#include "device/cuda/cudnn_graph.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "device/cuda/cuda_libraries.h"
#include "device/cuda/cudnn_choice.h"

enum { ENGINES_MOST = 16, HEURISTICS = 2, POINTWISE_MOST = 4, ALIGNMENT = 16, KEY_MOST = 640 };
static const size_t workspace_most = (size_t)256 << 20;

/* The tensors that a graph may have; their unique ids are these plus 1. From TENSOR_PRODUCT on they are virtual: no
 * memory holds them. */
enum tensor_name {
    TENSOR_X,
    TENSOR_W,
    TENSOR_Y,
    TENSOR_SUM,
    TENSOR_SQUARE_SUM,
    TENSOR_SCALE,
    TENSOR_SHIFT,
    TENSOR_RESIDUAL,
    TENSOR_PRODUCT, /* and what follows from it, step by step */
    TENSORS_MOST = TENSOR_PRODUCT + POINTWISE_MOST
};

struct cudnn_plan {
    struct device *device;
    struct cudnn_conv conv;
    cudnnBackendDescriptor_t graph, convolution;                                        /* owned */
    cudnnBackendDescriptor_t tensors[TENSORS_MOST];                                     /* owned */
    cudnnBackendDescriptor_t pointwise[POINTWISE_MOST], operations[1 + POINTWISE_MOST]; /* owned */
    int operation_count, pointwise_count;
    char key[KEY_MOST];         /* of the choice on file */
    struct cudnn_choice choice; /* the one on file, while `known` */
    bool known;
    int listed; /* configurations that heuristics have named so far */
    cudnnBackendDescriptor_t engines[ENGINES_MOST], configs[ENGINES_MOST]; /* owned: execution plans */
    int places[ENGINES_MOST];                                              /* in the heuristics' list */
    size_t workspaces[ENGINES_MOST];
    int engine_count, chosen;
};

void cudnn_conv_describe(const struct cudnn_conv *conv, char text[160])
{
    static const char *const passes[] = {[CUDNN_PASS_FORWARD] = "convolution",
                                         [CUDNN_PASS_FORWARD_SUMS] = "convolution with sums",
                                         [CUDNN_PASS_FORWARD_NORM] = "convolution with norm",
                                         [CUDNN_PASS_DATA] = "convolution's gradient of the input",
                                         [CUDNN_PASS_FILTER] = "convolution's gradient of the weights"};
    static const char *const types[] = {[CUDA_FP32] = "fp32", [CUDA_FP16] = "fp16", [CUDA_BF16] = "bf16"};
    snprintf(text, 160, "%s%s%s %dx%d/%d pad %d, %zux%dx%dx%d to %d channels, %s%s", passes[conv->pass],
             conv->residual ? ", residual" : "", conv->relu ? ", ReLU" : "", conv->kernel, conv->kernel, conv->stride,
             conv->pad, conv->batch, conv->height, conv->width, conv->in_channels, conv->out_channels,
             conv->tf32 ? "tf32" : types[conv->type],
             conv->pass == CUDNN_PASS_FILTER && conv->filter_type != conv->type ? " to fp32" : "");
}

static cudnnDataType_t type_of(enum cuda_type type)
{
    return type == CUDA_FP32 ? CUDNN_DATA_FLOAT : type == CUDA_FP16 ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16;
}

/* --- descriptors: each function returns cuDNN's status, so that "not supported" is no error yet --- */

static cudnnStatus_t set(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                         cudnnBackendAttributeType_t type, int64_t count, const void *value)
{
    return cuda_libraries()->cudnn_set_attribute(descriptor, name, type, count, value);
}

static cudnnStatus_t set_descriptor(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                    cudnnBackendDescriptor_t value)
{
    return set(descriptor, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static cudnnStatus_t finalize(cudnnBackendDescriptor_t descriptor)
{
    return cuda_libraries()->cudnn_finalize(descriptor);
}

static cudnnStatus_t make(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *out)
{
    return cuda_libraries()->cudnn_create_descriptor(type, out);
}

static void drop(cudnnBackendDescriptor_t descriptor)
{
    if (descriptor != NULL)
        cuda_libraries()->cudnn_destroy_descriptor(descriptor);
}

#define PASS_CUDNN(call)                          \
    do {                                          \
        cudnnStatus_t pass_status_ = (call);      \
        if (pass_status_ != CUDNN_STATUS_SUCCESS) \
            return pass_status_;                  \
    } while (0)

/* (outer, channels, height, width), the channels of a pixel contiguous. */
static cudnnStatus_t add_tensor(struct cudnn_plan *plan, int name, enum cuda_type type, int64_t outer, int64_t channels,
                                int64_t height, int64_t width)
{
    const int64_t sizes[4] = {outer, channels, height, width}, alignment = ALIGNMENT, uid = name + 1;
    const int64_t strides[4] = {height * width * channels, 1, width * channels, channels};
    const bool is_virtual = name >= TENSOR_PRODUCT;
    cudnnDataType_t data_type = type_of(type);
    cudnnBackendDescriptor_t *tensor = &plan->tensors[name];
    PASS_CUDNN(make(CUDNN_BACKEND_TENSOR_DESCRIPTOR, tensor));
    PASS_CUDNN(set(*tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &data_type));
    PASS_CUDNN(set(*tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, sizes));
    PASS_CUDNN(set(*tensor, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides));
    PASS_CUDNN(set(*tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid));
    PASS_CUDNN(set(*tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment));
    if (is_virtual)
        PASS_CUDNN(set(*tensor, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual));
    return finalize(*tensor);
}

static cudnnStatus_t add_output(struct cudnn_plan *plan, int name, enum cuda_type type)
{
    const struct cudnn_conv *c = &plan->conv;
    return add_tensor(plan, name, type, (int64_t)c->batch, c->out_channels, c->out_height, c->out_width);
}

static cudnnStatus_t add_channels(struct cudnn_plan *plan, int name)
{
    return add_tensor(plan, name, CUDA_FP32, 1, plan->conv.out_channels, 1, 1);
}

static cudnnStatus_t add_tensors(struct cudnn_plan *plan)
{
    const struct cudnn_conv *c = &plan->conv;
    bool filter = c->pass == CUDNN_PASS_FILTER;
    PASS_CUDNN(add_tensor(plan, TENSOR_X, c->type, (int64_t)c->batch, c->in_channels, c->height, c->width));
    PASS_CUDNN(add_tensor(plan, TENSOR_W, filter ? c->filter_type : c->type, c->out_channels, c->in_channels, c->kernel,
                          c->kernel));
    PASS_CUDNN(add_output(plan, TENSOR_Y, c->type));
    if (c->pass == CUDNN_PASS_FORWARD_SUMS) {
        PASS_CUDNN(add_channels(plan, TENSOR_SUM));
        PASS_CUDNN(add_channels(plan, TENSOR_SQUARE_SUM));
    }
    if (c->pass == CUDNN_PASS_FORWARD_NORM) {
        PASS_CUDNN(add_channels(plan, TENSOR_SCALE));
        PASS_CUDNN(add_channels(plan, TENSOR_SHIFT));
        PASS_CUDNN(add_output(plan, TENSOR_PRODUCT, CUDA_FP32));
    }
    return c->residual ? add_output(plan, TENSOR_RESIDUAL, c->type) : CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t make_convolution(struct cudnn_plan *plan)
{
    const struct cudnn_conv *c = &plan->conv;
    const int64_t two = 2, pads[2] = {c->pad, c->pad}, strides[2] = {c->stride, c->stride}, dilations[2] = {1, 1};
    cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    PASS_CUDNN(make(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, &plan->convolution));
    cudnnBackendDescriptor_t to = plan->convolution;
    PASS_CUDNN(set(to, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute));
    PASS_CUDNN(set(to, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode));
    PASS_CUDNN(set(to, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &two));
    PASS_CUDNN(set(to, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, pads));
    PASS_CUDNN(set(to, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, pads));
    PASS_CUDNN(set(to, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides));
    PASS_CUDNN(set(to, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilations));
    return finalize(to);
}

/* The attribute names of the three kinds of convolution. */
struct operation_names {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t x, w, y, convolution, alpha, beta;
};

static const struct operation_names forward_names = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                                                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                                                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                                                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                                                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                                                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                                                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
static const struct operation_names data_names = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
static const struct operation_names filter_names = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};

static cudnnStatus_t add_convolution(struct cudnn_plan *plan)
{
    const float alpha = 1, beta = 0;
    const struct operation_names *names = plan->conv.pass == CUDNN_PASS_DATA     ? &data_names
                                          : plan->conv.pass == CUDNN_PASS_FILTER ? &filter_names
                                                                                 : &forward_names;
    int y = plan->conv.pass == CUDNN_PASS_FORWARD_NORM ? TENSOR_PRODUCT : TENSOR_Y;
    cudnnBackendDescriptor_t *operation = &plan->operations[plan->operation_count++];
    PASS_CUDNN(make(names->type, operation));
    PASS_CUDNN(set_descriptor(*operation, names->x, plan->tensors[TENSOR_X]));
    PASS_CUDNN(set_descriptor(*operation, names->w, plan->tensors[TENSOR_W]));
    PASS_CUDNN(set_descriptor(*operation, names->y, plan->tensors[y]));
    PASS_CUDNN(set_descriptor(*operation, names->convolution, plan->convolution));
    PASS_CUDNN(set(*operation, names->alpha, CUDNN_TYPE_FLOAT, 1, &alpha));
    PASS_CUDNN(set(*operation, names->beta, CUDNN_TYPE_FLOAT, 1, &beta));
    return finalize(*operation);
}

static cudnnStatus_t add_sums(struct cudnn_plan *plan)
{
    cudnnGenStatsMode_t mode = CUDNN_GENSTATS_SUM_SQSUM;
    cudnnDataType_t precision = CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t *operation = &plan->operations[plan->operation_count++];
    PASS_CUDNN(make(CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR, operation));
    PASS_CUDNN(set(*operation, CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, 1, &mode));
    PASS_CUDNN(set(*operation, CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &precision));
    PASS_CUDNN(set_descriptor(*operation, CUDNN_ATTR_OPERATION_GENSTATS_XDESC, plan->tensors[TENSOR_Y]));
    PASS_CUDNN(set_descriptor(*operation, CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, plan->tensors[TENSOR_SUM]));
    PASS_CUDNN(set_descriptor(*operation, CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, plan->tensors[TENSOR_SQUARE_SUM]));
    return finalize(*operation);
}

/* out = mode(in, with), element by element or, where `with` has one value per channel, that. */
static cudnnStatus_t add_pointwise(struct cudnn_plan *plan, cudnnPointwiseMode_t mode, int in, int with, int out)
{
    cudnnDataType_t precision = CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t *how = &plan->pointwise[plan->pointwise_count++];
    PASS_CUDNN(make(CUDNN_BACKEND_POINTWISE_DESCRIPTOR, how));
    PASS_CUDNN(set(*how, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode));
    PASS_CUDNN(set(*how, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &precision));
    PASS_CUDNN(finalize(*how));
    cudnnBackendDescriptor_t *operation = &plan->operations[plan->operation_count++];
    PASS_CUDNN(make(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, operation));
    PASS_CUDNN(set_descriptor(*operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, *how));
    PASS_CUDNN(set_descriptor(*operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, plan->tensors[in]));
    if (mode != CUDNN_POINTWISE_RELU_FWD)
        PASS_CUDNN(set_descriptor(*operation, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, plan->tensors[with]));
    PASS_CUDNN(set_descriptor(*operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, plan->tensors[out]));
    return finalize(*operation);
}

static cudnnStatus_t add_norm(struct cudnn_plan *plan)
{
    struct {
        cudnnPointwiseMode_t mode;
        int with;
    } steps[POINTWISE_MOST] = {{CUDNN_POINTWISE_MUL, TENSOR_SCALE}, {CUDNN_POINTWISE_ADD, TENSOR_SHIFT}};
    int count = 2, value = TENSOR_PRODUCT;
    if (plan->conv.residual) {
        steps[count].mode = CUDNN_POINTWISE_ADD;
        steps[count++].with = TENSOR_RESIDUAL;
    }
    if (plan->conv.relu)
        steps[count++].mode = CUDNN_POINTWISE_RELU_FWD;
    for (int k = 0; k < count; k++) {
        int out = k == count - 1 ? TENSOR_Y : TENSOR_PRODUCT + 1 + k;
        if (out != TENSOR_Y)
            PASS_CUDNN(add_output(plan, out, CUDA_FP32));
        PASS_CUDNN(add_pointwise(plan, steps[k].mode, value, steps[k].with, out));
        value = out;
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t make_graph(struct cudnn_plan *plan)
{
    cudnnHandle_t handle = plan->device->cudnn;
    PASS_CUDNN(add_tensors(plan));
    PASS_CUDNN(make_convolution(plan));
    PASS_CUDNN(add_convolution(plan));
    if (plan->conv.pass == CUDNN_PASS_FORWARD_SUMS)
        PASS_CUDNN(add_sums(plan));
    if (plan->conv.pass == CUDNN_PASS_FORWARD_NORM)
        PASS_CUDNN(add_norm(plan));
    PASS_CUDNN(make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, &plan->graph));
    PASS_CUDNN(set(plan->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, plan->operation_count,
                   plan->operations));
    PASS_CUDNN(set(plan->graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle));
    return finalize(plan->graph);
}

/* --- engines --- */

/* What the engine of a configuration does not keep: results that differ from run to run where they must not, or
 * products rounded to tf32 where fp32 was asked for. */
static bool acceptable(const struct cudnn_plan *plan, cudnnBackendDescriptor_t config)
{
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    cudnnBackendDescriptor_t engine = NULL;
    const struct cuda_libraries *library = cuda_libraries();
    int64_t count = 0;
    if (make(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) != CUDNN_STATUS_SUCCESS)
        return false;
    bool fine = library->cudnn_get_attribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                             &count, &engine) == CUDNN_STATUS_SUCCESS &&
                library->cudnn_get_attribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                             CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, notes) == CUDNN_STATUS_SUCCESS;
    bool exact = plan->conv.type == CUDA_FP32 && !plan->conv.tf32;
    for (int64_t k = 0; fine && k < count; k++)
        fine = !(plan->device->deterministic && notes[k] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) &&
               !(exact && notes[k] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
    drop(engine);
    return fine;
}

static cudnnStatus_t make_engine(struct cudnn_plan *plan, cudnnBackendDescriptor_t config)
{
    cudnnHandle_t handle = plan->device->cudnn;
    cudnnBackendDescriptor_t *engine = &plan->engines[plan->engine_count];
    int64_t bytes = 0, count = 0;
    PASS_CUDNN(make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, engine));
    PASS_CUDNN(set(*engine, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle));
    PASS_CUDNN(set_descriptor(*engine, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config));
    PASS_CUDNN(finalize(*engine));
    PASS_CUDNN(cuda_libraries()->cudnn_get_attribute(*engine, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                                     CUDNN_TYPE_INT64, 1, &count, &bytes));
    plan->workspaces[plan->engine_count] = (size_t)bytes;
    return (size_t)bytes > workspace_most ? CUDNN_STATUS_NOT_SUPPORTED : CUDNN_STATUS_SUCCESS;
}

/* Keep the configuration if an execution plan can be made of it, and it is the one on file where there is one: making
 * plans takes long. */
static void try_config(struct cudnn_plan *plan, cudnnBackendDescriptor_t config)
{
    int place = plan->listed++;
    bool wanted = plan->engine_count < ENGINES_MOST && (!plan->known || plan->choice.engine == place);
    if (wanted && acceptable(plan, config) && make_engine(plan, config) == CUDNN_STATUS_SUCCESS) {
        plan->places[plan->engine_count] = place;
        plan->configs[plan->engine_count++] = config;
        return;
    }
    if (wanted) {
        drop(plan->engines[plan->engine_count]);
        plan->engines[plan->engine_count] = NULL;
    }
    drop(config);
}

/* The configurations that one of cuDNN's heuristics proposes, in its order. */
static void ask_heuristics(struct cudnn_plan *plan, cudnnBackendHeurMode_t mode)
{
    cudnnBackendDescriptor_t heuristics = NULL, configs[ENGINES_MOST] = {NULL};
    int64_t count = 0;
    cudnnStatus_t status = make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics);
    if (status == CUDNN_STATUS_SUCCESS)
        status = set_descriptor(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, plan->graph);
    if (status == CUDNN_STATUS_SUCCESS)
        status = set(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (status == CUDNN_STATUS_SUCCESS)
        status = finalize(heuristics);
    for (int k = 0; k < ENGINES_MOST && status == CUDNN_STATUS_SUCCESS; k++)
        status = make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[k]);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cuda_libraries()->cudnn_get_attribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                                       CUDNN_TYPE_BACKEND_DESCRIPTOR, ENGINES_MOST, &count, configs);
    for (int64_t k = 0; k < ENGINES_MOST; k++) {
        if (status == CUDNN_STATUS_SUCCESS && k < count)
            try_config(plan, configs[k]);
        else
            drop(configs[k]);
    }
    drop(heuristics);
}

static void ask_all_heuristics(struct cudnn_plan *plan)
{
    plan->listed = 0;
    ask_heuristics(plan, CUDNN_HEUR_MODE_A);
    ask_heuristics(plan, CUDNN_HEUR_MODE_FALLBACK);
}

static void name_plan(struct cudnn_plan *plan)
{
    char text[160];
    cudnn_conv_describe(&plan->conv, text);
    snprintf(plan->key, sizeof plan->key, "%s; cuDNN %zu; %s%s", plan->device->gpu, cuda_libraries()->cudnn_version(),
             text, plan->device->deterministic ? ", deterministic" : "");
}

struct cudnn_plan *cudnn_plan_create(struct device *device, const struct cudnn_conv *conv)
{
    struct cudnn_plan *plan = memory_zalloc(1, sizeof *plan);
    plan->device = device;
    plan->conv = *conv;
    plan->chosen = -1;
    name_plan(plan);
    plan->known = cudnn_choice_find(plan->key, HEURISTICS * ENGINES_MOST, &plan->choice);
    cudnnStatus_t status = make_graph(plan);
    if (status == CUDNN_STATUS_SUCCESS)
        ask_all_heuristics(plan);
    if (status == CUDNN_STATUS_SUCCESS && plan->known && plan->engine_count == 0) { /* it is there no more */
        plan->known = false;
        ask_all_heuristics(plan);
    }
    if (plan->engine_count > 0)
        return plan;
    log_debug("%s: no engine: %s", plan->key, cuda_libraries()->cudnn_error_string(status));
    cudnn_plan_destroy(plan);
    return NULL;
}

void cudnn_plan_destroy(struct cudnn_plan *plan)
{
    if (plan == NULL)
        return;
    for (int k = 0; k < ENGINES_MOST; k++) {
        drop(plan->engines[k]);
        drop(plan->configs[k]);
    }
    drop(plan->graph);
    for (int k = 0; k < plan->operation_count; k++)
        drop(plan->operations[k]);
    for (int k = 0; k < plan->pointwise_count; k++)
        drop(plan->pointwise[k]);
    drop(plan->convolution);
    for (int k = 0; k < TENSORS_MOST; k++)
        drop(plan->tensors[k]);
    free(plan);
}

size_t cudnn_plan_workspace(const struct cudnn_plan *plan)
{
    size_t most = 0;
    for (int k = 0; k < plan->engine_count; k++)
        if (plan->workspaces[k] > most)
            most = plan->workspaces[k];
    return most;
}

/* --- running --- */

/* Of the tensors that are there and not virtual. */
static cudnnStatus_t fill_pack(const struct cudnn_plan *plan, const struct cudnn_arrays *arrays,
                               cudnnBackendDescriptor_t pack)
{
    void *const all[TENSOR_PRODUCT] = {[TENSOR_X] = arrays->x,         [TENSOR_W] = arrays->w,
                                       [TENSOR_Y] = arrays->y,         [TENSOR_SUM] = arrays->sum,
                                       [TENSOR_SCALE] = arrays->scale, [TENSOR_SQUARE_SUM] = arrays->square_sum,
                                       [TENSOR_SHIFT] = arrays->shift, [TENSOR_RESIDUAL] = arrays->residual};
    void *pointers[TENSOR_PRODUCT], *workspace = arrays->workspace;
    int64_t uids[TENSOR_PRODUCT], count = 0;
    for (int name = 0; name < TENSOR_PRODUCT; name++) {
        if (plan->tensors[name] == NULL)
            continue;
        pointers[count] = all[name];
        uids[count++] = name + 1;
    }
    PASS_CUDNN(set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, pointers));
    PASS_CUDNN(set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, uids));
    PASS_CUDNN(set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace));
    return finalize(pack);
}

static cudnnStatus_t execute(struct cudnn_plan *plan, int engine, const struct cudnn_arrays *arrays)
{
    cudnnBackendDescriptor_t pack = NULL;
    PASS_CUDNN(make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack));
    cudnnStatus_t status = fill_pack(plan, arrays, pack);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cuda_libraries()->cudnn_execute(plan->device->cudnn, plan->engines[engine], pack);
    drop(pack);
    return status;
}

enum status cudnn_plan_run(struct cudnn_plan *plan, const struct cudnn_arrays *arrays)
{
    assert(plan->chosen >= 0);
    cudnnStatus_t status = execute(plan, plan->chosen, arrays);
    if (status == CUDNN_STATUS_SUCCESS)
        return STATUS_OK;
    char text[160];
    cudnn_conv_describe(&plan->conv, text);
    return cudnn_call_failed(text, (int)status);
}

/* Seconds of one run, the best of a few; negative where the engine does not run after all. */
static double measure(struct cudnn_plan *plan, int engine, const struct cudnn_arrays *arrays, cudaEvent_t begin,
                      cudaEvent_t end)
{
    enum { RUNS = 4 };
    cudaStream_t stream = plan->device->compute;
    double best = -1;
    for (int run = 0; run < RUNS; run++) {
        float elapsed_ms = 0;
        cudaEventRecord(begin, stream);
        if (execute(plan, engine, arrays) != CUDNN_STATUS_SUCCESS)
            return -1;
        cudaEventRecord(end, stream);
        if (cudaEventSynchronize(end) != cudaSuccess || cudaEventElapsedTime(&elapsed_ms, begin, end) != cudaSuccess)
            return -1;
        if (run > 0 && (best < 0 || elapsed_ms * 1e-3 < best))
            best = elapsed_ms * 1e-3;
    }
    return best;
}

/* The fastest, by its place among this plan's engines; engine −1 where none runs. */
static enum status measure_all(struct cudnn_plan *plan, const struct cudnn_arrays *arrays, struct cudnn_choice *fastest)
{
    cudaEvent_t begin, end;
    TRY_CUDA("events", cudaEventCreate(&begin));
    TRY_CUDA("events", cudaEventCreate(&end));
    for (int k = 0; k < plan->engine_count; k++) {
        double seconds = measure(plan, k, arrays, begin, end);
        if (seconds >= 0 && (fastest->engine < 0 || seconds < fastest->seconds))
            *fastest = (struct cudnn_choice){.engine = k, .seconds = seconds};
    }
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
    (void)cudaGetLastError();
    return STATUS_OK;
}

/* Measure, keep the choice, and take the one that was kept first: of whoever measured at the same time. */
static enum status measure_and_keep(struct cudnn_plan *plan, const struct cudnn_arrays *arrays)
{
    struct cudnn_choice fastest = {.engine = -1}, kept;
    TRY(measure_all(plan, arrays, &fastest));
    if (fastest.engine < 0)
        return STATUS_OK;
    plan->chosen = fastest.engine;
    plan->choice = (struct cudnn_choice){.engine = plan->places[fastest.engine], .seconds = fastest.seconds};
    cudnn_choice_keep(plan->key, &plan->choice);
    if (!cudnn_choice_find(plan->key, HEURISTICS * ENGINES_MOST, &kept))
        return STATUS_OK;
    for (int k = 0; k < plan->engine_count; k++) {
        if (plan->places[k] == kept.engine) {
            plan->chosen = k;
            plan->choice = kept;
        }
    }
    return STATUS_OK;
}

enum status cudnn_plan_choose(struct cudnn_plan *plan, const struct cudnn_arrays *arrays, double *seconds)
{
    if (plan->known)
        plan->chosen = 0;
    else
        TRY(measure_and_keep(plan, arrays));
    *seconds = plan->chosen >= 0 ? plan->choice.seconds : INFINITY;
    log_debug("%s: engine %d, %.1f us", plan->key, plan->choice.engine, *seconds * 1e6);
    return STATUS_OK;
}
