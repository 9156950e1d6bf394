/* The whole state of a run as a safetensors file: a tensor for each vector, one of numbers, one of digests.
 *
 *     "numbers" I64 (n)     the runtime's
 *     "digests" I64 (v + 1) of the vectors in the order of their names' appearance in "order", then of the numbers
 *     "order" in the metadata: the vectors' names, separated by spaces */
#include "app/state_file.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/run_directory.h"
#include "app/safetensors.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

static const char prefix[] = "state-", suffix[] = ".safetensors", format_name[] = "grapevine-state-1";

struct state_file {
    struct safetensors_file *file; /* owned */
    int64_t *numbers;              /* owned (number_count) */
    int64_t *digests;              /* owned (digest_count) */
    size_t number_count, digest_count;
    struct state_file_info info;
};

/* --- writing --- */

/* One vector on its way to the file. */
struct passage {
    const struct device_ops *ops;
    struct device *device;
    const struct run_state_vector *vector;
    int64_t *digest; /* where its digest goes */
};

static void fill(void *context, void *to)
{
    enum { PIECE = 1 << 20 };
    const struct passage *passage = context;
    size_t count = passage->vector->count;
    for (size_t first = 0; first < count; first += PIECE) /* the device may have something else to do in between */
        passage->ops->vector_read(passage->device, passage->vector->vector + first,
                                  count - first < PIECE ? count - first : PIECE, (float *)to + first);
    *passage->digest = (int64_t)digest_bytes(0, to, count * sizeof(float));
}

static char *path_of(const struct state_file_place *place, int rank, uint64_t gradients)
{
    struct text name = {0};
    text_add(&name, "%s%012" PRIu64, prefix, gradients);
    if (place->size > 0)
        text_add(&name, "-rank-%d-of-%d", rank, place->size);
    if (place->left_of > 0)
        text_add(&name, "-left-of-%d", place->left_of);
    text_add(&name, "%s", suffix);
    char *path = run_directory_file(place->directory, text_view(&name));
    text_release(&name);
    return path;
}

static enum status write_file(const char *path, const struct safetensors_entry *entries, size_t count,
                              const struct run_state *state, const struct state_origin *origin, enum log_level level)
{
    struct text order = {0}, names = {0};
    char bytes[32], gradients[32], before[32];
    for (size_t i = 0; i < state->vector_count; i++)
        text_add(&order, "%s%s", i > 0 ? " " : "", state->vectors[i].name);
    snprintf(bytes, sizeof bytes, "%" PRIu64, state->recorded);
    snprintf(gradients, sizeof gradients, "%" PRIu64, state->gradients);
    snprintf(before, sizeof before, "%" PRIu64, origin->gradients_before);
    class_names_write(&origin->classes, &names);
    const struct safetensors_pair metadata[] = {{"format", format_name},
                                                {"grapevine", GRAPEVINE_VERSION},
                                                {"gradients", gradients},
                                                {"gradients_before", before},
                                                {"metrics_bytes", bytes},
                                                {"order", text_view(&order)},
                                                {"class_names", text_view(&names)},
                                                {"train_data", origin->train_data},
                                                {"test_data", origin->test_data}};
    enum status status = safetensors_write(path, entries, count, metadata, sizeof metadata / sizeof metadata[0], level);
    text_release(&order);
    text_release(&names);
    return status;
}

static bool is_there(const struct state_file_place *place, int rank, uint64_t gradients)
{
    char *path = path_of(place, rank, gradients);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static int newest_first(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left < right) - (left > right);
}

/* Gradients of this process' own files, the newest first; owned by the caller. */
static size_t list_own(const struct state_file_place *place, uint64_t **out)
{
    DIR *folder = opendir(place->directory);
    size_t count = 0;
    *out = NULL;
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        uint64_t gradients;
        char *end;
        if (strncmp(entry->d_name, prefix, sizeof prefix - 1) != 0)
            continue;
        gradients = strtoull(entry->d_name + sizeof prefix - 1, &end, 10);
        char *path = path_of(place, place->rank, gradients);
        if (strcmp(path + strlen(path) - strlen(entry->d_name), entry->d_name) == 0) {
            *out = memory_realloc(*out, count + 1, sizeof **out);
            (*out)[count++] = gradients;
        }
        free(path);
    }
    if (folder != NULL)
        closedir(folder);
    if (count > 0)
        qsort(*out, count, sizeof **out, newest_first);
    return count;
}

