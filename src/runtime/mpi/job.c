/* The job: start and end of MPI, and collective steps that cannot hang without a word. */
#include "runtime/job.h"

#include <assert.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "base/machine.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "base/thread.h"
#include "runtime/mpi/mpi_call.h"

enum { SMALL_SHM_BYTES = 1 << 30 };

/* A call of a collective step, where `job` and `step` are known. */
#define TRY_STEP(call)                                                \
    do {                                                              \
        int mpi_code_ = (call);                                       \
        if (mpi_code_ != MPI_SUCCESS)                                 \
            return mpi_call_step_failed(job, step, #call, mpi_code_); \
    } while (0)

enum status mpi_call_failed(const char *call, int code)
{
    char text[MPI_MAX_ERROR_STRING] = "unknown error";
    int length = 0;
    MPI_Error_string(code, text, &length);
    log_on_this_rank(LOG_ERROR,
                     "%s failed: %s; run `grapevine doctor` under the same launcher to see what this MPI can do", call,
                     text);
    return STATUS_MACHINE;
}

static void prefer(const char *name, const char *value)
{
    setenv(name, value, 0); /* what the user has set stays */
}

/* Windows of shared memory, and messages under the name that this version has for them, lie in /dev/shm unless told
 * otherwise. */
static void prefer_room(const char *messages)
{
    struct statvfs shm;
    if (statvfs("/dev/shm", &shm) != 0 || (double)shm.f_bavail * (double)shm.f_frsize >= SMALL_SHM_BYTES)
        return;
    const char *temporary = getenv("TMPDIR");
    const char *folder = temporary != NULL ? temporary : "/tmp";
    prefer("OMPI_MCA_osc_sm_backing_directory", folder);
    prefer(messages, folder);
}

/* Open MPI 4's default one-sided component (rdma) crashes with a communication thread and refuses windows between
 * hosts; `sm` works on a node and `pt2pt` everywhere as long as one thread at a time is inside MPI. */
static void prefer_in_version_4(void)
{
    prefer("OMPI_MCA_osc", "sm,pt2pt");
    prefer("OMPI_MCA_mpi_yield_when_idle", "1");
    prefer_room("OMPI_MCA_btl_vader_backing_directory");
}

/* Processes that a launcher says it has started together; 0 where it says nothing. */
static long launched(const char *variable)
{
    const char *text = getenv(variable);
    return text != NULL ? strtol(text, NULL, 10) : 0;
}

/* As far as the launcher says before MPI starts: mpirun, else srun. */
static bool all_on_one_host(void)
{
    long size = launched("OMPI_COMM_WORLD_SIZE");
    if (size > 0)
        return size == launched("OMPI_COMM_WORLD_LOCAL_SIZE");
    return launched("SLURM_STEP_NUM_NODES") == 1;
}

/* Open MPI 5 asks the kernel for a route between each pair of ranks. On one host that is the loopback's, which its TCP
 * does not use: it complains of every pair, though none needs TCP there. Addresses compared without the kernel match.
 * (`btl` without TCP would be quiet, too, but replaces what a distribution's file says of other components.) */
static void prefer_in_version_5(void)
{
    prefer_room("OMPI_MCA_btl_sm_backing_directory");
    if (all_on_one_host())
        prefer("OMPI_MCA_reachable", "weighted");
}

static void prefer_working_components(void)
{
    char version[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    MPI_Get_library_version(version, &length);
    if (strstr(version, "Open MPI v4") != NULL)
        prefer_in_version_4();
    if (strstr(version, "Open MPI v5") != NULL)
        prefer_in_version_5();
}

/* Slurm has started several processes and told none of them how to find the others. Open MPI would end them all with a
 * long message of its own. */
static enum status check_srun(void)
{
    static const char *const means[] = {"PMIX_RANK", "PMI_RANK", "PMI_FD", "OMPI_COMM_WORLD_SIZE"};
    for (size_t k = 0; k < sizeof means / sizeof means[0]; k++)
        if (getenv(means[k]) != NULL)
            return STATUS_OK;
    if (launched("SLURM_STEP_NUM_TASKS") <= 1)
        return STATUS_OK;
    log_error("srun has started %ld processes that do not know each other: each would be rank 0 of 1; start them with "
              "srun --mpi=pmix (srun --mpi=list shows what there is), or with mpirun",
              launched("SLURM_STEP_NUM_TASKS"));
    return STATUS_MACHINE;
}

/* A launcher and an MPI that do not know each other: every process believes to be rank 0 of 1, and would train
 * alone. */
static enum status check_launcher(const struct job *job)
{
    long by_open_mpi = launched("OMPI_COMM_WORLD_SIZE"), by_pmi = launched("PMI_SIZE");
    if (job->size > 1 || (by_open_mpi <= 1 && by_pmi <= 1))
        return STATUS_OK;
    log_error("the launcher has started %ld processes, and MPI knows of one: each believes to be rank 0 of 1; use the "
              "mpirun of the MPI that this program was built with (grapevine doctor names it), or srun --mpi=pmix",
              by_open_mpi > by_pmi ? by_open_mpi : by_pmi);
    return STATUS_MACHINE;
}

static void open_mpi(struct job *job, struct survival *survival)
{
    survival_open(survival);
    job->worker = job->rank;
    job->worker_count = job->size;
    job->survives = survival->active && job->size > 1;
    job->mpi = memory_zalloc(1, sizeof *job->mpi);
    job->mpi->comm = MPI_COMM_WORLD;
    job->mpi->survival = *survival;
    job->mpi->workers = memory_zalloc((size_t)job->size, sizeof job->mpi->workers[0]);
    for (int rank = 0; rank < job->size; rank++)
        job->mpi->workers[rank] = rank;
}

/* Ranks of a node that may use the same core share it; a control group's quota of time is shared by all of them. */
static enum status share_cores(struct job *job, MPI_Comm node)
{
    enum { CORES = CPU_SETSIZE };
    cpu_set_t own;
    int users[CORES] = {0};
    double cores = 0;
    CPU_ZERO(&own);
    if (sched_getaffinity(0, sizeof own, &own) != 0)
        CPU_ZERO(&own); /* not known; the others count all the same */
    for (int core = 0; core < CORES; core++)
        users[core] = CPU_ISSET(core, &own) ? 1 : 0;
    TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, users, CORES, MPI_INT, MPI_SUM, node));
    for (int core = 0; core < CORES; core++)
        cores += CPU_ISSET(core, &own) ? 1.0 / users[core] : 0;
    job->cores = fmin(cores, (double)machine_cores() / (machine_cores() < CPU_COUNT(&own) ? job->local_size : 1));
    return STATUS_OK;
}

