/* A network compiled for the CPU: values, operations and the memory plan. Private to this folder (and to the
 * benchmark that times its parts).
 *
 * Program steps: with n nodes, node k runs forward at step 2k, the loss at step 2n, and node k backward at steps
 * 2(2n − k) (gradients of the weights) and the one after it (gradient of the input). All lifetimes in the plan are
 * in these steps.
 *
 * Gradients: each consumer of a value contributes one part of its gradient. The first parts stay apart when the
 * value's producer can add them while it reads them (batch norm takes two), further ones are added to the first.
 * So a residual branch costs no extra pass over memory. */
#ifndef GRAPEVINE_DEVICE_CPU_NET_H
#define GRAPEVINE_DEVICE_CPU_NET_H

#include "device/cpu/cpu_layout.h"
#include "device/memory_plan.h"
#include "device/device.h"

struct device {
    int threads;          /* of the compute thread */
    bool (*cancel)(void); /* NULL: passes are never broken off */
    uint64_t left_out;    /* gradients that were not finite */
    dnnl_engine_t engine; /* owned */
    dnnl_stream_t stream; /* owned */
};

enum { CPU_GRADIENT_PARTS = 2 };

struct cpu_value {
    struct cpu_shape shape;
    struct onednn_layout layout; /* the same for the library; owned */
    int producer;                /* node index, −1 for the images */
    int consumer_count;
    int data;                         /* buffer */
    int kept;                         /* buffer that the backward pass reads: `data`, or a copy computed again then */
    int gradient[CPU_GRADIENT_PARTS]; /* buffers whose sum is the gradient, valid when the producer runs backward */
    int gradient_count;
};

/* Where an operation leaves its part of an input's gradient. */
struct cpu_contribution {
    int buffer; /* NO_BUFFER: not wanted */
    int sum;    /* buffer to add it to afterwards, or NO_BUFFER */
};

struct cpu_op {
    const struct cpu_op_class *class;
    const struct net_node *node;
    int index;
    void *state;                       /* owned, the class's own */
    int recompute[2], recompute_count; /* values to compute again before this node's backward pass, in this order */
    struct cpu_contribution d_input, d_residual;
};

struct net;

struct cpu_op_class {
    const char *name;
    bool reads_input, reads_output; /* in the backward pass; cpu_op_reads_output refines the latter */
    bool two_phases;                /* its two backward steps share only the output's gradient */
    /* Choose the output's layout and buffer, make what is needed, add scratch to the plan. */
    enum status (*create)(struct net *net, struct cpu_op *op);
    /* Say where the gradients go (cpu_net_contribute). */
    void (*plan_backward)(struct net *net, struct cpu_op *op);
    /* Buffers have their place: make what needs pointers. May be NULL. */
    enum status (*bind)(struct net *net, struct cpu_op *op);
    /* Working copy of the parameters. May be NULL. */
    enum status (*cast)(struct net *net, struct cpu_op *op, const float *x);
    enum status (*forward)(struct net *net, struct cpu_op *op, enum net_mode mode);
    /* Writes d_input and d_residual and this node's part of the flat gradient. */
    enum status (*backward)(struct net *net, struct cpu_op *op);
    /* Write the output again into its `kept` buffer. May be NULL. */
    void (*recompute)(struct net *net, struct cpu_op *op);
    void (*destroy)(struct cpu_op *op);
};

struct net {
    struct device *device; /* borrowed */
    struct net_spec spec;  /* owned copy of nodes and tables */
    size_t batch;
    float *gradient, *buffers; /* borrowed */
    struct memory_plan plan;
    struct cpu_value *values;               /* owned, (node_count + 1) */
    struct cpu_op *ops;                     /* owned, (node_count) */
    bool plans_only;                        /* nothing that grows with the batch or the model is allocated */
    size_t weight_bytes;                    /* working copies */
    uint64_t dropout_seed;                  /* of the last forward pass */
    struct net_result results[NET_RESULTS]; /* of the last forward passes, pass k in place k mod NET_RESULTS */
    uint64_t passes;                        /* forward passes so far */
    bool trained;                           /* that pass was NET_TRAIN, and net_backward has not been called since */
    enum status cast_status;                /* a cast that failed (and was logged) stops the next forward pass */
    double *losses;                         /* owned, (batch): of each image */
    unsigned char *places;                  /* owned, (batch): of each label among the classes, see cpu_loss.c */
};

extern const struct cpu_op_class cpu_conv_class, cpu_norm_class, cpu_relu_class, cpu_max_pool_class, cpu_avg_pool_class,
    cpu_linear_class, cpu_dropout_class, cpu_quadratic_class;

static inline struct cpu_value *cpu_input(struct net *net, const struct cpu_op *op)
{
    return &net->values[op->node->input];
}

static inline struct cpu_value *cpu_output(struct net *net, const struct cpu_op *op)
{
    return &net->values[op->index + 1];
}

static inline int cpu_step_forward(const struct cpu_op *op)
{
    return 2 * op->index;
}

static inline int cpu_step_backward(const struct net *net, const struct cpu_op *op)
{
    return 2 * (2 * net->spec.node_count - op->index);
}

static inline int cpu_step_backward_data(const struct net *net, const struct cpu_op *op)
{
    return cpu_step_backward(net, op) + 1;
}

static inline float *cpu_pointer(const struct net *net, int buffer)
{
    return memory_plan_pointer(&net->plan, buffer);
}

/* The value's gradient is of use to someone: not that of the images. */
static inline bool cpu_wants_gradient(const struct cpu_value *value)
{
    return value->producer >= 0;
}

/* True if the backward pass of this node reads its output. */
bool cpu_op_reads_output(const struct cpu_op *op);

/* True if `op` may write over its input: nobody else reads it, forward or backward. */
bool cpu_may_overwrite_input(struct net *net, const struct cpu_op *op);

/* Give the output the input's layout, and its own buffer, or the input's when `in_place`. The output's channels, height
 * and width must be set. */
enum status cpu_output_like_input(struct net *net, struct cpu_op *op, bool in_place);

/* Give the output a plain (NCHW) layout and its own buffer. */
enum status cpu_output_plain(struct net *net, struct cpu_op *op);

/* A place for `op`'s part of the gradient of `value`: the memory of buffer `over`, or new memory where that is
 * NO_BUFFER. */
struct cpu_contribution cpu_net_contribute(struct net *net, struct cpu_op *op, struct cpu_value *value, int over);

/* y = max(x, 0), NaN kept (cpu_relu.c); y may be x. */
void cpu_relu_forward(const struct net *net, size_t count, const float *x, float *y);
/* d_x = d_y where y > 0, else 0 (cpu_relu.c); d_x may be d_y. */
void cpu_relu_backward(const struct net *net, size_t count, const float *y, const float *d_y, float *d_x);
/* sum += part (cpu_relu.c). */
void cpu_add(const struct net *net, size_t count, float *sum, const float *part);

/* The loss of the logits (last value) and, in NET_TRAIN, their gradient (cpu_loss.c). */
void cpu_loss(struct net *net, enum net_mode mode, const struct net_batch *batch, struct net_result *result);

/* One stage of net_backward, for measurements: node `index` with what belongs to it. */
enum status cpu_net_backward_node(struct net *net, int index);

#endif
