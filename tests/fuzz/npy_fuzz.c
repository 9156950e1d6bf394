/* NumPy's arrays: the first two bytes say how much of the input is images, the rest is labels. */
#include "data/dataset.h"
#include "data/npy_file.h"
#include "fuzz/fuzz_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dataset_params params = {.name = "npy", .path = fuzz_folder("npy"), .train = true, .test_share = 0.2};
    struct dataset *set = NULL;
    struct npy_header header;
    char trouble[NPY_TROUBLE_BYTES] = "";
    if (size < 2)
        return 0;
    size_t left = size - 2, split = ((size_t)data[0] << 8 | data[1]) % (left + 1);
    if (!npy_header_parse(data + 2, left, left, &header, trouble) && trouble[0] == '\0')
        abort();
    fuzz_write(params.path, "npy/x_train.npy", data + 2, split);
    fuzz_write(params.path, "npy/y_train.npy", data + 2 + split, left - split);
    if (dataset_open(&params, &set) == STATUS_OK)
        dataset_close(set);
    return 0;
}
