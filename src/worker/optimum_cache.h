/* A file of numbers under a key, with a digest of its content: what a minimiser is made of again. Private to worker/.
 *
 * File: magic, key, count (64 bits each), the numbers (float64, as they lie in memory), digest of all before. */
#ifndef GRAPEVINE_WORKER_OPTIMUM_CACHE_H
#define GRAPEVINE_WORKER_OPTIMUM_CACHE_H

#include <stddef.h>
#include <stdint.h>

/* The numbers (count), owned by the caller; NULL where the file is none, another key's, or damaged. Nothing is logged
 * but at debug level. */
double *optimum_cache_read(const char *path, uint64_t key, size_t count);
/* Whole or not at all. A cache that cannot be written is none: said at debug level alone. */
void optimum_cache_write(const char *path, uint64_t key, const double *numbers, size_t count);

#endif
