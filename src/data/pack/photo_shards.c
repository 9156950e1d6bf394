/* A pack's split while it is made. */
#include "data/pack/photo_shards.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

static const char elsewhere[] = "DST (what is complete stays: the same command goes on with it)";

/* --- what lies in the folder --- */

static char *part_path(const char *folder, uint32_t shard, const char *ending)
{
    return text_format("%s/shard-%05" PRIu32 ".%s", folder, shard, ending);
}

static char *file_in(const char *folder, const char *name)
{
    return text_format("%s/%s", folder, name);
}

/* "shard-00003.bin" and the like: the length of "shard-00003", 0 for other names. */
static size_t shard_stem(const char *name)
{
    size_t prefix = strlen("shard-"), digits;
    if (strncmp(name, "shard-", prefix) != 0)
        return 0;
    digits = strspn(name + prefix, "0123456789");
    return digits >= 5 && name[prefix + digits] == '.' ? prefix + digits : 0;
}

/* The ending of a name of ours after its stem: "bin", "idx.part-123", ... NULL: not ours. */
static const char *own_ending(const char *name)
{
    size_t stem = shard_stem(name);
    if (stem > 0)
        return name + stem + 1;
    if (strncmp(name, "index.bin", 9) == 0)
        return name + 6;
    return strncmp(name, "report.tsv", 10) == 0 ? name + 7 : NULL;
}

static bool is_own_file(const char *name)
{
    const char *ending = own_ending(name);
    return ending != NULL && (strcmp(ending, "bin") == 0 || strcmp(ending, "idx") == 0 || strcmp(ending, "tsv") == 0);
}

static bool is_own_temporary(const char *name)
{
    const char *ending = own_ending(name);
    return ending != NULL && (strncmp(ending, "bin.part-", 9) == 0 || strncmp(ending, "idx.part-", 9) == 0 ||
                              strncmp(ending, "tsv.part-", 9) == 0);
}

static bool is_part_list(const char *name)
{
    const char *ending = own_ending(name);
    return shard_stem(name) > 0 && (strcmp(ending, "idx") == 0 || strcmp(ending, "tsv") == 0);
}

static enum status remove_files(const char *folder, bool (*chosen)(const char *name))
{
    DIR *stream = opendir(folder);
    if (stream == NULL) {
        atomic_file_complain(LOG_ERROR, folder, errno, elsewhere);
        return STATUS_MACHINE;
    }
    enum status status = STATUS_OK;
    for (struct dirent *entry; status == STATUS_OK && (entry = readdir(stream)) != NULL;)
        if (chosen(entry->d_name) && unlinkat(dirfd(stream), entry->d_name, 0) != 0) {
            log_error("%s/%s: cannot be removed: %s; remove it by hand", folder, entry->d_name, strerror(errno));
            status = STATUS_MACHINE;
        }
    closedir(stream);
    return status;
}

/* The index goes first: without it nothing that is left passes for a whole pack. */
static enum status remove_all(const char *folder)
{
    char *index = file_in(folder, "index.bin");
    bool failed = unlink(index) != 0 && errno != ENOENT;
    if (failed)
        log_error("%s: cannot be removed: %s; remove it by hand", index, strerror(errno));
    free(index);
    return failed ? STATUS_MACHINE : remove_files(folder, is_own_file);
}

/* --- which shards are complete --- */

static bool has_size(const char *folder, uint32_t shard, uint64_t bytes)
{
    struct stat about;
    char *path = photo_shard_path(folder, shard);
    bool fits = stat(path, &about) == 0 && S_ISREG(about.st_mode) && (uint64_t)about.st_size == bytes;
    free(path);
    return fits;
}

static void add_options(struct text *text, const struct photo_origin *origin)
{
    text_add(text, "--shard-mib %" PRIu64, origin->shard_bytes >> 20);
    if (origin->short_side > 0)
        text_add(text, " --short-side %" PRIu32 " --quality %" PRIu32, origin->short_side, origin->quality);
}

static bool same_options(const struct photo_origin *a, const struct photo_origin *b)
{
    return a->shard_bytes == b->shard_bytes && a->short_side == b->short_side && a->quality == b->quality;
}

