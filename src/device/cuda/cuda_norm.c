/* Batch norm with residual and ReLU: kernels of our own, one pass over memory each, or in an evaluation the epilogue of
 * the convolution before it. */
#include "base/memory.h"
#include "device/cuda/cuda_conv.h"

struct norm_state {
    struct cuda_matrix shape;
    int blocks;
    int partial;      /* buffer (blocks, 2, channels): sums of either pass */
    int coefficients; /* buffer (7, channels): a, b, mean, inverse; p, q, r */
};

enum { COEFFICIENTS = 7 };

static float *coefficient(const struct net *net, const struct norm_state *state, int k)
{
    return (float *)cuda_pointer(net, state->coefficients) + (size_t)k * (size_t)state->shape.channels;
}

void cuda_norm_coefficients(const struct net *net, const struct cuda_op *op, float **a, float **b)
{
    *a = coefficient(net, op->state, 0);
    *b = coefficient(net, op->state, 1);
}

static enum status norm_create(struct net *net, struct cuda_op *op)
{
    const struct cuda_value *in = cuda_input(net, op);
    struct norm_state *state = op->state = memory_zalloc(1, sizeof *state);
    int step = cuda_step_forward(op);
    cuda_net_output(net, op, in->channels, in->height, in->width);
    state->shape = (struct cuda_matrix){
        .pixels = net->batch * (size_t)in->height * (size_t)in->width, .channels = in->channels, .type = in->type};
    state->blocks = cuda_norm_blocks(&state->shape);
    size_t channels = (size_t)in->channels;
    state->partial = memory_plan_add(&net->plan, (size_t)state->blocks * 2 * channels * sizeof(float), step);
    state->coefficients = memory_plan_add(&net->plan, COEFFICIENTS * channels * sizeof(float), step);
    return STATUS_OK;
}

static bool wants_d_residual(const struct net *net, const struct cuda_op *op)
{
    return op->node->residual != NET_NONE && cuda_wants_gradient(&net->values[op->node->residual]);
}

/* The gradient of the residual is that of the output, masked: it takes its place. That of the input then needs its
 * own. */
static void norm_plan_backward(struct net *net, struct cuda_op *op)
{
    struct norm_state *state = op->state;
    const struct cuda_value *out = cuda_output(net, op);
    int last = cuda_step_backward(net, op) + 1;
    memory_plan_use(&net->plan, state->partial, last);
    memory_plan_use(&net->plan, state->coefficients, last);
    int free_buffers[] = {out->gradient[0], out->gradient_count > 1 ? out->gradient[1] : NO_BUFFER};
    int next = 0;
    if (wants_d_residual(net, op))
        op->d_residual = cuda_net_contribute(net, op, &net->values[op->node->residual], free_buffers[next++]);
    op->d_input = cuda_net_contribute(net, op, cuda_input(net, op), next < 2 ? free_buffers[next] : NO_BUFFER);
}

static struct cuda_norm_state kernel_state(const struct net *net, const struct cuda_op *op)
{
    const struct norm_state *state = op->state;
    const struct net_node *node = op->node;
    return (struct cuda_norm_state){.scale = cuda_net_weight(net, node->weight),
                                    .shift = cuda_net_weight(net, node->bias),
                                    .running_mean = net->buffers + net->spec.buffers[node->mean].offset,
                                    .running_variance = net->buffers + net->spec.buffers[node->variance].offset,
                                    .a = coefficient(net, state, 0),
                                    .b = coefficient(net, state, 1),
                                    .mean = coefficient(net, state, 2),
                                    .inverse = coefficient(net, state, 3)};
}

static enum status batch_coefficients(struct net *net, struct cuda_op *op)
{
    const struct norm_state *state = op->state;
    const struct cuda_norm_state kernel = kernel_state(net, op);
    const void *x = cuda_pointer(net, cuda_input(net, op)->data);
    const float *sums = cuda_conv_sums(net, op->node->input);
    int blocks = 1;
    if (sums == NULL) {
        float *partial = cuda_pointer(net, state->partial);
        TRY_CUDA("batch norm's sums", cuda_norm_sums(net->device->compute, &state->shape, x, partial));
        blocks = state->blocks;
        sums = partial;
    } else {
        x = NULL;
    }
    TRY_CUDA("batch norm's statistics", cuda_norm_finish(net->device->compute, &state->shape, x, sums, blocks,
                                                         op->node->epsilon, op->node->momentum, &kernel));
    return STATUS_OK;
}

static enum status norm_forward(struct net *net, struct cuda_op *op, enum net_mode mode)
{
    const struct norm_state *state = op->state;
    const struct net_node *node = op->node;
    const struct cuda_norm_state kernel = kernel_state(net, op);
    if (mode == NET_EVALUATE)
        TRY_CUDA("batch norm's statistics",
                 cuda_norm_running(net->device->compute, state->shape.channels, node->epsilon, &kernel));
    else
        TRY(batch_coefficients(net, op));
    if (mode == NET_EVALUATE && cuda_conv_waits_for_norm(net, node->input))
        return cuda_conv_with_norm(net, node->input);
    const void *residual = node->residual != NET_NONE ? cuda_pointer(net, net->values[node->residual].data) : NULL;
    TRY_CUDA("batch norm", cuda_norm_apply(net->device->compute, &state->shape, node->relu,
                                           cuda_pointer(net, cuda_input(net, op)->data), kernel.a, kernel.b, residual,
                                           cuda_pointer(net, cuda_output(net, op)->data)));
    return STATUS_OK;
}

static enum status norm_backward(struct net *net, struct cuda_op *op)
{
    const struct norm_state *state = op->state;
    const struct net_node *node = op->node;
    const struct cuda_value *out = cuda_output(net, op);
    const struct cuda_norm_state kernel = kernel_state(net, op);
    cudaStream_t stream = net->device->compute;
    float *partial = cuda_pointer(net, state->partial);
    float *p = coefficient(net, state, 4), *q = coefficient(net, state, 5), *r = coefficient(net, state, 6);
    const struct cuda_norm_backward g = {
        .x = cuda_pointer(net, cuda_input(net, op)->data),
        .y = node->relu && node->residual != NET_NONE ? cuda_pointer(net, out->data) : NULL,
        .d_y = cuda_pointer(net, out->gradient[0]),
        .d_y_other = out->gradient_count > 1 ? cuda_pointer(net, out->gradient[1]) : NULL,
        .a = kernel.a,
        .b = kernel.b,
        .mean = kernel.mean,
        .relu = node->relu,
    };
    TRY_CUDA("batch norm's gradient, sums", cuda_norm_backward_sums(stream, &state->shape, &g, partial));
    TRY_CUDA("batch norm's gradient, parameters",
             cuda_norm_backward_finish(stream, &state->shape, partial, state->blocks, kernel.a, kernel.inverse,
                                       cuda_unscale(net), cuda_net_gradient(net, node->weight),
                                       cuda_net_gradient(net, node->bias), p, q, r));
    if (op->d_input.buffer == NO_BUFFER && op->d_residual.buffer == NO_BUFFER)
        return STATUS_OK;
    TRY_CUDA("batch norm's gradient",
             cuda_norm_backward_apply(stream, &state->shape, &g, p, q, r, cuda_pointer(net, op->d_input.buffer),
                                      cuda_pointer(net, op->d_residual.buffer)));
    return STATUS_OK;
}

const struct cuda_op_class cuda_norm_class = {
    .name = "norm",
    .reads_input = true,
    .create = norm_create,
    .plan_backward = norm_plan_backward,
    .forward = norm_forward,
    .backward = norm_backward,
};
