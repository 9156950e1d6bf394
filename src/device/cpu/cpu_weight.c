/* A weight tensor: working copies in the library's layouts, and the way back of its gradient. */
#include "device/cpu/cpu_weight.h"

#include <string.h>

#include "base/memory.h"

/* A reorder from one layout to the other, or none where they are the same. */
static enum status make_reorder(struct net *net, struct cpu_primitive *p, const char *what,
                                const struct onednn_layout *from, const struct onednn_layout *to, int step)
{
    if (dnnl_memory_desc_equal(onednn_view(from), onednn_view(to)))
        return STATUS_OK;
    dnnl_primitive_attr_t attributes;
    TRY(cpu_attributes(&attributes));
    dnnl_status_t result = dnnl_reorder_primitive_desc_create(&p->description, onednn_view(from), net->device->engine,
                                                              onednn_view(to), net->device->engine, attributes);
    dnnl_primitive_attr_destroy(attributes);
    TRY_DNNL(what, result);
    return cpu_primitive_make(net, p, what, step);
}

static float *working_copy(struct net *net, const struct onednn_layout *layout)
{
    size_t bytes = onednn_view_size(onednn_view(layout));
    net->weight_bytes += bytes;
    if (net->plans_only)
        return NULL;
    return memory_alloc_aligned_for(bytes, "working weights of the network");
}

static enum status create_backward(struct net *net, struct cpu_weight *weight, const struct onednn_layout *plain,
                                   const struct onednn_layout *forward, const struct cpu_primitive *backward_data)
{
    struct onednn_layout backward = {0};
    TRY(cpu_primitive_layout(backward_data, DNNL_ARG_WEIGHTS, &backward));
    enum status status = STATUS_OK;
    if (dnnl_memory_desc_equal(onednn_view(forward), onednn_view(&backward))) {
        weight->backward = weight->forward;
    } else {
        weight->backward = working_copy(net, &backward);
        status = make_reorder(net, &weight->to_backward, "weights to the backward layout", plain, &backward, 0);
    }
    onednn_layout_release(&backward);
    return status;
}

static void init_rows(struct net *net, struct cpu_weight *weight, const struct net_tensor *tensor,
                      const struct onednn_layout *plain, size_t wide_row)
{
    weight->offset = tensor->offset;
    weight->count = tensor->count;
    weight->gradient = NO_BUFFER;
    weight->rows = tensor->shape[0];
    weight->row = tensor->count / weight->rows;
    weight->wide_row = wide_row == 0 ? weight->row : wide_row;
    weight->copy_count = weight->rows * weight->wide_row;
    if (weight->wide_row != weight->row)
        weight->wide = working_copy(net, plain);
}

enum status cpu_weight_create(struct net *net, struct cpu_weight *weight, const struct net_tensor *tensor,
                              const struct onednn_layout *plain, size_t wide_row, const struct cpu_primitive *forward,
                              const struct cpu_primitive *backward_data, const struct cpu_primitive *backward_weights,
                              int step_backward)
{
    struct onednn_layout chosen = {0}, gradient = {0};
    enum status status;
    init_rows(net, weight, tensor, plain, wide_row);
    TRY_GOTO(cpu_primitive_layout(forward, DNNL_ARG_WEIGHTS, &chosen), release);
    weight->forward = working_copy(net, &chosen);
    TRY_GOTO(make_reorder(net, &weight->to_forward, "weights to the forward layout", plain, &chosen, 0), release);
    if (backward_data != NULL)
        TRY_GOTO(create_backward(net, weight, plain, &chosen, backward_data), release);
    if (backward_weights == NULL)
        goto release;
    weight->gradient_is_wide = weight->wide != NULL;
    TRY_GOTO(cpu_primitive_layout(backward_weights, DNNL_ARG_DIFF_WEIGHTS, &gradient), release);
    TRY_GOTO(
        make_reorder(net, &weight->to_gradient, "weight gradient to the flat layout", &gradient, plain, step_backward),
        release);
    if (weight->to_gradient.description != NULL)
        weight->gradient = memory_plan_add(&net->plan, onednn_view_size(onednn_view(&gradient)), step_backward);
release:
    onednn_layout_release(&chosen);
    onednn_layout_release(&gradient);
    return status;
}

static enum status bind_reorder(struct net *net, struct cpu_primitive *p, const float *from, const float *to)
{
    if (p->description == NULL)
        return STATUS_OK;
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_FROM, from));
    TRY(cpu_primitive_bind(net, p, DNNL_ARG_TO, to));
    return cpu_primitive_bind_scratch(net, p);
}

/* Where the plain gradient is put together: the flat vector, unless rows are wide. */
static float *plain_gradient(const struct net *net, const struct cpu_weight *weight)
{
    return weight->gradient_is_wide ? weight->wide : net->gradient + weight->offset;
}

enum status cpu_weight_bind(struct net *net, struct cpu_weight *weight)
{
    TRY(bind_reorder(net, &weight->to_forward, NULL, weight->forward));
    TRY(bind_reorder(net, &weight->to_backward, NULL, weight->backward));
    return bind_reorder(net, &weight->to_gradient, cpu_pointer(net, weight->gradient), plain_gradient(net, weight));
}

float *cpu_weight_gradient(const struct net *net, const struct cpu_weight *weight)
{
    return weight->gradient == NO_BUFFER ? plain_gradient(net, weight) : cpu_pointer(net, weight->gradient);
}

/* One working copy ← plain weights at `from`. */
static enum status cast_copy(struct net *net, struct cpu_primitive *reorder, const float *from, float *to, size_t count)
{
    if (reorder->description == NULL) {
        memcpy(to, from, count * sizeof *to);
        return STATUS_OK;
    }
    TRY(cpu_primitive_rebind(reorder, DNNL_ARG_FROM, from));
    return cpu_primitive_run(net, reorder);
}

/* The rows with zeros behind them; a gradient may have lain there. */
static const float *widen(struct cpu_weight *weight, const float *x)
{
    memset(weight->wide, 0, weight->copy_count * sizeof *weight->wide);
    for (size_t i = 0; i < weight->rows; i++)
        memcpy(weight->wide + i * weight->wide_row, x + i * weight->row, weight->row * sizeof *x);
    return weight->wide;
}

enum status cpu_weight_cast(struct net *net, struct cpu_weight *weight, const float *x)
{
    const float *from = weight->wide == NULL ? x + weight->offset : widen(weight, x + weight->offset);
    TRY(cast_copy(net, &weight->to_forward, from, weight->forward, weight->copy_count));
    if (weight->backward != NULL && weight->backward != weight->forward)
        TRY(cast_copy(net, &weight->to_backward, from, weight->backward, weight->copy_count));
    return STATUS_OK;
}

enum status cpu_weight_deliver(struct net *net, struct cpu_weight *weight)
{
    if (weight->to_gradient.description != NULL)
        TRY(cpu_primitive_run(net, &weight->to_gradient));
    for (size_t i = 0; weight->gradient_is_wide && i < weight->rows; i++)
        memcpy(net->gradient + weight->offset + i * weight->row, weight->wide + i * weight->wide_row,
               weight->row * sizeof(float));
    return STATUS_OK;
}

void cpu_weight_release(struct cpu_weight *weight)
{
    cpu_primitive_release(&weight->to_forward);
    cpu_primitive_release(&weight->to_backward);
    cpu_primitive_release(&weight->to_gradient);
    if (weight->backward != weight->forward)
        memory_free_aligned(weight->backward);
    memory_free_aligned(weight->wide);
    memory_free_aligned(weight->forward);
    *weight = (struct cpu_weight){0};
}
