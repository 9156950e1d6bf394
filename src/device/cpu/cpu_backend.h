/* The networks of the CPU backend, as they enter its table of operations. Private to this folder. */
#ifndef GRAPEVINE_DEVICE_CPU_BACKEND_H
#define GRAPEVINE_DEVICE_CPU_BACKEND_H

#include "device/device.h"

enum status cpu_net_create(struct device *device, const struct net_spec *spec, size_t batch, float *gradient,
                           float *buffers, struct net **out);
enum status cpu_net_plan(struct device *device, const struct net_spec *spec, size_t batch, size_t *bytes);
void cpu_net_destroy(struct net *net);
void cpu_net_cast(struct net *net, const float *x);
enum status cpu_net_forward(struct net *net, enum net_mode mode, const struct net_batch *batch, uint64_t dropout_seed,
                            struct net_result *result);
enum status cpu_net_result(struct net *net, int age, struct net_result *result);
enum status cpu_net_backward(struct net *net, net_ready_fn *ready, void *context);
void cpu_net_logits(struct net *net, float *host);
size_t cpu_net_bytes(const struct net *net);

#endif
