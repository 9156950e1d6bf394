/* What the ranks of a training run compare, as facts. */
#include "app/run_agreement.h"

#include "app/agreement.h"

static void add_setting(void *context, const char *name, const char *value)
{
    agreement_add(context, name, "%s", value);
}

enum status run_agree_on_settings(struct job *job, const struct config *config, const struct run_options *options,
                                  const char *directory)
{
    struct text facts = {0};
    agreement_add(&facts, "the version of grapevine", "%s", GRAPEVINE_VERSION);
    agreement_add(&facts, "--dry-run", "%s", options->dry_run ? "given" : "not given");
    agreement_add(&facts, "--resume", "%s", options->resume != NULL ? options->resume : "not given");
    agreement_add(&facts, "the run directory", "%s", directory);
    config_each_shared(config, add_setting, &facts);
    enum status status = agreement_check(job, "settings of all ranks", &facts);
    text_release(&facts);
    return status;
}

enum status run_agree_on_plan(struct job *job, const struct plan *plan)
{
    struct text facts = {0}, constants = {0};
    plan_facts(plan, &facts);
    plan_constants(plan, &constants);
    enum status status = agreement_check(job, "data, graph and model of all ranks", &facts);
    if (status == STATUS_OK)
        status = agreement_check(job, "constants of all ranks", &constants);
    text_release(&facts);
    text_release(&constants);
    return status;
}
