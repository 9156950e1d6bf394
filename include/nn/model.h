/* Models: each writes a net_spec, the network as data that a device compiles.
 *
 * A model is one file in src/nn/ and one line in the list of models.c. Parameter names, shapes, counts and initial
 * distributions are torchvision's (PyTorch's defaults where torchvision sets none). */
#ifndef GRAPEVINE_NN_MODEL_H
#define GRAPEVINE_NN_MODEL_H

#include "base/status.h"
#include "device/net_spec.h"

struct model_params {
    const char *name;            /* of model_names() */
    int channels, height, width; /* of the data set's images */
    int class_count;
    double dropout;   /* rate in [0, 1) of the models that have dropout (vgg*, mlp); 0: none */
    int width_hidden; /* mlp: units of each hidden layer (256); convnet: channels of the first stage (16);
                         0: the model's own */
};

/* Build the network's description. STATUS_USAGE (logged): unknown model (nearest named), images that the
 * model cannot take (says which sizes it can, and which models can take them), a dropout or width that it has not. */
enum status model_build(const struct model_params *params, struct net_spec **out);
void model_destroy(struct net_spec *spec);

/* NULL-terminated: mlp convnet resnet20 resnet18 resnet34 resnet50 vgg13 vgg19. */
const char *const *model_names(void);

#endif
