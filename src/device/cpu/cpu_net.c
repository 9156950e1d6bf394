/* A network compiled for the CPU: from the list of nodes to operations with layouts, lifetimes and memory, and the two
 * loops that run them. */
#include "device/cpu/cpu_net.h"

#include <assert.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device/backend_net.h"
#include "device/cpu/cpu_backend.h"

/* In the order of enum net_op. */
static const struct cpu_op_class *const classes[] = {
    [NET_CONV] = &cpu_conv_class,
    [NET_NORM] = &cpu_norm_class,
    [NET_RELU] = &cpu_relu_class,
    [NET_MAX_POOL] = &cpu_max_pool_class,
    [NET_ADAPTIVE_AVG_POOL] = &cpu_avg_pool_class,
    [NET_LINEAR] = &cpu_linear_class,
    [NET_DROPOUT] = &cpu_dropout_class,
    [NET_QUADRATIC] = &cpu_quadratic_class,
};

bool cpu_op_reads_output(const struct cpu_op *op)
{
    const struct net_node *node = op->node;
    return op->class->reads_output || (node->op == NET_NORM && node->residual != NET_NONE && node->relu) ||
           (node->op == NET_LINEAR && node->relu);
}

bool cpu_may_overwrite_input(struct net *net, const struct cpu_op *op)
{
    const struct cpu_value *in = cpu_input(net, op);
    return in->producer >= 0 && in->consumer_count == 1 && net->plan.buffers[in->data].alias == NO_BUFFER &&
           !cpu_op_reads_output(&net->ops[in->producer]);
}

enum status cpu_output_like_input(struct net *net, struct cpu_op *op, bool in_place)
{
    struct cpu_value *in = cpu_input(net, op), *out = cpu_output(net, op);
    out->shape.block = in->shape.block;
    TRY(cpu_layout_blocked(&out->shape, &out->layout));
    out->data = in_place
                    ? memory_plan_alias(&net->plan, in->data, cpu_step_forward(op))
                    : memory_plan_add(&net->plan, cpu_shape_count(&out->shape) * sizeof(float), cpu_step_forward(op));
    return STATUS_OK;
}

enum status cpu_output_plain(struct net *net, struct cpu_op *op)
{
    struct cpu_value *out = cpu_output(net, op);
    out->shape.block = 1;
    TRY(cpu_layout_plain(&out->shape, &out->layout));
    out->data = memory_plan_add(&net->plan, cpu_shape_count(&out->shape) * sizeof(float), cpu_step_forward(op));
    return STATUS_OK;
}

struct cpu_contribution cpu_net_contribute(struct net *net, struct cpu_op *op, struct cpu_value *value, int over)
{
    struct cpu_contribution part = {.buffer = NO_BUFFER, .sum = NO_BUFFER};
    int last = cpu_step_backward_data(net, op), first = op->class->two_phases ? last : cpu_step_backward(net, op);
    if (!cpu_wants_gradient(value))
        return part;
    int capacity = net->spec.nodes[value->producer].op == NET_NORM ? CPU_GRADIENT_PARTS : 1;
    size_t bytes = cpu_shape_count(&value->shape) * sizeof(float);
    part.buffer =
        over != NO_BUFFER ? memory_plan_alias(&net->plan, over, first) : memory_plan_add(&net->plan, bytes, first);
    memory_plan_use(&net->plan, part.buffer, last);
    if (value->gradient_count < capacity) {
        value->gradient[value->gradient_count++] = part.buffer;
    } else {
        part.sum = value->gradient[0];
        memory_plan_use(&net->plan, part.sum, last);
    }
    return part;
}

static void init_values(struct net *net)
{
    const struct net_spec *spec = &net->spec;
    for (int i = 0; i <= spec->node_count; i++) {
        net->values[i] = (struct cpu_value){.shape = {.batch = net->batch},
                                            .producer = i - 1,
                                            .data = NO_BUFFER,
                                            .kept = NO_BUFFER,
                                            .gradient = {NO_BUFFER, NO_BUFFER}};
    }
    struct cpu_shape *images = &net->values[0].shape;
    images->channels = (size_t)spec->channels;
    images->height = (size_t)spec->height;
    images->width = (size_t)spec->width;
    for (int k = 0; k < spec->node_count; k++) {
        const struct net_node *node = &spec->nodes[k];
        assert(node->input >= 0 && node->input <= k && (node->residual == NET_NONE || node->residual <= k));
        net->values[node->input].consumer_count++;
        if (node->op == NET_NORM && node->residual != NET_NONE)
            net->values[node->residual].consumer_count++;
    }
}

