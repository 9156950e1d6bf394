/* grapevine: the command line. Chooses the subcommand; each lies in a file of its own. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/command.h"
#include "app/standard_output.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

enum trait {
    HAS_RANKS = 1,    /* it is started on several ranks, whose messages are alike */
    LEAVES_RECORD = 2 /* what it does outlasts what it prints: it goes on when nobody reads that any more */
};

struct command {
    const char *name, *arguments, *meaning;
    int (*run)(int count, char **arguments);
    void (*help)(FILE *out);
    unsigned traits;              /* of enum trait */
    const char *purpose, *remedy; /* of memory (base/memory.h) */
};

#define RUN_REMEDY                                                                                                  \
    "lower train.batch, choose a smaller model, or fewer workers or ranks on this machine (--dry-run shows what a " \
    "run takes)"
#define GRAPH_REMEDY "ask for fewer workers (-n) or a sparser graph"
#define MACHINE_REMEDY "raise the limit of this process (ulimit -v, or the batch system's)"

static const struct command commands[] = {
    {"train", "CONFIG [key=value ...] [--dry-run] ...", "train under mpirun or srun, one worker a rank", command_train,
     command_train_help, HAS_RANKS | LEAVES_RECORD, "the run", RUN_REMEDY},
    {"simulate", "CONFIG [key=value ...] [--dry-run] ...", "the same with N virtual workers, one process",
     command_simulate, command_simulate_help, LEAVES_RECORD, "the simulated run", RUN_REMEDY},
    {"eval", "CHECKPOINT CONFIG [key=value ...] ...", "test a checkpoint: accuracy, by class too", command_eval,
     command_eval_help, 0, "the test", "lower train.batch, which is also that of a test"},
    {"replay", "RUN [--json]", "re-run a recorded run in one process, and compare bits", command_replay,
     command_replay_help, 0, "the replay",
     "its workers are all in one process: replay it on a machine with more memory"},
    {"graph", "GRAPH -n N [options]", "chi1, chi2, eta, alpha_tilde and best rates of a graph", command_graph,
     command_graph_help, 0, "the graph", GRAPH_REMEDY},
    {"gossip", "GRAPH -n N [options]", "how fast workers agree, simulated, beside theory", command_gossip,
     command_gossip_help, 0, "the simulated workers", GRAPH_REMEDY},
    {"table", "RUN... [options]", "results of runs side by side, mean and deviation over seeds", command_table,
     command_table_help, 0, "the table", MACHINE_REMEDY},
    {"compare", "A B, or A... -- B... [options]", "do two sets of runs differ by more than seeds do", command_compare,
     command_compare_help, 0, "the comparison", MACHINE_REMEDY},
    {"pack", "SRC DST [options], or --verify DST", "photographs into a few large files", command_pack,
     command_pack_help, 0, "the packing", MACHINE_REMEDY},
    {"bench", "data CONFIG [key=value ...] [options]", "what making pictures costs, part by part", command_bench,
     command_bench_help, 0, "the images", "lower data.train_count, data.threads or data.size"},
    {"config", "[KEY], or --get KEY CONFIG ...", "every key with type, default, bounds and meaning", command_config,
     command_config_help, 0, "the list of keys", MACHINE_REMEDY},
    {"doctor", "", "is this machine fit: MPI, windows, cores, libraries, data", command_doctor, command_doctor_help,
     HAS_RANKS, "the tests of this machine", MACHINE_REMEDY},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out)
{
    fprintf(out,
            "Grapevine " GRAPEVINE_VERSION ": decentralized training of one neural network, without a centre.\n\n");
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "    grapevine %-9s %-40s%s\n", commands[i].name, commands[i].arguments, commands[i].meaning);
    fprintf(out, "\n`grapevine COMMAND --help` (or `grapevine help COMMAND`) says more of each.\n"
                 "Options for all: --log error|warning|info|debug (or GRAPEVINE_LOG), --version, --help\n"
                 "Exit status: 0 done, 2 usage or config, 3 data or checkpoint, 4 the machine, 70 a bug, 75 requeue\n");
}

/* Take "--log LEVEL" out of the arguments, wherever it stands; returns how many are left, or −1. */
static int take_log_level(int count, char **arguments)
{
    int left = 0;
    for (int i = 0; i < count; i++) {
        const char *level_name = command_option("--log", count, arguments, &i);
        if (i < 0)
            return -1;
        enum log_level level;
        if (level_name == NULL) {
            arguments[left++] = arguments[i];
        } else if (log_level_parse(level_name, &level)) {
            log_set_level(level);
        } else {
            log_error("--log: \"%s\" is no level; there are error, warning, info and debug", level_name);
            return -1;
        }
    }
    return left;
}

