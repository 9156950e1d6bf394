/* Every MPI call of the runtime goes through TRY_MPI: an error is logged once, with the call and MPI's own text. */
#ifndef GRAPEVINE_RUNTIME_MPI_CALL_H
#define GRAPEVINE_RUNTIME_MPI_CALL_H

#include <mpi.h>
#include <stdbool.h>

#include "base/status.h"
#include "runtime/job.h"
#include "runtime/mpi/survival.h"

/* The job's own, behind its plain face. */
struct job_mpi {
    MPI_Comm comm; /* of all ranks; once job_survive has been called, of the living */
    struct survival survival;
    bool repeats;  /* job_survive is under way */
    bool bereaved; /* and a step of it has not come to its end because a rank has died */
    int *workers;  /* owned (as many as there were at the start): workers of the ranks of comm */
};

/* Log MPI's text for an error code; returns STATUS_MACHINE. */
enum status mpi_call_failed(const char *call, int code);

#define TRY_MPI(call)                                 \
    do {                                              \
        int mpi_code_ = (call);                       \
        if (mpi_code_ != MPI_SUCCESS)                 \
            return mpi_call_failed(#call, mpi_code_); \
    } while (0)

/* Wait for a started operation, entering MPI between short sleeps, for at most job->limit_s seconds (0: without
 * limit). STATUS_MACHINE (logged by every rank that waited, with the step's name) when it did not end; or because a
 * rank has died: then only job_survive goes on, without a word, and else the lowest living rank says so. */
enum status mpi_call_wait(const struct job *job, const char *step, MPI_Request *request);

/* A call of a collective step has failed: STATUS_MACHINE, logged like mpi_call_failed's. Where a rank has died,
 * job_survive learns of it, and the others, who may be in other steps; without it the lowest living rank tells. */
enum status mpi_call_step_failed(const struct job *job, const char *step, const char *call, int code);

/* All of `count` requests are complete; those that are, are set to MPI_REQUEST_NULL. False also when MPI fails. */
bool mpi_call_all_complete(MPI_Request *requests, int count);

#endif
