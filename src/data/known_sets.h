/* The files of the published sets, known by the first labels in them: a set in another's place is noticed, and a file
 * that ends early. Sets that nobody has published are as good as any. Private to data/. */
#ifndef GRAPEVINE_SRC_DATA_KNOWN_SETS_H
#define GRAPEVINE_SRC_DATA_KNOWN_SETS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct known_file;

/* Of the published files the one whose labels begin so; NULL: none, or fewer labels than tell. */
const struct known_file *known_file_find(const int32_t *labels, size_t count);

/* How many labels the published file has. */
size_t known_file_count(const struct known_file *known);

/* STATUS_DATA (logged, with both names): the labels in `path`, which stands for file `file` of `set`, are those of
 * another published file. `set` is a name of the list in dataset.c. */
enum status known_file_expect(const char *set, const char *file, const char *path, const int32_t *labels, size_t count);

#endif
