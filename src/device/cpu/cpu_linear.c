/* Linear layer on oneDNN: y = w·x (+ bias), then an optional ReLU. An input in a blocked layout is read as it lies: the
 * working weights take the order of its elements instead. */
#include "device/cpu/cpu_product.h"

struct linear_setup {
    struct onednn_layout source_plain; /* (batch, C·H·W), used where the input is plain */
    struct onednn_layout weights_any, weights_plain, bias, destination;
    const struct onednn_layout *source;
    dnnl_primitive_attr_t attributes; /* owned */
};

static enum status setup_init(struct linear_setup *s, const struct net_node *node, const struct cpu_value *in)
{
    const struct cpu_shape *shape = &in->shape;
    dnnl_dim_t batch = (dnnl_dim_t)shape->batch, units = node->out_channels;
    dnnl_dim_t features = (dnnl_dim_t)(shape->channels * shape->height * shape->width);
    bool flat = cpu_shape_is_plain(shape);
    int rank = flat ? 2 : 4;
    dnnl_dims_t source = {batch, features}, destination = {batch, units}, bias = {units};
    dnnl_dims_t flat_weights = {units, features};
    dnnl_dims_t spatial_weights = {units, (dnnl_dim_t)shape->channels, (dnnl_dim_t)shape->height,
                                   (dnnl_dim_t)shape->width};
    const dnnl_dim_t *weights = flat ? flat_weights : spatial_weights;
    *s = (struct linear_setup){.source = flat ? &s->source_plain : &in->layout};
    TRY(cpu_attributes(&s->attributes));
    TRY_DNNL("describing a linear layer", onednn_layout_tag(&s->source_plain, 2, source, dnnl_nc));
    TRY_DNNL("describing a linear layer", onednn_layout_tag(&s->weights_any, rank, weights, dnnl_format_tag_any));
    TRY_DNNL("describing a linear layer",
             onednn_layout_tag(&s->weights_plain, rank, weights, flat ? dnnl_oi : dnnl_oihw));
    TRY_DNNL("describing a linear layer", onednn_layout_tag(&s->bias, 1, bias, dnnl_a));
    TRY_DNNL("describing a linear layer", onednn_layout_tag(&s->destination, 2, destination, dnnl_nc));
    return STATUS_OK;
}

static void setup_release(struct linear_setup *s)
{
    dnnl_primitive_attr_destroy(s->attributes);
    onednn_layout_release(&s->source_plain);
    onednn_layout_release(&s->weights_any);
    onednn_layout_release(&s->weights_plain);
    onednn_layout_release(&s->bias);
    onednn_layout_release(&s->destination);
}

static enum status create_primitives(struct net *net, struct cpu_op *op, struct linear_setup *s)
{
    struct cpu_product *product = op->state;
    const struct cpu_value *in = cpu_input(net, op);
    dnnl_engine_t engine = net->device->engine;
    int step = cpu_step_backward(net, op);
    struct onednn_operands operands = {.source = s->source,
                                       .weights = &s->weights_any,
                                       .bias = op->node->bias != NET_NONE ? &s->bias : NULL,
                                       .destination = &s->destination};
    TRY_DNNL("describing a linear layer",
             onednn_describe_linear_forward(&product->forward.description, engine, &operands, s->attributes));
    TRY(cpu_primitive_make(net, &product->forward, "linear forward", cpu_step_forward(op)));
    TRY_DNNL("describing a linear layer's weight gradient",
             onednn_describe_linear_backward_weights(&product->backward_weights.description, engine, &operands,
                                                     s->attributes, product->forward.description));
    TRY(cpu_primitive_make(net, &product->backward_weights, "linear backward, weights", step));
    if (cpu_wants_gradient(in)) {
        operands.bias = NULL;
        TRY_DNNL("describing a linear layer's input gradient",
                 onednn_describe_linear_backward_data(&product->backward_data.description, engine, &operands,
                                                      s->attributes, product->forward.description));
        TRY(cpu_primitive_make(net, &product->backward_data, "linear backward, data", step + 1));
    }
    return cpu_product_create_weight(net, op, &s->weights_plain, 0);
}

static enum status linear_create(struct net *net, struct cpu_op *op)
{
    struct linear_setup setup;
    enum status status;
    struct cpu_value *out = cpu_output(net, op);
    op->state = cpu_product_create(op->node);
    out->shape.channels = (size_t)op->node->out_channels;
    out->shape.height = out->shape.width = 1;
    TRY(cpu_output_plain(net, op));
    TRY_GOTO(setup_init(&setup, op->node, cpu_input(net, op)), release);
    TRY_GOTO(create_primitives(net, op, &setup), release);
release:
    setup_release(&setup);
    return status;
}

/* The ReLU is ours: the library's turns NaN into zero, which would hide a diverged network. */
static enum status linear_forward(struct net *net, struct cpu_op *op, enum net_mode mode)
{
    const struct cpu_value *out = cpu_output(net, op);
    TRY(cpu_product_forward(net, op, mode));
    if (op->node->relu)
        cpu_relu_forward(net, cpu_shape_count(&out->shape), cpu_pointer(net, out->data), cpu_pointer(net, out->data));
    return STATUS_OK;
}

static enum status linear_backward(struct net *net, struct cpu_op *op)
{
    const struct cpu_value *out = cpu_output(net, op);
    if (op->node->relu)
        cpu_relu_backward(net, cpu_shape_count(&out->shape), cpu_pointer(net, out->kept),
                          cpu_pointer(net, out->gradient[0]), cpu_pointer(net, out->gradient[0]));
    return cpu_product_backward(net, op);
}

const struct cpu_op_class cpu_linear_class = {
    .name = "linear",
    .reads_input = true,
    .two_phases = true,
    .create = linear_create,
    .plan_backward = cpu_product_plan_backward,
    .bind = cpu_product_bind,
    .cast = cpu_product_cast,
    .forward = linear_forward,
    .backward = linear_backward,
    .destroy = cpu_product_destroy,
};
