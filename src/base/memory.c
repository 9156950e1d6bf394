/* Heap memory for set-up code. */
#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/quantity.h"
#include "base/status.h"

static struct {
    const char *what, *remedy;
} purpose = {"this command", "free some of the machine's memory, or raise the limit (ulimit -v)"};

void memory_set_purpose(const char *what, const char *remedy)
{
    purpose.what = what;
    purpose.remedy = remedy;
}

void memory_report(size_t bytes, const char *what)
{
    struct rlimit limit;
    char amount[32] = "memory", most[48] = "";
    if (bytes > 0)
        quantity_bytes(amount, (double)bytes);
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        snprintf(most, sizeof most, " (ulimit -v: %s)", quantity_bytes((char[32]){0}, (double)limit.rlim_cur));
    log_hold(false);
    log_on_this_rank(LOG_ERROR, "out of memory: %s for %s could not be had%s; %s", amount, what, most, purpose.remedy);
}

static void leave(void)
{
    fflush(NULL);
    _exit(STATUS_MACHINE); /* other threads may be in the midst of what exit handlers would take away */
}

static void *check(void *pointer, size_t count, size_t size)
{
    if (pointer == NULL) {
        memory_report(size > 0 && count > SIZE_MAX / size ? SIZE_MAX : count * size, purpose.what);
        leave();
    }
    return pointer;
}

bool memory_has_room(size_t bytes)
{
    void *trial = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (trial != MAP_FAILED)
        munmap(trial, bytes);
    return trial != MAP_FAILED;
}

/* std::set_terminate, as the Itanium ABI names it; absent where no C++ library is loaded. */
typedef void terminate_fn(void);
extern terminate_fn *_ZSt13set_terminatePFvvE(terminate_fn *handler) __attribute__((weak));

static void end_of_library(void)
{
    memory_report(0, "a library");
    leave();
}

void memory_guard_libraries(void)
{
    if (_ZSt13set_terminatePFvvE != NULL)
        _ZSt13set_terminatePFvvE(end_of_library);
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

static const size_t huge = (size_t)2 << 20; /* a page */

static size_t alignment_of(size_t bytes)
{
    return bytes >= 2 * huge ? huge : MEMORY_ALIGNMENT;
}

size_t memory_aligned_bytes(size_t bytes)
{
    size_t alignment = alignment_of(bytes);
    return (bytes + alignment - 1) / alignment * alignment;
}

/* NULL where there is none. */
static void *alloc_aligned(size_t bytes)
{
    size_t alignment = alignment_of(bytes), rounded = memory_aligned_bytes(bytes);
    void *pointer = rounded < bytes ? NULL : aligned_alloc(alignment, rounded > 0 ? rounded : alignment);
    if (pointer == NULL)
        return NULL;
    if (alignment == huge)
        madvise(pointer, rounded, MADV_HUGEPAGE);
    memset(pointer, 0, rounded);
    return pointer;
}

void *memory_alloc_aligned(size_t bytes)
{
    return check(alloc_aligned(bytes), bytes, 1);
}

void *memory_alloc_aligned_for(size_t bytes, const char *what, ...)
{
    char text[160];
    void *pointer = alloc_aligned(bytes);
    if (pointer != NULL)
        return pointer;
    va_list arguments;
    va_start(arguments, what);
    vsnprintf(text, sizeof text, what, arguments);
    va_end(arguments);
    memory_report(bytes, text);
    leave();
    return NULL;
}

void memory_free_aligned(void *pointer)
{
    free(pointer);
}
