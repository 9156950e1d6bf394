/* Another program that is asked for measurements in turn with our own: one line there, one line back, each answer
 * within a limit. One that dies, hangs or cannot be started is a measurement that is missing, and no more. */
#ifndef GRAPEVINE_TESTS_GPU_PEER_H
#define GRAPEVINE_TESTS_GPU_PEER_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/stopwatch.h"

/* Start with {0}: nobody, who answers nothing. */
struct peer {
    pid_t process; /* 0: there is none */
    int to, from;  /* pipes */
    char line[512];
};

/* Start `command` by the shell; false where that fails. */
static inline bool peer_start(struct peer *peer, const char *command)
{
    int to[2], from[2];
    signal(SIGPIPE, SIG_IGN); /* a peer that is gone is seen when it is asked */
    if (pipe(to) != 0 || pipe(from) != 0)
        return false;
    pid_t process = fork();
    if (process == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        for (int k = 0; k < 2; k++) {
            close(to[k]);
            close(from[k]);
        }
        signal(SIGPIPE, SIG_DFL);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    if (process < 0)
        return false;
    peer->process = process;
    peer->to = to[1];
    peer->from = from[0];
    return true;
}

/* A peer that does not end when nothing more can be asked is killed. */
static inline void peer_stop(struct peer *peer)
{
    const double patience_s = 5;
    double begin_s = stopwatch_now();
    if (peer->process == 0)
        return;
    close(peer->to); /* it ends when it has read all */
    close(peer->from);
    while (waitpid(peer->process, NULL, WNOHANG) == 0) {
        if (stopwatch_now() - begin_s > patience_s)
            kill(peer->process, SIGKILL);
        stopwatch_sleep(0.02);
    }
    peer->process = 0;
}

/* Its next line, without the end; false where none comes within `limit_s`. */
static inline bool peer_read(struct peer *peer, double limit_s)
{
    double end_s = stopwatch_now() + limit_s;
    size_t length = 0;
    while (length + 1 < sizeof peer->line) {
        struct pollfd wanted = {.fd = peer->from, .events = POLLIN};
        double left_s = end_s - stopwatch_now();
        if (left_s <= 0 || poll(&wanted, 1, (int)(left_s * 1e3) + 1) < 0)
            return false;
        if (wanted.revents == 0)
            continue;
        if (read(peer->from, peer->line + length, 1) != 1)
            return false;
        if (peer->line[length] == '\n')
            break;
        length++;
    }
    peer->line[length] = '\0';
    return true;
}

/* Ask, and read the answer into peer->line. A peer that fails to answer is stopped: it answers nothing any more. */
static inline bool peer_ask(struct peer *peer, const char *question, double limit_s)
{
    if (peer->process == 0)
        return false;
    size_t length = strlen(question);
    if (write(peer->to, question, length) == (ssize_t)length && write(peer->to, "\n", 1) == 1 &&
        peer_read(peer, limit_s))
        return true;
    fprintf(stderr, "no answer to \"%s\" within %.0f s: its figures are left out\n", question, limit_s);
    kill(peer->process, SIGKILL);
    peer_stop(peer);
    return false;
}

#endif
