/* Images of any bytes (image_fuzz.h), from WebPs. */
#include "fuzz/image_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return image_fuzz(data, size);
}
