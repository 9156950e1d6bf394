/* Words and payloads that come late, invitations that get lost. */
#include "runtime/mpi/injected_link.h"

void injected_link_init(struct injected_link *link, const struct scenario *scenario, uint64_t seed, int worker,
                        int peer)
{
    *link = (struct injected_link){
        .properties = scenario_link(scenario, worker, peer),
        .loss = random_stream(seed, RANDOM_LOSS, (uint32_t)worker, (uint64_t)peer),
    };
}

bool injected_link_loses(struct injected_link *link)
{
    return link->properties.loss > 0 && random_uniform(&link->loss) < link->properties.loss;
}

uint64_t injected_link_word(struct injected_link *link, uint64_t word, double now_s)
{
    if (link->properties.latency_s == 0)
        return word;
    if (word != link->newest) {
        link->newest = word;
        if (link->count < INJECTED_LINK_WORDS)
            link->count++;
        int last = (link->first + link->count - 1) % INJECTED_LINK_WORDS;
        link->waiting[last].word = word;
        link->waiting[last].due_s = now_s + link->properties.latency_s;
    }
    while (link->count > 0 && link->waiting[link->first].due_s <= now_s) {
        link->shown = link->waiting[link->first].word;
        link->first = (link->first + 1) % INJECTED_LINK_WORDS;
        link->count--;
    }
    return link->shown;
}

double injected_link_delay_s(const struct injected_link *link, size_t bytes, bool decided_here)
{
    double delay_s = scenario_link_delay_s(link->properties, (double)bytes);
    return decided_here ? delay_s : delay_s - link->properties.latency_s;
}

double injected_link_answer_s(const struct injected_link *link)
{
    return 2 * link->properties.latency_s;
}