static void remove_path(const char *path)
{
    if (unlink(path) != 0)
        log_warning("%s cannot be removed: %s", path, strerror(errno));
}

static void remove_own(const struct state_file_place *place, uint64_t gradients)
{
    char *path = path_of(place, place->rank, gradients);
    remove_path(path);
    free(path);
}

static bool all_are_there(const struct state_file_place *place, uint64_t gradients)
{
    for (int rank = 0; rank < place->size; rank++)
        if (!is_there(place, rank, gradients))
            return false;
    return true;
}

void state_file_prune(const struct state_file_place *place, int kept)
{
    uint64_t *own;
    size_t count = list_own(place, &own);
    int whole = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_whole = whole < kept && all_are_there(place, own[i]);
        whole += is_whole;
        if (i >= (size_t)kept && !is_whole)
            remove_own(place, own[i]);
    }
    free(own);
}

void state_file_forget_later(const struct state_file_place *place, uint64_t gradients)
{
    uint64_t *own;
    size_t count = list_own(place, &own);
    for (size_t i = 0; i < count && own[i] > gradients; i++)
        remove_own(place, own[i]);
    free(own);
}

enum status state_file_write(const struct state_file_place *place, const struct device_ops *ops, struct device *device,
                             const struct run_state *state, const struct state_origin *origin, enum log_level level)
{
    size_t count = state->vector_count, digest_count = count + 1, number_count = state->number_count;
    struct passage *passages = memory_zalloc(count, sizeof passages[0]);
    struct safetensors_entry *entries = memory_zalloc(count + 2, sizeof entries[0]);
    int64_t *digests = memory_zalloc(digest_count, sizeof digests[0]);
    for (size_t i = 0; i < count; i++) {
        const struct run_state_vector *vector = &state->vectors[i];
        passages[i] = (struct passage){.ops = ops, .device = device, .vector = vector, .digest = &digests[i]};
        entries[i] = (struct safetensors_entry){.name = vector->name,
                                                .type = SAFETENSORS_F32,
                                                .rank = 1,
                                                .shape = &vector->count,
                                                .fill = fill,
                                                .context = &passages[i]};
        if (ops->host_memory) { /* no copy */
            entries[i].data = vector->vector;
            digests[i] = (int64_t)digest_bytes(0, vector->vector, vector->count * sizeof(float));
        }
    }
    digests[count] = (int64_t)digest_bytes(0, state->numbers, number_count * sizeof state->numbers[0]);
    entries[count] = (struct safetensors_entry){
        .name = "numbers", .type = SAFETENSORS_I64, .rank = 1, .shape = &number_count, .data = state->numbers};
    entries[count + 1] = (struct safetensors_entry){
        .name = "digests", .type = SAFETENSORS_I64, .rank = 1, .shape = &digest_count, .data = digests};
    char *path = path_of(place, place->rank, state->gradients);
    enum status status = ops->health(device);
    if (status == STATUS_OK)
        status = write_file(path, entries, count + 2, state, origin, level);
    if (status == STATUS_OK)
        status = ops->health(device);
    free(path);
    free(digests);
    free(entries);
    free(passages);
    return status;
}

/* --- reading --- */

