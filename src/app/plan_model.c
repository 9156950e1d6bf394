/* The network of a plan: what the configuration says of it, for the data set's pictures. */
#include "app/plan_model.h"

#include "app/plan_data.h"
#include "base/log.h"
#include "nn/model.h"

static struct model_params model_params(const struct plan *plan)
{
    const struct config *config = plan->config;
    return (struct model_params){
        .name = config->model.name,
        .channels = plan->test->channels,
        .height = plan->test->height,
        .width = plan->test->width,
        .class_count = plan->test->class_count,
        .dropout = config->model.dropout,
        .width_hidden = (int)config->model.width,
        .condition = config->model.condition,
        .label_smoothing = config->train.label_smoothing,
    };
}

enum status plan_model_build(struct plan *plan)
{
    const struct model_params params = model_params(plan);
    return model_build(&params, &plan->spec);
}

enum status plan_model_of_size(const void *context, int size, struct net_spec **out)
{
    const struct plan *plan = context;
    struct model_params params = model_params(plan);
    struct net_spec *spec;
    params.height = params.width = size;
    TRY(model_build(&params, &spec));
    if (model_same_parameters(plan->spec, spec)) {
        *out = spec;
        return STATUS_OK;
    }
    model_destroy(spec);
    log_error("data.size: %s has other parameters for pictures of %d × %d than for the tests' %d × %d; let pictures "
              "grow from a larger size, or choose a model.name that has the same for all (resnet*, vgg*, convnet)",
              plan->spec->name, size, size, plan->test->height, plan->test->width);
    return STATUS_USAGE;
}

enum status plan_model_check_sizes(const struct plan *plan)
{
    const struct picture_sizes sizes = plan_picture_sizes(plan);
    struct net_spec *spec;
    if (sizes.first == sizes.last)
        return STATUS_OK;
    TRY(plan_model_of_size(plan, sizes.first, &spec));
    model_destroy(spec);
    return STATUS_OK;
}
