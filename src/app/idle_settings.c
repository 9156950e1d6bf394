/* Which settings have no effect, as one table of rules. */
#include "app/idle_settings.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

enum { TRAINS = READER_TRAIN | READER_SIMULATE, LOOKS_AT_TRAINING = TRAINS | READER_BENCH, WORDS_MAX = 4 };

/* A key is idle where the command is another one, where the value of `decides` is none of the words, or where `idle`
 * says so. */
struct rule {
    const char *key;              /* or "section.*" */
    unsigned readers;             /* commands that read the key; 0: the rule says nothing of them */
    const char *decides;          /* another key, or NULL */
    const char *words[WORDS_MAX]; /* none: nothing is said of its value */
    bool not_words;               /* any word but those */
    bool (*idle)(const struct plan *plan);
    const char *reason;  /* what `idle` found */
    const char *verdict; /* NULL: "has no effect" */
    bool even_off;       /* said of a value that switches something off, too */
    bool arguments;      /* said of arguments alone: it depends on the number of workers, which files do not know */
};

static bool has_norm(const struct plan *plan)
{
    for (int i = 0; plan->spec != NULL && i < plan->spec->node_count; i++)
        if (plan->spec->nodes[i].op == NET_NORM)
            return true;
    return plan->spec == NULL;
}

static bool is_without_norm(const struct plan *plan)
{
    return !has_norm(plan);
}

static bool is_on_host(const struct plan *plan)
{
    return plan->ops != NULL && plan->ops->host_memory;
}

static bool is_ideal(const struct plan *plan)
{
    return plan->place.simulated && strcmp(plan->config->simulate.time, "ideal") == 0;
}

static bool meets_never(const struct plan *plan)
{
    return plan->config->communication.rate == 0;
}

static bool waits_never(const struct plan *plan)
{
    return !plan->config->communication.enforce_rate;
}

static bool starts_at_peak(const struct plan *plan)
{
    return plan->schedule.start >= plan->schedule.peak;
}

static bool outlasts_run(const struct plan *plan)
{
    return plan->config->schedule.warmup_epochs >= plan->config->train.epochs;
}

static bool has_no_milestone(const struct plan *plan)
{
    return plan->config->schedule.milestones.count == 0;
}

static bool has_no_momentum(const struct plan *plan)
{
    return plan->config->optimizer.momentum == 0;
}

static bool has_no_decay(const struct plan *plan)
{
    return plan->config->optimizer.weight_decay == 0;
}

static bool keeps_no_states(const struct plan *plan)
{
    return plan->config->run.state_every_epochs == 0;
}

static bool ends_before_checkpoint(const struct plan *plan)
{
    return plan->config->run.checkpoint_every_epochs >= plan->config->train.epochs;
}

static bool ends_before_state(const struct plan *plan)
{
    return plan->config->run.state_every_epochs >= plan->config->train.epochs;
}

static bool has_test_images(const struct plan *plan)
{
    const struct dataset *set = plan->test != NULL ? plan->test : plan->train;
    return set != NULL && !set->is_share;
}

#define ONE_OF(...) .words = {__VA_ARGS__}
#define NONE_OF(...) .not_words = true, .words = {__VA_ARGS__}
#define PHOTOGRAPHS .decides = "data.name", ONE_OF("imagenet", "photos")
#define OWN_IMAGES .decides = "data.name", ONE_OF("imagenet", "photos", "npy")
#define PAIRS .decides = "algorithm.name", NONE_OF("allreduce")
#define MODELLED .decides = "simulate.time", ONE_OF("modelled")

static const char never_waits[] = "in ideal time (simulate.time) nobody waits";

