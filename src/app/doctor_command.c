/* grapevine doctor: is this machine fit to train? A table of what was found and measured, and what to do where
 * something is wrong. Under mpirun or srun it looks at all ranks and puts between every pair of them. */
#include <glob.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "app/command.h"
#include "app/option_rules.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/quantity.h"
#include "base/text.h"
#include "data/dataset.h"
#include "device/device.h"
#include "runtime/job.h"
#include "runtime/probe.h"

/* What a rank sees of its own host: numbers only, so that they travel together. */
enum fact { FACT_CORES, FACT_ONLINE, FACT_SHM_FREE, FACT_LOCAL_RANK, FACT_LOCAL_SIZE, FACT_COUNT };

static const double shm_least_bytes = 256.0 * (1 << 20);

/* Advice is collected while the table is printed, and shown below it. */
struct advice {
    struct text text;
    int count;
};

static void advise(struct advice *advice, const char *line)
{
    text_add(&advice->text, "  %d. %s\n", ++advice->count, line);
}

static void look_at_host(const struct job *job, double facts[FACT_COUNT])
{
    cpu_set_t set;
    struct statvfs shm;
    facts[FACT_ONLINE] = (double)sysconf(_SC_NPROCESSORS_ONLN);
    facts[FACT_CORES] = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : facts[FACT_ONLINE];
    facts[FACT_SHM_FREE] = statvfs("/dev/shm", &shm) == 0 ? (double)shm.f_bavail * (double)shm.f_frsize : 0;
    facts[FACT_LOCAL_RANK] = job->local_rank;
    facts[FACT_LOCAL_SIZE] = job->local_size;
}

/* Settings have other names from version to version. */
static bool is_library(const struct probe_result *probe, const char *name)
{
    return strncmp(probe->library, name, strlen(name)) == 0;
}

static void advise_on_puts(const struct job *job, const struct probe_result *probe, struct advice *advice)
{
    bool put = strcmp(probe->transport, "put") == 0;
    if (!put && !job->survives)
        advise(advice,
               is_library(probe, "Open MPI v4")
                   ? "one-sided puts do not work here: try --mca osc sm,pt2pt (one node, TCP) or --mca pml ucx --mca "
                     "osc ucx (InfiniBand); until then exchanges go by two-sided messages"
               : is_library(probe, "Open MPI")
                   ? "one-sided puts do not work here: leave the choice of osc to the library, or try --mca pml ucx "
                     "--mca osc ucx (InfiniBand); until then exchanges go by two-sided messages"
                   : "one-sided puts do not work here: exchanges go by two-sided messages");
    if (put && is_library(probe, "Open MPI v5") && job->local_size < job->size)
        advise(advice, "between hosts, Open MPI 5 makes puts of messages where the network has none (TCP), which may "
                       "be slow: compare communication.transport=sendrecv");
}

static void print_mpi(const struct job *job, const struct probe_result *probe, struct advice *advice)
{
    printf("MPI library      %s\n", probe->library);
    printf("thread level     %s\n", probe->thread_level);
    printf("windows          %s\n", probe->windows);
    printf("GPU memory       %s\n", probe->gpu_memory);
    printf("deaths of ranks  %s\n", probe->deaths);
    if (job->size == 1) {
        printf("puts             not tried: one rank\n");
        advise(advice, "run it under the launcher too, to try puts between ranks: mpirun -n 4 grapevine doctor");
        return;
    }
    printf("transport        %s\n", probe->transport);
    advise_on_puts(job, probe, advice);
}

static void print_pairs(const struct job *job, const struct probe_result *probe, struct advice *advice)
{
    int n = job->size, silent = 0;
    double slowest = INFINITY, fastest = 0;
    if (n < 2)
        return;
    printf("pairs of ranks   latency of a word, one way, in us (above the diagonal); bandwidth of a %d MiB put in MB/s "
           "(below)\n",
           PROBE_BYTES >> 20);
    for (int i = 0; i < n; i++) {
        printf("  %4d", i);
        for (int j = 0; j < n; j++) {
            double value = i < j ? probe->latency_s[i * n + j] * 1e6 : probe->bytes_per_second[i * n + j] / 1e6;
            if (i == j)
                printf("%9s", "-");
            else if (isnan(value))
                printf("%9s", "silent");
            else
                printf("%9.0f", value);
            silent += i < j && isnan(probe->bytes_per_second[i * n + j]);
            if (i < j && probe->bytes_per_second[i * n + j] > 0) {
                slowest = fmin(slowest, probe->bytes_per_second[i * n + j]);
                fastest = fmax(fastest, probe->bytes_per_second[i * n + j]);
            }
        }
        printf("\n");
    }
    if (silent > 0)
        advise(advice, is_library(probe, "Open MPI")
                           ? "some pairs did not answer within 5 s: name the interface (--mca btl_tcp_if_include), "
                             "open the firewall between the hosts, or leave these hosts out"
                           : "some pairs did not answer within 5 s: name the interface (MPICH: mpiexec -iface), open "
                             "the firewall between the hosts, or leave these hosts out");
    else if (fastest > 10 * slowest)
        advise(advice, "the slowest pair is more than ten times slower than the fastest: a graph that avoids it, or "
                       "communication.enforce_rate=false, keeps it from holding others up");
}