static enum status expect_same(const char *path, const struct photo_origin *there, const struct photo_origin *asked)
{
    if (same_options(there, asked) && there->list == asked->list)
        return STATUS_OK;
    struct text before = {0}, now = {0};
    add_options(&before, there);
    add_options(&now, asked);
    if (!same_options(there, asked))
        log_error("%s: packed with %s, and now %s is asked for; give those options, another DST, or --force to begin "
                  "anew",
                  path, text_view(&before), text_view(&now));
    else
        log_error("%s: packed from other files or labels (names, classes and sizes are compared); give another DST, or "
                  "--force to begin anew",
                  path);
    text_release(&before);
    text_release(&now);
    return STATUS_DATA;
}

/* The photographs first … last − 1 of `from` as a list of their own, with one shard. */
static void take_part(const struct photo_index *from, size_t first, size_t last, uint64_t bytes,
                      struct photo_builder *part)
{
    photo_builder_copy_classes(part, from);
    for (size_t i = first; i < last; i++) {
        struct photo photo = from->photos[i], *here = photo_builder_add(part, NULL, photo_name(from, i));
        photo.name = here->name;
        photo.shard = 0;
        *here = photo;
    }
    part->index.packed = true;
    part->index.shard_count = 1;
    part->index.shard_bytes = memory_zalloc(1, sizeof *part->index.shard_bytes);
    part->index.shard_bytes[0] = bytes;
}

/* From index.bin: the lists of the shards that have their size. */
static void split_index(const struct photo_index *whole, struct photo_shards *shards)
{
    size_t first = 0;
    shards->complete = true;
    for (uint32_t s = 0; s < whole->shard_count; s++) {
        size_t last = first;
        while (last < whole->count && whole->photos[last].shard == s)
            last++;
        if (has_size(shards->folder, s, whole->shard_bytes[s])) {
            struct photo_builder part = {0};
            take_part(whole, first, last, whole->shard_bytes[s], &part);
            shards->parts[s] = part.index;
        } else {
            shards->complete = false;
        }
        first = last;
    }
}

static enum status look_at_index(const char *path, struct photo_shards *shards)
{
    struct photo_index whole;
    struct photo_origin origin;
    char *report = file_in(shards->folder, "report.tsv");
    enum status status = photo_index_read(path, &whole, &origin);
    if (status == STATUS_OK) {
        status = expect_same(path, &origin, &shards->source->origin);
        if (status == STATUS_OK && whole.shard_count != shards->source->shard_count) {
            log_error("%s: %" PRIu32 " shards, expected %" PRIu32 "; begin anew with --force", path, whole.shard_count,
                      shards->source->shard_count);
            status = STATUS_DATA;
        }
        if (status == STATUS_OK) {
            split_index(&whole, shards);
            status = photo_report_read(&shards->left_out, report);
        }
        photo_index_release(&whole);
    }
    free(report);
    return status;
}

static enum status take_list(struct photo_shards *shards, uint32_t shard, const char *path, const char *report)
{
    struct photo_index part;
    struct photo_origin origin;
    TRY(photo_index_read(path, &part, &origin));
    enum status status = expect_same(path, &origin, &shards->source->origin);
    if (status == STATUS_OK && part.shard_count == 1 && has_size(shards->folder, shard, part.shard_bytes[0])) {
        shards->parts[shard] = part;
        return photo_report_read(&shards->left_out, report);
    }
    photo_index_release(&part);
    return status;
}

/* A shard with lists of its own is complete where it has the size that they say. */
static enum status look_at_part(struct photo_shards *shards, uint32_t shard)
{
    enum status status = STATUS_OK;
    char *path = part_path(shards->folder, shard, "idx"), *report = part_path(shards->folder, shard, "tsv");
    if (access(path, F_OK) == 0)
        status = take_list(shards, shard, path, report);
    free(path);
    free(report);
    return status;
}