static enum status look_around(struct job *job)
{
    MPI_Comm node;
    TRY_MPI(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, job->rank, MPI_INFO_NULL, &node));
    MPI_Comm_rank(node, &job->local_rank);
    MPI_Comm_size(node, &job->local_size);
    enum status status = share_cores(job, node);
    MPI_Comm_free(&node);
    return status;
}

/* MPI_Init waits for all ranks for ever: for one that runs another command, too. */
struct start_watch {
    struct thread thread;
    struct wakeup started;
    double limit_s;
};

static void *watch_start(void *context)
{
    struct start_watch *watch = context;
    if (wakeup_wait(&watch->started, watch->limit_s))
        return NULL;
    log_on_this_rank(LOG_ERROR,
                     "MPI did not start within %g s: not all ranks have come ($GRAPEVINE_START_S, in seconds, lets it "
                     "take longer); give every rank the same command, and look whether all hosts have started",
                     watch->limit_s);
    _exit(STATUS_MACHINE);
}

static double start_limit_s(const struct job *job)
{
    const char *said = getenv("GRAPEVINE_START_S");
    double limit_s = said != NULL ? strtod(said, NULL) : 0;
    return limit_s > 0 ? limit_s : job->limit_s;
}

static int init_mpi(int *argc, char ***argv, const struct job *job, int *provided)
{
    struct start_watch watch = {.limit_s = start_limit_s(job)};
    wakeup_init(&watch.started);
    bool watched = watch.limit_s > 0 && thread_start(&watch.thread, "start", watch_start, &watch) == STATUS_OK;
    int code = MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, provided);
    wakeup_set(&watch.started);
    if (watched)
        thread_join(&watch.thread);
    wakeup_release(&watch.started);
    return code;
}

/* The library crashes, or ends the process, where an allocation of its own fails. Measured with Open MPI 4.1: its
 * components, threads and their heaps map 200 MiB, each rank of the node a few more. */
static enum status check_room(void)
{
    const char *launched_text = getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    size_t ranks = launched_text != NULL ? strtoul(launched_text, NULL, 10) : 1;
    size_t mpi_bytes = ((size_t)208 + 8 * ranks) << 20;
    if (memory_has_room(mpi_bytes))
        return STATUS_OK;
    memory_report(mpi_bytes, "starting MPI");
    return STATUS_MACHINE;
}

