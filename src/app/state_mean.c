/* The mean model of a kept state. */
#include "app/state_mean.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/run_directory.h"
#include "app/state_file.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

static struct state_file_place place_of(const char *directory, const struct state_mean *of)
{
    return (struct state_file_place){
        .directory = directory, .size = of->simulated ? 0 : of->workers, .left_of = of->left_of};
}

/* Is there a whole state of such ranks (or of a simulation) after so many gradients? */
static bool is_whole(const char *directory, const struct state_mean *of)
{
    const struct state_file_place place = place_of(directory, of);
    uint64_t found[STATE_FILES_MOST];
    int count = state_file_list(&place, found);
    for (int i = 0; i < count; i++)
        if (found[i] == of->gradients)
            return true;
    return false;
}

/* Is this the name of the first part of a state? */
static bool take_name(const char *name, struct state_mean *of)
{
    int end = 0;
    *of = (struct state_mean){0};
    if (sscanf(name, "state-%" SCNu64 "-rank-0-of-%d-left-of-%d.safetensors%n", &of->gradients, &of->workers,
               &of->left_of, &end) != 3 &&
        sscanf(name, "state-%" SCNu64 "-rank-0-of-%d.safetensors%n", &of->gradients, &of->workers, &end) != 2)
        of->simulated = sscanf(name, "state-%" SCNu64 ".safetensors%n", &of->gradients, &end) == 1;
    return end > 0 && name[end] == '\0';
}

struct state_mean state_mean_find(const char *directory)
{
    struct state_mean newest = {0};
    DIR *folder = opendir(directory);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        struct state_mean one;
        if (!take_name(entry->d_name, &one) || (newest.workers > 0 && one.gradients <= newest.gradients))
            continue;
        if (is_whole(directory, &one))
            newest = one;
        if (newest.simulated)
            newest.workers = 1; /* at least: state_mean_read finds out */
    }
    if (folder != NULL)
        closedir(folder);
    return newest;
}

/* Sums over workers, in float64. */
struct sums {
    double *parameters, *buffers; /* owned (parameter_size), (buffer_size) */
    int workers;
    const struct net_spec *spec;
};

static void add(double *sums, const float *values, size_t count)
{
    for (size_t k = 0; k < count; k++)
        sums[k] += (double)values[k];
}

static bool ends_with(const char *name, const char *last)
{
    size_t length = strlen(name), tail = strlen(last);
    return strcmp(name, last) == 0 ||
           (length > tail && name[length - tail - 1] == '.' && strcmp(name + length - tail, last) == 0);
}

static enum status add_vector(void *context, const char *name, const float *values, size_t count)
{
    struct sums *sums = context;
    size_t wanted = ends_with(name, "x") ? sums->spec->parameter_size : sums->spec->buffer_size;
    if (!ends_with(name, "x") && !ends_with(name, "buffers"))
        return STATUS_OK;
    if (count != wanted) {
        log_error(
            "the kept state is of another model: \"%s\" has %zu elements, %zu are expected; set model and data as "
            "they were, or start anew in another folder",
            name, count, wanted);
        return STATUS_DATA;
    }
    sums->workers += ends_with(name, "x");
    add(ends_with(name, "x") ? sums->parameters : sums->buffers, values, count);
    return STATUS_OK;
}

static enum status add_part(const char *directory, const struct state_mean *mean, const struct state_origin *origin,
                            int rank, struct sums *sums)
{
    struct state_file_place place = place_of(directory, mean);
    place.rank = rank;
    struct state_file *file = NULL;
    TRY(state_file_open_at(&place, mean->gradients, &file));
    enum status status = state_file_check_origin(file, origin);
    if (status == STATUS_OK)
        status = state_file_visit(file, add_vector, sums);
    state_file_close(file);
    return status;
}

static void divide(const double *sums, int workers, size_t count, float *out)
{
    for (size_t k = 0; k < count; k++)
        out[k] = (float)(sums[k] / workers);
}

enum status state_mean_read(const char *directory, const struct state_mean *mean, const struct net_spec *spec,
                            const struct state_origin *origin, float *parameters, float *buffers)
{
    struct sums sums = {.spec = spec};
    enum status status = STATUS_OK;
    sums.parameters = memory_zalloc(spec->parameter_size, sizeof sums.parameters[0]);
    sums.buffers = memory_zalloc(spec->buffer_size + 1, sizeof sums.buffers[0]);
    for (int rank = 0; rank < (mean->simulated ? 1 : mean->workers) && status == STATUS_OK; rank++)
        status = add_part(directory, mean, origin, rank, &sums);
    if (status == STATUS_OK && sums.workers == 0) {
        log_error("%s: the kept state after %" PRIu64
                  " gradients holds no worker's parameters; start anew in another folder",
                  directory, mean->gradients);
        status = STATUS_DATA;
    }
    if (status == STATUS_OK) {
        divide(sums.parameters, sums.workers, spec->parameter_size, parameters);
        divide(sums.buffers, sums.workers, spec->buffer_size, buffers);
        log_info("the mean of %d workers after %" PRIu64 " gradients is the start of all; the rest begins anew",
                 sums.workers, mean->gradients);
    }
    free(sums.parameters);
    free(sums.buffers);
    return status;
}

enum status state_mean_keep_metrics(const char *directory, uint64_t gradients)
{
    DIR *folder = opendir(directory);
    enum status status = STATUS_OK;
    for (struct dirent *entry; folder != NULL && status == STATUS_OK && (entry = readdir(folder)) != NULL;) {
        if (strncmp(entry->d_name, "metrics", 7) != 0)
            continue;
        char *name = text_format("before-%012" PRIu64 "-%s", gradients, entry->d_name);
        char *from = run_directory_file(directory, entry->d_name), *to = run_directory_file(directory, name);
        if (rename(from, to) != 0) {
            atomic_file_complain(LOG_ERROR, to, errno, RUN_ELSEWHERE);
            status = STATUS_MACHINE;
        }
        free(name);
        free(from);
        free(to);
    }
    if (folder != NULL)
        closedir(folder);
    return status;
}
