/* The result of a run: summary.json and the table at the end. */
#include "app/summary.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/run_directory.h"
#include "base/atomic_file.h"
#include "base/quantity.h"
#include "base/text.h"

double summary_exchanges_per_gradient(const struct summary *summary)
{
    return summary->gradients > 0 ? 2 * (double)summary->exchanges / (double)summary->gradients : (double)NAN;
}

static cJSON *number(double value)
{
    return isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull();
}

/* Whole numbers digit by digit: cJSON's own are doubles, exact up to 2^53 only. */
static cJSON *whole(uint64_t value)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%" PRIu64, value);
    return cJSON_CreateRaw(digits);
}

static void add_text(cJSON *root, const char *key, const char *value)
{
    if (value != NULL)
        cJSON_AddStringToObject(root, key, value);
}

static void add_number(cJSON *root, const char *key, double value)
{
    cJSON_AddItemToObject(root, key, number(value));
}

static void add_known(cJSON *root, const char *key, double value)
{
    if (isfinite(value))
        add_number(root, key, value);
}

static void add_whole(cJSON *root, const char *key, uint64_t value)
{
    cJSON_AddItemToObject(root, key, whole(value));
}

static void add_numbers(cJSON *root, const char *key, const double *values, int count)
{
    cJSON *list = cJSON_AddArrayToObject(root, key);
    for (int i = 0; i < count; i++)
        cJSON_AddItemToArray(list, number(values[i]));
}

static cJSON *list_of_wholes(const uint64_t *values, int count)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < count; i++)
        cJSON_AddItemToArray(list, whole(values[i]));
    return list;
}

/* One list for each of the workers. */
static void add_rows(cJSON *root, const char *key, const uint64_t *values, int workers, int columns)
{
    cJSON *rows = cJSON_AddArrayToObject(root, key);
    for (int i = 0; i < workers; i++)
        cJSON_AddItemToArray(rows, list_of_wholes(values + (size_t)i * (size_t)columns, columns));
}

static void add_died(cJSON *root, const bool *died, int workers)
{
    cJSON *list = cJSON_AddArrayToObject(root, "died");
    for (int i = 0; i < workers; i++)
        if (died[i])
            cJSON_AddItemToArray(list, whole((uint64_t)i));
}

static double total(const double *values, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += values[i];
    return sum;
}

