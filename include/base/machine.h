/* What this process may use of the machine it runs on. */
#ifndef GRAPEVINE_BASE_MACHINE_H
#define GRAPEVINE_BASE_MACHINE_H

#include <stdint.h>

/* Bytes of memory: the machine's, or the limit of the control group that the process is in. */
uint64_t machine_memory(void);
/* Cores: those that the process may run on, or the control group's quota of time if that is less. At least 1. */
int machine_cores(void);

#endif
