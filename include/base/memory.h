/* Heap memory for set-up code.
 *
 * memory_* never return NULL: at set-up a process without memory has no better choice than one clear
 * message and exit status 4. The message comes out whatever the log holds back, on any rank, and the process ends at
 * once, whatever its other threads do. Nothing here is called in the steady state of a run. */
#ifndef GRAPEVINE_BASE_MEMORY_H
#define GRAPEVINE_BASE_MEMORY_H

#include <stdbool.h>
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
/* What memory_alloc_aligned takes for them. */
size_t memory_aligned_bytes(size_t bytes);
/* The same, and the message says what it was for: "activations of train.batch=%zu". */
void *memory_alloc_aligned_for(size_t bytes, const char *what, ...) __attribute__((format(printf, 2, 3)));

/* What memory is for where nothing else is said ("the run"), and what to do when there is none: the ends of the
 * message. Static texts, set once, by the command. */
void memory_set_purpose(const char *what, const char *remedy);

/* Log the message, for memory that a library could not have; `bytes` 0: it does not say how much. */
void memory_report(size_t bytes, const char *what);

/* Could this process map `bytes` more (ulimit -v)? Nothing is kept. */
bool memory_has_room(size_t bytes);

/* Let a C++ library that finds no memory end the process with the message too, not with an abort. */
void memory_guard_libraries(void);

#endif