enum status job_start(int *argc, char ***argv, struct job *job)
{
    TRY(check_srun());
    TRY(check_room());
    prefer_working_components();
    struct survival survival;
    survival_prepare(&survival);
    int provided = MPI_THREAD_SINGLE;
    if (init_mpi(argc, argv, job, &provided) != MPI_SUCCESS) {
        log_error("MPI did not start; run under mpirun or srun --mpi=pmix of the library this program was built with");
        return STATUS_MACHINE;
    }
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &job->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &job->size);
    open_mpi(job, &survival);
    log_set_rank(job->rank, job->size);
    if (provided < MPI_THREAD_SERIALIZED) {
        log_error(
            "this MPI offers thread level %d, and MPI_THREAD_SERIALIZED is needed: use a build of MPI with threads",
            provided);
        return STATUS_MACHINE;
    }
    TRY(check_launcher(job));
    return look_around(job);
}

enum status mpi_call_wait(const struct job *job, const char *step, MPI_Request *request)
{
    double begin_s = stopwatch_now(), pause_s = 5e-6;
    for (int done = 0;;) {
        TRY_STEP(MPI_Test(request, &done, MPI_STATUS_IGNORE));
        if (done)
            return STATUS_OK;
        if (job->limit_s > 0 && stopwatch_now() - begin_s > job->limit_s) {
            log_on_this_rank(
                LOG_ERROR,
                "waited %.0f s for the other ranks in step \"%s\" (communication.limit_s); a rank is stopped, "
                "dead or much slower: look at the ranks whose messages are missing",
                job->limit_s, step);
            return STATUS_MACHINE;
        }
        stopwatch_sleep(pause_s);
        pause_s = pause_s < 1e-3 ? pause_s * 1.3 : pause_s;
    }
}

bool mpi_call_all_complete(MPI_Request *requests, int count)
{
    for (int k = 0; k < count; k++) {
        int done = 1;
        if (MPI_Test(&requests[k], &done, MPI_STATUS_IGNORE) != MPI_SUCCESS || !done)
            return false;
    }
    return true;
}

enum status job_barrier(const struct job *job, const char *step)
{
    MPI_Request request;
    TRY_STEP(MPI_Ibarrier(job->mpi->comm, &request));
    return mpi_call_wait(job, step, &request);
}

static enum status sum_doubles_in_order(const struct job *job, const char *step, double *values, size_t count)
{
    double *all = memory_zalloc((size_t)job->size * count, sizeof all[0]);
    enum status status = job_gather_doubles(job, step, values, count, all);
    for (size_t k = 0; k < count && status == STATUS_OK; k++) {
        values[k] = all[k];
        for (size_t rank = 1; rank < (size_t)job->size; rank++)
            values[k] += all[rank * count + k];
    }
    free(all);
    return status;
}

enum status job_sum_doubles(const struct job *job, const char *step, double *values, size_t count)
{
    MPI_Request request;
    assert(count <= 1u << 30);
    if (job->ordered_sums)
        return sum_doubles_in_order(job, step, values, count);
    TRY_STEP(MPI_Iallreduce(MPI_IN_PLACE, values, (int)count, MPI_DOUBLE, MPI_SUM, job->mpi->comm, &request));
    return mpi_call_wait(job, step, &request);
}

static enum status sum_piece_in_order(const struct job *job, const char *step, float *values, size_t count, float *all)
{
    MPI_Request request;
    TRY_STEP(MPI_Iallgather(values, (int)count, MPI_FLOAT, all, (int)count, MPI_FLOAT, job->mpi->comm, &request));
    TRY(mpi_call_wait(job, step, &request));
    memcpy(values, all, count * sizeof values[0]);
    for (size_t rank = 1; rank < (size_t)job->size; rank++)
        for (size_t k = 0; k < count; k++)
            values[k] += all[rank * count + k];
    return STATUS_OK;
}

static enum status sum_floats_in_order(const struct job *job, const char *step, float *values, size_t count)
{
    const size_t piece = (size_t)1 << 18; /* what is gathered at once stays small */
    float *all = memory_alloc_aligned((size_t)job->size * (count < piece ? count : piece) * sizeof all[0]);
    enum status status = STATUS_OK;
    for (size_t first = 0; first < count && status == STATUS_OK; first += piece)
        status = sum_piece_in_order(job, step, values + first, count - first < piece ? count - first : piece, all);
    memory_free_aligned(all);
    return status;
}