static void print_ranks(const struct job *job, const double *facts, struct advice *advice)
{
    bool shared_core = false, small_shm = false, crowded = false;
    printf("ranks            rank: local rank, cores it may use of those online, free /dev/shm\n");
    for (int rank = 0; rank < job->size; rank++) {
        const double *of = facts + (size_t)rank * FACT_COUNT;
        char bytes[32];
        printf("  %4d: %.0f of %.0f on its host, %.0f of %.0f cores, %s\n", rank, of[FACT_LOCAL_RANK],
               of[FACT_LOCAL_SIZE], of[FACT_CORES], of[FACT_ONLINE], quantity_bytes(bytes, of[FACT_SHM_FREE]));
        shared_core |= of[FACT_CORES] < 2 && of[FACT_ONLINE] > 1;
        small_shm |= of[FACT_SHM_FREE] < shm_least_bytes * of[FACT_LOCAL_SIZE];
        crowded |= of[FACT_LOCAL_SIZE] > of[FACT_ONLINE];
    }
    if (shared_core)
        advise(advice, "a rank may use one core only, which its two threads share: mpirun --bind-to none, or --map-by "
                       "slot:PE=2");
    if (small_shm)
        advise(advice,
               "/dev/shm is small: windows are put into $TMPDIR or /tmp when less than 1 GiB is free there; to choose "
               "the folder with Open MPI: --mca osc_sm_backing_directory DIR (in a container: --shm-size)");
    if (crowded)
        advise(advice, "more ranks than cores on a host: it works, and each rank is slower by that factor");
}

static void print_devices(struct advice *advice)
{
    const struct device_ops *cpu = device_choose("cpu"), *cuda = device_find("cuda");
    char text[1024];
    glob_t found;
    bool gpu = glob("/dev/nvidia[0-9]*", 0, NULL, &found) == 0;
    cpu->describe(text, sizeof text);
    printf("device cpu       %s\n", text);
    if (cuda != NULL)
        cuda->describe(text, sizeof text);
    printf("device cuda      %s\n", cuda != NULL ? text : "not in this build");
    printf("GPUs             %zu\n", gpu ? found.gl_pathc : 0);
    globfree(&found);
    if (gpu && cuda == NULL)
        advise(advice,
               "there is an NVIDIA GPU, which this build does not use: install the CUDA Toolkit and cuDNN, then "
               "make CUDA=1");
    if (gpu && cuda != NULL && !cuda->available())
        advise(advice, "there is an NVIDIA GPU, which CUDA cannot use: look at nvidia-smi, the driver's version and "
                       "CUDA_VISIBLE_DEVICES");
    if (cuda != NULL && cuda->available() && cuda->check() != STATUS_OK)
        advise(advice, "a library that the GPU needs is missing (see the message above)");
}

static void print_data(struct advice *advice)
{
    static const char *const folders[] = {"cifar-10-batches-bin", "cifar-100-binary", "mnist",
                                          "fashion-mnist",        "imagenet",         "photos"};
    const char *path = getenv("GRAPEVINE_DATA");
    printf("data             %s:", path != NULL ? path : "$GRAPEVINE_DATA is not set");
    int count = 0;
    for (size_t k = 0; path != NULL && k < sizeof folders / sizeof folders[0]; k++) {
        char *folder = text_format("%s/%s", path, folders[k]);
        struct stat is;
        if (stat(folder, &is) == 0 && S_ISDIR(is.st_mode))
            printf(" %s", folders[k]);
        count += stat(folder, &is) == 0;
        free(folder);
    }
    printf("%s\n", count == 0 ? " only shapes, which is drawn" : " shapes");
    if (count == 0)
        advise(advice, "no data set was found: scripts/get_data.sh cifar10 DIR, then export GRAPEVINE_DATA=DIR");
}

static enum status examine(struct job *job)
{
    double mine[FACT_COUNT], *facts = memory_zalloc((size_t)job->size * FACT_COUNT, sizeof facts[0]);
    struct probe_result probe = {0};
    struct advice advice = {0};
    enum status status;
    look_at_host(job, mine);
    TRY_GOTO(job_gather_doubles(job, "facts of the ranks", mine, FACT_COUNT, facts), free_facts);
    TRY_GOTO(probe_run(job, &probe), free_facts);
    if (job->rank == 0) {
        printf("Grapevine        %s, %d rank(s)\n", GRAPEVINE_VERSION, job->size);
        print_mpi(job, &probe, &advice);
        print_pairs(job, &probe, &advice);
        print_ranks(job, facts, &advice);
        print_devices(&advice);
        print_data(&advice);
        if (advice.count > 0)
            printf("\nWhat to do:\n%s", text_view(&advice.text));
        else
            printf("\nAll is well.\n");
    }
free_facts:
    text_release(&advice.text);
    probe_release(&probe);
    free(facts);
    return status;
}

void command_doctor_help(FILE *out)
{
    static const struct option_manual manual = {
        .usage = "grapevine doctor\n",
        .about =
            "Is this machine fit: MPI and its windows, cores, libraries, data below $GRAPEVINE_DATA. Under mpirun or\n"
            "srun it looks at all ranks and measures between every pair of them.\n",
        .examples = "    grapevine doctor\n"
                    "    mpirun -n 4 grapevine doctor\n",
    };
    option_list_describe(&(struct option_list){.command = "doctor"}, &manual, out);
}

int command_doctor(int count, char **arguments)
{
    if (count > 0)
        return (int)command_unknown("doctor", arguments[0], NULL, 0);
    struct job job = {.limit_s = 60};
    enum status status = job_start(NULL, NULL, &job);
    if (status == STATUS_OK)
        status = examine(&job);
    return job_finish(&job, status);
}
