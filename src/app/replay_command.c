/* grapevine replay RUN [--json]: execute a recorded run again in one process, and compare what every worker holds with
 * what it held in the run, bit for bit. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/checkpoint.h"
#include "app/command.h"
#include "app/event_log.h"
#include "app/option_rules.h"
#include "app/plan.h"
#include "app/replica_digest.h"
#include "app/run_directory.h"
#include "app/worker_group.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"
#include "runtime/replay.h"

struct replaying {
    const char *directory; /* borrowed from the arguments */
    bool json;
    struct config *config; /* owned */
    int worker_count;
    struct event_log_content *logs; /* owned (worker_count) */
    struct plan *plan;              /* owned */
    struct worker_group group;
    struct replica_digest *trained; /* owned (worker_count): when the replay's training was over */
    struct replica_digest final;    /* of the replay's averaged model */
    uint64_t file_x, file_buffers;  /* of final.safetensors */
    struct runtime_result result;
};

/* --- what was recorded --- */

static enum status read_config(struct replaying *replaying)
{
    char *path = run_directory_file(replaying->directory, "config.yaml");
    enum status status = command_read_config(1, &path, &replaying->config);
    free(path);
    return status;
}

/* Worker 0's log says how many there are; all must be of one run. */
static enum status read_logs(struct replaying *replaying)
{
    for (int i = 0, count = 1; i < count; i++) {
        struct event_log_content log;
        TRY(event_log_read(replaying->directory, i, &log));
        replaying->logs = memory_realloc(replaying->logs, (size_t)i + 1, sizeof replaying->logs[0]);
        replaying->logs[i] = log;
        replaying->worker_count = i + 1;
        const struct event_log_content *first = &replaying->logs[0];
        count = first->header.worker_count;
        if (log.header.worker_count != count || log.header.config != first->header.config ||
            strcmp(log.header.algorithm, first->header.algorithm) != 0) {
            log_error(
                "%s:1: this log and %s are not of one run: their numbers of workers, configurations or algorithms "
                "differ",
                log.path, first->path);
            return STATUS_DATA;
        }
    }
    return STATUS_OK;
}

static enum status check_config(const struct replaying *replaying)
{
    const struct event_log_content *log = &replaying->logs[0];
    if (strcmp(log->header.version, GRAPEVINE_VERSION) != 0)
        log_warning("%s was written by Grapevine %s; this is " GRAPEVINE_VERSION ", which may compute otherwise",
                    log->path, log->header.version);
    if (command_config_digest(replaying->config) == log->header.config)
        return STATUS_OK;
    log_error("%s/config.yaml: this is not the configuration of the run, which %s names by its digest; restore it",
              replaying->directory, log->path);
    return STATUS_DATA;
}

/* What a replay cannot repeat: gradients taken elsewhere than where they began, and workers that die. */
static enum status check_time(const struct replaying *replaying)
{
    const struct event_log_content *log = &replaying->logs[0];
    if (strcmp(log->header.time, "ideal") == 0) {
        log_error("%s:1: this run was simulated in ideal time, where a gradient is taken at the moment of its update, "
                  "and cannot be replayed; record it with simulate.time=modelled, or under mpirun",
                  log->path);
        return STATUS_DATA;
    }
    if (replaying->config->inject.death[0] == '\0')
        return STATUS_OK;
    log_error("%s/config.yaml: inject.death is \"%s\": a run whose workers die cannot be replayed",
              replaying->directory, replaying->config->inject.death);
    return STATUS_DATA;
}

static enum status check_constants(const struct replaying *replaying)
{
    const struct event_log_header *header = &replaying->logs[0].header;
    const struct acid_constants *constants = &replaying->plan->constants;
    if (header->eta == constants->eta && header->alpha == constants->alpha &&
        header->alpha_tilde == constants->alpha_tilde && strcmp(header->algorithm, replaying->plan->algo->name) == 0)
        return STATUS_OK;
    log_error(
        "%s:1: the run was %s with eta %.17g, alpha %.17g, alpha_tilde %.17g, and its configuration gives %s with "
        "%.17g, %.17g, %.17g here: replay with the program and the LAPACK that recorded it",
        replaying->logs[0].path, header->algorithm, header->eta, header->alpha, header->alpha_tilde,
        replaying->plan->algo->name, constants->eta, constants->alpha, constants->alpha_tilde);
    return STATUS_DATA;
}

static enum status read_final(struct replaying *replaying)
{
    const struct net_spec *spec = replaying->plan->spec;
    float *parameters = memory_alloc_aligned(spec->parameter_size * sizeof parameters[0]);
    float *buffers = memory_zalloc(spec->buffer_size + 1, sizeof buffers[0]);
    char *path = run_directory_file(replaying->directory, "final.safetensors");
    enum status status = checkpoint_read(path, spec, NULL, CHECKPOINT_STRICT, parameters, buffers);
    if (status == STATUS_OK) {
        replaying->file_x = digest_bytes(0, parameters, spec->parameter_size * sizeof parameters[0]);
        replaying->file_buffers =
            spec->buffer_size > 0 ? digest_bytes(0, buffers, spec->buffer_size * sizeof buffers[0]) : 0;
    }
    free(path);
    free(buffers);
    memory_free_aligned(parameters);
    return status;
}

