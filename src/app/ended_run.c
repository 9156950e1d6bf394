/* Run directories, read when their runs are over. */
#include "app/ended_run.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/run_directory.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/config.h"

enum { SUMMARY_BYTES_MAX = 1 << 28 };

size_t run_key_count(void)
{
    return 1 + config_key_count();
}

const char *run_key_name(size_t key)
{
    return key == 0 ? "command" : config_key_name(key - 1);
}

size_t run_key_find(const char *name)
{
    size_t key = 0;
    while (key < run_key_count() && strcmp(run_key_name(key), name) != 0)
        key++;
    return key;
}

static bool begins(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

bool run_key_is_bookkeeping(size_t key)
{
    static const char *const names[] = {"seed", "data.path", "data.threads", "device.threads", "communication.limit_s"};
    const char *name = run_key_name(key);
    bool found = begins(name, "run.");
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        found = found || strcmp(name, names[k]) == 0;
    return found;
}

/* --- one run --- */

static bool is_simulated(const struct ended_run *run)
{
    return ended_run_has(run, "virtual_time");
}

static bool meets_in_pairs(const struct ended_run *run)
{
    const char *algorithm = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(run->summary, "algorithm"));
    return algorithm == NULL || strcmp(algorithm, "allreduce") != 0;
}

/* A key of exchanges between pairs. */
static bool concerns_pairs(const char *name)
{
    static const char *const others[] = {"communication.limit_s", "communication.bucket_bytes", "algorithm.name"};
    bool found = begins(name, "graph.") || begins(name, "communication.") || begins(name, "algorithm.");
    for (size_t k = 0; k < sizeof others / sizeof others[0]; k++)
        found = found && strcmp(name, others[k]) != 0;
    return found;
}

static bool has_effect(const struct ended_run *run, const char *name)
{
    if (begins(name, "simulate.") && !is_simulated(run))
        return false;
    return meets_in_pairs(run) || !concerns_pairs(name);
}

/* Without the quotes that YAML may need. */
static char *plain(const char *value)
{
    size_t length = strlen(value);
    bool quoted = length >= 2 && value[0] == '"' && value[length - 1] == '"';
    return quoted ? text_format("%.*s", (int)(length - 2), value + 1) : memory_copy_text(value);
}

static char *value_of(const struct ended_run *run, const struct config *config, size_t key)
{
    const char *name = run_key_name(key);
    if (key == 0)
        return memory_copy_text(is_simulated(run) ? "simulate" : "train");
    if (!has_effect(run, name))
        return NULL;
    if (strcmp(name, "train.workers") == 0 && ended_run_has(run, "workers"))
        return text_format("%.0f", ended_run_figure(run, "workers"));
    struct text text = {0};
    config_add_value(config, name, &text);
    char *value = plain(text_view(&text));
    text_release(&text);
    return value;
}

static enum status read_values(struct ended_run *run)
{
    struct config *config = config_create();
    char *path = run_directory_file(run->path, "config.yaml");
    enum status status = config_load(config, path);
    run->values = memory_zalloc(run_key_count(), sizeof run->values[0]);
    for (size_t key = 0; status == STATUS_OK && key < run_key_count(); key++)
        run->values[key] = value_of(run, config, key);
    free(path);
    config_destroy(config);
    return status;
}

/* The whole file, owned by the caller; NULL where there is none. */
static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *bytes = NULL;
    size_t length = 0, capacity = 0, got = 1;
    if (file == NULL)
        return NULL;
    while (got > 0 && length < SUMMARY_BYTES_MAX) {
        if (length + 1 >= capacity) {
            capacity = capacity > 0 ? 2 * capacity : 1 << 14;
            bytes = memory_realloc(bytes, capacity, 1);
        }
        got = fread(bytes + length, 1, capacity - length - 1, file);
        length += got;
    }
    bytes[length] = '\0';
    fclose(file);
    return bytes;
}

static enum status read_summary(struct ended_run *run, bool *missing)
{
    char *path = run_directory_file(run->path, "summary.json"), *bytes = read_file(path);
    enum status status = STATUS_OK;
    *missing = bytes == NULL;
    if (bytes != NULL) {
        run->summary = cJSON_Parse(bytes);
        if (!cJSON_IsObject(run->summary)) {
            log_error("%s: this is no JSON object, as a summary is: damaged or cut off; do the run again, or leave it "
                      "out",
                      path);
            status = STATUS_DATA;
        }
    }
    free(bytes);
    free(path);
    return status;
}

