/* Fully connected layer: cuBLAS for the three products, our kernels for bias, ReLU and the gradient's layout.
 *
 * Row-major x (batch, F), W (K, F), y (batch, K); cuBLAS sees their transposes. The last layer's output is fp32,
 * whatever the net's type. */
#include "base/memory.h"
#include "device/cuda/cuda_libraries.h"
#include "device/cuda/cuda_net.h"

struct linear_state {
    int features;        /* F, with padded channels */
    int d_weight;        /* buffer (K, F), fp32 */
    int narrow_d_output; /* buffer (batch, K): the gradient in the net's type, where the output is wider; or NO_BUFFER
                          * */
};

static enum status linear_create(struct net *net, struct cuda_op *op)
{
    const struct cuda_value *in = cuda_input(net, op);
    struct linear_state *state = op->state = memory_zalloc(1, sizeof *state);
    cuda_net_output(net, op, op->node->out_channels, 1, 1);
    state->features = in->stored * in->height * in->width;
    return STATUS_OK;
}

static void linear_plan_backward(struct net *net, struct cuda_op *op)
{
    struct linear_state *state = op->state;
    const struct cuda_value *out = cuda_output(net, op);
    int first = cuda_step_backward(net, op);
    size_t k = (size_t)op->node->out_channels;
    state->d_weight = memory_plan_add(&net->plan, k * (size_t)state->features * sizeof(float), first);
    state->narrow_d_output = NO_BUFFER;
    if (out->type != net->type) {
        state->narrow_d_output = memory_plan_add(&net->plan, net->batch * k * cuda_type_size(net->type), first);
        memory_plan_use(&net->plan, state->narrow_d_output, first + 1);
    }
    op->d_input = cuda_net_contribute(net, op, cuda_input(net, op), NO_BUFFER);
}

struct product {
    bool transpose_a, transpose_b;
    int rows, columns, depth; /* of the result, column-major */
    const void *a, *b;
    int a_stride, b_stride;
    enum cuda_type type, result_type;
    void *result;
};

static cudaDataType_t type_of(enum cuda_type type)
{
    return type == CUDA_FP32 ? CUDA_R_32F : type == CUDA_FP16 ? CUDA_R_16F : CUDA_R_16BF;
}

static enum status multiply(struct net *net, const char *operation, const struct product *p)
{
    const float one = 1, zero = 0;
    cublasComputeType_t compute = net->type == CUDA_FP32 && net->tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                  : net->type == CUDA_FP32            ? CUBLAS_COMPUTE_32F_PEDANTIC
                                                                      : CUBLAS_COMPUTE_32F;
    TRY_CUBLAS(operation, cuda_libraries()->cublas_gemm(
                              net->device->cublas, p->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N,
                              p->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N, p->rows, p->columns, p->depth, &one, p->a,
                              type_of(p->type), p->a_stride, p->b, type_of(p->type), p->b_stride, &zero, p->result,
                              type_of(p->result_type), p->rows, compute, CUBLAS_GEMM_DEFAULT));
    return STATUS_OK;
}

static enum status linear_forward(struct net *net, struct cuda_op *op, enum net_mode mode)
{
    const struct linear_state *state = op->state;
    const struct net_node *node = op->node;
    const struct cuda_value *out = cuda_output(net, op);
    void *y = cuda_pointer(net, out->data);
    const struct product product = {.transpose_a = true,
                                    .rows = node->out_channels,
                                    .columns = (int)net->batch,
                                    .depth = state->features,
                                    .a = cuda_net_weight(net, node->weight),
                                    .a_stride = state->features,
                                    .b = cuda_pointer(net, cuda_input(net, op)->data),
                                    .b_stride = state->features,
                                    .type = net->type,
                                    .result_type = out->type,
                                    .result = y};
    (void)mode;
    TRY(multiply(net, "linear layer", &product));
    if (node->bias == NET_NONE && !node->relu)
        return STATUS_OK;
    TRY_CUDA("bias of a linear layer",
             cuda_bias(net->device->compute, out->type, net->batch, node->out_channels,
                       node->bias != NET_NONE ? cuda_net_weight(net, node->bias) : NULL, node->relu, y));
    return STATUS_OK;
}

/* The gradient behind the ReLU, in the type of the products. */
static enum status prepare_gradient(struct net *net, struct cuda_op *op, void **d_output)
{
    const struct linear_state *state = op->state;
    const struct net_node *node = op->node;
    const struct cuda_value *out = cuda_output(net, op);
    size_t count = net->batch * (size_t)node->out_channels;
    cudaStream_t stream = net->device->compute;
    *d_output = cuda_net_d_output(net, op);
    if (node->relu)
        TRY_CUDA("ReLU of a linear layer",
                 cuda_relu_backward(stream, out->type, count, cuda_pointer(net, out->data), *d_output, *d_output));
    if (node->bias != NET_NONE)
        TRY_CUDA("gradient of a bias", cuda_bias_backward(stream, out->type, net->batch, node->out_channels, *d_output,
                                                          cuda_unscale(net), cuda_net_gradient(net, node->bias)));
    if (state->narrow_d_output == NO_BUFFER)
        return STATUS_OK;
    void *narrow = cuda_pointer(net, state->narrow_d_output);
    TRY_CUDA("gradient of a linear layer", cuda_narrow(stream, net->type, count, *d_output, narrow));
    *d_output = narrow;
    return STATUS_OK;
}

static enum status linear_backward(struct net *net, struct cuda_op *op)
{
    const struct linear_state *state = op->state;
    const struct net_node *node = op->node;
    void *d_output, *d_weight = cuda_pointer(net, state->d_weight);
    TRY(prepare_gradient(net, op, &d_output));
    const struct product of_weight = {.transpose_b = true,
                                      .rows = state->features,
                                      .columns = node->out_channels,
                                      .depth = (int)net->batch,
                                      .a = cuda_pointer(net, cuda_input(net, op)->data),
                                      .a_stride = state->features,
                                      .b = d_output,
                                      .b_stride = node->out_channels,
                                      .type = net->type,
                                      .result_type = CUDA_FP32,
                                      .result = d_weight};
    TRY(multiply(net, "linear layer's gradient of the weights", &of_weight));
    TRY(cuda_net_gather(net, node->weight, CUDA_FP32, d_weight));
    if (op->d_input.buffer == NO_BUFFER)
        return STATUS_OK;
    const struct product of_input = {.rows = state->features,
                                     .columns = (int)net->batch,
                                     .depth = node->out_channels,
                                     .a = cuda_net_weight(net, node->weight),
                                     .a_stride = state->features,
                                     .b = d_output,
                                     .b_stride = node->out_channels,
                                     .type = net->type,
                                     .result_type = net->type,
                                     .result = cuda_pointer(net, op->d_input.buffer)};
    return multiply(net, "linear layer's gradient of the input", &of_input);
}

const struct cuda_op_class cuda_linear_class = {
    .name = "linear",
    .reads_input = true,
    .create = linear_create,
    .plan_backward = linear_plan_backward,
    .forward = linear_forward,
    .backward = linear_backward,
};
