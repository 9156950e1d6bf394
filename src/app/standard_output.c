/* Standard output: opened and checked, not written. */
#include "app/standard_output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

void standard_output_open(void)
{
    /* open takes the lowest number that is free: the one that was found closed */
    for (int file = STDIN_FILENO; file <= STDERR_FILENO; file++)
        if (fcntl(file, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", file == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

static bool has_lost_its_reader(void)
{
    struct pollfd file = {.fd = STDOUT_FILENO, .events = POLLOUT};
    int mode = fcntl(STDOUT_FILENO, F_GETFL);
    if (mode < 0 || (mode & O_ACCMODE) == O_RDONLY)
        return true;
    return poll(&file, 1, 0) > 0 && (file.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
}

enum status standard_output_finish(const char *command, enum status status, bool lost_reader_is_fine)
{
    errno = 0;
    bool lost = fflush(stdout) != 0;
    int reason = errno;
    if (!lost && ferror(stdout) == 0)
        return status;
    if (lost_reader_is_fine && has_lost_its_reader())
        return status;
    log_error("%s: cannot write to standard output%s%s: what was to be printed is not all there; free some space, or "
              "send it elsewhere",
              command, reason != 0 ? ": " : "", reason != 0 ? strerror(reason) : "");
    return status == STATUS_OK ? STATUS_MACHINE : status;
}
