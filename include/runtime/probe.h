/* What the MPI of this job can do, measured between its ranks: for `grapevine doctor`.
 *
 * Uses the transport that training uses, so what works here works there. Every wait has a limit. */
#ifndef GRAPEVINE_RUNTIME_PROBE_H
#define GRAPEVINE_RUNTIME_PROBE_H

#include <stdbool.h>

#include "base/status.h"
#include "runtime/job.h"

struct probe_result {
    char library[160];        /* first line of the MPI library's version */
    const char *thread_level; /* static: "MPI_THREAD_SERIALIZED", … */
    char windows[96];         /* one-sided component as asked for (Open MPI), or what the library is */
    const char *gpu_memory;   /* static: what the library says of putting from GPU memory */
    const char *deaths;       /* static: what becomes of a run when a rank dies */
    const char *transport;    /* static: the one that training would use */
    double *latency_s;        /* owned (size × size): one word, one way; 0 on the diagonal, NAN where nothing came */
    double *bytes_per_second; /* owned (size × size): one payload of PROBE_BYTES, from start to its acknowledgement */
};

enum { PROBE_BYTES = 4 << 20 };

/* Collective. The result is the same on every rank. */
enum status probe_run(struct job *job, struct probe_result *out);
void probe_release(struct probe_result *result);

#endif
