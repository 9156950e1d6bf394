/* Every MPI call of the runtime goes through TRY_MPI: an error is logged once, with the call and MPI's own text. */
#ifndef GRAPEVINE_RUNTIME_MPI_CALL_H
#define GRAPEVINE_RUNTIME_MPI_CALL_H

#include <mpi.h>
#include <stdbool.h>

#include "base/status.h"
#include "runtime/job.h"

/* Log MPI's text for an error code; returns STATUS_MACHINE. */
enum status mpi_call_failed(const char *call, int code);

#define TRY_MPI(call)                                 \
    do {                                              \
        int mpi_code_ = (call);                       \
        if (mpi_code_ != MPI_SUCCESS)                 \
            return mpi_call_failed(#call, mpi_code_); \
    } while (0)

/* Wait for a started operation, entering MPI between short sleeps, for at most job->limit_s seconds (0: without
 * limit). STATUS_MACHINE (logged by every rank that waited, with the step's name) when it did not end. */
enum status mpi_call_wait(const struct job *job, const char *step, MPI_Request *request);

/* All of `count` requests are complete; those that are, are set to MPI_REQUEST_NULL. False also when MPI fails. */
bool mpi_call_all_complete(MPI_Request *requests, int count);

#endif
