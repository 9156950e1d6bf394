/* A network compiled for the GPU: from the list of nodes to operations with memory, and the two passes that run them.
 * */
#include "device/cuda/cuda_net.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "device/backend_net.h"
#include "device/cuda/cuda_backend.h"

/* In the order of enum net_op. */
static const struct cuda_op_class *const classes[] = {
    [NET_CONV] = &cuda_conv_class,
    [NET_NORM] = &cuda_norm_class,
    [NET_RELU] = &cuda_relu_class,
    [NET_MAX_POOL] = &cuda_max_pool_class,
    [NET_ADAPTIVE_AVG_POOL] = &cuda_average_pool_class,
    [NET_LINEAR] = &cuda_linear_class,
    [NET_DROPOUT] = &cuda_dropout_class,
    [NET_QUADRATIC] = &cuda_quadratic_class,
};

/* --- what operations ask of the net --- */

bool cuda_op_reads_output(const struct cuda_op *op)
{
    const struct net_node *node = op->node;
    return op->class->reads_output || (node->op == NET_NORM && node->residual != NET_NONE && node->relu) ||
           (node->op == NET_LINEAR && node->relu);
}

void cuda_net_output(struct net *net, struct cuda_op *op, int channels, int height, int width)
{
    struct cuda_value *out = cuda_output(net, op);
    bool last = op->index == net->spec.node_count - 1;
    out->channels = out->stored = channels;
    out->height = height;
    out->width = width;
    out->type = last ? CUDA_FP32 : net->type;
    out->data =
        memory_plan_add(&net->plan, cuda_value_count(net, out) * cuda_type_size(out->type), cuda_step_forward(op));
}

struct cuda_contribution cuda_net_contribute(struct net *net, struct cuda_op *op, struct cuda_value *value, int over)
{
    struct cuda_contribution part = {.buffer = NO_BUFFER, .sum = NO_BUFFER};
    int first = cuda_step_backward(net, op), last = first + 1;
    if (!cuda_wants_gradient(value))
        return part;
    int capacity = net->spec.nodes[value->producer].op == NET_NORM ? CUDA_GRADIENT_PARTS : 1;
    size_t bytes = cuda_value_count(net, value) * cuda_type_size(value->type);
    part.buffer =
        over != NO_BUFFER ? memory_plan_alias(&net->plan, over, first) : memory_plan_add(&net->plan, bytes, first);
    memory_plan_use(&net->plan, part.buffer, last);
    if (value->gradient_count < capacity) {
        value->gradient[value->gradient_count++] = part.buffer;
    } else {
        part.sum = value->gradient[0];
        memory_plan_use(&net->plan, part.sum, last);
    }
    return part;
}

void *cuda_net_d_output(struct net *net, const struct cuda_op *op)
{
    const struct cuda_value *out = cuda_output(net, op);
    assert(out->gradient_count == 1);
    return cuda_pointer(net, out->gradient[0]);
}

void cuda_net_need_workspace(struct net *net, size_t bytes)
{
    if (bytes > net->workspace_bytes)
        net->workspace_bytes = bytes;
}

/* --- creation --- */

static bool has_op(const struct net_spec *spec, enum net_op op)
{
    for (int k = 0; k < spec->node_count; k++)
        if (spec->nodes[k].op == op)
            return true;
    return false;
}

/* "auto": bf16 for networks with convolutions, whose accuracy it does not touch; fp32 for small and convex models. */
static enum status choose_type(struct net *net)
{
    enum cuda_precision precision = net->device->precision;
    if (precision == PRECISION_AUTO)
        precision = has_op(&net->spec, NET_CONV) ? PRECISION_BF16 : PRECISION_FP32;
    net->tf32 = precision == PRECISION_TF32;
    net->type = precision == PRECISION_BF16 ? CUDA_BF16 : precision == PRECISION_FP16 ? CUDA_FP16 : CUDA_FP32;
    /* The loss is taken of fp32 logits: the layer before it must be able to write them. */
    if (net->type == CUDA_FP32 || net->spec.nodes[net->spec.node_count - 1].op == NET_LINEAR)
        return STATUS_OK;
    log_error("device.precision: model %s, which does not end in a linear layer, computes in fp32 only; allowed: auto "
              "| fp32 | tf32",
              net->spec.name);
    return STATUS_USAGE;
}

