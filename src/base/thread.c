/* Threads, a lock and a wake-up call, over pthreads. */
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

enum status thread_start(struct thread *thread, const char *name, void *(*run)(void *), void *context)
{
    int error = pthread_create(&thread->handle, NULL, run, context);
    if (error != 0) {
        log_on_this_rank(LOG_ERROR, "cannot start the %s thread: %s; raise the limit on processes (ulimit -u)", name,
                         strerror(error));
        return STATUS_MACHINE;
    }
    pthread_setname_np(thread->handle, name);
    thread->started = true;
    return STATUS_OK;
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
