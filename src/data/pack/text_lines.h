/* A text file as its lines. Private to data/. */
#ifndef GRAPEVINE_SRC_DATA_PACK_TEXT_LINES_H
#define GRAPEVINE_SRC_DATA_PACK_TEXT_LINES_H

#include <stddef.h>

#include "base/status.h"

struct text_line {
    char *text;    /* without blanks around it, and not empty */
    size_t number; /* in the file, from 1 */
};

struct text_lines {
    char *path;              /* owned */
    char *bytes;             /* owned: what the lines point into */
    struct text_line *lines; /* owned (count) */
    size_t count;
};

/* Lines end in LF or CR LF; those with blanks alone are left out, as is a byte order mark. STATUS_DATA (logged): it
 * cannot be read, is no file, has a NUL in it, or no line. */
enum status text_lines_read(const char *path, struct text_lines *out);
void text_lines_release(struct text_lines *lines);

#endif
