/* The run directory: made once, its status replaced at the end. */
#include "app/run_directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

char *run_directory_file(const char *path, const char *name)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    return text_format("%.*s/%s", (int)length, path, name);
}

/* mkdir -p: 0, or the errno of the part that could not be made. */
static int make_with_parents(const char *path)
{
    char *copy = memory_copy_text(path);
    int reason = 0;
    for (char *end = copy; reason == 0 && end != NULL;) {
        end = strchr(end + 1, '/');
        if (end != NULL)
            *end = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            reason = errno;
        if (end != NULL)
            *end = '/';
    }
    free(copy);
    return reason;
}

static bool is_lock(const char *name)
{
    static const char aside[] = "." RUN_LOCK_NAME "-";
    return strcmp(name, RUN_LOCK_NAME) == 0 || strncmp(name, aside, sizeof aside - 1) == 0;
}

/* What is in a folder, but for a lock. */
struct content {
    int config,
        status_begun; /* config.yaml or the part of one; a part of `status`, written before either has its name */
    int others;
};

static bool begins_with(const char *name, const char *begin)
{
    return strncmp(name, begin, strlen(begin)) == 0;
}

static void look_at(const char *name, struct content *content)
{
    if (begins_with(name, "status.part-"))
        content->status_begun++;
    else if (strcmp(name, "config.yaml") == 0 || begins_with(name, "config.yaml.part-"))
        content->config++;
    else if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !is_lock(name))
        content->others++;
}

/* The errno where it cannot be read, else 0. */
static int read_folder(const char *path, struct content *content)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return errno;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        look_at(entry->d_name, content);
    closedir(folder);
    return 0;
}

/* Whoever was killed at its beginning has left parts, for another process number than ours. */
static void remove_parts(const char *path)
{
    DIR *folder = opendir(path);
    for (struct dirent *entry = folder != NULL ? readdir(folder) : NULL; entry != NULL; entry = readdir(folder))
        if (begins_with(entry->d_name, "status.part-") || begins_with(entry->d_name, "config.yaml.part-"))
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder != NULL)
        closedir(folder);
}

/* True if the folder has nothing in it but what a beginning leaves; `reason` is the errno where it cannot be read. */
static bool is_free(const char *path, int *reason)
{
    struct content content = {0};
    *reason = read_folder(path, &content);
    return *reason == 0 && content.others == 0 && (content.config == 0 || content.status_begun > 0);
}

/* The first of path-2, path-3, ... that is not there; owned by the caller. */
static char *free_name(const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    for (int number = 2;; number++) {
        char *name = text_format("%.*s-%d", (int)length, path, number);
        struct stat info;
        if (stat(name, &info) != 0)
            return name;
        free(name);
    }
}

static enum status refuse(const char *path, const char *what)
{
    char *name = free_name(path);
    log_error("the run directory %s %s; nothing is overwritten: choose another name, as run.dir=%s, %sor move it away",
              path, what, name, run_directory_exists(path) ? "go on with the run (--resume auto), " : "");
    free(name);
    return STATUS_USAGE;
}

static enum status open_status(const char *path, const char *line, enum log_level level, struct atomic_file *file)
{
    char *name = run_directory_file(path, "status");
    enum status status = atomic_file_open(file, name, level, RUN_ELSEWHERE);
    free(name);
    TRY(status);
    fprintf(file->stream, "%s\n", line);
    fflush(file->stream);
    return STATUS_OK;
}

static enum status replace_status(const char *path, const char *line, enum log_level level)
{
    struct atomic_file file;
    TRY(open_status(path, line, level, &file));
    return atomic_file_commit(&file);
}

static enum status write_config_file(const char *path, run_config_fn *write_config, const void *context)
{
    struct atomic_file file;
    char *name = run_directory_file(path, "config.yaml");
    enum status status = atomic_file_open(&file, name, LOG_ERROR, RUN_ELSEWHERE);
    free(name);
    TRY(status);
    write_config(context, file.stream);
    return atomic_file_commit(&file);
}

/* The part of `status` is there from the beginning: whoever is killed meanwhile leaves it beside config.yaml, and no
 * file of the user's is taken for what it has left. */
static enum status begin(const char *path, run_config_fn *write_config, const void *context)
{
    struct atomic_file status_file;
    remove_parts(path);
    TRY(open_status(path, "running", LOG_ERROR, &status_file));
    enum status status = write_config_file(path, write_config, context);
    if (status == STATUS_OK)
        return atomic_file_commit(&status_file);
    atomic_file_abandon(&status_file);
    return status;
}

enum status run_directory_make(const char *path)
{
    if (*path == '\0') {
        log_error("the run directory has no name; give one, as run.dir=runs/first");
        return STATUS_USAGE;
    }
    int reason = make_with_parents(path);
    bool free_to_take = reason == 0 && is_free(path, &reason);
    if (reason == ENOTDIR)
        return refuse(path, "is a file, or lies below one");
    if (reason != 0) {
        atomic_file_complain(LOG_ERROR, path, reason, RUN_ELSEWHERE);
        return STATUS_MACHINE;
    }
    return free_to_take ? STATUS_OK : refuse(path, "has files of another run in it");
}

enum status run_directory_create(const char *path, run_config_fn *write_config, const void *context)
{
    TRY(run_directory_make(path));
    return begin(path, write_config, context);
}

enum status run_directory_reopen(const char *path, run_config_fn *write_config, const void *context)
{
    return begin(path, write_config, context);
}

/* The first word of the file `status`; false where there is none. */
static bool read_status(const char *path, int *number)
{
    char *name = run_directory_file(path, "status");
    FILE *file = fopen(name, "re");
    *number = -1;
    if (file != NULL) {
        if (fscanf(file, "%d", number) != 1)
            *number = -1; /* "running" */
        fclose(file);
    }
    free(name);
    return file != NULL;
}

bool run_directory_exists(const char *path)
{
    int number;
    return *path != '\0' && read_status(path, &number);
}

bool run_directory_done(const char *path)
{
    int number;
    return read_status(path, &number) && number == STATUS_OK;
}

/* In place: a full disk has no room for another file, but for a line in place of "running". */
static void overwrite_status(const char *path, const char *line)
{
    char *name = run_directory_file(path, "status");
    int file = open(name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0 || dprintf(file, "%s\n", line) < 0 || ftruncate(file, (off_t)strlen(line) + 1) != 0)
        atomic_file_complain(LOG_WARNING, name, errno, RUN_ELSEWHERE);
    if (file >= 0)
        close(file);
    free(name);
}

void run_directory_finish(const char *path, enum status status)
{
    char *line = text_format("%d %s", (int)status, status_name(status));
    if (replace_status(path, line, LOG_DEBUG) != STATUS_OK)
        overwrite_status(path, line);
    free(line);
}
