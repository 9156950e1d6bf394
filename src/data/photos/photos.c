/* Photographs of any size, in class folders or in packed shards: read, decoded and resized when they are asked for.
 *
 * Whoever fetches borrows a reader (buffer and decoder) from the set's stock, so that as many threads as like may
 * fetch at once. A picture that cannot be read is named once; the next one of its class takes its place, so that the
 * label stays right, or the run ends (data.on_bad). Which one that is depends on the files alone. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/memory_set.h"
#include "data/photos/photo_blocks.h"
#include "data/photos/photo_index.h"
#include "data/photos/photo_layout.h"
#include "data/photos/photo_pixels.h"
#include "data/test_share.h"

enum {
    BAD_NAMED_MAX = 20,   /* messages about pictures that cannot be read */
    SUBSTITUTES_MAX = 64, /* pictures that are tried in place of one */
    TEST_NUMERATOR = 256, /* tests look at the middle 224 of a shorter side of 256, or the like at other sizes */
    TEST_DENOMINATOR = 224
};

struct photo_reader {
    struct photo_reader *next; /* in the stock */
    struct photo_maker *maker; /* owned */
    uint8_t *bytes;            /* owned (capacity) */
    size_t capacity;
    char trouble[256]; /* of reading; decoding has its own */
};

struct photo_set {
    struct dataset base; /* first, so that a dataset is a photo_set */
    struct photo_index index;
    char *note;       /* owned: base.note */
    uint32_t *places; /* owned (base.count): picture i is photograph places[i] of the index */
    int32_t *labels;  /* owned (base.count) */
    int *shards;      /* owned (index.shard_count): files that are open */
    struct photo_blocks blocks;
    bool augment, stops; /* stops: at the first picture that cannot be read */
    float factor[PHOTO_CHANNELS], shift[PHOTO_CHANNELS];
    atomic_uchar *bad; /* owned (base.count): named as unreadable */
    atomic_int bad_count;
    pthread_mutex_t mutex;
    struct photo_reader *stock; /* owned; guarded by mutex */
};

/* --- the stock of readers --- */

static struct photo_reader *borrow_reader(struct photo_set *set)
{
    pthread_mutex_lock(&set->mutex);
    struct photo_reader *reader = set->stock;
    if (reader != NULL)
        set->stock = reader->next;
    pthread_mutex_unlock(&set->mutex);
    if (reader == NULL) {
        reader = memory_zalloc(1, sizeof *reader);
        reader->maker = photo_maker_create();
    }
    return reader;
}

static void return_reader(struct photo_set *set, struct photo_reader *reader)
{
    pthread_mutex_lock(&set->mutex);
    reader->next = set->stock;
    set->stock = reader;
    pthread_mutex_unlock(&set->mutex);
}

static void release_readers(struct photo_set *set)
{
    for (struct photo_reader *reader = set->stock, *next; reader != NULL; reader = next) {
        next = reader->next;
        photo_maker_destroy(reader->maker);
        free(reader->bytes);
        free(reader);
    }
}

/* --- bytes --- */

static void make_room(struct photo_reader *reader, size_t bytes)
{
    if (bytes <= reader->capacity)
        return;
    free(reader->bytes);
    reader->capacity = bytes + bytes / 4;
    reader->bytes = memory_zalloc(reader->capacity, 1);
}

