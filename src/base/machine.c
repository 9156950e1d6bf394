/* The machine as Linux shows it: processors, memory, and limits of control groups (version 2). */
#include "base/machine.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

static const char *const group_memory = "/sys/fs/cgroup/memory.max", *const group_time = "/sys/fs/cgroup/cpu.max";

/* Numbers of a file of a control group; returns how many there are: "max" is none. */
static int read_limits(const char *path, double *first, double *second)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    int count = fscanf(file, "%lf %lf", first, second);
    fclose(file);
    return count > 0 ? count : 0;
}

uint64_t machine_memory(void)
{
    double bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE), limit, unused;
    if (read_limits(group_memory, &limit, &unused) > 0 && limit < bytes)
        bytes = limit;
    return (uint64_t)bytes;
}

int machine_cores(void)
{
    cpu_set_t set;
    double quota, period;
    long cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    if (read_limits(group_time, &quota, &period) == 2 && quota / period < (double)cores)
        cores = (long)(quota / period);
    return cores > 1 ? (int)cores : 1;
}
