/* The ranks' metrics put together: one line of each part is in memory at a time. */
#include "app/metrics_merge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/network_lines.h"
#include "app/run_directory.h"
#include "base/atomic_file.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

struct part {
    char *path;      /* owned */
    FILE *stream;    /* owned */
    char *line;      /* owned: the line that comes next */
    size_t capacity; /* of `line` */
    double time_s;   /* of the latest line; a line without a time takes the one before it */
};

char *metrics_part_path(const char *directory, int rank)
{
    char *name = text_format("metrics-%d.jsonl", rank), *path = run_directory_file(directory, name);
    free(name);
    return path;
}

/* Read the part's next whole line; false at its end. A line cut off by a full disk is left out. */
static bool advance(struct part *part)
{
    static const char key[] = "\"time\": ";
    for (ssize_t length; (length = getline(&part->line, &part->capacity, part->stream)) > 0;) {
        if (length < 2 || part->line[length - 1] != '\n' || part->line[length - 2] != '}')
            continue;
        const char *time = strstr(part->line, key);
        if (time != NULL)
            part->time_s = strtod(time + strlen(key), NULL);
        return true;
    }
    return false;
}

/* Every rank's file is open at once: allow as many as the system lets us. */
static void allow_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void merge_lines(struct part *parts, int size, struct network_lines *network, FILE *out)
{
    struct heap heap = {0};
    struct heap_event event;
    heap_reserve(&heap, (size_t)size);
    for (int rank = 0; rank < size; rank++)
        if (advance(&parts[rank]))
            heap_push(&heap, parts[rank].time_s, 0, (uint32_t)rank);
    while (heap_pop(&heap, &event)) {
        struct part *part = &parts[event.index];
        fputs(part->line, out);
        if (network != NULL)
            network_lines_add(network, part->line, out);
        if (advance(part))
            heap_push(&heap, part->time_s, 0, event.index);
    }
    heap_release(&heap);
}

static bool open_parts(struct part *parts, const char *directory, int size)
{
    for (int rank = 0; rank < size; rank++) {
        parts[rank].path = metrics_part_path(directory, rank);
        parts[rank].stream = fopen(parts[rank].path, "re");
        if (parts[rank].stream == NULL) {
            log_warning("metrics.jsonl is not written: cannot read %s: %s; what there is stays in metrics-*.jsonl",
                        parts[rank].path, strerror(errno));
            return false;
        }
    }
    return true;
}

bool metrics_merge(const char *directory, int size, const struct graph *graph)
{
    struct atomic_file file;
    struct part *parts = memory_zalloc((size_t)size, sizeof *parts);
    char *path = run_directory_file(directory, "metrics.jsonl");
    struct network_lines *network = graph != NULL ? network_lines_create(graph) : NULL;
    bool merged = false;
    allow_open_files();
    if (open_parts(parts, directory, size) && atomic_file_open(&file, path, LOG_WARNING, RUN_ELSEWHERE) == STATUS_OK) {
        merge_lines(parts, size, network, file.stream);
        merged = atomic_file_commit(&file) == STATUS_OK;
    }
    for (int rank = 0; rank < size; rank++) {
        if (parts[rank].stream != NULL)
            fclose(parts[rank].stream);
        free(parts[rank].line);
        free(parts[rank].path);
    }
    network_lines_destroy(network);
    free(parts);
    free(path);
    return merged;
}

void metrics_remove_parts(const char *directory, int size)
{
    for (int rank = 0; rank < size; rank++) {
        char *path = metrics_part_path(directory, rank);
        unlink(path);
        free(path);
    }
}

/* Does the line belong to the part of this rank? Lines about the network were made by the merge. */
static bool is_of(const char *line, int rank, int size)
{
    static const char key[] = "{\"rank\": ";
    char *end;
    if (size == 0)
        return true;
    if (strncmp(line, key, sizeof key - 1) != 0)
        return false;
    return strtol(line + sizeof key - 1, &end, 10) == rank && *end == ',';
}

static enum status write_part(FILE *merged, const char *directory, int rank, int size)
{
    struct atomic_file file;
    char *path = metrics_part_path(directory, rank), *line = NULL;
    size_t capacity = 0;
    enum status status = atomic_file_open(&file, path, LOG_ERROR, RUN_ELSEWHERE);
    free(path);
    TRY(status);
    rewind(merged);
    while (getline(&line, &capacity, merged) > 0)
        if (is_of(line, rank, size))
            fputs(line, file.stream);
    free(line);
    return atomic_file_commit(&file);
}

enum status metrics_take_apart(const char *directory, int size, uint64_t gradients)
{
    char *path = run_directory_file(directory, "metrics.jsonl");
    char *name = text_format("before-%012" PRIu64 "-metrics.jsonl", gradients);
    char *kept = run_directory_file(directory, name);
    FILE *merged = fopen(path, "re");
    enum status status = STATUS_OK;
    for (int rank = 0; merged != NULL && status == STATUS_OK && rank < (size > 0 ? size : 1); rank++)
        status = write_part(merged, directory, rank, size);
    if (merged != NULL && status == STATUS_OK && rename(path, kept) != 0) {
        atomic_file_complain(LOG_ERROR, kept, errno, RUN_ELSEWHERE);
        status = STATUS_MACHINE;
    }
    if (merged != NULL)
        fclose(merged);
    free(kept);
    free(name);
    free(path);
    return status;
}
