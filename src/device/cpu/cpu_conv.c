/* Convolution on oneDNN: y = w ∗ x (+ bias), zero padding, square kernels. Activations keep the layout of the
 * value that they belong to; weights are in whatever layout the chosen implementation prefers. */
#include "device/cpu/cpu_narrow.h"
#include "device/cpu/cpu_product.h"

/* What the three primitives of one convolution have in common while they are made. */
struct conv_setup {
    struct onednn_window window;
    struct onednn_layout source_any, destination_any, weights_any, weights_plain, bias;
    bool has_bias;
    dnnl_primitive_attr_t attributes; /* owned */
};

/* Winograd pays where the transforms are small beside the products. The rule depends on shapes alone, so that a
 * run's result does not depend on the machine's mood when the net was made. */
static bool winograd_pays(const struct net_node *node, size_t in_channels, size_t out_height)
{
    enum { LEAST_CHANNELS = 32, LEAST_HEIGHT = 4 };
    return node->kernel == 3 && node->stride == 1 && in_channels >= LEAST_CHANNELS &&
           node->out_channels >= LEAST_CHANNELS && out_height >= LEAST_HEIGHT;
}

static enum status setup_init(struct conv_setup *s, const struct net_node *node, const struct cpu_shape *in,
                              const struct cpu_shape *out)
{
    dnnl_dims_t weights = {(dnnl_dim_t)out->channels, (dnnl_dim_t)in->channels, node->kernel, node->kernel};
    dnnl_dims_t bias = {(dnnl_dim_t)out->channels};
    *s = (struct conv_setup){
        .window = {.algorithm =
                       winograd_pays(node, in->channels, out->height) ? dnnl_convolution_auto : dnnl_convolution_direct,
                   .strides = {node->stride, node->stride},
                   .pads = {node->pad, node->pad}},
        .has_bias = node->bias != NET_NONE,
    };
    TRY(cpu_attributes(&s->attributes));
    TRY(cpu_layout_any(in, &s->source_any));
    TRY(cpu_layout_any(out, &s->destination_any));
    TRY_DNNL("describing convolution weights", onednn_layout_tag(&s->weights_any, 4, weights, dnnl_format_tag_any));
    TRY_DNNL("describing convolution weights", onednn_layout_tag(&s->weights_plain, 4, weights, dnnl_oihw));
    TRY_DNNL("describing a convolution bias", onednn_layout_tag(&s->bias, 1, bias, dnnl_a));
    return STATUS_OK;
}

static void setup_release(struct conv_setup *s)
{
    dnnl_primitive_attr_destroy(s->attributes);
    onednn_layout_release(&s->source_any);
    onednn_layout_release(&s->destination_any);
    onednn_layout_release(&s->weights_any);
    onednn_layout_release(&s->weights_plain);
    onednn_layout_release(&s->bias);
}

/* Read the layout that the library chose for a value; false where our own loops could not walk it. */
static enum status adopt_layout(const struct cpu_primitive *p, int arg, struct cpu_value *value, bool *known)
{
    onednn_layout_release(&value->layout);
    TRY(cpu_primitive_layout(p, arg, &value->layout));
    *known = cpu_layout_read(&value->layout, &value->shape);
    return STATUS_OK;
}

static enum status describe_forward(struct net *net, struct cpu_op *op, struct conv_setup *s,
                                    const struct onednn_layout *source, const struct onednn_layout *destination)
{
    struct cpu_product *product = op->state;
    struct onednn_operands operands = {.source = source,
                                       .weights = &s->weights_any,
                                       .bias = s->has_bias ? &s->bias : NULL,
                                       .destination = destination};
    if (product->forward.description != NULL)
        dnnl_primitive_desc_destroy(product->forward.description);
    product->forward.description = NULL;
    TRY_DNNL("describing a convolution",
             onednn_describe_conv_forward(&product->forward.description, net->device->engine, &s->window, &operands,
                                          s->attributes));
    return STATUS_OK;
}

/* The forward primitive decides the layout of its output, and of the images when it is the first to read them. Where
 * that would end a blocked layout, or be one that our loops do not know, it is asked again. */