static bool some(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static bool injects(const struct summary_injected *injected)
{
    return some(injected->slow) || some(injected->pause) || some(injected->death) || some(injected->nan) ||
           some(injected->links) || injected->loss > 0 || injected->duplicate > 0 || injected->torn > 0 ||
           injected->corrupt > 0;
}

static void add_share(cJSON *object, const char *key, double share)
{
    if (share > 0)
        add_number(object, key, share);
}

static void add_injected(cJSON *root, const struct summary_injected *injected)
{
    cJSON *object = cJSON_AddObjectToObject(root, "injected");
    if (some(injected->slow))
        add_text(object, "slow", injected->slow);
    if (some(injected->pause))
        add_text(object, "pause", injected->pause);
    if (some(injected->death))
        add_text(object, "death", injected->death);
    if (some(injected->nan))
        add_text(object, "nan", injected->nan);
    if (some(injected->links))
        add_text(object, "links", injected->links);
    add_share(object, "loss", injected->loss);
    add_share(object, "duplicate", injected->duplicate);
    add_share(object, "torn", injected->torn);
    add_share(object, "corrupt", injected->corrupt);
}

static cJSON *config_value(const struct config_item *item)
{
    char digits[32];
    switch (item->type) {
    case CONFIG_BOOL:
        return cJSON_CreateBool(item->flag);
    case CONFIG_INTEGER:
        snprintf(digits, sizeof digits, "%" PRId64, item->integer);
        return cJSON_CreateRaw(digits);
    case CONFIG_NUMBER:
        return isnan(item->number) ? cJSON_CreateString("auto") : number(item->number);
    case CONFIG_TEXT:
        return cJSON_CreateString(item->text);
    case CONFIG_LIST:
        return cJSON_CreateDoubleArray(item->list->items, item->list->count);
    }
    return cJSON_CreateNull();
}

static void add_config_item(void *context, const struct config_item *item)
{
    cJSON *root = context, *section = root;
    if (item->section[0] != '\0') {
        section = cJSON_GetObjectItemCaseSensitive(root, item->section);
        if (section == NULL)
            section = cJSON_AddObjectToObject(root, item->section);
    }
    cJSON_AddItemToObject(section, item->key, config_value(item));
}

static void add_data(cJSON *root, const struct summary *summary)
{
    if (summary->train_data == NULL)
        return;
    cJSON *data = cJSON_AddObjectToObject(root, "data_fingerprint");
    add_text(data, "train", summary->train_data);
    add_text(data, "test", summary->test_data);
}

/* What was run. */
static void add_set_up(cJSON *root, const struct summary *summary)
{
    char seed[32];
    snprintf(seed, sizeof seed, "%" PRId64, summary->seed);
    add_text(root, "version", summary->version);
    add_text(root, "command", summary->command);
    add_text(root, "config_file", summary->config_file);
    add_text(root, "algorithm", summary->algorithm);
    add_text(root, "graph", summary->graph);
    add_text(root, "model", summary->model);
    add_text(root, "data", summary->data);
    add_text(root, "partition", summary->partition);
    if (summary->mean != NULL) {
        add_numbers(root, "mean", summary->mean, summary->channels);
        add_numbers(root, "deviation", summary->deviation, summary->channels);
    }
    if (summary->test_images != NULL)
        add_text(root, "test_images", summary->test_images);
    add_text(root, "time", summary->time);
    add_text(root, "transport", summary->transport);
    add_text(root, "device", summary->device);
    add_text(root, "batch_norm", summary->batch_norm);
    add_whole(root, "workers", (uint64_t)summary->workers);
    if (summary->died != NULL)
        add_died(root, summary->died, summary->workers);
    cJSON_AddRawToObject(root, "seed", seed);
    add_whole(root, "batch", summary->batch);
    add_number(root, "epochs", summary->epochs);
    add_number(root, "learning_rate", summary->learning_rate);
    add_data(root, summary);
    add_number(root, "chi1", summary->chi1);
    add_number(root, "chi2", summary->chi2);
    add_number(root, "eta", summary->eta);
    add_number(root, "alpha", summary->alpha);
    add_number(root, "alpha_tilde", summary->alpha_tilde);
    if (injects(&summary->injected))
        add_injected(root, &summary->injected);
    if (summary->config != NULL)
        config_each(summary->config, add_config_item, cJSON_AddObjectToObject(root, "config"));
}

/* What came of it. */
static void add_result(cJSON *root, const struct summary *summary)
{
    int workers = summary->workers;
    add_number(root, "test_accuracy", summary->test_accuracy);
    add_known(root, "test_accuracy_top5", summary->test_accuracy_top5);
    add_number(root, "test_loss", summary->test_loss);
    add_number(root, "test_accuracy_own_statistics", summary->test_accuracy_own_statistics);
    add_known(root, "test_accuracy_top5_own_statistics", summary->test_accuracy_top5_own_statistics);
    add_number(root, "consensus_distance", summary->consensus_distance);
    add_known(root, "consensus_predicted", summary->consensus_predicted);
    add_known(root, "chi1_realised", summary->chi1_realised);
    add_known(root, "chi2_realised", summary->chi2_realised);
    add_known(root, "optimum_distance", summary->optimum_distance);
    add_known(root, "optimum_gap", summary->optimum_gap);
    add_number(root, "wall_seconds", summary->wall_seconds);
    add_number(root, "finalisation_seconds", summary->finalisation_seconds);
    if (summary->time != NULL)
        add_number(root, "virtual_time", summary->virtual_time);
    add_number(root, "samples_per_second", total(summary->samples_per_second, workers));
    add_numbers(root, "samples_per_second_per_worker", summary->samples_per_second, workers);
    add_whole(root, "gradients", summary->gradients);
    cJSON_AddItemToObject(root, "gradients_per_worker", list_of_wholes(summary->gradients_per_worker, workers));
    add_whole(root, "exchanges", summary->exchanges);
    add_number(root, "exchanges_per_gradient", summary_exchanges_per_gradient(summary));
    add_number(root, "rate_wanted", summary->rate_wanted);
    add_whole(root, "ticks", summary->ticks);
    add_whole(root, "ticks_unserved", summary->ticks_unserved);
    if (injects(&summary->injected))
        add_whole(root, "meetings_lost", summary->meetings_lost);
    if (injects(&summary->injected) || summary->payloads_repeated > 0) {
        add_whole(root, "payloads_damaged", summary->payloads_damaged);
        add_whole(root, "payloads_repeated", summary->payloads_repeated);
    }
    if (summary->class_counts != NULL)
        add_rows(root, "class_counts", summary->class_counts, summary->workers, summary->classes);
    if (summary->meetings != NULL)
        add_rows(root, "meetings", summary->meetings, workers, workers);
    add_numbers(root, "idle", summary->idle, workers);
    add_numbers(root, "data_wait", summary->data_wait, workers);
}

enum status summary_write(const struct summary *summary, const char *directory)
{
    struct atomic_file file;
    char *path = run_directory_file(directory, "summary.json");
    enum status status = atomic_file_open(&file, path, LOG_ERROR, RUN_ELSEWHERE);
    free(path);
    TRY(status);
    cJSON *root = cJSON_CreateObject();
    add_set_up(root, summary);
    add_result(root, summary);
    char *text = cJSON_Print(root);
    fprintf(file.stream, "%s\n", text);
    cJSON_free(text);
    cJSON_Delete(root);
    return atomic_file_commit(&file);
}

/* "0.1 0.2 0.1 0.3 %", the first eight workers' and then the largest of all. */
static void add_shares(struct text *text, const double *shares, int count)
{
    enum { SHOWN = 8 };
    double largest = 0;
    for (int i = 0; i < count; i++) {
        if (i < SHOWN)
            text_add(text, "%s%.1f", i > 0 ? " " : "", 100 * shares[i]);
        largest = shares[i] > largest ? shares[i] : largest;
    }
    text_add(text, " %%");
    if (count > SHOWN)
        text_add(text, " ... (largest %.1f %%)", 100 * largest);
}

/* Where they say something: in ideal time they need not (runtime.h). */
static void print_shares(const char *label, const double *shares, int count, FILE *out)
{
    struct text text = {0};
    if (isnan(shares[0]))
        return;
    add_shares(&text, shares, count);
    fprintf(out, "  %-26s %s\n", label, text_view(&text));
    text_release(&text);
}

static void print_virtual_time(const struct summary *summary, FILE *out)
{
    char duration[32];
    bool ideal = strcmp(summary->time, "ideal") == 0;
    if (ideal)
        fprintf(out, "  virtual time               %.1f expected gradients of a worker\n", summary->virtual_time);
    else
        fprintf(out, "  virtual time               %s\n", quantity_duration(duration, summary->virtual_time));
}

static void print_died(const struct summary *summary, FILE *out)
{
    fprintf(out, "  died, and were left out    worker");
    for (int i = 0, first = 1; i < summary->workers; i++)
        if (summary->died[i]) {
            fprintf(out, "%s %d", first ? "" : ",", i);
            first = 0;
        }
    fprintf(out, "\n");
}

void summary_print(const struct summary *summary, const char *directory, FILE *out)
{
    char duration[32];
    double samples_per_second = total(summary->samples_per_second, summary->workers);
    fprintf(out, "\n  %s on %s, %s, %d worker%s%s%s\n", summary->model, summary->data, summary->algorithm,
            summary->workers, summary->workers == 1 ? "" : "s", summary->graph != NULL ? ", " : "",
            summary->graph != NULL ? summary->graph : "");
    if (summary->died != NULL)
        print_died(summary, out);
    fprintf(out, "  accuracy (averaged model)  %.2f %%\n", 100 * summary->test_accuracy);
    if (isfinite(summary->test_accuracy_top5))
        fprintf(out, "  among the five best        %.2f %%\n", 100 * summary->test_accuracy_top5);
    fprintf(out, "  loss                       %.4f\n", summary->test_loss);
    if (!isnan(samples_per_second))
        fprintf(out, "  samples/s                  %.0f%s\n", samples_per_second,
                summary->time != NULL ? " (virtual)" : "");
    if (isfinite(summary->rate_wanted))
        fprintf(out, "  exchanges per gradient     %.3f (wanted %.3f)\n", summary_exchanges_per_gradient(summary),
                summary->rate_wanted);
    fprintf(out, "  consensus distance         %.4g", summary->consensus_distance);
    if (isfinite(summary->consensus_predicted) && summary->consensus_predicted > 0) /* 0: the rate is 0 at last */
        fprintf(out, " (level of theory %.3g)", summary->consensus_predicted);
    fprintf(out, "\n");
    if (isfinite(summary->optimum_distance))
        fprintf(out, "  distance to the optimum    %.4g, objective above it by %.4g\n", summary->optimum_distance,
                summary->optimum_gap);
    print_shares("idle, worker by worker", summary->idle, summary->workers, out);
    if (summary->payloads_damaged > 0)
        fprintf(out, "  damaged snapshots          %" PRIu64 " came, none was applied; sent again: %" PRIu64 "\n",
                summary->payloads_damaged, summary->payloads_repeated);
    print_shares("waiting for data", summary->data_wait, summary->workers, out);
    if (summary->time != NULL)
        print_virtual_time(summary, out);
    fprintf(out, "  time                       %s", quantity_duration(duration, summary->wall_seconds));
    fprintf(out, ", average and final test %s\n", quantity_duration(duration, summary->finalisation_seconds));
    fprintf(out, "  run directory              %s\n", directory);
    fflush(out);
}
