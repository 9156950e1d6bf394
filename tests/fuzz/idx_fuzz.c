/* MNIST's files, plain or compressed: the first two bytes say how much of the input is pictures. */
#include "data/dataset.h"
#include "fuzz/fuzz_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dataset_params params = {.name = "mnist", .path = fuzz_folder("mnist")};
    struct dataset *set = NULL;
    if (size < 2)
        return 0;
    size_t left = size - 2, split = ((size_t)data[0] << 8 | data[1]) % (left + 1);
    fuzz_write(params.path, "mnist/t10k-images-idx3-ubyte", data + 2, split);
    fuzz_write(params.path, "mnist/t10k-labels-idx1-ubyte", data + 2 + split, left - split);
    if (dataset_open(&params, &set) == STATUS_OK)
        dataset_close(set);
    return 0;
}
