/* One pack at a time in a folder: the file pack.lock, locked (flock) while one runs, and removed at its end. Private to
 * data/. */
#ifndef GRAPEVINE_SRC_DATA_PACK_PHOTO_LOCK_H
#define GRAPEVINE_SRC_DATA_PACK_PHOTO_LOCK_H

#include "base/status.h"

struct photo_lock {
    char *path; /* owned */
    int file;
};

/* STATUS_DATA (logged): another process has it. STATUS_MACHINE (logged): the file cannot be made. On a file system that
 * knows no locks: a warning. */
enum status photo_lock_take(const char *folder, struct photo_lock *out);
void photo_lock_give(struct photo_lock *lock);

#endif
