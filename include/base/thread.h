/* Threads, a lock and a wake-up call, over pthreads; all failures are STATUS_MACHINE or assertions. */
#ifndef GRAPEVINE_BASE_THREAD_H
#define GRAPEVINE_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

#include "base/status.h"

struct thread {
    pthread_t handle;
    bool started;
};

/* Start `run(context)` on a new thread that appears under `name` (15 characters) in ps and debuggers. */
enum status thread_start(struct thread *thread, const char *name, void *(*run)(void *), void *context);

/* Could `count` more threads be started now? For libraries that end the process where one cannot (OpenMP). Else
 * STATUS_MACHINE, logged; `key` says how many. */
enum status thread_room(int count, const char *key);

/* Wait until it has returned. Does nothing if it was never started. */
void thread_join(struct thread *thread);

/* Lower the scheduling priority of the calling thread alone (Linux: nice per thread). Best effort. */
void thread_set_nice(int nice);

/* A binary signal with a time limit: a set that nobody waits for is remembered once. */
struct wakeup {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    bool set; /* guarded by mutex */
};

void wakeup_init(struct wakeup *wakeup);
void wakeup_release(struct wakeup *wakeup);
void wakeup_set(struct wakeup *wakeup);

/* Wait until set or until `limit_s` seconds have passed; clears it. True if it was set. */
bool wakeup_wait(struct wakeup *wakeup, double limit_s);

#endif
