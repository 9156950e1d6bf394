/* Images of any bytes (image_fuzz.h), from PNGs. Checksums are set right after each change: else libpng would look at
 * nothing that was changed. */
#include <zlib.h>

#include "fuzz/image_fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

enum { MAGIC_BYTES = 8, AROUND_CHUNK = 12 }; /* length, type and checksum, four bytes each */

static uint32_t read_number(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    (void)seed;
    size = LLVMFuzzerMutate(data, size, max_size);
    for (size_t at = MAGIC_BYTES; at + AROUND_CHUNK <= size;) {
        uint32_t length = read_number(data + at);
        if (length > size - at - AROUND_CHUNK)
            break;
        uint32_t checksum = (uint32_t)crc32_z(0, data + at + 4, length + 4);
        for (int k = 0; k < 4; k++)
            data[at + 8 + length + (size_t)k] = (uint8_t)(checksum >> (24 - 8 * k));
        at += length + AROUND_CHUNK;
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return image_fuzz(data, size);
}
