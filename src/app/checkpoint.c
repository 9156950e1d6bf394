/* Checkpoints: which tensor of a safetensors file is which part of the flat vectors. The format is safetensors.c's. */
#include "app/checkpoint.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/class_names.h"
#include "app/safetensors.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

enum {
    NAMED_MAX = 3, /* tensors of each kind that a message names */
    PAIRS_MAX = 12 /* of metadata; the last two are mean and deviation */
};

static const char mean_suffix[] = ".running_mean";
static const char tracked_suffix[] = ".num_batches_tracked";

/* "bn1.running_mean" → "bn1.num_batches_tracked"; owned by the caller. */
static char *tracked_name(const char *mean_name)
{
    return text_format("%.*s%s", (int)(strlen(mean_name) - strlen(mean_suffix)), mean_name, tracked_suffix);
}

static struct safetensors_entry float_entry(const struct net_tensor *tensor, const float *vector)
{
    return (struct safetensors_entry){.name = tensor->name,
                                      .type = SAFETENSORS_F32,
                                      .rank = tensor->rank,
                                      .shape = tensor->shape,
                                      .data = vector + tensor->offset};
}

/* "0.4914 0.4822 0.4465", in `out`. */
static const char *add_channels(struct text *out, const double *values, int channels)
{
    for (int c = 0; c < channels; c++)
        text_add(out, "%s%.17g", c > 0 ? " " : "", values[c]);
    return text_view(out);
}

static void add_numbers(struct text *text, int count, const double *numbers)
{
    for (int k = 0; k < count; k++)
        text_add(text, "%s%.9g", k > 0 ? ", " : "", numbers[k]);
}

/* As JSON, for whoever makes inputs elsewhere: of pixels scaled to [0, 1]. Owned by the caller. */
static char *normalization_of(const struct net_spec *spec, const struct checkpoint_info *info)
{
    struct text text = {0};
    if (info->input_mean == NULL)
        return memory_copy_text("null");
    text_add(&text, "{\"mean\": [");
    add_numbers(&text, spec->channels, info->input_mean);
    text_add(&text, "], \"std\": [");
    add_numbers(&text, spec->channels, info->input_deviation);
    text_add(&text, "]}");
    return text.data;
}

enum status checkpoint_write(const char *path, const struct net_spec *spec, const float *parameters,
                             const float *buffers, const struct checkpoint_info *info)
{
    size_t capacity = (size_t)spec->parameter_count + 2 * (size_t)spec->buffer_count, count = 0, tracked_count = 0;
    struct safetensors_entry *entries = memory_zalloc(capacity, sizeof *entries);
    char **tracked = memory_zalloc((size_t)spec->buffer_count, sizeof *tracked);
    for (int i = 0; i < spec->parameter_count; i++)
        entries[count++] = float_entry(&spec->parameters[i], parameters);
    for (int i = 0; i < spec->buffer_count; i++) {
        entries[count++] = float_entry(&spec->buffers[i], buffers);
        if (!text_ends_with(spec->buffers[i].name, mean_suffix))
            continue;
        tracked[tracked_count] = tracked_name(spec->buffers[i].name);
        entries[count++] = (struct safetensors_entry){
            .name = tracked[tracked_count++], .type = SAFETENSORS_I64, .data = &info->batches_tracked};
    }
    char epoch[32], classes[32], shape[64];
    char *normalization = normalization_of(spec, info);
    snprintf(epoch, sizeof epoch, "%.6g", info->epoch);
    snprintf(classes, sizeof classes, "%d", spec->class_count);
    snprintf(shape, sizeof shape, "[%d, %d, %d]", spec->channels, spec->height, spec->width);
    struct text mean = {0}, deviation = {0};
    struct safetensors_pair metadata[PAIRS_MAX] = {{"format", "pt"},
                                                   {"model", spec->name},
                                                   {"classes", classes},
                                                   {"data", info->data},
                                                   {"class_names", info->class_names != NULL ? info->class_names : ""},
                                                   {"input_shape", shape},
                                                   {"normalization", normalization},
                                                   {"epoch", epoch},
                                                   {"batch_norm", info->batch_norm},
                                                   {"grapevine", GRAPEVINE_VERSION}};
    size_t pairs = PAIRS_MAX - 2;
    if (info->mean != NULL) {
        metadata[pairs++] = (struct safetensors_pair){"mean", add_channels(&mean, info->mean, spec->channels)};
        metadata[pairs++] =
            (struct safetensors_pair){"deviation", add_channels(&deviation, info->deviation, spec->channels)};
    }
    enum status status = safetensors_write(path, entries, count, metadata, pairs, info->level);
    text_release(&mean);
    text_release(&deviation);
    for (size_t i = 0; i < tracked_count; i++)
        free(tracked[i]);
    free(normalization);
    free(tracked);
    free(entries);
    return status;
}

