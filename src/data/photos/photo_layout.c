/* Where the splits of a set of photographs lie. */
#include "data/photos/photo_layout.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/photos/image.h"
#include "data/photos/photo_folder.h"

const char *const photo_test_folders[PHOTO_TEST_FOLDERS] = {"val", "valid", "validation", "test"};

static bool is_folder(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* "ROOT/NAME", the caller's, if that is a folder; else NULL. */
static char *folder_in(const char *root, const char *name)
{
    char *path = text_format("%s/%s", root, name);
    if (is_folder(path))
        return path;
    free(path);
    return NULL;
}

static bool holds_images(const char *folder)
{
    DIR *stream = opendir(folder);
    bool found = false;
    for (struct dirent *entry; stream != NULL && !found && (entry = readdir(stream)) != NULL;)
        found = photo_folder_is_name(entry->d_name);
    if (stream != NULL)
        closedir(stream);
    return found;
}

/* A folder in it has images, or it is packed. */
static bool is_split(const char *folder)
{
    char *index = text_format("%s/index.bin", folder);
    bool found = access(index, F_OK) == 0;
    free(index);
    DIR *stream = opendir(folder);
    for (struct dirent *entry; stream != NULL && !found && (entry = readdir(stream)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        char *class = text_format("%s/%s", folder, entry->d_name);
        found = entry->d_type != DT_REG && is_folder(class) && holds_images(class);
        free(class);
    }
    if (stream != NULL)
        closedir(stream);
    return found;
}

static char *find_root(const struct dataset_kind *kind, const struct dataset_params *params)
{
    bool named = params->folder != NULL && params->folder[0] != '\0';
    if (named)
        return text_format("%s/%s", params->path, params->folder);
    char *usual = folder_in(params->path, kind->folder);
    return usual != NULL ? usual : memory_copy_text(params->path);
}

static enum status report_nothing(const struct photo_layout *layout, const struct dataset_kind *kind,
                                  const struct dataset_params *params)
{
    const char *root = layout->root;
    char *below =
        strcmp(root, params->path) == 0 ? text_format("%s/%s/train/, ", root, kind->folder) : memory_copy_text("");
    log_error("%s: %s; looked for are %s%s/train/ (and " PHOTO_TEST_FOLDERS_TEXT ") with a folder for each class, or "
              "class folders in %s itself, with images (" IMAGE_ENDINGS_TEXT
              ") or packed: set data.path and data.folder",
              root, is_folder(root) ? "no photographs are in it" : "there is no such folder", below, root, root);
    free(below);
    return STATUS_DATA;
}

/* A folder for tests: val always, the others where they have class folders, since what is published as test/ often has
 * no labels. */
static char *find_test_folder(const char *root, int k)
{
    char *folder = folder_in(root, photo_test_folders[k]);
    if (folder == NULL || k == 0 || is_split(folder))
        return folder;
    free(folder);
    return NULL;
}

enum status photo_layout_find(const struct dataset_kind *kind, const struct dataset_params *params,
                              struct photo_layout *out)
{
    struct photo_layout layout = {.root = find_root(kind, params)};
    layout.training = folder_in(layout.root, "train");
    for (int k = 0; k < PHOTO_TEST_FOLDERS; k++) {
        char *folder = find_test_folder(layout.root, k);
        if (layout.test == NULL) {
            layout.test = folder;
            continue;
        }
        if (folder != NULL && layout.not_used == NULL)
            layout.not_used = photo_test_folders[k];
        free(folder);
    }
    if (layout.training == NULL && layout.test == NULL && is_split(layout.root))
        layout.training = memory_copy_text(layout.root);
    if (layout.training == NULL && layout.test == NULL) {
        enum status status = report_nothing(&layout, kind, params);
        photo_layout_release(&layout);
        return status;
    }
    *out = layout;
    return STATUS_OK;
}

void photo_layout_release(struct photo_layout *layout)
{
    free(layout->root);
    free(layout->training);
    free(layout->test);
    *layout = (struct photo_layout){0};
}
