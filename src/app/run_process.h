/* The processes that a lock lists: a part of run_lock.c. Private to app/. */
#ifndef GRAPEVINE_SRC_APP_RUN_PROCESS_H
#define GRAPEVINE_SRC_APP_RUN_PROCESS_H

#include <stdbool.h>

#include "app/run_lock.h"
#include "base/text.h"

bool run_process_same_machine(const struct run_process *a, const struct run_process *b);

enum run_process_state {
    RUN_PROCESS_GONE,
    RUN_PROCESS_ORPHAN, /* it is there, and what has started it is not */
    RUN_PROCESS_RUNS
};

/* Of a process on this machine. */
enum run_process_state run_process_look(const struct run_process *process);

/* One line. run_process_read returns what follows it, NULL if `line` is none. */
void run_process_write(const struct run_process *process, struct text *out);
const char *run_process_read(const char *line, struct run_process *out);

#endif