/* --- reading --- */

/* Names collected for the message, at most NAMED_MAX of them in full. */
struct findings {
    struct text missing, unexpected, different;
    size_t missing_count, unexpected_count, different_count;
};

static void __attribute__((format(printf, 3, 4))) note(struct text *text, size_t *count, const char *format, ...)
{
    char line[320];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (*count < NAMED_MAX)
        text_add(text, "%s%s", *count > 0 ? ", " : "", line);
    else if (*count == NAMED_MAX)
        text_add(text, ", ...");
    (*count)++;
}

static bool same_shape(const struct net_tensor *wanted, const struct safetensors_tensor *found, int first)
{
    if (wanted->rank != found->rank)
        return false;
    for (int i = first; i < wanted->rank; i++)
        if (wanted->shape[i] != found->shape[i])
            return false;
    return true;
}

static bool is_float(const struct safetensors_tensor *tensor)
{
    return tensor->type == SAFETENSORS_F32 || tensor->type == SAFETENSORS_F16 || tensor->type == SAFETENSORS_BF16;
}

static void compare(const struct safetensors_file *file, const struct net_tensor *wanted, struct findings *findings)
{
    char found_shape[128], wanted_shape[128];
    uint64_t shape[4];
    const struct safetensors_tensor *found = safetensors_find(file, wanted->name);
    for (int i = 0; i < wanted->rank; i++)
        shape[i] = wanted->shape[i];
    if (found == NULL)
        note(&findings->missing, &findings->missing_count, "%s", wanted->name);
    else if (!same_shape(wanted, found, 0) || !is_float(found))
        note(&findings->different, &findings->different_count, "%s is %s %s, expected F32 %s", wanted->name,
             found->type_name, safetensors_shape(found_shape, found->rank, found->shape),
             safetensors_shape(wanted_shape, wanted->rank, shape));
}

static bool is_known(const struct net_spec *spec, const char *name)
{
    for (int i = 0; i < spec->parameter_count; i++)
        if (strcmp(spec->parameters[i].name, name) == 0)
            return true;
    for (int i = 0; i < spec->buffer_count; i++) {
        const char *buffer = spec->buffers[i].name;
        if (strcmp(buffer, name) == 0)
            return true;
        size_t stem = strlen(buffer) - (text_ends_with(buffer, mean_suffix) ? strlen(mean_suffix) : 0);
        if (strncmp(buffer, name, stem) == 0 && strcmp(name + stem, tracked_suffix) == 0)
            return true;
    }
    return false;
}

/* The last layer, if it is linear: its weight and bias are the classification head. */
static bool is_head(const struct net_spec *spec, int parameter)
{
    if (spec->node_count == 0)
        return false;
    const struct net_node *last = &spec->nodes[spec->node_count - 1];
    return last->op == NET_LINEAR && (parameter == last->weight || parameter == last->bias);
}

