/* A text file as its lines. */
#include "data/pack/text_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/memory.h"

static const char blanks[] = " \t\r\v\f";

static enum status report(const char *path, const char *trouble)
{
    log_error("%s: %s; a text file with one entry in a line is expected", path, trouble);
    return STATUS_DATA;
}

static enum status read_bytes(const char *path, FILE *stream, char **bytes, size_t *size)
{
    struct stat about;
    if (fstat(fileno(stream), &about) != 0 || !S_ISREG(about.st_mode))
        return report(path, "not a file");
    size_t room = (size_t)about.st_size;
    *bytes = memory_zalloc(room + 1, 1);
    errno = 0;
    *size = fread(*bytes, 1, room, stream);
    if (*size != room)
        return report(path, ferror(stream) ? strerror(errno) : "became shorter while it was read");
    if (memchr(*bytes, '\0', room) != NULL)
        return report(path, "has a NUL byte in it, so it is no plain text");
    return STATUS_OK;
}

static char *trim(char *line)
{
    line += strspn(line, blanks);
    size_t length = strlen(line);
    while (length > 0 && strchr(blanks, line[length - 1]) != NULL)
        length--;
    line[length] = '\0';
    return line;
}

static struct text_line *add_line(struct text_lines *lines, size_t *room)
{
    if (lines->count == *room) {
        *room = *room > 0 ? 2 * *room : 256;
        lines->lines = memory_realloc(lines->lines, *room, sizeof *lines->lines);
    }
    return &lines->lines[lines->count++];
}

static void split(struct text_lines *lines)
{
    size_t room = 0, number = 0;
    char *next = lines->bytes;
    if (strncmp(next, "\xef\xbb\xbf", 3) == 0)
        next += 3;
    while (next != NULL) {
        char *line = next;
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        number++;
        line = trim(line);
        if (*line != '\0')
            *add_line(lines, &room) = (struct text_line){.text = line, .number = number};
    }
}

enum status text_lines_read(const char *path, struct text_lines *out)
{
    struct text_lines lines = {0};
    size_t size;
    /* not to wait for whoever would write into a pipe */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    FILE *stream = file >= 0 ? fdopen(file, "r") : NULL;
    if (stream == NULL)
        return report(path, strerror(errno));
    enum status status = read_bytes(path, stream, &lines.bytes, &size);
    fclose(stream);
    if (status == STATUS_OK)
        split(&lines);
    if (status == STATUS_OK && lines.count == 0)
        status = report(path, "is empty");
    if (status != STATUS_OK) {
        text_lines_release(&lines);
        return status;
    }
    lines.path = memory_copy_text(path);
    *out = lines;
    return STATUS_OK;
}

void text_lines_release(struct text_lines *lines)
{
    free(lines->path);
    free(lines->bytes);
    free(lines->lines);
    *lines = (struct text_lines){0};
}
