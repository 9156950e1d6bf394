/* CIFAR-10's binary files. */
#include "data/dataset.h"
#include "fuzz/fuzz_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dataset_params params = {.name = "cifar10", .path = fuzz_folder("cifar-10-batches-bin")};
    struct dataset *set = NULL;
    fuzz_write(params.path, "cifar-10-batches-bin/test_batch.bin", data, size);
    if (dataset_open(&params, &set) == STATUS_OK)
        dataset_close(set);
    return 0;
}
