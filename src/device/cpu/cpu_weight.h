/* A weight tensor: the working copies that the library reads, in the layouts it prefers, and the way back of its
 * gradient.
 *
 * Forward and backward pass may prefer different layouts; there are then two copies, written together. */
#ifndef GRAPEVINE_DEVICE_CPU_WEIGHT_H
#define GRAPEVINE_DEVICE_CPU_WEIGHT_H

#include "device/cpu/cpu_primitive.h"

/* Start with {0}. */
struct cpu_weight {
    size_t offset, count;       /* in the flat vectors */
    float *wide;                /* owned, (rows, wide_row): plain weights, zeros at the ends of rows; or NULL */
    size_t rows, row, wide_row; /* a row is the weights of one output channel */
    size_t copy_count;          /* elements of a plain working copy */
    float *forward, *backward;  /* owned working copies; backward may be forward, or NULL */
    struct cpu_primitive to_forward, to_backward, to_gradient; /* reorders; without a description: plain already */
    int gradient;          /* buffer of the gradient in the library's layout, or NO_BUFFER */
    bool gradient_is_wide; /* it reaches the flat vector by way of `wide` */
};

/* `plain` is the canonical layout of `tensor`, or, where the primitives compute with more input channels, of rows of
 * `wide_row` elements with zeros at their ends; wide_row 0: the tensor's own. `backward_data` may be NULL (no gradient
 * of the input is wanted), `backward_weights` too (the flat gradient is written directly). */
enum status cpu_weight_create(struct net *net, struct cpu_weight *weight, const struct net_tensor *tensor,
                              const struct onednn_layout *plain, size_t wide_row, const struct cpu_primitive *forward,
                              const struct cpu_primitive *backward_data, const struct cpu_primitive *backward_weights,
                              int step_backward);
enum status cpu_weight_bind(struct net *net, struct cpu_weight *weight);
/* Where the backward pass leaves the gradient. */
float *cpu_weight_gradient(const struct net *net, const struct cpu_weight *weight);
/* Working copies ← x. */
enum status cpu_weight_cast(struct net *net, struct cpu_weight *weight, const float *x);
/* Flat gradient ← the library's layout. */
enum status cpu_weight_deliver(struct net *net, struct cpu_weight *weight);
void cpu_weight_release(struct cpu_weight *weight);

#endif
