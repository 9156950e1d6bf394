/* The index of packed photographs. Its checksum is set right first: what lies behind it is to be reached. */
#include <zlib.h>

#include "data/photos/photo_index_file.h"
#include "fuzz/fuzz_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct photo_index index;
    struct photo_origin origin;
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    fuzz_folder(NULL); /* no messages */
    if (bytes == NULL)
        abort();
    memcpy(bytes, data, size);
    if (size >= 4) {
        uint32_t checksum = (uint32_t)crc32_z(0, bytes, size - 4);
        for (int i = 0; i < 4; i++)
            bytes[size - 4 + (size_t)i] = (uint8_t)(checksum >> (8 * i));
    }
    if (photo_index_decode("index.bin", bytes, size, &index, &origin) == STATUS_OK) {
        size_t sum = 0; /* every name and class is there to its end */
        for (size_t i = 0; i < index.count; i++)
            sum += strlen(photo_name(&index, i)) + strlen(index.class_names[index.photos[i].label]);
        if (sum < 2 * index.count)
            abort();
        photo_index_release(&index);
    }
    free(bytes);
    return 0;
}
