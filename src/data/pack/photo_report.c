/* report.tsv, written and read. */
#include "data/pack/photo_report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

/* Takes over `line`. */
static void take_line(struct photo_report *report, char *line)
{
    if (report->count == report->room) {
        report->room = report->room > 0 ? 2 * report->room : 64;
        report->lines = memory_realloc(report->lines, report->room, sizeof *report->lines);
    }
    report->lines[report->count++] = line;
}

static void add_escaped(struct text *line, const char *text)
{
    static const char plain[] = "\t\n\r\\", names[] = "tnr\\";
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        const char *found = strchr(plain, byte);
        if (found != NULL)
            text_add(line, "\\%c", names[found - plain]);
        else if (byte < 0x20 || byte == 0x7f)
            text_add(line, "\\x%02x", byte);
        else
            text_add(line, "%c", byte);
    }
}

void photo_report_add(struct photo_report *report, const char *path, const char *reason)
{
    struct text line = {0};
    add_escaped(&line, path);
    text_add(&line, "\t");
    add_escaped(&line, reason);
    take_line(report, line.data);
}

void photo_report_add_all(struct photo_report *report, const struct photo_report *from)
{
    for (size_t i = 0; i < from->count; i++)
        take_line(report, memory_copy_text(from->lines[i]));
}

enum status photo_report_read(struct photo_report *report, const char *path)
{
    FILE *stream = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    if (stream == NULL && errno == ENOENT)
        return STATUS_OK;
    errno = 0;
    while (stream != NULL && getline(&line, &room, stream) > 0) {
        line[strcspn(line, "\n")] = '\0';
        take_line(report, memory_copy_text(line));
    }
    bool bad = stream == NULL || ferror(stream) != 0;
    if (bad)
        log_error("%s: %s; it is needed to go on: make it readable, or begin anew with --force", path, strerror(errno));
    if (stream != NULL)
        fclose(stream);
    free(line);
    return bad ? STATUS_DATA : STATUS_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_once(struct photo_report *report)
{
    size_t kept = 0;
    if (report->count > 0)
        qsort(report->lines, report->count, sizeof *report->lines, by_text);
    for (size_t i = 0; i < report->count; i++) {
        if (kept > 0 && strcmp(report->lines[kept - 1], report->lines[i]) == 0)
            free(report->lines[i]);
        else
            report->lines[kept++] = report->lines[i];
    }
    report->count = kept;
}

enum status photo_report_write(struct photo_report *report, const char *path, const char *elsewhere)
{
    struct atomic_file file;
    sort_once(report);
    TRY(atomic_file_open(&file, path, LOG_ERROR, elsewhere));
    for (size_t i = 0; i < report->count; i++)
        fprintf(file.stream, "%s\n", report->lines[i]);
    return atomic_file_commit(&file);
}

void photo_report_release(struct photo_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        free(report->lines[i]);
    free(report->lines);
    *report = (struct photo_report){0};
}
