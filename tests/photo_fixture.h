/* What the tests of photographs share: a folder of their own, and messages as text. */
#ifndef GRAPEVINE_TESTS_PHOTO_FIXTURE_H
#define GRAPEVINE_TESTS_PHOTO_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "capture.h"

struct photo_fixture {
    char folder[64];
    struct capture capture;
};

static inline int photo_fixture_set_up(void **state)
{
    static struct photo_fixture fixture;
    strcpy(fixture.folder, "/tmp/grapevine-photo-XXXXXX");
    *state = &fixture;
    return mkdtemp(fixture.folder) == NULL;
}

static inline int photo_fixture_tear_down(void **state)
{
    struct photo_fixture *fixture = *state;
    char *command = text_format("rm -r %s", fixture->folder);
    int result = system(command);
    free(command);
    return result;
}

/* "FOLDER/NAME", the caller's to free. */
static inline char *photo_path(const struct photo_fixture *fixture, const char *name)
{
    return text_format("%s/%s", fixture->folder, name);
}

/* A file of `size` bytes, and the folders that it lies in. */
static inline void photo_write(const struct photo_fixture *fixture, const char *name, const void *bytes, size_t size)
{
    char *path = photo_path(fixture, name);
    for (char *slash = path + strlen(fixture->folder); (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    free(path);
}

static inline void photo_write_text(const struct photo_fixture *fixture, const char *name, const char *text)
{
    photo_write(fixture, name, text, strlen(text));
}

/* The message has each of the words, which are joined by '|'. */
static inline void photo_expect_message(const char *message, const char *words)
{
    char *copy = strdup(words), *rest = copy;
    for (char *word; (word = strsep(&rest, "|")) != NULL;)
        if (strstr(message, word) == NULL)
            fail_msg("\"%s\" is not in: %s", word, message);
    free(copy);
}

#endif
