/* All ranks tell each other their facts: digests first, the facts only where these differ. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/agreement.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"

/* What comes first is a number that programs without this step take for the status. */
static const double greeting = 0.5;

enum status agreement_greet(struct job *job, enum status status)
{
    double *all = memory_zalloc((size_t)job->size, sizeof all[0]), mine = (double)status + greeting;
    struct text older = {0};
    enum status gathered = job_gather_doubles(job, "arguments", &mine, 1, all), worst = STATUS_OK;
    int speaker = 0;
    for (int rank = 0; rank < job->size && gathered == STATUS_OK; rank++) {
        if (all[rank] == floor(all[rank]))
            text_add(&older, "%s%d", older.length > 0 ? ", " : "", rank);
        if (floor(all[rank]) > floor(all[speaker]))
            speaker = rank;
        worst = (enum status)(int)all[speaker];
    }
    if (worst != STATUS_OK && speaker == job->rank)
        log_release();
    if (worst == STATUS_OK && older.length > 0) {
        log_error("the ranks do not agree: rank %s has an older version of grapevine than %s; give every rank the same "
                  "program",
                  text_view(&older), GRAPEVINE_VERSION);
        worst = job_agree(job, "configuration", STATUS_USAGE); /* the older ones listen here */
    }
    job->agreed = worst != STATUS_OK;
    text_release(&older);
    free(all);
    return gathered != STATUS_OK ? gathered : worst;
}

struct summary_of_facts {
    uint64_t digest, bytes;
};

static enum status compare_all(struct job *job, const char *step, const char *mine, size_t bytes)
{
    char *all = memory_zalloc((size_t)job->size, bytes), *own = memory_zalloc(bytes, 1);
    const char **facts = memory_zalloc((size_t)job->size, sizeof facts[0]);
    struct text differences = {0};
    strcpy(own, mine);
    enum status status = job_gather_bytes(job, step, own, bytes, all);
    for (int rank = 0; rank < job->size; rank++)
        facts[rank] = all + (size_t)rank * bytes;
    if (status == STATUS_OK && agreement_differences(facts, job->size, &differences) > 0) {
        log_hold(true);
        log_error("the ranks do not agree: %s; give every rank the same", text_view(&differences));
        status = job_agree(job, step, STATUS_USAGE);
        log_hold(false);
    }
    text_release(&differences);
    free(facts);
    free(own);
    free(all);
    return status;
}

enum status agreement_check(struct job *job, const char *step, const struct text *facts)
{
    const char *mine = text_view(facts);
    struct summary_of_facts own = {.digest = digest_bytes(0, mine, strlen(mine)), .bytes = strlen(mine)};
    struct summary_of_facts *all = memory_zalloc((size_t)job->size, sizeof all[0]);
    enum status status = job_gather_bytes(job, step, &own, sizeof own, all);
    uint64_t longest = 0;
    bool differ = false;
    for (int rank = 0; rank < job->size && status == STATUS_OK; rank++) {
        longest = all[rank].bytes > longest ? all[rank].bytes : longest;
        differ |= all[rank].digest != all[0].digest || all[rank].bytes != all[0].bytes;
    }
    free(all);
    TRY(status);
    return differ ? compare_all(job, step, mine, longest + 1) : STATUS_OK;
}
