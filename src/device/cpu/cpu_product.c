/* What convolution and linear layer have in common: binding, casting and running the three primitives. */
#include "device/cpu/cpu_product.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct cpu_product *cpu_product_create(const struct net_node *node)
{
    struct cpu_product *product = memory_zalloc(1, sizeof *product);
    if (node->bias != NET_NONE)
        product->bias = memory_alloc_aligned((size_t)node->out_channels * sizeof *product->bias);
    return product;
}

enum status cpu_product_create_weight(struct net *net, struct cpu_op *op, const struct onednn_layout *plain)
{
    struct cpu_product *product = op->state;
    const struct cpu_primitive *data = &product->backward_data, *weights = &product->backward_weights;
    return cpu_weight_create(net, &product->weight, &net->spec.parameters[op->node->weight], plain, &product->forward,
                             data->description != NULL ? data : NULL, weights->description != NULL ? weights : NULL,
                             cpu_step_backward(net, op));
}

void cpu_product_plan_backward(struct net *net, struct cpu_op *op)
{
    op->d_input = cpu_net_contribute(net, op, cpu_input(net, op), NO_BUFFER);
}

static enum status bind_backward_weights(struct net *net, struct cpu_op *op, const float *d_out)
{
    struct cpu_product *product = op->state;
    struct cpu_primitive *p = &product->backward_weights;
    if (p->description == NULL)
        return STATUS_OK;
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_SRC, cpu_pointer(net, cpu_input(net, op)->kept)));
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_DIFF_WEIGHTS, cpu_weight_gradient(net, &product->weight)));
    if (product->bias != NULL)
        TRY(cpu_primitive_bind(net, p, DNNL_ARG_DIFF_BIAS,
                               net->gradient + net->spec.parameters[op->node->bias].offset));
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_DIFF_DST, d_out));
    return cpu_primitive_bind_scratch(net, p);
}

enum status cpu_product_bind(struct net *net, struct cpu_op *op)
{
    struct cpu_product *product = op->state;
    const struct cpu_value *in = cpu_input(net, op), *out = cpu_output(net, op);
    const float *d_out = cpu_pointer(net, out->gradient[0]);
    struct cpu_primitive *p = &product->forward;
    TRY(cpu_weight_bind(net, &product->weight));
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_SRC, cpu_pointer(net, in->data)));
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_WEIGHTS, product->weight.forward));
    if (product->bias != NULL)
        TRY(cpu_primitive_bind(net, p, DNNL_ARG_BIAS, product->bias));
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_DST, cpu_pointer(net, out->data)));
    TRY(cpu_primitive_bind_scratch(net, p));
    TRY(bind_backward_weights(net, op, d_out));
    p = &product->backward_data;
    if (p->description == NULL)
        return STATUS_OK;
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_DIFF_SRC, cpu_pointer(net, op->d_input.buffer)));
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_WEIGHTS, product->weight.backward));
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_DIFF_DST, d_out));
    return cpu_primitive_bind_scratch(net, p);
}

enum status cpu_product_cast(struct net *net, struct cpu_op *op, const float *x)
{
    struct cpu_product *product = op->state;
    if (product->bias != NULL)
        memcpy(product->bias, x + net->spec.parameters[op->node->bias].offset,
               (size_t)op->node->out_channels * sizeof *product->bias);
    return cpu_weight_cast(net, &product->weight, x);
}

enum status cpu_product_forward(struct net *net, struct cpu_op *op, enum net_mode mode)
{
    (void)mode;
    const struct cpu_product *product = op->state;
    return cpu_primitive_run(net, &product->forward);
}

enum status cpu_product_backward(struct net *net, struct cpu_op *op)
{
    struct cpu_product *product = op->state;
    if (product->backward_weights.description != NULL)
        TRY(cpu_primitive_run(net, &product->backward_weights));
    TRY(cpu_weight_deliver(net, &product->weight));
    if (product->backward_data.description == NULL)
        return STATUS_OK;
    return cpu_primitive_run(net, &product->backward_data);
}

void cpu_product_destroy(struct cpu_op *op)
{
    struct cpu_product *product = op->state;
    cpu_primitive_release(&product->forward);
    cpu_primitive_release(&product->backward_data);
    cpu_primitive_release(&product->backward_weights);
    cpu_weight_release(&product->weight);
    memory_free_aligned(product->bias);
    free(product);
}