/* Channels of pictures in memory: convolutions on 16-bit values want multiples of 8. */
static int stored_channels(const struct net *net)
{
    bool convolved = net->spec.nodes[0].op == NET_CONV;
    for (int k = 1; k < net->spec.node_count; k++)
        assert(net->spec.nodes[k].input != 0 || !convolved || net->spec.nodes[k].op == NET_CONV);
    return convolved && net->type != CUDA_FP32 ? (net->spec.channels + 7) / 8 * 8 : net->spec.channels;
}

static void init_values(struct net *net)
{
    const struct net_spec *spec = &net->spec;
    for (int i = 0; i <= spec->node_count; i++)
        net->values[i] = (struct cuda_value){.producer = i - 1, .data = NO_BUFFER, .gradient = {NO_BUFFER, NO_BUFFER}};
    struct cuda_value *pictures = &net->values[0];
    pictures->channels = spec->channels;
    pictures->height = spec->height;
    pictures->width = spec->width;
    pictures->stored = stored_channels(net);
    pictures->type = net->type;
    pictures->data = memory_plan_add(&net->plan, cuda_value_count(net, pictures) * cuda_type_size(net->type), 0);
    for (int k = 0; k < spec->node_count; k++) {
        const struct net_node *node = &spec->nodes[k];
        assert(node->input >= 0 && node->input <= k && (node->residual == NET_NONE || node->residual <= k));
        net->values[node->input].consumer_count++;
        if (node->op == NET_NORM && node->residual != NET_NONE)
            net->values[node->residual].consumer_count++;
    }
}

static enum status create_ops(struct net *net)
{
    for (int k = 0; k < net->spec.node_count; k++) {
        struct cuda_op *op = &net->ops[k];
        const struct net_node *node = op->node = &net->spec.nodes[k];
        op->index = k;
        op->d_input = op->d_residual = (struct cuda_contribution){NO_BUFFER, NO_BUFFER};
        assert((size_t)node->op < sizeof classes / sizeof *classes);
        op->class = classes[node->op];
        TRY(op->class->create(net, op));
        memory_plan_use(&net->plan, net->values[node->input].data, cuda_step_forward(op));
        if (node->op == NET_NORM && node->residual != NET_NONE)
            memory_plan_use(&net->plan, net->values[node->residual].data, cuda_step_forward(op));
    }
    return STATUS_OK;
}

static void plan_backward(struct net *net)
{
    int count = net->spec.node_count;
    struct cuda_value *logits = &net->values[count];
    logits->gradient[logits->gradient_count++] =
        memory_plan_add(&net->plan, cuda_value_count(net, logits) * sizeof(float), 2 * count);
    memory_plan_use(&net->plan, logits->data, 4 * count + 1);
    for (int k = count - 1; k >= 0; k--) {
        struct cuda_op *op = &net->ops[k];
        struct cuda_value *out = &net->values[k + 1];
        int last = cuda_step_backward(net, op) + 1;
        assert(out->gradient_count > 0);
        for (int i = 0; i < out->gradient_count; i++)
            memory_plan_use(&net->plan, out->gradient[i], last);
        if (op->class->reads_input)
            memory_plan_use(&net->plan, cuda_input(net, op)->data, last);
        if (cuda_op_reads_output(op))
            memory_plan_use(&net->plan, out->data, last);
        op->class->plan_backward(net, op);
    }
}

static void place(struct net *net)
{
    int last = 4 * net->spec.node_count + 1;
    net->workspace = memory_plan_add(&net->plan, net->workspace_bytes, 0);
    memory_plan_use(&net->plan, net->workspace, last);
    memory_plan_place(&net->plan);
}

