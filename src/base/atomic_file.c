/* A file that is either there whole or not there at all. */
#include "base/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"

static const char *remedy(int reason)
{
    switch (reason) {
    case ENOSPC:
    case EDQUOT:
        return "free some space there, or choose another place with";
    case EFBIG:
        return "raise the limit on file sizes (ulimit -f), or choose another place with";
    case EACCES:
    case EPERM:
    case EROFS:
        return "choose a place that you may write with";
    case ENOENT:
        return "the folder must exist on every node: choose one on a shared file system with";
    default:
        return "choose another place with";
    }
}

void atomic_file_complain(enum log_level level, const char *path, int reason, const char *elsewhere)
{
    log_on_this_rank(level, "cannot write %s: %s%s; %s %s", path, strerror(reason),
                     level == LOG_ERROR ? "" : " (the run goes on without it)", remedy(reason), elsewhere);
}

static void release(struct atomic_file *file)
{
    free(file->path);
    free(file->temporary);
    *file = (struct atomic_file){0};
}

FILE *atomic_file_fresh(const char *path)
{
    unlink(path); /* where it cannot be, or comes back meanwhile, the next call tells */
    return fopen(path, "wxe");
}

enum status atomic_file_open(struct atomic_file *file, const char *path, enum log_level level, const char *elsewhere)
{
    *file = (struct atomic_file){.path = memory_copy_text(path), .level = level, .elsewhere = elsewhere};
    file->temporary = text_format("%s.part-%ld", path, (long)getpid());
    file->stream = atomic_file_fresh(file->temporary);
    if (file->stream == NULL) {
        atomic_file_complain(level, path, errno, elsewhere);
        release(file);
        return STATUS_MACHINE;
    }
    return STATUS_OK;
}

/* The new name is safe only when the folder that holds it is on the disk too. Some file systems cannot sync a folder;
 * the file itself is safe there, so that is no failure. */
static void sync_folder(const char *path)
{
    char *copy = memory_copy_text(path);
    int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        fsync(folder);
        close(folder);
    }
    free(copy);
}

/* Why a stream that has failed did: what refused some bytes refuses one more at the end. */
static int reason_of_failure(FILE *stream)
{
    errno = 0;
    (void)lseek(fileno(stream), 0, SEEK_END);
    return write(fileno(stream), "", 1) < 0 ? errno : ENOSPC;
}

enum status atomic_file_commit(struct atomic_file *file)
{
    int reason = 0;
    if (fflush(file->stream) != 0 || ferror(file->stream))
        reason = reason_of_failure(file->stream);
    else if (fsync(fileno(file->stream)) != 0 && errno != EINVAL)
        reason = errno;
    if (fclose(file->stream) != 0 && reason == 0)
        reason = errno;
    if (reason == 0 && rename(file->temporary, file->path) != 0)
        reason = errno;
    if (reason != 0) {
        unlink(file->temporary);
        atomic_file_complain(file->level, file->path, reason, file->elsewhere);
    } else {
        sync_folder(file->path);
    }
    release(file);
    return reason == 0 ? STATUS_OK : STATUS_MACHINE;
}

void atomic_file_abandon(struct atomic_file *file)
{
    if (file->stream == NULL)
        return;
    fclose(file->stream);
    unlink(file->temporary);
    release(file);
}
