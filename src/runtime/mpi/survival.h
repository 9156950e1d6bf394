/* What the MPI library offers for going on without ranks that have died: ULFM, which Open MPI 5 has under
 * `mpirun --with-ft ulfm`. Its functions are looked up by name, so that one program runs with every MPI library; where
 * they are missing or switched off, `active` is false and nothing else here is called.
 *
 * A rank dies when its process ends without MPI_Finalize and without a status of its own (a signal). A stopped one is
 * alive. Calls that need a dead rank return an error with which survival_is_death agrees; what the living say to each
 * other goes on. Private to runtime/mpi; thread: whichever owns MPI. */
#ifndef GRAPEVINE_RUNTIME_MPI_SURVIVAL_H
#define GRAPEVINE_RUNTIME_MPI_SURVIVAL_H

#include <mpi.h>
#include <stdbool.h>

struct survival {
    bool active; /* deaths are survived */
    int (*shrink)(MPI_Comm, MPI_Comm *);
    int (*agree)(MPI_Comm, int *);
    int (*revoke)(MPI_Comm);
    int (*get_failed)(MPI_Comm, MPI_Group *);
    int (*ack_failed)(MPI_Comm, int, int *);
};

/* Look for the functions, and set what they need, before MPI starts; then see whether they are switched on. */
void survival_prepare(struct survival *survival);
void survival_open(struct survival *survival);

/* Does this code of an MPI call say that a rank has died, or that the communicator was given up because of one? */
bool survival_is_death(const struct survival *survival, int code);
/* Set dead[r] of the ranks in MPI_COMM_WORLD that have died. Local, and cheap. (A communicator that was given up would
 * not tell.) */
void survival_look(const struct survival *survival, bool *dead);
/* Messages from whoever they come may be waited for again. */
void survival_acknowledge(const struct survival *survival, MPI_Comm comm);

#endif
