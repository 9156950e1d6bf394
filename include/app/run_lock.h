/* One run at a time in a run directory: the file `lock` in it, which lists the processes of the run.
 *
 *     grapevine-lock-1 <token> <beat>
 *     <rank> <process> <its start> <parent> <machine> <host>        one line of each rank
 *
 * The machine is the boot and the process namespace, in which process numbers mean something: whether a run of this
 * machine still goes on is seen at once. Elsewhere its beat tells, a number that grows every few seconds; no clocks
 * are compared. A run whose processes are gone has left the directory to the next one. Nothing depends on flock, which
 * network file systems may lack.
 *
 * While it runs, each process looks whether the lock is still its run's, and ends where it is not: what a launcher
 * that was killed has left behind does not write beside the next run. */
#ifndef GRAPEVINE_APP_RUN_LOCK_H
#define GRAPEVINE_APP_RUN_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

struct run_process {
    int rank;
    uint64_t process, parent, start; /* start: in ticks since the machine has started */
    char machine[80], host[64];
};

void run_process_self(int rank, struct run_process *out);

/* Seconds. */
struct run_lock_times {
    double beat;  /* between two beats */
    double watch; /* without a beat for so long, a run elsewhere is gone */
    double wait;  /* for processes of this machine whose launcher is gone */
};

struct run_lock_times run_lock_times(void);

/* The lock as it is: nothing is added where there is none. */
void run_lock_read(const char *directory, struct text *content);

/* May another run write in the directory, whose lock is `content`? own (count): the processes of that run, this one
 * being own[rank]. A process answers for its machine, rank 0 for machines that no rank is on. Waits as `times` says.
 * STATUS_USAGE (logged, with host and process): the run still goes on. */
enum status run_lock_judge(const char *directory, const char *content, const struct run_process *own, int count,
                           int rank, const struct run_lock_times *times);

struct run_lock;

enum { RUN_LOCK_TOKEN_BYTES = 17 };

/* Lock the directory, whose lock was `before` and is nobody's ("": there was none). By one process of the run.
 * STATUS_USAGE (logged): another run was faster. STATUS_MACHINE (logged): it cannot be written. */
enum status run_lock_take(const char *directory, const char *before, const struct run_process *own, int count,
                          char token[RUN_LOCK_TOKEN_BYTES]);

/* From now on look after the lock; all processes of the run, `rank` of them beats if it is 0, or if the others do not.
 * `before` is put back if it is given back unused. STATUS_MACHINE (logged): the file is not seen here. */
enum status run_lock_keep(const char *directory, const char *before, const char token[RUN_LOCK_TOKEN_BYTES], int rank,
                          const struct run_lock_times *times, struct run_lock **out);

enum run_lock_end {
    RUN_LOCK_LEFT,  /* it stays: by all processes but one; or where others of them may still write */
    RUN_LOCK_USED,  /* the run is over: the lock is removed */
    RUN_LOCK_UNUSED /* nothing was written: it is as it was before */
};
void run_lock_end(struct run_lock *lock, enum run_lock_end end); /* NULL is fine */

#endif
