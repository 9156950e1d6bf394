/* The lock of a run directory. */
#include "app/run_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/run_directory.h"
#include "app/run_process.h"
#include "base/atomic_file.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "base/thread.h"

static const char head_format[] = "grapevine-lock-1 %s %012" PRIu64 "\n";

enum { TOKEN_AT = 17, BEAT_AT = 34, HEAD_BYTES = BEAT_AT + 13, CONTENT_MAX = 64 << 20, MISSED_BEATS = 4 };

static const double poll_s = 0.05, seen_within_s = 60;

struct run_lock {
    char *directory, *path, *before; /* owned */
    char token[RUN_LOCK_TOKEN_BYTES];
    bool beats;
    double beat_s;
    struct thread thread;
    struct wakeup end;
};

struct run_lock_times run_lock_times(void)
{
    return (struct run_lock_times){.beat = 2, .watch = 12, .wait = 30};
}

static char *lock_path(const char *directory)
{
    return run_directory_file(directory, RUN_LOCK_NAME);
}

/* --- reading --- */

/* Up to `most` bytes of the file, opened anew: a network file system then asks its server. */
static void read_file(const char *path, size_t most, struct text *content)
{
    char piece[4096];
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    while (file >= 0 && content->length < most) {
        size_t left = most - content->length;
        ssize_t got = read(file, piece, left < sizeof piece - 1 ? left : sizeof piece - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        piece[got] = '\0';
        text_add(content, "%s", piece);
        if (strlen(piece) != (size_t)got)
            break; /* no lock of ours */
    }
    if (file >= 0)
        close(file);
}

void run_lock_read(const char *directory, struct text *content)
{
    char *path = lock_path(directory);
    struct stat info;
    read_file(path, CONTENT_MAX, content);
    if (content->length == 0 && lstat(path, &info) == 0)
        text_add(content, "?"); /* somebody's, that is just being written, or cannot be read */
    free(path);
}

static bool is_lock(const char *content)
{
    return strlen(content) >= HEAD_BYTES && strncmp(content, head_format, TOKEN_AT) == 0;
}

static bool has_token(const char *content, const char *token)
{
    return is_lock(content) && strncmp(content + TOKEN_AT, token, RUN_LOCK_TOKEN_BYTES - 1) == 0;
}

/* The first process of a lock; false where there is none to be read. */
static const char *first_process(const char *content, struct run_process *out)
{
    return is_lock(content) ? run_process_read(content + HEAD_BYTES, out) : NULL;
}

/* --- judging --- */

static enum status refuse(const char *directory, const struct run_process *process, const char *why)
{
    log_on_this_rank(LOG_ERROR,
                     "the run directory %s is another run's: its rank %d is process %" PRIu64
                     " on %s, %s; wait for its end, end it (kill %" PRIu64 "), or choose another run.dir",
                     directory, process->rank, process->process, process->host, why, process->process);
    return STATUS_USAGE;
}

/* A process of this machine. */
static enum status await_end(const char *directory, const struct run_process *process, double wait_s)
{
    double begin_s = stopwatch_now();
    for (;;) {
        enum run_process_state state = run_process_look(process);
        if (state == RUN_PROCESS_GONE)
            return STATUS_OK;
        if (state == RUN_PROCESS_RUNS)
            return refuse(directory, process, "which still runs");
        if (stopwatch_now() - begin_s > wait_s)
            return refuse(directory, process, "which still runs though what has started it is gone");
        stopwatch_sleep(poll_s);
    }
}

static bool is_covered(const struct run_process *process, const struct run_process *own, int count)
{
    for (int i = 0; i < count; i++)
        if (run_process_same_machine(process, &own[i]))
            return true;
    return false;
}

/* Nobody here can see its processes: does it beat? */
static enum status watch(const char *directory, const char *content, const struct run_process *process, double watch_s)
{
    double begin_s = stopwatch_now();
    log_info("%s has a lock of a run on %s: waiting for up to %g s to see whether it goes on", directory,
             process->host[0] != '\0' ? process->host : "an unknown host", watch_s);
    while (stopwatch_now() - begin_s < watch_s) {
        struct text now = {0};
        run_lock_read(directory, &now);
        bool same = strcmp(text_view(&now), content) == 0, gone = now.length == 0;
        text_release(&now);
        if (gone)
            return STATUS_OK;
        if (!same)
            return refuse(directory, process, "and its lock has just been renewed");
        stopwatch_sleep(poll_s * 4);
    }
    return STATUS_OK;
}

enum status run_lock_judge(const char *directory, const char *content, const struct run_process *own, int count,
                           int rank, const struct run_lock_times *times)
{
    struct run_process process = {0}, hidden = {0};
    bool any_hidden = content[0] != '\0' && first_process(content, &hidden) == NULL;
    const char *line = is_lock(content) ? content + HEAD_BYTES : NULL;
    while (line != NULL && (line = run_process_read(line, &process)) != NULL) {
        if (run_process_same_machine(&process, &own[rank]))
            TRY(await_end(directory, &process, times->wait));
        if (!any_hidden && !is_covered(&process, own, count)) {
            any_hidden = true;
            hidden = process;
        }
    }
    return any_hidden && rank == 0 ? watch(directory, content, &hidden, times->watch) : STATUS_OK;
}

/* --- taking --- */

static enum status refuse_late(const char *directory)
{
    struct text content = {0};
    struct run_process process = {0};
    run_lock_read(directory, &content);
    if (first_process(text_view(&content), &process) != NULL)
        (void)refuse(directory, &process, "which has begun at the same time");
    else
        log_error("the run directory %s has just been taken by another run; choose another run.dir", directory);
    text_release(&content);
    return STATUS_USAGE;
}

/* Write the content under a name of its own; NULL (logged) where that fails, else the name, owned by the caller. */
static char *write_aside(const char *directory, const char *token, const char *content)
{
    char *name = text_format(".%s-%s", RUN_LOCK_NAME, token), *path = run_directory_file(directory, name);
    FILE *file = atomic_file_fresh(path);
    free(name);
    errno = 0;
    bool written = file != NULL && fputs(content, file) >= 0 && fflush(file) == 0 && fsync(fileno(file)) == 0;
    int reason = errno;
    if (file != NULL && fclose(file) != 0 && written) {
        reason = errno;
        written = false;
    }
    if (written)
        return path;
    atomic_file_complain(LOG_ERROR, path, reason, RUN_ELSEWHERE);
    unlink(path);
    free(path);
    return NULL;
}

/* Under its name where nobody has that name: true. Some file systems have no links; `aside` then stays. */
static bool link_new(const char *aside, const char *path)
{
    struct stat info;
    int reason = link(aside, path) == 0 ? 0 : errno;
    if (reason == 0 || (stat(aside, &info) == 0 && info.st_nlink == 2))
        return true;
    if (reason == EEXIST)
        return false;
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0)
        return false;
    close(file);
    return rename(aside, path) == 0;
}

