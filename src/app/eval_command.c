/* grapevine eval CHECKPOINT CONFIG [key=value ...]: test a checkpoint on the configuration's test set, in one
 * process. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/checkpoint.h"
#include "app/command.h"
#include "app/idle_settings.h"
#include "app/option_rules.h"
#include "app/plan.h"
#include "base/log.h"
#include "base/memory.h"
#include "worker/evaluation.h"

struct test_bench {
    struct plan *plan; /* owned */
    float *gradient;   /* owned: a net wants somewhere to put gradients */
    struct net *net;   /* owned */
    struct evaluator evaluator;
};

static enum status set_up(struct test_bench *bench, const struct config *config, const char *checkpoint)
{
    TRY(plan_create_evaluation(config, &bench->plan));
    idle_settings_warn(bench->plan, READER_EVAL);
    struct plan *plan = bench->plan;
    size_t batch = (size_t)config->train.batch;
    TRY(checkpoint_read(checkpoint, plan->spec, CHECKPOINT_STRICT, plan->initial_parameters, plan->initial_buffers));
    bench->gradient = memory_alloc_aligned(plan->spec->parameter_size * sizeof(float));
    evaluator_init(&bench->evaluator, plan->ops, plan->spec, batch, plan->data_threads);
    TRY(plan->ops->net_create(plan->device, plan->spec, batch, bench->gradient, plan->initial_buffers, &bench->net));
    plan->ops->net_cast(bench->net, plan->initial_parameters);
    return STATUS_OK;
}

static void tear_down(struct test_bench *bench)
{
    if (bench->net != NULL)
        bench->plan->ops->net_destroy(bench->net);
    evaluator_release(&bench->evaluator);
    memory_free_aligned(bench->gradient);
    plan_destroy(bench->plan);
}

static enum status evaluate(const struct config *config, const char *checkpoint)
{
    struct test_bench bench = {0};
    struct evaluation result;
    enum status status;
    TRY_GOTO(set_up(&bench, config, checkpoint), done);
    struct evaluation_range range = {.set = bench.plan->test, .last = bench.plan->test->count};
    TRY_GOTO(evaluator_run(&bench.evaluator, bench.net, &range, &result), done);
    printf("%s on %s: test accuracy %.4f, ", checkpoint, config->data.name, evaluation_accuracy(&result));
    if (isfinite(evaluation_accuracy_top5(&result)))
        printf("top-5 %.4f, ", evaluation_accuracy_top5(&result));
    printf("test loss %.4f, %zu pictures\n", evaluation_loss(&result), result.count);
done:
    tear_down(&bench);
    return status;
}

void command_eval_help(FILE *out)
{
    static const struct option_manual manual = {
        .usage = "grapevine eval CHECKPOINT CONFIG [key=value ...]\n",
        .about =
            "Tests a checkpoint (a safetensors file of Grapevine or of torchvision) on the configuration's test set, "
            "in one\nprocess: accuracy and loss. A run's own configuration lies beside its checkpoints.\n",
        .examples =
            "    grapevine eval runs/quickstart/final.safetensors runs/quickstart/config.yaml\n"
            "    grapevine eval resnet50.safetensors configs/imagenet_resnet50_allreduce.yaml data.path=/data\n",
    };
    option_list_describe(&(struct option_list){.command = "eval"}, &manual, out);
}

int command_eval(int count, char **arguments)
{
    if (count < 2) {
        log_error("eval: a checkpoint and a configuration: grapevine eval CHECKPOINT CONFIG [key=value ...]");
        return STATUS_USAGE;
    }
    struct config *config = NULL;
    enum status status = command_read_config(count - 1, arguments + 1, &config);
    if (status == STATUS_OK)
        status = evaluate(config, arguments[0]);
    config_destroy(config);
    return (int)status;
}
