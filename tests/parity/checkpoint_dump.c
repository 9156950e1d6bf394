/* A checkpoint with values that checkpoint_torch.py knows, and the check of one that it wrote. Not a test by itself.
 *
 *     checkpoint_dump write MODEL CLASSES FILE
 *     checkpoint_dump check MODEL CLASSES FILE
 *
 * Element k of parameter j (in the order of net_spec) is 1000 j + k mod 1000; buffers count on after the parameters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/checkpoint.h"
#include "base/memory.h"
#include "nn/model.h"

static float known_value(int tensor, size_t element)
{
    return (float)(1000 * (size_t)tensor + element % 1000);
}

static void fill(const struct net_tensor *tensors, int count, int first, float *vector)
{
    for (int i = 0; i < count; i++)
        for (size_t k = 0; k < tensors[i].count; k++)
            vector[tensors[i].offset + k] = known_value(first + i, k);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: checkpoint_dump write|check MODEL CLASSES FILE\n");
        return 2;
    }
    const struct model_params params = {
        .name = argv[2], .channels = 3, .height = 32, .width = 32, .class_count = atoi(argv[3])};
    const struct checkpoint_info info = {
        .data = "cifar10", .batch_norm = "recomputed", .epoch = 1.5, .batches_tracked = 42};
    struct net_spec *spec;
    TRY(model_build(&params, &spec));
    float *parameters = memory_zalloc(spec->parameter_size, sizeof *parameters);
    float *buffers = memory_zalloc(spec->buffer_size, sizeof *buffers);
    fill(spec->parameters, spec->parameter_count, 0, parameters);
    fill(spec->buffers, spec->buffer_count, spec->parameter_count, buffers);
    if (strcmp(argv[1], "write") == 0)
        return (int)checkpoint_write(argv[4], spec, parameters, buffers, &info);
    float *read = memory_zalloc(spec->parameter_size, sizeof *read);
    float *read_buffers = memory_zalloc(spec->buffer_size, sizeof *read_buffers);
    TRY(checkpoint_read(argv[4], spec, NULL, CHECKPOINT_STRICT, read, read_buffers));
    bool same = memcmp(read, parameters, spec->parameter_size * sizeof *read) == 0 &&
                memcmp(read_buffers, buffers, spec->buffer_size * sizeof *read) == 0;
    return same ? 0 : 1;
}
