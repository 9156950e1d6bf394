/* The minimiser of a plan's convex model: progress for who waits, and a folder that keeps it for the next run. */
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/plan.h"
#include "app/plan_data.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/quantity.h"
#include "base/stopwatch.h"
#include "base/text.h"

/* --- the folder --- */

enum { CACHE_FILES_MAX = 64 };

static const off_t cache_bytes_max = (off_t)1 << 30;

/* $XDG_CACHE_HOME/grapevine or ~/.cache/grapevine, made if need be; owned by the caller. NULL: there can be none. */
static char *cache_folder(void)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char *above = NULL;
    if (xdg != NULL && xdg[0] == '/') /* the specification wants others ignored */
        above = text_format("%s", xdg);
    else if (home != NULL && home[0] == '/')
        above = text_format("%s/.cache", home);
    if (above == NULL)
        return NULL;
    char *folder = text_format("%s/grapevine", above);
    struct stat info;
    mkdir(above, 0700);
    mkdir(folder, 0777);
    free(above);
    if (stat(folder, &info) == 0 && S_ISDIR(info.st_mode))
        return folder;
    log_debug("%s cannot be made: minimisers are not kept", folder);
    free(folder);
    return NULL;
}

struct kept {
    char *path;
    struct stat info;
};

static int newest_first(const void *left, const void *right)
{
    const struct timespec a = ((const struct kept *)left)->info.st_mtim, b = ((const struct kept *)right)->info.st_mtim;
    return a.tv_sec != b.tv_sec ? (a.tv_sec < b.tv_sec) - (a.tv_sec > b.tv_sec)
                                : (a.tv_nsec < b.tv_nsec) - (a.tv_nsec > b.tv_nsec);
}

static bool is_kept(const char *name)
{
    const char *end = strrchr(name, '.');
    return end != NULL && strcmp(end, ".optimum") == 0;
}

/* The newest files stay, up to the bounds. Another run may do the same: what is gone is gone. */
static void trim(const char *folder)
{
    DIR *directory = opendir(folder);
    struct kept *files = NULL;
    size_t count = 0;
    off_t bytes = 0;
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        if (!is_kept(entry->d_name))
            continue;
        files = memory_realloc(files, count + 1, sizeof *files);
        files[count].path = text_format("%s/%s", folder, entry->d_name);
        if (stat(files[count].path, &files[count].info) == 0)
            count++;
        else
            free(files[count].path);
    }
    if (directory != NULL)
        closedir(directory);
    if (count > 0)
        qsort(files, count, sizeof *files, newest_first);
    for (size_t k = 0; k < count; k++) {
        bytes += files[k].info.st_size;
        if (k >= CACHE_FILES_MAX || bytes > cache_bytes_max)
            remove(files[k].path);
        free(files[k].path);
    }
    free(files);
}

/* --- progress --- */

struct search {
    const char *model;
    double begin_s, told_s; /* the latter: after begin_s, of the last line */
};

static void tell(void *context, const struct optimum_progress *progress)
{
    const double interval_s = 5;
    struct search *search = context;
    double since_s = stopwatch_now() - search->begin_s;
    char time[32];
    if (since_s - search->told_s < interval_s)
        return;
    search->told_s = since_s;
    quantity_duration(time, since_s);
    if (isnan(progress->gradient))
        log_info("minimiser of model %s: %s, %.0f %% of the images read", search->model, time,
                 100 * progress->pictures);
    else
        log_info("minimiser of model %s: %s, gradient %.1e of the first, 1e-10 is wanted", search->model, time,
                 progress->gradient);
}

/* --- the minimiser --- */

/* partitions (count): the pictures of every worker, those of the plan's own as it has them. */
static enum status create_partitions(const struct plan *plan, int count, struct partition *partitions)
{
    for (int i = 0; i < count; i++) {
        struct partition_params params = plan_partition_params(plan, i);
        TRY(partition_create(&params, plan->train, &partitions[i], NULL));
    }
    return STATUS_OK;
}

enum status plan_optimum(const struct plan *plan, struct optimum **out)
{
    *out = NULL;
    if (!plan->config->run.optimum || !optimum_known(plan->spec))
        return STATUS_OK;
    bool shared = strcmp(plan->config->data.partition, "shared") == 0;
    int count = shared ? 1 : plan->place.worker_count;
    struct partition *partitions = memory_zalloc((size_t)count, sizeof partitions[0]);
    struct optimum_params params = {
        .spec = plan->spec,
        .train = plan->train,
        .partitions = partitions,
        .partition_count = count,
        .weight_decay = plan->config->optimizer.weight_decay,
        .decay_norm_and_bias = plan->config->optimizer.decay_norm_and_bias,
        .threads = (int)plan->config->device.threads,
    };
    struct search search = {.model = plan->config->model.name, .begin_s = stopwatch_now()};
    char *cache = cache_folder();
    params.cache = cache;
    params.progress = tell;
    params.context = &search;
    log_info("finding the minimiser of model %s (run.optimum=false leaves it out)", plan->config->model.name);
    enum status status = create_partitions(plan, count, partitions);
    if (status == STATUS_OK)
        status = optimum_create(&params, out);
    if (cache != NULL)
        trim(cache);
    free(cache);
    for (int i = 0; i < count; i++)
        partition_release(&partitions[i]);
    free(partitions);
    return status;
}
