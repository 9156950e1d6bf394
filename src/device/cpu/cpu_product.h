/* What convolution and linear layer have in common: three oneDNN primitives (forward, gradient of the input, gradient
 * of the weights) around one weight tensor and an optional bias. The functions fit struct cpu_op_class. */
#ifndef GRAPEVINE_DEVICE_CPU_PRODUCT_H
#define GRAPEVINE_DEVICE_CPU_PRODUCT_H

#include "device/cpu/cpu_weight.h"

/* A pass that works on plain (NCHW) copies of its values, because the library has no fast code for their layout. */
struct cpu_staging {
    bool used;
    int source, destination; /* buffers of the copies */
};

struct cpu_product {
    /* Without a description: backward_data is not wanted; backward_weights is the owner's own code, which writes the
     * flat gradient. */
    struct cpu_primitive forward, backward_data, backward_weights;
    struct cpu_staging staged_forward, staged_data, staged_weights;
    struct cpu_shape source, destination; /* of the values, where a pass is staged or rows are wide: as the primitives
                                             see them, lanes of padding being channels */
    struct cpu_weight weight;
    float *bias; /* owned working copy (out_channels), or NULL */
};

struct cpu_product *cpu_product_create(const struct net_node *node);
/* Once the primitives are made: working copies of the weights; `plain` and `wide_row` as in cpu_weight_create. */
enum status cpu_product_create_weight(struct net *net, struct cpu_op *op, const struct onednn_layout *plain,
                                      size_t wide_row);

void cpu_product_plan_backward(struct net *net, struct cpu_op *op);
enum status cpu_product_bind(struct net *net, struct cpu_op *op);
enum status cpu_product_cast(struct net *net, struct cpu_op *op, const float *x);
enum status cpu_product_forward(struct net *net, struct cpu_op *op, enum net_mode mode);
enum status cpu_product_backward(struct net *net, struct cpu_op *op);
void cpu_product_destroy(struct cpu_op *op);

#endif
