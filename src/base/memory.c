/* Heap memory for set-up code. */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/status.h"

static void *check(void *pointer, size_t count, size_t size)
{
    if (pointer == NULL) {
        log_on_this_rank(LOG_ERROR,
                         "out of memory: %zu times %zu bytes could not be had; use a smaller batch, a smaller model "
                         "or fewer ranks on this machine",
                         count, size);
        exit(STATUS_MACHINE);
    }
    return pointer;
}

void *memory_zalloc(size_t count, size_t size)
{
    return check(calloc(count > 0 ? count : 1, size > 0 ? size : 1), count, size);
}

void *memory_realloc(void *old, size_t count, size_t size)
{
    size_t bytes = count * size;
    if (size > 0 && count > SIZE_MAX / size)
        return check(NULL, count, size);
    return check(realloc(old, bytes > 0 ? bytes : 1), count, size); /* realloc to 0 may free and return NULL */
}

char *memory_copy_text(const char *text)
{
    return text == NULL ? NULL : check(strdup(text), strlen(text) + 1, 1);
}

void *memory_alloc_aligned(size_t bytes)
{
    const size_t huge = (size_t)2 << 20;
    size_t alignment = bytes >= 2 * huge ? huge : MEMORY_ALIGNMENT;
    size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    if (rounded < bytes)
        return check(NULL, bytes, 1);
    void *pointer = check(aligned_alloc(alignment, rounded > 0 ? rounded : alignment), bytes, 1);
    if (alignment == huge)
        madvise(pointer, rounded, MADV_HUGEPAGE);
    memset(pointer, 0, rounded);
    return pointer;
}

void memory_free_aligned(void *pointer)
{
    free(pointer);
}