/* A shard that has neither index.bin nor a list of its own is not of a pack that was ended. */
static enum status expect_no_foreign_shard(const struct photo_shards *shards)
{
    for (uint32_t s = 0; s < shards->source->shard_count; s++) {
        char *shard = photo_shard_path(shards->folder, s), *list = part_path(shards->folder, s, "idx");
        bool foreign = access(shard, F_OK) == 0 && access(list, F_OK) != 0;
        if (foreign)
            log_error("%s: a shard without index.bin and without a list of its own; give another DST, or --force to "
                      "begin anew",
                      shard);
        free(shard);
        free(list);
        if (foreign)
            return STATUS_DATA;
    }
    return STATUS_OK;
}

static enum status look_at_parts(struct photo_shards *shards)
{
    TRY(expect_no_foreign_shard(shards));
    for (uint32_t s = 0; s < shards->source->shard_count; s++)
        TRY(look_at_part(shards, s));
    return STATUS_OK;
}

static enum status look(struct photo_shards *shards, bool force)
{
    TRY(remove_files(shards->folder, is_own_temporary));
    if (force)
        return remove_all(shards->folder);
    char *path = file_in(shards->folder, "index.bin");
    enum status status = access(path, F_OK) == 0 ? look_at_index(path, shards) : look_at_parts(shards);
    free(path);
    return status;
}

enum status photo_shards_open(const char *folder, const struct photo_source *source, bool force,
                              struct photo_shards *out)
{
    struct photo_shards shards = {.folder = memory_copy_text(folder), .source = source};
    shards.parts = memory_zalloc(source->shard_count, sizeof *shards.parts);
    enum status status = STATUS_OK;
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        atomic_file_complain(LOG_ERROR, folder, errno, elsewhere);
        status = STATUS_MACHINE;
    }
    if (status == STATUS_OK)
        status = look(&shards, force);
    if (status != STATUS_OK) {
        photo_shards_release(&shards);
        return status;
    }
    *out = shards;
    return STATUS_OK;
}

void photo_shards_release(struct photo_shards *shards)
{
    for (uint32_t s = 0; shards->parts != NULL && s < shards->source->shard_count; s++)
        photo_index_release(&shards->parts[s]);
    atomic_file_abandon(&shards->file);
    photo_index_release(&shards->builder.index);
    photo_report_release(&shards->left_out);
    photo_report_release(&shards->left_out_here);
    free(shards->parts);
    free(shards->folder);
    *shards = (struct photo_shards){0};
}

bool photo_shards_has(const struct photo_shards *shards, uint32_t shard)
{
    return shards->parts[shard].shard_count > 0;
}

/* --- writing one --- */

/* What is there of a shard that is not complete goes before it is written anew: its list must not come to stand beside
 * an older shard. */
static enum status remove_shard(const char *folder, uint32_t shard)
{
    static const char *const endings[] = {"bin", "idx", "tsv"};
    enum status status = STATUS_OK;
    for (size_t k = 0; k < sizeof endings / sizeof endings[0]; k++) {
        char *path = part_path(folder, shard, endings[k]);
        if (unlink(path) != 0 && errno != ENOENT) {
            log_error("%s: cannot be removed: %s; remove it by hand", path, strerror(errno));
            status = STATUS_MACHINE;
        }
        free(path);
    }
    return status;
}

enum status photo_shards_begin(struct photo_shards *shards, uint32_t shard)
{
    TRY(remove_shard(shards->folder, shard));
    struct photo_builder *builder = &shards->builder;
    *builder = (struct photo_builder){0};
    photo_builder_copy_classes(builder, &shards->source->list);
    builder->index.packed = true;
    builder->index.shard_count = 1;
    builder->index.shard_bytes = memory_zalloc(1, sizeof *builder->index.shard_bytes);
    shards->shard = shard;
    char *path = photo_shard_path(shards->folder, shard);
    enum status status = atomic_file_open(&shards->file, path, LOG_ERROR, elsewhere);
    free(path);
    return status;
}

/* Have the disk begin with what was written, so that little is left to wait for at the shard's end. */
static void push_to_disk(struct photo_shards *shards, uint64_t before, uint64_t after)
{
    const uint64_t step = (uint64_t)32 << 20;
    if (before / step != after / step)
        sync_file_range(fileno(shards->file.stream), (off_t)(before / step * step), (off_t)step, SYNC_FILE_RANGE_WRITE);
}

