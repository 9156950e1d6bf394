/* One oneDNN primitive: made once, given its memory once, run many times. */
#include "device/cpu/cpu_primitive.h"

#include <assert.h>
#include <string.h>

enum status cpu_attributes(dnnl_primitive_attr_t *out)
{
    dnnl_primitive_attr_t attributes;
    TRY_DNNL("attributes", dnnl_primitive_attr_create(&attributes));
    TRY_DNNL("attributes", dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user));
    *out = attributes;
    return STATUS_OK;
}

static enum status create_memory(struct net *net, struct cpu_primitive *p, int arg, const void *pointer)
{
    assert(p->arg_count < CPU_PRIMITIVE_ARGS);
    dnnl_memory_t memory;
    TRY_DNNL(p->what,
             dnnl_memory_create(&memory, dnnl_primitive_desc_query_md(p->description, dnnl_query_exec_arg_md, arg),
                                net->device->engine, (void *)pointer));
    p->args[p->arg_count++] = (dnnl_exec_arg_t){.arg = arg, .memory = memory};
    return STATUS_OK;
}

enum status cpu_primitive_make(struct net *net, struct cpu_primitive *p, const char *what, int step)
{
    p->what = what;
    p->scratch = NO_BUFFER;
    TRY_DNNL(what, dnnl_primitive_create(&p->handle, p->description));
    size_t bytes = onednn_view_size(dnnl_primitive_desc_query_md(p->description, dnnl_query_scratchpad_md, 0));
    if (bytes > 0)
        p->scratch = memory_plan_add(&net->plan, bytes, step);
    return STATUS_OK;
}

enum status cpu_primitive_layout(const struct cpu_primitive *p, int arg, struct onednn_layout *out)
{
    TRY_DNNL(p->what,
             onednn_layout_copy(out, dnnl_primitive_desc_query_md(p->description, dnnl_query_exec_arg_md, arg)));
    return STATUS_OK;
}

bool cpu_primitive_is_reference(const struct cpu_primitive *p)
{
    const char *name = NULL;
    return p->description != NULL &&
           dnnl_primitive_desc_query(p->description, dnnl_query_impl_info_str, 0, (void *)&name) == dnnl_success &&
           name != NULL && strncmp(name, "ref", 3) == 0;
}

enum status cpu_primitive_bind(struct net *net, struct cpu_primitive *p, int arg, const void *pointer)
{
    return create_memory(net, p, arg, pointer);
}

enum status cpu_primitive_bind_scratch(struct net *net, struct cpu_primitive *p)
{
    if (p->scratch == NO_BUFFER)
        return STATUS_OK;
    return create_memory(net, p, DNNL_ARG_SCRATCHPAD, cpu_pointer(net, p->scratch));
}

enum status cpu_primitive_rebind(struct cpu_primitive *p, int arg, const void *pointer)
{
    for (int i = 0; i < p->arg_count; i++) {
        if (p->args[i].arg == arg)
            TRY_DNNL(p->what, dnnl_memory_set_data_handle(p->args[i].memory, (void *)pointer));
    }
    return STATUS_OK;
}

enum status cpu_primitive_run(struct net *net, const struct cpu_primitive *p)
{
    TRY_DNNL(p->what, dnnl_primitive_execute(p->handle, net->device->stream, p->arg_count, p->args));
    return STATUS_OK;
}

void cpu_primitive_release(struct cpu_primitive *p)
{
    for (int i = 0; i < p->arg_count; i++)
        dnnl_memory_destroy(p->args[i].memory);
    if (p->handle != NULL)
        dnnl_primitive_destroy(p->handle);
    if (p->description != NULL)
        dnnl_primitive_desc_destroy(p->description);
    *p = (struct cpu_primitive){0};
}
