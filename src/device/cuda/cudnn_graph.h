/* One convolution as a cuDNN operation graph: forward (also with the sums that a batch norm needs out of its epilogue,
 * or with a batch norm of known statistics in it), gradient of the input, gradient of the weights. Private to this
 * folder.
 *
 * cuDNN offers several engines for each. The first time that a shape is met on a kind of GPU they are measured, and the
 * choice is kept in a file (cudnn_choice.h): the next start makes that engine alone and measures nothing. */
#ifndef GRAPEVINE_DEVICE_CUDA_CUDNN_GRAPH_H
#define GRAPEVINE_DEVICE_CUDA_CUDNN_GRAPH_H

#include "device/cuda/cuda_device.h"

enum cudnn_pass {
    CUDNN_PASS_FORWARD,      /* y = conv(x, w) */
    CUDNN_PASS_FORWARD_SUMS, /* the same, and Σ y, Σ y² per channel, fp32 (channels) each */
    CUDNN_PASS_FORWARD_NORM, /* y = conv(x, w)·scale + shift, (+ residual), (ReLU): scale and shift per channel */
    CUDNN_PASS_DATA,         /* d_x of d_y, w */
    CUDNN_PASS_FILTER        /* d_w of x, d_y */
};

struct cudnn_conv {
    enum cudnn_pass pass;
    size_t batch;
    int in_channels, height, width, out_channels, out_height, out_width; /* x (N, H, W, C), y (N, P, Q, K) */
    int kernel, stride, pad;                                             /* w (K, R, R, C) */
    enum cuda_type type;
    enum cuda_type filter_type; /* of d_w: `type` or fp32 */
    bool tf32;
    bool residual, relu; /* of CUDNN_PASS_FORWARD_NORM */
};

/* The arrays of one call; those that the pass does not know are NULL. */
struct cudnn_arrays {
    void *x, *w, *y; /* the values, or where they are gradients, those */
    float *sum, *square_sum;
    float *scale, *shift; /* fp32 (channels) each */
    void *residual;       /* as y */
    void *workspace;
};

struct cudnn_plan;

/* Every engine that fits, or the one on file. NULL where cuDNN has none for this graph, which is no error yet: another
 * graph may do. A message of the level debug says why. */
struct cudnn_plan *cudnn_plan_create(struct device *device, const struct cudnn_conv *conv);
void cudnn_plan_destroy(struct cudnn_plan *plan); /* NULL is fine */

/* Most that any of its engines needs, so that they can be measured. */
size_t cudnn_plan_workspace(const struct cudnn_plan *plan);
/* Choose an engine: the one on file, or the fastest on these arrays. *seconds: how long it takes; INFINITY where none
 * of them runs after all. */
enum status cudnn_plan_choose(struct cudnn_plan *plan, const struct cudnn_arrays *arrays, double *seconds);
/* Enqueue on the compute stream. */
enum status cudnn_plan_run(struct cudnn_plan *plan, const struct cudnn_arrays *arrays);

/* What there is no engine for, in words. */
void cudnn_conv_describe(const struct cudnn_conv *conv, char text[160]);

#endif