/* The first reader decides how the images lie; a convolution asks the library. */
static enum status create_ops(struct net *net)
{
    struct cpu_value *images = &net->values[0];
    for (int k = 0; k < net->spec.node_count; k++) {
        struct cpu_op *op = &net->ops[k];
        const struct net_node *node = op->node = &net->spec.nodes[k];
        op->index = k;
        op->d_input = op->d_residual = (struct cpu_contribution){NO_BUFFER, NO_BUFFER};
        assert((size_t)node->op < sizeof classes / sizeof *classes);
        if (node->input == 0 && images->shape.block == 0 && node->op != NET_CONV) {
            images->shape.block = 1;
            TRY(cpu_layout_plain(&images->shape, &images->layout));
        }
        op->class = classes[node->op];
        TRY(op->class->create(net, op));
        const struct cpu_shape *shape = &net->values[k + 1].shape;
        assert(node->channels == 0 || (shape->channels == (size_t)node->channels &&
                                       shape->height == (size_t)node->height && shape->width == (size_t)node->width));
        if (images->shape.block != 0 && images->data == NO_BUFFER)
            images->data = memory_plan_add(&net->plan, cpu_shape_count(&images->shape) * sizeof(float), 0);
        memory_plan_use(&net->plan, net->values[node->input].data, cpu_step_forward(op));
        if (node->op == NET_NORM && node->residual != NET_NONE)
            memory_plan_use(&net->plan, net->values[node->residual].data, cpu_step_forward(op));
    }
    return STATUS_OK;
}

/* The output of a norm of a convolution's output, without residual. */
static bool is_plain_norm(const struct net *net, int value)
{
    if (value == 0 || net->spec.nodes[value - 1].op != NET_NORM)
        return false;
    const struct net_node *node = &net->spec.nodes[value - 1];
    return node->residual == NET_NONE && node->input > 0 && net->spec.nodes[node->input - 1].op == NET_CONV;
}

/* The output of a norm after a convolution is cheaper to compute again than to keep: one pass over memory against its
 * size from here to the backward pass. So is one with a residual that is such a norm's output itself. */
static bool worth_recomputing(const struct net *net, int value)
{
    if (is_plain_norm(net, value))
        return true;
    if (value == 0 || net->spec.nodes[value - 1].op != NET_NORM)
        return false;
    const struct net_node *node = &net->spec.nodes[value - 1];
    return node->input > 0 && net->spec.nodes[node->input - 1].op == NET_CONV && is_plain_norm(net, node->residual) &&
           net->values[node->residual].shape.block == net->values[value].shape.block;
}

/* Have `value` computed again before `op` runs backward, at `step`, after the residual that it needs. */
static void plan_recompute(struct net *net, struct cpu_op *op, int value, int step)
{
    struct cpu_value *again = &net->values[value];
    const struct net_node *node = &net->spec.nodes[again->producer];
    if (node->residual != NET_NONE) {
        if (net->values[node->residual].kept == NO_BUFFER)
            plan_recompute(net, op, node->residual, step);
        memory_plan_use(&net->plan, net->values[node->residual].kept, step);
    }
    again->kept = memory_plan_add(&net->plan, cpu_shape_count(&again->shape) * sizeof(float), step);
    memory_plan_use(&net->plan, net->values[node->input].data, step);
    op->recompute[op->recompute_count++] = value;
}

/* `op` reads its input in the backward pass: keep it until then, or have it made again. */
static void plan_kept_input(struct net *net, struct cpu_op *op, int step)
{
    struct cpu_value *in = cpu_input(net, op);
    if (in->kept == NO_BUFFER && worth_recomputing(net, op->node->input))
        plan_recompute(net, op, op->node->input, step);
    else if (in->kept == NO_BUFFER)
        in->kept = in->data;
    memory_plan_use(&net->plan, in->kept, step);
    memory_plan_use(&net->plan, in->kept, op->class->two_phases ? step : cpu_step_backward_data(net, op));
}

