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

enum status cpu_product_create_weight(struct net *net, struct cpu_op *op, const struct onednn_layout *plain,
                                      size_t wide_row)
{
    struct cpu_product *product = op->state;
    const struct cpu_primitive *data = &product->backward_data, *weights = &product->backward_weights;
    return cpu_weight_create(net, &product->weight, &net->spec.parameters[op->node->weight], plain, wide_row,
                             &product->forward, data->description != NULL ? data : NULL,
                             weights->description != NULL ? weights : NULL, cpu_step_backward(net, op));
}

void cpu_product_plan_backward(struct net *net, struct cpu_op *op)
{
    op->d_input = cpu_net_contribute(net, op, cpu_input(net, op), NO_BUFFER);
}

/* Where a pass reads or writes: its copy of the value, or the value as it lies. */
static float *place(const struct net *net, const struct cpu_staging *staging, int copy, int buffer)
{
    return cpu_pointer(net, staging->used ? copy : buffer);
}

static enum status bind_backward_weights(struct net *net, struct cpu_op *op)
{
    struct cpu_product *product = op->state;
    struct cpu_primitive *p = &product->backward_weights;
    if (p->description == NULL)
        return STATUS_OK;
    const struct cpu_staging *staged = &product->staged_weights;
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_SRC, place(net, staged, staged->source, cpu_input(net, op)->kept)));
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_DIFF_WEIGHTS, cpu_weight_gradient(net, &product->weight)));
    if (product->bias != NULL)
        TRY(cpu_primitive_bind(net, p, DNNL_ARG_DIFF_BIAS,
                               net->gradient + net->spec.parameters[op->node->bias].offset));
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_DIFF_DST,
                           place(net, staged, staged->destination, cpu_output(net, op)->gradient[0])));
    return cpu_primitive_bind_scratch(net, p);
}

enum status cpu_product_bind(struct net *net, struct cpu_op *op)
{
    struct cpu_product *product = op->state;
    const struct cpu_value *in = cpu_input(net, op), *out = cpu_output(net, op);
    const struct cpu_staging *staged = &product->staged_forward;
    struct cpu_primitive *p = &product->forward;
    TRY(cpu_weight_bind(net, &product->weight));
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_SRC, place(net, staged, staged->source, in->data)));
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_WEIGHTS, product->weight.forward));
    if (product->bias != NULL)
        TRY(cpu_primitive_bind(net, p, DNNL_ARG_BIAS, product->bias));
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_DST, place(net, staged, staged->destination, out->data)));
    TRY(cpu_primitive_bind_scratch(net, p));
    TRY(bind_backward_weights(net, op));
    p = &product->backward_data;
    staged = &product->staged_data;
    if (p->description == NULL)
        return STATUS_OK;
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_DIFF_SRC, place(net, staged, staged->source, op->d_input.buffer)));
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_WEIGHTS, product->weight.backward));
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_DIFF_DST, place(net, staged, staged->destination, out->gradient[0])));
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

static struct cpu_shape plain_of(const struct cpu_shape *shape)
{
    struct cpu_shape plain = *shape;
    plain.block = 1;
    return plain;
}

/* copy ← value, or the other way. */
static void stage(const struct net *net, const struct cpu_shape *shape, int value, int copy)
{
    const struct cpu_shape plain = plain_of(shape);
    cpu_shape_convert(shape, cpu_pointer(net, value), &plain, cpu_pointer(net, copy), net->device->threads);
}

static void unstage(const struct net *net, const struct cpu_shape *shape, int copy, int value)
{
    const struct cpu_shape plain = plain_of(shape);
    cpu_shape_convert(&plain, cpu_pointer(net, copy), shape, cpu_pointer(net, value), net->device->threads);
}

enum status cpu_product_forward(struct net *net, struct cpu_op *op, enum net_mode mode)
{
    (void)mode;
    const struct cpu_product *product = op->state;
    const struct cpu_staging *staged = &product->staged_forward;
    if (staged->used)
        stage(net, &product->source, cpu_input(net, op)->data, staged->source);
    TRY(cpu_primitive_run(net, &product->forward));
    if (staged->used)
        unstage(net, &product->destination, staged->destination, cpu_output(net, op)->data);
    return STATUS_OK;
}

static enum status backward_weights(struct net *net, struct cpu_op *op)
{
    struct cpu_product *product = op->state;
    const struct cpu_staging *staged = &product->staged_weights;
    if (product->backward_weights.description == NULL)
        return STATUS_OK;
    if (staged->used) {
        stage(net, &product->source, cpu_input(net, op)->kept, staged->source);
        stage(net, &product->destination, cpu_output(net, op)->gradient[0], staged->destination);
    }
    TRY(cpu_primitive_run(net, &product->backward_weights));
    return cpu_weight_deliver(net, &product->weight);
}

enum status cpu_product_backward(struct net *net, struct cpu_op *op)
{
    struct cpu_product *product = op->state;
    const struct cpu_staging *staged = &product->staged_data;
    TRY(backward_weights(net, op));
    if (product->backward_data.description == NULL)
        return STATUS_OK;
    if (staged->used)
        stage(net, &product->destination, cpu_output(net, op)->gradient[0], staged->destination);
    TRY(cpu_primitive_run(net, &product->backward_data));
    if (staged->used)
        unstage(net, &product->source, staged->source, op->d_input.buffer);
    return STATUS_OK;
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