static enum status allocate(struct net *net)
{
    char purpose[96];
    snprintf(purpose, sizeof purpose, "activations of %.32s at a batch of %zu", net->spec.name, net->batch);
    return cuda_alloc(net->plan.bytes, purpose, &net->plan.memory);
}

static enum status create_scaling(struct net *net)
{
    struct cuda_scaling start = {.loss_scale = 65536, .unscale = 1.0f / 65536};
    if (net->device->scaling.loss_scale > 0)
        start = net->device->scaling;
    if (net->type != CUDA_FP16)
        return STATUS_OK;
    TRY(cuda_alloc(sizeof start, "the loss scale", &net->scaling));
    TRY_CUDA("the loss scale", cudaMemcpy(net->scaling, &start, sizeof start, cudaMemcpyHostToDevice));
    return STATUS_OK;
}

static enum status compile(struct net *net)
{
    TRY(choose_type(net));
    init_values(net);
    TRY(create_ops(net));
    plan_backward(net);
    TRY(cuda_weights_create(net));
    place(net);
    return STATUS_OK;
}

static enum status fill(struct net *net)
{
    TRY(compile(net));
    TRY(cuda_step_create(net));
    TRY(create_scaling(net));
    TRY(allocate(net));
    TRY(cuda_alloc(net->batch * sizeof(float), "losses", &net->losses));
    TRY(cuda_alloc(net->batch, "places of the labels", &net->places));
    TRY_CUDA("making the network", cudaDeviceSynchronize()); /* what was set so far is on no stream of ours */
    for (int k = 0; k < net->spec.node_count; k++)
        if (net->ops[k].class->bind != NULL)
            TRY(net->ops[k].class->bind(net, &net->ops[k]));
    return STATUS_OK;
}

static struct net *new_net(struct device *device, const struct net_spec *spec, size_t batch)
{
    struct net *net = memory_zalloc(1, sizeof *net);
    assert(spec->node_count > 0 && batch > 0);
    backend_net_copy_spec(&net->spec, spec);
    net->device = device;
    net->batch = batch;
    net->values = memory_zalloc((size_t)spec->node_count + 1, sizeof *net->values);
    net->ops = memory_zalloc((size_t)spec->node_count, sizeof *net->ops);
    return net;
}

enum status cuda_net_plan(struct device *device, const struct net_spec *spec, size_t batch, size_t *bytes)
{
    struct net *net = new_net(device, spec, batch);
    net->plans_only = true;
    enum status status = compile(net);
    if (status == STATUS_OK)
        *bytes = cuda_net_bytes(net);
    cuda_net_destroy(net);
    return status;
}

enum status cuda_net_create(struct device *device, const struct net_spec *spec, size_t batch, float *gradient,
                            float *buffers, struct net **out)
{
    struct net *net = new_net(device, spec, batch);
    assert(device->net_count < CUDA_NETS);
    net->gradient = gradient;
    net->buffers = buffers;
    enum status status = fill(net);
    if (status != STATUS_OK) {
        cuda_net_destroy(net);
        return status;
    }
    device->nets[device->net_count++] = net;
    *out = net;
    return STATUS_OK;
}

static void forget(struct device *device, const struct net *net)
{
    for (int k = 0; k < device->net_count; k++)
        if (device->nets[k] == net)
            device->nets[k] = device->nets[--device->net_count];
}

/* For the net that takes its place, of pictures of another size. */
static void keep_scaling(const struct net *net)
{
    struct cuda_scaling *kept = &net->device->scaling;
    if (net->scaling != NULL && net->trained > 0)
        cuda_note(net->device, "the loss scale",
                  (int)cudaMemcpy(kept, net->scaling, sizeof *kept, cudaMemcpyDeviceToHost));
}

