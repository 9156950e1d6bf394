/* What the MPI library offers for going on without ranks that have died. */
#include "runtime/mpi/survival.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Of Open MPI's mpi-ext.h, which no other library has: MPIX_ERR_PROC_FAILED, …_PENDING and MPIX_ERR_REVOKED. */
enum { PROCESS_FAILED = 75, PROCESS_FAILED_PENDING = 76, REVOKED = 77 };

/* A function of the MPI library by its name; false where there is none. POSIX says that this copy is fine. */
static bool find(const char *name, void *function)
{
    void *found = dlsym(RTLD_DEFAULT, name);
    memcpy(function, &found, sizeof found);
    return found != NULL;
}

void survival_prepare(struct survival *survival)
{
    bool all = true;
    *survival = (struct survival){0};
    all &= find("MPIX_Comm_shrink", &survival->shrink);
    all &= find("MPIX_Comm_agree", &survival->agree);
    all &= find("MPIX_Comm_revoke", &survival->revoke);
    all &= find("MPIX_Comm_get_failed", &survival->get_failed);
    all &= find("MPIX_Comm_ack_failed", &survival->ack_failed);
    const char *asked = getenv("OMPI_MCA_mpi_ft_enable"); /* what --with-ft sets */
    if (!all)
        *survival = (struct survival){0};
    else if (asked != NULL && strcmp(asked, "0") != 0) /* else MPI_Finalize may wait for the dead for ever */
        setenv("OMPI_MCA_async_mpi_finalize", "1", 0);
}

/* The library's own variable, whichever way it was set (--with-ft, the environment, a file). It is a bool; room for an
 * int costs nothing. */
void survival_open(struct survival *survival)
{
    int level, index, count;
    MPI_T_cvar_handle handle;
    unsigned char value[sizeof(int)] = {0};
    if (survival->shrink == NULL || MPI_T_init_thread(MPI_THREAD_SERIALIZED, &level) != MPI_SUCCESS)
        return;
    if (MPI_T_cvar_get_index("mpi_ft_enable", &index) == MPI_SUCCESS &&
        MPI_T_cvar_handle_alloc(index, NULL, &handle, &count) == MPI_SUCCESS) {
        survival->active = MPI_T_cvar_read(handle, value) == MPI_SUCCESS && value[0] != 0;
        MPI_T_cvar_handle_free(&handle);
    }
    MPI_T_finalize();
    if (survival->active) /* a write to the connection of a rank that has just died is no reason to die too */
        signal(SIGPIPE, SIG_IGN);
}

bool survival_is_death(const struct survival *survival, int code)
{
    return survival->active && (code == PROCESS_FAILED || code == PROCESS_FAILED_PENDING || code == REVOKED);
}

void survival_look(const struct survival *survival, bool *dead)
{
    MPI_Group failed, all;
    int count = 0;
    if (!survival->active || survival->get_failed(MPI_COMM_WORLD, &failed) != MPI_SUCCESS)
        return;
    MPI_Group_size(failed, &count);
    if (count > 0)
        MPI_Comm_group(MPI_COMM_WORLD, &all);
    for (int k = 0; k < count; k++) {
        int rank = MPI_UNDEFINED;
        MPI_Group_translate_ranks(failed, 1, &k, all, &rank);
        if (rank != MPI_UNDEFINED)
            dead[rank] = true;
    }
    if (count > 0)
        MPI_Group_free(&all);
    MPI_Group_free(&failed);
}

void survival_acknowledge(const struct survival *survival, MPI_Comm comm)
{
    int size, acknowledged;
    MPI_Comm_size(comm, &size);
    (void)survival->ack_failed(comm, size, &acknowledged); /* what it says comes again as an error of a later call */
}
