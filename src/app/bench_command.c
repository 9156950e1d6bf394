/* grapevine bench data CONFIG [key=value ...]: what making pictures costs here, and how many cores a GPU needs for it.
 * (Operations, steps and exchanges are measured by `make bench`.) */
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "app/command.h"
#include "app/data_bench.h"
#include "app/idle_settings.h"
#include "app/option_rules.h"
#include "base/log.h"
#include "base/memory.h"

struct request {
    double seconds, rate;
    bool read_only, loader_only, json;
    int config_count; /* the first arguments, once options are taken out: a file, then key=value */
};

struct figures {
    struct data_bench_parts parts;
    struct data_bench_loader loader;
    double read_bytes, read_s; /* of the epoch that was read */
};

static void list_options(struct option_list *list, struct request *request)
{
    const struct option_rule rules[] = {
        {.name = "--rate",
         .value = "R",
         .kind = OPTION_NUMBER,
         .least = 1e-3,
         .most = 1e9,
         .number = &request->rate,
         .meaning = "images per second that a GPU takes: how many cores it needs, and how long it would wait"},
        {.name = "--seconds",
         .value = "S",
         .kind = OPTION_NUMBER,
         .least = 0.1,
         .most = 3600,
         .number = &request->seconds,
         .meaning = "of each measurement, about; default 10"},
        {.name = "--read",
         .kind = OPTION_FLAG,
         .flag = &request->read_only,
         .meaning = "only read an epoch from where it lies, once, in the order and the portions of training"},
        {.name = "--loader", .kind = OPTION_FLAG, .flag = &request->loader_only, .meaning = "only the loader"},
        {.name = "--json", .kind = OPTION_FLAG, .flag = &request->json, .meaning = "figures for programs"},
    };
    *list = (struct option_list){.command = "bench data"};
    option_list_add(list, rules, sizeof rules / sizeof rules[0]);
}

void command_bench_help(FILE *out)
{
    static const struct option_manual manual = {
        .usage = "grapevine bench data CONFIG [key=value ...] [options]\n",
        .about = "Measures how fast the training images of a configuration are made on this machine: read, decoded, "
                 "resized,\n"
                 "and all together by the loader with data.threads threads. (Operations, steps and exchanges: make "
                 "bench.)\n",
        .examples = "    grapevine bench data configs/imagenet_resnet50_acid_ring.yaml --rate 3000\n",
    };
    struct request request = {0};
    struct option_list list;
    list_options(&list, &request);
    option_list_describe(&list, &manual, out);
}

static enum status parse(int count, char **arguments, struct request *out)
{
    struct option_list list;
    *out = (struct request){.seconds = 10};
    list_options(&list, out);
    for (int i = 0; i < count; i++)
        if (arguments[i][0] == '-')
            TRY(option_list_take(&list, count, arguments, &i));
        else
            arguments[out->config_count++] = arguments[i];
    if (out->config_count > 0)
        return STATUS_OK;
    log_error("bench data: a configuration: grapevine bench data CONFIG [key=value ...]");
    return STATUS_USAGE;
}

static enum status measure(const struct request *request, const struct plan *plan, struct figures *out)
{
    struct data_bench_params params = {.plan = plan, .seconds = request->seconds, .rate = request->rate};
    *out = (struct figures){0};
    if (request->read_only)
        return data_bench_read(&params, &out->read_bytes, &out->read_s);
    TRY(data_bench_loader(&params, &out->loader)); /* first: its memory is what the process has by then */
    return request->loader_only ? STATUS_OK : data_bench_parts(&params, &out->parts);
}

static void print_parts(const struct data_bench_parts *parts)
{
    printf("one core\n");
    printf("  read                     %9.0f pictures/s  %6.2f GB/s (from the page cache)\n", parts->read,
           parts->read_bytes / 1e9);
    printf("  and decode               %9.0f pictures/s\n", parts->decode);
    printf("  and resize, normalise    %9.0f pictures/s  the last alone %.2f GB/s, %.2f of memcpy\n", parts->all,
           parts->resize_bytes / 1e9, parts->resize_over_copy);
    printf("  decode whole, no more    %9.0f pictures/s  %.2f of it are made\n", parts->whole,
           parts->all / parts->whole);
}

