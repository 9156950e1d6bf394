/* Convolution on oneDNN: y = w ∗ x (+ bias), zero padding, square kernels. Activations keep the layout of the
 * value that they belong to; weights are in whatever layout the chosen implementation prefers.
 *
 * For some shapes the library has nothing but its reference loops, hundreds of times slower than the rest: fewer input
 * channels than lanes, images smaller than the kernel. Then, in this order,
 *   - lanes of padding are input channels like the others, whose weights are zero;
 *   - our own loops sum the weight gradient (cpu_narrow.h);
 *   - the pass works on plain copies of its values, for which the library has matrix products. */
#include "device/cpu/cpu_narrow.h"
#include "device/cpu/cpu_product.h"

/* What the three primitives of one convolution have in common while they are made. */
struct conv_setup {
    struct onednn_window window;
    struct onednn_layout source, destination; /* as the primitives see them */
    struct onednn_layout weights_any, weights_plain, bias;
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
    dnnl_dims_t bias = {(dnnl_dim_t)out->channels};
    *s = (struct conv_setup){
        .window = {.algorithm =
                       winograd_pays(node, in->channels, out->height) ? dnnl_convolution_auto : dnnl_convolution_direct,
                   .strides = {node->stride, node->stride},
                   .pads = {node->pad, node->pad}},
        .has_bias = node->bias != NET_NONE,
    };
    TRY(cpu_attributes(&s->attributes));
    TRY_DNNL("describing a convolution bias", onednn_layout_tag(&s->bias, 1, bias, dnnl_a));
    return STATUS_OK;
}

static void release_layouts(struct conv_setup *s)
{
    onednn_layout_release(&s->source);
    onednn_layout_release(&s->destination);
    onednn_layout_release(&s->weights_any);
    onednn_layout_release(&s->weights_plain);
}

static void setup_release(struct conv_setup *s)
{
    dnnl_primitive_attr_destroy(s->attributes);
    release_layouts(s);
    onednn_layout_release(&s->bias);
}

static enum status describe_weights(struct conv_setup *s, const struct net_node *node,
                                    const struct cpu_product *product)
{
    dnnl_dims_t weights = {(dnnl_dim_t)product->destination.channels, (dnnl_dim_t)product->source.channels,
                           node->kernel, node->kernel};
    TRY_DNNL("describing convolution weights", onednn_layout_tag(&s->weights_any, 4, weights, dnnl_format_tag_any));
    TRY_DNNL("describing convolution weights", onednn_layout_tag(&s->weights_plain, 4, weights, dnnl_oihw));
    return STATUS_OK;
}

static enum status describe_forward(struct net *net, struct cpu_primitive *forward, const struct conv_setup *s,
                                    const struct onednn_layout *source, const struct onednn_layout *destination)
{
    struct onednn_operands operands = {.source = source,
                                       .weights = &s->weights_any,
                                       .bias = s->has_bias ? &s->bias : NULL,
                                       .destination = destination};
    cpu_primitive_release(forward);
    TRY_DNNL("describing a convolution", onednn_describe_conv_forward(&forward->description, net->device->engine,
                                                                      &s->window, &operands, s->attributes));
    return STATUS_OK;
}

static enum status describe_data(struct net *net, struct cpu_primitive *data, const struct conv_setup *s,
                                 const struct onednn_layout *source, const struct onednn_layout *destination,
                                 const struct cpu_primitive *forward)
{
    struct onednn_operands operands = {.source = source, .weights = &s->weights_any, .destination = destination};
    cpu_primitive_release(data);
    TRY_DNNL("describing a convolution's input gradient",
             onednn_describe_conv_backward_data(&data->description, net->device->engine, &s->window, &operands,
                                                s->attributes, forward->description));
    return STATUS_OK;
}

static enum status describe_weight_gradient(struct net *net, struct cpu_primitive *weights, const struct conv_setup *s,
                                            const struct onednn_layout *source, const struct onednn_layout *destination,
                                            const struct cpu_primitive *forward)
{
    struct onednn_operands operands = {.source = source,
                                       .weights = &s->weights_any,
                                       .bias = s->has_bias ? &s->bias : NULL,
                                       .destination = destination};
    cpu_primitive_release(weights);
    TRY_DNNL("describing a convolution's weight gradient",
             onednn_describe_conv_backward_weights(&weights->description, net->device->engine, &s->window, &operands,
                                                   s->attributes, forward->description));
    return STATUS_OK;
}

