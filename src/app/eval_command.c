/* grapevine eval CHECKPOINT CONFIG [key=value ...] [--json] [--confusion FILE] [--predictions FILE]: test a checkpoint
 * on the configuration's test set, in one process. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/checkpoint.h"
#include "app/class_names.h"
#include "app/command.h"
#include "app/idle_settings.h"
#include "app/option_rules.h"
#include "app/plan.h"
#include "app/test_report.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "base/memory.h"
#include "worker/evaluation.h"

struct request {
    const char *checkpoint;              /* borrowed */
    const char *confusion, *predictions; /* borrowed; files to write, NULL: none */
    bool json;
};

struct test_bench {
    struct plan *plan; /* owned */
    float *gradient;   /* owned: a net wants somewhere to put gradients */
    struct net *net;   /* owned */
    struct evaluator evaluator;
    struct evaluation result;
    struct prediction *predictions; /* owned, (plan->test->count); NULL where the loss reads no labels */
};

static enum status set_up(struct test_bench *bench, const struct config *config, const char *checkpoint)
{
    TRY(plan_create_evaluation(config, &bench->plan));
    idle_settings_warn(bench->plan, READER_EVAL);
    struct plan *plan = bench->plan;
    size_t batch = (size_t)config->train.batch;
    const struct class_names classes = {.names = plan->test->class_names, .count = plan->test->class_count};
    TRY(checkpoint_read(checkpoint, plan->spec, &classes, CHECKPOINT_STRICT, plan->initial_parameters,
                        plan->initial_buffers));
    bench->gradient = memory_alloc_aligned_for(plan->spec->parameter_size * sizeof(float), "the gradient of model %s",
                                               plan->spec->name);
    evaluator_init(&bench->evaluator, plan->ops, plan->spec, batch, plan->data_threads);
    TRY(plan->ops->net_create(plan->device, plan->spec, batch, bench->gradient, plan->initial_buffers, &bench->net));
    plan->ops->net_cast(bench->net, plan->initial_parameters);
    if (plan->spec->loss != NET_LOSS_SQUARED_NORM)
        bench->predictions = memory_zalloc(plan->test->count + 1, sizeof bench->predictions[0]);
    return STATUS_OK;
}

static void tear_down(struct test_bench *bench)
{
    free(bench->predictions);
    if (bench->net != NULL)
        bench->plan->ops->net_destroy(bench->net);
    evaluator_release(&bench->evaluator);
    memory_free_aligned(bench->gradient);
    plan_destroy(bench->plan);
}

/* A new file takes the place of the old one: not of a device, a pipe or a folder. */
static enum status open_file(const char *path, const char *option, struct atomic_file *file)
{
    struct stat is;
    if (path == NULL)
        return STATUS_OK;
    if (*path == '\0') {
        log_error("eval: %s: the name is empty", option);
        return STATUS_USAGE;
    }
    if (stat(path, &is) == 0 && !S_ISREG(is.st_mode)) {
        log_error("eval: %s: %s is not a file; name one that is, or that is not there yet", option, path);
        return STATUS_MACHINE;
    }
    return atomic_file_open(file, path, LOG_ERROR, option);
}

static enum status write_file(const struct test_report *report, struct atomic_file *file,
                              void (*write)(const struct test_report *report, FILE *out))
{
    if (file->stream == NULL)
        return STATUS_OK;
    write(report, file->stream);
    return atomic_file_commit(file);
}

static void print_text(const struct request *request, const struct test_bench *bench, const struct config *config)
{
    const struct evaluation *result = &bench->result;
    printf("%s on %s: test accuracy %.4f, ", request->checkpoint, config->data.name, evaluation_accuracy(result));
    if (isfinite(evaluation_accuracy_top5(result)))
        printf("top-5 %.4f, ", evaluation_accuracy_top5(result));
    printf("test loss %.4f, %zu pictures\n", evaluation_loss(result), result->count);
}

static void add_number(cJSON *object, const char *name, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, name, value);
    else
        cJSON_AddNullToObject(object, name);
}

/* The names of the means are those of summary.json. */
static void print_json(const struct request *request, const struct test_bench *bench, const struct config *config,
                       const struct test_report *report)
{
    const struct evaluation *result = &bench->result;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "checkpoint", request->checkpoint);
    cJSON_AddStringToObject(root, "data", config->data.name);
    cJSON_AddStringToObject(root, "model", bench->plan->spec->name);
    cJSON_AddStringToObject(root, "device", bench->plan->ops->name);
    cJSON_AddNumberToObject(root, "images", (double)result->count);
    cJSON_AddNumberToObject(root, "correct", (double)result->correct);
    add_number(root, "test_accuracy", evaluation_accuracy(result));
    if (isfinite(evaluation_accuracy_top5(result)))
        cJSON_AddNumberToObject(root, "test_accuracy_top5", evaluation_accuracy_top5(result));
    add_number(root, "test_loss", evaluation_loss(result));
    if (report->set != NULL)
        test_report_add_json(report, root);
    char *text = cJSON_PrintUnformatted(root);
    printf("%s\n", text);
    cJSON_free(text);
    cJSON_Delete(root);
}

