/* Heap memory for set-up code, and an arena for what is planned once. */
#include "base/memory.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/status.h"

static void *check(void *pointer, size_t bytes)
{
    if (pointer == NULL && bytes > 0) {
        log_on_this_rank(LOG_ERROR, "out of memory: %zu bytes could not be had; use a smaller batch, a smaller model "
                                    "or fewer ranks on this machine", bytes);
        exit(STATUS_MACHINE);
    }
    return pointer;
}

void *memory_zalloc(size_t count, size_t size)
{
    return check(calloc(count > 0 ? count : 1, size), count * size);
}

void *memory_realloc(void *old, size_t count, size_t size)
{
    assert(size == 0 || count <= SIZE_MAX / size);
    return check(realloc(old, count * size), count * size);
}

char *memory_copy_text(const char *text)
{
    return text == NULL ? NULL : check(strdup(text), strlen(text) + 1);
}

void *memory_alloc_aligned(size_t bytes)
{
    const size_t huge = (size_t)2 << 20;
    size_t alignment = bytes >= 2 * huge ? huge : MEMORY_ALIGNMENT;
    size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    void *pointer = check(aligned_alloc(alignment, rounded > 0 ? rounded : alignment), rounded);
    if (alignment == huge)
        madvise(pointer, rounded, MADV_HUGEPAGE);
    memset(pointer, 0, rounded);
    return pointer;
}

void memory_free_aligned(void *pointer)
{
    free(pointer);
}

void arena_init(struct arena *arena, size_t bytes)
{
    *arena = (struct arena){.base = memory_alloc_aligned(bytes), .size = bytes};
}

void *arena_take(struct arena *arena, size_t bytes)
{
    size_t rounded = (bytes + MEMORY_ALIGNMENT - 1) / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT;
    assert(arena->used + rounded <= arena->size);
    void *pointer = arena->base + arena->used;
    arena->used += rounded;
    return pointer;
}

void arena_release(struct arena *arena)
{
    memory_free_aligned(arena->base);
    *arena = (struct arena){0};
}
