/* What a run will take of memory, item by item, from the plans of what it will make: the networks' own memory plans,
 * vectors, batches, snapshots. Nothing of it is allocated.
 *
 * Counted are resident bytes at the peak (VmHWM): what this process holds already (program, libraries, data set,
 * graph), and then whatever a run touches, on the rank that touches most. Not counted: what MPI and oneDNN keep inside
 * for small things (some MiB). */
#ifndef GRAPEVINE_APP_PLAN_MEMORY_H
#define GRAPEVINE_APP_PLAN_MEMORY_H

#include <stdio.h>

#include "app/plan.h"

enum { MEMORY_ITEMS_MAX = 16 };

struct memory_item {
    char what[96];
    double bytes;
    bool on_gpu;
};

struct memory_estimate {
    struct memory_item items[MEMORY_ITEMS_MAX];
    int count;
    double held;      /* of them, what the process holds already */
    double host, gpu; /* sums */
};

/* Of one rank, before its worker is made; `local_size` ranks are on its node. */
enum status memory_estimate_rank(const struct plan *plan, int local_size, struct memory_estimate *out);
/* Of a process with all workers, before they are. */
enum status memory_estimate_simulation(const struct plan *plan, struct memory_estimate *out);

/* `processes` like this one are on the machine. */
void memory_estimate_print(const struct memory_estimate *estimate, int processes, FILE *out);
/* STATUS_MACHINE (logged) where the run would not fit: limits of the process, of its control group, of the machine. */
enum status memory_estimate_check(const struct memory_estimate *estimate, int processes);

#endif
