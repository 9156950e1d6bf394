/* What the backends' networks have in common and no library decides: a copy of the specification, and the report that a
 * node's gradients are final. Not here: values, memory, operations, which are each backend's own. Private to this
 * folder. */
#ifndef GRAPEVINE_DEVICE_BACKEND_NET_H
#define GRAPEVINE_DEVICE_BACKEND_NET_H

#include "device/device.h"

/* A private copy of what a net reads of the specification for the rest of its life. */
void backend_net_copy_spec(struct net_spec *to, const struct net_spec *from);
void backend_net_release_spec(struct net_spec *copy);

/* The gradients of the node's parameters are final. `ready` may be NULL. */
void backend_net_report(const struct net_spec *spec, const struct net_node *node, net_ready_fn *ready, void *context);

#endif