/* In place of the one that was `before`. Of two that try, the second finds the first one's; where the file system does
 * not lock, it is the first that finds the second one's when it looks after its lock. */
static bool replace_old(const char *aside, const char *path, const char *before)
{
    struct text now = {0};
    int old = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool busy = old >= 0 && flock(old, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    read_file(path, CONTENT_MAX, &now);
    bool same = strcmp(text_view(&now), before) == 0 || (now.length == 0 && strcmp(before, "?") == 0);
    bool taken = same && !busy && rename(aside, path) == 0;
    if (old >= 0)
        close(old);
    text_release(&now);
    return taken;
}

static void make_token(const struct run_process *process, char token[RUN_LOCK_TOKEN_BYTES])
{
    double now = stopwatch_now();
    uint64_t digest = digest_bytes(0, process, sizeof *process);
    snprintf(token, RUN_LOCK_TOKEN_BYTES, "%016" PRIx64, digest_bytes(digest, &now, sizeof now));
}

enum status run_lock_take(const char *directory, const char *before, const struct run_process *own, int count,
                          char token[RUN_LOCK_TOKEN_BYTES])
{
    struct text content = {0}, now = {0};
    make_token(&own[0], token);
    text_add(&content, head_format, token, (uint64_t)0);
    for (int i = 0; i < count; i++)
        run_process_write(&own[i], &content);
    char *aside = write_aside(directory, token, text_view(&content)), *path = lock_path(directory);
    bool written = aside != NULL, taken = false;
    if (written) {
        taken = before[0] == '\0' ? link_new(aside, path) : replace_old(aside, path, before);
        unlink(aside);
    }
    run_lock_read(directory, &now);
    taken = taken && has_token(text_view(&now), token);
    free(path);
    free(aside);
    text_release(&now);
    text_release(&content);
    if (!written)
        return STATUS_MACHINE;
    return taken ? STATUS_OK : refuse_late(directory);
}

/* --- keeping --- */

/* Another run has begun here, and this process was thought to be gone. */
static _Noreturn void give_way(const struct run_lock *lock)
{
    struct text content = {0};
    struct run_process process = {0};
    run_lock_read(lock->directory, &content);
    (void)first_process(text_view(&content), &process);
    log_on_this_rank(LOG_ERROR,
                     "the run directory %s has been taken over by process %" PRIu64
                     " on %s while this one stood still or had lost its launcher; it ends here, so that the two do not "
                     "mix",
                     lock->directory, process.process, process.host);
    _exit(STATUS_MACHINE);
}

static void beat(const struct run_lock *lock, uint64_t number)
{
    char digits[16];
    int file = open(lock->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    snprintf(digits, sizeof digits, "%012" PRIu64, number % 1000000000000);
    if (file < 0)
        return; /* whoever needs the directory will find out */
    if (pwrite(file, digits, 12, BEAT_AT) == 12)
        (void)fdatasync(file);
    close(file);
}

static void *keep(void *context)
{
    struct run_lock *lock = context;
    uint64_t last = 0;
    int missed = 0;
    while (!wakeup_wait(&lock->end, lock->beat_s)) {
        struct text head = {0};
        read_file(lock->path, HEAD_BYTES, &head);
        const char *content = text_view(&head);
        bool ours = has_token(content, lock->token), another = is_lock(content) && !ours;
        uint64_t number = ours ? strtoull(content + BEAT_AT, NULL, 10) : last;
        text_release(&head);
        if (another)
            give_way(lock);
        missed = number == last ? missed + 1 : 0;
        last = number;
        if (!ours || (!lock->beats && missed < MISSED_BEATS))
            continue;
        beat(lock, number + 1);
        missed = 0;
    }
    return NULL;
}

static enum status await_sight(const struct run_lock *lock)
{
    double begin_s = stopwatch_now();
    for (;;) {
        struct text head = {0};
        read_file(lock->path, HEAD_BYTES, &head);
        bool seen = has_token(text_view(&head), lock->token);
        text_release(&head);
        if (seen)
            return STATUS_OK;
        if (stopwatch_now() - begin_s > seen_within_s)
            break;
        stopwatch_sleep(poll_s);
    }
    log_on_this_rank(LOG_ERROR,
                     "%s, which rank 0 has written, is not seen here: the run directory must lie on a file system that "
                     "all ranks share; choose another run.dir",
                     lock->path);
    return STATUS_MACHINE;
}

enum status run_lock_keep(const char *directory, const char *before, const char token[RUN_LOCK_TOKEN_BYTES], int rank,
                          const struct run_lock_times *times, struct run_lock **out)
{
    struct run_lock *lock = memory_zalloc(1, sizeof *lock);
    *lock = (struct run_lock){.directory = memory_copy_text(directory),
                              .path = lock_path(directory),
                              .before = memory_copy_text(before),
                              .beats = rank == 0,
                              .beat_s = times->beat};
    memcpy(lock->token, token, sizeof lock->token);
    wakeup_init(&lock->end);
    enum status status = await_sight(lock);
    if (status == STATUS_OK)
        status = thread_start(&lock->thread, "lock", keep, lock);
    if (status == STATUS_OK)
        *out = lock;
    else
        run_lock_end(lock, RUN_LOCK_LEFT);
    return status;
}

/* As it was: the lock of a run that is gone, or none. */
static void put_back(const struct run_lock *lock)
{
    char *aside = lock->before[0] != '\0' && strcmp(lock->before, "?") != 0
                      ? write_aside(lock->directory, lock->token, lock->before)
                      : NULL;
    if (aside == NULL || rename(aside, lock->path) != 0)
        unlink(lock->path);
    free(aside);
}

void run_lock_end(struct run_lock *lock, enum run_lock_end end)
{
    if (lock == NULL)
        return;
    wakeup_set(&lock->end);
    thread_join(&lock->thread);
    wakeup_release(&lock->end);
    struct text head = {0};
    read_file(lock->path, HEAD_BYTES, &head);
    bool ours = has_token(text_view(&head), lock->token);
    text_release(&head);
    if (ours && end == RUN_LOCK_USED)
        unlink(lock->path);
    else if (ours && end == RUN_LOCK_UNUSED)
        put_back(lock);
    free(lock->directory);
    free(lock->path);
    free(lock->before);
    free(lock);
}
