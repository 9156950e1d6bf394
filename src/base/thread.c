/* Threads, a lock and a wake-up call, over pthreads. */
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"

/* Too many threads, or no memory for their stacks: both are EAGAIN. */
static void report(const char *what, int error)
{
    log_on_this_rank(LOG_ERROR,
                     "cannot start %s: %s; raise the limits on processes (ulimit -u) and on memory (ulimit -v)", what,
                     strerror(error));
}

enum status thread_start(struct thread *thread, const char *name, void *(*run)(void *), void *context)
{
    char what[64];
    int error = pthread_create(&thread->handle, NULL, run, context);
    if (error != 0) {
        snprintf(what, sizeof what, "the %s thread", name);
        report(what, error);
        return STATUS_MACHINE;
    }
    pthread_setname_np(thread->handle, name);
    thread->started = true;
    return STATUS_OK;
}

static void *wait_at(void *lock)
{
    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    return NULL;
}

enum status thread_room(int count, const char *key)
{
    char what[64];
    int error = 0, started = 0;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_t *handles = memory_zalloc((size_t)(count > 0 ? count : 1), sizeof handles[0]);
    pthread_mutex_lock(&lock);
    while (started < count && (error = pthread_create(&handles[started], NULL, wait_at, &lock)) == 0)
        started++;
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < started; i++)
        pthread_join(handles[i], NULL);
    free(handles);
    if (error == 0)
        return STATUS_OK;
    snprintf(what, sizeof what, "%d threads (%s=%d)", count + 1, key, count + 1);
    report(what, error);
    return STATUS_MACHINE;
}

void thread_join(struct thread *thread)
{
    if (thread->started)
        pthread_join(thread->handle, NULL);
    thread->started = false;
}

void thread_set_nice(int nice)
{
    if (getpriority(PRIO_PROCESS, (id_t)gettid()) < nice) /* root could raise it, too */
        setpriority(PRIO_PROCESS, (id_t)gettid(), nice);
}

void wakeup_init(struct wakeup *wakeup)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int error = pthread_mutex_init(&wakeup->mutex, NULL);
    error |= pthread_cond_init(&wakeup->condition, &attributes);
    assert(error == 0);
    (void)error;
    pthread_condattr_destroy(&attributes);
    wakeup->set = false;
}

void wakeup_release(struct wakeup *wakeup)
{
    pthread_cond_destroy(&wakeup->condition);
    pthread_mutex_destroy(&wakeup->mutex);
}

void wakeup_set(struct wakeup *wakeup)
{
    pthread_mutex_lock(&wakeup->mutex);
    wakeup->set = true;
    pthread_cond_signal(&wakeup->condition);
    pthread_mutex_unlock(&wakeup->mutex);
}

bool wakeup_wait(struct wakeup *wakeup, double limit_s)
{
    const double forever_s = 1e9; /* a timespec holds more, a negative or infinite one not */
    struct timespec until;
    limit_s = limit_s > 0 ? (limit_s < forever_s ? limit_s : forever_s) : 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    double whole = (double)(long)limit_s;
    until.tv_sec += (time_t)whole;
    until.tv_nsec += (long)((limit_s - whole) * 1e9);
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&wakeup->mutex);
    while (!wakeup->set)
        if (pthread_cond_timedwait(&wakeup->condition, &wakeup->mutex, &until) == ETIMEDOUT)
            break;
    bool set = wakeup->set;
    wakeup->set = false;
    pthread_mutex_unlock(&wakeup->mutex);
    return set;
}
