/* Photographs that lie in a folder as files. */
#include "data/photos/photo_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/photos/image.h"
#include "data/photos/photo_builder.h"

struct entry {
    char *name; /* owned */
    bool folder;
};

struct entry_list {
    struct entry *entries; /* owned (count), by name */
    size_t count, room;
};

/* Where photographs go, and who is told of the rest. */
struct search {
    const char *folder; /* borrowed */
    photo_foreign_fn *foreign;
    void *context;
    struct photo_builder builder;
};

bool photo_folder_is_name(const char *name)
{
    return name[0] != '.' && image_has_ending(name);
}

/* A link or, on some file systems, anything needs a look to be known. A photograph's name is taken at its word instead:
 * there may be a million, and whoever reads it will find out. */
static bool is_folder(DIR *stream, const struct dirent *entry)
{
    struct stat about;
    if (entry->d_type == DT_DIR || entry->d_type == DT_REG)
        return entry->d_type == DT_DIR;
    return !photo_folder_is_name(entry->d_name) && fstatat(dirfd(stream), entry->d_name, &about, 0) == 0 &&
           S_ISDIR(about.st_mode);
}

static void release_entries(struct entry_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->entries[i].name);
    free(list->entries);
}

static void add_entry(struct entry_list *list, DIR *stream, const struct dirent *entry)
{
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return;
    if (list->count == list->room) {
        list->room = list->room > 0 ? 2 * list->room : 256;
        list->entries = memory_realloc(list->entries, list->room, sizeof *list->entries);
    }
    list->entries[list->count++] =
        (struct entry){.name = memory_copy_text(entry->d_name), .folder = is_folder(stream, entry)};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static enum status list_entries(const char *folder, struct entry_list *out)
{
    struct entry_list list = {0};
    DIR *stream = opendir(folder);
    int reason = errno;
    if (stream != NULL) {
        errno = 0;
        for (struct dirent *entry; (entry = readdir(stream)) != NULL; errno = 0)
            add_entry(&list, stream, entry);
        reason = errno;
        closedir(stream);
    }
    if (reason != 0 || stream == NULL) {
        log_error("%s: %s; photographs are looked for in it: name a folder that is there and may be read", folder,
                  strerror(reason));
        release_entries(&list);
        return STATUS_DATA;
    }
    if (list.count > 0)
        qsort(list.entries, list.count, sizeof *list.entries, by_name);
    *out = list;
    return STATUS_OK;
}

static void tell(const struct search *search, const char *class, const char *name, const char *reason)
{
    char *path = class == NULL ? memory_copy_text(name) : text_format("%s/%s", class, name);
    search->foreign(search->context, path, reason);
    free(path);
}

/* Why an entry is no photograph, NULL if it is one. */
static const char *foreign_reason(const struct entry *entry)
{
    if (entry->name[0] == '.')
        return "is hidden";
    if (entry->folder)
        return "is a folder";
    return photo_folder_is_name(entry->name) ? NULL : "has the name of no photograph (" IMAGE_ENDINGS_TEXT ")";
}

/* All that lies in FOLDER/CLASS, or in FOLDER where class is NULL. */
static void take_photographs(struct search *search, const char *class, const struct entry_list *list, int label)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *reason = foreign_reason(&list->entries[i]);
        if (reason == NULL)
            photo_builder_add(&search->builder, class, list->entries[i].name)->label = label;
        else
            tell(search, class, list->entries[i].name, reason);
    }
}

static enum status search_class(struct search *search, const char *class, int label, bool empty_too)
{
    struct entry_list list;
    size_t before = search->builder.index.count;
    char *path = text_format("%s/%s", search->folder, class);
    enum status status = list_entries(path, &list);
    if (status == STATUS_OK) {
        take_photographs(search, class, &list, label);
        release_entries(&list);
        if (search->builder.index.count == before && !empty_too) {
            log_error("%s: a folder is a class, and there is no photograph (" IMAGE_ENDINGS_TEXT
                      ") in this one: add some, or take it away",
                      path);
            status = STATUS_DATA;
        }
    }
    free(path);
    return status;
}

/* The entries that are classes come first in `list` afterwards, in their order; the others have been told of. */
static size_t keep_class_folders(const struct search *search, struct entry_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct entry entry = list->entries[i];
        if (entry.folder && entry.name[0] != '.') {
            list->entries[i] = list->entries[kept];
            list->entries[kept++] = entry;
        } else {
            tell(search, NULL, entry.name, entry.name[0] == '.' ? "is hidden" : "is in no class folder");
        }
    }
    return kept;
}

static void set_classes(struct search *search, const struct entry_list *list, size_t count)
{
    const char **names = memory_zalloc(count, sizeof *names);
    for (size_t k = 0; k < count; k++)
        names[k] = list->entries[k].name;
    photo_builder_set_classes(&search->builder, names, count);
    free(names);
}

static enum status search_classes(struct search *search, const struct photo_index *classes, struct entry_list *list)
{
    size_t count = keep_class_folders(search, list);
    if (count == 0) {
        log_error("%s: no class folders in it; photographs are looked for as %s/CLASS/NAME.jpg, or, where a list of "
                  "their labels is given, as %s/NAME.jpg",
                  search->folder, search->folder, search->folder);
        return STATUS_DATA;
    }
    if (classes != NULL)
        photo_builder_copy_classes(&search->builder, classes);
    else
        set_classes(search, list, count);
    for (size_t k = 0; k < count; k++) {
        const char *class = list->entries[k].name;
        int label = photo_class(&search->builder.index, class);
        if (label < 0)
            return photo_class_missing(classes, class, search->folder);
        TRY(search_class(search, class, label, classes != NULL));
    }
    return STATUS_OK;
}

/* What was found, or why it is not enough. */
static enum status finish(struct search *search, enum status status, struct photo_index *out)
{
    if (status == STATUS_OK && search->builder.index.count == 0) {
        log_error("%s: no photograph (" IMAGE_ENDINGS_TEXT ") lies in it", search->folder);
        status = STATUS_DATA;
    }
    if (status != STATUS_OK) {
        photo_index_release(&search->builder.index);
        return status;
    }
    *out = search->builder.index;
    out->folder = memory_copy_text(search->folder);
    return STATUS_OK;
}

enum status photo_folder_classes(const char *folder, const struct photo_index *classes, photo_foreign_fn *foreign,
                                 void *context, struct photo_index *out)
{
    struct search search = {.folder = folder, .foreign = foreign, .context = context};
    struct entry_list list;
    TRY(list_entries(folder, &list));
    enum status status = search_classes(&search, classes, &list);
    release_entries(&list);
    return finish(&search, status, out);
}

enum status photo_folder_flat(const char *folder, photo_foreign_fn *foreign, void *context, struct photo_index *out)
{
    struct search search = {.folder = folder, .foreign = foreign, .context = context};
    struct entry_list list;
    TRY(list_entries(folder, &list));
    take_photographs(&search, NULL, &list, -1);
    release_entries(&list);
    return finish(&search, STATUS_OK, out);
}
