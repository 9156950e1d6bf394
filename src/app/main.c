/* grapevine: the command line. Chooses the subcommand; each lies in a file of its own. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "app/command.h"
#include "base/log.h"

struct command {
    const char *name, *arguments, *meaning;
    int (*run)(int count, char **arguments);
};

static const struct command commands[] = {
    {"train", "CONFIG [key=value ...] [--dry-run]", "train under mpirun or srun, one worker a rank", command_train},
    {"simulate", "CONFIG [key=value ...] [--dry-run]", "the same with N virtual workers, one process",
     command_simulate},
    {"eval", "CHECKPOINT CONFIG [key=value ...]", "test a checkpoint", command_eval},
    {"replay", "RUN [--json]", "re-run a recorded run in one process, and compare bits", command_replay},
    {"graph", "GRAPH -n N [--rates best] [--json]", "chi1, chi2, eta, alpha_tilde and best rates of a graph",
     command_graph},
    {"gossip", "GRAPH -n N [--algorithm A] [--json]", "how fast workers agree, simulated, beside theory",
     command_gossip},
    {"pack", "SRC DST [options], or --verify DST", "photographs into a few large files; pack --help", command_pack},
    {"bench", "data CONFIG [key=value ...] [--rate R]", "what making pictures costs, part by part", command_bench},
    {"config", "[KEY]", "every key with type, default, bounds and meaning", command_config},
    {"doctor", "", "is this machine fit: MPI, windows, cores, libraries, data", command_doctor},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out)
{
    fprintf(out,
            "Grapevine " GRAPEVINE_VERSION ": decentralized training of one neural network, without a centre.\n\n");
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "    grapevine %-9s %-40s%s\n", commands[i].name, commands[i].arguments, commands[i].meaning);
    fprintf(out, "\nOptions for all: --log error|warning|info|debug (or GRAPEVINE_LOG), --version, --help\n"
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

int main(int argc, char **argv)
{
    umask(umask(0) | S_IWOTH); /* what a run writes is not for everybody to change */
    int count = take_log_level(argc - 1, argv + 1);
    char **arguments = argv + 1;
    if (count < 0)
        return STATUS_USAGE;
    if (count == 0) {
        print_help(stderr);
        return STATUS_USAGE;
    }
    if (strcmp(arguments[0], "--version") == 0) {
        printf("grapevine " GRAPEVINE_VERSION "\n");
        return STATUS_OK;
    }
    if (strcmp(arguments[0], "--help") == 0 || strcmp(arguments[0], "help") == 0) {
        print_help(stdout);
        return STATUS_OK;
    }
    const char *names[COMMAND_COUNT];
    for (int i = 0; i < COMMAND_COUNT; i++) {
        names[i] = commands[i].name;
        if (strcmp(arguments[0], names[i]) == 0)
            return commands[i].run(count - 1, arguments + 1);
    }
    return command_unknown("grapevine", arguments[0], names, COMMAND_COUNT);
}
