/* What models.c knows of a model: one constant per name, defined in the file of its family. */
#ifndef GRAPEVINE_NN_MODEL_FAMILY_H
#define GRAPEVINE_NN_MODEL_FAMILY_H

#include <stdbool.h>

#include "nn/model.h"
#include "nn/spec_builder.h"

struct model_family {
    const char *name;
    int smallest;      /* least height and width of an image, pixels */
    bool has_dropout;  /* model_params.dropout means something */
    int width_default; /* of model_params.width_hidden; 0: the model has no width to choose */
    /* Add every node, the logits last; params->width_hidden is the user's or the default. */
    void (*build)(struct spec_builder *builder, const struct model_params *params);
};

#endif