static const struct rule rules[] = {
    {.key = "data.path", .decides = "data.name", NONE_OF("shapes", "gaussian")},
    {.key = "data.augment", .readers = LOOKS_AT_TRAINING, .decides = "data.name", NONE_OF("gaussian")},
    {.key = "data.partition", .readers = LOOKS_AT_TRAINING},
    {.key = "data.alpha", .readers = LOOKS_AT_TRAINING, .decides = "data.partition", ONE_OF("dirichlet")},
    {.key = "data.validation", .readers = LOOKS_AT_TRAINING},
    {.key = "data.train_count", .readers = LOOKS_AT_TRAINING},
    {.key = "data.test_count", .readers = TRAINS | READER_EVAL},
    {.key = "data.dimension", .decides = "data.name", ONE_OF("gaussian")},
    {.key = "data.classes", .decides = "data.name", ONE_OF("gaussian", "npy")},
    {.key = "data.mean", .decides = "data.name", ONE_OF("npy")},
    {.key = "data.deviation", .decides = "data.name", ONE_OF("npy")},
    {.key = "data.test_share", OWN_IMAGES, .idle = has_test_images, .reason = "the set has test images"},
    {.key = "data.condition", .decides = "data.name", ONE_OF("gaussian")},
    {.key = "data.folder", OWN_IMAGES},
    {.key = "data.size", PHOTOGRAPHS},
    {.key = "data.shuffle", .readers = LOOKS_AT_TRAINING, PHOTOGRAPHS},
    {.key = "data.block_mib", .readers = LOOKS_AT_TRAINING, PHOTOGRAPHS},
    {.key = "data.pool_mib", .readers = LOOKS_AT_TRAINING, PHOTOGRAPHS},
    {.key = "data.pool_mib", .decides = "data.shuffle", NONE_OF("uniform")},
    {.key = "data.on_bad", PHOTOGRAPHS},

    {.key = "model.*", .readers = TRAINS | READER_EVAL},
    {.key = "model.init", .readers = TRAINS},
    {.key = "model.condition", .decides = "model.name", ONE_OF("quadratic")},

    {.key = "algorithm.*", .readers = TRAINS},
    {.key = "algorithm.eta", .decides = "algorithm.name", ONE_OF("acid")},
    {.key = "algorithm.alpha_tilde", .decides = "algorithm.name", ONE_OF("acid")},
    {.key = "algorithm.alpha", PAIRS},

    {.key = "graph.*", .readers = TRAINS, PAIRS},
    {.key = "graph.degree", .decides = "graph.name", ONE_OF("random-regular")},
    {.key = "graph.probability", .decides = "graph.name", ONE_OF("erdos-renyi")},
    {.key = "graph.seed", .decides = "graph.name", ONE_OF("random-regular", "erdos-renyi")},
    {.key = "graph.budget", .decides = "graph.rates", ONE_OF("best")},

    {.key = "communication.bucket_bytes", .readers = TRAINS, .decides = "algorithm.name", ONE_OF("allreduce")},
    {.key = "communication.limit_s", .readers = READER_TRAIN},
    {.key = "communication.rate", .readers = TRAINS, PAIRS, .even_off = true},
    {.key = "communication.enforce_rate", .readers = TRAINS, PAIRS},
    {.key = "communication.enforce_rate",
     .decides = "communication.rate",
     .idle = meets_never,
     .reason = "communication.rate is 0"},
    {.key = "communication.pending", .readers = TRAINS, PAIRS},
    {.key = "communication.pending",
     .decides = "communication.enforce_rate",
     .idle = waits_never,
     .reason = "communication.enforce_rate is false"},
    {.key = "communication.records", .readers = TRAINS, PAIRS},
    {.key = "communication.patience_s", .readers = TRAINS, PAIRS},
    {.key = "communication.transport", .readers = READER_TRAIN, PAIRS},
    {.key = "communication.chunk_bytes", .readers = READER_TRAIN, PAIRS},
    /* clang-format off */
    {.key = "communication.enforce_rate", .decides = "simulate.time", .idle = is_ideal, .reason = never_waits},
    {.key = "communication.pending", .decides = "simulate.time", .idle = is_ideal, .reason = never_waits},
    {.key = "communication.records", .decides = "simulate.time", .idle = is_ideal, .reason = never_waits},
    {.key = "communication.patience_s", .decides = "simulate.time", .idle = is_ideal, .reason = never_waits},
    {.key = "communication.bucket_bytes", .decides = "simulate.time", .idle = is_ideal, .reason = never_waits},
    /* clang-format on */

    {.key = "optimizer.*", .readers = TRAINS},
    {.key = "optimizer.nesterov",
     .decides = "optimizer.momentum",
     .idle = has_no_momentum,
     .reason = "optimizer.momentum is 0"},
    {.key = "optimizer.decay_norm_and_bias",
     .decides = "optimizer.weight_decay",
     .idle = has_no_decay,
     .reason = "optimizer.weight_decay is 0"},

    {.key = "schedule.*", .readers = TRAINS},
    {.key = "schedule.warmup_epochs",
     .arguments = true,
     .idle = starts_at_peak,
     .reason = "warm-up rises from optimizer.lr to the peak, and the peak (optimizer.lr * train.batch * workers / "
               "optimizer.lr_per_samples) is not above it"},
    {.key = "schedule.warmup_epochs",
     .decides = "train.epochs",
     .idle = outlasts_run,
     .verdict = "is too long",
     .reason = "the run of train.epochs is over before the learning rate has come to its peak"},
    {.key = "schedule.milestones", .decides = "schedule.name", ONE_OF("step")},
    {.key = "schedule.factor", .decides = "schedule.name", ONE_OF("step")},
    {.key = "schedule.factor",
     .decides = "schedule.milestones",
     .idle = has_no_milestone,
     .reason = "schedule.milestones has none"},

    {.key = "train.workers", .readers = READER_SIMULATE},
    {.key = "train.batch", .readers = TRAINS | READER_EVAL | READER_BENCH},
    {.key = "train.epochs", .readers = TRAINS},
    {.key = "train.label_smoothing", .readers = TRAINS},
    {.key = "train.on_nan", .readers = TRAINS},

    {.key = "simulate.*", .readers = READER_SIMULATE},
    {.key = "simulate.gradients", .decides = "simulate.time", ONE_OF("ideal")},
    {.key = "simulate.jobs", .decides = "simulate.time", ONE_OF("ideal")},
    {.key = "simulate.jobs", PAIRS},
    {.key = "simulate.jobs", .decides = "train.on_nan", ONE_OF("stop")},
    {.key = "simulate.step_s", MODELLED},
    {.key = "simulate.distribution", MODELLED},
    {.key = "simulate.jitter", MODELLED},
    {.key = "simulate.jitter", .decides = "simulate.distribution", ONE_OF("normal", "lognormal")},
    {.key = "simulate.speed_spread", MODELLED},
    {.key = "simulate.overlap", MODELLED},
    {.key = "simulate.overlap", .decides = "algorithm.name", ONE_OF("allreduce")},
    {.key = "simulate.latency_s", MODELLED, .even_off = true},
    {.key = "simulate.bytes_per_second", MODELLED},

    {.key = "inject.*", .readers = TRAINS},

    {.key = "batch_norm.*",
     .readers = TRAINS,
     .decides = "model.name",
     .idle = is_without_norm,
     .reason = "this model has no batch norm"},
    {.key = "batch_norm.batches", .decides = "batch_norm.policy", ONE_OF("recomputed")},

    {.key = "device.*", .readers = TRAINS | READER_EVAL},
    {.key = "device.deterministic",
     .decides = "device.name",
     .idle = is_on_host,
     .reason = "the CPU gives the same bits every time"},

    {.key = "run.dir", .readers = TRAINS},
    {.key = "run.log_every", .readers = TRAINS},
    {.key = "run.eval_every_epochs", .readers = TRAINS},
    {.key = "run.checkpoint_every_epochs",
     .readers = TRAINS,
     .decides = "train.epochs",
     .idle = ends_before_checkpoint,
     .reason = "the run of train.epochs ends by then, and writes final.safetensors anyway"},
    {.key = "run.state_every_epochs",
     .readers = TRAINS,
     .decides = "train.epochs",
     .idle = ends_before_state,
     .reason = "the run of train.epochs ends by then"},
    {.key = "run.keep_states",
     .readers = TRAINS,
     .decides = "run.state_every_epochs",
     .idle = keeps_no_states,
     .verdict = "has hardly any effect",
     .reason = "run.state_every_epochs is 0, and a state is kept only when the run is asked to leave"},
    {.key = "run.trace", .readers = TRAINS},
    {.key = "run.tensorboard", .readers = TRAINS},
    {.key = "run.keep_best", .readers = TRAINS},
    {.key = "run.optimum", .readers = TRAINS, .decides = "model.name", ONE_OF("quadratic", "linear", "logistic")},
    {.key = "run.record", .readers = TRAINS},
};

