/* Convolution: cuDNN graphs for the three products, our kernels for the bias and for the gradient's layout.
 *
 * Where a batch norm alone reads the output, the forward graph may leave the sums that the norm needs (an epilogue of
 * the product instead of a pass over memory), and in an evaluation, whose statistics are known before, the whole norm
 * may be its epilogue: either is taken where cuDNN has such an engine that is not slower than the passes. */
#include "device/cuda/cuda_conv.h"

#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "device/cuda/cudnn_graph.h"

struct conv_state {
    struct cudnn_plan *forward, *forward_sums, *with_norm, *data, *filter; /* owned; NULL where not needed or not to be
                                                                            * had */
    bool fused;                                                            /* training uses forward_sums */
    bool evaluates_with_norm;                                              /* evaluation uses with_norm */
    int sums, d_filter, d_bias_parts;                                      /* buffers */
    enum cuda_type filter_type;
};

/* Of memory, for the choice between an epilogue and a pass: a choice that must not differ from run to run. */
static const double pass_bytes_per_second = 2e12;

static struct cudnn_conv shape_of(const struct net *net, const struct cuda_op *op, enum cudnn_pass pass)
{
    const struct net_node *node = op->node;
    const struct cuda_value *in = &net->values[node->input], *out = &net->values[op->index + 1];
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

/* NULL where cuDNN has no engine. */
static struct cudnn_plan *plan_pass(struct net *net, const struct cudnn_conv *conv)
{
    struct cudnn_plan *plan = cudnn_plan_create(net->device, conv);
    if (plan != NULL)
        cuda_net_need_workspace(net, cudnn_plan_workspace(plan));
    return plan;
}

/* There is no way to compute this. */
static enum status refuse(const struct net *net, const struct cudnn_conv *conv)
{
    char text[160];
    cudnn_conv_describe(conv, text);
    log_on_this_rank(
        LOG_ERROR,
        "cuDNN has no engine for the %s on %s; try another device.precision%s (run.log_level=debug tells more)", text,
        net->device->gpu, net->device->deterministic ? ", or device.deterministic=false" : "");
    return STATUS_MACHINE;
}

static enum status need_pass(struct net *net, const struct cudnn_conv *conv, struct cudnn_plan **out)
{
    *out = plan_pass(net, conv);
    return *out != NULL ? STATUS_OK : refuse(net, conv);
}

static enum status choose_engine(struct net *net, struct cuda_op *op, enum cudnn_pass pass, struct cudnn_plan *plan,
                                 const struct cudnn_arrays *arrays, double *seconds)
{
    const struct cudnn_conv conv = shape_of(net, op, pass);
    TRY(cudnn_plan_choose(plan, arrays, seconds));
    return *seconds < INFINITY ? STATUS_OK : refuse(net, &conv);
}

/* The only reader of the output is a batch norm: it will want its sums. cuDNN takes them of whole vectors of channels.
 * */
static bool feeds_norm(const struct net *net, const struct cuda_op *op)
{
    const struct net_node *next = op->node + 1;
    return op->index + 1 < net->spec.node_count && next->op == NET_NORM && next->input == op->index + 1 &&
           net->values[op->index + 1].consumer_count == 1 && op->node->out_channels % 8 == 0;
}

static enum status plan_filter(struct net *net, struct cuda_op *op)
{
    struct conv_state *state = op->state;
    struct cudnn_conv conv = shape_of(net, op, CUDNN_PASS_FILTER);
    state->filter_type = conv.filter_type = CUDA_FP32;
    state->filter = plan_pass(net, &conv);
    if (state->filter != NULL)
        return STATUS_OK;
    state->filter_type = conv.filter_type = net->type;
    return need_pass(net, &conv, &state->filter);
}

/* The norm's output is of the net's type, unless it is the last value. */
static void plan_norm(struct net *net, struct cuda_op *op)
{
    struct conv_state *state = op->state;
    struct cudnn_conv conv = shape_of(net, op, CUDNN_PASS_FORWARD_SUMS);
    state->forward_sums = plan_pass(net, &conv);
    if (op->index + 2 == net->spec.node_count)
        return;
    conv.pass = CUDNN_PASS_FORWARD_NORM;
    conv.residual = op->node[1].residual != NET_NONE;
    conv.relu = op->node[1].relu;
    state->with_norm = plan_pass(net, &conv);
}

static enum status conv_create(struct net *net, struct cuda_op *op)
{
    const struct net_node *node = op->node;
    struct conv_state *state = op->state = memory_zalloc(1, sizeof *state);
    cuda_net_output(net, op, node->channels, node->height, node->width);
    struct cudnn_conv conv = shape_of(net, op, CUDNN_PASS_FORWARD);
    TRY(need_pass(net, &conv, &state->forward));
    if (feeds_norm(net, op) && node->bias == NET_NONE)
        plan_norm(net, op);
    state->sums = memory_plan_add(&net->plan, 2 * (size_t)node->out_channels * sizeof(float), cuda_step_forward(op));
    memory_plan_use(&net->plan, state->sums, cuda_step_forward(op) + 2);
    if (cuda_wants_gradient(cuda_input(net, op))) {
        conv.pass = CUDNN_PASS_DATA;
        TRY(need_pass(net, &conv, &state->data));
    }
    return plan_filter(net, op);
}

static void conv_plan_backward(struct net *net, struct cuda_op *op)
{
    struct conv_state *state = op->state;
    const struct net_node *node = op->node;
    const struct cuda_value *in = cuda_input(net, op);
    size_t count = (size_t)node->out_channels * (size_t)in->stored * (size_t)node->kernel * (size_t)node->kernel;
    state->d_filter =
        memory_plan_add(&net->plan, count * cuda_type_size(state->filter_type), cuda_step_backward(net, op));
    state->d_bias_parts = NO_BUFFER;
    if (node->bias != NET_NONE)
        state->d_bias_parts = memory_plan_add(&net->plan, CUDA_BIAS_PARTS * (size_t)node->out_channels * sizeof(float),
                                              cuda_step_backward(net, op));
    op->d_input = cuda_net_contribute(net, op, cuda_input(net, op), NO_BUFFER);
}

static struct cudnn_arrays forward_arrays(struct net *net, struct cuda_op *op)
{
    const struct conv_state *state = op->state;
    float *sums = cuda_pointer(net, state->sums);
    return (struct cudnn_arrays){.x = cuda_pointer(net, cuda_input(net, op)->data),
                                 .w = cuda_net_weight(net, op->node->weight),
                                 .y = cuda_pointer(net, cuda_output(net, op)->data),
                                 .sum = sums,
                                 .square_sum = sums + op->node->out_channels,
                                 .workspace = cuda_net_workspace(net)};
}

static struct cudnn_arrays norm_arrays(struct net *net, struct cuda_op *op)
{
    const struct cuda_op *norm = op + 1;
    struct cudnn_arrays arrays = forward_arrays(net, op);
    cuda_norm_coefficients(net, norm, &arrays.scale, &arrays.shift);
    arrays.y = cuda_pointer(net, cuda_output(net, norm)->data);
    if (norm->node->residual != NET_NONE)
        arrays.residual = cuda_pointer(net, net->values[norm->node->residual].data);
    return arrays;
}

static struct cudnn_arrays data_arrays(struct net *net, struct cuda_op *op)
{
    return (struct cudnn_arrays){.x = cuda_pointer(net, op->d_input.buffer),
                                 .w = cuda_net_weight(net, op->node->weight),
                                 .y = cuda_net_d_output(net, op),
                                 .workspace = cuda_net_workspace(net)};
}

static struct cudnn_arrays filter_arrays(struct net *net, struct cuda_op *op)
{
    const struct conv_state *state = op->state;
    return (struct cudnn_arrays){.x = cuda_pointer(net, cuda_input(net, op)->data),
                                 .w = cuda_pointer(net, state->d_filter),
                                 .y = cuda_net_d_output(net, op),
                                 .workspace = cuda_net_workspace(net)};
}

static enum status conv_bind(struct net *net, struct cuda_op *op)
{
    struct conv_state *state = op->state;
    struct cudnn_arrays forward = forward_arrays(net, op), filter = filter_arrays(net, op);
    const struct cuda_value *out = cuda_output(net, op);
    double seconds, fused_s;
    double pass_s = (double)(cuda_value_count(net, out) * cuda_type_size(out->type)) / pass_bytes_per_second;
    TRY(choose_engine(net, op, CUDNN_PASS_FORWARD, state->forward, &forward, &seconds));
    if (state->forward_sums != NULL) {
        TRY(cudnn_plan_choose(state->forward_sums, &forward, &fused_s));
        state->fused = fused_s <= seconds + pass_s;
    }
    if (state->with_norm != NULL) { /* a norm of its own reads the product and writes its output */
        struct cudnn_arrays norm = norm_arrays(net, op);
        TRY(cudnn_plan_choose(state->with_norm, &norm, &fused_s));
        state->evaluates_with_norm = fused_s <= seconds + 2 * pass_s;
    }
    if (state->data != NULL) {
        struct cudnn_arrays data = data_arrays(net, op);
        TRY(choose_engine(net, op, CUDNN_PASS_DATA, state->data, &data, &seconds));
    }
    return choose_engine(net, op, CUDNN_PASS_FILTER, state->filter, &filter, &seconds);
}

static enum status conv_forward(struct net *net, struct cuda_op *op, enum net_mode mode)
{
    struct conv_state *state = op->state;
    const struct cuda_value *out = cuda_output(net, op);
    struct cudnn_arrays arrays = forward_arrays(net, op);
    if (mode == NET_EVALUATE && state->evaluates_with_norm)
        return STATUS_OK;
    TRY(cudnn_plan_run(state->fused && mode != NET_EVALUATE ? state->forward_sums : state->forward, &arrays));
    if (op->node->bias == NET_NONE)
        return STATUS_OK;
    TRY_CUDA("bias of a convolution",
             cuda_bias(net->device->compute, out->type, cuda_value_count(net, out) / (size_t)out->channels,
                       out->channels, cuda_net_weight(net, op->node->bias), false, arrays.y));
    return STATUS_OK;
}

static enum status conv_backward(struct net *net, struct cuda_op *op)
{
    struct conv_state *state = op->state;
    const struct cuda_value *out = cuda_output(net, op);
    struct cudnn_arrays filter = filter_arrays(net, op);
    TRY(cudnn_plan_run(state->filter, &filter));
    TRY(cuda_net_gather(net, op->node->weight, state->filter_type, filter.w));
    if (op->node->bias != NET_NONE)
        TRY_CUDA("gradient of a bias",
                 cuda_bias_backward(net->device->compute, out->type, cuda_value_count(net, out) / (size_t)out->channels,
                                    out->channels, filter.y, cuda_unscale(net),
                                    cuda_net_gradient(net, op->node->bias)));
    if (state->data == NULL)
        return STATUS_OK;
    struct cudnn_arrays data = data_arrays(net, op);
    return cudnn_plan_run(state->data, &data);
}

static void conv_destroy(struct net *net, struct cuda_op *op)
{
    struct conv_state *state = op->state;
    (void)net;
    cudnn_plan_destroy(state->forward);
    cudnn_plan_destroy(state->forward_sums);
    cudnn_plan_destroy(state->with_norm);
    cudnn_plan_destroy(state->data);
    cudnn_plan_destroy(state->filter);
}

/* Of the convolution that made the value; NULL where none did. */
static const struct conv_state *state_behind(const struct net *net, int value)
{
    return value > 0 && net->spec.nodes[value - 1].op == NET_CONV ? net->ops[value - 1].state : NULL;
}

const float *cuda_conv_sums(const struct net *net, int value)
{
    const struct conv_state *state = state_behind(net, value);
    return state != NULL && state->fused ? cuda_pointer(net, state->sums) : NULL;
}

bool cuda_conv_waits_for_norm(const struct net *net, int value)
{
    const struct conv_state *state = state_behind(net, value);
    return state != NULL && state->evaluates_with_norm;
}

enum status cuda_conv_with_norm(struct net *net, int value)
{
    struct cuda_op *op = &net->ops[value - 1];
    const struct conv_state *state = op->state;
    struct cudnn_arrays arrays = norm_arrays(net, op);
    return cudnn_plan_run(state->with_norm, &arrays);
}

const struct cuda_op_class cuda_conv_class = {
    .name = "conv",
    .reads_input = true,
    .create = conv_create,
    .plan_backward = conv_plan_backward,
    .bind = conv_bind,
    .forward = conv_forward,
    .backward = conv_backward,
    .destroy = conv_destroy,
};