/* --- the replay --- */

static void digest_trained(void *context)
{
    struct replaying *replaying = context;
    for (int i = 0; i < replaying->worker_count; i++)
        replaying->trained[i] = replica_digest_of(replaying->group.workers[i]);
}

static enum status execute(struct replaying *replaying)
{
    struct runtime_params run = plan_runtime_params(replaying->plan);
    struct replay_log *logs = memory_zalloc((size_t)replaying->worker_count, sizeof logs[0]);
    run.trained = digest_trained;
    run.trained_context = replaying;
    for (int i = 0; i < replaying->worker_count; i++)
        logs[i] = (struct replay_log){.path = replaying->logs[i].path,
                                      .first_line = EVENT_LOG_FIRST_LINE,
                                      .events = replaying->logs[i].events,
                                      .count = replaying->logs[i].count};
    struct replay_params params = {.run = &run,
                                   .workers = replaying->group.workers,
                                   .logs = logs,
                                   .worker_count = replaying->worker_count,
                                   .ops = replaying->plan->ops,
                                   .device = replaying->plan->device};
    enum status status = runtime_replay(&params, &replaying->result);
    if (status == STATUS_OK)
        replaying->final = replica_digest_of(replaying->group.workers[0]);
    free(logs);
    return status;
}

static enum status replay(struct replaying *replaying)
{
    TRY(read_config(replaying));
    TRY(read_logs(replaying));
    TRY(check_config(replaying));
    TRY(check_time(replaying));
    struct plan_place place = {.worker = 0, .worker_count = replaying->worker_count, .local_rank = 0};
    TRY(plan_create(replaying->config, &place, &replaying->plan));
    TRY(check_constants(replaying));
    TRY(read_final(replaying));
    TRY(worker_group_create(replaying->plan, true, &replaying->group));
    replaying->trained = memory_zalloc((size_t)replaying->worker_count, sizeof replaying->trained[0]);
    return execute(replaying);
}

/* --- the verdict --- */

static bool vector_agrees(const struct replaying *replaying, int worker, int vector)
{
    return replaying->trained[worker].of[vector] == replaying->logs[worker].trained.of[vector];
}

static bool worker_agrees(const struct replaying *replaying, int worker)
{
    bool agrees = true;
    for (int k = 0; k < REPLICA_VECTORS; k++)
        agrees = agrees && vector_agrees(replaying, worker, k);
    return agrees;
}

/* Every worker of the run ended with one model, and the replay with the same. */
static bool final_agrees(const struct replaying *replaying, enum replica_vector vector)
{
    bool agrees = true;
    for (int i = 0; i < replaying->worker_count; i++)
        agrees = agrees && replaying->final.of[vector] == replaying->logs[i].final.of[vector];
    return agrees;
}

static bool file_agrees(const struct replaying *replaying)
{
    return replaying->file_x == replaying->final.of[REPLICA_X] &&
           replaying->file_buffers == replaying->final.of[REPLICA_BUFFERS];
}

static int differing_workers(const struct replaying *replaying)
{
    int count = 0;
    for (int i = 0; i < replaying->worker_count; i++)
        count += !worker_agrees(replaying, i);
    return count;
}

static bool all_agree(const struct replaying *replaying)
{
    return differing_workers(replaying) == 0 && final_agrees(replaying, REPLICA_X) &&
           final_agrees(replaying, REPLICA_BUFFERS) && file_agrees(replaying);
}

static size_t event_count(const struct replaying *replaying)
{
    size_t count = 0;
    for (int i = 0; i < replaying->worker_count; i++)
        count += replaying->logs[i].count;
    return count;
}

