/* The link to one neighbor as a scenario has it: words and payloads that come late, invitations that get lost.
 *
 * The receiver delays. A control word is seen one latency after it has arrived, a payload counts as arrived one latency
 * and bytes / bandwidth after it was found whole, all on top of the real network. So nothing waits, and words and
 * payloads of other neighbors pass meanwhile. Counts of progress are not delayed. One meeting at a time is held on an
 * edge: payloads never share its bandwidth. Passive: time is an argument. */
#ifndef GRAPEVINE_RUNTIME_MPI_INJECTED_LINK_H
#define GRAPEVINE_RUNTIME_MPI_INJECTED_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "runtime/scenario.h"

enum { INJECTED_LINK_WORDS = 8 }; /* the pairing protocol has at most 5 words on their way in one direction */

struct injected_link {
    struct scenario_link properties;
    struct random_stream loss;
    uint64_t newest, shown; /* words: arrived, and late enough to be seen */
    struct {
        uint64_t word;
        double due_s;
    } waiting[INJECTED_LINK_WORDS]; /* a ring of `count` from `first` on */
    int first, count;
};

void injected_link_init(struct injected_link *link, const struct scenario *scenario, uint64_t seed, int worker,
                        int peer);

/* Is the next tick's invitation lost? To be asked once per tick, however often it would be sent. */
bool injected_link_loses(struct injected_link *link);

/* The neighbor's newest word has been found to be `word`: which one may be seen now? Where too many are on their way,
 * the last two become one: words are states, and a reader may miss some. */
uint64_t injected_link_word(struct injected_link *link, uint64_t word, double now_s);

/* How much later than it is found whole a payload arrives. `decided_here`: this worker has committed the meeting. The
 * neighbor has then put its payload one latency after COMMIT; a worker that was told by COMMIT has waited that latency
 * already, and the payload came beside it. */
double injected_link_delay_s(const struct injected_link *link, size_t bytes, bool decided_here);

/* What an answer takes on top of the real network: with less patience no meeting would come about over a slow link. */
double injected_link_answer_s(const struct injected_link *link);

#endif
