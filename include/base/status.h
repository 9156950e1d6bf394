/* Status codes and the macros that pass them upward.
 *
 * A status is also the exit status of the program (README, "Exit status"). The function that prints the
 * message is the first one that knows which error it is; every caller above only passes the status on:
 *
 *     TRY(config_load(path, &config));
 *     TRY_GOTO(vector_create(n, &x), release_order);
 *
 * Outputs are set only when the status is STATUS_OK. */
#ifndef GRAPEVINE_BASE_STATUS_H
#define GRAPEVINE_BASE_STATUS_H

enum status {
    STATUS_OK = 0,
    STATUS_USAGE = 2,   /* the command line, the configuration or a graph file is wrong */
    STATUS_DATA = 3,    /* a data set or a checkpoint is missing, short or of another kind */
    STATUS_MACHINE = 4, /* MPI, a GPU, memory, a disk or a library failed */
    STATUS_BUG = 70,    /* a state that Grapevine's own code should have excluded */
    STATUS_REQUEUE = 75 /* checkpointed on request, to be started again */
};

/* Name of a status for messages and the run directory: "done", "usage", ... Never NULL. */
const char *status_name(enum status status);

/* Return from the current function with the status of `call` unless it is STATUS_OK. */
#define TRY(call)                         \
    do {                                  \
        enum status try_status_ = (call); \
        if (try_status_ != STATUS_OK)     \
            return try_status_;           \
    } while (0)

/* The same, but store the status in the local variable `status` and jump to `label`, which unwinds. */
#define TRY_GOTO(call, label)    \
    do {                         \
        status = (call);         \
        if (status != STATUS_OK) \
            goto label;          \
    } while (0)

#endif