static void plan_backward(struct net *net)
{
    int count = net->spec.node_count;
    struct cpu_value *logits = &net->values[count];
    logits->gradient[logits->gradient_count++] =
        memory_plan_add(&net->plan, cpu_shape_count(&logits->shape) * sizeof(float), 2 * count);
    memory_plan_use(&net->plan, logits->data, 0);
    memory_plan_use(&net->plan, logits->data, 4 * count + 1);
    for (int k = count - 1; k >= 0; k--) {
        struct cpu_op *op = &net->ops[k];
        struct cpu_value *out = &net->values[k + 1];
        int step = cpu_step_backward(net, op);
        assert(out->gradient_count > 0);
        for (int i = 0; i < out->gradient_count; i++)
            memory_plan_use(&net->plan, out->gradient[i], cpu_step_backward_data(net, op));
        if (op->class->reads_input)
            plan_kept_input(net, op, step);
        if (cpu_op_reads_output(op)) {
            out->kept = out->kept == NO_BUFFER ? out->data : out->kept;
            memory_plan_use(&net->plan, out->kept, cpu_step_backward_data(net, op));
        }
        op->class->plan_backward(net, op);
    }
}

/* The library crashes where it finds no memory for the code that it generates: up to three kernels an operation. */
static enum status check_room(const struct net_spec *spec)
{
    size_t bytes = (size_t)(16 + spec->node_count) << 20;
    if (memory_has_room(bytes))
        return STATUS_OK;
    memory_report(bytes, "the kernels of the network's layers");
    return STATUS_MACHINE;
}

/* Everything but the memory that the plan asks for. */
static enum status compile(struct device *device, const struct net_spec *spec, size_t batch, bool plans_only,
                           struct net **out)
{
    enum status status;
    struct net *net = memory_zalloc(1, sizeof *net);
    assert(spec->node_count > 0 && batch > 0);
    omp_set_num_threads(device->threads);
    backend_net_copy_spec(&net->spec, spec);
    net->device = device;
    net->batch = batch;
    net->plans_only = plans_only;
    net->values = memory_zalloc((size_t)spec->node_count + 1, sizeof *net->values);
    net->ops = memory_zalloc((size_t)spec->node_count, sizeof *net->ops);
    init_values(net);
    TRY_GOTO(check_room(spec), destroy);
    TRY_GOTO(create_ops(net), destroy);
    plan_backward(net);
    memory_plan_place(&net->plan);
    *out = net;
    return STATUS_OK;
destroy:
    cpu_net_destroy(net);
    return status;
}

enum status cpu_net_create(struct device *device, const struct net_spec *spec, size_t batch, float *gradient,
                           float *buffers, struct net **out)
{
    enum status status;
    struct net *net;
    TRY(compile(device, spec, batch, false, &net));
    net->gradient = gradient;
    net->buffers = buffers;
    net->losses = memory_zalloc(batch, sizeof *net->losses);
    net->places = memory_zalloc(batch, sizeof *net->places);
    net->plan.memory = memory_alloc_aligned_for(net->plan.bytes, "activations and gradients of train.batch=%zu", batch);
    for (int k = 0; k < spec->node_count; k++) {
        if (net->ops[k].class->bind != NULL)
            TRY_GOTO(net->ops[k].class->bind(net, &net->ops[k]), destroy);
    }
    *out = net;
    return STATUS_OK;
destroy:
    cpu_net_destroy(net);
    return status;
}

enum status cpu_net_plan(struct device *device, const struct net_spec *spec, size_t batch, size_t *bytes)
{
    struct net *net;
    TRY(compile(device, spec, batch, true, &net));
    *bytes = cpu_net_bytes(net);
    cpu_net_destroy(net);
    return STATUS_OK;
}

void cpu_net_destroy(struct net *net)
{
    if (net == NULL)
        return;
    for (int k = 0; k < net->spec.node_count; k++) {
        struct cpu_op *op = &net->ops[k];
        if (op->state != NULL)
            op->class->destroy(op);
    }
    for (int i = 0; i <= net->spec.node_count; i++)
        onednn_layout_release(&net->values[i].layout);
    memory_free_aligned(net->plan.memory);
    memory_plan_release(&net->plan);
    free(net->values);
    free(net->ops);
    free(net->losses);
    free(net->places);
    backend_net_release_spec(&net->spec);
    free(net);
}

