/* Digests of bytes. */
#include "base/digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t digest_bytes(uint64_t before, const void *bytes, size_t count)
{
    return XXH3_64bits_withSeed(bytes, count, before);
}
