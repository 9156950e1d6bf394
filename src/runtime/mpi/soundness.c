/* Gradients that are not finite. */
#include "runtime/mpi/soundness.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"

static void tell(const struct soundness *soundness, enum log_level level, uint64_t gradient, bool finite,
                 double learning_rate, const char *consequence)
{
    char *of = soundness->shared && finite
                   ? text_format("the mean gradient %" PRIu64 " of all workers", gradient)
                   : text_format("gradient %" PRIu64 " of worker %d", gradient, soundness->rank);
    log_on_this_rank(level,
                     "the %s of %s is not finite%s; lower optimizer.lr (%g here), lengthen schedule.warmup_epochs, or "
                     "clip (optimizer.clip_norm); train.on_nan says what then happens",
                     finite ? "norm" : "loss", of, consequence, learning_rate);
    free(of);
}

/* The first, and then ever fewer: 1, 2, 4, 8, … */
static bool is_worth_telling(uint64_t count)
{
    return (count & (count - 1)) == 0;
}

enum status soundness_judge(struct soundness *soundness, struct worker *worker, uint64_t gradient, bool finite,
                            double learning_rate, bool *bad)
{
    uint64_t left_out = worker_device_ops(worker)->left_out(worker_device(worker));
    *bad = !finite || left_out != soundness->left_out;
    soundness->left_out = left_out;
    if (!*bad) {
        soundness->in_a_row = 0;
        return STATUS_OK;
    }
    soundness->bad++;
    soundness->in_a_row++;
    if (soundness->run->on_nan == ON_NAN_STOP) {
        tell(soundness, LOG_ERROR, gradient, finite, learning_rate, "");
        return STATUS_USAGE;
    }
    if (soundness->in_a_row >= RUNTIME_BAD_IN_A_ROW_MOST) {
        tell(soundness, LOG_ERROR, gradient, finite, learning_rate, ", as that of many before it");
        return STATUS_USAGE;
    }
    if (is_worth_telling(soundness->bad))
        tell(soundness, LOG_WARNING, gradient, finite, learning_rate,
             soundness->run->on_nan == ON_NAN_SKIP ? ": it is left out"
                                                   : ": it is left out, and the model of the next neighbor taken over");
    return STATUS_OK;
}
