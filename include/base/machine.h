/* What this process may use of the machine it runs on. */
#ifndef GRAPEVINE_BASE_MACHINE_H
#define GRAPEVINE_BASE_MACHINE_H

#include <stdint.h>

/* Bytes of memory: the machine's, or the limit of the control group that the process is in. */
uint64_t machine_memory(void);
/* Bytes of this process that are in memory now (VmRSS); 0: not known. */
uint64_t machine_resident(void);
/* Cores: those that the process may run on, or the control group's quota of time if that is less. At least 1. */
int machine_cores(void);

/* What control groups allow: the least of a group's own and of all that it lies in; INFINITY where nothing is said. */
struct machine_limits {
    double memory; /* bytes */
    double cores;
};

/* For a process whose groups are listed in the file `membership` (/proc/self/cgroup), where groups of version 1 or 2
 * are folders below `root` (/sys/fs/cgroup). What is not there is no limit. */
struct machine_limits machine_limits_read(const char *membership, const char *root);

#endif
