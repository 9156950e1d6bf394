/* grapevine pack SRC DST: photographs in class folders into a few large files; grapevine pack --verify DST. */
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/option_rules.h"
#include "app/progress_line.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/quantity.h"
#include "base/stopwatch.h"
#include "data/photo_pack.h"

static const double SHARD_MIB = 1024, QUALITY = 90;

static const char *const on_bad_words[] = {"skip", "stop", NULL};

struct request {
    struct photo_pack_params params;
    const char *verify; /* NULL: pack */
    double shard_mib, short_side, quality, threads;
    const char *on_bad;
};

/* What is shown, and since when. */
struct display {
    struct progress_line line;
    int phase; /* −1: none yet */
    const char *split;
    double start_s; /* of the phase */
};

/* --- arguments --- */

/* A name of a folder below DST. */
static bool is_split_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

static enum status refuse(const char *message)
{
    log_error("pack: %s", message);
    return STATUS_USAGE;
}

static enum status check_request(const struct request *request)
{
    const struct photo_pack_params *params = &request->params;
    if (request->verify != NULL)
        return params->source == NULL ? STATUS_OK : refuse("--verify takes DST alone: grapevine pack --verify DST");
    if (params->source == NULL || params->destination == NULL || *params->source == '\0' ||
        *params->destination == '\0')
        return refuse("two folders, from and to: grapevine pack SRC DST; grapevine pack --help");
    if (params->split != NULL && !is_split_name(params->split))
        return refuse("--split: give the name of a folder below DST, as train or val");
    if (params->synsets != NULL && params->labels == NULL)
        return refuse("--synsets goes with --labels");
    if (request->quality > 0 && params->short_side == 0)
        return refuse("--quality goes with --short-side: without it, pictures keep their bytes");
    return STATUS_OK;
}

static void list_options(struct option_list *list, struct request *request)
{
    struct photo_pack_params *params = &request->params;
    const struct option_rule rules[] = {
        {.name = "--labels",
         .value = "FILE",
         .kind = OPTION_TEXT,
         .word = &params->labels,
         .meaning =
             "labels of the photographs that lie in val itself (or in SRC, where it is one split): a class in each "
             "line, in the order of the sorted file names; or NAME CLASS or NAME NUMBER in each line, where the "
             "number counts the sorted classes from 0; or LOC_val_solution.csv as Kaggle has it (NAME,CLASS x y x "
             "y ...); or, with --synsets, a number in each line, in the order of the names"},
        {.name = "--synsets",
         .value = "FILE",
         .kind = OPTION_TEXT,
         .word = &params->synsets,
         .meaning = "the class of each number, from 1 on: the first word of a line"},
        {.name = "--split",
         .value = "NAME",
         .kind = OPTION_TEXT,
         .word = &params->split,
         .meaning = "SRC is this one split; default train, where SRC has neither train nor val"},
        {.name = "--short-side",
         .kind = OPTION_WHOLE,
         .least = 1,
         .most = 65500,
         .number = &request->short_side,
         .meaning =
             "bring the shorter side down to N pixels, where it is longer, and write the image anew; default: the "
             "files' bytes as they are"},
        {.name = "--quality",
         .kind = OPTION_WHOLE,
         .least = 1,
         .most = 100,
         .number = &request->quality,
         .meaning = "of what is written anew, default 90"},
        {.name = "--shard-mib",
         .kind = OPTION_WHOLE,
         .least = 1,
         .most = 1 << 20,
         .number = &request->shard_mib,
         .meaning = "photographs of so many MiB in a shard, default 1024"},
        {.name = "--on-bad",
         .value = "WHAT",
         .kind = OPTION_WORD,
         .words = on_bad_words,
         .word = &request->on_bad,
         .meaning =
             "skip (default): files that are no sound photographs are left out, and listed in report.tsv; stop: the "
             "first one ends the command"},
        {.name = "--threads",
         .kind = OPTION_WHOLE,
         .least = 1,
         .most = PHOTO_PACK_THREADS_MAX,
         .number = &request->threads,
         .meaning = "default: the cores that this process may use"},
        {.name = "--force", .kind = OPTION_FLAG, .flag = &params->force, .meaning = "begin anew, whatever DST has"},
        {.name = "--verify",
         .value = "DST",
         .kind = OPTION_TEXT,
         .word = &request->verify,
         .meaning = "read a pack, and compare it with its checksums"},
    };
    *list = (struct option_list){.command = "pack"};
    option_list_add(list, rules, sizeof rules / sizeof rules[0]);
}

void command_pack_help(FILE *out)
{
    static const struct option_manual manual = {
        .usage = "grapevine pack SRC DST [options]     pack the photographs in SRC into a few large files in DST\n"
                 "grapevine pack --verify DST          read a pack, and compare it with its checksums\n",
        .about =
            "SRC has folders train and val (one may be missing), or is one split itself. A split has a folder for "
            "each\n"
            "class with the images (.jpg, .png, .webp) in it, or, with --labels, all of them together. The classes of\n"
            "val are those of train. In DST each split gets shard-00000.bin, ..., index.bin and report.tsv, and "
            "stands\n"
            "for the split in SRC. A pack that was ended goes on when it is given again.\n",
        .examples = "    grapevine pack /raw/imagenet \"$GRAPEVINE_DATA/imagenet\" --short-side 256\n"
                    "    grapevine pack --verify \"$GRAPEVINE_DATA/imagenet\"\n",
    };
    struct request request = {0};
    struct option_list list;
    list_options(&list, &request);
    option_list_describe(&list, &manual, out);
}

