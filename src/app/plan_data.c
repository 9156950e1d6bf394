/* The data of a plan: sets, sizes of pictures, shares, threads. */
#include "app/plan_data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/machine.h"

enum { PICTURE_SIZE_MIN = 32, PICTURE_SIZE_MAX = 1024 };

static const char *data_path(const struct config *config)
{
    const char *environment = getenv("GRAPEVINE_DATA");
    if (config->data.path[0] != '\0')
        return config->data.path;
    return environment != NULL ? environment : "";
}

static struct dataset_shuffle shuffle_of(const struct config *config)
{
    const double mib = 1 << 20;
    struct dataset_shuffle shuffle = {.way = DATASET_SHUFFLE_AUTO,
                                      .block_bytes = (uint64_t)fmax(config->data.block_mib * mib, 1),
                                      .pool_bytes = (uint64_t)fmax(config->data.pool_mib * mib, 1)};
    if (strcmp(config->data.shuffle, "uniform") == 0)
        shuffle.way = DATASET_SHUFFLE_UNIFORM;
    if (strcmp(config->data.shuffle, "blocks") == 0)
        shuffle.way = DATASET_SHUFFLE_BLOCKS;
    return shuffle;
}

static enum status open_set(const struct plan *plan, bool train, bool augment, struct dataset **out)
{
    const struct config *config = plan->config;
    struct dataset_params params = {
        .name = config->data.name,
        .path = data_path(config),
        .train = train,
        .augment = augment,
        .count = (size_t)(train ? config->data.train_count : config->data.test_count),
        .seed = (uint64_t)config->seed,
        .test_share = config->data.test_share,
        .dimension = (int)config->data.dimension,
        .mean = config->data.mean.items,
        .deviation = config->data.deviation.items,
        .mean_count = config->data.mean.count,
        .deviation_count = config->data.deviation.count,
        .class_count = (int)config->data.classes,
        .condition = config->data.condition,
        .folder = config->data.folder,
        .size = plan->picture_size,
        .stops_at_bad = strcmp(config->data.on_bad, "stop") == 0,
        .shuffle = shuffle_of(config),
    };
    return dataset_open(&params, out);
}

enum status plan_read_picture_sizes(struct plan *plan)
{
    static const char *const joints[] = {"-", "..", "→"};
    const char *text = plan->config->data.size;
    char *end;
    long first = strtol(text, &end, 10), last = first;
    for (size_t k = 0; k < sizeof joints / sizeof joints[0]; k++)
        if (end != text && strncmp(end, joints[k], strlen(joints[k])) == 0) {
            last = strtol(end + strlen(joints[k]), &end, 10);
            break;
        }
    if (end == text || *end != '\0' || first < PICTURE_SIZE_MIN || last < first || last > PICTURE_SIZE_MAX) {
        log_error("data.size: \"%s\" is no size of pictures; give one from %d to %d, or two of them, the smaller one "
                  "first: 160-224",
                  text, PICTURE_SIZE_MIN, PICTURE_SIZE_MAX);
        return STATUS_USAGE;
    }
    plan->first_picture_size = (int)first;
    plan->picture_size = (int)last;
    return STATUS_OK;
}

struct picture_sizes plan_picture_sizes(const struct plan *plan)
{
    uint64_t workers = (uint64_t)plan->place.worker_count, before = plan->gradients_before / workers;
    struct picture_sizes sizes = {.first = plan->first_picture_size,
                                  .last = plan->picture_size,
                                  .batches = (plan->gradient_total + workers - 1) / workers};
    if (plan->train->ops->fetch_at == NULL || sizes.first == sizes.last)
        return (struct picture_sizes){0};
    sizes.first = picture_size_of(&sizes, before);
    sizes.batches -= before;
    return sizes;
}

int plan_data_threads(const struct plan *plan)
{
    const struct config *config = plan->config;
    if (config->data.threads > 0)
        return (int)config->data.threads;
    const struct dataset *set = plan->train != NULL ? plan->train : plan->test;
    if (set->ops->fetch_at == NULL)
        return 1;
    double cores = plan->place.cores > 0 ? plan->place.cores : machine_cores();
    int busy = 0; /* computing, or with a GPU at least asking for it, while pictures are made */
    if (plan->ops != NULL && !plan->place.simulated)
        busy = plan->ops->host_memory ? (int)config->device.threads : 1;
    return cores - busy > 1 ? (int)(cores - busy) : 1;
}

struct partition_params plan_partition_params(const struct plan *plan, int worker)
{
    return (struct partition_params){
        .name = plan->config->data.partition,
        .alpha = plan->config->data.alpha,
        .worker = worker,
        .worker_count = plan->place.worker_count,
        .validation = plan->config->data.validation,
        .seed = (uint64_t)plan->config->seed,
    };
}

enum status plan_open_test_data(struct plan *plan)
{
    TRY(open_set(plan, false, false, &plan->test));
    if (plan->test->note != NULL)
        log_info("test images: %s", plan->test->note);
    return STATUS_OK;
}

enum status plan_open_training_data(struct plan *plan)
{
    const struct config *config = plan->config;
    if (config->run.keep_best && config->data.validation == 0) {
        log_error("run.keep_best: the best replica is chosen on held-out pictures, and data.validation is 0; give it a "
                  "share of the training pictures, such as 0.1");
        return STATUS_USAGE;
    }
    TRY(open_set(plan, true, config->data.augment, &plan->train));
    struct partition_params params = plan_partition_params(plan, plan->place.worker);
    TRY(partition_create(&params, plan->train, &plan->partition, &plan->held_out));
    if (plan->held_out.count > 0)
        TRY(open_set(plan, true, false, &plan->held_out_set));
    return STATUS_OK;
}