static void print_loader(const struct request *request, const struct figures *figures)
{
    const struct data_bench_loader *loader = &figures->loader;
    printf("loader, %d thread%s\n", loader->threads, loader->threads == 1 ? "" : "s");
    printf("  pictures/s               %9.0f\n", loader->pictures_per_second);
    printf("  threads busy             %9.2f of the time\n", loader->busy);
    printf("  memory of the process    %9.0f MiB at most\n", loader->peak_bytes / (1 << 20));
    if (request->rate > 0)
        printf("  a GPU of %.0f/s waits    %9.1f %% of the time\n", request->rate, 100 * loader->waiting);
    if (request->rate > 0 && figures->parts.known)
        printf("cores for a GPU of %.0f pictures/s: %.1f\n", request->rate, request->rate / figures->parts.all);
}

static void print_json(const struct request *request, const struct figures *figures)
{
    const struct data_bench_parts *parts = &figures->parts;
    const struct data_bench_loader *loader = &figures->loader;
    const struct {
        const char *name;
        double value;
        bool known;
    } rows[] = {
        {"read_pictures_per_second", parts->read, parts->known},
        {"decode_pictures_per_second", parts->decode, parts->known},
        {"all_pictures_per_second", parts->all, parts->known},
        {"whole_pictures_per_second", parts->whole, parts->known},
        {"all_over_whole", parts->all / parts->whole, parts->known},
        {"resize_bytes_per_second", parts->resize_bytes, parts->known},
        {"resize_over_memcpy", parts->resize_over_copy, parts->known},
        {"cores_for_rate", request->rate / parts->all, parts->known && request->rate > 0},
        {"loader_threads", loader->threads, loader->threads > 0},
        {"loader_pictures_per_second", loader->pictures_per_second, loader->threads > 0},
        {"loader_busy", loader->busy, loader->threads > 0},
        {"loader_waiting", loader->waiting, loader->threads > 0},
        {"peak_bytes", loader->peak_bytes, loader->threads > 0},
        {"read_bytes", figures->read_bytes, figures->read_s > 0},
        {"read_seconds", figures->read_s, figures->read_s > 0},
    };
    cJSON *root = cJSON_CreateObject();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].known)
            cJSON_AddNumberToObject(root, rows[i].name, rows[i].value);
    char *text = cJSON_Print(root);
    printf("%s\n", text);
    cJSON_free(text);
    cJSON_Delete(root);
}

static void print(const struct request *request, const struct figures *figures)
{
    if (request->json)
        print_json(request, figures);
    else if (request->read_only)
        printf("an epoch of %.0f bytes in %.2f s: %.3f GB/s\n", figures->read_bytes, figures->read_s,
               figures->read_bytes / figures->read_s / 1e9);
    else {
        if (figures->parts.known)
            print_parts(&figures->parts);
        print_loader(request, figures);
    }
}

static enum status bench_data(int count, char **arguments)
{
    struct request request;
    struct config *config = NULL;
    struct plan *plan = NULL;
    struct figures figures;
    enum status status;
    TRY_GOTO(parse(count, arguments, &request), done);
    TRY_GOTO(command_read_config(request.config_count, arguments, &config), done);
    TRY_GOTO(plan_create_data(config, &plan), done);
    idle_settings_warn(plan, READER_BENCH);
    TRY_GOTO(measure(&request, plan, &figures), done);
    print(&request, &figures);
done:
    plan_destroy(plan);
    config_destroy(config);
    return status;
}

int command_bench(int count, char **arguments)
{
    if (count > 0 && strcmp(arguments[0], "data") == 0)
        return (int)bench_data(count - 1, arguments + 1);
    log_error("bench: what? There is: grapevine bench data CONFIG (operations, steps and exchanges: make bench)");
    return STATUS_USAGE;
}