static void print_json(const struct replaying *replaying)
{
    const struct evaluation *tested = &replaying->result.tested;
    cJSON *root = cJSON_CreateObject(), *workers = cJSON_AddArrayToObject(root, "trained");
    for (int i = 0; i < replaying->worker_count; i++) {
        cJSON *row = cJSON_CreateObject();
        for (int k = 0; k < REPLICA_VECTORS; k++)
            cJSON_AddBoolToObject(row, replica_vector_name((enum replica_vector)k), vector_agrees(replaying, i, k));
        cJSON_AddItemToArray(workers, row);
    }
    cJSON *final = cJSON_AddObjectToObject(root, "final");
    cJSON_AddBoolToObject(final, "x", final_agrees(replaying, REPLICA_X));
    cJSON_AddBoolToObject(final, "buffers", final_agrees(replaying, REPLICA_BUFFERS));
    cJSON_AddBoolToObject(final, "file", file_agrees(replaying));
    cJSON_AddBoolToObject(root, "agree", all_agree(replaying));
    cJSON_AddNumberToObject(root, "workers", replaying->worker_count);
    cJSON_AddNumberToObject(root, "events", (double)event_count(replaying));
    cJSON_AddNumberToObject(root, "gradients", (double)replaying->result.gradients);
    cJSON_AddNumberToObject(root, "exchanges", (double)replaying->result.exchanges);
    cJSON_AddNumberToObject(root, "test_accuracy", evaluation_accuracy(tested));
    if (isfinite(evaluation_accuracy_top5(tested)))
        cJSON_AddNumberToObject(root, "test_accuracy_top5", evaluation_accuracy_top5(tested));
    cJSON_AddNumberToObject(root, "test_loss", evaluation_loss(tested));
    cJSON_AddNumberToObject(root, "consensus_distance", replaying->result.consensus_distance);
    char *text = cJSON_Print(root);
    printf("%s\n", text);
    cJSON_free(text);
    cJSON_Delete(root);
}

static const char *word_of(bool agrees)
{
    return agrees ? "same" : "DIFFERENT";
}

static void print_table(const struct replaying *replaying)
{
    printf("worker  gradients  events ");
    for (int k = 0; k < REPLICA_VECTORS; k++)
        printf("  %-9s", replica_vector_name((enum replica_vector)k));
    printf("\n");
    for (int i = 0; i < replaying->worker_count; i++) {
        printf("%-6d  %9" PRIu64 "  %6zu ", i, replaying->result.gradients_per_worker[i], replaying->logs[i].count);
        for (int k = 0; k < REPLICA_VECTORS; k++)
            printf("  %-9s", word_of(vector_agrees(replaying, i, k)));
        printf("\n");
    }
    printf("final model: x %s, buffers %s, final.safetensors %s; test accuracy %.4f\n",
           word_of(final_agrees(replaying, REPLICA_X)), word_of(final_agrees(replaying, REPLICA_BUFFERS)),
           word_of(file_agrees(replaying)), evaluation_accuracy(&replaying->result.tested));
    if (all_agree(replaying))
        printf("%s: the replay agrees bit for bit: %d workers, %" PRIu64 " gradients, %" PRIu64 " meetings\n",
               replaying->directory, replaying->worker_count, replaying->result.gradients, replaying->result.exchanges);
    else
        printf("%s: the replay DIFFERS from the run (%d of %d workers): another processor, library or number of "
               "threads than in the run, or a bug\n",
               replaying->directory, differing_workers(replaying), replaying->worker_count);
}

static void release(struct replaying *replaying)
{
    runtime_result_release(&replaying->result);
    worker_group_release(&replaying->group);
    plan_destroy(replaying->plan);
    for (int i = 0; i < replaying->worker_count; i++)
        event_log_content_release(&replaying->logs[i]);
    free(replaying->logs);
    free(replaying->trained);
    config_destroy(replaying->config);
}

static void list_options(struct option_list *list, struct replaying *replaying)
{
    const struct option_rule rules[] = {
        {.name = "--json", .kind = OPTION_FLAG, .flag = &replaying->json, .meaning = "figures for programs"},
    };
    *list = (struct option_list){.command = "replay"};
    option_list_add(list, rules, sizeof rules / sizeof rules[0]);
}

void command_replay_help(FILE *out)
{
    static const struct option_manual manual = {
        .usage = "grapevine replay RUN [--json]\n",
        .about =
            "Runs a recorded run (run.record=true) again in one process, with the events in the order that they had,\n"
            "and compares every worker bit for bit. RUN is its run directory. Exit status 70: they differ.\n",
        .examples = "    grapevine replay runs/recorded\n",
    };
    struct replaying replaying = {0};
    struct option_list list;
    list_options(&list, &replaying);
    option_list_describe(&list, &manual, out);
}

static enum status parse(int count, char **arguments, struct replaying *out)
{
    struct option_list list;
    list_options(&list, out);
    for (int i = 0; i < count; i++)
        if (arguments[i][0] != '-' && out->directory == NULL)
            out->directory = arguments[i];
        else
            TRY(option_list_take(&list, count, arguments, &i));
    if (out->directory != NULL)
        return STATUS_OK;
    log_error("replay: the directory of a run that was recorded (run.record=true): grapevine replay RUN [--json]");
    return STATUS_USAGE;
}

int command_replay(int count, char **arguments)
{
    struct replaying replaying = {0};
    enum status status = parse(count, arguments, &replaying);
    if (status == STATUS_OK)
        status = replay(&replaying);
    if (status == STATUS_OK) {
        (replaying.json ? print_json : print_table)(&replaying);
        status = all_agree(&replaying) ? STATUS_OK : STATUS_BUG;
    }
    release(&replaying);
    return (int)status;
}
