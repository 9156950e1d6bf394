/* What the fuzz targets share: the input as a file in a folder of this process, and no messages. */
#ifndef GRAPEVINE_TESTS_FUZZ_FIXTURE_H
#define GRAPEVINE_TESTS_FUZZ_FIXTURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A folder in memory, made once; `inner` (or NULL) is made in it. */
static inline const char *fuzz_folder(const char *inner)
{
    static char folder[64];
    if (folder[0] != '\0')
        return folder;
    snprintf(folder, sizeof folder, "/dev/shm/grapevine-fuzz-%ld", (long)getpid());
    mkdir(folder, 0700);
    if (inner != NULL) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, inner);
        mkdir(path, 0700);
    }
    log_hold(true); /* messages are kept back, and dropped */
    return folder;
}

static inline void fuzz_write(const char *folder, const char *name, const uint8_t *data, size_t size)
{
    char path[192];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        abort();
}

static inline const char *fuzz_file(const uint8_t *data, size_t size)
{
    static char path[128];
    const char *folder = fuzz_folder(NULL);
    fuzz_write(folder, "input", data, size);
    snprintf(path, sizeof path, "%s/input", folder);
    return path;
}

#endif
