/* Small text services: a growing string, the nearest known name, numbers with units. */
#ifndef GRAPEVINE_BASE_TEXT_H
#define GRAPEVINE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing string. Start with {0}; `data` is NULL or NUL-terminated and owned. */
struct text {
    char *data;    /* owned */
    size_t length; /* without the NUL */
    size_t capacity;
};

void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_release(struct text *text);

/* The contents, or "" when nothing was added. Borrowed until the next text_add. */
const char *text_view(const struct text *text);

bool text_ends_with(const char *text, const char *suffix);

/* The name nearest to `word` by edit distance (insert, delete, replace, swap of neighbours), or NULL when
 * none is within a third of its length (at least 2 edits are allowed). */
const char *text_nearest(const char *word, const char *const *names, size_t name_count);

/* "a | b | c", for messages that list what is allowed. */
void text_add_list(struct text *text, const char *const *names, size_t name_count);

/* The word as a POSIX shell reads it back: in single quotes, where it needs any. */
void text_add_shell_word(struct text *text, const char *word);

/* Whole-string numbers: false when anything but white space is left over, or out of the type's range. */
bool text_parse_double(const char *word, double *value);
bool text_parse_int64(const char *word, int64_t *value);

/* Formatted copy on the heap, owned by the caller; aborts when memory is out. */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
