/* A set of pictures kept on the GPU as bytes. */
#include "device/cuda/cuda_backend.h"
#include "device/cuda/cuda_net.h"

#include <stdlib.h>

#include "base/memory.h"

static enum status fill(const struct picture_bytes *bytes, struct pictures *pictures)
{
    size_t pixel_bytes = bytes->count * (size_t)bytes->channels * (size_t)bytes->height * (size_t)bytes->width;
    size_t table_bytes = (size_t)bytes->channels * 256 * sizeof(float);
    TRY(cuda_alloc(pixel_bytes, "the training pictures", &pictures->pixels));
    TRY(cuda_alloc(table_bytes, "the training pictures", &pictures->normalised));
    TRY_CUDA("copying the pictures", cudaMemcpy(pictures->pixels, bytes->pixels, pixel_bytes, cudaMemcpyHostToDevice));
    TRY_CUDA("copying the pictures",
             cudaMemcpy(pictures->normalised, bytes->normalised, table_bytes, cudaMemcpyHostToDevice));
    TRY_CUDA("copying the pictures", cudaDeviceSynchronize()); /* it was on no stream of ours */
    return STATUS_OK;
}

enum status cuda_picture_set_create(struct device *device, const struct picture_bytes *bytes, struct pictures **out)
{
    struct pictures *pictures = memory_zalloc(1, sizeof *pictures);
    (void)device;
    pictures->channels = bytes->channels;
    pictures->height = bytes->height;
    pictures->width = bytes->width;
    enum status status = fill(bytes, pictures);
    if (status != STATUS_OK)
        cuda_picture_set_destroy(pictures);
    else
        *out = pictures;
    return status;
}

void cuda_picture_set_destroy(struct pictures *pictures)
{
    if (pictures == NULL)
        return;
    cudaFree(pictures->pixels);
    cudaFree(pictures->normalised);
    free(pictures);
}
