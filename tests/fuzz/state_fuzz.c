/* A kept state. */
#include "app/state_file.h"
#include "fuzz/fuzz_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state_file *file = NULL;
    if (state_file_open(fuzz_file(data, size), &file) == STATUS_OK) {
        (void)state_file_first_number(file);
        state_file_close(file);
    }
    return 0;
}