static enum status check_classes(const struct request *request, const struct test_bench *bench)
{
    if (bench->predictions != NULL || (request->confusion == NULL && request->predictions == NULL))
        return STATUS_OK;
    log_error("eval: the model %s reads no labels: there are no classes for --confusion and --predictions",
              bench->plan->spec->name);
    return STATUS_USAGE;
}

/* The files are opened before the work, and written after it. */
static enum status test(const struct request *request, const struct config *config, struct test_bench *bench)
{
    struct atomic_file confusion = {0}, predictions = {0};
    struct test_report report = {0};
    const struct dataset *set = bench->plan->test;
    struct evaluation_range range = {.set = set, .last = set->count, .predictions = bench->predictions};
    enum status status;
    TRY_GOTO(open_file(request->confusion, "--confusion FILE", &confusion), done);
    TRY_GOTO(open_file(request->predictions, "--predictions FILE", &predictions), done);
    TRY_GOTO(evaluator_run(&bench->evaluator, bench->net, &range, &bench->result), done);
    if (bench->predictions != NULL)
        test_report_init(&report, set, bench->predictions);
    TRY_GOTO(write_file(&report, &confusion, test_report_write_confusion), done);
    TRY_GOTO(write_file(&report, &predictions, test_report_write_predictions), done);
    if (request->json)
        print_json(request, bench, config, &report);
    else
        print_text(request, bench, config);
    if (!request->json && report.set != NULL)
        test_report_print(&report, stdout);
done:
    atomic_file_abandon(&confusion);
    atomic_file_abandon(&predictions);
    test_report_release(&report);
    return status;
}

static enum status evaluate(const struct request *request, const struct config *config)
{
    struct test_bench bench = {0};
    enum status status;
    TRY_GOTO(set_up(&bench, config, request->checkpoint), done);
    TRY_GOTO(check_classes(request, &bench), done);
    TRY_GOTO(test(request, config, &bench), done);
done:
    tear_down(&bench);
    return status;
}

static void list_options(struct option_list *list, struct request *request)
{
    const struct option_rule rules[] = {
        {.name = "--json",
         .kind = OPTION_FLAG,
         .flag = &request->json,
         .meaning = "all of it for programs, as one JSON object: means, classes, confusion matrix"},
        {.name = "--confusion",
         .kind = OPTION_TEXT,
         .value = "FILE",
         .word = &request->confusion,
         .meaning = "write the confusion matrix as CSV: a row for each label, a column for each predicted class"},
        {.name = "--predictions",
         .kind = OPTION_TEXT,
         .value = "FILE",
         .word = &request->predictions,
         .meaning = "write a line of CSV for each image: label, predicted class, its probability, loss, file"},
    };
    *list = (struct option_list){.command = "eval"};
    option_list_add(list, rules, sizeof rules / sizeof rules[0]);
}

void command_eval_help(FILE *out)
{
    static const struct option_manual manual = {
        .usage = "grapevine eval CHECKPOINT CONFIG [key=value ...] [--json] [--confusion FILE] [--predictions FILE]\n",
        .about =
            "Tests a checkpoint (a safetensors file of Grapevine or of torchvision) on the configuration's test set, "
            "in one\nprocess: accuracy and loss, then the classes, worst first. A run's own configuration lies beside "
            "its\ncheckpoints.\n",
        .examples = "    grapevine eval runs/quickstart/final.safetensors runs/quickstart/config.yaml\n"
                    "    grapevine eval resnet50.safetensors configs/imagenet_resnet50_allreduce.yaml data.path=/data\n"
                    "    grapevine eval final.safetensors config.yaml --json --confusion confusion.csv\n",
    };
    struct request request = {0};
    struct option_list list;
    list_options(&list, &request);
    option_list_describe(&list, &manual, out);
}

/* Checkpoint, configuration and key=value are left of the arguments. */
static enum status parse(int *count, char **arguments, struct request *out)
{
    struct option_list list;
    int left = 0;
    list_options(&list, out);
    for (int i = 0; i < *count; i++)
        if (arguments[i][0] == '-')
            TRY(option_list_take(&list, *count, arguments, &i));
        else
            arguments[left++] = arguments[i];
    *count = left;
    if (left < 2) {
        log_error("eval: a checkpoint and a configuration: grapevine eval CHECKPOINT CONFIG [key=value ...]; "
                  "--help lists the options");
        return STATUS_USAGE;
    }
    if (text_ends_with(arguments[1], ".safetensors")) {
        log_error("eval: %s stands where the configuration is expected: the checkpoint comes first, then CONFIG",
                  arguments[1]);
        return STATUS_USAGE;
    }
    if (out->confusion != NULL && out->predictions != NULL && strcmp(out->confusion, out->predictions) == 0) {
        log_error("eval: --confusion and --predictions name the same file, %s", out->confusion);
        return STATUS_USAGE;
    }
    out->checkpoint = arguments[0];
    return STATUS_OK;
}

int command_eval(int count, char **arguments)
{
    struct request request = {0};
    struct config *config = NULL;
    enum status status = parse(&count, arguments, &request);
    if (status == STATUS_OK)
        status = command_read_config(count - 1, arguments + 1, &config);
    if (status == STATUS_OK)
        status = evaluate(&request, config);
    config_destroy(config);
    return (int)status;
}
