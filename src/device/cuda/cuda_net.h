/* A network compiled for the GPU: values, operations, memory plan and the graphs of a step. Private to this folder.
 *
 * Activations are NHWC. With n nodes, node k runs forward at step 2k, the loss at step 2n, and node k backward at step
 * 2(2n − k) (gradients of the weights) and the one after it (gradient of the input): lifetimes in the memory plan are
 * in these steps. All of it is enqueued on the compute stream in this order.
 *
 * Each consumer of a value contributes one part of its gradient. Where the producer can add two parts while it reads
 * them (batch norm) they stay apart, further ones are added to the first: a residual branch costs no pass of its own.
 *
 * A training step is two captured graphs, forward and backward. What differs from step to step (labels, picks, seeds)
 * lies in device memory at fixed addresses; pictures are written to value 0 before the forward graph. */
#ifndef GRAPEVINE_DEVICE_CUDA_NET_H
#define GRAPEVINE_DEVICE_CUDA_NET_H

#include "device/cuda/cuda_device.h"
#include "device/memory_plan.h"
#include "kernels/cuda_layers.h"
#include "kernels/cuda_vector.h"

enum { CUDA_GRADIENT_PARTS = 2, CUDA_INPUT_SLOTS = 4 };

struct cuda_value {
    int channels, height, width;
    int stored; /* channels in memory: pictures for convolutions are padded with zeros */
    enum cuda_type type;
    int producer; /* node index, −1 for the pictures */
    int consumer_count;
    int data;                          /* buffer */
    int gradient[CUDA_GRADIENT_PARTS]; /* buffers whose sum is the gradient */
    int gradient_count;
};

/* Where an operation leaves its part of an input's gradient. */
struct cuda_contribution {
    int buffer; /* NO_BUFFER: not wanted */
    int sum;    /* buffer to add it to afterwards, or NO_BUFFER */
};

struct cuda_op {
    const struct cuda_op_class *class;
    const struct net_node *node;
    int index;
    void *state; /* owned, the class's own */
    struct cuda_contribution d_input, d_residual;
};

struct cuda_op_class {
    const char *name;
    bool reads_input, reads_output; /* in the backward pass; cuda_op_reads_output refines the latter */
    /* Choose the output's shape and buffer; reserve scratch. */
    enum status (*create)(struct net *net, struct cuda_op *op);
    /* Say where the gradients go (cuda_net_contribute). */
    void (*plan_backward)(struct net *net, struct cuda_op *op);
    /* Buffers have their place: make what needs pointers. May be NULL. */
    enum status (*bind)(struct net *net, struct cuda_op *op);
    /* Enqueue. Forward writes the output; backward d_input, d_residual and this node's part of the flat gradient. */
    enum status (*forward)(struct net *net, struct cuda_op *op, enum net_mode mode);
    enum status (*backward)(struct net *net, struct cuda_op *op);
    void (*destroy)(struct net *net, struct cuda_op *op); /* may be NULL: state is freed */
};

/* Where the tiles of each parameter tensor lie in the table, and where its working copy begins. */
struct cuda_weight {
    size_t first_tile, tile_count;
    size_t to; /* element of working.narrow, or of working.wide where `wide` */
    bool wide;
    int stored; /* C' of the working copy */
};

/* What a step brings to the device besides pictures; lies in pinned memory, copied whole. */
struct cuda_step {
    uint64_t serial, dropout_seed;
    uint32_t real, unused[3];
    /* labels (batch) int32, then picks (batch), follow */
};

struct net {
    struct device *device; /* borrowed */
    struct net_spec spec;  /* owned copy of nodes and tables */
    size_t batch;
    enum cuda_type type;
    bool tf32;                 /* fp32 products may use tf32 */
    float *gradient, *buffers; /* borrowed, device memory */
    struct memory_plan plan;
    struct cuda_value *values; /* owned (node_count + 1) */
    struct cuda_op *ops;       /* owned (node_count) */
    /* working copy */
    struct cuda_weight *weights; /* owned (parameter_count) */
    struct cuda_tile *tiles;     /* owned (tile_count), device memory */
    size_t tile_count;
    struct cuda_working working; /* owned, device memory */
    bool plans_only;             /* no device memory is allocated */
    size_t working_bytes;
    /* fp16 */
    struct cuda_scaling *scaling; /* owned, device memory; NULL: gradients are not scaled */
    uint64_t scaled;              /* training pass after which the scale was last looked at */
    /* inputs */
    size_t step_bytes;
    struct cuda_step *step; /* owned, device memory */
    unsigned char *slots;   /* owned (CUDA_INPUT_SLOTS × step_bytes), pinned */
    float *planes[2];       /* owned (batch, C, H, W), device memory; NULL until a batch of images comes */
    float *plane_slots[2];  /* owned, pinned; likewise */
    cudaEvent_t slot_free[CUDA_INPUT_SLOTS], planes_free[2], planes_here;
    uint64_t plane_batches;
    /* outcomes */
    struct cuda_outcome *outcomes; /* owned (NET_RESULTS), pinned and mapped */
    struct cuda_outcome *outcomes_on_device;
    uint64_t serial; /* of the last forward pass; the first is 1 */
    cudaEvent_t
        passed[NET_RESULTS]; /* forward pass k, and the backward pass after it, are done: place k mod NET_RESULTS */
    /* scratch */
    float *losses;
    uint8_t *places;
    int workspace; /* buffer of the plan: the largest that a library asks for */
    size_t workspace_bytes;
    /* graphs */
    cudaGraphExec_t forward_graph, backward_graph; /* owned; NULL until captured */
    uint64_t trained;                              /* forward passes in NET_TRAIN so far */
    uint64_t last_trained;                         /* the device's count of them with this net's last one */
    enum net_mode mode;                            /* of the last forward pass */
    cudaEvent_t done;                              /* of what was last enqueued on the compute stream */
};

