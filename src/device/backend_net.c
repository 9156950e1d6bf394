/* What the backends' networks have in common. */
#include "device/backend_net.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static void *copy_items(const void *from, int count, size_t size)
{
    void *to = memory_zalloc((size_t)count + 1, size); /* a network without batch norm has no buffers */
    if (count > 0)
        memcpy(to, from, (size_t)count * size);
    return to;
}

void backend_net_copy_spec(struct net_spec *to, const struct net_spec *from)
{
    *to = *from;
    to->nodes = copy_items(from->nodes, from->node_count, sizeof *to->nodes);
    to->parameters = copy_items(from->parameters, from->parameter_count, sizeof *to->parameters);
    to->buffers = copy_items(from->buffers, from->buffer_count, sizeof *to->buffers);
}

void backend_net_release_spec(struct net_spec *copy)
{
    free(copy->nodes);
    free(copy->parameters);
    free(copy->buffers);
}

static void report(const struct net_spec *spec, int parameter, net_ready_fn *ready, void *context)
{
    if (parameter != NET_NONE)
        ready(context, spec->parameters[parameter].offset, spec->parameters[parameter].count);
}

static bool owns_parameters(const struct net_node *node)
{
    return node->op == NET_CONV || node->op == NET_NORM || node->op == NET_LINEAR || node->op == NET_QUADRATIC;
}

void backend_net_report(const struct net_spec *spec, const struct net_node *node, net_ready_fn *ready, void *context)
{
    if (ready == NULL || !owns_parameters(node))
        return;
    report(spec, node->weight, ready, context);
    report(spec, node->bias, ready, context);
}