/* Read the layout that the library chose for an argument; false where our own loops could not walk it. */
static enum status adopt_layout(const struct cpu_primitive *p, int arg, struct onednn_layout *layout,
                                struct cpu_shape *shape, bool *known)
{
    onednn_layout_release(layout);
    TRY(cpu_primitive_layout(p, arg, layout));
    *known = cpu_layout_read(layout, shape);
    return STATUS_OK;
}

/* The forward primitive decides the layout of its output, and of the images when it is the first to read them (`open`:
 * source.block is 0). Where that would end a blocked layout, or be one that our loops do not know, it is asked
 * again. */
static enum status choose_layouts(struct net *net, struct cpu_product *product, struct conv_setup *s)
{
    struct cpu_shape *in = &product->source, *out = &product->destination;
    struct cpu_primitive *forward = &product->forward;
    bool open = in->block == 0, known = true;
    TRY(open ? cpu_layout_any(in, &s->source) : cpu_layout_blocked(in, &s->source));
    TRY(cpu_layout_any(out, &s->destination));
    TRY(describe_forward(net, forward, s, &s->source, &s->destination));
    if (open)
        TRY(adopt_layout(forward, DNNL_ARG_SRC, &s->source, in, &known));
    if (!known) {
        onednn_layout_release(&s->source);
        in->block = 1;
        TRY(cpu_layout_plain(in, &s->source));
        TRY(describe_forward(net, forward, s, &s->source, &s->destination));
    }
    TRY(adopt_layout(forward, DNNL_ARG_DST, &s->destination, out, &known));
    if (!known || (!open && in->block > 1 && in->block != out->block)) {
        out->block = known ? in->block : 1;
        onednn_layout_release(&s->destination);
        TRY(cpu_layout_blocked(out, &s->destination));
        TRY(describe_forward(net, forward, s, &s->source, &s->destination));
    }
    return STATUS_OK;
}

/* Describe all passes; with `block` > 0 on a source of whole blocks of so many channels. */
static enum status describe(struct net *net, struct cpu_op *op, struct conv_setup *s, size_t block)
{
    struct cpu_product *product = op->state;
    release_layouts(s);
    product->source = cpu_input(net, op)->shape;
    product->destination = cpu_output(net, op)->shape;
    if (block > 0) {
        product->source.block = block;
        product->source.channels = cpu_shape_blocks(&product->source) * block;
    }
    TRY(describe_weights(s, op->node, product));
    TRY(choose_layouts(net, product, s));
    if (cpu_wants_gradient(cpu_input(net, op)))
        TRY(describe_data(net, &product->backward_data, s, &s->source, &s->destination, &product->forward));
    return describe_weight_gradient(net, &product->backward_weights, s, &s->source, &s->destination, &product->forward);
}

static bool own_loops_serve(const struct cpu_product *product, const struct net_node *node)
{
    return cpu_narrow_fits(&product->source, &product->destination, node->kernel);
}

/* Passes of which the library has only reference loops, and we no others. */
static int count_references(const struct cpu_product *product, const struct net_node *node)
{
    return cpu_primitive_is_reference(&product->forward) + cpu_primitive_is_reference(&product->backward_data) +
           (cpu_primitive_is_reference(&product->backward_weights) && !own_loops_serve(product, node));
}

/* Describe the passes with that padding of the source's channels that leaves the fewest to reference loops: none, if
 * that is as good as any. */
static enum status describe_best(struct net *net, struct cpu_op *op, struct conv_setup *s)
{
    static const size_t blocks[] = {16, 8};
    const struct cpu_shape *in = &cpu_input(net, op)->shape;
    size_t best = 0, last = 0;
    TRY(describe(net, op, s, 0));
    int fewest = count_references(op->state, op->node);
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0] && fewest > 0; i++) {
        if (in->channels % blocks[i] == 0 || (in->block != 0 && in->block != blocks[i]))
            continue;
        TRY(describe(net, op, s, last = blocks[i]));
        int count = count_references(op->state, op->node);
        if (count < fewest) {
            fewest = count;
            best = last;
        }
    }
    return last == best ? STATUS_OK : describe(net, op, s, best);
}

