/* Messages to standard error. The level, the rank and the held errors are the program's only globals. */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 4096, HELD_BYTES = 16384 };

static const char *const level_names[] = {"error", "warning", "info", "debug"};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int level_now = -1; /* guarded by mutex; -1: not yet read from the environment */
static int rank_now = -1;  /* guarded by mutex; -1: not told yet */
static int size_now = 1;   /* guarded by mutex */
static bool one_of_many;   /* guarded by mutex */
static _Thread_local bool holding;
static _Thread_local char held[HELD_BYTES];

bool log_level_parse(const char *name, enum log_level *level)
{
    for (int i = 0; i <= LOG_DEBUG; i++)
        if (strcmp(name, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

static int level_locked(void)
{
    if (level_now < 0) {
        enum log_level level = LOG_INFO;
        const char *name = getenv("GRAPEVINE_LOG");
        if (name != NULL)
            log_level_parse(name, &level);
        level_now = (int)level;
    }
    return level_now;
}

void log_set_level(enum log_level level)
{
    pthread_mutex_lock(&mutex);
    level_now = (int)level;
    pthread_mutex_unlock(&mutex);
}

enum log_level log_get_level(void)
{
    pthread_mutex_lock(&mutex);
    int level = level_locked();
    pthread_mutex_unlock(&mutex);
    return (enum log_level)level;
}

int log_launch_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && *value != '\0')
            return atoi(value);
    }
    return 0;
}

void log_guess_rank(void)
{
    pthread_mutex_lock(&mutex);
    one_of_many = true;
    pthread_mutex_unlock(&mutex);
}

void log_set_rank(int rank, int size)
{
    pthread_mutex_lock(&mutex);
    rank_now = rank;
    size_now = size;
    pthread_mutex_unlock(&mutex);
}

void log_hold(bool hold)
{
    pthread_mutex_lock(&mutex);
    holding = hold;
    held[0] = '\0';
    pthread_mutex_unlock(&mutex);
}

static void write_all(const char *line)
{
    for (size_t left = strlen(line); left > 0;) {
        ssize_t done = write(STDERR_FILENO, line, left);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return;
        line += done;
        left -= (size_t)done;
    }
}

void log_release(void)
{
    pthread_mutex_lock(&mutex);
    write_all(held);
    held[0] = '\0';
    pthread_mutex_unlock(&mutex);
}

/* A name in a message may hold anything: it breaks no line and commands no terminal. */
static void make_plain(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

static void say(enum log_level level, bool this_rank, const char *format, va_list arguments)
{
    char line[LINE_BYTES];
    pthread_mutex_lock(&mutex);
    int rank = rank_now >= 0 ? rank_now : one_of_many ? log_launch_rank() : 0;
    bool keep = holding && level == LOG_ERROR;
    bool mute = (int)level > level_locked() || (!this_rank && !keep && rank != 0);
    if (!mute) {
        int length = snprintf(line, sizeof line, "grapevine: ");
        if ((this_rank || (keep && rank > 0)) && size_now > 1) /* held back: rank 0 has none, or it speaks */
            length += snprintf(line + length, sizeof line - (size_t)length, "[rank %d] ", rank);
        if (level != LOG_INFO)
            length += snprintf(line + length, sizeof line - (size_t)length, "%s: ", level_names[level]);
        vsnprintf(line + length, sizeof line - (size_t)length - 1, format, arguments);
        make_plain(line);
        strcat(line, "\n");
        if (keep)
            strncat(held, line, sizeof held - strlen(held) - 1);
        else
            write_all(line);
    }
    pthread_mutex_unlock(&mutex);
}

#define SAY(level, this_rank)                         \
    do {                                              \
        va_list arguments;                            \
        va_start(arguments, format);                  \
        say((level), (this_rank), format, arguments); \
        va_end(arguments);                            \
    } while (0)

void log_error(const char *format, ...)
{
    SAY(LOG_ERROR, false);
}
void log_warning(const char *format, ...)
{
    SAY(LOG_WARNING, false);
}
void log_info(const char *format, ...)
{
    SAY(LOG_INFO, false);
}
void log_debug(const char *format, ...)
{
    SAY(LOG_DEBUG, false);
}
void log_on_this_rank(enum log_level level, const char *format, ...)
{
    SAY(level, true);
}