static bool read_bytes(struct photo_reader *reader, int file, uint64_t offset, size_t size)
{
    make_room(reader, size);
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(file, reader->bytes + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            snprintf(reader->trouble, sizeof reader->trouble, "cannot be read: %s",
                     got < 0 ? strerror(errno) : "the file has become shorter");
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

static bool read_file(struct photo_reader *reader, int file, size_t *size)
{
    struct stat about;
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) {
        snprintf(reader->trouble, sizeof reader->trouble, "is no regular file");
        return false;
    }
    if (about.st_size > PHOTO_BYTES_MAX) {
        snprintf(reader->trouble, sizeof reader->trouble, "has %lld bytes, more than a photograph may have (%d)",
                 (long long)about.st_size, PHOTO_BYTES_MAX);
        return false;
    }
    *size = (size_t)about.st_size;
    return read_bytes(reader, file, 0, *size);
}

static bool read_photo(const struct photo_set *set, struct photo_reader *reader, size_t place, size_t *size)
{
    const struct photo *photo = &set->index.photos[place];
    if (set->index.packed) {
        *size = photo->size;
        return read_bytes(reader, set->shards[photo->shard], photo->offset, photo->size);
    }
    char *path = text_format("%s/%s", set->index.folder, photo_name(&set->index, place));
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe has nothing to wait for */
    if (file < 0)
        snprintf(reader->trouble, sizeof reader->trouble, "cannot be opened: %s", strerror(errno));
    bool done = file >= 0 && read_file(reader, file, size);
    if (file >= 0)
        close(file);
    free(path);
    return done;
}

/* --- pictures --- */

static struct photo_view choose_view(const struct photo_set *set, const struct image_about *about, int size,
                                     struct random_stream *augment)
{
    if (augment != NULL && set->augment)
        return photo_view_random(augment, about->width, about->height, size);
    int short_side = (size * TEST_NUMERATOR + TEST_DENOMINATOR / 2) / TEST_DENOMINATOR;
    return photo_view_center(about->width, about->height, size, short_side);
}

/* NULL when `out` has the picture, else why not. */
static const char *make_picture(const struct photo_set *set, struct photo_reader *reader, size_t index, int size,
                                struct random_stream *augment, float *out)
{
    struct image_about about;
    size_t bytes;
    if (!read_photo(set, reader, set->places[index], &bytes))
        return reader->trouble;
    if (!photo_open(reader->maker, reader->bytes, bytes, &about))
        return photo_trouble(reader->maker);
    struct photo_view view = choose_view(set, &about, size, augment);
    return photo_render(reader->maker, &view, set->factor, set->shift, out) ? NULL : photo_trouble(reader->maker);
}

static void report_bad(struct photo_set *set, size_t index, const char *trouble)
{
    if (atomic_exchange(&set->bad[index], 1) != 0)
        return;
    int before = atomic_fetch_add(&set->bad_count, 1);
    enum log_level level = set->stops ? LOG_ERROR : LOG_WARNING;
    const char *name = photo_name(&set->index, set->places[index]);
    if (set->stops)
        log_on_this_rank(level, "%s/%s: %s; remove it, or set data.on_bad=skip", set->index.folder, name, trouble);
    else if (before < BAD_NAMED_MAX)
        log_on_this_rank(level,
                         "%s/%s: %s; another picture of its class takes its place (data.on_bad=stop ends the run)",
                         set->index.folder, name, trouble);
    else if (before == BAD_NAMED_MAX)
        log_on_this_rank(level, "%s: more than %d pictures cannot be read; the others are not named", set->index.folder,
                         BAD_NAMED_MAX);
}

/* The next picture of the same class; `index` itself if there is no other. */
static size_t next_of_class(const struct photo_set *set, size_t index)
{
    size_t other = index;
    do
        other = (other + 1) % set->base.count;
    while (set->labels[other] != set->labels[index]);
    return other;
}

/* What was found bad before is tried again: whether it is may depend on the crop, and the result may not depend on what
 * others have found. */
static enum status fetch_or_replace(struct photo_set *set, struct photo_reader *reader, size_t index, int size,
                                    const struct random_stream *augment, float *out)
{
    size_t other = index;
    for (int attempt = 0; attempt < SUBSTITUTES_MAX && (attempt == 0 || other != index); attempt++) {
        struct random_stream stream = augment != NULL ? *augment : (struct random_stream){0};
        const char *trouble = make_picture(set, reader, other, size, augment != NULL ? &stream : NULL, out);
        if (trouble == NULL)
            return STATUS_OK;
        report_bad(set, other, trouble);
        if (set->stops)
            return STATUS_DATA;
        other = next_of_class(set, other);
    }
    const char *class = set->base.class_names[set->labels[index]];
    if (other == index)
        log_on_this_rank(LOG_ERROR, "%s: no picture of class %s can be read", set->index.folder, class);
    else
        log_on_this_rank(LOG_ERROR, "%s: %d pictures of class %s, one after the other, cannot be read",
                         set->index.folder, SUBSTITUTES_MAX, class);
    return STATUS_DATA;
}

static enum status fetch_at(const struct dataset *base, size_t index, int size, struct random_stream *augment,
                            float *out)
{
    struct photo_set *set = (struct photo_set *)(uintptr_t)base; /* its stock and its marks change, nothing else does */
    assert(index < base->count && size > 0);
    struct photo_reader *reader = borrow_reader(set);
    enum status status = fetch_or_replace(set, reader, index, size, augment, out);
    return_reader(set, reader);
    return status;
}

static enum status fetch(const struct dataset *base, size_t index, struct random_stream *augment, float *out)
{
    return fetch_at(base, index, base->height, augment, out);
}

/* The view that has every pixel of the picture. */
static struct photo_view whole_view(const struct image_about *about)
{
    return (struct photo_view){.width = about->width,
                               .height = about->height,
                               .out_width = about->width,
                               .out_height = about->height,
                               .columns = about->width,
                               .rows = about->height,
                               .decoded = 1};
}

/* Bytes that the part has moved; 0: the picture cannot be read. */
static uint64_t make_part(const struct photo_set *set, struct photo_reader *reader, size_t index, int size,
                          enum dataset_part part, struct random_stream *augment, float *out)
{
    struct image_about about;
    size_t bytes;
    if (!read_photo(set, reader, set->places[index], &bytes))
        return 0;
    if (part == DATASET_READ)
        return bytes;
    if (!photo_open(reader->maker, reader->bytes, bytes, &about))
        return 0;
    struct photo_view view = part == DATASET_WHOLE ? whole_view(&about) : choose_view(set, &about, size, augment);
    if (part != DATASET_ALL)
        return photo_decode(reader->maker, &view);
    bool made = photo_render(reader->maker, &view, set->factor, set->shift, out);
    return made ? sizeof out[0] * PHOTO_CHANNELS * (uint64_t)size * (uint64_t)size : 0;
}

static enum status fetch_part(const struct dataset *base, size_t index, int size, enum dataset_part part,
                              struct random_stream *augment, float *out, uint64_t *bytes)
{
    struct photo_set *set = (struct photo_set *)(uintptr_t)base;
    assert(index < base->count && size > 0);
    struct photo_reader *reader = borrow_reader(set);
    uint64_t moved = make_part(set, reader, index, size, part, augment, out);
    return_reader(set, reader);
    if (bytes != NULL)
        *bytes = moved;
    return moved > 0 ? STATUS_OK : STATUS_DATA;
}

/* The system begins to read a file, and nobody waits for it. What cannot be opened is found by whoever wants it. */
static void bring_file(const struct photo_set *set, size_t index)
{
    char *path = text_format("%s/%s", set->index.folder, photo_name(&set->index, set->places[index]));
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file >= 0) {
        posix_fadvise(file, 0, 0, POSIX_FADV_WILLNEED);
        close(file);
    }
    free(path);
}