void cpu_net_cast(struct net *net, const float *x)
{
    omp_set_num_threads(net->device->threads);
    for (int k = 0; k < net->spec.node_count && net->cast_status == STATUS_OK; k++) {
        if (net->ops[k].class->cast != NULL)
            net->cast_status = net->ops[k].class->cast(net, &net->ops[k], x);
    }
}

/* The images in the layout of value 0, zeros beyond the real ones. */
static void load_images(struct net *net, const struct net_batch *batch)
{
    struct cpu_shape plain = net->values[0].shape, real = plain;
    float *to = cpu_pointer(net, net->values[0].data);
    plain.block = 1;
    plain.batch = real.batch = batch->count;
    cpu_shape_convert(&plain, batch->images, &real, to, net->device->threads);
    size_t loaded = cpu_shape_count(&real);
    memset(to + loaded, 0, (cpu_shape_count(&net->values[0].shape) - loaded) * sizeof *to);
}

/* Between two operations: unless the pass is to be broken off. */
static enum status go_on(const struct net *net)
{
    bool (*cancel)(void) = net->device->cancel;
    return cancel != NULL && cancel() ? STATUS_REQUEUE : STATUS_OK;
}

enum status cpu_net_forward(struct net *net, enum net_mode mode, const struct net_batch *batch, uint64_t dropout_seed,
                            struct net_result *result)
{
    assert(batch->count > 0 && batch->count <= net->batch);
    assert(mode == NET_EVALUATE || batch->count == net->batch);
    TRY(net->cast_status);
    omp_set_num_threads(net->device->threads);
    net->dropout_seed = dropout_seed;
    net->trained = mode == NET_TRAIN;
    load_images(net, batch);
    for (int k = 0; k < net->spec.node_count; k++) {
        TRY(go_on(net));
        TRY(net->ops[k].class->forward(net, &net->ops[k], mode));
    }
    struct net_result *place = &net->results[net->passes++ % NET_RESULTS];
    cpu_loss(net, mode, batch, place);
    if (result != NULL)
        *result = *place;
    return STATUS_OK;
}

enum status cpu_net_result(struct net *net, int age, struct net_result *result)
{
    assert(age >= 0 && age < NET_RESULTS && net->passes > (uint64_t)age);
    *result = net->results[(net->passes - 1 - (uint64_t)age) % NET_RESULTS];
    return STATUS_OK;
}

static void add_contribution(const struct net *net, const struct cpu_value *value, struct cpu_contribution part)
{
    if (part.sum != NO_BUFFER)
        cpu_add(net, cpu_shape_count(&value->shape), cpu_pointer(net, part.sum), cpu_pointer(net, part.buffer));
}

enum status cpu_net_backward_node(struct net *net, int index)
{
    struct cpu_op *op = &net->ops[index];
    const struct cpu_value *in = cpu_input(net, op);
    for (int i = 0; i < op->recompute_count; i++) {
        struct cpu_op *producer = &net->ops[net->values[op->recompute[i]].producer];
        producer->class->recompute(net, producer);
    }
    TRY(op->class->backward(net, op));
    add_contribution(net, in, op->d_input);
    if (op->node->op == NET_NORM && op->node->residual != NET_NONE)
        add_contribution(net, &net->values[op->node->residual], op->d_residual);
    return STATUS_OK;
}

enum status cpu_net_backward(struct net *net, net_ready_fn *ready, void *context)
{
    assert(net->trained);
    omp_set_num_threads(net->device->threads);
    for (int k = net->spec.node_count - 1; k >= 0; k--) {
        const struct net_node *node = &net->spec.nodes[k];
        TRY(go_on(net));
        TRY(cpu_net_backward_node(net, k));
        backend_net_report(&net->spec, node, ready, context);
    }
    net->trained = false;
    return STATUS_OK;
}

void cpu_net_logits(struct net *net, float *host)
{
    const struct cpu_value *value = &net->values[net->spec.node_count];
    const float *logits = cpu_pointer(net, value->data);
    for (size_t n = 0; n < net->batch; n++) {
        for (size_t c = 0; c < value->shape.channels; c++)
            host[n * value->shape.channels + c] = logits[cpu_shape_index(&value->shape, n, c, 0, 0)];
    }
}

size_t cpu_net_bytes(const struct net *net)
{
    return net->plan.bytes + net->weight_bytes;
}