static enum status __attribute__((format(printf, 2, 3))) refuse(const struct state_file *file, const char *format, ...)
{
    char what[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    log_error("%s cannot be gone on from: %s; move it away, so that --resume auto takes the state before it, or start "
              "anew in "
              "another folder",
              file->file->path, what);
    return STATUS_DATA;
}

static enum status read_whole_numbers(struct state_file *file, const char *name, int64_t **out, size_t *count)
{
    const struct safetensors_tensor *tensor = safetensors_find(file->file, name);
    if (tensor == NULL || tensor->type != SAFETENSORS_I64 || tensor->rank != 1 || tensor->count == 0)
        return refuse(file, "it has no whole numbers \"%s\"", name);
    *count = (size_t)tensor->count;
    *out = memory_zalloc(*count, sizeof **out);
    return safetensors_read_int64(file->file, tensor, *out);
}

/* A whole number of the metadata. */
static enum status read_count(const struct state_file *file, const char *key, uint64_t *out)
{
    const char *text = safetensors_metadata(file->file, key);
    int64_t value;
    if (text == NULL || !text_parse_int64(text, &value) || value < 0)
        return refuse(file, "its header has no whole number \"%s\"", key);
    *out = (uint64_t)value;
    return STATUS_OK;
}

static enum status read_head(struct state_file *file)
{
    const char *format = safetensors_metadata(file->file, "format");
    if (format == NULL || strcmp(format, format_name) != 0)
        return refuse(file, "it is no state of a run");
    TRY(read_count(file, "gradients", &file->info.gradients));
    TRY(read_count(file, "metrics_bytes", &file->info.metrics_bytes));
    TRY(read_count(file, "gradients_before", &file->info.gradients_before));
    TRY(read_whole_numbers(file, "numbers", &file->numbers, &file->number_count));
    TRY(read_whole_numbers(file, "digests", &file->digests, &file->digest_count));
    uint64_t digest = digest_bytes(0, file->numbers, file->number_count * sizeof file->numbers[0]);
    if ((uint64_t)file->digests[file->digest_count - 1] != digest)
        return refuse(file, "its numbers have changed since they were written");
    return STATUS_OK;
}

/* Call visit(name, place) for each name of the order; false where one of the calls said so. */
typedef enum status visit_fn(struct state_file *file, const char *name, size_t place, void *context);

static enum status visit_order(struct state_file *file, visit_fn *visit, void *context)
{
    const char *order = safetensors_metadata(file->file, "order");
    char *copy = memory_copy_text(order != NULL ? order : ""), *rest = copy;
    enum status status = STATUS_OK;
    size_t place = 0;
    for (char *name; status == STATUS_OK && (name = strsep(&rest, " ")) != NULL && *name != '\0'; place++)
        status = place + 1 < file->digest_count ? visit(file, name, place, context)
                                                : refuse(file, "it has more vectors than digests");
    free(copy);
    if (status == STATUS_OK && place + 1 != file->digest_count)
        return refuse(file, "it has fewer vectors than digests");
    return status;
}

/* The vector of that name, into memory that the caller owns, checked. */
static enum status read_vector(struct state_file *file, const char *name, size_t place, float **out, size_t *count)
{
    const struct safetensors_tensor *tensor = safetensors_find(file->file, name);
    char shown[64];
    if (tensor == NULL)
        return refuse(file, "the vector \"%s\" is missing", safetensors_printable(shown, name));
    *count = (size_t)tensor->count;
    float *values = memory_alloc_aligned((*count + 1) * sizeof values[0]);
    enum status status = safetensors_read_floats(file->file, tensor, values);
    uint64_t digest = digest_bytes(0, values, *count * sizeof values[0]);
    if (status == STATUS_OK && digest != (uint64_t)file->digests[place])
        status = refuse(file, "the vector \"%s\" has changed since it was written", safetensors_printable(shown, name));
    if (status == STATUS_OK)
        *out = values;
    else
        memory_free_aligned(values);
    return status;
}

struct visit {
    state_file_visit_fn *visit;
    void *context;
};

static enum status show_vector(struct state_file *file, const char *name, size_t place, void *context)
{
    const struct visit *visit = context;
    float *values = NULL;
    size_t count = 0;
    TRY(read_vector(file, name, place, &values, &count));
    enum status status = visit->visit(visit->context, name, values, count);
    memory_free_aligned(values);
    return status;
}

enum status state_file_visit(struct state_file *file, state_file_visit_fn *visit, void *context)
{
    struct visit wrapped = {.visit = visit, .context = context};
    return visit_order(file, show_vector, &wrapped);
}

static enum status check_vector(struct state_file *file, const char *name, size_t place, void *context)
{
    float *values = NULL;
    size_t count = 0;
    (void)context;
    TRY(read_vector(file, name, place, &values, &count));
    memory_free_aligned(values);
    return STATUS_OK;
}

enum status state_file_open(const char *path, struct state_file **out)
{
    struct state_file *file = memory_zalloc(1, sizeof *file);
    enum status status = safetensors_open(path, &file->file);
    if (status == STATUS_OK)
        status = read_head(file);
    if (status == STATUS_OK)
        status = visit_order(file, check_vector, NULL);
    if (status == STATUS_OK)
        *out = file;
    else
        state_file_close(file);
    return status;
}

void state_file_remove_unfinished(const char *directory)
{
    DIR *folder = opendir(directory);
    if (folder == NULL)
        return;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        if (strstr(entry->d_name, ".safetensors.part-") != NULL) {
            char *path = run_directory_file(directory, entry->d_name);
            remove_path(path);
            free(path);
        }
    closedir(folder);
}

int state_file_list(const struct state_file_place *place, uint64_t out[STATE_FILES_MOST])
{
    uint64_t *own;
    size_t count = list_own(place, &own);
    int listed = 0;
    for (size_t i = 0; i < count && listed < STATE_FILES_MOST; i++) {
        if (all_are_there(place, own[i]))
            out[listed++] = own[i];
    }
    free(own);
    return listed;
}

enum status state_file_open_at(const struct state_file_place *place, uint64_t gradients, struct state_file **out)
{
    char *path = path_of(place, place->rank, gradients);
    enum status status = state_file_open(path, out);
    free(path);
    return status;
}

void state_file_close(struct state_file *file)
{
    if (file == NULL)
        return;
    if (file->file != NULL)
        safetensors_close(file->file);
    free(file->numbers);
    free(file->digests);
    free(file);
}

static enum status check_data(const struct state_file *file, const char *key, const char *set, const char *now)
{
    const char *was = safetensors_metadata(file->file, key);
    char shown[64];
    if (was == NULL || was[0] == '\0' || strcmp(was, now) == 0)
        return STATUS_OK;
    return refuse(file,
                  "it is not of this run: the %s data are others than those that it began with (data.*, and the seed "
                  "where they are drawn): %s were, %s are",
                  set, safetensors_printable(shown, was), now);
}

enum status state_file_check_origin(const struct state_file *file, const struct state_origin *origin)
{
    struct text how = {0};
    bool differ = class_names_differ(safetensors_metadata(file->file, "class_names"), &origin->classes, &how);
    enum status status = differ ? refuse(file, "the run began with other classes: %s", text_view(&how)) : STATUS_OK;
    text_release(&how);
    TRY(status);
    TRY(check_data(file, "train_data", "training", origin->train_data));
    return check_data(file, "test_data", "test", origin->test_data);
}

const char *state_file_path(const struct state_file *file)
{
    return file->file->path;
}

int64_t state_file_first_number(const struct state_file *file)
{
    return file->numbers[0];
}

struct state_file_info state_file_info(const struct state_file *file)
{
    return file->info;
}

struct target {
    const struct device_ops *ops;
    struct device *device;
    struct run_state *state;
};

static enum status set_vector(struct state_file *file, const char *name, size_t place, void *context)
{
    const struct target *to = context;
    const struct run_state_vector *wanted = place < to->state->vector_count ? &to->state->vectors[place] : NULL;
    float *values = NULL;
    size_t count = 0;
    if (wanted == NULL || strcmp(wanted->name, name) != 0)
        return refuse(file,
                      "it is of a run with other workers, another algorithm or another time: \"%s\" is there, "
                      "\"%s\" is expected",
                      name, wanted != NULL ? wanted->name : "nothing more");
    TRY(read_vector(file, name, place, &values, &count));
    enum status status = STATUS_OK;
    if (count != wanted->count)
        status = refuse(file, "it is of another model: \"%s\" has %zu elements, %zu are expected", name, count,
                        wanted->count);
    else
        to->ops->vector_write(to->device, wanted->vector, count, values);
    memory_free_aligned(values);
    return status;
}

enum status state_file_read(struct state_file *file, const struct device_ops *ops, struct device *device,
                            struct run_state *state)
{
    struct target target = {.ops = ops, .device = device, .state = state};
    if (file->number_count != state->number_count)
        return refuse(file, "it is of a run with another number of workers");
    memcpy(state->numbers, file->numbers, file->number_count * sizeof file->numbers[0]);
    if (file->digest_count != state->vector_count + 1)
        return refuse(file, "it has %zu vectors, %zu are expected", file->digest_count - 1, state->vector_count);
    return visit_order(file, set_vector, &target);
}