static void will_need(const struct dataset *base, const uint32_t *indices, size_t count)
{
    struct photo_set *set = (struct photo_set *)(uintptr_t)base;
    for (size_t i = 0; i < count; i++)
        if (set->index.packed)
            photo_blocks_bring(&set->blocks, indices[i], set->shards);
        else
            bring_file(set, indices[i]);
}

static uint64_t digest(const struct dataset *base, size_t index)
{
    struct photo_set *set = (struct photo_set *)(uintptr_t)base;
    assert(index < base->count);
    struct photo_reader *reader = borrow_reader(set);
    size_t bytes;
    bool there = read_photo(set, reader, set->places[index], &bytes);
    uint64_t found = there ? digest_bytes(0, reader->bytes, bytes) : 0;
    return_reader(set, reader);
    return found;
}

/* --- opening and closing --- */

static void destroy(struct dataset *base)
{
    struct photo_set *set = (struct photo_set *)base;
    for (uint32_t shard = 0; set->shards != NULL && shard < set->index.shard_count; shard++)
        if (set->shards[shard] >= 0)
            close(set->shards[shard]);
    release_readers(set);
    pthread_mutex_destroy(&set->mutex);
    photo_blocks_release(&set->blocks);
    photo_index_release(&set->index);
    free(set->note);
    free(set->places);
    free(set->labels);
    free(set->shards);
    free(set->bad);
    free(set);
}

static const char *file(const struct dataset *set, size_t index)
{
    const struct photo_set *photos = (const struct photo_set *)set;
    return photo_name(&photos->index, photos->places[index]);
}

static const struct dataset_ops photo_set_ops = {.fetch = fetch,
                                                 .fetch_at = fetch_at,
                                                 .fetch_part = fetch_part,
                                                 .will_need = will_need,
                                                 .file = file,
                                                 .digest = digest,
                                                 .destroy = destroy};

static enum status report_no_training(const struct photo_layout *layout)
{
    log_error("%s: photographs for tests are there (%s), but no folder train/, and no other is trained on",
              layout->root, layout->test);
    return STATUS_DATA;
}

/* The classes of a test split are those of the training split beside it; of one that is alone its own. */
static enum status open_index(const struct photo_layout *layout, bool train, struct photo_index *out)
{
    size_t foreign = 0;
    struct photo_index classes = {0};
    bool training = train || layout->test == NULL;
    const char *folder = training ? layout->training : layout->test;
    if (folder == NULL)
        return report_no_training(layout);
    if (!training && layout->training != NULL)
        TRY(photo_index_open(layout->training, NULL, NULL, &classes));
    enum status status = photo_index_open(folder, classes.class_count > 0 ? &classes : NULL, &foreign, out);
    if (status == STATUS_OK && foreign > 0)
        log_info("%s: %zu files that are no images by name (" IMAGE_ENDINGS_TEXT ") are not part of the set", folder,
                 foreign);
    photo_index_release(&classes);
    return status;
}

