/* The list of algorithms: a new one is its file, which defines <name>_ops, and its line here. */
#include "algo/algo.h"

#include <string.h>

#define ALGORITHMS(entry) entry(acid) entry(gossip) entry(allreduce)

#define DECLARE(algorithm) extern const struct algo_ops algorithm##_ops;
#define ADDRESS(algorithm) &algorithm##_ops,
#define NAME(algorithm) #algorithm,

ALGORITHMS(DECLARE)
static const struct algo_ops *const algorithms[] = {ALGORITHMS(ADDRESS)};
static const char *const names[] = {ALGORITHMS(NAME) NULL};

const struct algo_ops *algo_find(const char *name)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        if (strcmp(name, algorithms[i]->name) == 0)
            return algorithms[i];
    }
    return NULL;
}

const char *const *algo_names(void)
{
    return names;
}
