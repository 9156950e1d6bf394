/* A table of texts, and the forms in which it is printed: Markdown, CSV and LaTeX (booktabs). */
#ifndef GRAPEVINE_SRC_APP_TEXT_TABLE_H
#define GRAPEVINE_SRC_APP_TEXT_TABLE_H

#include <stddef.h>
#include <stdio.h>

enum table_format { TABLE_MARKDOWN, TABLE_CSV, TABLE_LATEX };

/* Names of the formats, in the order of the enum, NULL-terminated; and the format of one of these. */
extern const char *const table_format_names[];
enum table_format table_format_of(const char *name);

/* Start with the number of columns alone; the first row is the heading. */
struct text_table {
    size_t column_count, label_count; /* the first columns are labels, and stand on the left */
    size_t cell_count;
    char **cells; /* owned (cell_count), row by row */
};

/* The next cell. */
void text_table_add(struct text_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_table_print(const struct text_table *table, enum table_format format, FILE *out);
void text_table_release(struct text_table *table);

#endif
