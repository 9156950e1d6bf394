/* 64-bit digests of bytes (XXH3): equal bytes have equal digests; others differ, but for one chance in 2^64. They tell
 * accidents, not forgery. */
#ifndef GRAPEVINE_BASE_DIGEST_H
#define GRAPEVINE_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/* `before`: the digest of what comes before, so that pieces can be digested as they come; 0 at first. The cuts between
 * the pieces count. */
uint64_t digest_bytes(uint64_t before, const void *bytes, size_t count);

#endif