enum status job_sum_floats(const struct job *job, const char *step, float *values, size_t count)
{
    if (job->ordered_sums)
        return sum_floats_in_order(job, step, values, count);
    const size_t piece = (size_t)1 << 24; /* MPI counts are ints; pieces also bound the library's temporary memory */
    for (size_t first = 0; first < count; first += piece) {
        size_t length = count - first < piece ? count - first : piece;
        MPI_Request request;
        TRY_STEP(
            MPI_Iallreduce(MPI_IN_PLACE, values + first, (int)length, MPI_FLOAT, MPI_SUM, job->mpi->comm, &request));
        TRY(mpi_call_wait(job, step, &request));
    }
    return STATUS_OK;
}

enum status job_broadcast(const struct job *job, const char *step, void *bytes, size_t count)
{
    const size_t piece = (size_t)1 << 26;
    for (size_t first = 0; first < count; first += piece) {
        size_t length = count - first < piece ? count - first : piece;
        MPI_Request request;
        TRY_STEP(MPI_Ibcast((char *)bytes + first, (int)length, MPI_BYTE, 0, job->mpi->comm, &request));
        TRY(mpi_call_wait(job, step, &request));
    }
    return STATUS_OK;
}

enum status job_gather_doubles(const struct job *job, const char *step, const double *mine, size_t count, double *all)
{
    MPI_Request request;
    TRY_STEP(MPI_Iallgather(mine, (int)count, MPI_DOUBLE, all, (int)count, MPI_DOUBLE, job->mpi->comm, &request));
    return mpi_call_wait(job, step, &request);
}

enum status job_gather_bytes(const struct job *job, const char *step, const void *mine, size_t bytes, void *all)
{
    MPI_Request request;
    assert(bytes <= 1u << 30);
    TRY_STEP(MPI_Iallgather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, job->mpi->comm, &request));
    return mpi_call_wait(job, step, &request);
}

enum status job_agree(struct job *job, const char *step, enum status status)
{
    double *all = memory_zalloc((size_t)job->size, sizeof *all);
    double mine = status;
    enum status gathered = job_gather_doubles(job, step, &mine, 1, all);
    if (gathered != STATUS_OK) {
        free(all);
        return gathered;
    }
    int speaker = 0;
    for (int rank = 1; rank < job->size; rank++)
        if (all[rank] > all[speaker])
            speaker = rank;
    enum status worst = (enum status)(int)all[speaker];
    free(all);
    if (worst != STATUS_OK && speaker == job->rank)
        log_release();
    job->agreed = worst != STATUS_OK;
    return worst;
}

static bool is_read(int file)
{
    struct stat is;
    int waiting = 0;
    return fstat(file, &is) != 0 || !S_ISFIFO(is.st_mode) || ioctl(file, FIONREAD, &waiting) != 0 || waiting == 0;
}

/* The launcher passes on what the ranks write, and drops what it has not read when a rank aborts: the reason would be
 * lost. */
static void let_launcher_read(void)
{
    const double limit_s = 5, look_every_s = 1e-3, pass_on_s = 0.05;
    double begin_s = stopwatch_now();
    fflush(NULL);
    while (!(is_read(STDOUT_FILENO) && is_read(STDERR_FILENO)) && stopwatch_now() - begin_s < limit_s)
        stopwatch_sleep(look_every_s);
    stopwatch_sleep(pass_on_s);
}

/* The others may be waiting for this rank. Open MPI 5's mpirun writes a NUL byte behind its message on MPI_Abort, and
 * grep calls the log a binary file; it also ends the others when a rank leaves with a bad status, unless they survive
 * deaths. */
static void end_all(const struct job *job, enum status status)
{
    let_launcher_read();
    if (getenv("PRTE_LAUNCHED") != NULL && !job->survives)
        _exit((int)status);
    MPI_Abort(MPI_COMM_WORLD, (int)status);
}

int job_finish(struct job *job, enum status status)
{
    int started = 0;
    MPI_Initialized(&started);
    if (job->mpi != NULL)
        free(job->mpi->workers);
    free(job->mpi);
    job->mpi = NULL;
    if (!started)
        return (int)status;
    if (status != STATUS_OK && !job->agreed && job->size > 1)
        end_all(job, status);
    else
        MPI_Finalize();
    return (int)status;
}