static enum status create_forward(struct net *net, struct cpu_op *op, struct conv_setup *s)
{
    struct cpu_product *product = op->state;
    struct cpu_value *in = cpu_input(net, op), *out = cpu_output(net, op);
    bool open = in->shape.block == 0, known = true;
    TRY(describe_forward(net, op, s, open ? &s->source_any : &in->layout, &s->destination_any));
    if (open)
        TRY(adopt_layout(&product->forward, DNNL_ARG_SRC, in, &known));
    if (!known) {
        onednn_layout_release(&in->layout);
        in->shape.block = 1;
        TRY(cpu_layout_plain(&in->shape, &in->layout));
        TRY(describe_forward(net, op, s, &in->layout, &s->destination_any));
    }
    TRY(adopt_layout(&product->forward, DNNL_ARG_DST, out, &known));
    if (!known || (!open && in->shape.block > 1 && in->shape.block != out->shape.block)) {
        out->shape.block = known ? in->shape.block : 1;
        onednn_layout_release(&out->layout);
        TRY(cpu_layout_blocked(&out->shape, &out->layout));
        TRY(describe_forward(net, op, s, &in->layout, &out->layout));
    }
    out->data = memory_plan_add(&net->plan, onednn_view_size(onednn_view(&out->layout)), cpu_step_forward(op));
    return cpu_primitive_make(net, &product->forward, "convolution forward", cpu_step_forward(op));
}

/* The library's primitive; where that is its reference loops and ours serve, none: conv_backward runs ours. */
static enum status create_backward_weights(struct net *net, struct cpu_op *op, struct conv_setup *s)
{
    struct cpu_product *product = op->state;
    struct cpu_value *in = cpu_input(net, op), *out = cpu_output(net, op);
    struct onednn_operands operands = {.source = &in->layout,
                                       .weights = &s->weights_any,
                                       .bias = s->has_bias ? &s->bias : NULL,
                                       .destination = &out->layout};
    TRY_DNNL("describing a convolution's weight gradient",
             onednn_describe_conv_backward_weights(&product->backward_weights.description, net->device->engine,
                                                   &s->window, &operands, s->attributes, product->forward.description));
    if (cpu_primitive_is_reference(&product->backward_weights) &&
        cpu_narrow_fits(&in->shape, &out->shape, op->node->kernel)) {
        cpu_primitive_release(&product->backward_weights);
        return STATUS_OK;
    }
    return cpu_primitive_make(net, &product->backward_weights, "convolution backward, weights",
                              cpu_step_backward(net, op));
}

static enum status create_backward(struct net *net, struct cpu_op *op, struct conv_setup *s)
{
    struct cpu_product *product = op->state;
    struct cpu_value *in = cpu_input(net, op), *out = cpu_output(net, op);
    TRY(create_backward_weights(net, op, s));
    if (cpu_wants_gradient(in)) {
        struct onednn_operands operands = {
            .source = &in->layout, .weights = &s->weights_any, .destination = &out->layout};
        TRY_DNNL("describing a convolution's input gradient",
                 onednn_describe_conv_backward_data(&product->backward_data.description, net->device->engine,
                                                    &s->window, &operands, s->attributes,
                                                    product->forward.description));
        TRY(cpu_primitive_make(net, &product->backward_data, "convolution backward, data",
                               cpu_step_backward_data(net, op)));
    }
    return cpu_product_create_weight(net, op, &s->weights_plain);
}

static enum status conv_backward(struct net *net, struct cpu_op *op)
{
    const struct cpu_product *product = op->state;
    const struct net_node *node = op->node;
    if (product->backward_weights.description == NULL) {
        const struct cpu_value *in = cpu_input(net, op), *out = cpu_output(net, op);
        float *d_bias = product->bias == NULL ? NULL : net->gradient + net->spec.parameters[node->bias].offset;
        cpu_narrow_gradient(&in->shape, cpu_pointer(net, in->kept), &out->shape, cpu_pointer(net, out->gradient[0]),
                            node->kernel, node->stride, node->pad, net->gradient + product->weight.offset, d_bias,
                            net->device->threads);
    }
    return cpu_product_backward(net, op);
}

static enum status conv_create(struct net *net, struct cpu_op *op)
{
    struct conv_setup setup;
    enum status status;
    struct cpu_value *in = cpu_input(net, op), *out = cpu_output(net, op);
    const struct net_node *node = op->node;
    op->state = cpu_product_create(op->node);
    out->shape.channels = (size_t)node->out_channels;
    out->shape.height = (in->shape.height + 2 * (size_t)node->pad - (size_t)node->kernel) / (size_t)node->stride + 1;
    out->shape.width = (in->shape.width + 2 * (size_t)node->pad - (size_t)node->kernel) / (size_t)node->stride + 1;
    TRY_GOTO(setup_init(&setup, node, &in->shape, &out->shape), release);
    TRY_GOTO(create_forward(net, op, &setup), release);
    TRY_GOTO(create_backward(net, op, &setup), release);
release:
    setup_release(&setup);
    return status;
}

const struct cpu_op_class cpu_conv_class = {
    .name = "convolution",
    .reads_input = true,
    .two_phases = true,
    .create = conv_create,
    .plan_backward = cpu_product_plan_backward,
    .bind = cpu_product_bind,
    .cast = cpu_product_cast,
    .forward = cpu_product_forward,
    .backward = conv_backward,
    .destroy = cpu_product_destroy,
};
