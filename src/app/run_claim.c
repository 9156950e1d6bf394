/* Judge, take, keep: by all ranks together. */
#include "app/run_claim.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"

static const double longer_s = 150; /* than other steps: judging waits for others to end */

struct claim {
    struct job *job; /* NULL: one process */
    const char *directory;
    int rank, count;
    struct run_process *processes; /* owned (count) */
    char *before;                  /* owned: the lock that was there, or "" */
    char token[RUN_LOCK_TOKEN_BYTES];
    struct run_lock_times times;
};

static enum status agree(struct claim *claim, const char *step, enum status status)
{
    return claim->job != NULL ? job_agree(claim->job, step, status) : status;
}

static enum status share(const struct claim *claim, const char *step, void *bytes, size_t count)
{
    return claim->job != NULL ? job_broadcast(claim->job, step, bytes, count) : STATUS_OK;
}

static enum status list_processes(struct claim *claim)
{
    struct run_process own;
    run_process_self(claim->rank, &own);
    claim->processes[claim->rank] = own;
    if (claim->job == NULL)
        return STATUS_OK;
    return job_gather_bytes(claim->job, "processes of all ranks", &own, sizeof own, claim->processes);
}

/* As rank 0 sees it. */
static enum status read_lock(struct claim *claim)
{
    struct text content = {0};
    if (claim->rank == 0)
        run_lock_read(claim->directory, &content);
    uint64_t length = content.length;
    enum status status = share(claim, "length of the lock", &length, sizeof length);
    claim->before = memory_zalloc((size_t)length + 1, 1);
    memcpy(claim->before, text_view(&content), content.length);
    text_release(&content);
    return status == STATUS_OK ? share(claim, "lock of the run directory", claim->before, (size_t)length) : status;
}

static enum status take(struct claim *claim)
{
    enum status status = STATUS_OK;
    if (claim->rank == 0)
        status = run_lock_take(claim->directory, claim->before, claim->processes, claim->count, claim->token);
    TRY(agree(claim, "lock of the run directory", status));
    return share(claim, "token of the lock", claim->token, sizeof claim->token);
}

static enum status claim_directory(struct claim *claim, struct run_lock **out)
{
    TRY(list_processes(claim));
    TRY(read_lock(claim));
    TRY(agree(
        claim, "an earlier run in the directory",
        run_lock_judge(claim->directory, claim->before, claim->processes, claim->count, claim->rank, &claim->times)));
    TRY(take(claim));
    enum status status = run_lock_keep(claim->directory, claim->before, claim->token, claim->rank, &claim->times, out);
    return agree(claim, "sight of the lock", status);
}

enum status run_claim(struct job *job, const char *directory, struct run_lock **out)
{
    struct claim claim = {.job = job,
                          .directory = directory,
                          .rank = job != NULL ? job->rank : 0,
                          .count = job != NULL ? job->size : 1,
                          .times = run_lock_times()};
    claim.processes = memory_zalloc((size_t)claim.count, sizeof claim.processes[0]);
    double limit_s = job != NULL ? job->limit_s : 0;
    if (job != NULL)
        job->limit_s += longer_s;
    if (job != NULL)
        log_hold(true);
    enum status status = claim_directory(&claim, out);
    if (job != NULL) {
        log_hold(false);
        job->limit_s = limit_s;
    }
    free(claim.before);
    free(claim.processes);
    return status;
}