/* The number of classes of the file's head where it alone differs from the spec's, else 0. */
static uint64_t other_class_count(const struct safetensors_file *file, const struct net_spec *spec)
{
    uint64_t class_count = 0;
    for (int i = 0; i < spec->parameter_count; i++) {
        if (!is_head(spec, i))
            continue;
        const struct net_tensor *wanted = &spec->parameters[i];
        const struct safetensors_tensor *found = safetensors_find(file, wanted->name);
        if (found == NULL || !is_float(found) || !same_shape(wanted, found, 1) || wanted->shape[0] == found->shape[0])
            return 0;
        if (class_count != 0 && class_count != found->shape[0])
            return 0;
        class_count = found->shape[0];
    }
    return class_count;
}

/* The depth of a ResNet by its blocks: two convolutions in each, three in a bottleneck, a stem and a head. */
static int resnet_depth(const struct safetensors_file *file)
{
    int per_block = safetensors_find(file, "layer1.0.conv3.weight") != NULL ? 3 : 2, blocks = 0;
    for (int stage = 1; stage <= 4; stage++)
        for (int block = 0;; block++, blocks++) {
            char name[64];
            snprintf(name, sizeof name, "layer%d.%d.conv1.weight", stage, block);
            if (safetensors_find(file, name) == NULL)
                break;
        }
    return blocks > 0 ? blocks * per_block + 2 : 0;
}

/* The depth of a VGG by its convolutions and linear layers. */
static int vgg_depth(const struct safetensors_file *file)
{
    int convolutions = 0, linear = 0;
    for (size_t i = 0; i < file->tensor_count; i++) {
        const struct safetensors_tensor *tensor = &file->tensors[i];
        convolutions += tensor->rank == 4 && strncmp(tensor->name, "features.", 9) == 0;
        linear += tensor->rank == 2 && strncmp(tensor->name, "classifier.", 11) == 0;
    }
    return convolutions >= 8 && linear > 0 ? convolutions + linear : 0;
}

/* What the file says it is, or what its tensors look like; "" where neither tells. */
static void guess_model(const struct safetensors_file *file, char out[64])
{
    const char *said = safetensors_metadata(file, "model");
    out[0] = '\0';
    if (said != NULL)
        safetensors_printable(out, said);
    else if (resnet_depth(file) > 0)
        snprintf(out, 64, "resnet%d", resnet_depth(file));
    else if (vgg_depth(file) > 0)
        snprintf(out, 64, "vgg%d", vgg_depth(file));
}

/* True, with a message, for what a run keeps to go on: a natural mistake, since it lies beside the models. */
static bool complain_of_state(const struct safetensors_file *file)
{
    if (safetensors_find(file, "digests") == NULL || safetensors_find(file, "numbers") == NULL)
        return false;
    log_error("%s is the state of a run, which --resume goes on from, and not a model: give final.safetensors, or a "
              "checkpoint of the run (run.checkpoint_every_epochs)",
              file->path);
    return true;
}

/* The one message about a file of another model. */
static void complain(const struct safetensors_file *file, const struct net_spec *spec, const struct findings *findings)
{
    struct text text = {0};
    char model[64];
    if (findings->missing_count > 0)
        text_add(&text, "; %zu missing: %s", findings->missing_count, text_view(&findings->missing));
    if (findings->different_count > 0)
        text_add(&text, "; %zu of another kind: %s", findings->different_count, text_view(&findings->different));
    if (findings->unexpected_count > 0)
        text_add(&text, "; %zu unexpected: %s", findings->unexpected_count, text_view(&findings->unexpected));
    guess_model(file, model);
    if (model[0] == '\0')
        text_add(&text, "; choose the model and data set that it was written for");
    else if (strcmp(model, spec->name) == 0)
        text_add(&text, "; it seems to be a %s for other pictures or classes: choose its data set with data.name=…",
                 model);
    else
        text_add(&text, "; it seems to be a %s: choose it with model.name=%s", model, model);
    log_error("%s does not fit the model %s with %d classes for %d×%d×%d pictures%s", file->path, spec->name,
              spec->class_count, spec->channels, spec->height, spec->width, text_view(&text));
    text_release(&text);
}

