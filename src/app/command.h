/* The subcommands of `grapevine`: each is one file with one entry, listed in main.c. */
#ifndef GRAPEVINE_APP_COMMAND_H
#define GRAPEVINE_APP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/status.h"
#include "config/config.h"

/* The arguments after the subcommand's name; `count` of them. Each returns the program's exit status. */
int command_train(int count, char **arguments);
int command_simulate(int count, char **arguments);
int command_eval(int count, char **arguments);
int command_replay(int count, char **arguments);
int command_graph(int count, char **arguments);
int command_gossip(int count, char **arguments);
int command_pack(int count, char **arguments);
int command_table(int count, char **arguments);
int command_compare(int count, char **arguments);
int command_bench(int count, char **arguments);
int command_config(int count, char **arguments);
int command_doctor(int count, char **arguments);

/* What `grapevine COMMAND --help` prints. */
void command_train_help(FILE *out);
void command_simulate_help(FILE *out);
void command_eval_help(FILE *out);
void command_replay_help(FILE *out);
void command_graph_help(FILE *out);
void command_gossip_help(FILE *out);
void command_table_help(FILE *out);
void command_compare_help(FILE *out);
void command_pack_help(FILE *out);
void command_bench_help(FILE *out);
void command_config_help(FILE *out);
void command_doctor_help(FILE *out);

/* A configuration from arguments: a file, then key=value. `arguments[0]` is the file. STATUS_USAGE (logged). */
enum status command_read_config(int count, char **arguments, struct config **out);

/* Digest of the configuration as config.yaml in a run directory has it. */
uint64_t command_config_digest(const struct config *config);

/* The value of the option at *index ("--rate 2" or "--rate=2"), or NULL when the argument is another option; moves
 * *index. A missing value is logged and *index becomes −1. */
const char *command_option(const char *name, int count, char **arguments, int *index);

/* Log that an argument is not known, with the nearest of the names. Returns STATUS_USAGE. */
enum status command_unknown(const char *command, const char *argument, const char *const *names, size_t name_count);

#endif