static void release_run(struct ended_run *run)
{
    for (size_t key = 0; run->values != NULL && key < run_key_count(); key++)
        free(run->values[key]);
    free(run->values);
    free(run->path);
    cJSON_Delete(run->summary);
}

static bool has_file(const char *folder, const char *name)
{
    char *path = run_directory_file(folder, name);
    bool found = access(path, F_OK) == 0;
    free(path);
    return found;
}

/* It has been named already. */
static bool is_there(const struct ended_runs *runs, const char *path)
{
    char *real = realpath(path, NULL);
    bool found = false;
    for (size_t k = 0; real != NULL && k < runs->count; k++) {
        char *other = realpath(runs->runs[k].path, NULL);
        found = found || (other != NULL && strcmp(real, other) == 0);
        free(other);
    }
    free(real);
    return found;
}

/* Adds the run, or says why it is left out. */
static enum status read_run(const char *command, const char *path, struct ended_runs *out)
{
    struct ended_run run = {.path = run_directory_file(path, "")};
    bool missing = !run_directory_done(path);
    run.path[strlen(run.path) - 1] = '\0'; /* the slash */
    bool twice = !missing && is_there(out, path);
    enum status status = STATUS_OK;
    if (missing)
        log_warning("%s: %s is left out: it has not ended well (see the file status in it)", command, run.path);
    else if (twice)
        log_warning("%s: %s was named before, and counts once", command, run.path);
    else
        status = read_summary(&run, &missing);
    missing = missing || twice;
    if (status == STATUS_OK && missing && !twice && run_directory_done(path))
        log_warning("%s: %s is left out: it has no summary.json", command, run.path);
    if (status == STATUS_OK && !missing)
        status = read_values(&run);
    if (status != STATUS_OK || missing) {
        release_run(&run);
        return status;
    }
    out->runs = memory_realloc(out->runs, out->count + 1, sizeof out->runs[0]);
    out->runs[out->count++] = run;
    return STATUS_OK;
}

/* --- all of them --- */

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* The runs in a folder, in the order of their names. */
static enum status read_folder(const char *command, const char *path, struct ended_runs *out)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, not_hidden, versionsort), found = 0;
    enum status status = STATUS_OK;
    const char *reason = count < 0 ? strerror(errno) : "it has no config.yaml, and no folder in it has one";
    for (int k = 0; k < count; k++) {
        char *run = run_directory_file(path, entries[k]->d_name);
        if (status == STATUS_OK && has_file(run, "config.yaml")) {
            status = read_run(command, run, out);
            found++;
        }
        free(run);
        free(entries[k]);
    }
    free((void *)entries);
    if (found == 0) {
        log_error("%s: %s is no run directory: %s; give run directories, or a folder of them", command, path, reason);
        return STATUS_USAGE;
    }
    return status;
}

enum status ended_runs_read(const char *command, char *const *paths, size_t path_count, struct ended_runs *out)
{
    *out = (struct ended_runs){0};
    for (size_t k = 0; k < path_count; k++) {
        bool is_run = has_file(paths[k], "config.yaml");
        TRY(is_run ? read_run(command, paths[k], out) : read_folder(command, paths[k], out));
    }
    if (out->count > 0)
        return STATUS_OK;
    log_error("%s: none of the runs has ended well; there is nothing to show", command);
    return STATUS_DATA;
}

void ended_runs_release(struct ended_runs *runs)
{
    for (size_t k = 0; k < runs->count; k++)
        release_run(&runs->runs[k]);
    free(runs->runs);
    *runs = (struct ended_runs){0};
}

double ended_run_figure(const struct ended_run *run, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(run->summary, name), *part;
    double sum = 0;
    if (cJSON_IsNumber(item))
        return item->valuedouble;
    if (!ended_run_has(run, name))
        return NAN;
    cJSON_ArrayForEach(part, item) sum += part->valuedouble;
    return sum / cJSON_GetArraySize(item);
}

bool ended_run_has(const struct ended_run *run, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(run->summary, name), *part;
    bool numbers = cJSON_IsArray(item) && cJSON_GetArraySize(item) > 0;
    cJSON_ArrayForEach(part, item) numbers = numbers && cJSON_IsNumber(part);
    return cJSON_IsNumber(item) || numbers;
}

const char *ended_run_name(const struct ended_run *run)
{
    const char *slash = strrchr(run->path, '/');
    return slash != NULL ? slash + 1 : run->path;
}
