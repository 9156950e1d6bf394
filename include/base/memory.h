/* Heap memory for set-up code.
 *
 * memory_* never return NULL: at set-up a process without memory has no better choice than one clear
 * message and exit status 4. Nothing here is called in the steady state of a run. */
#ifndef GRAPEVINE_BASE_MEMORY_H
#define GRAPEVINE_BASE_MEMORY_H

#include <stddef.h>

enum { MEMORY_ALIGNMENT = 64 }; /* bytes: one cache line, one AVX-512 register */

/* Zeroed memory for `count` items of `size` bytes, freed with free(). */
void *memory_zalloc(size_t count, size_t size);
void *memory_realloc(void *old, size_t count, size_t size);
char *memory_copy_text(const char *text); /* NULL stays NULL */

/* Zeroed memory aligned to MEMORY_ALIGNMENT (to 2 MiB, with huge pages asked for, from 4 MiB on).
 * Freed with memory_free_aligned; NULL is fine. */
void *memory_alloc_aligned(size_t bytes);
void memory_free_aligned(void *pointer);

#endif