void cuda_net_destroy(struct net *net)
{
    if (net == NULL)
        return;
    cudaDeviceSynchronize();
    keep_scaling(net);
    forget(net->device, net);
    if (net->forward_graph != NULL)
        cudaGraphExecDestroy(net->forward_graph);
    if (net->backward_graph != NULL)
        cudaGraphExecDestroy(net->backward_graph);
    for (int k = 0; k < net->spec.node_count; k++) {
        struct cuda_op *op = &net->ops[k];
        if (op->state != NULL && op->class->destroy != NULL)
            op->class->destroy(net, op);
        free(op->state);
    }
    cuda_step_destroy(net);
    cuda_weights_destroy(net);
    cudaFree(net->scaling);
    cudaFree(net->losses);
    cudaFree(net->places);
    cudaFree(net->plan.memory);
    memory_plan_release(&net->plan);
    free(net->values);
    free(net->ops);
    backend_net_release_spec(&net->spec);
    free(net);
}

/* --- passes --- */

void cuda_net_cast(struct net *net, const float *x)
{
    struct device *device = net->device;
    cuda_note(device, "order of streams", (int)cudaStreamWaitEvent(device->state, net->done, 0)); /* it reads w */
    cuda_note(device, "working copy", cuda_cast(device->state, net->tiles, net->tile_count, x, &net->working));
}

static enum status run_loss(struct net *net, bool with_gradient)
{
    static const enum cuda_loss_kind kinds[] = {[NET_LOSS_CROSS_ENTROPY] = CUDA_LOSS_CROSS_ENTROPY,
                                                [NET_LOSS_SQUARED] = CUDA_LOSS_SQUARED,
                                                [NET_LOSS_SQUARED_NORM] = CUDA_LOSS_SQUARED_NORM};
    const struct cuda_value *logits = &net->values[net->spec.node_count];
    const struct cuda_loss loss = {.kind = kinds[net->spec.loss],
                                   .batch = net->batch,
                                   .classes = logits->channels * logits->height * logits->width,
                                   .label_smoothing = with_gradient ? net->spec.label_smoothing : 0.0};
    TRY_CUDA("loss", cuda_loss(net->device->compute, &loss, cuda_pointer(net, logits->data), cuda_step_labels(net),
                               &net->step->real, net->scaling != NULL ? &net->scaling->loss_scale : NULL,
                               with_gradient ? cuda_pointer(net, logits->gradient[0]) : NULL, net->losses, net->places,
                               &net->step->serial, net->outcomes_on_device, NET_RESULTS));
    return STATUS_OK;
}

/* In checking mode an operation's failure is found before the next one begins. */
static enum status check_op(const struct net *net, const struct cuda_op *op, const char *pass)
{
    char operation[96];
    if (!net->device->checks)
        return STATUS_OK;
    snprintf(operation, sizeof operation, "%s pass of node %d (%s) of %.32s", pass, op->index, op->class->name,
             net->spec.name);
    TRY_CUDA(operation, cudaStreamSynchronize(net->device->compute));
    return STATUS_OK;
}

static enum status run_forward(struct net *net, enum net_mode mode)
{
    for (int k = 0; k < net->spec.node_count; k++) {
        TRY(net->ops[k].class->forward(net, &net->ops[k], mode));
        TRY(check_op(net, &net->ops[k], "forward"));
    }
    return run_loss(net, mode == NET_TRAIN);
}

static enum status add_contribution(struct net *net, const struct cuda_value *value, struct cuda_contribution part)
{
    if (part.sum != NO_BUFFER)
        TRY_CUDA("sum of gradients", cuda_add(net->device->compute, value->type, cuda_value_count(net, value),
                                              cuda_pointer(net, part.sum), cuda_pointer(net, part.buffer)));
    return STATUS_OK;
}

static enum status run_backward_node(struct net *net, struct cuda_op *op)
{
    TRY(op->class->backward(net, op));
    TRY(add_contribution(net, cuda_input(net, op), op->d_input));
    if (op->node->op == NET_NORM && op->node->residual != NET_NONE)
        TRY(add_contribution(net, &net->values[op->node->residual], op->d_residual));
    return STATUS_OK;
}

static enum status run_backward(struct net *net, net_ready_fn *ready, void *context)
{
    for (int k = net->spec.node_count - 1; k >= 0; k--) {
        TRY(run_backward_node(net, &net->ops[k]));
        TRY(check_op(net, &net->ops[k], "backward"));
        backend_net_report(&net->spec, &net->spec.nodes[k], ready, context);
    }
    return STATUS_OK;
}