enum { RULE_COUNT = sizeof rules / sizeof rules[0] };

static bool concerns(const struct rule *rule, const char *key)
{
    size_t length = strlen(rule->key);
    if (rule->key[length - 1] == '*')
        return strncmp(rule->key, key, length - 1) == 0;
    return strcmp(rule->key, key) == 0;
}

static bool has_word(const struct rule *rule, const char *word)
{
    for (int k = 0; k < WORDS_MAX && rule->words[k] != NULL; k++)
        if (strcmp(rule->words[k], word) == 0)
            return true;
    return false;
}

/* Where the words of `needs` make the key idle: true, and why. */
static bool lacks_word(const struct rule *rule, const struct config *config, struct text *why)
{
    struct text value = {0};
    size_t count = 0;
    bool lacks = false;
    if (rule->words[0] == NULL)
        return false;
    config_add_value(config, rule->decides, &value);
    lacks = has_word(rule, text_view(&value)) == rule->not_words;
    while (count < WORDS_MAX && rule->words[count] != NULL)
        count++;
    if (lacks)
        text_add(why, "%s is %s", rule->decides, text_view(&value));
    if (lacks && !rule->not_words) {
        text_add(why, ", and it needs ");
        text_add_list(why, rule->words, count);
    }
    text_release(&value);
    return lacks;
}

