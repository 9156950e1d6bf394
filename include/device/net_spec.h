/* A network as data: what a model asks a device to compute.
 *
 * A model (nn/) writes a net_spec: a list of operations in order of execution, and the table of parameters
 * and buffers that they use. A backend (device/cpu, device/cuda) compiles it once for a batch size, choosing memory
 * layouts, fusions and the activation plan itself. This is the whole language between the two.
 *
 * Values: value 0 is the batch of images (batch, channels, height, width); node k writes value k + 1. Each value may be
 * read by any later node. The last node's value is the logits (batch, class_count), of which `loss` makes a number.
 * Shapes below omit the batch. Activations are what PyTorch calls NCHW, whatever the layout in memory. */
#ifndef GRAPEVINE_DEVICE_NET_SPEC_H
#define GRAPEVINE_DEVICE_NET_SPEC_H

#include <stdbool.h>
#include <stddef.h>

enum net_op {
    NET_CONV,              /* input (C, H, W), weight (K, C, kernel, kernel), optional bias (K): cross-correlation,
                              zero padding */
    NET_NORM,              /* batch norm over (batch, H, W) of each channel: scale, shift, running mean and variance;
                              optional residual added after it, then optional ReLU: y = relu(norm(x) + residual) */
    NET_RELU,              /* max(x, 0) */
    NET_MAX_POOL,          /* kernel, stride, padding; padding counts as −∞ */
    NET_ADAPTIVE_AVG_POOL, /* to (C, out_size, out_size): PyTorch's bins, floor(i·H/out) … ceil((i+1)·H/out) */
    NET_LINEAR,            /* input of any shape, flattened in (C, H, W) order, weight (K, C·H·W), optional bias (K);
                              optional ReLU */
    NET_DROPOUT,           /* training only: zero with probability `rate`, else divide by 1 − rate */
    NET_QUADRATIC          /* input of any shape, flattened in (C, H, W) order to (d), weight w (d):
                              y_k = √a_k (w_k − input_k), curvatures a_k falling geometrically from 1 to 1/condition:
                              a_k = condition^(−k/(d − 1)), a_0 = 1 */
};

/* The loss of one image from its logits y; that of a batch is their mean. */
enum net_loss {
    NET_LOSS_CROSS_ENTROPY, /* log Σ_c exp(y_c) − y_label */
    NET_LOSS_SQUARED,       /* ½ ‖y − e_label‖², e_label the one-hot vector of the label */
    NET_LOSS_SQUARED_NORM   /* ½ ‖y‖²: labels play no part, and no image counts as correct */
};

enum { NET_NONE = -1 };

struct net_node {
    enum net_op op;
    int input;               /* value index */
    int residual;            /* NET_NORM: value index or NET_NONE */
    bool relu;               /* NET_NORM, NET_LINEAR: fused ReLU */
    int out_channels;        /* NET_CONV, NET_LINEAR */
    int kernel, stride, pad; /* NET_CONV, NET_MAX_POOL: square */
    int out_size;            /* NET_ADAPTIVE_AVG_POOL */
    int weight, bias;        /* parameter indices or NET_NONE; NET_NORM: scale (γ) and shift (β) */
    int mean, variance;      /* NET_NORM: buffer indices (running statistics) */
    double epsilon;          /* NET_NORM: added to the variance, 1e-5 in torchvision */
    double momentum;         /* NET_NORM: running ← (1 − momentum)·running + momentum·batch, 0.1 in torchvision;
                                the batch variance enters the running one unbiased (n/(n−1)), as in PyTorch */
    double rate;             /* NET_DROPOUT */
    double condition;        /* NET_QUADRATIC: largest over smallest curvature, ≥ 1 */
    int channels, height, width; /* filled in by the builder: shape of the value this node writes */
};

/* How a parameter starts (nn/store.c draws it). */
enum net_init {
    NET_INIT_ZERO,
    NET_INIT_ONE,
    NET_INIT_KAIMING_NORMAL_FAN_OUT, /* N(0, 2/fan_out): torchvision's ResNet and VGG convolutions */
    NET_INIT_UNIFORM_FAN_IN, /* U(−1/√fan_in, 1/√fan_in): PyTorch's default, linear and convolution, weight and
                                        bias */
    NET_INIT_NORMAL_001      /* N(0, 0.01²): torchvision's VGG classifier */
};

/* A named tensor inside a flat vector, row-major in PyTorch's order (OIHW, OI). */
struct net_tensor {
    char name[64]; /* torchvision's: "layer1.0.conv1.weight" */
    int rank;      /* number of dimensions, 1 to 4 */
    size_t shape[4];
    size_t count;       /* product of the shape */
    size_t offset;      /* first element in the flat vector */
    bool decayed;       /* parameters: takes part in weight decay (not biases, not norm parameters) */
    enum net_init init; /* buffers: ZERO (running mean) or ONE (running variance) */
    size_t fan;         /* fan_out or fan_in as `init` needs it */
};

struct net_spec {
    char name[32];               /* "resnet18" */
    int channels, height, width; /* of one input image */
    int class_count;             /* elements of the last value; NET_LOSS_SQUARED_NORM: of whatever it is */
    enum net_loss loss;
    double label_smoothing; /* ε in [0, 1) of NET_LOSS_CROSS_ENTROPY, in NET_TRAIN passes alone: Σ_c q_c (log Σ exp(y) −
                               y_c) with q = (1 − ε) one-hot + ε/class_count, PyTorch's definition */
    int node_count;
    struct net_node *nodes;        /* owned, (node_count) */
    int parameter_count;           /* tensors */
    struct net_tensor *parameters; /* owned, (parameter_count), in torchvision's order; offsets: decayed ones first */
    int buffer_count;
    struct net_tensor *buffers; /* owned, (buffer_count): running statistics, in torchvision's order */
    size_t parameter_size;      /* elements of the flat parameter vector x */
    size_t decayed_size;        /* its first elements, the decayed ones: one boundary */
    size_t buffer_size;         /* elements of the flat buffer vector */
};

#endif
