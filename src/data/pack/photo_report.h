/* Files that a pack leaves out, as report.tsv has them: path below the split's folder, a tab, the reason. Private to
 * data/. */
#ifndef GRAPEVINE_SRC_DATA_PACK_PHOTO_REPORT_H
#define GRAPEVINE_SRC_DATA_PACK_PHOTO_REPORT_H

#include <stddef.h>

#include "base/status.h"

/* Start with {0}. */
struct photo_report {
    char **lines; /* owned (count), each owned: without its line break */
    size_t count, room;
};

/* Control characters become \t, \n, \r or \x1b, a backslash is doubled. */
void photo_report_add(struct photo_report *report, const char *path, const char *reason);
/* The lines of `from` too. */
void photo_report_add_all(struct photo_report *report, const struct photo_report *from);
/* The lines of a file, if it is there; they count as they are. STATUS_DATA (logged): it cannot be read. */
enum status photo_report_read(struct photo_report *report, const char *path);
/* Sorted by strcmp, each line once; `report` is so afterwards. STATUS_MACHINE (logged). */
enum status photo_report_write(struct photo_report *report, const char *path, const char *elsewhere);
void photo_report_release(struct photo_report *report);

#endif