static const char *reader_name(enum config_reader reader)
{
    switch (reader) {
    case READER_TRAIN:
        return "train";
    case READER_SIMULATE:
        return "simulate";
    case READER_EVAL:
        return "eval";
    case READER_BENCH:
        return "bench data";
    }
    return "";
}

/* Another command's key. From a file nothing is said of it. */
static bool is_elsewhere(const struct rule *rule, enum config_reader reader)
{
    return rule->readers != 0 && (rule->readers & reader) == 0;
}

static void warn_elsewhere(const struct config_given *given, enum config_reader reader)
{
    if (strcmp(given->key, "train.workers") == 0 && reader == READER_TRAIN)
        log_warning("%s: train.workers has no effect: `train` has as many workers as the launcher starts ranks "
                    "(mpirun -n, srun -n)",
                    given->place);
    else
        log_warning("%s: %s has no effect: `%s` does not read it", given->place, given->key, reader_name(reader));
}

/* The key does nothing by this rule, and its author is to hear of it: adds why. */
static bool is_idle(const struct rule *rule, const struct plan *plan, const struct config_given *given,
                    struct text *why)
{
    bool switched = rule->decides != NULL && config_is_argument(plan->config, rule->decides);
    if ((given->is_off && !rule->even_off) || (!given->is_argument && (switched || rule->arguments)))
        return false;
    if (lacks_word(rule, plan->config, why))
        return true;
    if (rule->idle == NULL || !rule->idle(plan))
        return false;
    text_add(why, "%s", rule->reason);
    return true;
}

static void examine(const struct plan *plan, enum config_reader reader, const struct config_given *given)
{
    const struct rule *found = NULL;
    struct text why = {0};
    for (size_t i = 0; i < RULE_COUNT; i++)
        if (concerns(&rules[i], given->key) && is_elsewhere(&rules[i], reader)) {
            if (given->is_argument)
                warn_elsewhere(given, reader);
            return;
        }
    for (size_t i = 0; i < RULE_COUNT && found == NULL; i++)
        if (concerns(&rules[i], given->key) && is_idle(&rules[i], plan, given, &why))
            found = &rules[i];
    if (found != NULL)
        log_warning("%s: %s %s: %s", given->place, given->key,
                    found->verdict != NULL ? found->verdict : "has no effect", text_view(&why));
    text_release(&why);
}

void idle_settings_warn(const struct plan *plan, enum config_reader reader)
{
    struct config *defaults = config_create();
    struct config_given given;
    for (size_t index = 0; config_next_given(plan->config, &index, &given);)
        if (given.is_argument || !config_same_value(plan->config, defaults, given.key))
            examine(plan, reader, &given);
    config_destroy(defaults);
}
