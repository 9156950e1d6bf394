/* Reports as scalars. */
#include "app/scalar_events.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "app/run_directory.h"
#include "base/text.h"

struct scalars {
    struct tensorboard_scalar items[TENSORBOARD_SCALARS_MAX];
    size_t count;
};

static void add(struct scalars *scalars, const char *tag, double value)
{
    scalars->items[scalars->count++] = (struct tensorboard_scalar){tag, value};
}

/* What is not known has no event: a NaN would read as a diverged run. */
static void add_known(struct scalars *scalars, const char *tag, double value)
{
    if (!isnan(value))
        add(scalars, tag, value);
}

enum status scalar_events_open(const char *directory, const char *name, const struct scalar_events_start *start,
                               struct tensorboard **out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    char *parent = run_directory_file(directory, "tensorboard");
    char *folder = run_directory_file(parent, name);
    mkdir(parent, 0777); /* another rank may have made it; tensorboard_create tells if nobody could */
    enum status status =
        tensorboard_create(folder, (double)now.tv_sec + (double)now.tv_nsec * 1e-9, start->time_s, out);
    if (status == STATUS_OK)
        tensorboard_begin_session(*out, start->time_s, start->step);
    free(folder);
    free(parent);
    return status;
}

void scalar_events_add_step(struct tensorboard *events, const struct step_report *report)
{
    struct scalars scalars = {.count = 0};
    add(&scalars, "loss", report->loss);
    add(&scalars, "accuracy", report->accuracy);
    add(&scalars, "lr", report->learning_rate);
    add_known(&scalars, "samples_per_second", report->samples_per_second);
    add_known(&scalars, "idle", report->idle);
    add_known(&scalars, "data_wait", report->data_wait);
    add_known(&scalars, "pair_distance", report->pair_distance);
    add_known(&scalars, "consensus_estimated", report->consensus_estimated);
    add_known(&scalars, "consensus_predicted", report->consensus_predicted);
    tensorboard_add(events, report->time_s, report->global_step, scalars.items, scalars.count);
}

void scalar_events_add_evaluation(struct tensorboard *events, const struct evaluation_report *report)
{
    char loss[64], accuracy[64], top5[64];
    const char *averaged = report->averaged ? "_averaged" : "";
    struct scalars scalars = {.count = 0};
    snprintf(loss, sizeof loss, "%s%s/loss", report->set, averaged);
    snprintf(accuracy, sizeof accuracy, "%s%s/accuracy", report->set, averaged);
    snprintf(top5, sizeof top5, "%s%s/accuracy_top5", report->set, averaged);
    add(&scalars, loss, report->loss);
    add(&scalars, accuracy, report->accuracy);
    add_known(&scalars, top5, report->accuracy_top5);
    tensorboard_add(events, report->time_s, report->global_step, scalars.items, scalars.count);
}

static double number_of(const cJSON *line, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, key);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static bool is_place(const char *key)
{
    return strcmp(key, "time") == 0 || strcmp(key, "global_step") == 0 || strcmp(key, "epoch") == 0;
}

void scalar_events_add_network_line(struct tensorboard *events, const char *line)
{
    struct scalars scalars = {.count = 0};
    cJSON *root = cJSON_Parse(line);
    for (const cJSON *item = root != NULL ? root->child : NULL; item != NULL; item = item->next)
        if (cJSON_IsNumber(item) && !is_place(item->string) && scalars.count < TENSORBOARD_SCALARS_MAX)
            add(&scalars, item->string, item->valuedouble);
    if (scalars.count > 0)
        tensorboard_add(events, number_of(root, "time"), (uint64_t)number_of(root, "global_step"), scalars.items,
                        scalars.count);
    cJSON_Delete(root);
}

/* The next line about the network; false where there is none. */
static bool next_network_line(FILE *metrics, char **line, size_t *capacity)
{
    static const char begin[] = "{\"network\": true, ";
    while (getline(line, capacity, metrics) > 0)
        if (strncmp(*line, begin, strlen(begin)) == 0)
            return true;
    return false;
}

/* How long the run took: the time of the last line of the network. */
static double last_time(FILE *metrics, char **line, size_t *capacity)
{
    double time_s = 0;
    while (next_network_line(metrics, line, capacity)) {
        const char *time = strstr(*line, "\"time\": ");
        if (time != NULL)
            time_s = strtod(time + strlen("\"time\": "), NULL);
    }
    rewind(metrics);
    return time_s;
}

void scalar_events_of_metrics(const char *directory)
{
    char *path = run_directory_file(directory, "metrics.jsonl"), *line = NULL;
    size_t capacity = 0;
    FILE *metrics = fopen(path, "re");
    struct tensorboard *events = NULL;
    free(path);
    if (metrics == NULL)
        return;
    struct scalar_events_start start = {.time_s = last_time(metrics, &line, &capacity)};
    if (start.time_s > 0 && scalar_events_open(directory, "network", &start, &events) == STATUS_OK)
        while (next_network_line(metrics, &line, &capacity))
            scalar_events_add_network_line(events, line);
    tensorboard_close(events);
    fclose(metrics);
    free(line);
}
