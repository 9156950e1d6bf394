/* The list of models, and what the user gets wrong about them. What a model is made of stands in its family's file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "nn/model_family.h"

/* The visible list: a model is one constant NAME_model in a file beside this one, and one line here. */
#define MODELS(ENTRY) \
    ENTRY(mlp)        \
    ENTRY(convnet)    \
    ENTRY(resnet20)   \
    ENTRY(resnet18)   \
    ENTRY(resnet34)   \
    ENTRY(resnet50)   \
    ENTRY(vgg13)      \
    ENTRY(vgg19)      \
    ENTRY(quadratic)  \
    ENTRY(logistic)   \
    ENTRY(linear)

#define DECLARE(name) extern const struct model_family name##_model;
#define POINTER(name) &name##_model,
#define NAME(name) #name,

MODELS(DECLARE)

static const struct model_family *const families[] = {MODELS(POINTER)};
static const char *const names[] = {MODELS(NAME) NULL};

enum { MODEL_COUNT = sizeof families / sizeof families[0], MODEL_WIDTH_MAX = 16384 };

static const double condition_default = 10;

const char *const *model_names(void)
{
    return names;
}

/* Names of the models for which `fits` holds, as "a | b | c". */
static void list_models(struct text *list, bool (*fits)(const struct model_family *, int), int argument)
{
    const char *fitting[MODEL_COUNT];
    size_t count = 0;
    for (int i = 0; i < MODEL_COUNT; i++)
        if (fits(families[i], argument))
            fitting[count++] = families[i]->name;
    text_add_list(list, fitting, count);
}

static bool takes_size(const struct model_family *family, int size)
{
    return size >= family->smallest;
}

static bool takes_dropout(const struct model_family *family, int unused)
{
    (void)unused;
    return family->has_dropout;
}

static bool takes_width(const struct model_family *family, int unused)
{
    (void)unused;
    return family->width_default > 0;
}

static enum status find(const char *name, const struct model_family **out)
{
    for (int i = 0; i < MODEL_COUNT; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = families[i];
            return STATUS_OK;
        }
    struct text list = {0};
    text_add_list(&list, names, MODEL_COUNT);
    const char *nearest = text_nearest(name, names, MODEL_COUNT);
    if (nearest != NULL)
        log_error("model.name: there is no model \"%s\"; did you mean \"%s\"? Models: %s", name, nearest,
                  text_view(&list));
    else
        log_error("model.name: there is no model \"%s\". Models: %s", name, text_view(&list));
    text_release(&list);
    return STATUS_USAGE;
}

enum status model_check_name(const char *name)
{
    const struct model_family *family;
    return find(name, &family);
}

static enum status check_size(const struct model_family *family, const struct model_params *params)
{
    int size = params->height < params->width ? params->height : params->width;
    if (takes_size(family, size))
        return STATUS_OK;
    struct text list = {0};
    list_models(&list, takes_size, size);
    log_error("model.name: %s takes images of at least %d × %d pixels, this data set's have %d × %d (height × width). "
              "Models for them: %s",
              family->name, family->smallest, family->smallest, params->height, params->width, text_view(&list));
    text_release(&list);
    return STATUS_USAGE;
}

static enum status check_dropout(const struct model_family *family, const struct model_params *params)
{
    if (!(params->dropout >= 0 && params->dropout < 1)) {
        log_error("model.dropout: %g is not a rate in [0, 1)", params->dropout);
        return STATUS_USAGE;
    }
    if (params->dropout == 0 || family->has_dropout)
        return STATUS_OK;
    struct text list = {0};
    list_models(&list, takes_dropout, 0);
    log_error("model.dropout: %s has no dropout, so %g has no meaning; leave it at 0 or choose one of %s", family->name,
              params->dropout, text_view(&list));
    text_release(&list);
    return STATUS_USAGE;
}

static enum status check_width(const struct model_family *family, const struct model_params *params)
{
    if (params->width_hidden < 0 || params->width_hidden > MODEL_WIDTH_MAX) {
        log_error("model.width: %d is not in 0 … %d (0: the model's own)", params->width_hidden, MODEL_WIDTH_MAX);
        return STATUS_USAGE;
    }
    if (params->width_hidden == 0 || takes_width(family, 0))
        return STATUS_OK;
    struct text list = {0};
    list_models(&list, takes_width, 0);
    log_error("model.width: the width of %s is fixed, so %d has no meaning; leave it at 0 or choose one of %s",
              family->name, params->width_hidden, text_view(&list));
    text_release(&list);
    return STATUS_USAGE;
}

static enum status check_condition(const struct model_params *params)
{
    if (params->condition == 0 || (params->condition >= 1 && isfinite(params->condition)))
        return STATUS_OK;
    log_error("model.condition: %g is no ratio of largest to smallest curvature; it is 1 or more", params->condition);
    return STATUS_USAGE;
}

/* What the model's loss is stands in its specification alone. */
static enum status smooth_labels(const struct model_params *params, struct net_spec *spec)
{
    if (!(params->label_smoothing >= 0 && params->label_smoothing < 1)) {
        log_error("train.label_smoothing: %g is not a share in [0, 1)", params->label_smoothing);
        return STATUS_USAGE;
    }
    spec->label_smoothing = params->label_smoothing;
    if (params->label_smoothing == 0 || spec->loss == NET_LOSS_CROSS_ENTROPY)
        return STATUS_OK;
    log_error(
        "train.label_smoothing: %s is trained with a squared error, not with cross-entropy, so %g has no meaning; "
        "leave it at 0 or choose another model.name",
        spec->name, params->label_smoothing);
    return STATUS_USAGE;
}

enum status model_build(const struct model_params *params, struct net_spec **out)
{
    const struct model_family *family;
    TRY(find(params->name, &family));
    TRY(check_size(family, params));
    TRY(check_dropout(family, params));
    TRY(check_width(family, params));
    TRY(check_condition(params));
    struct spec_builder builder;
    struct value_shape images = {params->channels, params->height, params->width};
    spec_begin(&builder, family->name, images, params->class_count);
    struct model_params resolved = *params;
    if (resolved.width_hidden == 0)
        resolved.width_hidden = family->width_default;
    if (resolved.condition == 0)
        resolved.condition = condition_default;
    family->build(&builder, &resolved);
    struct net_spec *spec = spec_finish(&builder);
    enum status status = smooth_labels(params, spec);
    if (status == STATUS_OK)
        *out = spec;
    else
        model_destroy(spec);
    return status;
}

static bool same_tensors(int count, const struct net_tensor *one, const struct net_tensor *other)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(one[i].name, other[i].name) != 0 || one[i].rank != other[i].rank || one[i].offset != other[i].offset)
            return false;
        for (int k = 0; k < one[i].rank; k++)
            if (one[i].shape[k] != other[i].shape[k])
                return false;
    }
    return true;
}

bool model_same_parameters(const struct net_spec *one, const struct net_spec *other)
{
    return one->parameter_count == other->parameter_count && one->buffer_count == other->buffer_count &&
           one->decayed_size == other->decayed_size &&
           same_tensors(one->parameter_count, one->parameters, other->parameters) &&
           same_tensors(one->buffer_count, one->buffers, other->buffers);
}

void model_destroy(struct net_spec *spec)
{
    if (spec == NULL)
        return;
    free(spec->nodes);
    free(spec->parameters);
    free(spec->buffers);
    free(spec);
}