extern const struct cuda_op_class cuda_conv_class, cuda_norm_class, cuda_relu_class, cuda_max_pool_class,
    cuda_average_pool_class, cuda_linear_class, cuda_dropout_class, cuda_quadratic_class;

static inline struct cuda_value *cuda_input(struct net *net, const struct cuda_op *op)
{
    return &net->values[op->node->input];
}

static inline struct cuda_value *cuda_output(struct net *net, const struct cuda_op *op)
{
    return &net->values[op->index + 1];
}

static inline int cuda_step_forward(const struct cuda_op *op)
{
    return 2 * op->index;
}

static inline int cuda_step_backward(const struct net *net, const struct cuda_op *op)
{
    return 2 * (2 * net->spec.node_count - op->index);
}

static inline void *cuda_pointer(const struct net *net, int buffer)
{
    return memory_plan_pointer(&net->plan, buffer);
}

static inline size_t cuda_value_count(const struct net *net, const struct cuda_value *value)
{
    return net->batch * (size_t)value->height * (size_t)value->width * (size_t)value->stored;
}

static inline size_t cuda_type_size(enum cuda_type type)
{
    return type == CUDA_FP32 ? 4 : 2;
}

static inline const float *cuda_unscale(const struct net *net)
{
    return net->scaling != NULL ? &net->scaling->unscale : NULL;
}

/* The value's gradient is of use to someone: not that of the pictures. */
static inline bool cuda_wants_gradient(const struct cuda_value *value)
{
    return value->producer >= 0;
}

/* The working copy of a parameter: of net->type, or fp32 where it is wide. */
void *cuda_net_weight(const struct net *net, int parameter);
/* The gradient of a parameter in the flat vector. */
float *cuda_net_gradient(const struct net *net, int parameter);
/* The parameter's gradient in the working layout, of `type`, into the flat gradient. */
enum status cuda_net_gather(const struct net *net, int parameter, enum cuda_type type, const void *d_working);

bool cuda_op_reads_output(const struct cuda_op *op);
/* The output has the given shape, the net's type (fp32 if it is the last value), and a buffer of its own. */
void cuda_net_output(struct net *net, struct cuda_op *op, int channels, int height, int width);
/* A place for `op`'s part of the gradient of `value`: the memory of buffer `over`, or new where that is NO_BUFFER. */
struct cuda_contribution cuda_net_contribute(struct net *net, struct cuda_op *op, struct cuda_value *value, int over);
/* One buffer with the whole gradient of the output. */
void *cuda_net_d_output(struct net *net, const struct cuda_op *op);
/* At least so many bytes of scratch for a library call, in any step. */
void cuda_net_need_workspace(struct net *net, size_t bytes);
static inline void *cuda_net_workspace(const struct net *net)
{
    return cuda_pointer(net, net->workspace);
}

/* cuda_weights.c: the table of tiles and the working copy's memory. */
enum status cuda_weights_create(struct net *net);
void cuda_weights_destroy(struct net *net);

/* cuda_step.c: a batch to the device, an outcome back. */
enum status cuda_step_create(struct net *net);
void cuda_step_destroy(struct net *net);
enum status cuda_step_bring(struct net *net, const struct net_batch *batch, uint64_t dropout_seed);
const int32_t *cuda_step_labels(const struct net *net);
enum status cuda_step_outcome(struct net *net, uint64_t serial, struct net_result *result);

/* A set of pictures in device memory. */
struct pictures {
    uint8_t *pixels;   /* owned, device memory */
    float *normalised; /* owned (channels, 256), device memory */
    int channels, height, width;
};

#endif
