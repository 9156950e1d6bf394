/* One training step's forward and backward pass of a model on the CPU, from a raw file to a raw file, for
 * torch_parity.py. Not a test by itself.
 *
 *     net_dump MODEL BATCH FILE OUT
 *
 * FILE: int32 channels, height, width, classes; float64 label smoothing; float32 parameters and buffers, tensor by
 * tensor in net_spec's order; float32 images; int32 labels. OUT: float64 loss; float32 logits, gradients and buffers in
 * the same order, then logits in evaluation mode. Names and shapes of the tensors go to standard output. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "device/device.h"
#include "nn/model.h"

static void die(const char *what)
{
    fprintf(stderr, "net_dump: %s\n", what);
    exit(1);
}

static void must(enum status status, const char *what)
{
    if (status != STATUS_OK)
        die(what);
}

static void read_items(FILE *file, void *items, size_t size, size_t count)
{
    if (fread(items, size, count, file) != count)
        die("the input is short");
}

static void write_items(FILE *file, const void *items, size_t size, size_t count)
{
    if (fwrite(items, size, count, file) != count)
        die("cannot write the output");
}

static void read_tensors(FILE *file, const struct net_tensor *tensors, int count, float *vector)
{
    for (int i = 0; i < count; i++)
        read_items(file, vector + tensors[i].offset, sizeof(float), tensors[i].count);
}

static void write_tensors(FILE *file, const struct net_tensor *tensors, int count, const float *vector)
{
    for (int i = 0; i < count; i++)
        write_items(file, vector + tensors[i].offset, sizeof(float), tensors[i].count);
}

static void list_tensors(const char *kind, const struct net_tensor *tensors, int count)
{
    for (int i = 0; i < count; i++) {
        printf("%s %s", kind, tensors[i].name);
        for (int k = 0; k < tensors[i].rank; k++)
            printf(" %zu", tensors[i].shape[k]);
        printf("\n");
    }
}

/* What one step needs on both sides of the device. */
struct step {
    const struct device_ops *ops;
    struct device *device;
    const struct net_spec *spec;
    size_t batch;
    float *parameters, *gradient, *buffers; /* device memory */
    float *images;                          /* (batch, channels, height, width) */
    int32_t *labels;                        /* (batch) */
};

static void run(const struct step *step, FILE *out)
{
    const struct device_ops *ops = step->ops;
    const struct net_spec *spec = step->spec;
    struct net *net;
    struct net_batch batch = {.images = step->images, .labels = step->labels, .count = step->batch};
    struct net_result result;
    size_t logit_count = step->batch * (size_t)spec->class_count;
    float *logits = memory_zalloc(logit_count, sizeof(float));
    float *host = memory_zalloc(spec->parameter_size + spec->buffer_size, sizeof(float));

    must(ops->net_create(step->device, spec, step->batch, step->gradient, step->buffers, &net), "net_create");
    ops->net_cast(net, step->parameters);
    must(ops->net_forward(net, NET_TRAIN, &batch, 1, &result), "net_forward");
    ops->net_logits(net, logits);
    must(ops->net_backward(net, NULL, NULL), "net_backward");
    write_items(out, &result.loss, sizeof result.loss, 1);
    write_items(out, logits, sizeof(float), logit_count);
    ops->vector_read(step->device, step->gradient, spec->parameter_size, host);
    write_tensors(out, spec->parameters, spec->parameter_count, host);
    ops->vector_read(step->device, step->buffers, spec->buffer_size, host);
    write_tensors(out, spec->buffers, spec->buffer_count, host);

    must(ops->net_forward(net, NET_EVALUATE, &batch, 0, &result), "net_forward in evaluation mode");
    ops->net_logits(net, logits);
    write_items(out, logits, sizeof(float), logit_count);
    ops->net_destroy(net);
    free(logits);
    free(host);
}

static void load_and_run(struct step *step, FILE *in, FILE *out)
{
    const struct device_ops *ops = step->ops;
    const struct net_spec *spec = step->spec;
    size_t image_size = (size_t)spec->channels * (size_t)spec->height * (size_t)spec->width;
    float *host = memory_zalloc(spec->parameter_size + spec->buffer_size, sizeof(float));
    must(ops->vector_alloc(step->device, spec->parameter_size, &step->parameters), "vector_alloc");
    must(ops->vector_alloc(step->device, spec->parameter_size, &step->gradient), "vector_alloc");
    must(ops->vector_alloc(step->device, spec->buffer_size, &step->buffers), "vector_alloc");
    step->images = memory_zalloc(step->batch * image_size, sizeof(float));
    step->labels = memory_zalloc(step->batch, sizeof(int32_t));
    read_tensors(in, spec->parameters, spec->parameter_count, host);
    ops->vector_write(step->device, step->parameters, spec->parameter_size, host);
    read_tensors(in, spec->buffers, spec->buffer_count, host);
    ops->vector_write(step->device, step->buffers, spec->buffer_size, host);
    read_items(in, step->images, sizeof(float), step->batch * image_size);
    read_items(in, step->labels, sizeof(int32_t), step->batch);
    free(host);

    run(step, out);
    free(step->images);
    free(step->labels);
    ops->vector_free(step->device, step->parameters);
    ops->vector_free(step->device, step->gradient);
    ops->vector_free(step->device, step->buffers);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        die("usage: net_dump MODEL BATCH FILE OUT");
    long batch = strtol(argv[2], NULL, 10);
    FILE *in = fopen(argv[3], "rb"), *out = fopen(argv[4], "wb");
    if (batch < 1 || in == NULL || out == NULL)
        die("BATCH is not a number ≥ 1, or a file cannot be opened");
    int32_t header[4];
    double label_smoothing;
    read_items(in, header, sizeof header[0], 4);
    read_items(in, &label_smoothing, sizeof label_smoothing, 1);

    struct model_params model = {
        .name = argv[1],
        .channels = header[0],
        .height = header[1],
        .width = header[2],
        .class_count = header[3],
        .label_smoothing = label_smoothing,
    };
    struct net_spec *spec;
    must(model_build(&model, &spec), "model_build");
    list_tensors("parameter", spec->parameters, spec->parameter_count);
    list_tensors("buffer", spec->buffers, spec->buffer_count);

    struct step step = {.ops = device_choose("cpu"), .spec = spec, .batch = (size_t)batch};
    struct device_params device = {.name = "cpu", .threads = 2, .precision = "fp32"};
    if (step.ops == NULL)
        die("no CPU device");
    must(step.ops->create(&device, &step.device), "device create");
    load_and_run(&step, in, out);
    step.ops->destroy(step.device);
    model_destroy(spec);
    fclose(in);
    if (fclose(out) != 0)
        die("cannot write the output");
    return 0;
}
