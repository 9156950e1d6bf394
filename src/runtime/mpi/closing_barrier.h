/* The barrier at the end of a communication thread's life: entered once, tested between polls, never waited in. */
#ifndef GRAPEVINE_RUNTIME_MPI_CLOSING_BARRIER_H
#define GRAPEVINE_RUNTIME_MPI_CLOSING_BARRIER_H

#include <stdbool.h>

#include "base/status.h"
#include "runtime/mpi/mpi_call.h"

/* Start with {0}. */
struct closing_barrier {
    bool entered, passed;
    MPI_Request request;
};

/* The first call enters, further calls test. */
static inline enum status closing_barrier_enter(struct closing_barrier *barrier, const struct job *job)
{
    if (!barrier->entered) {
        barrier->entered = true;
        TRY_MPI(MPI_Ibarrier(job->mpi->comm, &barrier->request));
    }
    int passed = 0;
    if (!barrier->passed)
        TRY_MPI(MPI_Test(&barrier->request, &passed, MPI_STATUS_IGNORE));
    barrier->passed |= passed != 0;
    return STATUS_OK;
}

static inline bool closing_barrier_passed(const struct closing_barrier *barrier)
{
    return barrier->passed;
}

#endif
