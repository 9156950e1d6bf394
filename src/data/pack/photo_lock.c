/* One pack at a time in a folder. A process that dies loses its lock with it; the file that it leaves means nothing. */
#include "data/pack/photo_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

/* The file that was opened still has the name: who had the lock before may just have removed it. */
static bool still_named(const struct photo_lock *lock)
{
    struct stat here, named;
    return fstat(lock->file, &here) == 0 && stat(lock->path, &named) == 0 && here.st_dev == named.st_dev &&
           here.st_ino == named.st_ino;
}

/* 0, or errno. */
static int try_lock(struct photo_lock *lock)
{
    for (;;) {
        lock->file = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (lock->file < 0)
            return errno;
        int reason = flock(lock->file, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
        if (reason != 0 || still_named(lock))
            return reason;
        close(lock->file);
    }
}

enum status photo_lock_take(const char *folder, struct photo_lock *out)
{
    struct photo_lock lock = {.path = text_format("%s/pack.lock", folder)};
    int reason = try_lock(&lock);
    if (reason == 0 || (lock.file >= 0 && reason != EWOULDBLOCK)) {
        if (reason != 0)
            log_warning("%s: cannot be locked here: %s; see to it that no other pack writes the same DST", lock.path,
                        strerror(reason));
        *out = lock;
        return STATUS_OK;
    }
    if (lock.file >= 0) {
        log_error("%s: another process packs into %s; wait for it, or give another DST", lock.path, folder);
        close(lock.file);
    } else {
        log_error("cannot write %s: %s; choose a DST that you may write", lock.path, strerror(reason));
    }
    free(lock.path);
    return reason == EWOULDBLOCK ? STATUS_DATA : STATUS_MACHINE;
}

void photo_lock_give(struct photo_lock *lock)
{
    unlink(lock->path); /* before it is free: whoever locks it then sees that it has lost its name */
    close(lock->file);
    free(lock->path);
}
