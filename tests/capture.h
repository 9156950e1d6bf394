/* What a test writes to standard error, as text: file descriptor 2 is pointed at a temporary file meanwhile. */
#ifndef GRAPEVINE_TESTS_CAPTURE_H
#define GRAPEVINE_TESTS_CAPTURE_H

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

struct capture {
    FILE *file;   /* owned */
    int standard; /* the real standard error */
    char text[65536];
};

static inline void capture_begin(struct capture *capture)
{
    fflush(stderr);
    capture->file = tmpfile();
    capture->standard = dup(STDERR_FILENO);
    int target = capture->file != NULL ? dup2(fileno(capture->file), STDERR_FILENO) : -1;
    assert(capture->standard >= 0 && target == STDERR_FILENO);
    (void)target;
}

/* What was written since capture_begin, cut at the size of `text`; borrowed. */
static inline const char *capture_end(struct capture *capture)
{
    fflush(stderr);
    dup2(capture->standard, STDERR_FILENO);
    close(capture->standard);
    rewind(capture->file);
    size_t length = fread(capture->text, 1, sizeof capture->text - 1, capture->file);
    capture->text[length] = '\0';
    fclose(capture->file);
    return capture->text;
}

#endif
