/* Photographs packed: the splits one after the other, each shard by shard. */
#include "data/photo_pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/photos/photo_layout.h"
#include "data/pack/photo_crew.h"
#include "data/pack/photo_lock.h"
#include "data/pack/photo_shards.h"
#include "data/pack/photo_source.h"

enum { SPLITS_MAX = 2 };

struct split {
    char *name;                 /* owned */
    char *folder, *destination; /* owned */
    const char *labels;         /* borrowed, or NULL */
    struct photo_source source; /* once opened */
};

struct pack {
    const struct photo_pack_params *params;
    const struct photo_pack_observer *observer;
    struct split splits[SPLITS_MAX];
    size_t split_count;
    struct photo_index trained; /* the classes of a training split that was packed before, or {0} */
    struct photo_pack_progress progress;
};

static void tell_progress(struct pack *pack)
{
    if (pack->observer->progress != NULL)
        pack->observer->progress(pack->observer->context, &pack->progress);
}

/* --- which splits there are --- */

static void add_split(struct pack *pack, const char *name, const char *folder, const char *labels)
{
    pack->splits[pack->split_count++] =
        (struct split){.name = memory_copy_text(name),
                       .folder = memory_copy_text(folder),
                       .destination = text_format("%s/%s", pack->params->destination, name),
                       .labels = labels};
}