/* What a pass enqueues, as a graph; a failure inside is returned once the capture has been ended. */
static enum status capture(struct net *net, bool forward, cudaGraphExec_t *out)
{
    cudaStream_t stream = net->device->compute;
    cudaGraph_t graph = NULL;
    TRY_CUDA("capturing a pass", cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    enum status status = forward ? run_forward(net, NET_TRAIN) : run_backward(net, NULL, NULL);
    cudaError_t code = cudaStreamEndCapture(stream, &graph);
    if (status == STATUS_OK && code == cudaSuccess)
        code = cudaGraphInstantiate(out, graph, 0);
    if (graph != NULL)
        cudaGraphDestroy(graph);
    TRY(status);
    TRY_CUDA("capturing a pass", code);
    return STATUS_OK;
}

/* The first training passes run as they are: libraries set themselves up. */
static enum status launch(struct net *net, bool forward)
{
    cudaGraphExec_t *graph = forward ? &net->forward_graph : &net->backward_graph;
    if (net->trained <= 1 || net->device->checks)
        return forward ? run_forward(net, NET_TRAIN) : run_backward(net, NULL, NULL);
    if (*graph == NULL)
        TRY(capture(net, forward, graph));
    TRY_CUDA("launching a pass", cudaGraphLaunch(*graph, net->device->compute));
    return STATUS_OK;
}

static enum status finish_pass(struct net *net)
{
    TRY_CUDA("order of streams", cudaEventRecord(net->done, net->device->compute));
    TRY_CUDA("order of streams", cudaEventRecord(net->passed[net->serial % NET_RESULTS], net->device->compute));
    return STATUS_OK;
}

enum status cuda_net_forward(struct net *net, enum net_mode mode, const struct net_batch *batch, uint64_t dropout_seed,
                             struct net_result *result)
{
    struct device *device = net->device;
    assert(batch->count > 0 && batch->count <= net->batch);
    assert(mode == NET_EVALUATE || batch->count == net->batch);
    TRY(cuda_failed(device));
    TRY_CUDA("order of streams", cudaEventRecord(device->state_done, device->state));
    TRY_CUDA("order of streams", cudaStreamWaitEvent(device->compute, device->state_done, 0));
    net->serial++;
    net->mode = mode;
    if (mode == NET_TRAIN) {
        net->trained++;
        net->last_trained = ++device->trained;
    }
    TRY(cuda_step_bring(net, batch, dropout_seed));
    TRY(mode == NET_TRAIN ? launch(net, true) : run_forward(net, mode));
    TRY(finish_pass(net));
    return result != NULL ? cuda_step_outcome(net, net->serial, result) : STATUS_OK;
}

enum status cuda_net_result(struct net *net, int age, struct net_result *result)
{
    TRY(cuda_failed(net->device));
    assert(age >= 0 && (uint64_t)age < net->serial);
    return cuda_step_outcome(net, net->serial - (uint64_t)age, result);
}

enum status cuda_net_backward(struct net *net, net_ready_fn *ready, void *context)
{
    assert(net->mode == NET_TRAIN);
    TRY(ready == NULL ? launch(net, false) : run_backward(net, ready, context));
    return finish_pass(net);
}

void cuda_net_logits(struct net *net, float *host)
{
    const struct cuda_value *logits = &net->values[net->spec.node_count];
    struct device *device = net->device;
    size_t bytes = cuda_value_count(net, logits) * sizeof(float);
    cuda_note(
        device, "reading the logits",
        (int)cudaMemcpyAsync(host, cuda_pointer(net, logits->data), bytes, cudaMemcpyDeviceToHost, device->compute));
    cuda_note(device, "reading the logits", (int)cudaStreamSynchronize(device->compute));
}

size_t cuda_net_bytes(const struct net *net)
{
    return net->plan.bytes + net->working_bytes;
}
