/* Max pooling and adaptive average pooling. */
#include "base/memory.h"
#include "device/cuda/cuda_net.h"

struct pool_state {
    struct cuda_pool shape;
    int place; /* buffer: max pooling, where each maximum came from */
};

static struct cuda_pool shape_of(const struct net *net, const struct cuda_op *op)
{
    const struct net_node *node = op->node;
    const struct cuda_value *in = &net->values[node->input], *out = &net->values[op->index + 1];
    return (struct cuda_pool){.batch = net->batch,
                              .channels = in->channels,
                              .height = in->height,
                              .width = in->width,
                              .out_height = out->height,
                              .out_width = out->width,
                              .kernel = node->kernel,
                              .stride = node->stride,
                              .pad = node->pad,
                              .type = in->type};
}

static enum status pool_create(struct net *net, struct cuda_op *op)
{
    struct pool_state *state = op->state = memory_zalloc(1, sizeof *state);
    cuda_net_output(net, op, op->node->channels, op->node->height, op->node->width);
    state->shape = shape_of(net, op);
    state->place = NO_BUFFER;
    return STATUS_OK;
}

static enum status max_create(struct net *net, struct cuda_op *op)
{
    TRY(pool_create(net, op));
    struct pool_state *state = op->state;
    state->place = memory_plan_add(&net->plan, cuda_value_count(net, cuda_output(net, op)), cuda_step_forward(op));
    return STATUS_OK;
}

static void pool_plan_backward(struct net *net, struct cuda_op *op)
{
    const struct pool_state *state = op->state;
    memory_plan_use(&net->plan, state->place, cuda_step_backward(net, op) + 1);
    op->d_input = cuda_net_contribute(net, op, cuda_input(net, op), NO_BUFFER);
}

static enum status max_forward(struct net *net, struct cuda_op *op, enum net_mode mode)
{
    const struct pool_state *state = op->state;
    (void)mode;
    TRY_CUDA("max pooling",
             cuda_max_pool(net->device->compute, &state->shape, cuda_pointer(net, cuda_input(net, op)->data),
                           cuda_pointer(net, cuda_output(net, op)->data), cuda_pointer(net, state->place)));
    return STATUS_OK;
}

static enum status max_backward(struct net *net, struct cuda_op *op)
{
    const struct pool_state *state = op->state;
    if (op->d_input.buffer == NO_BUFFER)
        return STATUS_OK;
    TRY_CUDA("max pooling's gradient",
             cuda_max_pool_backward(net->device->compute, &state->shape, cuda_net_d_output(net, op),
                                    cuda_pointer(net, state->place), cuda_pointer(net, op->d_input.buffer)));
    return STATUS_OK;
}

static enum status average_forward(struct net *net, struct cuda_op *op, enum net_mode mode)
{
    const struct pool_state *state = op->state;
    (void)mode;
    TRY_CUDA("average pooling",
             cuda_average_pool(net->device->compute, &state->shape, cuda_pointer(net, cuda_input(net, op)->data),
                               cuda_pointer(net, cuda_output(net, op)->data)));
    return STATUS_OK;
}

static enum status average_backward(struct net *net, struct cuda_op *op)
{
    const struct pool_state *state = op->state;
    if (op->d_input.buffer == NO_BUFFER)
        return STATUS_OK;
    TRY_CUDA("average pooling's gradient",
             cuda_average_pool_backward(net->device->compute, &state->shape, cuda_net_d_output(net, op),
                                        cuda_pointer(net, op->d_input.buffer)));
    return STATUS_OK;
}

const struct cuda_op_class cuda_max_pool_class = {
    .name = "max_pool",
    .create = max_create,
    .plan_backward = pool_plan_backward,
    .forward = max_forward,
    .backward = max_backward,
};

const struct cuda_op_class cuda_average_pool_class = {
    .name = "average_pool",
    .create = pool_create,
    .plan_backward = pool_plan_backward,
    .forward = average_forward,
    .backward = average_backward,
};