static bool is_folder(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

static bool add_split_if_there(struct pack *pack, const char *name, const char *labels)
{
    char *folder = text_format("%s/%s", pack->params->source, name);
    bool there = is_folder(folder);
    if (there)
        add_split(pack, name, folder, labels);
    free(folder);
    return there;
}

static enum status find_splits(struct pack *pack)
{
    const struct photo_pack_params *params = pack->params;
    if (!is_folder(params->source)) {
        log_error("%s: no folder; photographs are looked for in %s/train and %s/val, or in the folder itself",
                  params->source, params->source, params->source);
        return STATUS_DATA;
    }
    if (params->split == NULL) {
        bool training = add_split_if_there(pack, "train", NULL), tests = false;
        for (int k = 0; k < PHOTO_TEST_FOLDERS && !tests; k++)
            tests = (training || k == 0) && add_split_if_there(pack, photo_test_folders[k], params->labels);
    }
    if (pack->split_count == 0)
        add_split(pack, params->split != NULL ? params->split : "train", params->source, params->labels);
    if (params->labels != NULL && pack->splits[pack->split_count - 1].labels == NULL) {
        log_error("%s: no folder val in it, which is what the labels in %s are for", params->source, params->labels);
        return STATUS_DATA;
    }
    return STATUS_OK;
}

/* --- where they go --- */

/* `path`, or the folder above it that is the first to exist; owned by the caller. */
static char *existing_part(const char *path)
{
    struct stat about;
    char *at = memory_copy_text(path);
    while (stat(at, &about) != 0) {
        char *slash = strrchr(at, '/');
        if (slash == NULL || slash == at) {
            free(at);
            return memory_copy_text(slash == NULL ? "." : "/");
        }
        *slash = '\0';
    }
    return at;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The folder `path`, or what of it exists, is `folder` or lies below it. Links are followed. */
static bool lies_in(const char *path, const char *folder)
{
    struct stat wanted, here, above;
    char *at = existing_part(path);
    bool known = stat(folder, &wanted) == 0 && stat(at, &here) == 0, found = false, top = !known;
    while (!top) {
        char *parent = text_format("%s/..", at);
        found = same_file(&here, &wanted);
        top = found || stat(parent, &above) != 0 || same_file(&above, &here);
        here = above;
        free(at);
        at = parent;
    }
    free(at);
    return found;
}

static enum status expect_outside(const struct pack *pack)
{
    for (size_t k = 0; k < pack->split_count; k++) {
        const struct split *split = &pack->splits[k];
        if (lies_in(split->destination, split->folder)) {
            log_error("%s: lies in %s, whose photographs are to be packed; give a DST outside of it",
                      split->destination, split->folder);
            return STATUS_DATA;
        }
    }
    return STATUS_OK;
}

/* errno of the failure, 0 if there was none. */
static int make_with_parents(const char *path)
{
    char *part = memory_copy_text(path), *at = part;
    int reason = 0;
    while (reason == 0 && *at != '\0') {
        at += strcspn(at + 1, "/") + 1;
        char end = *at;
        *at = '\0';
        if (mkdir(part, 0777) != 0 && !is_folder(part))
            reason = errno;
        *at = end;
    }
    free(part);
    return reason;
}

/* --- what they are made of --- */

static void report_listing(void *context, size_t done, size_t count)
{
    struct pack *pack = context;
    pack->progress.done = done;
    pack->progress.count = count;
    tell_progress(pack);
}

/* Classes are those of the training split: of this pack, or of one in the same place. */
static enum status find_classes(struct pack *pack, const struct split *split, const struct photo_index **out)
{
    *out = NULL;
    if (strcmp(split->name, "train") == 0)
        return STATUS_OK;
    if (split != &pack->splits[0]) {
        *out = &pack->splits[0].source.list;
        return STATUS_OK;
    }
    struct photo_origin origin;
    enum status status = STATUS_OK;
    char *path = text_format("%s/train/index.bin", pack->params->destination);
    if (access(path, F_OK) == 0)
        status = photo_index_read(path, &pack->trained, &origin);
    if (status == STATUS_OK && pack->trained.class_count > 0)
        *out = &pack->trained;
    free(path);
    return status;
}

static enum status open_source(struct pack *pack, struct split *split)
{
    const struct photo_pack_params *params = pack->params;
    struct photo_source_params source = {.folder = split->folder,
                                         .labels = split->labels,
                                         .synsets = split->labels != NULL ? params->synsets : NULL,
                                         .shard_bytes = params->shard_bytes,
                                         .short_side = (uint32_t)params->short_side,
                                         .quality = params->short_side > 0 ? (uint32_t)params->quality : 0,
                                         .threads = params->threads,
                                         .progress = report_listing,
                                         .context = pack};
    pack->progress = (struct photo_pack_progress){.phase = PHOTO_PACK_LISTING, .split = split->name};
    tell_progress(pack);
    TRY(find_classes(pack, split, &source.classes));
    return photo_source_open(&source, &split->source);
}

/* --- one split --- */

static enum status refuse_bad(const struct split *split, const char *name, const char *reason)
{
    log_error("%s/%s: %s; mend it or take it away, or have such files left out with --on-bad skip", split->folder, name,
              reason);
    return STATUS_DATA;
}

/* With --on-bad stop: what is known to be left out, before anything is read. */
static enum status expect_nothing_left_out(const struct split *split, const struct photo_report *report)
{
    if (report->count == 0)
        return STATUS_OK;
    const char *line = report->lines[0], *tab = strchr(line, '\t');
    char *name = text_format("%.*s", (int)(tab != NULL ? tab - line : 0), line);
    enum status status = refuse_bad(split, name, tab != NULL ? tab + 1 : line);
    free(name);
    return status;
}

static enum status pack_photo(struct pack *pack, const struct split *split, struct photo_shards *shards, size_t photo,
                              struct photo_crew *crew)
{
    struct photo_checked checked;
    const char *name = photo_name(&split->source.list, photo);
    photo_crew_next(crew, &checked);
    if (checked.status != STATUS_OK) {
        log_error("%s/%s: %s; what is complete stays: see to it, and give the same command again", split->folder, name,
                  checked.reason);
        return checked.status;
    }
    if (checked.bytes == NULL && pack->params->stop_on_bad)
        return refuse_bad(split, name, checked.reason);
    enum status status = photo_shards_add(shards, photo, &checked);
    pack->progress.done++;
    pack->progress.left_out += checked.bytes == NULL;
    pack->progress.bytes_done += split->source.list.photos[photo].size;
    free(checked.bytes);
    tell_progress(pack);
    return status;
}

static enum status pack_shard(struct pack *pack, const struct split *split, struct photo_shards *shards, uint32_t shard,
                              struct photo_crew *crew)
{
    const struct photo_source *source = &split->source;
    TRY(photo_shards_begin(shards, shard));
    for (size_t k = source->first[shard]; k < source->first[shard + 1]; k++)
        TRY(pack_photo(pack, split, shards, source->order[k], crew));
    return photo_shards_end(shards);
}

/* The photographs of all shards that are still to be made, in their order: (*count), owned by the caller. */
static uint32_t *list_work(struct pack *pack, const struct photo_source *source, const struct photo_shards *shards,
                           size_t *count)
{
    uint32_t *work = memory_zalloc(source->list.count, sizeof *work);
    size_t filled = 0;
    for (uint32_t s = 0; s < source->shard_count; s++) {
        size_t first = source->first[s], photos = source->first[s + 1] - first;
        if (photo_shards_has(shards, s)) {
            pack->progress.done_before += photos;
            pack->progress.bytes_before += photo_source_shard_bytes(source, s);
            continue;
        }
        memcpy(work + filled, source->order + first, photos * sizeof *work);
        filled += photos;
    }
    pack->progress.done = pack->progress.done_before;
    pack->progress.bytes_done = pack->progress.bytes_before;
    *count = filled;
    return work;
}

static enum status write_shards(struct pack *pack, const struct split *split, struct photo_shards *shards)
{
    const struct photo_source *source = &split->source;
    struct photo_crew *crew = NULL;
    pack->progress = (struct photo_pack_progress){.phase = PHOTO_PACK_WRITING,
                                                  .split = split->name,
                                                  .count = source->list.count,
                                                  .left_out = shards->left_out.count,
                                                  .bytes_count = source->bytes};
    struct photo_crew_params params = {.list = &source->list,
                                       .threads = pack->params->threads,
                                       .short_side = source->origin.short_side,
                                       .quality = source->origin.quality};
    uint32_t *work = list_work(pack, source, shards, &params.count);
    params.work = work;
    enum status status = STATUS_OK;
    if (params.count > 0)
        TRY_GOTO(photo_crew_start(&params, &crew), free_work);
    for (uint32_t s = 0; s < source->shard_count && status == STATUS_OK; s++)
        if (!photo_shards_has(shards, s))
            status = pack_shard(pack, split, shards, s, crew);
    photo_crew_stop(crew);
free_work:
    free(work);
    return status;
}

static void tell_split(const struct pack *pack, const struct split *split, const struct photo_index *index,
                       const struct photo_shards *shards, bool was_complete)
{
    struct photo_pack_split done = {.split = split->name,
                                    .folder = split->destination,
                                    .count = index->count,
                                    .left_out = shards->left_out.count,
                                    .class_count = index->class_count,
                                    .shard_count = index->shard_count,
                                    .was_complete = was_complete};
    for (uint32_t s = 0; s < index->shard_count; s++)
        done.bytes += index->shard_bytes[s];
    if (pack->observer->split != NULL)
        pack->observer->split(pack->observer->context, &done);
}

static enum status pack_split(struct pack *pack, const struct split *split)
{
    struct photo_shards shards;
    struct photo_index index;
    TRY(photo_shards_open(split->destination, &split->source, pack->params->force, &shards));
    bool was_complete = shards.complete;
    enum status status = STATUS_OK;
    if (pack->params->stop_on_bad)
        TRY_GOTO(expect_nothing_left_out(split, &shards.left_out), release);
    if (!was_complete)
        TRY_GOTO(write_shards(pack, split, &shards), release);
    TRY_GOTO(photo_shards_finish(&shards, &index), release);
    tell_split(pack, split, &index, &shards, was_complete);
    photo_index_release(&index);
release:
    photo_shards_release(&shards);
    return status;
}

/* --- all of them --- */

/* All lists before anything is written, and before hours of work. */
static enum status open_sources(struct pack *pack)
{
    for (size_t k = 0; k < pack->split_count; k++) {
        struct split *split = &pack->splits[k];
        TRY(open_source(pack, split));
        if (pack->params->stop_on_bad)
            TRY(expect_nothing_left_out(split, &split->source.foreign));
    }
    return STATUS_OK;
}

static enum status pack_splits(struct pack *pack)
{
    const char *destination = pack->params->destination;
    struct photo_lock lock;
    int reason = make_with_parents(destination);
    if (reason != 0) {
        atomic_file_complain(LOG_ERROR, destination, reason, "DST");
        return STATUS_MACHINE;
    }
    TRY(photo_lock_take(destination, &lock));
    enum status status = STATUS_OK;
    for (size_t k = 0; k < pack->split_count && status == STATUS_OK; k++)
        status = pack_split(pack, &pack->splits[k]);
    photo_lock_give(&lock);
    return status;
}

enum status photo_pack(const struct photo_pack_params *params, const struct photo_pack_observer *observer)
{
    struct pack pack = {.params = params, .observer = observer};
    enum status status = find_splits(&pack);
    if (status == STATUS_OK)
        status = expect_outside(&pack);
    if (status == STATUS_OK)
        status = open_sources(&pack);
    if (status == STATUS_OK)
        status = pack_splits(&pack);
    for (size_t k = 0; k < pack.split_count; k++) {
        photo_source_release(&pack.splits[k].source);
        free(pack.splits[k].name);
        free(pack.splits[k].folder);
        free(pack.splits[k].destination);
    }
    photo_index_release(&pack.trained);
    return status;
}
