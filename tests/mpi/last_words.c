/* A rank that fails alone: it writes LINES errors, more than one read of a launcher's takes, and ends the others, which
 * wait for it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/stopwatch.h"
#include "runtime/job.h"

static const double others_wait_s = 60;

int main(int argc, char **argv)
{
    struct job job = {.limit_s = others_wait_s};
    int lines = argc > 1 ? atoi(argv[1]) : 1;
    if (job_start(&argc, &argv, &job) != STATUS_OK)
        return job_finish(&job, STATUS_MACHINE);
    printf("rank %d of %d\n", job.rank, job.size);
    if (job.rank != job.size - 1)
        stopwatch_sleep(others_wait_s);
    for (int line = 1; line <= lines; line++)
        log_on_this_rank(LOG_ERROR, "reason %d of %d, in a sentence as long as those that this program has to say",
                         line, lines);
    return job_finish(&job, STATUS_DATA);
}