static enum status parse(int count, char **arguments, struct request *request)
{
    struct photo_pack_params *params = &request->params;
    struct option_list list;
    *request = (struct request){.shard_mib = SHARD_MIB, .threads = machine_cores(), .on_bad = on_bad_words[0]};
    list_options(&list, request);
    for (int i = 0; i < count; i++) {
        if (arguments[i][0] != '-' && params->source == NULL)
            params->source = arguments[i];
        else if (arguments[i][0] != '-' && params->destination == NULL)
            params->destination = arguments[i];
        else
            TRY(option_list_take(&list, count, arguments, &i));
    }
    params->shard_bytes = (uint64_t)request->shard_mib << 20;
    params->short_side = (int)request->short_side;
    params->quality = (int)(request->quality > 0 ? request->quality : QUALITY);
    params->stop_on_bad = strcmp(request->on_bad, "stop") == 0;
    params->threads = (int)request->threads;
    return check_request(request);
}

/* --- what is shown --- */

/* "[====      ] 42 %  train: 538000 of 1281167 pictures, 812/s, 91.2 MB/s, 3 left out, 12 min 05 s left" */
static void format_work(const struct display *display, const struct photo_pack_progress *progress, double now_s,
                        char *text, size_t room)
{
    static const char *const damage_words[] = {"left out", "damaged"};
    double share = progress->bytes_count > 0 ? (double)progress->bytes_done / (double)progress->bytes_count : 1;
    double elapsed_s = now_s - display->start_s;
    double bytes_per_second = elapsed_s > 0 ? (double)(progress->bytes_done - progress->bytes_before) / elapsed_s : 0;
    double per_second = elapsed_s > 0 ? (double)(progress->done - progress->done_before) / elapsed_s : 0;
    char bar[64], left[32] = "";
    if (bytes_per_second > 0)
        quantity_duration(left, (double)(progress->bytes_count - progress->bytes_done) / bytes_per_second);
    snprintf(text, room, "%s%3.0f %%  %s: %zu of %zu pictures, %.0f/s, %.1f MB/s, %zu %s%s%s%s",
             progress_line_bar(&display->line, share, bar), 100 * share, progress->split, progress->done,
             progress->count, per_second, bytes_per_second / 1e6, progress->left_out,
             damage_words[progress->phase == PHOTO_PACK_VERIFYING], left[0] != '\0' ? ", " : "", left,
             left[0] != '\0' ? " left" : "");
}

static void show_progress(void *context, const struct photo_pack_progress *progress)
{
    struct display *display = context;
    double now_s = stopwatch_now();
    if (display->phase != (int)progress->phase || display->split != progress->split) {
        display->phase = (int)progress->phase;
        display->split = progress->split;
        display->start_s = now_s;
    }
    if (!progress_line_due(&display->line, now_s))
        return;
    char text[256];
    if (progress->phase == PHOTO_PACK_LISTING)
        snprintf(text, sizeof text, "%s: listing files, sizes of %zu of %zu", progress->split, progress->done,
                 progress->count);
    else
        format_work(display, progress, now_s, text, sizeof text);
    progress_line_show(&display->line, now_s, text);
}

static void show_split(void *context, const struct photo_pack_split *split)
{
    struct display *display = context;
    char bytes[32];
    progress_line_end(&display->line);
    printf("%s: %s%zu pictures of %d classes, %s in %u shard%s", split->split,
           split->was_complete ? "complete already: " : "", split->count, split->class_count,
           quantity_bytes(bytes, (double)split->bytes), split->shard_count, split->shard_count == 1 ? "" : "s");
    if (display->phase == PHOTO_PACK_VERIFYING)
        printf(split->left_out == 0 ? ", all as packed\n" : ", %zu damaged\n", split->left_out);
    else if (split->left_out == 0)
        printf(", nothing left out\n");
    else
        printf(", %zu left out: see %s/report.tsv\n", split->left_out, split->folder);
    fflush(stdout);
}

static void show_damage(void *context, const char *text)
{
    struct display *display = context;
    progress_line_end(&display->line);
    fputs("damaged: ", stdout);
    for (; *text != '\0'; text++) /* a picture's name may hold anything: it breaks no line and commands no terminal */
        putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
    putchar('\n');
}

int command_pack(int count, char **arguments)
{
    struct request request;
    TRY(parse(count, arguments, &request));
    struct display display = {
        .line = {.out = stdout, .columns = progress_line_columns(), .shown = true, .shown_s = stopwatch_now()},
        .phase = request.verify != NULL ? PHOTO_PACK_VERIFYING : -1};
    struct photo_pack_observer observer = {
        .progress = show_progress, .split = show_split, .damage = show_damage, .context = &display};
    enum status status =
        request.verify != NULL ? photo_verify(request.verify, &observer) : photo_pack(&request.params, &observer);
    progress_line_end(&display.line);
    return (int)status;
}
