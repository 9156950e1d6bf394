/* ReLU, dropout and the quadratic model's one operation. */
#include "device/cuda/cuda_net.h"

static enum status like_input_create(struct net *net, struct cuda_op *op)
{
    const struct cuda_value *in = cuda_input(net, op);
    cuda_net_output(net, op, in->channels, in->height, in->width);
    return STATUS_OK;
}

/* The output's gradient is read element by element: the input's takes its place. */
static void in_place_plan_backward(struct net *net, struct cuda_op *op)
{
    op->d_input = cuda_net_contribute(net, op, cuda_input(net, op), cuda_output(net, op)->gradient[0]);
}

static enum status relu_forward(struct net *net, struct cuda_op *op, enum net_mode mode)
{
    const struct cuda_value *out = cuda_output(net, op);
    (void)mode;
    TRY_CUDA("ReLU", cuda_relu(net->device->compute, out->type, cuda_value_count(net, out),
                               cuda_pointer(net, cuda_input(net, op)->data), cuda_pointer(net, out->data)));
    return STATUS_OK;
}

static enum status relu_backward(struct net *net, struct cuda_op *op)
{
    const struct cuda_value *out = cuda_output(net, op);
    if (op->d_input.buffer == NO_BUFFER)
        return STATUS_OK;
    TRY_CUDA("ReLU's gradient", cuda_relu_backward(net->device->compute, out->type, cuda_value_count(net, out),
                                                   cuda_pointer(net, out->data), cuda_net_d_output(net, op),
                                                   cuda_pointer(net, op->d_input.buffer)));
    return STATUS_OK;
}

const struct cuda_op_class cuda_relu_class = {
    .name = "relu",
    .reads_output = true,
    .create = like_input_create,
    .plan_backward = in_place_plan_backward,
    .forward = relu_forward,
    .backward = relu_backward,
};

static enum status drop(struct net *net, struct cuda_op *op, const void *x, void *y)
{
    const struct cuda_value *out = cuda_output(net, op);
    TRY_CUDA("dropout", cuda_dropout(net->device->compute, out->type, cuda_value_count(net, out), op->node->rate,
                                     &net->step->dropout_seed, (uint32_t)op->index, x, y));
    return STATUS_OK;
}

static enum status dropout_forward(struct net *net, struct cuda_op *op, enum net_mode mode)
{
    const struct cuda_value *out = cuda_output(net, op);
    const void *x = cuda_pointer(net, cuda_input(net, op)->data);
    void *y = cuda_pointer(net, out->data);
    if (mode == NET_TRAIN)
        return drop(net, op, x, y);
    TRY_CUDA("dropout, left out", cudaMemcpyAsync(y, x, cuda_value_count(net, out) * cuda_type_size(out->type),
                                                  cudaMemcpyDeviceToDevice, net->device->compute));
    return STATUS_OK;
}

static enum status dropout_backward(struct net *net, struct cuda_op *op)
{
    if (op->d_input.buffer == NO_BUFFER)
        return STATUS_OK;
    return drop(net, op, cuda_net_d_output(net, op), cuda_pointer(net, op->d_input.buffer));
}

const struct cuda_op_class cuda_dropout_class = {
    .name = "dropout",
    .create = like_input_create,
    .plan_backward = in_place_plan_backward,
    .forward = dropout_forward,
    .backward = dropout_backward,
};

static int dimension_of(const struct cuda_value *value)
{
    return value->channels * value->height * value->width;
}

static enum status quadratic_create(struct net *net, struct cuda_op *op)
{
    const struct cuda_value *in = cuda_input(net, op);
    cuda_net_output(net, op, dimension_of(in), 1, 1);
    return STATUS_OK;
}

static void quadratic_plan_backward(struct net *net, struct cuda_op *op)
{
    op->d_input = cuda_net_contribute(net, op, cuda_input(net, op), NO_BUFFER);
}

static enum status quadratic_forward(struct net *net, struct cuda_op *op, enum net_mode mode)
{
    const struct cuda_value *in = cuda_input(net, op);
    (void)mode;
    TRY_CUDA("quadratic model",
             cuda_quadratic(net->device->compute, net->batch, dimension_of(in), in->height * in->width,
                            op->node->condition, cuda_net_weight(net, op->node->weight), cuda_pointer(net, in->data),
                            cuda_pointer(net, cuda_output(net, op)->data)));
    return STATUS_OK;
}

static enum status quadratic_backward(struct net *net, struct cuda_op *op)
{
    TRY_CUDA("quadratic model's gradient",
             cuda_quadratic_backward(net->device->compute, net->batch, dimension_of(cuda_input(net, op)),
                                     op->node->condition, cuda_net_d_output(net, op),
                                     cuda_net_gradient(net, op->node->weight)));
    const struct cuda_value *in = cuda_input(net, op);
    if (op->d_input.buffer == NO_BUFFER)
        return STATUS_OK;
    TRY_CUDA("quadratic model's gradient of the input",
             cuda_quadratic_backward_input(net->device->compute, net->batch, dimension_of(in), in->height * in->width,
                                           op->node->condition, cuda_net_d_output(net, op),
                                           cuda_pointer(net, op->d_input.buffer)));
    return STATUS_OK;
}

const struct cuda_op_class cuda_quadratic_class = {
    .name = "quadratic",
    .create = quadratic_create,
    .plan_backward = quadratic_plan_backward,
    .forward = quadratic_forward,
    .backward = quadratic_backward,
};
