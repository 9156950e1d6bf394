/* How far everybody is, without a centre. */
#include "runtime/mpi/progress.h"

#include <stdlib.h>

#include "base/memory.h"

enum { DONE = 1, LEAVING = 2, QUIET = 4, GRADIENTS = 8 };

uint64_t progress_word(uint64_t gradients, bool done)
{
    return (gradients + 1) * GRADIENTS | (done ? DONE : 0);
}

uint64_t progress_gradients(uint64_t word)
{
    return word < GRADIENTS ? 0 : word / GRADIENTS - 1;
}

bool progress_done(uint64_t word)
{
    return (word & DONE) != 0;
}

void progress_init(struct progress *progress, int worker, int worker_count)
{
    *progress = (struct progress){.worker = worker, .worker_count = worker_count};
    progress->words = memory_zalloc((size_t)worker_count, sizeof progress->words[0]);
    progress->dead = memory_zalloc((size_t)worker_count, sizeof progress->dead[0]);
}

void progress_release(struct progress *progress)
{
    free(progress->words);
    free(progress->dead);
    progress->words = NULL;
    progress->dead = NULL;
}

bool progress_set(struct progress *progress, uint64_t gradients, bool done)
{
    uint64_t word = progress_word(gradients, done) | (progress->leaving ? LEAVING : 0) | (progress->quiet ? QUIET : 0);
    bool changed = progress->words[progress->worker] != word;
    progress->words[progress->worker] = word;
    return changed;
}

bool progress_merge(struct progress *progress, const uint64_t *words)
{
    bool changed = false;
    for (int i = 0; i < progress->worker_count; i++) {
        uint64_t word = __atomic_load_n(&words[i], __ATOMIC_RELAXED) | (progress->dead[i] ? DONE | QUIET : 0);
        if (word > progress->words[i] && i != progress->worker) {
            progress->words[i] = word;
            changed = true;
        }
    }
    return changed;
}

void progress_leave(struct progress *progress)
{
    progress->leaving |= !progress_done(progress->words[progress->worker]);
}

void progress_quieten(struct progress *progress)
{
    progress->quiet = true;
}

void progress_bury(struct progress *progress, int worker)
{
    uint64_t least = progress_word(0, true);
    progress->dead[worker] = true;
    if (progress->words[worker] < least)
        progress->words[worker] = least;
    progress->words[worker] |= DONE | QUIET;
}

bool progress_leaving(const struct progress *progress)
{
    for (int i = 0; i < progress->worker_count; i++)
        if ((progress->words[i] & LEAVING) != 0)
            return true;
    return progress->leaving;
}

void progress_resume(struct progress *progress, const uint64_t *gradients)
{
    for (int i = 0; i < progress->worker_count; i++)
        progress->words[i] = progress_word(gradients[i], false);
}

uint64_t progress_sum(const struct progress *progress)
{
    uint64_t sum = 0;
    for (int i = 0; i < progress->worker_count; i++)
        sum += progress_gradients(progress->words[i]);
    return sum;
}

static bool all_have(const struct progress *progress, uint64_t bit)
{
    for (int i = 0; i < progress->worker_count; i++)
        if ((progress->words[i] & bit) == 0)
            return false;
    return true;
}

bool progress_all_done(const struct progress *progress)
{
    return all_have(progress, DONE);
}

bool progress_all_quiet(const struct progress *progress)
{
    return all_have(progress, QUIET);
}