enum status photo_shards_add(struct photo_shards *shards, size_t photo, const struct photo_checked *checked)
{
    const struct photo_index *list = &shards->source->list;
    if (checked->bytes == NULL) {
        photo_report_add(&shards->left_out_here, photo_name(list, photo), checked->reason);
        return STATUS_OK;
    }
    uint64_t *end = &shards->builder.index.shard_bytes[0], before = *end;
    struct photo *packed = photo_builder_add(&shards->builder, NULL, photo_name(list, photo));
    packed->offset = before;
    packed->size = checked->size;
    packed->checksum = checked->checksum;
    packed->label = list->photos[photo].label;
    packed->width = checked->width;
    packed->height = checked->height;
    *end += checked->size;
    if (fwrite(checked->bytes, 1, checked->size, shards->file.stream) != checked->size)
        return atomic_file_commit(&shards->file); /* tells why, and leaves nothing */
    push_to_disk(shards, before, *end);
    return STATUS_OK;
}

enum status photo_shards_end(struct photo_shards *shards)
{
    char *list = part_path(shards->folder, shards->shard, "idx");
    char *report = part_path(shards->folder, shards->shard, "tsv");
    enum status status;
    TRY_GOTO(photo_report_write(&shards->left_out_here, report, elsewhere), free_names);
    TRY_GOTO(photo_index_write(list, &shards->builder.index, &shards->source->origin, elsewhere), free_names);
    TRY_GOTO(atomic_file_commit(&shards->file), free_names);
    photo_report_add_all(&shards->left_out, &shards->left_out_here);
    photo_report_release(&shards->left_out_here);
    shards->parts[shards->shard] = shards->builder.index;
    shards->builder = (struct photo_builder){0};
free_names:
    free(list);
    free(report);
    return status;
}

/* --- the end --- */

static void join_parts(const struct photo_shards *shards, struct photo_index *out)
{
    struct photo_builder builder = {0};
    uint32_t count = shards->source->shard_count;
    uint64_t *bytes = memory_zalloc(count, sizeof *bytes);
    photo_builder_copy_classes(&builder, &shards->source->list);
    for (uint32_t s = 0; s < count; s++) {
        const struct photo_index *part = &shards->parts[s];
        bytes[s] = part->shard_bytes[0];
        for (size_t i = 0; i < part->count; i++) {
            struct photo photo = part->photos[i], *here = photo_builder_add(&builder, NULL, photo_name(part, i));
            photo.name = here->name;
            photo.shard = s;
            *here = photo;
        }
    }
    *out = builder.index;
    out->folder = memory_copy_text(shards->folder);
    out->packed = true;
    out->shard_count = count;
    out->shard_bytes = bytes;
}

static enum status write_lists(struct photo_shards *shards, const struct photo_index *index)
{
    char *report = file_in(shards->folder, "report.tsv"), *path = file_in(shards->folder, "index.bin");
    photo_report_add_all(&shards->left_out, &shards->source->foreign);
    enum status status = photo_report_write(&shards->left_out, report, elsewhere);
    if (status == STATUS_OK && index->count == 0) {
        log_error("%s: none of its %zu files is a photograph; %s says why", shards->source->list.folder,
                  shards->source->list.count, report);
        status = STATUS_DATA;
    }
    if (status == STATUS_OK)
        status = photo_index_write(path, index, &shards->source->origin, elsewhere);
    free(report);
    free(path);
    return status;
}

enum status photo_shards_finish(struct photo_shards *shards, struct photo_index *index)
{
    struct photo_index joined;
    join_parts(shards, &joined);
    enum status status = shards->complete ? STATUS_OK : write_lists(shards, &joined);
    if (status == STATUS_OK)
        status = remove_files(shards->folder, is_part_list);
    if (status != STATUS_OK) {
        photo_index_release(&joined);
        return status;
    }
    shards->complete = true;
    *index = joined;
    return STATUS_OK;
}
