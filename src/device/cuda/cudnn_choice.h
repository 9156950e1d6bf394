/* Which engine was the fastest for a graph, kept in a file between runs: a line for each, "engine seconds key".
 *
 * The file is $XDG_CACHE_HOME/grapevine/cudnn-engines.txt, below ~/.cache where that is not set; it may be deleted at
 * any time. Ranks that start together append to it; one that cannot be read or written costs the measurement only. */
#ifndef GRAPEVINE_DEVICE_CUDA_CUDNN_CHOICE_H
#define GRAPEVINE_DEVICE_CUDA_CUDNN_CHOICE_H

#include <stdbool.h>

struct cudnn_choice {
    int engine; /* place in the list of configurations that heuristics name, in their order */
    double seconds;
};

/* The first line with this key and an engine below engine_count. Whoever has measured keeps the choice and then looks
 * again: processes that measured at the same time all use the one that was kept first, and so compute the same bits. */
bool cudnn_choice_find(const char *key, int engine_count, struct cudnn_choice *out);
void cudnn_choice_keep(const char *key, const struct cudnn_choice *choice);

#endif
