/* A safetensors file: header, and the tensors that are in it. */
#include "app/safetensors.h"
#include "base/memory.h"
#include "fuzz/fuzz_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors_file *file = NULL;
    if (safetensors_open(fuzz_file(data, size), &file) != STATUS_OK)
        return 0;
    for (size_t k = 0; k < file->tensor_count; k++) {
        const struct safetensors_tensor *tensor = &file->tensors[k];
        if (tensor->count > size) /* not of this file's bytes: the reader must have refused it */
            abort();
        float *values = memory_zalloc((size_t)tensor->count + 1, sizeof values[0]);
        int64_t *wholes = memory_zalloc((size_t)tensor->count + 1, sizeof wholes[0]);
        if (tensor->type == SAFETENSORS_I64)
            (void)safetensors_read_int64(file, tensor, wholes);
        else
            (void)safetensors_read_floats(file, tensor, values);
        free(values);
        free(wholes);
    }
    (void)safetensors_metadata(file, "format");
    safetensors_close(file);
    return 0;
}