static enum status open_shards(struct photo_set *set)
{
    if (!set->index.packed)
        return STATUS_OK;
    set->shards = memory_zalloc(set->index.shard_count, sizeof set->shards[0]);
    memset(set->shards, -1, set->index.shard_count * sizeof set->shards[0]);
    for (uint32_t shard = 0; shard < set->index.shard_count; shard++) {
        char *path = photo_shard_path(set->index.folder, shard);
        set->shards[shard] = open(path, O_RDONLY | O_CLOEXEC);
        if (set->shards[shard] < 0)
            log_error("%s: cannot be opened: %s; pack the set anew (grapevine pack)", path, strerror(errno));
        free(path);
        if (set->shards[shard] < 0)
            return STATUS_DATA;
    }
    return STATUS_OK;
}

static uint64_t digest_name(const void *context, uint64_t seed, size_t i)
{
    const char *name = photo_name(context, i);
    return digest_bytes(seed, name, strlen(name));
}

/* All photographs, or those of one side of what is kept for tests: *places (*count), owned by the caller. */
static enum status list_places(const struct photo_index *index, const struct dataset_params *params, bool shared,
                               uint32_t **places, size_t *count)
{
    if (shared) {
        int32_t *labels = memory_zalloc(index->count, sizeof *labels);
        for (size_t i = 0; i < index->count; i++)
            labels[i] = index->photos[i].label;
        const struct test_share share = {.count = index->count,
                                         .class_count = index->class_count,
                                         .labels = labels,
                                         .digest = digest_name,
                                         .context = index,
                                         .where = index->folder};
        enum status status = test_share_choose(&share, params, places, count);
        free(labels);
        return status;
    }
    *count = index->count;
    *places = memory_zalloc(*count, sizeof **places);
    for (size_t i = 0; i < *count; i++)
        (*places)[i] = (uint32_t)i;
    return STATUS_OK;
}

/* All of them, or so many, evenly from the whole set: in folders they are sorted by class. */
static enum status choose_places(struct photo_set *set, const struct dataset_kind *kind,
                                 const struct dataset_params *params, bool shared)
{
    size_t available, count = 0;
    uint32_t *all;
    TRY(list_places(&set->index, params, shared, &all, &available));
    enum status status = memory_set_count(kind, params, available, &count);
    if (status == STATUS_OK) {
        set->base.count = count;
        set->places = memory_zalloc(count, sizeof set->places[0]);
        set->labels = memory_zalloc(count, sizeof set->labels[0]);
        set->bad = memory_zalloc(count, sizeof set->bad[0]);
    }
    for (size_t i = 0; i < count; i++) {
        set->places[i] = all[i * available / count];
        set->labels[i] = set->index.photos[set->places[i]].label;
    }
    free(all);
    return status;
}

static void write_note(struct photo_set *set, const struct photo_layout *layout, const struct dataset_params *params)
{
    set->base.is_share = layout->test == NULL;
    if (layout->test == NULL)
        set->note = test_share_note(params, layout->training);
    else if (layout->not_used != NULL)
        set->note = text_format("%s; %s/%s is not used", layout->test, layout->root, layout->not_used);
    set->base.note = set->note;
}

static enum status fill(struct photo_set *set, const struct dataset_kind *kind, const struct dataset_params *params,
                        const struct photo_layout *layout)
{
    TRY(open_index(layout, params->train, &set->index));
    TRY(choose_places(set, kind, params, layout->test == NULL));
    TRY(open_shards(set));
    write_note(set, layout, params);
    if (set->index.packed)
        photo_blocks_init(&set->blocks, &set->index, set->places, set->base.count, &params->shuffle);
    set->base.labels = set->labels;
    set->base.class_count = set->index.class_count;
    set->base.class_names = (const char *const *)set->index.class_names;
    if (set->blocks.shuffled) {
        set->base.block_ends = set->blocks.ends;
        set->base.block_count = set->blocks.count;
        set->base.pool = set->blocks.pool;
    }
    return STATUS_OK;
}

enum status photos_open(const struct dataset_kind *kind, const struct dataset_params *params, struct dataset **out)
{
    struct photo_layout layout;
    TRY(photo_layout_find(kind, params, &layout));
    struct photo_set *set = memory_zalloc(1, sizeof *set);
    int size = params->size > 0 ? params->size : kind->height;
    set->base = (struct dataset){.ops = &photo_set_ops, .channels = PHOTO_CHANNELS, .height = size, .width = size};
    set->augment = params->augment;
    set->stops = params->stops_at_bad;
    for (int c = 0; c < PHOTO_CHANNELS; c++) {
        set->factor[c] = (float)(1 / (255 * kind->deviation[c]));
        set->shift[c] = (float)(-kind->mean[c] / kind->deviation[c]);
    }
    pthread_mutex_init(&set->mutex, NULL);
    enum status status = fill(set, kind, params, &layout);
    photo_layout_release(&layout);
    if (status == STATUS_OK)
        *out = &set->base;
    else
        destroy(&set->base);
    return status;
}