/* A pass on plain copies of its values, if the library has more than its reference loops for that. */
struct staged_pass {
    struct cpu_primitive *primitive;
    struct cpu_staging *staging;
    enum status (*describe)(struct net *net, struct cpu_primitive *p, const struct conv_setup *s,
                            const struct onednn_layout *source, const struct onednn_layout *destination,
                            const struct cpu_primitive *forward);
    int step;
};

static enum status stage_pass(struct net *net, const struct cpu_product *product, const struct conv_setup *s,
                              const struct staged_pass *pass)
{
    struct onednn_layout source = {0}, destination = {0};
    struct cpu_primitive forward = {0}, plain = {0};
    enum status status;
    if (!cpu_primitive_is_reference(pass->primitive))
        return STATUS_OK;
    TRY_GOTO(cpu_layout_plain(&product->source, &source), release);
    TRY_GOTO(cpu_layout_plain(&product->destination, &destination), release);
    TRY_GOTO(describe_forward(net, &forward, s, &source, &destination), release);
    struct cpu_primitive *found = pass->describe == NULL ? &forward : &plain;
    if (pass->describe != NULL)
        TRY_GOTO(pass->describe(net, &plain, s, &source, &destination, &forward), release);
    if (!cpu_primitive_is_reference(found)) {
        cpu_primitive_release(pass->primitive);
        *pass->primitive = *found;
        *found = (struct cpu_primitive){0};
        *pass->staging = (struct cpu_staging){
            .used = true,
            .source = memory_plan_add(&net->plan, cpu_shape_count(&product->source) * sizeof(float), pass->step),
            .destination =
                memory_plan_add(&net->plan, cpu_shape_count(&product->destination) * sizeof(float), pass->step)};
    }
release:
    cpu_primitive_release(&forward);
    cpu_primitive_release(&plain);
    onednn_layout_release(&source);
    onednn_layout_release(&destination);
    return status;
}

static enum status stage_passes(struct net *net, struct cpu_op *op, const struct conv_setup *s)
{
    struct cpu_product *product = op->state;
    const struct staged_pass forward = {&product->forward, &product->staged_forward, NULL, cpu_step_forward(op)};
    const struct staged_pass data = {&product->backward_data, &product->staged_data, describe_data,
                                     cpu_step_backward_data(net, op)};
    const struct staged_pass weights = {&product->backward_weights, &product->staged_weights, describe_weight_gradient,
                                        cpu_step_backward(net, op)};
    TRY(stage_pass(net, product, s, &data));
    if (own_loops_serve(product, op->node) && cpu_primitive_is_reference(&product->backward_weights))
        cpu_primitive_release(&product->backward_weights);
    else
        TRY(stage_pass(net, product, s, &weights));
    return stage_pass(net, product, s, &forward);
}

/* The values lie as the primitives want them. */
static enum status settle_layouts(struct net *net, struct cpu_op *op)
{
    const struct cpu_product *product = op->state;
    struct cpu_value *in = cpu_input(net, op), *out = cpu_output(net, op);
    if (in->shape.block == 0) {
        in->shape.block = product->source.block;
        TRY(cpu_layout_blocked(&in->shape, &in->layout));
    }
    out->shape.block = product->destination.block;
    TRY(cpu_layout_blocked(&out->shape, &out->layout));
    out->data = memory_plan_add(&net->plan, cpu_shape_count(&out->shape) * sizeof(float), cpu_step_forward(op));
    return STATUS_OK;
}

static enum status make_primitives(struct net *net, struct cpu_op *op, const struct conv_setup *s)
{
    struct cpu_product *product = op->state;
    bool wide = product->source.channels != cpu_input(net, op)->shape.channels;
    size_t kernel = (size_t)op->node->kernel;
    TRY(cpu_primitive_make(net, &product->forward, "convolution forward", cpu_step_forward(op)));
    if (product->backward_weights.description != NULL)
        TRY(cpu_primitive_make(net, &product->backward_weights, "convolution backward, weights",
                               cpu_step_backward(net, op)));
    if (product->backward_data.description != NULL)
        TRY(cpu_primitive_make(net, &product->backward_data, "convolution backward, data",
                               cpu_step_backward_data(net, op)));
    return cpu_product_create_weight(net, op, &s->weights_plain, wide ? product->source.channels * kernel * kernel : 0);
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
    TRY_GOTO(describe_best(net, op, &setup), release);
    TRY_GOTO(stage_passes(net, op, &setup), release);
    TRY_GOTO(settle_layouts(net, op), release);
    TRY_GOTO(make_primitives(net, op, &setup), release);
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
