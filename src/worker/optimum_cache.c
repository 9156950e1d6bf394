/* A file of numbers under a key. */
#include "worker/optimum_cache.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/atomic_file.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"

static const uint64_t magic = UINT64_C(0x31304d5554504f47); /* "GOPTUM01" */

struct header {
    uint64_t magic, key, count;
};

static uint64_t digest_of(const struct header *header, const double *numbers)
{
    return digest_bytes(digest_bytes(0, header, sizeof *header), numbers, (size_t)header->count * sizeof *numbers);
}

static double *read_numbers(FILE *file, uint64_t key, size_t count)
{
    struct header header;
    uint64_t digest, more;
    if (fread(&header, sizeof header, 1, file) != 1 || header.magic != magic || header.key != key ||
        header.count != count)
        return NULL;
    double *numbers = memory_zalloc(count, sizeof *numbers);
    bool whole = fread(numbers, sizeof *numbers, count, file) == count && fread(&digest, sizeof digest, 1, file) == 1 &&
                 fread(&more, 1, 1, file) == 0;
    if (whole && digest == digest_of(&header, numbers))
        return numbers;
    free(numbers);
    return NULL;
}

double *optimum_cache_read(const char *path, uint64_t key, size_t count)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    double *numbers = read_numbers(file, key, count);
    fclose(file);
    if (numbers != NULL)
        utimensat(AT_FDCWD, path, NULL, 0); /* the oldest go first, when there are too many */
    else
        log_debug("%s is damaged, or of another minimiser", path);
    return numbers;
}

void optimum_cache_write(const char *path, uint64_t key, const double *numbers, size_t count)
{
    const struct header header = {.magic = magic, .key = key, .count = count};
    const uint64_t digest = digest_of(&header, numbers);
    struct atomic_file file;
    if (atomic_file_open(&file, path, LOG_DEBUG, "XDG_CACHE_HOME=…") != STATUS_OK)
        return;
    fwrite(&header, sizeof header, 1, file.stream);
    fwrite(numbers, sizeof *numbers, count, file.stream);
    fwrite(&digest, sizeof digest, 1, file.stream);
    atomic_file_commit(&file); /* finds what failed */
}