/* "--option=~/file": the shell leaves this tilde to the program. Returns the copies (count), for release_paths. */
static char **expand_paths(int count, char **arguments)
{
    char **owned = memory_zalloc((size_t)count + 1, sizeof owned[0]);
    const char *home = getenv("HOME");
    for (int i = 0; i < count; i++) {
        const char *equals = strchr(arguments[i], '=');
        if (home == NULL || strncmp(arguments[i], "--", 2) != 0 || equals == NULL || strncmp(equals, "=~/", 3) != 0)
            continue;
        owned[i] = text_format("%.*s=%s%s", (int)(equals - arguments[i]), arguments[i], home, equals + 2);
        arguments[i] = owned[i];
    }
    return owned;
}

static void release_paths(int count, char **owned)
{
    for (int i = 0; i < count; i++)
        free(owned[i]);
    free(owned);
}

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    return NULL;
}

static enum status refuse_command(const char *name)
{
    const char *names[COMMAND_COUNT];
    for (int i = 0; i < COMMAND_COUNT; i++)
        names[i] = commands[i].name;
    return command_unknown("grapevine", name, names, COMMAND_COUNT);
}

static bool is_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

static bool asks_for_help(int count, char **arguments)
{
    bool asks = count > 0 && strcmp(arguments[0], "help") == 0;
    for (int i = 0; i < count; i++)
        asks = asks || is_help(arguments[i]);
    return asks;
}

/* Of the first command that is named, whatever else stands there; of all where none is. Of many ranks one prints it. */
static enum status help(int count, char **arguments)
{
    const struct command *command = NULL;
    int first = strcmp(arguments[0], "help") == 0;
    for (int i = 0; i < count && command == NULL; i++)
        command = find_command(arguments[i]);
    if (command == NULL && first < count && arguments[first][0] != '-')
        return refuse_command(arguments[first]);
    if ((command != NULL && (command->traits & HAS_RANKS) == 0) || log_launch_rank() == 0)
        (command != NULL ? command->help : print_help)(stdout);
    return STATUS_OK;
}

/* Before options are taken, since their errors too are those of all ranks. */
static void guess_rank(int count, char **arguments)
{
    const struct command *command = NULL;
    for (int i = 0; i < count && command == NULL; i++)
        command = find_command(arguments[i]);
    if (command != NULL && (command->traits & HAS_RANKS) != 0)
        log_guess_rank();
}

static int run(const struct command *command, int count, char **arguments)
{
    if (count == 0) {
        print_help(stderr);
        return STATUS_USAGE;
    }
    if (command != NULL) {
        memory_set_purpose(command->purpose, command->remedy);
        memory_guard_libraries();
        return command->run(count - 1, arguments + 1);
    }
    if (strcmp(arguments[0], "--version") == 0)
        printf("grapevine " GRAPEVINE_VERSION "\n");
    else
        return refuse_command(arguments[0]);
    return STATUS_OK;
}

static void remember(int argc, char **argv, char **environment)
{
    (void)argc, (void)argv, (void)environment;
    interrupt_remember();
}

/* Before the constructors of libraries, some of which (UCX: SIGHUP) set up handlers of their own. */
typedef void preinit_fn(int argc, char **argv, char **environment);
__attribute__((section(".preinit_array"), used)) static preinit_fn *const preinit = remember;

int main(int argc, char **argv)
{
    standard_output_open();
    umask(umask(0) | S_IWOTH); /* what a run writes is not for everybody to change */
    guess_rank(argc - 1, argv + 1);
    if (asks_for_help(argc - 1, argv + 1))
        return (int)standard_output_finish("grapevine", help(argc - 1, argv + 1), false);
    int count = take_log_level(argc - 1, argv + 1);
    if (count < 0)
        return STATUS_USAGE;
    char **owned = expand_paths(count, argv + 1);
    const struct command *command = count > 0 ? find_command(argv[1]) : NULL;
    bool leaves_record = command != NULL && (command->traits & LEAVES_RECORD) != 0;
    interrupt_make_errors(leaves_record);
    int status = run(command, count, argv + 1);
    release_paths(count, owned);
    return (int)standard_output_finish(command != NULL ? command->name : "grapevine", (enum status)status,
                                       leaves_record);
}