/* Does the file hold the model's tensors (the head apart, where it is left fresh) and no others? */
static enum status check(const struct safetensors_file *file, const struct net_spec *spec, bool fresh_head)
{
    struct findings findings = {0};
    char name[64];
    for (int i = 0; i < spec->parameter_count; i++)
        if (!fresh_head || !is_head(spec, i))
            compare(file, &spec->parameters[i], &findings);
    for (int i = 0; i < spec->buffer_count; i++)
        compare(file, &spec->buffers[i], &findings);
    for (size_t i = 0; i < file->tensor_count; i++)
        if (!is_known(spec, file->tensors[i].name))
            note(&findings.unexpected, &findings.unexpected_count, "%s",
                 safetensors_printable(name, file->tensors[i].name));
    bool fits = findings.missing_count + findings.different_count + findings.unexpected_count == 0;
    if (!fits && !complain_of_state(file))
        complain(file, spec, &findings);
    text_release(&findings.missing);
    text_release(&findings.different);
    text_release(&findings.unexpected);
    return fits ? STATUS_OK : STATUS_DATA;
}

/* Training would spread a value that is not finite, and the message would then blame the learning rate. */
static enum status check_finite(const struct safetensors_file *file, const struct safetensors_tensor *tensor,
                                const float *values)
{
    char name[64];
    for (uint64_t k = 0; k < tensor->count; k++) {
        if (isfinite(values[k]))
            continue;
        log_error("%s: tensor %s: element %" PRIu64 " of %" PRIu64 " is %s, and a model's values must be finite; take "
                  "a checkpoint from before training diverged",
                  file->path, safetensors_printable(name, tensor->name), k, tensor->count,
                  isnan(values[k]) ? "not a number" : "infinite");
        return STATUS_DATA;
    }
    return STATUS_OK;
}

static enum status read_tensor(struct safetensors_file *file, const struct net_tensor *tensor, float *vector)
{
    const struct safetensors_tensor *found = safetensors_find(file, tensor->name);
    TRY(safetensors_read_floats(file, found, vector + tensor->offset));
    return check_finite(file, found, vector + tensor->offset);
}

/* All values by way of memory of its own: the caller's vectors change only when everything was read. */
static enum status read_values(struct safetensors_file *file, const struct net_spec *spec, bool fresh_head,
                               float *parameters, float *buffers)
{
    enum status status = STATUS_OK;
    float *values = memory_zalloc(spec->parameter_size + spec->buffer_size, sizeof *values);
    float *statistics = values + spec->parameter_size;
    memcpy(values, parameters, spec->parameter_size * sizeof *values);
    for (int i = 0; i < spec->parameter_count; i++)
        if (!fresh_head || !is_head(spec, i))
            TRY_GOTO(read_tensor(file, &spec->parameters[i], values), free_values);
    for (int i = 0; i < spec->buffer_count; i++)
        TRY_GOTO(read_tensor(file, &spec->buffers[i], statistics), free_values);
    memcpy(parameters, values, spec->parameter_size * sizeof *values);
    if (spec->buffer_size > 0)
        memcpy(buffers, statistics, spec->buffer_size * sizeof *values);
free_values:
    free(values);
    return status;
}

/* --- names as PyTorch's wrappers write them --- */

/* Every tensor's name begins with it. */
static bool all_begin_with(const struct safetensors_file *file, const char *prefix)
{
    for (size_t i = 0; i < file->tensor_count; i++)
        if (strncmp(file->tensors[i].name, prefix, strlen(prefix)) != 0)
            return false;
    return file->tensor_count > 0;
}

/* DistributedDataParallel writes "module.conv1.weight", torch.compile "_orig_mod.conv1.weight", and both nest. What all
 * names begin with is taken off, so they stay in order. */
