/* Builds a net_spec node by node: tracks the shapes of values, registers parameters and buffers under
 * torchvision's names, and lays out their offsets at the end. Not a check of what the user asked for: models.c has
 * refused what a model cannot take before a builder is made, so what is wrong here is a bug and asserts.
 *
 * Nodes come in order of execution, tensors in order of registration, which must be torchvision's. Where the two
 * differ (the last norm of a residual block is registered before the shortcut that it adds) the tensors are
 * registered first, with spec_register_norm. */
#ifndef GRAPEVINE_NN_SPEC_BUILDER_H
#define GRAPEVINE_NN_SPEC_BUILDER_H

#include <stdbool.h>

#include "device/net_spec.h"

struct spec_builder {
    struct net_spec *spec; /* owned until spec_finish hands it over */
    int node_capacity, parameter_capacity, buffer_capacity;
    char scope[32]; /* put before every name: "layer1.0." */
};

/* Without its batch. */
struct value_shape {
    int channels, height, width;
};

struct conv_shape {
    int out_channels, kernel, stride, pad;
    bool bias;
};

/* Indices of what one batch norm owns. */
struct norm_tensors {
    int scale, shift;   /* parameters */
    int mean, variance; /* buffers */
};

enum { SPEC_IMAGES = 0 }; /* the value that is the batch of images */

/* `class_count` logits are expected of the last node (any number under NET_LOSS_SQUARED_NORM). */
void spec_begin(struct spec_builder *builder, const char *name, struct value_shape images, int class_count);
/* Lay out the vectors and hand the spec over; freed with model_destroy. */
struct net_spec *spec_finish(struct spec_builder *builder);

/* Cross-entropy unless this is called. */
void spec_set_loss(struct spec_builder *builder, enum net_loss loss);

/* From here on names start with this; "" ends it. */
void spec_set_scope(struct spec_builder *builder, const char *scope);

struct value_shape spec_shape(const struct spec_builder *builder, int value);

/* Each adds one node that reads the value `input`, and returns the value that it writes. */

/* Weights kaiming normal (fan out), bias zero: torchvision's ResNet and VGG. */
int spec_add_conv(struct spec_builder *builder, const char *name, int input, struct conv_shape shape);
/* norm + ReLU without a residual. */
int spec_add_norm_relu(struct spec_builder *builder, const char *name, int input);
/* `residual`: a value or NET_NONE. */
int spec_add_norm(struct spec_builder *builder, struct norm_tensors tensors, int input, int residual, bool relu);
struct norm_tensors spec_register_norm(struct spec_builder *builder, const char *name, int channels);
int spec_add_max_pool(struct spec_builder *builder, int input, int kernel, int stride, int pad);
int spec_add_adaptive_avg_pool(struct spec_builder *builder, int input, int out_size);
/* `init` of the weight: NET_INIT_UNIFORM_FAN_IN or NET_INIT_ZERO (the bias too), or NET_INIT_NORMAL_001 (the bias
 * zero). */
int spec_add_linear(struct spec_builder *builder, const char *name, int input, int out_channels, bool relu,
                    enum net_init init);
/* Returns `input` itself where the rate is 0. */
int spec_add_dropout(struct spec_builder *builder, int input, double rate);
/* Weights one. */
int spec_add_quadratic(struct spec_builder *builder, const char *name, int input, double condition);

#endif
