/* The machine as Linux shows it: processors, memory, and limits of control groups.
 *
 * A container mostly sees its own group as the root; a batch system's job lies deep, and the limit is often that of a
 * group around it. So every folder from the group's own up to the root is looked at, whatever of them is there. */
#include "base/machine.h"

#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

enum { LINE_BYTES = 4096 };

/* Numbers of a file; returns how many there are: "max" is none. */
static int read_numbers(const char *folder, const char *name, double *first, double *second)
{
    char *path = text_format("%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    int count = file != NULL ? fscanf(file, "%lf %lf", first, second) : 0;
    if (file != NULL)
        fclose(file);
    free(path);
    return count > 0 ? count : 0;
}

/* The folder of one group, of whichever version. */
static void look_at(const char *folder, struct machine_limits *limits)
{
    double first, second, unused;
    if (read_numbers(folder, "memory.max", &first, &unused) > 0)
        limits->memory = fmin(limits->memory, first);
    if (read_numbers(folder, "memory.limit_in_bytes", &first, &unused) > 0)
        limits->memory = fmin(limits->memory, first);
    if (read_numbers(folder, "cpu.max", &first, &second) == 2)
        limits->cores = fmin(limits->cores, first / second);
    if (read_numbers(folder, "cpu.cfs_quota_us", &first, &unused) > 0 && first > 0 &&
        read_numbers(folder, "cpu.cfs_period_us", &second, &unused) > 0)
        limits->cores = fmin(limits->cores, first / second);
}

/* The group at `path` below the folder of its hierarchy, and all around it. Cuts `path`. */
static void look_up(const char *hierarchy, char *path, struct machine_limits *limits)
{
    for (char *end = path + strlen(path); end != NULL; end = strrchr(path, '/')) {
        *end = '\0';
        char *folder = text_format("%s%s", hierarchy, path);
        look_at(folder, limits);
        free(folder);
    }
}

static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    }
    return false;
}

struct machine_limits machine_limits_read(const char *membership, const char *root)
{
    static const char *const controllers[] = {"memory", "cpu"};
    struct machine_limits limits = {.memory = INFINITY, .cores = INFINITY};
    char line[LINE_BYTES], list[LINE_BYTES], path[LINE_BYTES];
    FILE *file = fopen(membership, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%*d::%4095[^\n]", path) == 1) { /* version 2: one hierarchy for all */
            look_up(root, path, &limits);
            continue;
        }
        for (size_t c = 0; c < sizeof controllers / sizeof controllers[0]; c++)
            if (sscanf(line, "%*d:%4095[^:]:%4095[^\n]", list, path) == 2 && has_word(list, controllers[c])) {
                char *hierarchy = text_format("%s/%s", root, controllers[c]);
                look_up(hierarchy, path, &limits);
                free(hierarchy);
            }
    }
    if (file != NULL)
        fclose(file);
    return limits;
}

static struct machine_limits own_limits(void)
{
    return machine_limits_read("/proc/self/cgroup", "/sys/fs/cgroup");
}

uint64_t machine_memory(void)
{
    double bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    return (uint64_t)fmin(bytes, own_limits().memory);
}

uint64_t machine_resident(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL && fscanf(file, "%*u %llu", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

int machine_cores(void)
{
    cpu_set_t set;
    double cores =
        sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (double)sysconf(_SC_NPROCESSORS_ONLN);
    cores = fmin(cores, floor(own_limits().cores));
    return cores > 1 ? (int)cores : 1;
}