static void strip_wrappers(struct safetensors_file *file)
{
    static const char *const prefixes[] = {"module.", "_orig_mod."};
    struct text stripped = {0};
    for (size_t k = 0; k < sizeof prefixes / sizeof prefixes[0];) {
        if (!all_begin_with(file, prefixes[k])) {
            k++;
            continue;
        }
        text_add(&stripped, "%s", prefixes[k]);
        for (size_t i = 0; i < file->tensor_count; i++) {
            char *name = file->tensors[i].name, *rest = name + strlen(prefixes[k]);
            memmove(name, rest, strlen(rest) + 1);
        }
        k = 0;
    }
    if (stripped.length > 0)
        log_info("%s: its names begin with \"%s\", as DDP or torch.compile write them: read without", file->path,
                 text_view(&stripped));
    text_release(&stripped);
}

static enum status open_checkpoint(const char *path, struct safetensors_file **out)
{
    TRY(safetensors_open(path, out));
    strip_wrappers(*out);
    return STATUS_OK;
}

/* Every tensor by itself: no more than one is in memory. */
static enum status check_values(struct safetensors_file *file)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < file->tensor_count && status == STATUS_OK; i++) {
        const struct safetensors_tensor *tensor = &file->tensors[i];
        if (!is_float(tensor))
            continue;
        float *values = memory_zalloc(tensor->count, sizeof *values);
        status = safetensors_read_floats(file, tensor, values);
        if (status == STATUS_OK)
            status = check_finite(file, tensor, values);
        free(values);
    }
    return status;
}

enum status checkpoint_check(const char *path, const struct net_spec *spec, enum checkpoint_mode mode)
{
    struct safetensors_file *file;
    TRY(open_checkpoint(path, &file));
    enum status status = check(file, spec, mode == CHECKPOINT_INIT && other_class_count(file, spec) != 0);
    if (status == STATUS_OK)
        status = check_values(file);
    safetensors_close(file);
    return status;
}

/* The file's classes are not those of the data set: `how` they differ. */
static enum status meet_classes(const struct safetensors_file *file, const struct net_spec *spec,
                                enum checkpoint_mode mode, const char *how, bool *fresh_head)
{
    if (mode == CHECKPOINT_STRICT) {
        log_error("%s was trained on other classes than this data set has: %s; test it on the data that it was trained "
                  "on, or train anew from it (model.init)",
                  file->path, how);
        return STATUS_DATA;
    }
    for (int i = 0; i < spec->parameter_count; i++)
        *fresh_head |= is_head(spec, i);
    if (*fresh_head)
        log_info("%s was trained on other classes than this data set has: %s; its last layer starts fresh", file->path,
                 how);
    return STATUS_OK;
}

static enum status read_file(struct safetensors_file *file, const struct net_spec *spec,
                             const struct class_names *classes, enum checkpoint_mode mode, float *parameters,
                             float *buffers)
{
    struct text how = {0};
    uint64_t class_count = mode == CHECKPOINT_INIT ? other_class_count(file, spec) : 0;
    bool fresh_head = class_count != 0;
    enum status status = check(file, spec, fresh_head);
    if (status == STATUS_OK && classes != NULL &&
        class_names_differ(safetensors_metadata(file, "class_names"), classes, &how))
        status = meet_classes(file, spec, mode, text_view(&how), &fresh_head);
    else if (status == STATUS_OK && fresh_head)
        log_info("%s was trained for %" PRIu64 " classes, this data set has %d: its last layer starts fresh",
                 file->path, class_count, spec->class_count);
    text_release(&how);
    return status == STATUS_OK ? read_values(file, spec, fresh_head, parameters, buffers) : status;
}

enum status checkpoint_read(const char *path, const struct net_spec *spec, const struct class_names *classes,
                            enum checkpoint_mode mode, float *parameters, float *buffers)
{
    struct safetensors_file *file;
    TRY(open_checkpoint(path, &file));
    enum status status = read_file(file, spec, classes, mode, parameters, buffers);
    safetensors_close(file);
    return status;
}
