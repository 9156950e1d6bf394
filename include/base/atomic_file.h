/* A file that is either there whole or not there at all: written under a temporary name in the same folder, brought to
 * the disk, then renamed. A reader, or a crash, sees the old content or the new one, never a part.
 *
 * The first failure is logged here, once, with path, reason and remedy; the level is the caller's to choose: an error
 * where the failure ends the run, a warning where it goes on without the file. `elsewhere` is how another place is
 * chosen, in the caller's words ("run.dir=…"): the message ends with it. */
#ifndef GRAPEVINE_BASE_ATOMIC_FILE_H
#define GRAPEVINE_BASE_ATOMIC_FILE_H

#include <stdio.h>

#include "base/log.h"
#include "base/status.h"

struct atomic_file {
    FILE *stream;          /* write here; its errors are found by atomic_file_commit */
    char *path;            /* owned */
    char *temporary;       /* owned */
    enum log_level level;  /* of the message when something fails */
    const char *elsewhere; /* borrowed: a literal */
};

/* STATUS_MACHINE (logged): the folder cannot be written. */
enum status atomic_file_open(struct atomic_file *file, const char *path, enum log_level level, const char *elsewhere);

/* Bring it to the disk under its name. STATUS_MACHINE (logged): nothing of it is left. Releases `file` either way. */
enum status atomic_file_commit(struct atomic_file *file);

/* Forget what was written. Releases `file`. */
void atomic_file_abandon(struct atomic_file *file);

/* A new file to write, in place of what had the name: a link is replaced, what it names stays as it is. NULL and errno
 * if there can be none. For what grows while a run goes on. */
FILE *atomic_file_fresh(const char *path);

/* One message: `path` could not be written because of errno `reason`, and what to do about it. */
void atomic_file_complain(enum log_level level, const char *path, int reason, const char *elsewhere);

#endif
